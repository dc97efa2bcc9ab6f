"""The LR finder: everything left as it was, and suggestions equal to values worked by hand."""

import random

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.config import Config
from helpers.models.networks import build_model
from helpers.training import lr_finder

CPU = torch.device("cpu")
CONFIG = Config(batch_size=8, channels_block3=8, dropout=0.3)


def sweep(train, model=None, last_lr=1.0, steps=20):
    return lr_finder.lr_range_test(model or build_model(0, CPU, 8, 0.3), train, CONFIG, 1e-5, last_lr, steps)


@pytest.mark.slow
def test_model_and_generators_are_bit_for_bit_as_before(splits):
    model = build_model(0, CPU, 8, 0.3).eval()
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    sweep(splits["train"], model)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert not model.training and all(parameter.grad is None for parameter in model.parameters())
    assert random.getstate() == states[0] and np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


@pytest.mark.slow
def test_an_optimizer_of_the_model_takes_its_next_step_as_if_no_sweep_had_been(splits):
    def trained(sweep_between: bool) -> list[torch.Tensor]:
        model = build_model(0, CPU, 8, 0.3)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        torch.manual_seed(7)
        for _ in range(2):
            loss = model(torch.ones(4, 3, 64, 64)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if sweep_between:
                sweep(splits["train"], model)
        return [tensor.clone() for tensor in model.state_dict().values()]

    assert all(map(torch.equal, trained(False), trained(True)))


@pytest.mark.slow
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


@pytest.mark.parametrize("losses", [np.arange(9.0), np.ones(9)])
def test_valley_is_the_first_lr_where_nothing_falls_as_in_fastai(losses):
    assert lr_finder.valley(np.arange(1.0, 10.0), losses) == 1


def test_valley_is_no_large_lr_where_the_loss_falls_at_the_first_step_alone():
    losses = np.array([1.0, 0.9, 1.1, 1.5, 2.0, 3.0, 4.0])
    assert lr_finder.valley(np.geomspace(0.01, 10, 7), losses) == 0.01


def test_steep_is_where_the_loss_falls_most_per_unit_of_log_lr():
    lrs = np.array([1e-4, 1e-3, 1e-2, 1e-1])
    assert lr_finder.steep(lrs, np.array([1.0, 0.9, 0.4, 0.3])) == 1e-3


def test_the_stable_window_goes_from_a_tenth_of_the_fall_to_the_lowest_point():
    lrs = np.array([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert lr_finder.stable_window(lrs, np.array([1.0, 0.95, 0.5, 0.0, 2.0])) == (1e-3, 1e-2)


def test_minimum_is_a_tenth_of_the_lr_of_the_lowest_loss():
    assert lr_finder.minimum(np.array([1e-3, 1e-2, 1e-1]), np.array([0.7, 0.3, 0.9])) == pytest.approx(1e-3)


def test_slide_stops_where_the_slopes_at_its_windows_ends_are_alike():
    # With a width of 2 the window's ends slide from steps (4, 6) down. Slopes by central differences: 0 0 0 0 0.5 1 1;
    # (4, 6): 1 - 0.5; (3, 5): 1 - 0; (2, 4): 0.5 - 0; (1, 3): 0 - 0, which ends it: the lr of step 2.
    losses = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0])
    assert lr_finder.slide(np.arange(7.0), losses, width=2) == 2
    assert lr_finder.slide(np.arange(7.0), np.ones(7), width=2) == 4  # alike from the start: its first window's
    assert np.isnan(lr_finder.slide(np.arange(7.0), losses))  # fastai's own width is 15


def a_curve(steps: int = 100) -> pd.DataFrame:
    """A sweep that falls around lr 1e-3 and blows up above 0.3, with a ripple in place of noise."""
    lrs = np.geomspace(1e-6, 1, steps)
    x = np.log10(lrs)
    losses = 0.7 - 0.4 / (1 + np.exp(-2 * (x + 3))) + np.exp(5 * (x + 0.5)) + 0.01 * np.sin(11 * x)
    return pd.DataFrame({"lr": lrs, "loss": losses, "smoothed": losses})


def test_all_four_suggestions_on_a_stored_curve_are_those_of_fastai():
    # Computed once with fastai 2.8's functions on lrs[10:-5], losses[10:-5].
    suggestions = lr_finder.suggest(a_curve())
    assert suggestions.valley == pytest.approx(1.23285e-03, rel=1e-4)
    assert suggestions.steep == pytest.approx(7.05480e-04, rel=1e-4)
    assert suggestions.minimum == pytest.approx(4.64159e-03, rel=1e-4)
    assert suggestions.slide == pytest.approx(6.57933e-03, rel=1e-4)


def test_the_first_tenth_is_of_the_steps_planned_as_in_fastai():
    cut = a_curve().iloc[:60]  # diverged there
    whole = cut.iloc[10:-5]
    lrs, losses = whole["lr"].to_numpy(), whole["smoothed"].to_numpy()
    found = lr_finder.suggest(cut, steps=100)
    assert found.steep == lr_finder.steep(lrs, losses) and found.valley == lr_finder.valley(lrs, losses)
    assert found.valley != lr_finder.suggest(cut, steps=60).valley


def test_seeds_share_a_band_as_far_as_all_of_them_got():
    long, short = a_curve(), a_curve().iloc[:70] + 0.0
    short = short.assign(smoothed=short["smoothed"] + 0.2)
    band = lr_finder.band({1: long, 2: short})
    assert len(band) == 70 and np.allclose(band["high"] - band["low"], 0.2)
    assert np.allclose(band["mean"], long["smoothed"][:70] + 0.1) and np.allclose(band["lr"], long["lr"][:70])


def test_the_typical_lr_is_the_geometric_mean():
    assert lr_finder.typical([1e-4, 1e-2]) == pytest.approx(1e-3)
    assert lr_finder.typical([1e-4, np.nan]) == pytest.approx(1e-4)


def test_suggestions_leave_out_what_is_not_finite():
    losses = np.r_[np.linspace(1, 0.2, 60), [np.nan] * 10, [5.0] * 5]
    table = pd.DataFrame({"lr": np.geomspace(1e-6, 1, 75), "loss": losses, "smoothed": losses})
    suggestions = lr_finder.suggest(table)
    assert 1e-6 < suggestions.valley < 1 and np.isfinite([suggestions.steep, *suggestions.window]).all()
    finite = table.dropna().iloc[:60].reset_index(drop=True)
    assert suggestions.steep == lr_finder.suggest(finite, steps=75).steep
