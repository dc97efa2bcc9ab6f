"""The style of all figures, and plots of images, rates, matrices and bars."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.config import ATTRIBUTES

SPLIT_COLOURS = {"train": "#3b6ea5", "valid": "#d98032", "test": "#5b9a68"}
"""The colour of each split, the same in every figure."""

SOFT = "#8a94a6"
"""The grey of axes and reference lines."""

INK, ACCENT = "#222831", "#b03a48"


def use_style():
    """Set the style of the figures: light axes and readable sizes, the same in every notebook."""
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 9.5,
            "axes.titlesize": 10.5,
            "axes.titleweight": "bold",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": SOFT,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e4e7ec",
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "image.cmap": "viridis",
        }
    )


def show_images(images: np.ndarray, titles: list[str] | None = None, columns: int = 8, size: float = 1.25) -> Figure:
    """Show images (N, 3, H, W), uint8 or float in [0, 1], as a grid."""
    rows = -(-len(images) // columns)
    lines = max((title.count("\n") + 1 for title in titles or [""]), default=1) if titles else 0
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, rows * (size + 0.16 * lines)), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(np.transpose(np.asarray(image), (1, 2, 0)), interpolation="nearest")
        if titles:
            axis.set_title(titles[index], fontsize=7, fontweight="normal")
    return figure


def labels_in_words(targets: np.ndarray) -> str:
    """Return the names of the positive attributes of one image (5,), one per line, or "none"."""
    return "\n".join(name for name, positive in zip(ATTRIBUTES, targets, strict=True) if positive) or "none"


def plot_rates(rates: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot positive rates: one group of bars per attribute (row), one bar per split (column)."""
    ax = ax or plt.subplots(figsize=(7, 3.2))[1]
    width = 0.8 / len(rates.columns)
    for index, split in enumerate(rates.columns):
        positions = np.arange(len(rates)) + (index - (len(rates.columns) - 1) / 2) * width
        bars = ax.bar(positions, rates[split], width * 0.92, label=split, color=SPLIT_COLOURS[split])
        ax.bar_label(bars, [f"{100 * rate:.0f}" for rate in rates[split]], fontsize=7, padding=1)
    ax.set_xticks(range(len(rates)), rates.index)
    ax.set(ylim=(0, 1), ylabel="share of positives", title="Positive rates (percent above the bars)")
    ax.grid(axis="x", visible=False)
    ax.legend(ncols=len(rates.columns))
    return ax


def plot_matrix(table: pd.DataFrame, title: str, ax: Axes | None = None, digits: int = 2, diverging=False) -> Axes:
    """Plot a table as a heat map, with its values written in the cells."""
    ax = ax or plt.subplots(figsize=(0.9 * len(table.columns) + 1.8, 0.5 * len(table) + 1.6))[1]
    values = table.to_numpy(float)
    limit = np.nanmax(np.abs(values)) if diverging else None
    image = ax.imshow(
        values,
        cmap="RdBu_r" if diverging else "viridis",
        vmin=-limit if diverging else None,
        vmax=limit,
        aspect="auto",
    )
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", color=ink, fontsize=8)
    ax.set_xticks(range(len(table.columns)), table.columns, rotation=30, ha="right")
    ax.set_yticks(range(len(table)), table.index)
    ax.set_title(title)
    ax.grid(visible=False)
    return ax


def plot_bars(table: pd.DataFrame, title: str) -> Axes:
    """Plot horizontal bars: one group of bars per row of the table, one bar per column."""
    ax = table.plot.barh(figsize=(7.5, 0.55 * len(table) + 1.2), width=0.8, colormap="viridis")
    ax.set(xlim=(0, 1), title=title, xlabel="score", ylabel="")
    ax.invert_yaxis()  # the first row and the first column come first, as in the table and the legend
    ax.grid(axis="y", visible=False)
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax
