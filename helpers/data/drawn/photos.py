"""How a person is photographed: the pose, the light, the mouth, the haircut, clothes and accessories."""

import numpy as np

from helpers.data.drawn.canvas import Colour
from helpers.data.drawn.patterns import WEAVES
from helpers.data.drawn.people import Person, Photo, any_colour, pick

LIPSTICKS = ((214, 20, 56), (132, 8, 70), (240, 90, 140), (226, 50, 30), (250, 150, 180), (120, 20, 110))
EYE_SHADOWS = ((40, 150, 160), (160, 110, 210), (244, 150, 190), (240, 214, 160), (140, 190, 240), (120, 60, 50))
CLOTHES = ("crew", "v", "shirt", "roll", "scarf")
FABRICS = ("plain", "checks", "stripes", "dots")
HATS = ("cap", "backward cap", "beanie", "bobble", "brim", "straw", "beret", "bucket")
GLASSES = ("round", "square", "thin", "thick", "cat", "sun", "aviator")
FRAMES = ((28, 26, 30), (110, 40, 16), (170, 28, 44), (240, 150, 90), (250, 120, 150), (250, 244, 236))
AMBERS = ((224, 120, 60), (150, 60, 30), (250, 150, 130), (90, 20, 20), (240, 190, 140), (200, 60, 80))


def _haircut(rng, male: bool) -> dict:
    """Return the hair and the beard; only the beard clearly distinguishes men from women."""
    length = rng.uniform(40, 112) if rng.random() < (0.4 if male else 0.55) else rng.uniform(-8, 4)
    kinds = ("", "stubble", "goatee", "moustache", "full")
    return {
        "hair_length": length,
        "cropped": bool(length < 20 and rng.random() < 0.45),
        "curl": float(rng.random() ** 1.5),
        "volume": rng.uniform(3, 18),
        "fringe": bool(rng.random() < 0.35),
        "beard": pick(rng, kinds, (0.06, 0.32, 0.13, 0.06, 0.43)) if male else "",
    }


def _mouth(rng, smiling: bool) -> dict:
    if smiling:
        kind = pick(rng, ("closed", "teeth", "laugh"), (0.12, 0.5, 0.38))
        return {"mouth": kind, "smile": rng.uniform(4.0, 8.0)}
    kind = pick(rng, ("closed", "talking", "surprised"), (0.64, 0.2, 0.16))
    return {"mouth": kind, "smile": rng.uniform(-4.5, 0.0)}


def _tint(rng) -> Colour:
    """Return the colour of the lenses: clear, or of any hue."""
    if rng.random() < 0.35:
        return 205, 232, 250, 80
    return (*pick(rng, AMBERS), 190) if rng.random() < 0.6 else (*any_colour(rng, 75), 190)


def _pose(rng) -> dict:
    return {
        "roll": rng.normal(0, 0.12),
        "yaw": float(np.clip(rng.normal(0, 0.7), -1.4, 1.4)),
        "pitch": float(np.clip(rng.normal(0, 0.7), -1.4, 1.4)),
        "zoom": float(np.clip(rng.normal(1.0, 0.12), 0.76, 1.3)),
        "shift": tuple(rng.normal(0, 2.6, 2).tolist()),
    }


def _lighting(rng) -> dict:
    return {
        "light": int(rng.integers(16)),
        "dusk": max(0, int(rng.integers(-3, 4))),
        "glare": pick(rng, ((255, 244, 220), (14, 10, 28), (255, 190, 120), (40, 50, 110))),
        "shadow": rng.uniform(0.25, 0.85),
        "exposure": rng.uniform(0.8, 1.14),
        "contrast": rng.uniform(0.84, 1.12),
        "cast": tuple(rng.normal(1, 0.045, 3).tolist()),
        "walls": (any_colour(rng, 16), any_colour(rng, 16)),
    }


def _outfit(rng, person: Person) -> dict:
    habit = person.makeup
    return {
        "clothes": pick(rng, CLOTHES, (0.34, 0.18, 0.24, 0.12, 0.12)),
        "fabric": pick(rng, FABRICS, (0.55, 0.15, 0.15, 0.15)),
        "cloth_colour": any_colour(rng, 16),
        "makeup": float(np.clip(habit + rng.normal(0, 0.2), 0, 1)) if habit else 0.0,
        "lip_colour": pick(rng, LIPSTICKS),
        "eye_shadow": pick(rng, EYE_SHADOWS),
        "band": bool(rng.random() < 0.1),
        "hood": bool(rng.random() < 0.06),
        "bun": bool(rng.random() < 0.18),
        "earrings": bool(rng.random() < (0.02 if person.male else 0.7)),
        "rosy": rng.random() ** 2,
        "jewel": any_colour(rng, 60),
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
        weave=pick(rng, WEAVES),
        **_mouth(rng, smiling),
        **_haircut(rng, person.male),
        **_pose(rng),
        **_lighting(rng),
        **_outfit(rng, person),
    )
