"""The hair of a drawn face, behind and in front of it, with a headband or a hood."""

import numpy as np

from helpers.data.drawn.canvas import Canvas, both_sides, darker, lighter, mirrored, oval, smooth, symmetric
from helpers.data.drawn.parts import EARS
from helpers.data.drawn.people import Person, Photo

BEHIND, BEFORE = -10.0, -4.0  # depth of the hair relative to the plane of the eyes, in pixels

_SPREAD = np.linspace(0.06, 0.94, 24)  # where the strands start along the hairline
_CLIMB = np.linspace(0.02, 0.9, 5)  # the steps of a strand from there to the crown
_WISPS = np.linspace(0.1, 0.9, 7)  # where the strands lie across a lock


def _tones(person: Person) -> tuple:
    """Return two colours for the strands: strong streaks if the hair is turning grey, else faint ones."""
    hair, turning = person.hair, person.wrinkles
    if turning:
        return lighter(hair, 0.4 + 0.2 * turning), darker(hair, 0.5 + 0.3 * turning)
    return lighter(hair, 0.16), darker(hair, 0.22)


def paint_hair_behind(canvas: Canvas, rng, person: Person, photo: Photo) -> None:
    """Paint the hair behind the neck, a bun, or the back of a hood."""
    if photo.hood and not photo.hat:
        canvas.fill(_hood(person, photo), darker(photo.hat_colour, 0.4), BEHIND)
        return
    if person.bald:
        return
    w, v, fall = person.face_width, photo.volume, photo.hair_length
    if photo.bun and not photo.hat:
        x = photo.part * 16
        canvas.fill(oval(x, -78 - v, 21, 17), darker(person.hair, 0.12), BEHIND)
        canvas.lines(_ring(rng, x, -78 - v), 1, _tones(person), BEHIND)
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
    """Return strands (8, 8, 2) wound around a bun."""
    angle = np.linspace(0, 5, 8) + rng.uniform(0, 6, (8, 1))
    reach = np.linspace(4, 18, 8)[:, None]
    return np.stack([x + np.cos(angle) * reach, y + np.sin(angle) * reach * 0.8], 2)


def _hairline(rng, person: Person, photo: Photo) -> np.ndarray:
    """Return the lower edge of the hair on the forehead, from left to right (N, 2)."""
    w = person.face_width
    up = min(person.recede, 14.0)
    if photo.fringe and up < 6:
        x = np.linspace(-0.84, 0.84, 9) * w
        y = -22 - 5 * np.cos(x / w * 2 + photo.part) + np.tile([0, -4], 5)[:9] + rng.normal(0, 1.5, 9)
        return np.stack([x, y], 1)
    crown = -47 - up * 0.5
    side = [(-0.9 * w, -14), (-0.8 * w, -30 - up), (-0.42 * w, crown - up * 0.5)]
    middle = [(photo.part * 0.3 * w, crown - 3 + up * 0.3)]
    return smooth([*side, *middle, *mirrored(side[::-1])], False, 3)


def _crown(person: Person, photo: Photo) -> np.ndarray:
    """Return the outer edge of the hair over the skull, from left to right (N, 2)."""
    w, v = person.face_width, photo.volume
    half = [(-w - 1 - v * 0.3, -2), (-w - v * 0.7, -28), (-0.68 * w - v * 0.5, -54 - v * 0.75), (0, -63 - v)]
    return smooth(symmetric(half), False, 4)


