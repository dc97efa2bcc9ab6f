"""Plots of the grid search: every trial, and the effect of each factor."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from helpers.config import FACTORS
from helpers.plots.style import ACCENT, INK, PALE, SOFT, SPLIT_COLOURS, WIDTH, plot_matrix
from helpers.plots.words import ENGLISH, Words


def plot_grid(table: pd.DataFrame, words: Words = ENGLISH) -> Axes:
    """Plot the whole grid as one heat map: lr and weight decay in rows, channels and dropout in columns.

    The best trial, which is the first row of the table, is framed.
    """
    rows, columns = ["lr", "weight_decay"], ["channels_block3", "dropout"]
    pivot = table.astype({"val_loss": float}).pivot(index=rows, columns=columns, values="val_loss")
    pivot = pivot.sort_index(axis=0).sort_index(axis=1)
    best = pivot.columns.get_loc(tuple(table.iloc[0][columns])), pivot.index.get_loc(tuple(table.iloc[0][rows]))
    pivot.index, pivot.columns = (
        ["\n".join(map(words.small, levels)) for levels in labels] for labels in (pivot.index, pivot.columns)
    )
    ax = plot_matrix(pivot, words("Valid loss (nats) of each trial; the best is framed"), digits=4, words=words)
    for axis, factors in ((ax.yaxis, rows), (ax.xaxis, columns)):
        axis.set_label_text("\n".join(words.name(factor) for factor in factors))
    ax.add_patch(Rectangle(best, 1, 1, fill=False, ec=ACCENT, lw=2.2, zorder=3))
    return ax


def plot_parallel(
    table: pd.DataFrame,
    words: Words = ENGLISH,
    ax: Axes | None = None,
    kept: np.ndarray | None = None,
    chosen: int = 0,
) -> Axes:
    """Plot parallel coordinates: one line per trial through its factors, with the colour of its valid loss.

    The lines of a level are drawn side by side, in the order of their loss, so that each can be followed. The line of
    the row `chosen` is thick: by default that of the first row, which is the best; -1 is none. `kept` (N,) says which
    trials have a colour; the lines of the others are grey.
    """
    ax = ax or plt.subplots(figsize=(WIDTH, 3.0))[1]
    losses = table["val_loss"].astype(float)
    colours = plt.get_cmap("cividis_r", 40)  # so few that the colour bar is drawn with lines and not as an image
    scale = ScalarMappable(Normalize(losses.min(), losses.max()), colours)
    coloured = np.isfinite(losses.to_numpy()) & (True if kept is None else kept)
    for row, (line, loss) in enumerate(zip(_lines(table, losses), losses, strict=True)):
        colour = scale.to_rgba(loss) if coloured[row] else PALE
        look = {"color": colour, "lw": 1.1, "zorder": 2 + int(coloured[row])}
        if row == chosen:
            text = "chosen trial: {loss}" if chosen else "best trial: {loss}"
            told = words.number(loss, 4) if np.isfinite(loss) else "–"
            look = {"color": ACCENT, "lw": 2.8, "zorder": 4, "label": words(text, loss=told)}
        ax.plot(range(len(FACTORS)), line, **look)
    _name_levels(ax, table, words)
    bar = ax.figure.colorbar(scale, ax=ax, pad=0.02, label=words("valid loss (nats)"))
    bar.solids.set_edgecolor("face")  # without it, some viewers show gaps between the colours
    if chosen >= 0:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return ax


def _lines(table: pd.DataFrame, losses: pd.Series) -> np.ndarray:
    """Return the heights (N, factors) of the trials' lines, a little apart in the order of their loss."""
    place = losses.rank(method="first", na_option="bottom") - 1
    aside = 0.06 - 0.12 * (1 - place / max(1, len(table) - 1)).to_numpy()
    return np.column_stack([_heights(table[name]) for name in FACTORS]) + aside[:, None]


def _name_levels(ax: Axes, table: pd.DataFrame, words: Words):
    """Write the values of each factor where its lines pass."""
    for position, name in enumerate(FACTORS):
        levels = pd.Series(sorted(table[name].unique()))
        for level, height in zip(levels, _heights(levels), strict=True):
            box = {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.85}
            y, side = (height + 0.1, "bottom") if height else (-0.1, "top")
            ax.text(position, y, words.small(level), ha="center", va=side, fontsize=8.5, bbox=box, zorder=5)
    ax.set_xticks(range(len(FACTORS)), [words.name(name) for name in FACTORS])
    ax.set(yticks=[], xlim=(-0.2, len(FACTORS) - 0.8), ylim=(-0.25, 1.25))
    ax.spines["left"].set_visible(False)


def _heights(values: pd.Series) -> np.ndarray:
    """Return the levels of a factor at equal distances in [0, 1]; one level alone lies in the middle."""
    ranks = values.rank(method="dense").to_numpy(float) - 1
    return ranks / ranks.max() if ranks.max() else ranks + 0.5


def plot_differences(effects: pd.DataFrame, words: Words = ENGLISH) -> Axes:
    """Plot the effect of each value on the valid loss, against its factor's first value, with 95% intervals.

    `effects` comes from `grid_effects.factor_effects`. A difference beyond noise is blue or purple (lower or higher).
    """
    first = effects.groupby("factor")["value"].first()
    rows = effects.dropna(subset="verdict").iloc[::-1]
    ax = plt.subplots(figsize=(WIDTH, 0.3 * len(rows) + 0.9))[1]
    colours = {"lower": SPLIT_COLOURS["train"], "higher": ACCENT}
    for position, row in enumerate(rows.itertuples()):
        colour = colours.get(row.verdict, SOFT)
        ax.plot([row.low, row.high], [position] * 2, color=colour, lw=3, alpha=0.6, solid_capstyle="butt")
        ax.plot(row.difference, position, "o", color=colour, ms=5)
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 8.5}
        ax.annotate(words(row.verdict), (1.01, position), **place)
    ax.axvline(0, color=INK, lw=1)
    named = [
        words(
            "{factor}: {value} against {first}",
            factor=words.name(row.factor),
            value=words.small(row.value),
            first=words.small(first[row.factor]),
        )
        for row in rows.itertuples()
    ]
    ax.set_yticks(range(len(rows)), named)
    ax.set(xlabel=words("difference of valid loss (nats) and its 95% interval"), ylim=(-0.6, max(len(rows), 1) - 0.4))
    ax.grid(axis="y", visible=False)
    return ax
