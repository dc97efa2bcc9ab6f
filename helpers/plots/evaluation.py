"""Plots of an evaluation: confusion counts, intervals, reliability, groups of images, Grad-CAM maps."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.config import ATTRIBUTES
from helpers.plots.style import INK, SHADES, SMALLEST, SOFT, SPLIT_COLOURS, WIDTH
from helpers.plots.words import ENGLISH, Words

NORMAL = 1.96  # half-width of a normal 95% interval in standard errors


def plot_confusion(counts: pd.DataFrame, words: Words = ENGLISH) -> Figure:
    """Plot the 2x2 confusion counts of each attribute, shaded by the share of the true class."""
    figure, axes = plt.subplots(1, len(counts), figsize=(WIDTH, 1.85), sharey=True, squeeze=False)
    for axis, (attribute, row) in zip(axes[0], counts.iterrows(), strict=True):
        plot_counts(axis, row, words.name(str(attribute)), words)
    axes[0][0].invert_yaxis()
    axes[0][0].set_ylabel(words("true"))
    return figure


def plot_counts(axis: Axes, counts: pd.Series, title: str, words: Words = ENGLISH):
    """Plot the 2x2 confusion counts tp, fp, fn, tn of one attribute, shaded by the share of the true class."""
    matrix = np.array([[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]], float)
    shares = matrix / matrix.sum(1, keepdims=True).clip(min=1)
    axis.pcolormesh(shares, cmap=SHADES, vmin=0, vmax=1, edgecolor="white", linewidth=1)
    for (i, j), count in np.ndenumerate(matrix):
        text = f"{words.number(count, 0)}\n{words.percent(shares[i, j], 1)}"
        axis.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=8.5)
    answers = [words("no"), words("yes")]
    axis.set_xticks([0.5, 1.5], answers)
    axis.set_yticks([0.5, 1.5], answers)
    axis.set(title=title, xlabel=words("predicted"), aspect="equal")
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def plot_intervals(table: pd.DataFrame, columns: tuple[str, ...], words: Words = ENGLISH) -> Figure:
    """Plot the metrics of each attribute with their intervals: over persons (thick) and over images (thin).

    `table` is indexed by (of, metric) and has the columns value, low, high and, where persons are known, image_low and
    image_high.
    """
    figure, axes = plt.subplots(1, len(columns), figsize=(WIDTH, 2.0), sharey=True)
    persons = "image_low" in table and table["image_low"].notna().any()
    for axis, metric in zip(axes, columns, strict=True):
        for position, attribute in enumerate(reversed(ATTRIBUTES)):
            row = table.loc[(attribute, metric)]
            if persons:
                axis.plot([row["image_low"], row["image_high"]], [position - 0.22] * 2, color=SOFT, lw=1.2)
            axis.plot([row["low"], row["high"]], [position] * 2, color=SPLIT_COLOURS["train"], lw=3, alpha=0.6)
            axis.plot(row["value"], position, "o", color=INK, ms=4)
        axis.set(title=words.name(metric), ylim=(-0.6, len(ATTRIBUTES) - 0.4))
        axis.set_yticks(range(len(ATTRIBUTES)), [words.name(attribute) for attribute in reversed(ATTRIBUTES)])
        axis.xaxis.set_major_locator(MaxNLocator(3))
        axis.label_outer(remove_inner_ticks=True)
    looks = {"95% interval, persons resampled": (SPLIT_COLOURS["train"], 3), "images resampled": (SOFT, 1.2)}
    if not persons:
        looks = {"95% interval, images resampled": (SPLIT_COLOURS["train"], 3)}
    handles = [plt.Line2D([], [], color=colour, lw=width) for colour, width in looks.values()]
    figure.legend(handles, [words(label) for label in looks], loc="outside upper center", ncols=2)
    figure.supxlabel(words("score (fraction)"), fontsize=9)
    return figure


def plot_summary(rows: dict[str, dict[str, float]], words: Words = ENGLISH) -> Figure:
    """Plot a few metrics, each with value, low and high, beside the value of the majority class (`majority`)."""
    figure, axis = plt.subplots(figsize=(WIDTH, 0.34 * len(rows) + 0.9))
    for position, row in enumerate(reversed(rows.values())):
        axis.plot([row["low"], row["high"]], [position] * 2, color=SPLIT_COLOURS["train"], lw=4, alpha=0.5)
        axis.plot(row["value"], position, "o", color=SPLIT_COLOURS["train"], ms=6)
        axis.plot(row["majority"], position, "D", mfc="white", mec=INK, ms=5)
        axis.annotate(
            words.number(row["value"], 3),
            (row["value"], position),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
        )
    axis.set_yticks(range(len(rows)), [words.name(metric) for metric in reversed(rows)])
    axis.set(xlim=(0, 1), ylim=(-0.5, len(rows) - 0.2), xlabel=words("score on test (fraction)"))
    axis.grid(axis="y", visible=False)
    handles = [
        plt.Line2D([], [], color=SPLIT_COLOURS["train"], marker="o", ms=6, lw=4, alpha=0.6),
        plt.Line2D([], [], color=INK, marker="D", mfc="white", ls="", ms=5),
    ]
    labels = [words("the network, 95% interval"), words("always the majority class")]
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def plot_reliability(before: pd.DataFrame, after: pd.DataFrame, words: Words = ENGLISH) -> Figure:
    """Plot reliability diagrams: share of positives against mean probability, before and after temperature scaling.

    Each bin has a 95% interval (Wilson's) for its number of images, as if they were independent.
    """
    figure, axes = plt.subplots(1, len(ATTRIBUTES), figsize=(WIDTH, 2.2), sharey=True)
    looks = {
        "as trained": (before, SPLIT_COLOURS["train"], "o"),
        "after temperature scaling": (after, SPLIT_COLOURS["valid"], "s"),
    }
    for attribute, axis in zip(ATTRIBUTES, axes, strict=True):
        axis.plot([0, 1], [0, 1], color=SOFT, lw=1, ls="--", label=words("calibrated"))
        for name, (table, colour, marker) in looks.items():
            rows = table[table["attribute"] == attribute]
            low, high = wilson(rows["rate"].to_numpy(float), rows["images"].to_numpy(float))
            reach = np.clip([rows["rate"] - low, high - rows["rate"]], 0, None)
            axis.errorbar(
                rows["probability"],
                rows["rate"],
                reach,
                fmt=f"{marker}-",
                color=colour,
                lw=0.9,
                ms=3.5,
                label=words(name),
            )
        axis.set(title=words.name(attribute), xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=(0, 0.5, 1))
        axis.label_outer(remove_inner_ticks=True)
    axes[0].set_ylabel(words("share of positives"))
    figure.supxlabel(words("mean probability of the bin"), fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def wilson(rates: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95% interval of each rate among `counts` independent images (Wilson, 1927)."""
    shrunk = 1 + NORMAL**2 / counts
    centre = (rates + NORMAL**2 / (2 * counts)) / shrunk
    reach = NORMAL * np.sqrt(rates * (1 - rates) / counts + NORMAL**2 / (4 * counts**2)) / shrunk
    return centre - reach, centre + reach


def plot_slices(table: pd.DataFrame, fewest: int, words: Words = ENGLISH) -> Figure:
    """Plot the true and false positive rate of each attribute per group, with intervals, all on one scale.

    A grey, hollow marker stands for a rate over fewer than `fewest` images.
    """
    groups = list(dict.fromkeys(table.index.get_level_values("group")))
    height = 2 * (0.165 * len(groups) + 0.3) + 0.7
    figure, axes = plt.subplots(2, len(ATTRIBUTES), figsize=(WIDTH, height), sharex=True, sharey=True)
    for (row, rate), (column, attribute) in itertools.product(enumerate(("tpr", "fpr")), enumerate(ATTRIBUTES)):
        axis = axes[row][column]
        for position, group in enumerate(reversed(groups)):
            each = table.loc[(group, rate, attribute)]
            if not each["images"]:
                continue
            colour = SOFT if each["images"] < fewest else SPLIT_COLOURS["train"]
            axis.plot([100 * each["low"], 100 * each["high"]], [position] * 2, color=colour, lw=2.5, alpha=0.6)
            hollow = {"mfc": "white"} if each["images"] < fewest else {}
            axis.plot(100 * each["value"], position, "o", color=colour, ms=4, **hollow)
        axis.set_title(words.name(attribute) if row == 0 else "")
        axis.set_yticks(range(len(groups)), [words.name(group) for group in reversed(groups)])
        axis.set(ylim=(-0.6, len(groups) - 0.4), xlim=(-4, 104), xticks=(0, 50, 100))
        axis.label_outer(remove_inner_ticks=True)
    for axis, label in zip(axes[:, 0], ("true positives (%)", "false positives (%)"), strict=True):
        axis.set_ylabel(words(label))
    figure.supxlabel(words("rate in the group (%), with its 95% interval"), fontsize=9)
    looks = {"{n} images or more": (SPLIT_COLOURS["train"], {}), "fewer": (SOFT, {"mfc": "white"})}
    handles = [plt.Line2D([], [], color=colour, marker="o", ms=4, lw=2.5, **look) for colour, look in looks.values()]
    figure.legend(handles, [words(label, n=fewest) for label in looks], loc="outside upper center", ncols=2)
    return figure


def plot_maps(
    images: np.ndarray,
    maps: np.ndarray,
    control: np.ndarray,
    attributes: list[int],
    titles: list[str],
    words: Words = ENGLISH,
) -> Figure:
    """Plot images (N, 3, H, W) beside their Grad-CAM maps (N, H, W) and the maps of randomised weights.

    One row per attribute (`attributes` has the index of each image's), with its images side by side and a title below
    each. The maps lie on the image in light grey, so that their colours are those of the colour bar.
    """
    rows = {a: [i for i, own in enumerate(attributes) if own == a] for a in dict.fromkeys(attributes)}
    across = max(map(len, rows.values()))
    size = min(0.6, (WIDTH - 0.9) / (3 * across))
    shape = (3 * across * size + 0.9, len(rows) * (size + 0.2) + 0.3)
    figure, axes = plt.subplots(len(rows), 3 * across, figsize=shape, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
    for line, (attribute, indices) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(words.name(ATTRIBUTES[attribute]))
        for place, index in enumerate(indices):
            picture, *overlaid = line[3 * place : 3 * place + 3]
            picture.imshow(np.transpose(images[index], (1, 2, 0)), interpolation="nearest")
            grey = images[index].mean(0) / 255
            for axis, overlay in zip(overlaid, (maps[index], control[index]), strict=True):
                axis.imshow(0.55 + 0.45 * grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axis.imshow(overlay, cmap="magma_r", alpha=0.65, vmin=0, vmax=1, interpolation="nearest")
            overlaid[0].set_xlabel(titles[index], fontsize=SMALLEST, labelpad=1)
    for place, axis in enumerate(axes[0]):
        axis.set_title(words(("image", "map", "control")[place % 3]), fontsize=8.5)
    bar = figure.colorbar(axes[0][1].images[-1], ax=axes, aspect=40, pad=0.01, ticks=(0, 0.5, 1))
    bar.set_label(words("part in the answer (1: the largest of the image)"))
    return figure