def paint_hair_before(canvas: Canvas, rng, person: Person, photo: Photo) -> None:
    """Paint the hair over the forehead and beside the face."""
    w, hair = person.face_width, person.hair
    if person.bald:
        for side in (-1, 1):
            canvas.fill(smooth(np.array([(w - 3, -30), (w + 5, -22), (w + 5, 0), (w - 1, 4)]) * (side, 1)), hair, EARS)
        return
    crown, line = _crown(person, photo), _hairline(rng, person, photo)
    ends = [(w * 0.95, 2)], [(-w * 0.95, 2)]
    cap = np.concatenate([crown, ends[0], line[::-1], ends[1]])
    if photo.curl > 0.6:
        cap[: len(crown)] += rng.normal(0, 1.8, crown.shape)
    canvas.fill(cap, hair, BEFORE)
    strands = _top_strands(rng, person, photo, crown, line)
    if photo.cropped:
        for tone, share in zip(_tones(person), np.split(strands.reshape(-1, 2)[:120], 2), strict=True):
            canvas.dots(share + rng.normal(0, 0.8, share.shape), 2.2, tone, BEFORE)
    else:
        canvas.lines(strands, 2.0 if person.wrinkles else 1.2, _tones(person), BEFORE)
    if photo.hair_length >= 20 and not photo.bun:
        for side in (-1, 1):
            _paint_lock(canvas, rng, person, photo, side)


def _top_strands(rng, person: Person, photo: Photo, crown: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Return strands (N, 4, 2) from the hairline to the crown, combed away from the parting."""
    count = len(_SPREAD)
    t = _SPREAD + rng.normal(0, 0.012, count)
    root = line[(t * (len(line) - 1)).astype(int)]
    comb = np.clip(t + 0.14 * photo.part, 0.02, 0.98)
    tip = crown[(comb * (len(crown) - 1)).astype(int)]
    steps = _CLIMB[:, None]
    strands = root[:, None] + (tip - root)[:, None] * steps
    strands[..., 0] += photo.curl * 4 * np.sin(np.arange(5) * 2.2 + rng.uniform(0, 6, (count, 1)))
    return strands


def _paint_lock(canvas: Canvas, rng, person: Person, photo: Photo, side: int) -> None:
    """Paint the hair that falls beside one cheek."""
    w, v, fall, hair = person.face_width, photo.volume, photo.hair_length, person.hair
    outer = [(w * 0.8, -40), (w + v, -20), (w + v + 4, fall * 0.4), (w + v + 2, fall)]
    inner = [(w * 0.78, fall), (w * 0.93, fall * 0.4), (w * 0.9, -10), (w * 0.74, -36)]
    outer, inner = smooth(outer, False, 4) * (side, 1), smooth(inner, False, 4) * (side, 1)
    wave = photo.curl * 3.5 * np.sin(np.arange(len(outer)) * 1.5 + rng.uniform(0, 6))[:, None] * (1, 0)
    outer, inner = outer + wave, inner + wave[::-1]
    canvas.fill(np.concatenate([outer, inner]), hair, BEFORE)
    share = _WISPS[:, None, None]
    canvas.lines(outer * (1 - share) + inner[::-1] * share, 2.2 if person.wrinkles else 1.3, _tones(person), BEFORE)


def paint_band(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint a headband, which looks like the edge of a hat but is not one."""
    if not photo.band or photo.hat:
        return
    w, v = person.face_width, photo.volume
    arc = smooth([(-w - v * 0.5, -22), (-0.6 * w, -52), (0, -60), (0.6 * w, -52), (w + v * 0.5, -22)], False)
    canvas.stroke(arc, 8, photo.hat_colour, BEFORE, taper=False)
    canvas.stroke(arc - (0, 2), 2, lighter(photo.hat_colour, 0.4), BEFORE, taper=False)


def paint_hood(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint a plain cloth around the head, as a hood or a shawl, which is not a hat."""
    if not photo.hood or photo.hat:
        return
    w, cloth = person.face_width, photo.hat_colour
    inner = symmetric(smooth([(-0.6 * w, 92), (-w + 1, 42), (-w + 2, -6), (-0.66 * w, -42), (0, -50)], False))
    canvas.fill(np.concatenate([_hood(person, photo), inner[::-1]]), cloth, BEFORE)
    canvas.stroke(inner, 4, darker(cloth, 0.45), BEFORE, taper=False)


def _hood(person: Person, photo: Photo) -> np.ndarray:
    """Return the outer edge of a hood, from left to right (N, 2)."""
    w, v = person.face_width, photo.volume
    half = [(-w - 26, 108), (-w - 20, 40), (-w - 18, -24), (-0.8 * w, -66 - v), (0, -76 - v)]
    return symmetric(smooth(half, False))
