"""Explorer of notebook 04: a learning rate, moved along the curve of the range test."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from ipywidgets import SelectionSlider

from helpers.plots.explorers.explorer import View, explore
from helpers.plots.explorers.mosaic import new_figure
from helpers.plots.style import ACCENT
from helpers.plots.training import plot_sweeps
from helpers.plots.words import ENGLISH

HEIGHT = 3.3


class Sweeps(NamedTuple):
    """The sweep of the first seed, `training.lr_finder.band` of all seeds, the rules' suggestions, and the window."""

    first: pd.DataFrame
    band: pd.DataFrame
    suggestions: Mapping[str, float]
    window: tuple[float, float]
    seeds: int


def move_lr(
    first: pd.DataFrame, band: pd.DataFrame, suggestions: Mapping[str, float], window: tuple[float, float], seeds: int
):
    """Show the curve of the sweeps as `plot_sweeps` does, with a learning rate that a slider moves over its steps."""
    sweeps = Sweeps(first, band, suggestions, window, seeds)
    options = [(f"{lr:.1e}", step) for step, lr in enumerate(band["lr"], start=1)]
    start = nearest_step(band["lr"].to_numpy(), suggestions["valley"])
    slider = SelectionSlider(options=options, value=start, description="lr", layout={"width": "600px"})
    explore(partial(draw_lr, sweeps), step=slider)


def nearest_step(lrs: np.ndarray, lr: float) -> int:
    """Return the step, from 1, whose learning rate is nearest to `lr` on the logarithmic scale."""
    return int(np.abs(np.log(lrs / lr)).argmin()) + 1


def draw_lr(sweeps: Sweeps, step: int) -> View:
    """Draw the curve with the learning rate of a step (from 1) marked, and its two losses."""
    figure = new_figure(HEIGHT)
    axis = plot_sweeps(*sweeps, ax=figure.add_axes((0.08, 0.35, 0.9, 0.63)))
    axis.xaxis.minorticks_off()  # they take a third of the time
    lr, mean = sweeps.band.loc[step - 1, ["lr", "mean"]]
    raw = float(sweeps.first["loss"].iloc[step - 1])
    axis.axvline(lr, color=ACCENT, lw=3, alpha=0.35)
    axis.plot([lr, lr], [raw, mean], "o", color=ACCENT, ms=6, zorder=5)
    return View(figure, " ".join([_losses(sweeps, step, lr, raw, mean), _place(lr, sweeps.window), _rules(lr, sweeps)]))


def _losses(sweeps: Sweeps, step: int, lr: float, raw: float, mean: float) -> str:
    lowest = sweeps.band.loc[sweeps.band["mean"].idxmin()]
    return (
        f"Step {step} of {len(sweeps.band)}, lr {ENGLISH.small(lr)}: the loss is {raw:.3f} on this batch and "
        f"{mean:.3f} smoothed. The lowest smoothed loss is {lowest['mean']:.3f}, at lr {ENGLISH.small(lowest['lr'])}."
    )


def _place(lr: float, window: tuple[float, float]) -> str:
    """Say where in the window a learning rate is."""
    start, end = window
    if lr < start:
        return f"The window begins at {start / lr:.3g} times this lr: these steps are too small."
    if lr > end:
        return f"This lr is {lr / end:.3g} times the end of the window: these steps are too large."
    share = np.log(lr / start) / np.log(end / start) if end > start else 0
    return f"This lr is inside the window, {share:.0%} of the way through it."


def _rules(lr: float, sweeps: Sweeps) -> str:
    """Compare a learning rate with the nearest rule, and say what the next notebook gets."""
    known = {rule: value for rule, value in sweeps.suggestions.items() if np.isfinite(value)}
    apart = {rule: abs(np.log(value / lr)) for rule, value in known.items()}
    nearest = [rule for rule in known if apart[rule] < min(apart.values()) + 1e-6]  # two rules may suggest the same
    rules = f"rule is {nearest[0]}" if len(nearest) == 1 else f"rules are {' and '.join(nearest)}"
    times = lr / known["valley"]
    compared = "this lr is the same" if abs(times - 1) < 0.005 else f"this lr is {times:.3g} times that"
    return (
        f"The nearest {rules} ({ENGLISH.small(known[nearest[0]])}). The next notebook compares its grid with valley's "
        f"suggestion, {ENGLISH.small(known['valley'])}; {compared}."
    )
