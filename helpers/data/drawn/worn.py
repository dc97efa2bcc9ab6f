"""What a drawn face wears: hats, glasses and earrings of several kinds."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from helpers.data.drawn.canvas import EYE_X, Canvas, Colour, against, darker, lighter, oval, smooth, symmetric
from helpers.data.drawn.parts import EARS, OUTLINE
from helpers.data.drawn.patterns import glints, scatter, weave
from helpers.data.drawn.people import Person, Photo


def paint_hat(canvas: Canvas, rng, person: Person, photo: Photo) -> None:
    """Paint the photo's hat, if any, over the hair."""
    if photo.hat:
        cloth = Cloth(photo.hat_colour, weave(photo.weave), scatter(rng), photo.light)
        _HATS[photo.hat](canvas, rng, person.face_width + 3, cloth)


@dataclass(frozen=True)
class Cloth:
    """A hat's material, and the light on it."""

    colour: Colour
    threads: Image.Image
    at: tuple[int, int]  # the position of the canvas on the sheet of threads
    light: int

    def cover(self, canvas: Canvas, outline, shift: float = 0.0) -> None:
        """Paint `outline` (N, 2) with the material; `shift` (0 to 1) darkens it."""
        ground = darker(self.colour, shift)
        canvas.fill(outline, ground, OUTLINE)
        canvas.glaze(outline, against(ground, 0.72), self.threads, OUTLINE, self.at)
        canvas.shade(outline, darker(ground, 0.7), self.light, OUTLINE)


def _dome(w: float, low: float, top: float) -> np.ndarray:
    """Return the outline of a round crown from y = `low` up to y = `top`."""
    left = [(-w - 6, low), (-w - 8, low - 18), (-0.76 * w - 4, top + 13), (0, top)]
    return np.concatenate([symmetric(smooth(left, False)), [(0.4 * w, low - 6), (-0.4 * w, low - 6)]])


def _edge(canvas, path, colour) -> None:
    """Paint the sharp shadow and the light along a brim."""
    canvas.stroke(path, 5, darker(colour, 0.85), OUTLINE, taper=False)
    canvas.stroke(path - np.array([0, 4.5]), 3.5, lighter(colour, 0.75), OUTLINE, taper=False)


def _paint_cap(canvas, rng, w, cloth, visor: bool = True) -> None:
    colour = cloth.colour
    cloth.cover(canvas, _dome(w, -24, -96))
    for x in (-0.5, 0.0, 0.5):
        seam = smooth([(0, -95), (x * w * 1.4, -66), (x * w * 1.5, -30)], False)
        canvas.line(seam, 1.4, darker(colour, 0.6), OUTLINE)
    if visor:
        brim = smooth([(-w - 2, -28), (-0.5 * w, -46), (0.5 * w, -46), (w + 2, -28), (0.62 * w, -17), (-0.62 * w, -17)])
        canvas.fill(brim, darker(colour, 0.3), OUTLINE)
        _edge(canvas, smooth([(-0.9 * w, -23), (0, -15), (0.9 * w, -23)], False), colour)
    else:
        _edge(canvas, smooth([(-w - 4, -25), (0, -36), (w + 4, -25)], False), colour)


def _paint_backward_cap(canvas, rng, w, cloth) -> None:
    _paint_cap(canvas, rng, w, cloth, visor=False)


def _paint_beanie(canvas, rng, w, cloth, bobble: bool = False) -> None:
    if bobble:
        canvas.fill(oval(0, -104, 17, 14) + rng.normal(0, 1, (20, 2)), lighter(cloth.colour, 0.35), OUTLINE)
    cloth.cover(canvas, _dome(w, -28, -98))
    fold = [(-w - 8, -40), (0, -54), (w + 8, -40), (w + 8, -16), (0, -29), (-w - 8, -16)]
    canvas.fill(fold, lighter(cloth.colour, 0.18), OUTLINE)
    x = np.linspace(-1, 1, 15)[:, None]
    ribs = np.stack([np.hstack([x * (w + 6), -53 + 13 * abs(x)]), np.hstack([x * (w + 6), -30 + 13 * abs(x)])], 1)
    canvas.lines(ribs, 3, (against(cloth.colour, 0.7),), OUTLINE)
    _edge(canvas, np.array([(-w - 8, -15), (0, -28), (w + 8, -15)]), cloth.colour)


def _paint_bobble(canvas, rng, w, cloth) -> None:
    _paint_beanie(canvas, rng, w, cloth, bobble=True)


def _paint_brim(canvas, rng, w, cloth) -> None:
    """Paint a hat with a wide brim and a ribbon."""
    colour = cloth.colour
    cloth.cover(canvas, symmetric(smooth([(-w - 1, -34), (-w + 1, -74), (-0.6 * w, -100), (0, -94)], False)))
    ribbon = [(-w - 1, -56), (0, -60), (w + 1, -56), (w + 3, -42), (-w - 3, -42)]
    canvas.fill(ribbon, against(colour, 0.8), OUTLINE)
    brim = [(-w - 40, -28), (-0.6 * w, -50), (0.6 * w, -50), (w + 40, -28), (0.6 * w, -22), (-0.6 * w, -22)]
    cloth.cover(canvas, smooth(brim), 0.1)
    _edge(canvas, smooth([(-w - 34, -27), (0, -20), (w + 34, -27)], False), colour)


