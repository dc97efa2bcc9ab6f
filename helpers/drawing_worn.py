"""What a drawn face wears: hats and glasses of several kinds."""

import numpy as np

from helpers.drawing_canvas import EYE_X, Canvas, darker, lighter, oval, smooth, symmetric
from helpers.drawing_parts import OUTLINE
from helpers.drawing_people import Person, Photo


def paint_hat(canvas: Canvas, rng, person: Person, photo: Photo) -> None:
    """Paint the photo's hat, if any, over the hair."""
    if photo.hat:
        _HATS[photo.hat](canvas, rng, person.face_width, photo.hat_colour, photo.light)


def _dome(w: float, low: float, top: float) -> np.ndarray:
    """Return the outline of a round crown from y = `low` up to y = `top`."""
    left = [(-w - 6, low), (-w - 7, low - 16), (-0.72 * w - 4, top + 12), (0, top)]
    return np.concatenate([symmetric(smooth(left, False)), [(0.4 * w, low - 6), (-0.4 * w, low - 6)]])


def _paint_cap(canvas, rng, w, colour, light, visor: bool = True) -> None:
    dome = _dome(w, -24, -90)
    canvas.fill(dome, colour, OUTLINE)
    for x in (-0.5, 0.0, 0.5):
        seam = smooth([(0, -89), (x * w * 1.4, -64), (x * w * 1.5, -30)], False)
        canvas.line(seam, 1, darker(colour, 0.35), OUTLINE)
    canvas.shade(dome, darker(colour, 0.7), light, OUTLINE)
    if visor:
        brim = smooth([(-w - 2, -28), (-0.5 * w, -42), (0.5 * w, -42), (w + 2, -28), (0.62 * w, -19), (-0.62 * w, -19)])
        canvas.fill(brim, darker(colour, 0.3), OUTLINE + 8)
        canvas.stroke(smooth([(-0.8 * w, -22), (0, -17), (0.8 * w, -22)], False), 3, darker(colour, 0.7), OUTLINE + 8)
        canvas.fill(oval(0, -60, 9, 8), lighter(colour, 0.6), 2)
    else:
        canvas.stroke([(-w - 4, -27), (0, -38), (w + 4, -27)], 7, darker(colour, 0.4), OUTLINE, taper=False)


def _paint_backward_cap(canvas, rng, w, colour, light) -> None:
    _paint_cap(canvas, rng, w, colour, light, visor=False)


def _paint_beanie(canvas, rng, w, colour, light, bobble: bool = False) -> None:
    if bobble:
        canvas.fill(oval(0, -100, 15, 13) + rng.normal(0, 1, (20, 2)), lighter(colour, 0.35), OUTLINE)
    dome = _dome(w, -26, -92)
    canvas.fill(dome, colour, OUTLINE)
    for x in np.linspace(-0.9, 0.9, 9):
        rib = smooth([(x * w * 0.5, -88 + 14 * x * x), (x * w * 1.05, -62), (x * w * 1.1, -34)], False, 3)
        canvas.line(rib, 1, darker(colour, 0.3), OUTLINE)
    canvas.shade(dome, darker(colour, 0.7), light, OUTLINE)
    fold = [(-w - 8, -38), (0, -52), (w + 8, -38), (w + 8, -18), (0, -30), (-w - 8, -18)]
    canvas.fill(fold, lighter(colour, 0.18), OUTLINE)
    for x in np.linspace(-1, 1, 17):
        y = 13 * abs(x)
        canvas.line([(x * (w + 6), -51 + y), (x * (w + 6), -30 + y)], 1.2, darker(colour, 0.25), OUTLINE)


def _paint_bobble(canvas, rng, w, colour, light) -> None:
    _paint_beanie(canvas, rng, w, colour, light, bobble=True)


def _paint_brim(canvas, rng, w, colour, light, straw: bool = False) -> None:
    """Paint a felt hat with a ribbon, or one of woven straw."""
    colour, band = ((222, 190, 128), colour) if straw else (colour, darker(colour, 0.65))
    left = [(-w - 1, -34), (-w + 2, -70), (-0.6 * w, -94), (0, -88)]
    crown = symmetric(smooth(left, False))
    canvas.fill(crown, colour, OUTLINE)
    ribbon = [(-w - 1, -56), (0, -60), (w + 1, -56), (w + 3, -40), (-w - 3, -40)]
    canvas.fill(ribbon, band, OUTLINE)
    canvas.shade(crown, darker(colour, 0.7), light, OUTLINE)
    brim = smooth([(-w - 36, -28), (-0.6 * w, -46), (0.6 * w, -46), (w + 36, -28), (0.6 * w, -25), (-0.6 * w, -25)])
    canvas.fill(brim, lighter(colour, 0.12), OUTLINE)
    canvas.stroke(smooth([(-w - 30, -27), (0, -22), (w + 30, -27)], False), 3, darker(colour, 0.6), OUTLINE)
    if straw:
        for y in range(-86, -26, 6):
            canvas.line([(-w + 6, y), (w - 6, y + 2)], 0.8, (*darker(colour, 0.4), 150), OUTLINE)


