"""A sheet of faces with a few lines of text below each, drawn as one image: an Axes per face would be slow."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.config import IMAGE_SIZE
from helpers.plots.style import ACCENT, INK, LINES, SMALLEST, WIDTH

PITCH = IMAGE_SIZE + 8  # pixels from the left edge of a face to that of the next one
LINE = 1.2 * SMALLEST / 72  # inches of a line of text
RIGHT: dict[str, Any] = {"color": LINES[0], "linestyle": "-"}
WRONG: dict[str, Any] = {"color": LINES[1], "linestyle": (0, (2, 1))}


def new_figure(height: float) -> Figure:
    """Return a figure of the page's width whose Axes are placed by hand: looking for a layout takes time."""
    figure = Figure(figsize=(WIDTH, height))
    figure.set_layout_engine("none")
    return figure


def mosaic_height(columns: int, rows: int, lines: int) -> float:
    """Return the height in inches of faces in these columns and rows, with `lines` of text below each."""
    return WIDTH * rows * _pitches(columns, lines)[1] / (columns * PITCH)


def draw_mosaic(
    figure: Figure,
    images: np.ndarray,
    captions: Sequence[Sequence[str]],
    columns: int,
    rows: int,
    lines: int,
    strong: Collection[str] = (),
) -> Axes:
    """Draw images, uint8 (N, 3, 64, 64), in the upper part of a figure, each with the lines of its caption below it.

    Lines that are in `strong` are bold and purple. The units of the Axes are the pixels of the images.
    """
    height = mosaic_height(columns, rows, lines) / figure.get_figheight()
    axis = figure.add_axes((0, 1 - height, 1, height))
    across, down = _pitches(columns, lines)
    sheet = compose(images, _corners(len(images), columns, lines), columns * across, rows * down)
    axis.imshow(sheet, interpolation="nearest", aspect="auto", extent=(0, sheet.shape[1], sheet.shape[0], 0))
    axis.set_axis_off()
    for (left, top), caption in zip(_corners(len(captions), columns, lines), captions, strict=True):
        for bold, colour in ((False, INK), (True, ACCENT)):
            text = "\n".join(line if (line in strong) == bold else "" for line in caption)
            if text.strip():
                place, weight = (left + IMAGE_SIZE / 2, top + IMAGE_SIZE + 3), "bold" if bold else "normal"
                look = {"size": SMALLEST, "linespacing": 1.1, "color": colour, "weight": weight}
                axis.text(*place, text, None, ha="center", va="top", **look)
    return axis


def compose(images: np.ndarray, corners: Sequence[tuple[int, int]], width: int, height: int) -> np.ndarray:
    """Return images, uint8 (N, 3, 64, 64), as one white image (height, width, 3), each at its left upper corner."""
    sheet = np.full((height, width, 3), 255, np.uint8)
    for (left, top), image in zip(corners, images, strict=True):
        sheet[top : top + IMAGE_SIZE, left : left + IMAGE_SIZE] = image.transpose(1, 2, 0)
    return sheet


def draw_frames(axis: Axes, right: np.ndarray, columns: int, lines: int):
    """Frame each face of a mosaic: solid and blue where `right` (N,) is true, dashed and vermilion where it is not."""
    for (left, top), fine in zip(_corners(len(right), columns, lines), right, strict=True):
        corner = (left - 1, top - 1)
        frame = Rectangle(corner, IMAGE_SIZE + 2, IMAGE_SIZE + 2, fill=False, lw=2, **(RIGHT if fine else WRONG))
        axis.add_patch(frame)


def note(text: str, height: float) -> Figure:
    """Return a figure that holds only a sentence, where there is nothing to show."""
    figure = new_figure(height)
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
    return figure


def _pitches(columns: int, lines: int) -> tuple[int, int]:
    """Return the pixels of the faces from one column, and from one row, to the next."""
    per_inch = columns * PITCH / WIDTH
    return PITCH, PITCH + round((lines * LINE + 0.03) * per_inch)


def _corners(count: int, columns: int, lines: int) -> list[tuple[int, int]]:
    """Return the left and the upper edge of each face in pixels."""
    across, down = _pitches(columns, lines)
    gap = (PITCH - IMAGE_SIZE) // 2
    return [(gap + index % columns * across, gap + index // columns * down) for index in range(count)]