def _paint_straw(canvas, rng, w, cloth) -> None:
    straw = (222, 190, 128) if sum(cloth.colour) > 380 else (120, 84, 50)
    _paint_brim(canvas, rng, w, replace(cloth, colour=straw, threads=weave("straw")))


def _paint_beret(canvas, rng, w, cloth) -> None:
    lean = 1 if rng.random() < 0.5 else -1
    shape = [(-w, -34), (-w - 14, -66), (-0.3 * w, -94), (0.9 * w, -92), (w + 28, -60), (w, -34), (0, -44)]
    cloth.cover(canvas, smooth(np.array(shape) * (lean, 1)))
    _edge(canvas, smooth([(-w - 2, -30), (0, -44), (w + 2, -30)], False), cloth.colour)
    canvas.stroke([(lean * 10, -92), (lean * 13, -97), (lean * 14, -102)], 4, darker(cloth.colour, 0.3), OUTLINE)


def _paint_bucket(canvas, rng, w, cloth) -> None:
    cloth.cover(canvas, [(-0.97 * w, -44), (-0.84 * w, -90), (0, -96), (0.84 * w, -90), (0.97 * w, -44)])
    half = [(-0.5 * w, -21), (-w - 24, -12), (-0.97 * w, -50), (0, -58)]
    cloth.cover(canvas, symmetric(half), 0.2)
    _edge(canvas, smooth([(-w - 20, -13), (0, -23), (w + 20, -13)], False), cloth.colour)


_HATS = {
    "cap": _paint_cap,
    "backward cap": _paint_backward_cap,
    "beanie": _paint_beanie,
    "bobble": _paint_bobble,
    "brim": _paint_brim,
    "straw": _paint_straw,
    "beret": _paint_beret,
    "bucket": _paint_bucket,
}

# kind: (half width, half height, squareness from 2 (oval) to 6 (box), width of the rim)
_RIMS = {
    "round": (18, 18, 2, 5.6),
    "square": (18, 16, 5, 5.6),
    "thin": (18, 16, 2.6, 4.4),
    "thick": (18, 16, 4, 7.0),
    "cat": (18, 16, 3, 5.6),
    "sun": (18.5, 17, 3.4, 5.6),
    "aviator": (18.5, 18.5, 2.6, 4.4),
}


def _lens(kind: str) -> np.ndarray:
    """Return the outline of a lens (24, 2) around its centre, with the nose on the left."""
    wide, high, square, _ = _RIMS[kind]
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = np.sign(cos) * abs(cos) ** (2 / square) * wide, np.sign(sin) * abs(sin) ** (2 / square) * high
    if kind == "cat":
        y -= np.clip(x / wide, 0, 1) * (y < 0) * 4
    if kind == "aviator":
        x = x * (1 - 0.12 * y / high) + 0.1 * y
    return np.stack([x, y + 1.5], 1)


def paint_glasses(canvas: Canvas, rng, person: Person, photo: Photo) -> None:
    """Paint the photo's glasses, if any: lenses with reflections, in rims with a lit edge."""
    if not photo.glasses:
        return
    wide, _, _, rim = _RIMS[photo.glasses]
    frame, lens = photo.frame_colour, _lens(photo.glasses)
    pane = (*photo.tint[:3], 235) if photo.glasses in ("sun", "aviator") else photo.tint
    at = scatter(rng)
    for side in (-1, 1):
        shape = lens * (side, 1) + (side * EYE_X, 0)
        canvas.fill(shape, pane, 2)
        canvas.glaze(shape, against(pane, 0.95), glints(), 2, at)
        ring = np.concatenate([shape, shape[:1]])
        canvas.stroke(ring + np.array([0, 2]), rim + 3.4, against(frame, 0.8), 2, taper=False)
        canvas.stroke(ring, rim, frame, 2, taper=False)
        canvas.line([(side * (EYE_X + wide), -2), (side * (person.face_width - 3), -4)], max(rim, 1.6), frame, -2)
    inner = EYE_X - wide
    canvas.stroke(smooth([(-inner - 2, 0), (0, -3), (inner + 2, 0)], False), rim + 1, frame, 3, taper=False)


def paint_earrings(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint large earrings over the hair: rings in two colours."""
    if not photo.earrings or photo.hood:  # a hood would cover them
        return
    for side in (-1, 1):
        x = side * (person.face_width + 4)
        for reach, colour in ((12, photo.jewel), (8.5, against(photo.jewel, 0.8)), (5, photo.jewel)):
            canvas.fill(oval(x, 33, reach * 0.8, reach), colour, EARS)
        canvas.line([(x, 16), (x, 24)], 2, photo.jewel, EARS)
