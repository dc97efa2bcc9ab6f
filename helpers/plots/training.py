"""Plots of training: learning curves, learning-rate range tests, and the gain of each step."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.config import ATTRIBUTES
from helpers.plots.style import ACCENT, INK, SOFT, SPLIT_COLOURS


def plot_history(history: pd.DataFrame) -> Figure:
    """Plot the losses on the left, valid micro-F1 and accuracy on the right, and mark the best epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    lines = {
        "train_loss": ("train (during the epoch)", SPLIT_COLOURS["train"], ":"),
        "train_eval_loss": ("train (eval mode, no augmentation)", SPLIT_COLOURS["train"], "-"),
        "val_loss": ("valid", SPLIT_COLOURS["valid"], "-"),
    }
    for column, (label, colour, style) in lines.items():
        if column in history:
            axes[0].plot(history["epoch"], history[column], style, color=colour, label=label, marker="o", ms=3)
    best = history["epoch"][history["val_loss"].idxmin()]
    axes[0].axvline(best, color=SOFT, lw=1, ls="--", label=f"lowest valid loss: epoch {best}")
    axes[0].set(xlabel="epoch", title="Loss (binary cross-entropy)")
    axes[0].legend(fontsize=8)
    axes[1].plot(history["epoch"], history["val_f1"], color=ACCENT, marker="o", ms=3, label="micro-F1")
    axes[1].plot(history["epoch"], history["val_acc"], color=INK, marker="o", ms=3, label="mean accuracy")
    axes[1].set(xlabel="epoch", title="Valid metrics")
    axes[1].legend(fontsize=8)
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def plot_dynamics(answers: np.ndarray, targets: np.ndarray) -> Figure:
    """Plot the probabilities of a fixed batch (epochs, images, 5) against the epoch; solid green for label yes."""
    figure, axes = plt.subplots(1, len(ATTRIBUTES), figsize=(10, 2.3), sharey=True)
    epochs = np.arange(1, len(answers) + 1)
    for column, (attribute, axis) in enumerate(zip(ATTRIBUTES, axes, strict=True)):
        for image, positive in enumerate(targets[:, column]):
            look = (SPLIT_COLOURS["test"], "-") if positive else (ACCENT, ":")
            axis.plot(epochs, answers[:, image, column], look[1], color=look[0], lw=1.2, marker=".", ms=3)
        axis.set(title=attribute, xlabel="epoch", ylim=(-0.03, 1.03))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[0].set_ylabel("probability")
    handles = [plt.Line2D([], [], color=SPLIT_COLOURS["test"]), plt.Line2D([], [], color=ACCENT, ls=":")]
    figure.legend(handles, ["label yes", "label no"], loc="outside lower center", ncols=2, fontsize=8)
    return figure


def plot_curves(curves: dict[str, pd.DataFrame], title: str, column: str = "val_loss", ax: Axes | None = None) -> Axes:
    """Plot `column` of each named history against the epoch."""
    ax = ax or plt.subplots(figsize=(5, 3))[1]
    colours = plt.cm.viridis(np.linspace(0.05, 0.85, len(curves)))
    for (label, history), colour in zip(curves.items(), colours, strict=True):
        ax.plot(history["epoch"], history[column], color=colour, marker="o", ms=3, label=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set(xlabel="epoch", ylabel=column.replace("val_", "valid "), title=title)
    ax.margins(x=0.08)
    ax.legend(fontsize=8)
    return ax


def plot_sweeps(sweeps: dict[int, pd.DataFrame], band: pd.DataFrame, marks: dict[str, float], window) -> Axes:
    """Plot the learning-rate range tests of several seeds: band and mean of the smoothed losses, and suggestions.

    The thin grey line is the raw loss of the first seed; `window` is the range of lr in which the loss falls.
    """
    ax = plt.subplots(figsize=(8, 3.6))[1]
    first = next(iter(sweeps.values()))
    ax.plot(first["lr"], first["loss"], color=SOFT, lw=0.6, alpha=0.6, label="each batch (first seed)")
    if len(sweeps) > 1:
        ax.fill_between(band["lr"], band["low"], band["high"], color=INK, alpha=0.15, lw=0, label="range of the seeds")
    ax.plot(band["lr"], band["mean"], color=INK, lw=2, label=f"smoothed, mean over seeds (n = {len(sweeps)})")
    ax.axvspan(
        *window, color=SPLIT_COLOURS["test"], alpha=0.12, label=f"loss falls: lr {window[0]:.1e} to {window[1]:.1e}"
    )
    looks = zip((ACCENT, *SPLIT_COLOURS.values()), ("--", "-.", ":", (0, (1, 1))), strict=True)
    for (name, lr), (colour, style) in zip(marks.items(), looks, strict=False):
        if np.isfinite(lr):
            ax.axvline(lr, color=colour, lw=1.6, ls=style, label=f"{name}: {lr:.1e}")
    low, high = band["mean"].min(), band["mean"].max()
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss (nats)", title="Learning-rate range test")
    ax.set_ylim(low - 0.1, min(high * 1.1, 4 * low) + 0.05)
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_steps(steps: pd.DataFrame) -> Figure:
    """Plot the gain of each step (`published.measured_steps`) in accuracy (points) and loss, with 95 % intervals.

    Blue: the whole interval favours the step; red: the whole interval is against it; grey: the interval contains 0.
    """
    steps = steps.dropna(subset="gain").iloc[::-1]
    sides = (("gain", 100, "gain in accuracy (points)"), ("change", -1, "decrease of the loss (nats)"))
    figure, axes = plt.subplots(1, 2, figsize=(9, 0.8 + 0.42 * len(steps)), sharey=True)
    for axis, (name, scale, title) in zip(axes, sides, strict=True):
        axis.axvline(0, color=SOFT, lw=1)
        for position, (_, row) in enumerate(steps.iterrows()):
            low, high = sorted(scale * row[f"{name}_{end}"] for end in ("low", "high"))
            colour = SPLIT_COLOURS["train"] if low > 0 else ACCENT if high < 0 else SOFT
            axis.plot([low, high], [position] * 2, color=colour, lw=3, solid_capstyle="butt")
            axis.plot(scale * row[name], position, "|", color=colour, ms=11, mew=2.5)
        axis.set(xlabel=title, ylim=(-0.6, len(steps) - 0.4))
    names = [
        f"{row.adds} ({row.compared}\N{NO-BREAK SPACE}seed{'s' * (row.compared > 1)})" for row in steps.itertuples()
    ]
    axes[0].set_yticks(range(len(steps)), [textwrap.fill(name, 40) for name in names])
    return figure
