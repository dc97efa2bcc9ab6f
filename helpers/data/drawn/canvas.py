"""Brushes for drawn faces: colours, curves, strokes and soft shadows, on a canvas of twice the size.

Face coordinates are pixels of the finished 178x218 image, with the origin between the eyes and y down, before the pose
is applied. Colours are (R, G, B) or (R, G, B, A), 0-255.
"""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

WIDTH, HEIGHT = 178, 218  # CelebA's aligned and cropped images
EYES = (88.5, 111.0)  # the point between CelebA's aligned eyes at (69, 111) and (108, 111)
EYE_X = 19.5
ENLARGED = 2  # drawn at twice the size, then averaged down, which smooths the edges
_LIGHTS = 16  # directions of the light, each with its own shadow map

_QUARTER_TURN = np.array([-0.5, 0.5])  # includes a factor 1/2, since a stroke extends to both sides of its path

Colour = tuple[int, ...]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return the RGB colour `share` (0 to 1) of the way from `first` to `second`."""
    (r, g, b), (red, green, blue) = first[:3], second[:3]  # unrolled, since it is called forty times per face
    return int(r + (red - r) * share), int(g + (green - g) * share), int(b + (blue - b) * share)


def darker(colour: Colour, share: float) -> Colour:
    """Return `colour` moved by `share` (0 to 1) towards a warm near-black, like a painter's shading."""
    return mix(colour, (38, 14, 18), share)


def lighter(colour: Colour, share: float) -> Colour:
    """Return `colour` moved by `share` (0 to 1) towards a warm white."""
    return mix(colour, (255, 246, 230), share)


def mirrored(points) -> np.ndarray:
    """Return points (N, 2) mirrored at the vertical axis of the face."""
    return np.asarray(points, float) * (-1, 1)


def against(colour: Colour, share: float) -> Colour:
    """Return a contrasting colour: a dark `colour` made lighter by `share`, a light one made darker."""
    return lighter(colour, share) if sum(colour[:3]) < 340 else darker(colour, share)


def both_sides(points) -> np.ndarray:
    """Return the closed outline whose left half is `points` (N, 2), from the top of the axis to its bottom."""
    points = np.asarray(points, float)
    return np.concatenate([points, mirrored(points[-2:0:-1])])


def symmetric(points) -> np.ndarray:
    """Return the open curve whose first half is `points` (N, 2), ending on the face's axis."""
    points = np.asarray(points, float)
    return np.concatenate([points, mirrored(points[-2::-1])])


@lru_cache(maxsize=64)
def _spline(count: int, steps: int, closed: bool) -> np.ndarray:
    """Return the matrix (curve points, count) of the Catmull-Rom spline through `count` points."""
    t = np.arange(steps)[:, None] / steps
    weights = 0.5 * np.concatenate(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1
    )
    spans = count if closed else count - 1
    matrix = np.zeros((spans * steps + (not closed), count))
    for span in range(spans):
        for column, neighbour in enumerate(range(span - 1, span + 3)):
            index = neighbour % count if closed else min(max(neighbour, 0), count - 1)
            matrix[span * steps : (span + 1) * steps, index] += weights[:, column]
    if not closed:
        matrix[-1, -1] = 1
    return matrix


def smooth(points, closed: bool = True, steps: int = 5) -> np.ndarray:
    """Return a smooth curve through `points` (N, 2), with `steps` points per span."""
    return _spline(len(points), steps, closed) @ np.asarray(points, float)


@lru_cache(maxsize=8)
def _circle(corners: int) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def oval(x: float, y: float, radius_x: float, radius_y: float, corners: int = 20) -> np.ndarray:
    """Return the outline (corners, 2) of an ellipse."""
    return _circle(corners) * (radius_x, radius_y) + (x, y)


@lru_cache(maxsize=16)
def _square(side: int) -> np.ndarray:
    """Return the offsets (side * side, 2) of a square's pixels from its centre."""
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), 2).reshape(-1, 2) - (side - 1) / 2


@lru_cache(maxsize=64)
def _taper(count: int) -> np.ndarray:
    """Return a brush stroke's relative width (count, 1), thin at the ends."""
    return np.sin(np.linspace(0.12, np.pi - 0.12, count))[:, None]


