"""Plots of an evaluation: confusion counts, intervals, reliability, groups of images, Grad-CAM maps."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.config import ATTRIBUTES
from helpers.plots.style import INK, SOFT, SPLIT_COLOURS


def plot_confusion(counts: pd.DataFrame) -> Figure:
    """Plot the 2x2 confusion counts of each attribute, shaded by the share of the true class."""
    figure, axes = plt.subplots(1, len(counts), figsize=(1.9 * len(counts), 2.3))
    for axis, (attribute, row) in zip(np.atleast_1d(axes), counts.iterrows(), strict=True):
        matrix = np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]], float)
        shares = matrix / matrix.sum(1, keepdims=True).clip(min=1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (i, j), count in np.ndenumerate(matrix):
            ink = "white" if shares[i, j] > 0.55 else INK
            axis.text(
                j,
                i,
                f"{count:,.0f}\n{100 * shares[i, j]:.1f} %",
                ha="center",
                va="center",
                fontsize=8,
                color=ink,
            )
        axis.set_xticks([0, 1], ["no", "yes"])
        axis.set_yticks([0, 1], ["no", "yes"])
        axis.set(title=attribute, xlabel="predicted")
        axis.grid(visible=False)
    np.atleast_1d(axes)[0].set_ylabel("true")
    return figure


def plot_intervals(table: pd.DataFrame, columns: tuple[str, ...]) -> Figure:
    """Plot the metrics of each attribute with their intervals: over persons (thick) and over images (thin).

    `table` is indexed by (of, metric) and has the columns value, low, high and, where persons are known, image_low and
    image_high.
    """
    figure, axes = plt.subplots(1, len(columns), figsize=(2.6 * len(columns), 2.7), sharey=True)
    for axis, metric in zip(axes, columns, strict=True):
        for position, attribute in enumerate(reversed(ATTRIBUTES)):
            row = table.loc[(attribute, metric)]
            if "image_low" in table:
                axis.plot([row["image_low"], row["image_high"]], [position - 0.18] * 2, color=SOFT, lw=1.2)
            axis.plot([row["low"], row["high"]], [position] * 2, color=SPLIT_COLOURS["train"], lw=3, alpha=0.6)
            axis.plot(row["value"], position, "o", color=INK, ms=4)
        axis.set(title=metric.replace("_", " "), xlabel="fraction", ylim=(-0.5, len(ATTRIBUTES) - 0.5))
        axis.set_yticks(range(len(ATTRIBUTES)), reversed(ATTRIBUTES))
        axis.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def plot_reliability(before: pd.DataFrame, after: pd.DataFrame) -> Figure:
    """Plot reliability diagrams: share of positives against mean probability, before and after temperature scaling.

    A larger marker stands for more images.
    """
    figure, axes = plt.subplots(1, len(ATTRIBUTES), figsize=(10.5, 2.6), sharey=True)
    looks = {"as trained": (before, SPLIT_COLOURS["train"], "o-"), "scaled": (after, SPLIT_COLOURS["valid"], "s:")}
    for attribute, axis in zip(ATTRIBUTES, axes, strict=True):
        axis.plot([0, 1], [0, 1], color=SOFT, lw=1, ls="--")
        for name, (table, colour, style) in looks.items():
            rows = table[table["attribute"] == attribute]
            axis.plot(rows["probability"], rows["rate"], style[1:], color=colour, lw=1, alpha=0.7)
            sizes = 4 + 60 * np.sqrt(rows["images"] / rows["images"].sum())
            axis.scatter(rows["probability"], rows["rate"], sizes, color=colour, marker=style[0], label=name)
        axis.set(title=attribute, xlabel="mean probability", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes[0].set_ylabel("share of positives")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return figure


def plot_slices(table: pd.DataFrame, fewest: int) -> Figure:
    """Plot the true and false positive rate of each attribute per group, with intervals.

    A grey, hollow marker stands for a rate over fewer than `fewest` images.
    """
    groups = list(dict.fromkeys(table.index.get_level_values("group")))
    figure, axes = plt.subplots(2, len(ATTRIBUTES), figsize=(10.5, 5), sharey=True)
    for (row, rate), (column, attribute) in itertools.product(enumerate(("tpr", "fpr")), enumerate(ATTRIBUTES)):
        axis = axes[row][column]
        for position, group in enumerate(reversed(groups)):
            each = table.loc[(group, rate, attribute)]
            if not each["images"]:
                continue
            colour = SOFT if each["images"] < fewest else SPLIT_COLOURS["train"]
            axis.plot([each["low"], each["high"]], [position] * 2, color=colour, lw=2.5, alpha=0.6)
            hollow = {"mfc": "white"} if each["images"] < fewest else {}
            axis.plot(each["value"], position, "o", color=colour, ms=4, **hollow)
        axis.set_title(attribute if row == 0 else "")
        axis.set_xlabel("true positive rate" if rate == "tpr" else "false positive rate", fontsize=8)
        axis.set_yticks(range(len(groups)), reversed(groups))
        axis.set_ylim(-0.6, len(groups) - 0.4)
        axis.set_xlim(-0.03, 1.03 if rate == "tpr" else max(0.1, axis.get_xlim()[1]))
        axis.xaxis.set_major_locator(MaxNLocator(3))
    return figure


def plot_maps(images: np.ndarray, maps: np.ndarray, control: np.ndarray, titles: list[str], columns: int = 4) -> Figure:
    """Plot each image (3, H, W) with its Grad-CAM map and the map of randomised weights, under one title."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, 3 * columns, figsize=(10.5, 1.15 * rows + 0.3), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (image, *overlays) in enumerate(zip(images, maps, control, strict=True)):
        row, first = index // columns, 3 * (index % columns)
        pixels = np.transpose(image, (1, 2, 0))
        for axis, overlay in zip(axes[row][first : first + 3], (None, *overlays), strict=True):
            axis.imshow(pixels)
            if overlay is not None:
                axis.imshow(overlay, cmap="inferno", alpha=0.55, vmin=0, vmax=1)
        axes[row][first + 1].set_title(titles[index], fontsize=6.5, fontweight="normal")
    return figure
