"""The mouth of a drawn face, and the beard around it."""

import numpy as np

from helpers.data.drawn.canvas import Canvas, both_sides, darker, lighter, mirrored, mix, smooth, symmetric
from helpers.data.drawn.parts import MOUTH, OUTLINE
from helpers.data.drawn.patterns import bristles, scatter
from helpers.data.drawn.people import Person, Photo, pick

GINGERS = ((206, 92, 40), (166, 62, 28), (232, 130, 70), (130, 40, 22))  # beards redder than the hair


def paint_mouth(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint the mouth: closed, or open with or without teeth."""
    lips = mix(person.skin, (170, 70, 70), 0.3 if person.male else 0.45)
    lips = mix(lips, photo.lip_colour, max(0.0, photo.makeup * 1.5 - 0.4))
    half = 17 + 0.8 * photo.smile if photo.smiling else 13.5
    gap = {"closed": 0.0, "teeth": 11.0, "laugh": 16.0, "talking": 5.5, "surprised": 12.0}[photo.mouth]
    if photo.mouth == "surprised":
        half = 10.0
    if photo.mouth == "closed":
        _paint_closed_mouth(canvas, person, photo, lips, half)
    else:
        _paint_open_mouth(canvas, person, photo, lips, half, gap)
    canvas.glow(0, person.mouth_y + gap + person.lips + 8, 12, 5, darker(person.skin, 0.4), 0.35, MOUTH)
    if photo.smiling:
        _paint_smile_folds(canvas, person, half)


def _paint_closed_mouth(canvas: Canvas, person: Person, photo: Photo, lips, half: float) -> None:
    y, up, full = person.mouth_y, photo.smile, person.lips
    line = symmetric(smooth([(-half, y - up), (-half * 0.5, y - up * 0.15), (0, y + up * 0.25)], False))
    bow = [(half, y - up), (4, y - full * 0.9), (0, y - full * 0.6), (-4, y - full * 0.9), (-half, y - up)]
    canvas.fill(np.concatenate([line, smooth(bow, False)]), darker(lips, 0.18), MOUTH)
    low = smooth([(half * 0.9, y - up * 0.8), (half * 0.45, y + full), (0, y + full * 1.3 + up * 0.3)], False)
    canvas.fill(np.concatenate([line, symmetric(low)]), lips, MOUTH)
    canvas.stroke(line, 2.2, darker(lips, 0.7), MOUTH)


def _paint_open_mouth(canvas: Canvas, person: Person, photo: Photo, lips, half: float, gap: float) -> None:
    y, up, full = person.mouth_y - gap * 0.3, photo.smile, person.lips * 0.8
    middle, side, corner = y - gap * 0.1, half + 1.5, y - up
    upper = smooth([(-side, corner), (-4, middle - full), (0, middle - full * 0.7)], False)
    lower = smooth([(side, corner), (half * 0.65, y + gap * 0.75 + full), (0, y + gap + full * 1.2)], False)
    canvas.fill(np.concatenate([symmetric(upper), symmetric(lower)]), lips, MOUTH)
    top = symmetric(smooth([(-half, corner), (-half * 0.5, middle - up * 0.25), (0, middle)], False))
    low = symmetric(smooth([(half, corner), (half * 0.6, y + gap * 0.75), (0, y + gap)], False))
    canvas.fill(np.concatenate([top, low]), (84, 10, 22), MOUTH)
    if photo.smiling:
        share = 0.6 if photo.mouth == "teeth" else 0.5
        edge = top[::-1] * (1 - share) + low * share
        canvas.fill(np.concatenate([top, edge]) * (0.94, 1), (254, 252, 246), MOUTH)
        gaps = np.stack([top, edge[::-1]], 1)[2:-2:3] * (0.94, 1)
        canvas.lines(gaps, 1.2, ((112, 70, 76),), MOUTH)
    elif photo.mouth == "talking":
        tips = [(-half * 0.6, y), (-half * 0.5, y + 2.4), (0, y + 2.4)]
        canvas.fill(symmetric(tips), (236, 230, 220), MOUTH)


def _paint_smile_folds(canvas: Canvas, person: Person, half: float) -> None:
    ink = (*darker(person.skin, 0.55), 160)
    for side in (-1, 1):
        x, y = side * (half + 3.5), person.mouth_y
        fold = [(side * 13, person.nose_length), (x, y - 9), (x + side * 0.5, y)]
        canvas.stroke(smooth(fold, False), 2.6, ink, MOUTH)
        canvas.stroke([(x + side * 2, y - 7), (x + side * 4.5, y - 2), (x + side * 3, y + 4)], 3, ink, MOUTH)
        canvas.glow(side * 26, 19, 10, 7, lighter(person.skin, 0.5), 0.35, MOUTH)


def paint_beard(canvas: Canvas, rng, person: Person, photo: Photo) -> None:
    """Paint the beard: stubble, or curls on the chin, the cheeks and the upper lip."""
    if not photo.beard:
        return
    hair = _beard_colour(rng, person)
    at, mouth, chin = scatter(rng), person.mouth_y, person.chin
    if photo.beard in ("full", "stubble"):
        half = _jaw(person)
        shapes = [(np.concatenate([half, mirrored(half[::-1])]), OUTLINE * 0.3)]
    elif photo.beard == "goatee":
        half = [(0, mouth + 8), (-17, mouth + 2), (-23, mouth + 4), (-19, chin - 6), (-9, chin + 8), (0, chin + 10)]
        shapes = [(smooth(both_sides(half)), 0)]
    else:
        shapes = []
    if photo.beard != "stubble":
        lip = [(0, mouth - 14), (-12, mouth - 15), (-27, mouth - 3), (-25, mouth + 4), (-11, mouth - 4), (0, mouth - 6)]
        shapes.append((smooth(both_sides(lip)), MOUTH))
    for shape, depth in shapes:
        _paint_bristles(canvas, shape, hair, photo.beard == "stubble", at, depth)


def _beard_colour(rng, person: Person):
    """Return a colour for the beard: ginger, the hair's, or another one if that would not show on the skin."""
    if rng.random() < 0.35:
        return pick(rng, GINGERS)
    if abs(sum(person.hair) - sum(person.skin)) > 120:
        return person.hair
    share = rng.uniform(0.45, 0.7)
    return darker(person.skin, share) if sum(person.skin) > 450 else lighter(person.skin, share)


def _paint_bristles(canvas: Canvas, shape, hair, short: bool, at, depth: float) -> None:
    if short:
        canvas.glaze(shape, lighter(hair, 0.6), bristles("stubble"), depth, (at[0] + 4, at[1] + 4))
        canvas.glaze(shape, hair, bristles("stubble"), depth, at)
        return
    canvas.fill(shape, hair, depth)
    canvas.glaze(shape, darker(hair, 0.65), bristles("curls"), depth, (at[0] + 6, at[1] + 6))
    canvas.glaze(shape, lighter(hair, 0.6), bristles("curls"), depth, at)


def _jaw(person: Person) -> np.ndarray:
    """Return the left half of the outline of a full beard (N, 2), around the mouth."""
    w, chin, mouth, jaw = person.face_width, person.chin, person.mouth_y, person.jaw
    inner = [(0, mouth + 12), (-17, mouth + 9), (-22, mouth - 3), (-0.7 * w, mouth - 12), (-0.88 * w, 10)]
    edge = [(-0.99 * w, 4), (-0.99 * w, 30), (-jaw * w - 1, 0.78 * chin), (-0.36 * w, chin + 3), (0, chin + 6)]
    return np.concatenate([smooth(inner, False), smooth(edge, False)])