@lru_cache(maxsize=512)
def _blob(width: int, height: int) -> Image.Image:
    """Return a soft elliptic mask, 255 in the centre and 0 at the edge."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return Image.fromarray((255 * np.clip(1 - x**2 - y**2, 0, 1) ** 1.5).astype(np.uint8))


@lru_cache(maxsize=512)
def _faded_blob(width: int, height: int, strength: int) -> Image.Image:
    return _blob(width, height).point([value * strength // 20 for value in range(256)])


@lru_cache(maxsize=_LIGHTS)
def _shadow_map(direction: int) -> Image.Image:
    """Return the darkness (0-255) of a round head on the canvas, in light from `direction`/16 of a turn."""
    height, width = HEIGHT * ENLARGED, WIDTH * ENLARGED
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x / ENLARGED - EYES[0]) / 52, (y / ENLARGED - EYES[1] - 8) / 72
    angle = 2 * np.pi * direction / _LIGHTS
    away = -(x * np.cos(angle) + y * np.sin(angle)) + 0.35 * (x**2 + y**2)
    return Image.fromarray((255 * np.clip(0.55 * away, 0, 1)).astype(np.uint8))


class Canvas:
    """A picture being painted in face coordinates under one pose.

    roll: radians; nod: (yaw, pitch), each about -1 to 1, how far parts near the viewer move sideways and down; zoom:
    about 1; shift: (x, y) in pixels of the finished image.
    """

    def __init__(self, image: Image.Image, roll: float, nod, zoom: float, shift):
        self.image = image
        self.opaque = ImageDraw.Draw(image)
        self.blending = ImageDraw.Draw(image, "RGBA")  # several times slower
        cos, sin = np.cos(roll) * zoom * ENLARGED, np.sin(roll) * zoom * ENLARGED
        self.turn = np.array([[cos, sin], [-sin, cos]])
        self.origin = (np.array(EYES) + shift) * ENLARGED
        self.nod = np.asarray(nod) @ self.turn
        self.unit = zoom * ENLARGED

    def place(self, points, depth: float = 0.0) -> np.ndarray:
        """Return face points (N, 2) in canvas pixels; `depth` in front of the eyes' plane moves them with a nod."""
        return np.asarray(points, float) @ self.turn + (self.origin + self.nod * depth)

    def _brush(self, colour: Colour) -> ImageDraw.ImageDraw:
        return self.blending if len(colour) == 4 else self.opaque

    def fill(self, points, colour: Colour, depth: float = 0.0) -> None:
        """Paint the polygon `points` (N, 2)."""
        self._brush(colour).polygon(self.place(points, depth).ravel().tolist(), fill=colour)

    def stroke(self, points, width: float, colour: Colour, depth: float = 0.0, taper: bool = True) -> None:
        """Paint a brush stroke through `points` (N, 2), `width` pixels wide, thin at its ends if tapered."""
        points = np.asarray(points, float)
        along = np.empty_like(points)
        along[1:-1] = points[2:] - points[:-2]
        along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
        normal = along[:, ::-1] * _QUARTER_TURN / np.hypot(along[:, :1], along[:, 1:])
        edge = normal * (width * _taper(len(points)) if taper else width)
        self.fill(np.concatenate([points + edge, (points - edge)[::-1]]), colour, depth)

    def line(self, points, width: float, colour: Colour, depth: float = 0.0) -> None:
        """Paint a line of constant width through `points` (N, 2); it is faster than a stroke."""
        width = max(1, round(width * self.unit))
        self._brush(colour).line(self.place(points, depth).ravel().tolist(), fill=colour, width=width)

    def lines(self, curves, width: float, colours, depth: float = 0.0) -> None:
        """Paint curves (N, points, 2), with `colours` in turn."""
        width = max(1, round(width * self.unit))
        flat = self.place(curves, depth).reshape(len(curves), -1).tolist()
        for index, curve in enumerate(flat):
            self.opaque.line(curve, fill=colours[index % len(colours)], width=width)

    def dots(self, points, size: float, colour: Colour, depth: float = 0.0) -> None:
        """Paint small squares of `size` pixels at `points` (N, 2)."""
        square = _square(max(1, round(size * self.unit)))
        pixels = self.place(points, depth)[:, None] + square  # one call for all, since a beard has hundreds
        self._brush(colour).point(pixels.ravel().tolist(), fill=colour)

    def glow(self, x, y, radius_x, radius_y, colour: Colour, strength: float, depth: float = 0.0) -> None:
        """Paint a soft spot of `colour`, with opacity `strength` (0 to 1) at its centre."""
        # Sizes and strengths are rounded, so that few different masks are needed.
        width = 2 * round(radius_x * self.unit / 4) * 2 + 2
        height = 2 * round(radius_y * self.unit / 4) * 2 + 2
        mask = _faded_blob(width, height, round(20 * strength))
        left, top = self.place([(x, y)], depth)[0] - (width / 2, height / 2)
        self.image.paste(colour[:3], (int(left), int(top)), mask)

    def glaze(self, points, colour: Colour, strength: Image.Image, depth: float = 0.0, at=(0, 0)) -> None:
        """Paint `colour` over the polygon `points` (N, 2), with the opacities (0-255) of the image `strength`.

        `at`: the position (x, y) of the canvas in `strength`, which may be larger than the canvas.
        """
        outline = self.place(points, depth)
        left, top = np.maximum(outline.min(0), 0).astype(int).tolist()
        right, bottom = outline.max(0).astype(int).tolist()
        box = (left, top, min(right + 1, self.image.width), min(bottom + 1, self.image.height))
        if box[2] <= left or box[3] <= top:
            return  # entirely outside the picture
        mask = Image.new("L", (box[2] - left, box[3] - top))
        ImageDraw.Draw(mask).polygon((outline - (left, top)).ravel().tolist(), fill=255)
        part = strength.crop((box[0] + at[0], box[1] + at[1], box[2] + at[0], box[3] + at[1]))
        mask = ImageChops.multiply(mask, part)
        inner = mask.getbbox()
        if inner:  # the cost of a paste grows with its area, and half of a shadow is empty
            self.image.paste(colour[:3], (left + inner[0], top + inner[1]), mask.crop(inner))

    def shade(self, points, colour: Colour, light: int, depth: float = 0.0) -> None:
        """Darken the polygon `points` (N, 2) towards `colour`, away from the light (sixteenths of a turn)."""
        self.glaze(points, colour, _shadow_map(light), depth)
