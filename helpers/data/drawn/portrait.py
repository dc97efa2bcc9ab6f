"""A face painted from its traits: the order of painting, and the light over the whole picture."""

from functools import lru_cache

import numpy as np
from PIL import Image

from helpers.data.drawn.canvas import ENLARGED, EYE_X, HEIGHT, WIDTH, Canvas
from helpers.data.drawn.hair import paint_band, paint_hair_before, paint_hair_behind, paint_hood
from helpers.data.drawn.mouth import paint_beard, paint_mouth
from helpers.data.drawn.parts import (
    paint_body,
    paint_brows,
    paint_eyes,
    paint_head,
    paint_nose,
    paint_skin_details,
)
from helpers.data.drawn.patterns import background
from helpers.data.drawn.people import Person, Photo
from helpers.data.drawn.worn import paint_earrings, paint_glasses, paint_hat


def pose_canvas(image: Image.Image, photo: Photo) -> Canvas:
    """Return a canvas over `image` in the photo's pose."""
    return Canvas(image, photo.roll, (photo.yaw, photo.pitch), photo.zoom, photo.shift)


def eye_positions(photo: Photo) -> np.ndarray:
    """Return the positions (2, 2) of the left and the right eye, (x, y) in pixels of the finished image."""
    blank = Image.new("RGB", (1, 1))
    return pose_canvas(blank, photo).place([(-EYE_X, 0), (EYE_X, 0)]) / ENLARGED


def draw_face(rng: np.random.Generator, person: Person, photo: Photo) -> Image.Image:
    """Return the portrait, an RGB image of 178x218."""
    canvas = pose_canvas(background(rng, *photo.walls), photo)
    paint_hair_behind(canvas, rng, person, photo)
    paint_body(canvas, person, photo)
    paint_head(canvas, person, photo)
    paint_skin_details(canvas, rng, person)
    paint_nose(canvas, person, photo)
    paint_beard(canvas, rng, person, photo)
    paint_mouth(canvas, person, photo)
    paint_eyes(canvas, person, photo)
    paint_brows(canvas, person)
    paint_hair_before(canvas, rng, person, photo)
    paint_band(canvas, person, photo)
    paint_hood(canvas, person, photo)
    paint_earrings(canvas, person, photo)
    paint_glasses(canvas, rng, person, photo)
    paint_hat(canvas, rng, person, photo)
    return _develop(canvas.image.reduce(ENLARGED), photo)


@lru_cache(maxsize=128)
def side_light(direction: int, strength: int) -> Image.Image:
    """Return a mask that rises across the picture from 0 to `strength`/8 towards `direction`/16 of a turn."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    angle = 2 * np.pi * direction / 16
    ramp = np.clip(0.5 + 0.6 * (x * np.cos(angle) + y * np.sin(angle)), 0, 1)
    return Image.fromarray((255 * ramp * strength / 8).astype(np.uint8))


def _develop(image: Image.Image, photo: Photo) -> Image.Image:
    """Return the image with the side light, exposure, contrast and colour cast of the photo."""
    gains = np.multiply(photo.cast, photo.exposure)[:, None]
    curve = gains * (128 + photo.contrast * (np.arange(256) - 128))
    if photo.dusk:
        image.paste(photo.glare, (0, 0), side_light(photo.light, photo.dusk))
    return image.point(np.clip(curve, 0, 255).astype(int).ravel().tolist())
