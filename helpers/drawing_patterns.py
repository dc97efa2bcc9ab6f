"""What is behind a drawn face and on its clothes: patterns, made once and kept."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from helpers.drawing_canvas import ENLARGED, HEIGHT, WIDTH, Colour

_MARGIN = 64  # how far a background pattern reaches beyond the canvas, for a random crop


@lru_cache(maxsize=8)
def fabric(kind: str) -> Image.Image:
    """Return the canvas covered with "checks", "stripes" or "dots", 255 on the pattern and 0 beside it."""
    image = Image.new("L", (WIDTH * ENLARGED, HEIGHT * ENLARGED))
    draw, pitch = ImageDraw.Draw(image), 20
    for x in range(0, image.width, pitch):
        if kind in ("checks", "stripes"):
            draw.line((x, 0, x, image.height), fill=255, width=6)
        for y in range(0, image.height, pitch) if kind == "dots" else ():
            draw.ellipse((x, y, x + 10, y + 10), fill=255)
    for y in range(0, image.height, pitch) if kind == "checks" else ():
        draw.line((0, y, image.width, y), fill=255, width=6)
    return image


def _plain(draw, rng, width, height):
    for y in range(height):
        draw.line((0, y, width, y), fill=255 * y // height)


def _bokeh(draw, rng, width, height):
    for _ in range(60):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(10, 46)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(rng.integers(60, 256)))


def _curtain(draw, rng, width, height):
    x = 0
    while x < width:
        step = int(rng.integers(12, 60))
        draw.rectangle((x, 0, x + step, height), fill=int(rng.integers(0, 256)))
        x += step


def _shelves(draw, rng, width, height):
    y = 0
    while y < height:
        step = int(rng.integers(24, 90))
        draw.rectangle((0, y, width, y + step), fill=int(rng.integers(0, 256)))
        for x in range(0, width, 30):
            draw.rectangle((x, y + 6, x + int(rng.integers(6, 26)), y + step), fill=int(rng.integers(0, 256)))
        y += step


def _leaves(draw, rng, width, height):
    for _ in range(420):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        size = rng.uniform(4, 22)
        draw.ellipse((x - size, y - size / 3, x + size, y + size / 3), fill=int(rng.integers(0, 256)))


def _window(draw, rng, width, height):
    draw.rectangle((0, 0, width, height), fill=40)
    for x in range(10, width, 130):
        for y in range(10, height, 170):
            draw.rectangle((x, y, x + 112, y + 150), fill=int(rng.integers(160, 256)))


_PATTERNS = (_plain, _bokeh, _curtain, _shelves, _leaves, _window)
_VARIANTS = 4


@lru_cache(maxsize=len(_PATTERNS) * _VARIANTS)
def _pattern(number: int) -> Image.Image:
    """Return a blurred grey pattern, `_MARGIN` larger than the canvas, 0 to 255."""
    rng = np.random.default_rng(number)
    size = (WIDTH * ENLARGED + _MARGIN, HEIGHT * ENLARGED + _MARGIN)
    image = Image.new("L", size, 128)
    _PATTERNS[number % len(_PATTERNS)](ImageDraw.Draw(image), rng, *size)
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(12, 26))))


def background(rng: np.random.Generator, first: Colour, second: Colour) -> Image.Image:
    """Return an RGB canvas with a random blurred pattern between two colours."""
    pattern = _pattern(int(rng.integers(len(_PATTERNS) * _VARIANTS)))
    x, y = rng.integers(0, _MARGIN, 2).tolist()
    crop = pattern.crop((x, y, x + WIDTH * ENLARGED, y + HEIGHT * ENLARGED))
    ramp = np.linspace(first[:3], second[:3], 256)
    crop.putpalette(ramp.astype(np.uint8).tobytes())
    return crop.convert("RGB")
