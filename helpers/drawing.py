"""A face from its traits: the order of painting, and the light over the whole picture."""

import numpy as np
from PIL import Image

from helpers.drawing_canvas import ENLARGED, EYE_X, Canvas
from helpers.drawing_hair import paint_band, paint_hair_before, paint_hair_behind
from helpers.drawing_mouth import paint_beard, paint_mouth
from helpers.drawing_parts import (
    paint_body,
    paint_brows,
    paint_eyes,
    paint_head,
    paint_nose,
    paint_skin_details,
)
from helpers.drawing_patterns import background
from helpers.drawing_people import Person, Photo
from helpers.drawing_worn import paint_glasses, paint_hat


def pose_canvas(image: Image.Image, photo: Photo) -> Canvas:
    """Return a canvas over `image` in the photo's pose."""
    return Canvas(image, photo.roll, (photo.yaw, photo.pitch), photo.zoom, photo.shift)


def eye_positions(photo: Photo) -> np.ndarray:
    """Return where the photo's eyes are (2, 2): left and right, (x, y) in pixels of the finished image."""
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
    paint_beard(canvas, rng, person)
    paint_mouth(canvas, person, photo)
    paint_eyes(canvas, person, photo)
    paint_brows(canvas, person)
    paint_hair_before(canvas, rng, person, photo)
    paint_band(canvas, person, photo)
    paint_glasses(canvas, person, photo)
    paint_hat(canvas, rng, person, photo)
    return _develop(canvas.image.reduce(ENLARGED), photo)


def _develop(image: Image.Image, photo: Photo) -> Image.Image:
    """Return the image with the photo's exposure, contrast and colour cast."""
    gains = np.multiply(photo.cast, photo.exposure)
    lift = 128 * (1 - photo.contrast)
    matrix = np.zeros((3, 4))
    matrix[np.arange(3), np.arange(3)] = gains * photo.contrast
    matrix[:, 3] = gains * lift
    return image.convert("RGB", tuple(matrix.ravel().tolist()))
