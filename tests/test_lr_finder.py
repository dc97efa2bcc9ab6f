"""The LR finder: everything left as it was, and suggestions equal to values worked by hand."""

import random

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import lr_finder
from helpers.config import Config
from helpers.models import build_model

CPU = torch.device("cpu")
CONFIG = Config(batch_size=8, channels_block3=8, dropout=0.3)


def sweep(train, model=None, last_lr=1.0, steps=20):
    return lr_finder.lr_range_test(model or build_model(0, CPU, 8, 0.3), train, CONFIG, 1e-5, last_lr, steps)


def test_model_and_generators_are_bit_for_bit_as_before(splits):
    model = build_model(0, CPU, 8, 0.3).eval()
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    sweep(splits["train"], model)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert not model.training and all(parameter.grad is None for parameter in model.parameters())
    assert random.getstate() == states[0] and np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


def test_the_learning_rate_rises_exponentially_between_its_ends(splits):
    table = sweep(splits["train"], last_lr=1e-3)
    ratios = table["lr"].to_numpy()[1:] / table["lr"].to_numpy()[:-1]
    assert (
        len(table) == 20 and table["lr"].iloc[0] == pytest.approx(1e-5) and table["lr"].iloc[-1] == pytest.approx(1e-3)
    )
    assert np.allclose(ratios, ratios[0])


def script(monkeypatch, losses):
    """Let the sweep see these losses, one a step."""
    left = iter(losses)
    monkeypatch.setattr(lr_finder, "train_step", lambda *_: torch.tensor(next(left)))


def test_smoothing_is_the_bias_corrected_exponential_average(splits, monkeypatch):
    script(monkeypatch, [1.0, 0.0, 1.0] + [0.5] * 17)
    smoothed = sweep(splits["train"])["smoothed"]
    assert smoothed[0] == pytest.approx(1.0)
    assert smoothed[1] == pytest.approx(0.98 * 0.02 / (1 - 0.98**2))
    assert smoothed[2] == pytest.approx((0.98**2 * 0.02 + 0.02) / (1 - 0.98**3))


@pytest.mark.parametrize("bad", [1000.0, float("nan"), float("inf")])
def test_the_sweep_stops_at_divergence(splits, monkeypatch, bad):
    script(monkeypatch, [1.0] * 5 + [bad] + [1.0] * 14)
    assert len(sweep(splits["train"])) == 6


def test_valley_equals_fastais_rule_worked_by_hand():
    # Longest falling subsequence: 9 8 7 6 5 4 (six points, ending at index 6); its start is counted as
    # end - length = 0, a third of it is 2, so the index is 0 + 2 + int(2 / 2) = 3.
    losses = np.array([9.0, 9.5, 8.0, 7.0, 6.0, 5.0, 4.0, 4.5, 6.0])
    lrs = np.arange(9.0)
    assert lr_finder.valley(lrs, losses) == 3


def test_steep_is_where_the_loss_falls_most_per_unit_of_log_lr():
    lrs = np.array([1e-4, 1e-3, 1e-2, 1e-1])
    assert lr_finder.steep(lrs, np.array([1.0, 0.9, 0.4, 0.3])) == 1e-3


def test_the_stable_window_goes_from_a_tenth_of_the_fall_to_the_lowest_point():
    lrs = np.array([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert lr_finder.stable_window(lrs, np.array([1.0, 0.95, 0.5, 0.0, 2.0])) == (1e-3, 1e-2)


def test_suggestions_leave_out_what_is_not_finite():
    losses = np.r_[np.linspace(1, 0.2, 60), [np.nan] * 10, [5.0] * 5]
    table = pd.DataFrame({"lr": np.geomspace(1e-6, 1, 75), "loss": losses, "smoothed": losses})
    suggestions = lr_finder.suggest(table)
    assert 1e-6 < suggestions.valley < 1 and np.isfinite([suggestions.steep, *suggestions.window]).all()
