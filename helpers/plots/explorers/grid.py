"""Explorer of 05_grid: which trials have which values, and how did each of them learn?"""

import numpy as np
import pandas as pd

from helpers.config import FACTORS
from helpers.plots.explorers.explorer import View, explore
from helpers.plots.explorers.mosaic import new_figure
from helpers.plots.grid import plot_parallel
from helpers.plots.style import DASHES, LINES
from helpers.plots.training import whole_epochs
from helpers.plots.words import ENGLISH

ALL = "all"
SHOWN = ("val_loss", "val_loss_std", "val_f1", "val_acc")


def filter_trials(table: pd.DataFrame, trainings: pd.DataFrame):
    """Filter the trials of a grid by their factors, and look at one of them.

    `table` comes from `training.by_trial`, `trainings` from `training.run_grid`.
    """
    from ipywidgets import Dropdown, IntSlider

    filters = {}
    for name in FACTORS:
        values = [(ENGLISH.small(value), value) for value in sorted(table[name].unique())]
        filters[name] = Dropdown(options=[(ALL, ALL), *values], description=ENGLISH.name(name))
    rank = IntSlider(1, 1, len(table), description="trial", continuous_update=False)

    def draw(rank: int, **filters: str) -> View:
        return view_trials(table, trainings, rank, **filters)

    explore(draw, **filters, rank=rank)


def view_trials(table: pd.DataFrame, trainings: pd.DataFrame, rank: int, **filters: float | str) -> View:
    """Return the view of the trials with these values (or "all") of the factors, and of the `rank`-th among them."""
    wanted = {name: value for name, value in filters.items() if value != ALL}
    kept = np.logical_and.reduce([table[name] == value for name, value in wanted.items()] or [table["name"].notna()])
    rows = np.flatnonzero(kept)
    chosen = int(rows[min(rank, len(rows)) - 1]) if len(rows) else -1
    figure = new_figure(3.4)
    places = {"left": 0.02, "right": 0.98, "bottom": 0.26, "top": 0.91, "wspace": 0.3}
    left, right = figure.subplots(1, 2, width_ratios=(3, 1.6), gridspec_kw=places)
    plot_parallel(table, ax=left, kept=kept, chosen=chosen)
    if chosen < 0:
        right.set_axis_off()
        return View(figure, f"No trial of the grid has {_in_words(wanted)}.", limits={"rank": 1})
    trial = table.iloc[chosen]
    _plot_seeds(right, trainings[trainings["name"] == trial["name"]])
    right.set(title=f"Trial {chosen + 1} of {len(table)}", ylim=_loss_range(trainings))
    return View(figure, _says(table, chosen, rows, wanted), _shown(table, rows), {"rank": len(rows)})


def _plot_seeds(axis, trainings: pd.DataFrame):
    for row, colour, dash in zip(trainings.itertuples(), LINES * 2, DASHES * 2, strict=False):
        history = pd.DataFrame(row.history)
        axis.plot(history["epoch"], history["val_loss"].astype(float), dash, c=colour, marker="o", label=row.seed)
    whole_epochs(axis, ENGLISH)
    axis.set_ylabel("valid loss (nats)")
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.19), "columnspacing": 1, "handlelength": 1.6}
    axis.legend(title="seed", ncols=3, title_fontsize=8.5, **place)


def _loss_range(trainings: pd.DataFrame) -> tuple[float, float]:
    """Return the limits of all curves, so that trials can be compared as one after the other is chosen."""
    losses = np.array([row["val_loss"] for history in trainings["history"] for row in history], float)
    low, high = (np.nanmin(losses), np.nanmax(losses)) if np.isfinite(losses).any() else (0, 1)
    return low - 0.05 * (high - low) - 1e-3, high + 0.05 * (high - low) + 1e-3


def _in_words(values: dict[str, float | str]) -> str:
    return " and ".join(f"{ENGLISH.name(name)} = {ENGLISH.small(float(value))}" for name, value in values.items())


def _says(table: pd.DataFrame, chosen: int, rows: np.ndarray, wanted: dict) -> str:
    trial, losses = table.iloc[chosen], table["val_loss"].iloc[rows].astype(float)
    which = f"{len(rows)} of {len(table)} trials have {_in_words(wanted)}" if wanted else f"All {len(table)} trials"
    span = f"; their valid loss is between {losses.min():.4f} and {losses.max():.4f}. "
    scores = "it diverged"
    if np.isfinite(trial["val_loss"]):
        seeds = f" ± {trial['val_loss_std']:.4f} ({trial['seeds']} seeds)" if trial["seeds"] > 1 else ""
        scores = f"{trial['val_loss']:.4f}{seeds}, micro-F1 {trial['val_f1']:.4f}"
    return (
        f"{which}{span}The thick line is the trial with {_in_words({name: trial[name] for name in FACTORS})}, "
        f"rank {chosen + 1} of {len(table)} by valid loss: {scores}."
    )


def _shown(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    shown = table.iloc[rows].set_axis(pd.Index(rows + 1))
    factors = {name: shown[name].map(ENGLISH.small) for name in FACTORS}
    scores = {name: shown[name].astype(float).map("{:.4f}".format) for name in SHOWN if shown[name].notna().any()}
    return pd.DataFrame(factors | scores).rename_axis("rank", axis="columns")  # in the corner
