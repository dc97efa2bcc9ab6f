"""Drawn portraits: who is drawn, how each part is painted, and the finished picture."""

from helpers.drawing.people import Person, Photo, draw_person
from helpers.drawing.photos import draw_photo
from helpers.drawing.portrait import draw_face, eye_positions

__all__ = ["Person", "Photo", "draw_face", "draw_person", "draw_photo", "eye_positions"]
