"""Explorer of notebook 03: the images that are memorised, epoch by epoch, beside the losses."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from ipywidgets import IntSlider

from helpers.config import ATTRIBUTES
from helpers.plots.explorers.explorer import View, explore
from helpers.plots.explorers.mosaic import draw_frames, draw_mosaic, mosaic_height, new_figure
from helpers.plots.style import INK, SPLIT_COLOURS
from helpers.plots.training import plot_losses
from helpers.plots.words import ENGLISH

MOST = 10  # images
LINES = len(ATTRIBUTES)
CURVE = 2.1  # inches
MEMORISED = 0.01


class Memory(NamedTuple):
    """The images, uint8 (N, 3, 64, 64), their labels (N, 5), the probabilities (epochs, N, 5), and the history."""

    images: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray
    history: pd.DataFrame


def step_epochs(images: np.ndarray, targets: np.ndarray, probabilities: Sequence[np.ndarray], history: pd.DataFrame):
    """Show which of up to ten images are predicted right after each epoch, and the losses of that epoch.

    Images are uint8 (N, 3, 64, 64), targets 0/1 (N, 5); `probabilities` has one array (N, 5) per row of the history.
    """
    memory = Memory(images[:MOST], targets[:MOST], np.asarray(probabilities)[:, :MOST], history)
    slider = IntSlider(_halfway(memory), min=1, max=len(history), description="epoch", layout={"width": "600px"})
    explore(partial(draw_epoch, memory), epoch=slider)


def wrong_labels(memory: Memory) -> np.ndarray:
    """Return which labels are predicted wrong, with the threshold 0.5: (epochs, N, 5)."""
    return (memory.probabilities >= 0.5) != memory.targets.astype(bool)


def _halfway(memory: Memory) -> int:
    """Return the first epoch after which half of the images have all labels right, or else the last epoch."""
    half = wrong_labels(memory).any(2).mean(1) <= 0.5
    return int(half.argmax()) + 1 if half.any() else len(half)


def draw_epoch(memory: Memory, epoch: int) -> View:
    """Draw the images as the network predicts them after an epoch (from 1), and the losses with that epoch marked."""
    wrong = wrong_labels(memory)[epoch - 1]
    right = ~wrong.any(1)
    captions = [[ENGLISH.name(name) for name, missed in zip(ATTRIBUTES, each, strict=True) if missed] for each in wrong]
    height = mosaic_height(MOST, 1, LINES)
    figure = new_figure(height + CURVE)
    faces = draw_mosaic(figure, memory.images, captions, MOST, 1, LINES)
    draw_frames(faces, right, MOST, LINES)
    row = memory.history.iloc[epoch - 1]
    bottom = 0.42 / (height + CURVE)
    axis = figure.add_axes((0.1, bottom, 0.66, (CURVE - 0.1) / (height + CURVE) - bottom))
    plot_losses(memory.history, MEMORISED, ax=axis)
    axis.axvline(row["epoch"], color=INK, lw=1)
    for split, column in (("train", "train_loss"), ("valid", "val_loss")):
        axis.plot(row["epoch"], row[column], "o", color=SPLIT_COLOURS[split], ms=6)
    return View(figure, _in_words(row, right, wrong))


def _in_words(row: pd.Series, right: np.ndarray, wrong: np.ndarray) -> str:
    counts = ", ".join(f"{ENGLISH.name(name)} {n}" for name, n in zip(ATTRIBUTES, wrong.sum(0), strict=True) if n)
    labels = f"; {wrong.sum()} of {wrong.size} labels are wrong ({counts})" if counts else ""
    return (
        f"After epoch {row['epoch']:.0f}, {right.sum()} of these {len(right)} images have all labels right (blue frame)"
        f"{labels}. The train loss is {row['train_loss']:.4f}, the valid loss {row['val_loss']:.4f}. "
        "The wrong labels are named below the images."
    )
