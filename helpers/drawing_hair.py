"""The hair of a drawn face, behind and before it, with a headband."""

import numpy as np

from helpers.drawing_canvas import Canvas, both_sides, darker, lighter, mirrored, oval, smooth, symmetric
from helpers.drawing_parts import EARS
from helpers.drawing_people import Person, Photo

BEHIND, BEFORE = -10.0, -4.0  # how far the hair is from the plane of the eyes, in pixels


def _tones(hair) -> tuple:
    return lighter(hair, 0.32), darker(hair, 0.45), lighter(hair, 0.15), darker(hair, 0.3)


def paint_hair_behind(canvas: Canvas, rng, person: Person, photo: Photo) -> None:
    """Paint the hair that hangs behind the neck, and a bun."""
    if person.bald:
        return
    w, v, fall = person.face_width, person.volume, person.hair_length
    if photo.bun and not photo.hat:
        x = photo.part * 16
        canvas.fill(oval(x, -78 - v, 21, 17), darker(person.hair, 0.12), BEHIND)
        canvas.lines(_ring(rng, x, -78 - v), 1, _tones(person.hair), BEHIND)
    if fall < 20 or photo.bun:
        return
    wide = w + v + 4
    left = [
        (0, -66 - v),
        (-0.7 * wide, -56 - v * 0.6),
        (-wide, -10),
        (-wide - 3, fall * 0.5),
        (-wide + 4, fall),
        (0, fall),
    ]
    canvas.fill(smooth(both_sides(left)), darker(person.hair, 0.42), BEHIND)


def _ring(rng, x: float, y: float) -> np.ndarray:
    """Return strands (8, 8, 2) winding round a bun."""
    angle = np.linspace(0, 5, 8) + rng.uniform(0, 6, (8, 1))
    reach = np.linspace(4, 18, 8)[:, None]
    return np.stack([x + np.cos(angle) * reach, y + np.sin(angle) * reach * 0.8], 2)


def _hairline(rng, person: Person, photo: Photo) -> np.ndarray:
    """Return the hair's lower edge on the forehead, left to right (N, 2)."""
    w = person.face_width
    up = min(person.recede, 14.0)
    if person.fringe and up < 6:
        x = np.linspace(-0.84, 0.84, 9) * w
        y = -22 - 5 * np.cos(x / w * 2 + photo.part) + np.tile([0, -4], 5)[:9] + rng.normal(0, 1.5, 9)
        return np.stack([x, y], 1)
    crown = -47 - up * 0.5
    side = [(-0.9 * w, -14), (-0.8 * w, -30 - up), (-0.42 * w, crown - up * 0.5)]
    middle = [(photo.part * 0.3 * w, crown - 3 + up * 0.3)]
    return smooth([*side, *middle, *mirrored(side[::-1])], False, 3)


def _crown(person: Person) -> np.ndarray:
    """Return the hair's outer edge over the skull, left to right (N, 2)."""
    w, v = person.face_width, person.volume
    half = [(-w - 1 - v * 0.3, -2), (-w - v * 0.7, -28), (-0.68 * w - v * 0.5, -54 - v * 0.75), (0, -63 - v)]
    return smooth(symmetric(half), False, 4)


def paint_hair_before(canvas: Canvas, rng, person: Person, photo: Photo) -> None:
    """Paint the hair over the forehead and beside the face."""
    w, hair = person.face_width, person.hair
    if person.bald:
        for side in (-1, 1):
            canvas.fill(smooth(np.array([(w - 3, -30), (w + 5, -22), (w + 5, 0), (w - 1, 4)]) * (side, 1)), hair, EARS)
        return
    crown, line = _crown(person), _hairline(rng, person, photo)
    ends = [(w * 0.95, 2)], [(-w * 0.95, 2)]
    cap = np.concatenate([crown, ends[0], line[::-1], ends[1]])
    if person.curl > 0.6:
        cap[: len(crown)] += rng.normal(0, 1.8, crown.shape)
    canvas.fill(cap, hair, BEFORE)
    strands = _top_strands(rng, person, photo, crown, line)
    if person.cropped:
        for tone, share in zip(_tones(hair), np.split(strands.reshape(-1, 2)[:120], 4), strict=True):
            canvas.dots(share + rng.normal(0, 0.8, share.shape), 2.2, tone, BEFORE)
    else:
        canvas.lines(strands, 1.3, _tones(hair), BEFORE)
    if person.hair_length >= 20 and not photo.bun:
        for side in (-1, 1):
            _paint_lock(canvas, rng, person, side)


def _top_strands(rng, person: Person, photo: Photo, crown: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Return strands (N, 4, 2) from the hairline to the crown, combed away from the parting."""
    count = 24
    t = np.linspace(0.06, 0.94, count) + rng.normal(0, 0.012, count)
    root = line[(t * (len(line) - 1)).astype(int)]
    comb = np.clip(t + 0.14 * photo.part, 0.02, 0.98)
    tip = crown[(comb * (len(crown) - 1)).astype(int)]
    steps = np.linspace(0.02, 0.9, 5)[:, None]
    strands = root[:, None] + (tip - root)[:, None] * steps
    strands[..., 0] += person.curl * 4 * np.sin(np.arange(5) * 2.2 + rng.uniform(0, 6, (count, 1)))
    return strands


def _paint_lock(canvas: Canvas, rng, person: Person, side: int) -> None:
    """Paint the hair that falls beside one cheek."""
    w, v, fall, hair = person.face_width, person.volume, person.hair_length, person.hair
    outer = [(w * 0.8, -40), (w + v, -20), (w + v + 4, fall * 0.4), (w + v + 2, fall)]
    inner = [(w * 0.78, fall), (w * 0.93, fall * 0.4), (w * 0.9, -10), (w * 0.74, -36)]
    outer, inner = smooth(outer, False, 4) * (side, 1), smooth(inner, False, 4) * (side, 1)
    wave = person.curl * 3.5 * np.sin(np.arange(len(outer)) * 1.5 + rng.uniform(0, 6))[:, None] * (1, 0)
    outer, inner = outer + wave, inner + wave[::-1]
    canvas.fill(np.concatenate([outer, inner]), hair, BEFORE)
    share = np.linspace(0.1, 0.9, 7)[:, None, None]
    canvas.lines(outer * (1 - share) + inner[::-1] * share, 1.3, _tones(hair), BEFORE)


def paint_band(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint a headband: what looks like a hat's edge and is none."""
    if not photo.band or photo.hat:
        return
    w, v = person.face_width, person.volume
    arc = smooth([(-w - v * 0.5, -22), (-0.6 * w, -52), (0, -60), (0.6 * w, -52), (w + v * 0.5, -22)], False)
    canvas.stroke(arc, 8, photo.hat_colour, BEFORE, taper=False)
    canvas.stroke(arc - (0, 2), 2, lighter(photo.hat_colour, 0.4), BEFORE, taper=False)
