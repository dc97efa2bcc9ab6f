"""Plots of the grid search: every trial, and the effect of each factor."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.plots.style import ACCENT, INK, SOFT, plot_matrix


def plot_grid(table: pd.DataFrame, value: str = "val_loss") -> Axes:
    """Plot the whole grid as one heat map: lr and weight decay in rows, channels and dropout in columns."""
    pivot = table.pivot(index=["lr", "weight_decay"], columns=["channels_block3", "dropout"], values=value)
    pivot = pivot.sort_index(axis=0).sort_index(axis=1)
    pivot.index = [f"lr {lr:g}, wd {decay:g}" for lr, decay in pivot.index]
    pivot.columns = [f"{channels} ch, dropout {dropout:g}" for channels, dropout in pivot.columns]
    return plot_matrix(pivot, f"Grid: {value.replace('val_', 'valid ')}", digits=4)


def plot_parallel(table: pd.DataFrame, factors: tuple[str, ...], value: str = "val_loss") -> Axes:
    """Plot parallel coordinates: one line per trial through its factors to its valid loss; the best is red."""
    ax = plt.subplots(figsize=(8, 3.4))[1]
    columns = [*factors, value]
    ranked = table.sort_values(value, ascending=False, na_position="first")
    scaled = pd.DataFrame({name: _spread(ranked[name], as_levels=name in factors) for name in columns})
    for position, (_, row) in enumerate(scaled.iterrows()):
        best = position == len(scaled) - 1
        shade = plt.cm.viridis(0.9 * (1 - position / max(len(scaled) - 1, 1)))
        ax.plot(
            range(len(columns)),
            row,
            color=ACCENT if best else shade,
            lw=2.5 if best else 0.9,
            zorder=2 + best,
        )
    for position, name in enumerate(columns):
        levels = sorted(table[name].unique()) if name in factors else [table[name].min(), table[name].max()]
        heights = _spread(pd.Series(levels), as_levels=name in factors)
        for level, height in zip(levels, heights, strict=True):
            text = f"{level:g}" if name in factors else f"{level:.4f}"
            ax.text(
                position + 0.03,
                height,
                text,
                fontsize=8,
                va="center",
                bbox={"fc": "white", "ec": "none", "pad": 1},
            )
    ax.set_xticks(range(len(columns)), columns)
    ax.set(yticks=[], title="Every trial of the grid; the best in red")
    ax.spines["left"].set_visible(False)
    return ax


def _spread(values: pd.Series, as_levels: bool) -> pd.Series:
    """Scale values to [0, 1]: the levels of a factor at equal distances, a measurement linearly."""
    numbers = values.rank(method="dense") if as_levels else values
    span = numbers.max() - numbers.min()
    return (numbers - numbers.min()) / span if span else numbers * 0 + 0.5


def plot_isolation(effects: pd.DataFrame, noise: float | None) -> Figure:
    """Plot, for each factor, the best and the mean valid loss of the trials with each value.

    `effects` comes from `grid_effects.factor_effects`. `noise` is the standard error of a trial's mean over its seeds,
    or None if it is unknown; it is shown as a band around the best.
    """
    factors = list(dict.fromkeys(effects["factor"]))
    figure, axes = plt.subplots(1, len(factors), figsize=(2.4 * len(factors), 3), sharey=True, squeeze=False)
    for axis, factor in zip(axes[0], factors, strict=True):
        rows = effects[effects["factor"] == factor]
        positions = range(len(rows))
        if noise is not None:
            lowest = rows["best"].min()
            axis.axhspan(lowest - noise, lowest + noise, color=ACCENT, alpha=0.12, lw=0, label="best ± standard error")
        axis.plot(positions, rows["mean"], "s:", color=SOFT, label="mean over the other factors")
        axis.plot(positions, rows["best"], "o-", color=ACCENT, label="best over the other factors")
        axis.set_xticks(positions, [f"{value:g}" for value in rows["value"]])
        axis.set_title(factor)
        axis.margins(x=0.25)
    axes[0][0].set_ylabel("valid loss (nats)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def plot_differences(effects: pd.DataFrame) -> Axes:
    """Plot the effect of each value on the valid loss, against its factor's first value, with 95 % intervals."""
    rows = effects.dropna(subset="difference").iloc[::-1]
    ax = plt.subplots(figsize=(7, 0.4 * len(rows) + 1.2))[1]
    for position, row in enumerate(rows.itertuples()):
        colour = ACCENT if row.verdict in ("lower", "higher") else SOFT
        ax.plot([row.low, row.high], [position] * 2, color=colour, lw=2)
        ax.plot(row.difference, position, "o", color=colour)
        ax.annotate(row.verdict, (1.01, position), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    ax.axvline(0, color=INK, lw=1)
    ax.set_yticks(range(len(rows)), [f"{row.factor} {row.value:g}" for row in rows.itertuples()])
    ax.set(
        xlabel="difference of valid loss from the factor's first value (95 % interval)", ylim=(-0.6, len(rows) - 0.4)
    )
    ax.grid(axis="y", visible=False)
    return ax