def _paint_straw(canvas, rng, w, colour, light) -> None:
    _paint_brim(canvas, rng, w, colour, light, straw=True)


def _paint_beret(canvas, rng, w, colour, light) -> None:
    lean = 1 if rng.random() < 0.5 else -1
    shape = np.array([(-w, -38), (-w - 10, -62), (-0.3 * w, -86), (0.9 * w, -84), (w + 22, -58), (w, -40), (0, -50)])
    shape = smooth(shape * (lean, 1))
    canvas.fill(shape, colour, OUTLINE)
    canvas.shade(shape, darker(colour, 0.7), light, OUTLINE)
    rim = smooth([(-w - 2, -34), (0, -52), (w + 2, -34)], False)
    canvas.stroke(rim, 6, darker(colour, 0.4), OUTLINE, taper=False)
    canvas.stroke([(lean * 10, -84), (lean * 13, -89), (lean * 14, -94)], 3, darker(colour, 0.3), OUTLINE)


def _paint_bucket(canvas, rng, w, colour, light) -> None:
    crown = [(-0.95 * w, -44), (-0.8 * w, -86), (0, -92), (0.8 * w, -86), (0.95 * w, -44)]
    canvas.fill(crown, colour, OUTLINE)
    canvas.shade(np.array(crown), darker(colour, 0.7), light, OUTLINE)
    brim = [
        (-0.95 * w, -48),
        (0, -56),
        (0.95 * w, -48),
        (w + 20, -14),
        (0.5 * w, -24),
        (-0.5 * w, -24),
        (-w - 20, -14),
    ]
    canvas.fill(brim, darker(colour, 0.2), OUTLINE)
    for lift in (0, 6, 12):
        seam = smooth([(-w - 14 + lift, -18 - lift), (0, -28 - lift), (w + 14 - lift, -18 - lift)], False)
        canvas.line(seam, 0.9, darker(colour, 0.5), OUTLINE)


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

# kind: (half width, half height, squareness 2 (oval) to 6 (box), rim's width)
_RIMS = {
    "round": (13.5, 13.5, 2, 3.2),
    "square": (15, 11.5, 5, 3.4),
    "thin": (14.5, 10.5, 2.6, 2.0),
    "thick": (15.5, 12, 4, 5.0),
    "cat": (15.5, 11, 3, 3.8),
    "sun": (16, 12.5, 3.4, 3.6),
    "aviator": (16, 14, 2.6, 2.2),
}


def _lens(kind: str) -> np.ndarray:
    """Return a lens's outline (24, 2) about its middle, nose to the left."""
    wide, high, square, _ = _RIMS[kind]
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = np.sign(cos) * abs(cos) ** (2 / square) * wide, np.sign(sin) * abs(sin) ** (2 / square) * high
    if kind == "cat":
        y -= np.clip(x / wide, 0, 1) * (y < 0) * 4
    if kind == "aviator":
        x = x * (1 - 0.12 * y / high) + 0.1 * y
    return np.stack([x, y + 1.5], 1)


def paint_glasses(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint the photo's glasses, if any."""
    if not photo.glasses:
        return
    rim, frame, dark = _RIMS[photo.glasses][3], photo.frame_colour, photo.glasses in ("sun", "aviator")
    wide = _RIMS[photo.glasses][0]
    lens = _lens(photo.glasses)
    for side in (-1, 1):
        shape = lens * (side, 1) + (side * EYE_X, 0)
        canvas.fill(shape, (*darker(frame, 0.6), 225) if dark else photo.tint, 2)
        ring = np.concatenate([shape, shape[:1]])
        canvas.stroke(ring, rim, frame, 2, taper=False)
        x = side * EYE_X - 3
        canvas.stroke([(x - 4, 5), (x, -1), (x + 4, -6)], 2.2, (255, 255, 255, 150), 2)
        canvas.line([(side * (EYE_X + wide), -2), (side * (person.face_width - 3), -4)], max(rim, 1.6), frame, -2)
    inner = EYE_X - wide
    canvas.stroke(smooth([(-inner - 1, 0), (0, -3), (inner + 1, 0)], False), rim, frame, 3, taper=False)
