"""Patterns of backgrounds, clothes, hats, glasses and beards, each made once and cached."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from helpers.data.drawn.canvas import ENLARGED, HEIGHT, WIDTH, Colour

_MARGIN = 64  # how far a pattern reaches beyond the canvas, for a random crop
_SHEET = (WIDTH * ENLARGED + _MARGIN, HEIGHT * ENLARGED + _MARGIN)


@lru_cache(maxsize=4)
def fabric(kind: str) -> Image.Image:
    """Return a sheet (a canvas and its margin) of large "checks", "stripes" or "dots": bright on a black ground."""
    image = Image.new("L", _SHEET)
    draw, pitch = ImageDraw.Draw(image), 56
    for x in range(0, image.width, pitch):
        if kind in ("checks", "stripes"):
            draw.rectangle((x, 0, x + 24, image.height), fill=180)
        for y in range(0, image.height, pitch) if kind == "dots" else ():
            draw.ellipse((x, y, x + 30, y + 30), fill=255)
    for y in range(0, image.height, pitch) if kind == "checks" else ():
        draw.rectangle((0, y, image.width, y + 24), fill=255)
    return image


def _knit(x, y):
    return (y + abs(x % 18 - 9) * 0.9) % 18 < 8


def _basket(x, y):
    over = (x // 20 + y // 20) % 2 == 0
    return np.where(over, x % 10 < 5, y % 10 < 5) | (np.where(over, y % 20, x % 20) < 3)


def _gingham(x, y):
    return ((x // 11) % 2 + (y // 12) % 2) / 2


def _herringbone(x, y):
    return (y + np.where((x // 22) % 2 == 0, x, -x)) % 18 < 9


def _straw(x, y):
    return (x // 9 + y // 11) % 2


def _tweed(x, y):
    return (((x // 8) * 7 + (y // 9) * 5) % 12) < 6


_WEAVES = {
    "knit": _knit,
    "basket": _basket,
    "gingham": _gingham,
    "herringbone": _herringbone,
    "straw": _straw,
    "tweed": _tweed,
}
WEAVES = tuple(_WEAVES)


@lru_cache(maxsize=len(_WEAVES))
def weave(kind: str) -> Image.Image:
    """Return a sheet of a hat's material, brightest (255) on its raised threads."""
    y, x = np.mgrid[0 : _SHEET[1], 0 : _SHEET[0]]
    return Image.fromarray((255 * np.asarray(_WEAVES[kind](x, y), float)).astype(np.uint8))


@lru_cache(maxsize=1)
def glints() -> Image.Image:
    """Return a sheet of slanting streaks, like reflections in glass."""
    y, x = np.mgrid[0 : _SHEET[1], 0 : _SHEET[0]]
    return Image.fromarray(np.where((x + y) % 36 < 18, 245, 0).astype(np.uint8))


@lru_cache(maxsize=4)
def bristles(kind: str) -> Image.Image:
    """Return a sheet of beard hair, "curls" or dots of "stubble": 255 on the hair."""
    rng = np.random.default_rng(7)
    image = Image.new("L", _SHEET)
    draw, pitch = ImageDraw.Draw(image), 17 if kind == "curls" else 15
    for row, y in enumerate(range(0, image.height, pitch)):
        for x in range(row % 2 * pitch // 2, image.width, pitch):
            left, top = x + rng.uniform(-2, 2), y + rng.uniform(-2, 2)
            if kind == "curls":
                draw.arc((left, top, left + 15, top + 15), rng.uniform(150, 210), rng.uniform(400, 460), 255, 5)
            else:
                draw.rectangle((left, top, left + 5, top + 7), fill=255)
    return image


def scatter(rng: np.random.Generator) -> tuple[int, int]:
    """Return a random position of the canvas on a sheet, so that no pattern is always in the same place."""
    return int(rng.integers(_MARGIN)), int(rng.integers(_MARGIN))


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
    """Return a sheet with a blurred grey pattern, 0 to 255."""
    rng = np.random.default_rng(number)
    image = Image.new("L", _SHEET, 128)
    _PATTERNS[number % len(_PATTERNS)](ImageDraw.Draw(image), rng, *_SHEET)
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(12, 26))))


def background(rng: np.random.Generator, first: Colour, second: Colour) -> Image.Image:
    """Return an RGB canvas with a random blurred pattern between two colours."""
    pattern = _pattern(int(rng.integers(len(_PATTERNS) * _VARIANTS)))
    x, y = rng.integers(0, _MARGIN, 2).tolist()
    crop = pattern.crop((x, y, x + WIDTH * ENLARGED, y + HEIGHT * ENLARGED))
    ramp = np.linspace(first[:3], second[:3], 256)
    crop.putpalette(ramp.astype(np.uint8).tobytes())
    return crop.convert("RGB")
