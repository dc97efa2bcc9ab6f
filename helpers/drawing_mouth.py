"""The mouth of a drawn face, and the beard around it."""

import numpy as np

from helpers.drawing_canvas import Canvas, both_sides, darker, lighter, mirrored, mix, smooth, symmetric
from helpers.drawing_parts import MOUTH, OUTLINE
from helpers.drawing_people import Person, Photo


def paint_mouth(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint the mouth: closed, or open with or without teeth."""
    lips = mix(person.skin, (170, 70, 70), 0.3 if person.male else 0.45)
    lips = mix(lips, photo.lip_colour, max(0.0, photo.makeup * 1.5 - 0.4))
    half = 16.5 + 0.8 * photo.smile if photo.smiling else 13.5
    gap = {"closed": 0.0, "teeth": 9.0, "laugh": 14.0, "talking": 5.5, "surprised": 11.0}[photo.mouth]
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
    elif photo.mouth == "talking":
        tips = [(-half * 0.6, y), (-half * 0.5, y + 2.4), (0, y + 2.4)]
        canvas.fill(symmetric(tips), (236, 230, 220), MOUTH)


def _paint_smile_folds(canvas: Canvas, person: Person, half: float) -> None:
    ink = (*darker(person.skin, 0.55), 160)
    for side in (-1, 1):
        x, y = side * (half + 3.5), person.mouth_y
        fold = [(side * 13, person.nose_length), (x, y - 9), (x + side * 0.5, y)]
        canvas.stroke(smooth(fold, False), 1.8, ink, MOUTH)
        canvas.glow(side * 26, 19, 10, 7, lighter(person.skin, 0.5), 0.35, MOUTH)


def paint_beard(canvas: Canvas, rng, person: Person) -> None:
    """Paint the beard: stubble dots, or hair on chin, cheeks and lip."""
    if not person.beard:
        return
    if person.beard == "stubble":
        _paint_stubble(canvas, rng, person)
        return
    hair, mouth, chin = darker(person.hair, 0.15), person.mouth_y, person.chin
    if person.beard == "full":
        _paint_full_beard(canvas, rng, person, hair)
    if person.beard == "goatee":
        half = [(0, mouth + 11), (-13, mouth + 12), (-11, chin - 5), (0, chin + 3)]
        canvas.fill(smooth(both_sides(half)), hair, OUTLINE * 0.3)
    half = [(0, mouth - 9), (-10, mouth - 8.5), (-19, mouth - 2), (0, mouth - 5)]
    canvas.fill(smooth(both_sides(half)), hair, MOUTH)


def _paint_full_beard(canvas: Canvas, rng, person: Person, hair) -> None:
    w, chin, mouth, jaw = person.face_width, person.chin, person.mouth_y, person.jaw
    depth = OUTLINE * 0.5
    edge = [(-0.97 * w, 10), (-0.97 * w, 30), (-jaw * w, 0.76 * chin), (-0.36 * w, 0.98 * chin), (0, chin + 2)]
    inner = [(0, mouth + 13), (-16, mouth + 11), (-21, mouth - 4), (-0.7 * w, mouth - 8), (-0.88 * w, 14)]
    half = np.concatenate([smooth(edge, False), smooth(inner, False)])
    canvas.fill(half, hair, depth)
    canvas.fill(mirrored(half), hair, depth)
    angle = rng.uniform(0.12, np.pi - 0.12, 60)
    roots = np.stack([np.cos(angle) * w * 0.86, 24 + np.sin(angle) * (chin - 30)], 1)
    roots += rng.normal(0, 2.5, (60, 2))
    strands = np.stack([roots, roots + rng.normal((0, 6), 1.5, (60, 2))], 1)
    canvas.lines(strands, 1.2, (lighter(hair, 0.25), darker(hair, 0.4)), depth)


def _paint_stubble(canvas: Canvas, rng, person: Person) -> None:
    angle, reach = rng.uniform(0, np.pi, 150), rng.uniform(0.76, 1.0, (150, 1))
    jaw = np.stack([np.cos(angle) * person.face_width * 0.9, np.sin(angle) * (person.chin - 22)], 1)
    lip = np.stack([rng.uniform(-17, 17, 24), rng.normal(person.mouth_y - 8, 1.4, 24)], 1)
    spots = np.concatenate([jaw * reach + np.array([0, 20]), lip])
    canvas.dots(spots, 1.9, darker(person.hair, 0.3), OUTLINE * 0.3)
