"""Who is drawn: what stays with a person, and what changes from photo to photo."""

from dataclasses import dataclass

import numpy as np

from helpers.drawing_canvas import Colour, mix

SKINS = (
    (250, 222, 202), (244, 208, 182), (236, 194, 162), (224, 176, 140), (206, 154, 116),
    (184, 130, 92), (156, 104, 72), (126, 82, 58), (96, 62, 46),
)  # fmt: skip
HAIRS = {
    "black": (36, 30, 34),
    "dark brown": (66, 44, 34),
    "brown": (112, 74, 46),
    "red": (158, 76, 38),
    "blond": (214, 176, 106),
    "pale blond": (236, 214, 166),
    "gray": (178, 176, 174),
    "white": (226, 224, 220),
}
IRISES = ((92, 58, 34), (66, 42, 28), (88, 112, 70), (70, 108, 150), (110, 120, 126))
LIPSTICKS = ((196, 36, 56), (150, 24, 60), (228, 120, 130), (214, 76, 58), (244, 176, 176))
EYE_SHADOWS = ((40, 140, 150), (110, 60, 150), (200, 80, 130), (60, 80, 160), (120, 90, 60))
CLOTHES = ("crew", "v", "shirt", "roll", "scarf")
FABRICS = ("plain", "checks", "stripes", "dots")
HATS = ("cap", "backward cap", "beanie", "bobble", "brim", "straw", "beret", "bucket")
GLASSES = ("round", "square", "thin", "thick", "cat", "sun", "aviator")
FRAMES = ((28, 26, 30), (84, 44, 22), (140, 28, 44), (206, 170, 84), (40, 60, 120), (232, 228, 220))
OPEN_MOUTHS = ("teeth", "laugh", "talking", "surprised")


@dataclass(frozen=True)
class Person:
    """What an identity keeps on all its images; lengths are face pixels (see `drawing_canvas`)."""

    male: bool
    young: bool
    age: float  # years; the young and the others overlap a little
    skin: Colour
    face_width: float  # half the width at the cheeks
    chin: float  # the chin below the eyes
    jaw: float  # the jaw's width over the face's
    brow: float  # how thick the eyebrows are
    brow_arch: float
    iris: Colour
    eye_height: float
    nose_width: float
    nose_length: float
    lips: float  # how full
    mouth_y: float
    hair_name: str
    hair: Colour
    curl: float  # 0 straight to 1 frizzy
    hair_length: float  # how far the hair falls below the eyes; 0 or less: short
    volume: float  # how far the hair stands off the skull
    recede: float  # how far the hairline has moved up
    bald: bool
    fringe: bool
    cropped: bool  # cut so short that it shows as dots
    beard: str  # "", "stubble", "goatee", "moustache", "full"
    freckles: bool
    makeup: float  # 0 to 1, the habit

    @property
    def wrinkles(self) -> float:
        """How lined the skin is, 0 to 1."""
        return float(np.clip((self.age - 36) / 24, 0, 1))


@dataclass(frozen=True)
class Photo:
    """What changes from image to image of the same person."""

    smiling: bool
    mouth: str  # "closed" or one of OPEN_MOUTHS
    smile: float  # how far the corners go up, in face pixels; negative: down
    hat: str  # "" or one of HATS
    hat_colour: Colour
    glasses: str  # "" or one of GLASSES
    frame_colour: Colour
    tint: Colour  # of the lenses, (R, G, B, A)
    roll: float  # radians
    yaw: float  # -1 to 1
    pitch: float  # -1 to 1
    zoom: float
    shift: tuple[float, float]  # pixels
    light: int  # sixteenths of a turn
    shadow: float  # 0 to 1
    exposure: float  # factor on the pixels
    contrast: float  # factor on the distance from grey
    cast: tuple[float, float, float]  # factor on each colour
    walls: tuple[Colour, Colour]
    clothes: str
    fabric: str  # one of FABRICS
    cloth_colour: Colour
    makeup: float  # 0 to 1
    lip_colour: Colour
    eye_shadow: Colour
    band: bool
    bun: bool
    earrings: bool
    necklace: bool
    necktie: bool
    part: float  # -1 to 1, where the hair parts


def pick(rng: np.random.Generator, choices, weights=None):
    """Return one of `choices`, likely in proportion to `weights`; cheaper than Generator.choice."""
    if weights is None:
        return choices[int(rng.integers(len(choices)))]
    edges = np.cumsum(weights)
    return choices[int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))]


def any_colour(rng: np.random.Generator, vivid: float = 42) -> Colour:
    """Return a colour of any hue and lightness; `vivid` is its usual distance from grey."""
    grey = rng.uniform(25, 235)
    return tuple(int(c) for c in np.clip(grey + rng.normal(0, vivid, 3), 8, 248))


def _hair_colour(rng, age: float) -> tuple[str, Colour]:
    grey = rng.random() < np.clip((age - 36) / 30, 0, 0.6)
    if grey:
        name = pick(rng, ("gray", "white"), (0.6, 0.4))
    else:
        name = pick(rng, tuple(HAIRS)[:6], (0.22, 0.17, 0.18, 0.08, 0.18, 0.17))
    jitter = rng.normal(0, 8, 3) + rng.normal(0, 8)
    return name, tuple(int(c) for c in np.clip(np.array(HAIRS[name]) + jitter, 12, 246))


def _hair_style(rng, male: bool, age: float) -> dict:
    length = rng.uniform(-8, 4)
    if rng.random() < (0.16 if male else 0.72):
        length = rng.uniform(40, 112)
    return {
        "cropped": bool(length < 20 and rng.random() < (0.85 if male else 0.06)),
        "curl": float(rng.random() ** 1.5),
        "hair_length": length,
        "volume": rng.uniform(3, 12) if male else rng.uniform(5, 20),
        "recede": max(0.0, rng.normal((age - 30) * 0.28, 4)) if male else 0.0,
        "bald": bool(male and rng.random() < (age - 25) / 160),
        "fringe": bool(rng.random() < (0.26 if male else 0.4)),
    }


def _beard(rng, male: bool) -> str:
    kinds = ("", "stubble", "goatee", "moustache", "full")
    return pick(rng, kinds, (0.14, 0.42, 0.11, 0.05, 0.28)) if male else ""


def _features(rng, male: bool) -> dict:
    sign = 1 if male else -1
    return {
        "face_width": rng.normal(46 + 1.2 * sign, 2.2),
        "chin": rng.normal(71 + 2.0 * sign, 3.0),
        "jaw": float(np.clip(rng.normal(0.76 + 0.035 * sign, 0.04), 0.62, 0.9)),
        "brow": float(np.clip(rng.normal(3.9 + 0.75 * sign, 0.7), 2, 6.5)),
        "brow_arch": rng.normal(2.6 - 0.8 * sign, 1.0),
        "eye_height": float(np.clip(rng.normal(5.2 - 0.35 * sign, 0.6), 3.6, 7)),
        "nose_width": float(np.clip(rng.normal(9.3 + 0.7 * sign, 1.2), 6, 13)),
        "nose_length": rng.normal(25, 2),
        "lips": float(np.clip(rng.normal(4.6 - 0.5 * sign, 1.0), 2.2, 7.5)),
        "mouth_y": rng.normal(42, 3),
    }


def draw_person(rng: np.random.Generator, male: bool, young: bool) -> Person:
    """Return a random person of the given sex and age group."""
    age = float(rng.triangular(17, 26, 42) if young else rng.triangular(39, 58, 84))
    name, hair = _hair_colour(rng, age)
    tone = rng.random() ** 1.3 * (len(SKINS) - 1.001)
    skin = mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone % 1)
    return Person(
        male=male,
        young=young,
        age=age,
        skin=skin,
        iris=pick(rng, IRISES),
        hair_name=name,
        hair=hair,
        beard=_beard(rng, male),
        freckles=bool(rng.random() < 0.12),
        makeup=0.0 if male else float(rng.random() ** 0.45),
        **_features(rng, male),
        **_hair_style(rng, male, age),
    )


def _mouth(rng, smiling: bool) -> dict:
    if smiling:
        kind = pick(rng, ("closed", "teeth", "laugh"), (0.16, 0.5, 0.34))
        return {"mouth": kind, "smile": rng.uniform(3.0, 7.0)}
    kind = pick(rng, ("closed", "talking", "surprised"), (0.64, 0.2, 0.16))
    return {"mouth": kind, "smile": rng.uniform(-3.0, 1.0)}


def _tint(rng) -> Colour:
    """Return the lenses' colour: clear, or of any hue."""
    return (*any_colour(rng, 75), 150) if rng.random() < 0.55 else (205, 232, 250, 80)


def _pose(rng) -> dict:
    return {
        "roll": rng.normal(0, 0.1),
        "yaw": float(np.clip(rng.normal(0, 0.45), -1, 1)),
        "pitch": float(np.clip(rng.normal(0, 0.5), -1, 1)),
        "zoom": float(np.clip(rng.normal(1.0, 0.08), 0.8, 1.2)),
        "shift": tuple(rng.normal(0, 3.3, 2).tolist()),
    }


def _lighting(rng) -> dict:
    return {
        "light": int(rng.integers(16)),
        "shadow": rng.uniform(0.25, 0.75),
        "exposure": rng.uniform(0.88, 1.08),
        "contrast": rng.uniform(0.92, 1.08),
        "cast": tuple(rng.normal(1, 0.025, 3).tolist()),
        "walls": (any_colour(rng, 12), any_colour(rng, 12)),
    }


def _outfit(rng, person: Person) -> dict:
    habit = person.makeup
    return {
        "clothes": pick(rng, CLOTHES, (0.34, 0.18, 0.24, 0.12, 0.12)),
        "fabric": pick(rng, FABRICS, (0.24, 0.6, 0.12, 0.04) if person.male else (0.24, 0.04, 0.12, 0.6)),
        "cloth_colour": any_colour(rng, 16),
        "makeup": float(np.clip(habit + rng.normal(0, 0.2), 0, 1)) if habit else 0.0,
        "lip_colour": pick(rng, LIPSTICKS),
        "eye_shadow": pick(rng, EYE_SHADOWS),
        "band": bool(rng.random() < (0.03 if person.male else 0.12)),
        "bun": bool(not person.male and person.hair_length > 40 and rng.random() < 0.3),
        "earrings": bool(rng.random() < (0.02 if person.male else 0.45)),
        "necklace": bool(rng.random() < (0.02 if person.male else 0.35)),
        "necktie": bool(person.male and rng.random() < 0.3),
        "part": rng.uniform(-1, 1),
    }


def draw_photo(rng: np.random.Generator, person: Person, smiling: bool, hat: bool, glasses: bool) -> Photo:
    """Return a random photo of `person` with the given smile, hat and glasses."""
    return Photo(
        smiling=smiling,
        hat=pick(rng, HATS) if hat else "",
        hat_colour=any_colour(rng, 75),
        glasses=pick(rng, GLASSES, (3, 3, 2, 3, 2, 2, 1)) if glasses else "",
        frame_colour=pick(rng, FRAMES) if rng.random() < 0.5 else any_colour(rng, 75),
        tint=_tint(rng),
        **_mouth(rng, smiling),
        **_pose(rng),
        **_lighting(rng),
        **_outfit(rng, person),
    )
