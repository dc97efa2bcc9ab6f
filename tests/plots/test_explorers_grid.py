"""The explorer of the grid: the filters keep what they say, and the figure, the table and the sentence agree."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from helpers.config import FACTORS
from helpers.plots.explorers.grid import ALL, view_trials
from helpers.plots.style import ACCENT, PALE
from helpers.training.grid_effects import by_trial

VALUES = {"lr": (0.001, 0.005), "weight_decay": (1e-5,), "channels_block3": (192, 256), "dropout": (0.0, 0.4)}
EVERY = dict.fromkeys(FACTORS, ALL)


@pytest.fixture(scope="module")
def trainings() -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for number, values in enumerate(itertools.product(*VALUES.values())):
        for seed in (42, 43):
            losses = np.sort(rng.uniform(0.3, 0.6, 3))[::-1].tolist()
            history = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, start=1)]
            scores = {"train_loss": 0.3, "val_loss": losses[-1], "val_f1": 0.7, "val_acc": 0.9}
            made = {"name": f"trial{number}", "seed": seed, "parameters": 10, "max_epochs": 3, "seconds": 1, "tflop": 1}
            rows.append(made | dict(zip(VALUES, values, strict=True)) | scores | {"history": history})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def table(trainings) -> pd.DataFrame:
    return by_trial(trainings)


def colours(view) -> list[str]:
    return [to_hex(line.get_color()) for line in view.figure.axes[0].lines]


@pytest.mark.parametrize("wanted", [{}, {"lr": 0.005}, {"lr": 0.001, "dropout": 0.4}, {"channels_block3": 192}])
def test_the_table_has_the_kept_trials_and_the_others_are_grey(table, trainings, wanted):
    view = view_trials(table, trainings, 1, **EVERY | wanted)
    fits = np.all([table[name] == value for name, value in wanted.items()] or [table["lr"] > 0], axis=0)
    assert view.table.index.tolist() == (np.flatnonzero(fits) + 1).tolist()  # the ranks, which stay those of the grid
    assert [colour != PALE for colour in colours(view)] == fits.tolist()
    if wanted:
        assert view.says.startswith(f"{fits.sum()} of {len(table)} trials have")


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_the_chosen_trial_is_that_of_the_rank_among_the_kept(table, trainings, rank):
    view = view_trials(table, trainings, rank, **EVERY | {"dropout": 0.4})
    row = np.flatnonzero(table["dropout"] == 0.4)[rank - 1]
    assert colours(view).index(ACCENT.lower()) == row and f"{row + 1} of {len(table)} by valid loss" in view.says
    own = trainings[trainings["name"] == table.iloc[row]["name"]]
    drawn = {line.get_label(): list(line.get_ydata()) for line in view.figure.axes[1].lines}
    assert drawn == {str(r.seed): [epoch["val_loss"] for epoch in r.history] for r in own.itertuples()}


def test_a_rank_beyond_the_kept_trials_is_the_last_of_them(table, trainings):
    one, other = (view_trials(table, trainings, rank, **EVERY | {"lr": 0.005}) for rank in (4, 8))
    assert one.says == other.says


def test_values_that_no_trial_has_are_told(table, trainings):
    partly = table[~((table["lr"] == 0.001) & (table["dropout"] == 0.4))].reset_index(drop=True)
    view = view_trials(partly, trainings, 1, **EVERY | {"lr": 0.001, "dropout": 0.4})
    assert view.says == "No trial of the grid has lr = 0.001 and dropout = 0.4." and view.table is None
    assert set(colours(view)) == {PALE}


def test_a_diverged_trial_is_shown_without_a_loss(trainings):
    lost = trainings.copy()
    lost.loc[lost["name"] == "trial0", "val_loss"] = None
    table = by_trial(lost)
    view = view_trials(table, lost, len(table), **EVERY)
    assert "8 of 8 by valid loss: nan" not in view.says and "diverged" in view.says
