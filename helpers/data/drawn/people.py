"""Who is drawn: the traits that a person keeps, and those that change from photo to photo."""

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from helpers.data.drawn.canvas import Colour, mix

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
    "dyed": (150, 80, 130),
}
IRISES = ((92, 58, 34), (66, 42, 28), (88, 112, 70), (70, 108, 150), (110, 120, 126))
OPEN_MOUTHS = ("teeth", "laugh", "talking", "surprised")


@dataclass(frozen=True)
class Person:
    """The traits that a person keeps on all images; lengths are in face pixels (see `drawn.canvas`)."""

    male: bool
    young: bool
    age: float  # years
    skin: Colour
    face_width: float  # half the width at the cheeks
    chin: float  # distance of the chin below the eyes
    jaw: float  # width of the jaw relative to the face
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
    neck: float  # half its width
    recede: float  # how far the hairline has moved up
    bald: bool
    freckles: bool
    makeup: float  # 0 to 1, the usual amount

    @property
    def wrinkles(self) -> float:
        """How wrinkled the skin is, 0 to 1."""
        return 0.0 if self.young else min(max((self.age - 24) / 36, 0.4), 1.0)


@dataclass(frozen=True)
class Photo:
    """The traits that change from image to image of the same person."""

    smiling: bool
    mouth: str  # "closed" or one of OPEN_MOUTHS
    smile: float  # how far the corners go up, in face pixels; negative: down
    hat: str  # "" or one of HATS
    hat_colour: Colour
    glasses: str  # "" or one of GLASSES
    frame_colour: Colour
    tint: Colour  # of the lenses, (R, G, B, A)
    roll: float  # radians
    yaw: float  # about -1 to 1
    pitch: float  # about -1 to 1
    zoom: float
    shift: tuple[float, float]  # pixels
    light: int  # sixteenths of a turn
    dusk: int  # how strong the light from the side is, in eighths
    glare: Colour  # the colour of that light, or of its shadow
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
    jewel: Colour
    necklace: bool
    necktie: bool
    hood: bool
    part: float  # -1 to 1, where the hair parts
    hair_length: float  # how far the hair falls below the eyes; 0 or less: short
    volume: float  # how far the hair stands off the skull
    curl: float  # 0 straight to 1 frizzy
    fringe: bool
    cropped: bool  # cut so short that it shows as dots
    beard: str  # "", "stubble", "goatee", "moustache", "full"
    rosy: float  # how red the cheeks are, 0 to 1
    weave: str  # the hat's texture, one of patterns.WEAVES


def pick(rng: np.random.Generator, choices, weights=None):
    """Return one of `choices`, with probabilities proportional to `weights`; faster than Generator.choice."""
    if weights is None:
        return choices[int(rng.integers(len(choices)))]
    edges = list(accumulate(weights))
    return choices[min(bisect(edges, rng.random() * edges[-1]), len(choices) - 1)]


def any_colour(rng: np.random.Generator, vivid: float = 42) -> Colour:
    """Return a colour of any hue and lightness; `vivid` is the standard deviation of its channels from grey."""
    grey = rng.uniform(25, 235)
    return tuple(min(max(int(grey + c), 8), 248) for c in rng.normal(0, vivid, 3).tolist())


def _hair_colour(rng, age: float) -> tuple[str, Colour]:
    if rng.random() < np.clip((age - 40) / 40, 0, 0.3):
        name = pick(rng, ("gray", "white"), (0.6, 0.4))
    else:
        name = pick(rng, tuple(HAIRS), (0.18, 0.12, 0.12, 0.12, 0.14, 0.13, 0.05, 0.06, 0.08))
    jitter = rng.normal(0, 45 if name == "dyed" else 9, 3) + rng.normal(0, 12)
    return name, tuple(int(c) for c in np.clip(np.array(HAIRS[name]) + jitter, 12, 246))


def _scalp(rng, male: bool, age: float) -> dict:
    return {
        "recede": max(0.0, rng.normal((age - 40) * 0.12, 4)) if male else 0.0,
        "bald": bool(rng.random() < (0.12 if male else 0.02)),
    }


def _features(rng, male: bool) -> dict:
    sign = 1 if male else -1
    return {
        "face_width": rng.normal(47 + 0.5 * sign, 3.2),
        "chin": rng.normal(72 + 1.0 * sign, 4.5),
        "neck": rng.normal(25 + sign, 2.5),
        "jaw": float(np.clip(rng.normal(0.77 + 0.03 * sign, 0.05), 0.62, 0.9)),
        "brow": float(np.clip(rng.normal(4.2 + 0.3 * sign, 0.9), 2, 6.5)),
        "brow_arch": rng.normal(2.6 - 0.3 * sign, 1.2),
        "eye_height": float(np.clip(rng.normal(5.2 - 0.1 * sign, 0.7), 3.6, 7)),
        "nose_width": float(np.clip(rng.normal(9.3 + 0.7 * sign, 1.2), 6, 13)),
        "nose_length": rng.normal(25, 2),
        "lips": float(np.clip(rng.normal(5.0 - 0.8 * sign, 1.0), 2.2, 8)),
        "mouth_y": rng.normal(42.5, 2.5),
    }


def draw_person(rng: np.random.Generator, male: bool, young: bool) -> Person:
    """Return a random person of the given sex and age group."""
    age = float(rng.triangular(17, 26, 38) if young else rng.triangular(42, 58, 84))
    name, hair = _hair_colour(rng, age)
    tone = rng.random() * (len(SKINS) - 1.001)
    skin = mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone % 1)
    return Person(
        male=male,
        young=young,
        age=age,
        skin=skin,
        iris=pick(rng, IRISES),
        hair_name=name,
        hair=hair,
        freckles=bool(rng.random() < 0.12),
        makeup=0.0 if male else float(0.4 + 0.6 * rng.random() ** 0.6),
        **_features(rng, male),
        **_scalp(rng, male, age),
    )
