"""The style of all figures, and plots of images, rates, matrices and bars."""

import textwrap
from importlib.resources import files
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from helpers.config import ATTRIBUTES
from helpers.plots.words import ENGLISH, Words

WIDTH = 6.69
"""The width of a figure in inches: the 17 cm between the margins of an A4 page, where it is printed at this size."""

SMALLEST = 8
"""The smallest text of a figure, in points as printed."""

# The palette of Okabe and Ito ("Color Universal Design", 2008), which is legible without seeing red or green.
SPLIT_COLOURS = {"train": "#0072B2", "valid": "#D55E00", "test": "#009E73"}
"""The colour of each split, the same in every figure."""

SOFT = "#7a8290"
"""The grey of axes and reference lines."""

PALE = "#d3d7de"  # of what a filter has left out
INK, ACCENT = "#222831", "#A6226B"
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), "-")
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#c9e1f0", "#5aa5d3"])  # black text is legible on all

FONT, CUTS = "Source Sans Pro", ("Regular", "Bold")  # of the report's tables; DejaVu has what it lacks, such as ⁻

STYLE: dict[Any, Any] = {
    "figure.dpi": 120,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7ec",
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "image.cmap": "viridis",
    "savefig.dpi": 200,
    "svg.hashsalt": "celeba-study",  # the same figure gives the same file
}


def use_style():
    """Set the style of the figures: drawn at the width of the page, with readable sizes, in every notebook."""
    plt.rcParams.update(STYLE)
    plt.rcParams["font.family"] = [FONT, "DejaVu Sans"] if _add_font() else ["DejaVu Sans"]


def _add_font() -> bool:
    """Make the report's font known to matplotlib; return False where its package is not installed."""
    if FONT in fontManager.get_font_names():
        return True
    try:
        folder = files("font_source_sans_pro") / "files"
    except ModuleNotFoundError:
        return False
    for cut in CUTS:
        fontManager.addfont(str(folder / f"SourceSansPro-{cut}.ttf"))
    return True


def show_figure(figure: Figure, alt: str):
    """Show a figure in the notebook, and close it. `alt` says what it shows: the alternative text of the image."""
    from IPython.display import display  # training does not need it

    display(figure, metadata={"image/png": {"alt": alt}})
    plt.close(figure)


def show_images(images: np.ndarray, titles: list[str] | None = None, columns: int = 8, width: float = WIDTH) -> Figure:
    """Show images (N, 3, H, W), uint8 or float in [0, 1], as a grid `width` inches wide with a title above each."""
    above = [title.count("\n") + 1 if title else 0 for title in titles or [""] * len(images)]
    lines = [max(above[start : start + columns]) for start in range(0, len(images), columns)]
    heights = [0.94 * width / columns + 0.13 * count for count in lines]
    figure, axes = plt.subplots(len(heights), columns, figsize=(width, sum(heights)), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(np.transpose(np.asarray(image), (1, 2, 0)), interpolation="nearest")
        if titles:
            axis.set_title(titles[index], fontsize=SMALLEST, fontweight="normal", pad=2)
    return figure


def labels_in_words(targets: np.ndarray, words: Words = ENGLISH) -> str:
    """Return the names of the positive attributes of one image (5,), one per line, or "none"."""
    named = (words.name(name) for name, positive in zip(ATTRIBUTES, targets, strict=True) if positive)
    return "\n".join(named) or words("none")


def plot_rates(rates: pd.DataFrame, ax: Axes | None = None, words: Words = ENGLISH) -> Axes:
    """Plot positive rates: one group of bars per attribute (row), one bar per split (column)."""
    ax = ax or plt.subplots(figsize=(WIDTH, 2.0))[1]
    width = 0.84 / len(rates.columns)
    for index, split in enumerate(rates.columns):
        positions = np.arange(len(rates)) + (index - (len(rates.columns) - 1) / 2) * width
        bars = ax.bar(positions, 100 * rates[split], width * 0.92, label=split, color=SPLIT_COLOURS[split])
        ax.bar_label(bars, [words.number(100 * rate, 1) for rate in rates[split]], fontsize=SMALLEST, padding=1)
    ax.set_xticks(range(len(rates)), [words.name(attribute) for attribute in rates.index])
    ax.set(ylim=(0, 100), ylabel=words("images with the attribute (%)"))
    ax.grid(axis="x", visible=False)
    ax.legend(ncols=len(rates.columns))
    return ax


def plot_matrix(
    table: pd.DataFrame,
    title: str,
    ax: Axes | None = None,
    digits: int = 2,
    diverging: bool = False,
    words: Words = ENGLISH,
) -> Axes:
    """Plot a table as a heat map, with its values written in the cells.

    With `diverging`, the colours are centred on zero, and the diagonal, which is 1, has none.
    """
    ax = ax or plt.subplots(figsize=(WIDTH, 0.42 * len(table) + 1.0))[1]
    values = table.to_numpy(float)
    coloured = np.where(np.eye(*values.shape, dtype=bool), np.nan, values) if diverging else values
    limit = max(np.nanmax(np.abs(coloured)), 0.1) if diverging else None
    mesh = ax.pcolormesh(
        coloured,
        cmap="RdBu_r" if diverging else SHADES,
        vmin=-limit if diverging else None,
        vmax=limit,
        edgecolor="white",
        linewidth=0.5,
    )
    for (row, column), value in np.ndenumerate(values):
        shown = "–" if np.isnan(value) else words.number(value, digits)
        ax.text(
            column + 0.5,
            row + 0.5,
            shown,
            ha="center",
            va="center",
            color=_ink(mesh, float(coloured[row, column])),
            fontsize=8.5,
        )
    columns, rows = ([words.name(str(label)) for label in labels] for labels in (table.columns, table.index))
    crowded = not any(label[:1].isdigit() for label in columns)
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, **({"rotation": 30, "ha": "right"} if crowded else {}))
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows)
    ax.set(ylim=(len(rows), 0), title=title)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax


def _ink(mesh, value: float) -> str:
    """Return black or white, whichever stands out on the colour of a value."""
    red, green, blue, _ = mesh.cmap(mesh.norm(value)) if np.isfinite(value) else (1, 1, 1, 1)
    return "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"


def plot_bars(table: pd.DataFrame, words: Words = ENGLISH) -> Figure:
    """Plot horizontal bars with their values: one panel per column of the table, one bar per row, in its order."""
    height = 0.28 * len(table) + 0.7
    figure, axes = plt.subplots(1, len(table.columns), figsize=(WIDTH, height), sharey=True, squeeze=False)
    for axis, (name, values) in zip(axes[0], table.items(), strict=True):
        best = values.max()
        colours = [SPLIT_COLOURS["train"] if value == best else "#8fc3e0" for value in values]
        bars = axis.barh(range(len(table)), values, 0.7, color=colours)
        axis.bar_label(bars, [words.number(value, 3) for value in values], padding=2, fontsize=SMALLEST)
        axis.set(xlim=(0, 1.32), xticks=(0, 0.5, 1), title=words.name(str(name)))
        axis.grid(axis="y", visible=False)
        axis.label_outer(remove_inner_ticks=True)
    names = [textwrap.fill(words.name(str(name)), 30) for name in table.index]
    axes[0][0].set_yticks(range(len(table)), names)
    axes[0][0].invert_yaxis()
    figure.supxlabel(words("score (fraction; the best is dark)"), fontsize=9)
    return figure
