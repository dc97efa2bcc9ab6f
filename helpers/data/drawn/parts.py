"""The parts of a drawn face, each painted by one function from the person's and the photo's traits."""

import numpy as np

from helpers.data.drawn.canvas import EYE_X, Canvas, both_sides, darker, lighter, mirrored, mix, oval, smooth
from helpers.data.drawn.patterns import fabric
from helpers.data.drawn.people import Person, Photo

# Depth of each part in pixels, positive if nearer to the viewer than the eyes: yaw moves it sideways by as much.
OUTLINE, EARS, NOSE, MOUTH, BODY = -5.0, -10.0, 8.0, 6.0, -8.0


def head_outline(person: Person) -> np.ndarray:
    """Return the outline of the head without ears (N, 2)."""
    w, chin, jaw = person.face_width, person.chin, person.jaw
    left = [
        (0, -62), (-0.62 * w, -53), (-0.95 * w, -26), (-w, 4), (-0.95 * w, 30),
        (-jaw * w, 0.74 * chin), (-0.36 * w, 0.96 * chin), (0, chin),
    ]  # fmt: skip
    return smooth(both_sides(left))


def paint_body(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint the neck, the shoulders and the clothes."""
    wide = person.neck
    neck = [(-wide, 40), (-wide, 80), (-wide - 6, 125), (wide + 6, 125), (wide, 80), (wide, 40)]
    canvas.fill(neck, darker(person.skin, 0.2), BODY)
    canvas.glow(0, person.chin + 4, wide + 6, 16, darker(person.skin, 0.6), 0.7, BODY)
    top = 97 if photo.clothes == "v" else 92
    slope = 43 - wide
    shoulders = [(-130, 150), (-120, top + slope + 8), (-70, top + slope - 6), (-wide - 4, top - 6)]
    dip = {"crew": 6, "v": 26, "shirt": 18, "roll": -12, "scarf": -4}[photo.clothes]
    collar = [(-wide * 0.5, top + dip * 0.7), (0, top + dip), (wide * 0.5, top + dip * 0.7)]
    cloth = photo.cloth_colour
    shirt = [*shoulders, *collar, *mirrored(shoulders[::-1])]
    canvas.fill(shirt, cloth, BODY)
    if photo.fabric != "plain":
        ink = lighter(cloth, 0.6) if sum(cloth) < 330 else darker(cloth, 0.55)
        canvas.glaze(shirt, ink, fabric(photo.fabric), BODY, (int(32 + 31 * photo.part), int(32 - 31 * photo.part)))
    canvas.stroke([shoulders[3], *collar, (wide + 4, top - 6)], 3, darker(cloth, 0.35), BODY, taper=False)
    _paint_neckwear(canvas, photo, wide, top)


def _paint_neckwear(canvas: Canvas, photo: Photo, wide: float, top: float) -> None:
    cloth = photo.cloth_colour
    if photo.clothes == "roll":
        canvas.fill([(-wide - 2, 78), (wide + 2, 78), (wide + 5, 100), (-wide - 5, 100)], cloth, BODY)
        for x in np.linspace(-wide, wide, 9):
            canvas.line([(x, 80), (x * 1.1, 99)], 1, darker(cloth, 0.25), BODY)
    if photo.clothes == "scarf":
        for y in (84, 92, 100):
            fold = smooth([(-wide - 10, y - 6), (0, y + 5), (wide + 10, y - 6)], closed=False)
            canvas.stroke(fold, 13, mix(cloth, darker(cloth, 0.5), (100 - y) / 24), BODY, taper=False)
    if photo.clothes == "shirt":
        for side in (-1, 1):
            lapel = [
                (side * wide * 0.9, top - 12),
                (side * (wide + 9), top),
                (side * 12, top + 20),
                (0, top + 13),
            ]
            canvas.fill(lapel, lighter(cloth, 0.3), BODY)
        if photo.necktie:
            canvas.fill([(-6, 106), (6, 106), (9, 140), (-9, 140)], darker(cloth, 0.6), BODY)
    if photo.necklace:
        chain = smooth([(-wide - 1, 84), (-wide * 0.5, 97), (0, 102), (wide * 0.5, 97), (wide + 1, 84)], False)
        canvas.line(chain, 1.4, (226, 196, 120), BODY)


def paint_head(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint the ears, the skin and its shading."""
    w, skin = person.face_width, person.skin
    for side in (-1, 1):
        canvas.fill(oval(side * (w + 2), 8, 6.5, 12), darker(skin, 0.1), EARS)
        canvas.fill(oval(side * (w + 2), 8, 3.5, 8), darker(skin, 0.3), EARS)
    outline = head_outline(person)
    canvas.fill(outline, skin, OUTLINE)
    canvas.glow(0, -34, 24, 15, lighter(skin, 0.5), 0.4)
    rosy = 0.1 + 0.6 * photo.rosy
    for side in (-1, 1):
        canvas.glow(side * 27, 24, 15, 12, mix(skin, (226, 84, 84), 0.5), rosy)
    canvas.shade(outline, darker(skin, 0.35 + 0.45 * photo.shadow), photo.light, OUTLINE)


def paint_skin_details(canvas: Canvas, rng, person: Person) -> None:
    """Paint freckles and wrinkles."""
    skin = person.skin
    if person.freckles:
        spots = rng.normal(0, 1, (36, 2)) * (18, 5) + (0, 17)
        canvas.dots(spots, 1.0, (*darker(skin, 0.45), 150), 1)
    if person.wrinkles > 0.05:
        _paint_wrinkles(canvas, rng, person)


def _paint_wrinkles(canvas: Canvas, rng, person: Person) -> None:
    """Paint forehead lines, crow's feet, bags under the eyes and folds beside nose and mouth."""
    ink = mix(person.skin, (104, 8, 8), 0.3 + 0.3 * person.wrinkles)
    thick = 1.7 + 0.8 * person.wrinkles
    for y in np.linspace(-45, -22, 3) + rng.normal(0, 1.5):
        x = np.add(rng.normal(0, 3, 5), (-30, -15, 0, 15, 30))
        _crease(canvas, smooth(np.stack([x, y + rng.normal(0, 1.2, 5)], 1), False, 3), thick, ink, person.skin, 2)
    for side in (-1, 1):
        fan = [[(side * 30, t * 0.5), (side * (41 + rng.normal(0, 1)), t * 1.7)] for t in (-8, -2.5, 3, 8.5)]
        canvas.lines(np.add(fan, (0, 2.4)), 1.4, (lighter(person.skin, 0.6),))
        canvas.lines(np.array(fan), 1.4, (ink,))
        _paint_folds(canvas, person, side, thick, ink)


def _paint_folds(canvas: Canvas, person: Person, side: int, thick: float, ink) -> None:
    mouth, w = person.mouth_y, person.face_width
    skin = person.skin
    bag = smooth([(side * 11, 9), (side * 19, 13.5), (side * 28, 9)], False, 3)
    for drop in (0, 5.5):
        _crease(canvas, np.add(bag, (side * drop * 0.3, drop)), thick, ink, skin)
    fold = smooth([(side * 13, 23), (side * 20, 32), (side * 22, mouth + 3)], False, 3)
    _crease(canvas, fold, thick + 0.5, ink, skin, MOUTH)
    cheek = smooth([(side * 0.68 * w, 21), (side * 0.73 * w, 33), (side * 0.62 * w, 46)], False, 3)
    _crease(canvas, cheek, thick, ink, skin)


def _crease(canvas: Canvas, path, width: float, ink, skin, depth: float = 0.0) -> None:
    """Paint a wrinkle: a dark line, and below it a light one for its edge."""
    canvas.stroke(path + np.array([0, 2.6]), width * 1.1, lighter(skin, 0.5), depth)
    canvas.stroke(path, width, ink, depth)


def paint_eyes(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint both eyes, with lashes and eye shadow where there is make-up."""
    height = person.eye_height * (0.82 if photo.smiling else 1.0)
    gaze = photo.yaw * 1.5
    for side in (-1, 1):
        if photo.makeup > 0.4:
            canvas.glow(side * EYE_X, -6, 14, 8, photo.eye_shadow, photo.makeup * 0.85)
        lid = [(9.5, 1), (4, -height), (-4, -height), (-9, 1.5)]
        eye = smooth([*lid, (-3, height * 0.7), (4, height * 0.7)]) * (-side, 1) + (side * EYE_X, 0)
        canvas.fill(eye, (228, 222, 214))
        canvas.fill(oval(side * EYE_X + gaze, -0.4, 4.3, 4.3), person.iris)
        canvas.fill(oval(side * EYE_X + gaze, -0.4, 2.1, 2.1, 8), (18, 14, 16))
        canvas.fill(oval(side * EYE_X + gaze + 1.4, -1.8, 1.1, 1.1, 8), (255, 255, 255))
        upper = smooth(lid, False) * (-side, 1) + (side * EYE_X, -0.4)
        canvas.stroke(upper, 2.8, (40, 26, 26))
        if photo.makeup > 0.3:
            outer = side * (EYE_X + 9)
            canvas.line([(outer - side * 2, -1), (outer + side * 4, -5)], 1.4, (30, 20, 24))
        canvas.line(upper - (0, 3.4), 0.8, (*darker(person.skin, 0.5), 150))


def paint_brows(canvas: Canvas, person: Person) -> None:
    """Paint the eyebrows."""
    colour = mix(darker(person.hair, 0.35), darker(person.skin, 0.6), 0.35)
    for side in (-1, 1):
        brow = [(side * 8, -12), (side * 18, -13.5 - person.brow_arch), (side * 31, -10.5)]
        canvas.stroke(smooth(brow, False), person.brow, colour)


def paint_nose(canvas: Canvas, person: Person, photo: Photo) -> None:
    """Paint the nose: a shaded side, nostrils and a highlight on its ridge."""
    skin, tip, wide = person.skin, person.nose_length, person.nose_width
    lit = 1 if np.cos(photo.light * np.pi / 8) > 0 else -1
    side = [(-lit * 5, -4), (-lit * 4, 10), (-lit * (wide - 1), tip - 3)]
    canvas.stroke(smooth(side, False), 3, (*darker(skin, 0.4), 110), NOSE * 0.6)
    canvas.glow(0, tip, wide + 3, 7, darker(skin, 0.4), 0.5, NOSE)
    canvas.glow(lit * 1.5, tip - 9, 4, 13, lighter(skin, 0.7), 0.5, NOSE)
    base = [
        (-wide, tip - 1),
        (-wide * 0.5, tip + 2.4),
        (0, tip + 3.6),
        (wide * 0.5, tip + 2.4),
        (wide, tip - 1),
    ]
    canvas.stroke(smooth(base, False), 2.2, (*darker(skin, 0.6), 200), NOSE)
