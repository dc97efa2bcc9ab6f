"""Plots of training: learning curves, learning-rate range tests, the gain of each step, and of more images."""

import textwrap
from collections.abc import Mapping
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.config import ATTRIBUTES
from helpers.plots.style import ACCENT, DASHES, INK, LINES, SOFT, SPLIT_COLOURS, WIDTH
from helpers.plots.words import ENGLISH, Words, plain_decades


def plot_history(history: pd.DataFrame, words: Words = ENGLISH) -> Figure:
    """Plot the losses on the left, valid micro-F1 and accuracy on the right, and mark the best epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.6))
    lines = {
        "train_loss": ("train, during the epoch", SPLIT_COLOURS["train"], ":"),
        "train_eval_loss": ("train, eval mode, no augmentation", SPLIT_COLOURS["train"], "-"),
        "val_loss": ("valid", SPLIT_COLOURS["valid"], "-"),
    }
    for column, (label, colour, style) in lines.items():
        if column in history:
            axes[0].plot(history["epoch"], history[column], style, color=colour, label=words(label), marker="o")
    best = history["epoch"][history["val_loss"].astype(float).idxmin()]
    axes[0].axvline(best, color=SOFT, lw=1, ls="--", label=words("lowest valid loss: epoch {epoch}", epoch=best))
    axes[0].set(ylabel=words("loss (nats)"), title=words("Loss (binary cross-entropy)"))
    for column, label, colour, marker in (
        ("val_acc", "mean accuracy", INK, "o"),
        ("val_f1", "micro-F1", ACCENT, "s"),
    ):
        axes[1].plot(history["epoch"], history[column], color=colour, marker=marker, label=words(label))
    axes[1].set(ylabel=words("score (fraction)"), title=words("Metrics on valid"))
    for axis in axes:
        whole_epochs(axis, words)
        below(axis, 1)
    return figure


def whole_epochs(axis: Axes, words: Words):
    """Label the epochs, at whole numbers alone."""
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=8))
    axis.set_xlabel(words("epoch"))


def below(axis: Axes, columns: int):
    """Put the legend of an axes below it, where it hides nothing."""
    axis.legend(loc="upper left", bbox_to_anchor=(0, -0.32), ncols=columns)


def plot_losses(history: pd.DataFrame, memorised: float, words: Words = ENGLISH, ax: Axes | None = None) -> Axes:
    """Plot the train and the valid loss on a logarithmic scale, and the loss below which images are memorised."""
    ax = ax or plt.subplots(figsize=(WIDTH, 2.5))[1]
    for split, column in (("train", "train_loss"), ("valid", "val_loss")):
        ax.plot(history["epoch"], history[column], color=SPLIT_COLOURS[split], label=split)
    label = words("memorised: below {loss}", loss=words.small(memorised))
    ax.axhline(memorised, color=SOFT, ls="--", lw=1, label=label)
    ax.set(yscale="log", ylabel=words("loss (nats)"))
    plain_decades(ax.yaxis, words)
    whole_epochs(ax, words)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_dynamics(answers: np.ndarray, targets: np.ndarray, words: Words = ENGLISH) -> Figure:
    """Plot the probabilities of a fixed batch (epochs, images, 5) against the epoch, one line per image."""
    figure, axes = plt.subplots(1, len(ATTRIBUTES), figsize=(WIDTH, 2.1), sharey=True)
    epochs = np.arange(1, len(answers) + 1)
    looks = {"label yes": (SPLIT_COLOURS["test"], "-"), "label no": (SPLIT_COLOURS["valid"], ":")}
    for column, (attribute, axis) in enumerate(zip(ATTRIBUTES, axes, strict=True)):
        for image, positive in enumerate(targets[:, column]):
            colour, style = looks["label yes" if positive else "label no"]
            axis.plot(epochs, answers[:, image, column], style, color=colour, marker=".", lw=1.2)
        axis.set(title=words.name(attribute), ylim=(-0.03, 1.03))
        whole_epochs(axis, words)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=4))
        axis.label_outer(remove_inner_ticks=True)
    axes[0].set_ylabel(words("probability"))
    handles = [plt.Line2D([], [], color=colour, ls=style) for colour, style in looks.values()]
    figure.legend(handles, [words(label) for label in looks], loc="outside lower center", ncols=2)
    return figure


def plot_curves(
    curves: dict[str, pd.DataFrame],
    title: str,
    ax: Axes | None = None,
    words: Words = ENGLISH,
) -> Axes:
    """Plot the valid loss of each named history against the epoch.

    A band shows the range over the seeds, where a history has it in the columns val_loss_low and val_loss_high.
    """
    ax = ax or plt.subplots(figsize=(WIDTH, 2.0))[1]
    for (label, history), colour, dash in zip(curves.items(), cycle(LINES), cycle(DASHES), strict=False):
        ax.plot(history["epoch"], history["val_loss"], dash, color=colour, marker="o", label=label)
        if "val_loss_low" in history:
            band = (history[f"val_loss_{end}"].astype(float) for end in ("low", "high"))
            ax.fill_between(history["epoch"], *band, color=colour, alpha=0.15, lw=0)
    whole_epochs(ax, words)
    ax.set(ylabel=words("valid loss (nats)"), title=title)
    ax.margins(x=0.08)
    ax.legend()
    return ax


def plot_factor_curves(curves: dict[str, dict[float, pd.DataFrame]], words: Words = ENGLISH) -> Figure:
    """Plot the valid loss by epoch, one panel per factor, one line per value of it, with the range over the seeds."""
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 3.2), sharey=True)
    for (factor, histories), axis in zip(curves.items(), axes.flat, strict=True):
        named = {words.small(value): history for value, history in histories.items()}
        plot_curves(named, words.name(factor), ax=axis, words=words)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))  # beside the curves, where it hides none
    for axis in axes[:, 1]:
        axis.set_ylabel("")
    for axis in axes[0]:
        axis.set_xlabel("")
    return figure


def plot_sweeps(
    first: pd.DataFrame,
    band: pd.DataFrame,
    marks: Mapping[str, float | None],
    window,
    seeds: int,
    words: Words = ENGLISH,
    ax: Axes | None = None,
) -> Axes:
    """Plot the learning-rate range tests of several seeds: band and mean of the smoothed losses, and suggestions.

    The thin grey line is the raw loss of the `first` seed; `window` is the range of lr in which the loss falls.
    """
    ax = ax or plt.subplots(figsize=(WIDTH, 3.3))[1]
    ax.plot(first["lr"], first["loss"], color=SOFT, lw=0.6, alpha=0.7, label=words("each batch (first seed)"))
    if seeds > 1:
        ax.fill_between(
            band["lr"], band["low"], band["high"], color=INK, alpha=0.15, lw=0, label=words("range of the seeds")
        )
    ax.plot(
        band["lr"], band["mean"], color=INK, lw=2, label=words("smoothed, mean over seeds (n = {seeds})", seeds=seeds)
    )
    start, end = map(words.small, window)
    ax.axvspan(
        *window,
        color=SPLIT_COLOURS["test"],
        alpha=0.12,
        label=words("loss falls: rates {start} to {end}", start=start, end=end),
    )
    for (name, lr), colour, style in zip(marks.items(), LINES, ("--", "-.", ":", (0, (1, 1))), strict=False):
        if lr is not None and np.isfinite(lr):
            ax.axvline(lr, color=colour, lw=1.6, ls=style, label=words("{rule}: {lr}", rule=name, lr=words.small(lr)))
    low, high = band["mean"].min(), band["mean"].max()
    ax.set(xscale="log", xlabel=words("learning rate"), ylabel=words("loss (nats)"))
    ax.set_ylim(low - 0.1, min(high * 1.1, 4 * low) + 0.05)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)
    return ax


def plot_steps(steps: pd.DataFrame, words: Words = ENGLISH) -> Figure:
    """Plot the gain of each step (`published.measured_steps`) in accuracy (points) and loss, with 95% intervals.

    n is the number of seeds. Blue: the whole interval favours the step; purple: the whole interval is against it;
    grey: the interval contains 0.
    """
    steps = steps.dropna(subset="gain").iloc[::-1]
    sides = (("gain", 100, "gain in accuracy (points)"), ("change", -1, "decrease of the loss (nats)"))
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 0.8 + 0.3 * len(steps)), sharey=True)
    for axis, (name, scale, title) in zip(axes, sides, strict=True):
        axis.axvline(0, color=SOFT, lw=1)
        for position, (_, row) in enumerate(steps.iterrows()):
            low, high = sorted(scale * row[f"{name}_{end}"] for end in ("low", "high"))
            colour = SPLIT_COLOURS["train"] if low > 0 else ACCENT if high < 0 else SOFT
            axis.plot([low, high], [position] * 2, color=colour, lw=3, solid_capstyle="butt")
            axis.plot(scale * row[name], position, "|", color=colour, ms=9, mew=2.5)
        axis.set(xlabel=words(title), ylim=(-0.6, len(steps) - 0.4))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.label_outer(remove_inner_ticks=True)
    names = [
        textwrap.fill(f"{row.adds} (n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{row.compared})", 42)
        for row in steps.itertuples()
    ]
    axes[0].set_yticks(range(len(steps)), names)
    return figure


def plot_scaling(scaling: pd.DataFrame, words: Words = ENGLISH) -> Figure:
    """Plot `published.measured_scaling`: error and loss on valid against the number of training images, both log.

    Filled: measured. The line is the fitted curve, dashed beyond the last measurement, where an open circle marks the
    forecast; the band is its 95 % interval.
    """
    titles = {"error": "1 − mean accuracy on valid", "loss": "loss on valid (nats)"}
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.9))
    for axis, (metric, title) in zip(axes, titles.items(), strict=True):
        of_metric = scaling[scaling["metric"] == metric]
        for colour, (network, rows) in zip(LINES, of_metric.groupby("network", sort=False), strict=False):
            measured, fitted = rows.dropna(subset="measured"), rows.dropna(subset="fitted")
            axis.plot(measured["images"], measured["measured"], "o", color=colour, ms=4, label=words.name(str(network)))
            if len(fitted):
                _curve_with_forecast(axis, fitted, measured["images"].max(), colour)
        axis.set(xscale="log", yscale="log", xlabel=words("training images, in thousands"), title=words(title))
        axis.set_xticks(sizes := _apart(of_metric), [words.number(size / 1000, 0) for size in sizes])
        shown = of_metric[["measured", "fitted"]]  # a wide band does not decide on the scale
        low, high = axis.set_ylim(0.85 * shown.min().min(), 1.15 * shown.max().max())
        axis.set_yticks(ticks := [tick for tick in LOG_TICKS if low <= tick <= high], [words.small(t) for t in ticks])
        axis.minorticks_off()
    axes[0].legend()
    return figure


LOG_TICKS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)


def _apart(rows: pd.DataFrame) -> list[float]:
    """Return the measured numbers of images and the largest one, without those too close to another to be labelled."""
    sizes = sorted({*rows.dropna(subset="measured")["images"], rows["images"].max()})
    return [size for size, following in zip(sizes, [*sizes[1:], np.inf], strict=True) if following / size > 1.5]


def _curve_with_forecast(axis: Axes, fitted: pd.DataFrame, last: float, colour: str):
    images, values = fitted["images"], fitted["fitted"]
    axis.plot(images[images <= last], values[images <= last], color=colour)
    axis.plot(images[images >= last], values[images >= last], "--", color=colour)
    axis.fill_between(images, fitted["low"], fitted["high"], color=colour, alpha=0.15, lw=0)
    axis.plot(images.iloc[-1], values.iloc[-1], "o", color=colour, mfc="white", ms=5)
