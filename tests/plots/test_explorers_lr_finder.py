"""The explorer of the learning rate: the mark is at the step, with its losses, and the text says where that is."""

import numpy as np
import pandas as pd
import pytest

from helpers.plots.explorers.lr_finder import Sweeps, draw_lr, nearest_step
from helpers.training.lr_finder import RULES, band, suggest

STEPS = 60


@pytest.fixture(scope="module")
def sweeps():
    rng, lrs = np.random.default_rng(0), np.geomspace(1e-6, 1, STEPS)
    made = {}
    for seed in (1, 2):
        smoothed = 0.7 - 0.4 / (1 + np.exp(-1.5 * (np.log10(lrs) + 3))) + 0.5 * np.clip(np.log10(lrs) + 1, 0, None)
        made[seed] = pd.DataFrame({"lr": lrs, "loss": smoothed + rng.normal(0, 0.05, STEPS), "smoothed": smoothed})
    read = suggest(made[1], STEPS)
    rules = {rule.__name__: getattr(read, rule.__name__) for rule in RULES}
    return Sweeps(made[1], band(made), rules, read.window, len(made))


@pytest.mark.parametrize("step", [1, 20, STEPS])
def test_the_mark_is_at_the_learning_rate_with_the_raw_and_the_smoothed_loss_of_the_step(sweeps, step):
    view = draw_lr(sweeps, step)
    axis = view.figure.axes[0]
    (points,) = [line for line in axis.lines if line.get_marker() == "o"]
    lr, raw, mean = sweeps.first["lr"][step - 1], sweeps.first["loss"][step - 1], sweeps.band["mean"][step - 1]
    assert np.allclose(points.get_xdata(), lr) and np.allclose(points.get_ydata(), [raw, mean])
    upright = [line.get_xdata()[0] for line in axis.lines if line.get_linewidth() == 3]
    assert np.allclose(upright, lr)
    assert f"{raw:.3f} on this batch" in view.says and f"{mean:.3f} smoothed" in view.says


def test_the_text_says_whether_a_learning_rate_is_below_in_or_above_the_window(sweeps):
    lrs, (start, end) = sweeps.band["lr"].to_numpy(), sweeps.window
    for step, lr in enumerate(lrs, start=1):
        says = draw_lr(sweeps, step).says if step % 7 == 0 else ""
        assert not says or ("too small" in says, "inside" in says, "too large" in says) == (
            lr < start,
            start <= lr <= end,
            lr > end,
        )


@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_at_a_rules_suggestion_that_rule_is_the_nearest(sweeps, rule):
    step = nearest_step(sweeps.band["lr"].to_numpy(), sweeps.suggestions[rule])
    says = draw_lr(sweeps, step).says
    same = [name for name, lr in sweeps.suggestions.items() if np.isclose(lr, sweeps.suggestions[rule])]
    assert f"nearest rule is {same[0]} (" in says or f"nearest rules are {' and '.join(same)} (" in says


def test_a_rule_without_a_suggestion_is_passed_over(sweeps):
    without = sweeps._replace(suggestions=dict(sweeps.suggestions) | {"slide": float("nan")})
    assert "slide" not in draw_lr(without, STEPS).says
