"""Explorer of notebook 02: a constant answer, chosen with five boxes, and its four metrics."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from ipywidgets import Checkbox
from matplotlib.axes import Axes

from helpers.config import ATTRIBUTES
from helpers.evaluation.metrics import decision_scores
from helpers.plots.explorers.explorer import View, explore
from helpers.plots.explorers.mosaic import new_figure
from helpers.plots.style import ACCENT, INK
from helpers.plots.words import ENGLISH

METRICS = ("mean_accuracy", "exact_match", "micro_f1", "macro_f1")
HEIGHT = 2.4


class Bars(NamedTuple):
    """Per metric, the values of two constants to compare with: the majority class, and the best for this metric."""

    targets: np.ndarray
    majority: dict[str, float]
    best: dict[str, float]
    best_answers: Mapping[str, np.ndarray]


def try_constants(targets: np.ndarray, majority: np.ndarray, best: Mapping[str, np.ndarray]):
    """Show the four metrics of a constant answer (5,), chosen with five boxes to tick, on `targets` (N, 5).

    It is compared with the `majority` class (5,), and per metric with the constant that is the `best` for it.
    """
    boxes = {
        name: Checkbox(bool(yes), description=ENGLISH.name(name), indent=False, layout={"width": "130px"})
        for name, yes in zip(ATTRIBUTES, majority, strict=True)
    }
    explore(partial(draw_constant, compared(targets, majority, best)), **boxes)


def compared(targets: np.ndarray, majority: np.ndarray, best: Mapping[str, np.ndarray]) -> Bars:
    """Score the constants that every choice is compared with."""
    of_best = {metric: score(best[metric], targets)[metric] for metric in METRICS}
    return Bars(targets, score(majority, targets), of_best, best)


def score(constant: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return the metrics of one answer (5,) to all images."""
    return decision_scores(np.broadcast_to(constant, targets.shape), targets)


def draw_constant(bars: Bars, **boxes: bool) -> View:
    """Draw the metrics of the constant that says yes where a box is ticked, against the two others."""
    constant = np.array([boxes[name] for name in ATTRIBUTES], int)
    scores = score(constant, bars.targets)
    figure = new_figure(HEIGHT)
    axis = figure.add_axes((0.17, 0.32, 0.8, 0.66))
    _draw(axis, scores, bars)
    says = f"Yes for {_named(constant)}: "
    says += ", ".join(f"{ENGLISH.name(metric)} {scores[metric]:.3f}" for metric in METRICS) + ". "
    return View(figure, says + _standing(constant, bars))


def _draw(axis: Axes, scores: dict[str, float], bars: Bars):
    values = np.nan_to_num([scores[metric] for metric in METRICS])
    axis.barh(range(len(METRICS)), values, 0.62, color="#8fc3e0", label="your constant")
    for row, metric in enumerate(METRICS):  # at the left, where the marks are not
        shown = "not defined" if np.isnan(scores[metric]) else f"{scores[metric]:.3f}"
        axis.text(0.008, row, shown, va="center")
    looks = (("majority class", bars.majority, INK, (0, (2, 1))), ("best constant", bars.best, ACCENT, "-"))
    for label, values_of, colour, dash in looks:
        for row, metric in enumerate(METRICS):
            span, at = (row - 0.42, row + 0.42), [values_of[metric]] * 2
            axis.plot(at, span, color=colour, ls=dash, lw=2.2, label=None if row else label)
    axis.set(xlim=(0, 1), xlabel="score on valid (fraction)")
    axis.set_yticks(range(len(METRICS)), [ENGLISH.name(metric) for metric in METRICS])
    axis.tick_params(axis="y", length=0, labelsize=9)
    axis.grid(axis="y", visible=False)
    axis.invert_yaxis()
    axis.figure.legend(loc="lower center", ncols=3)


def _standing(constant: np.ndarray, bars: Bars) -> str:
    """Say for which metrics this constant is the best, and which one is for the others."""
    by_answer: dict[tuple[int, ...], list[str]] = {}
    for metric in METRICS:
        by_answer.setdefault(tuple(bars.best_answers[metric]), []).append(ENGLISH.name(metric))
    mine = by_answer.pop(tuple(constant), [])
    says = f"It is the best of the 32 constants for {' and '.join(mine) or 'none of the four metrics'}."
    others = [f"for {' and '.join(named)}: yes for {_named(answer)}" for answer, named in by_answer.items()]
    return f"{says} The best {'; '.join(others)}." if others else says


def _named(constant) -> str:
    yes = [ENGLISH.name(name) for name, chosen in zip(ATTRIBUTES, constant, strict=True) if chosen]
    return ", ".join(yes) or "none of the five"
