"""What a grid says: values worked by hand, noise that is called noise, and edges with the next value to try."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from helpers.training import grid_effects

LR, DECAY = (0.001, 0.005), (1e-5, 1e-4)


def grid(loss, seeds=(1,), dropout=(0.0, 0.2)) -> pd.DataFrame:
    """Trainings whose valid loss is a formula of (lr, weight_decay, dropout, seed)."""
    rows = []
    for lr, decay, drop, seed in itertools.product(LR, DECAY, dropout, seeds):
        rows.append(
            {"name": f"{lr}{decay}{drop}", "seed": seed, "max_epochs": 1, "lr": lr, "weight_decay": decay}
            | {"channels_block3": 256, "dropout": drop, "parameters": 10, "train_loss": 0.1}
            | {"val_loss": loss(lr, decay, drop, seed), "val_f1": 0.5, "val_acc": 0.5}
            | {"seconds": 2.0, "tflop": 1.5, "history": [{"epoch": 1, "val_loss": 1.0}]}
        )
    return pd.DataFrame(rows)


def test_a_trial_is_the_mean_of_its_seeds_and_costs_their_sum():
    table = grid_effects.by_trial(grid(lambda lr, decay, drop, seed: lr + seed, seeds=(1, 2, 3)))
    first = table.iloc[0]
    assert first["val_loss"] == pytest.approx(2.001) and first["val_loss_std"] == pytest.approx(1.0)
    assert first["seeds"] == 3 and first["seconds"] == 6 and first["tflop"] == pytest.approx(4.5)


def test_a_trial_with_one_diverged_seed_ranks_last():
    table = grid_effects.by_trial(
        grid(lambda lr, decay, drop, seed: None if (lr, drop, seed) == (0.001, 0.0, 2) else lr, seeds=(1, 2))
    )
    assert table["val_loss"].isna().tolist() == [False] * 6 + [True] * 2
    assert grid_effects.best_trial(table)["dropout"] == 0.2


def test_ties_go_to_the_smaller_network():
    trainings = grid(lambda *_: 0.3)
    trainings.loc[5, "parameters"] = 9
    assert grid_effects.by_trial(trainings)["name"].iloc[0] == trainings["name"][5]


def test_the_noise_of_a_seed_is_pooled_over_the_trials():
    assert grid_effects.seed_noise(grid(lambda *_: 0.3)) is None
    # Each trial's two losses are 0 and 2 (variance 2), or 0 and 4 (variance 8) with dropout: pooled variance 5.
    trainings = grid(lambda lr, decay, drop, seed: (seed - 1) * (4.0 if drop else 2.0), seeds=(1, 2))
    assert grid_effects.seed_noise(trainings) == pytest.approx(math.sqrt(5))


def test_an_effect_over_seeds_has_students_interval_worked_by_hand():
    # lr 0.005 less lr 0.001 is 1, 2 and 3 for the three seeds: mean 2, std 1, reach 4.3027 / sqrt(3).
    trainings = grid(lambda lr, decay, drop, seed: seed if lr == 0.005 else 0.0, seeds=(1, 2, 3))
    row = grid_effects.factor_effects(trainings).set_index(["factor", "value"]).loc[("lr", 0.005)]
    assert row["difference"] == pytest.approx(2) and row["n"] == 3 and row["of"] == "seeds"
    assert row["high"] - row["difference"] == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert row["verdict"] == "not shown"
    trainings["val_loss"] = np.where(trainings["lr"] == 0.005, 1 + 0.01 * trainings["seed"], 0.0)
    table = grid_effects.factor_effects(trainings).set_index(["factor", "value"])
    assert table.loc[("lr", 0.005), "verdict"] == "higher"


def test_one_seed_allows_no_verdict_however_alike_the_pairs_are():
    rows = grid_effects.factor_effects(grid(lambda lr, decay, drop, seed: lr + 1e-9 * decay))
    row = rows.set_index(["factor", "value"]).loc[("lr", 0.005)]
    assert row["difference"] == pytest.approx(0.004) and row["verdict"] == "one seed" and row["of"] == "pairs"
    assert row["n"] == 4


@pytest.mark.slow
def test_noise_alone_is_called_lower_or_higher_in_about_one_case_of_twenty():
    rng, called = np.random.default_rng(0), []
    for _ in range(300):
        rows = grid_effects.factor_effects(grid(lambda *_: rng.normal(), seeds=(1, 2, 3), dropout=(0.0,)))
        verdicts = rows["verdict"].dropna()
        called += (verdicts != "not shown").tolist()
    assert 0.02 < np.mean(called) < 0.09


def test_the_best_of_the_rest_and_the_mean_are_over_the_other_factors():
    rows = grid_effects.factor_effects(grid(lambda lr, decay, drop, seed: lr + drop)).set_index(["factor", "value"])
    assert rows.loc[("dropout", 0.2), "best"] == pytest.approx(0.201)
    assert rows.loc[("dropout", 0.2), "mean"] == pytest.approx(0.203)
    assert rows.loc[("lr", 0.005), "trials"] == 4 and ("channels_block3", 256) in rows.index


def test_edges_name_the_next_value_to_try():
    table = grid_effects.by_trial(grid(lambda lr, decay, drop, seed: -lr - decay - drop, dropout=(0.0, 0.2, 0.4)))
    found = {
        edge["factor"]: (edge["side"], edge["next"])
        for edge in grid_effects.edges(table, grid_effects.best_trial(table))
    }
    assert found["lr"] == ("largest", 0.025) and found["weight_decay"] == ("largest", 1e-3)
    assert found["dropout"] == ("largest", 0.6) and "channels_block3" not in found


def test_a_best_value_inside_or_at_zero_asks_for_nothing_further():
    inside = grid_effects.by_trial(grid(lambda lr, decay, drop, seed: abs(drop - 0.2), dropout=(0.0, 0.2, 0.4)))
    assert "dropout" not in {edge["factor"] for edge in grid_effects.edges(inside, grid_effects.best_trial(inside))}
    none = grid_effects.by_trial(grid(lambda lr, decay, drop, seed: drop, dropout=(0.0, 0.2, 0.4)))
    assert {e["factor"]: e["next"] for e in grid_effects.edges(none, grid_effects.best_trial(none))}["dropout"] is None


def test_channels_go_on_by_their_ratio_in_eights():
    trainings = grid(lambda *_: 0.0)
    trainings["channels_block3"] = np.where(trainings["dropout"] == 0.2, 256, 192)
    trainings["val_loss"] = -trainings["channels_block3"].astype(float)
    table = grid_effects.by_trial(trainings)
    found = {edge["factor"]: edge["next"] for edge in grid_effects.edges(table, grid_effects.best_trial(table))}
    assert found["channels_block3"] == 344


def test_curves_differ_in_one_factor_alone():
    trials = grid_effects.by_trial(grid(lambda lr, decay, drop, seed: lr)).to_dict("records")
    best = {"lr": 0.001, "weight_decay": 1e-5, "channels_block3": 256, "dropout": 0.0}
    for trial in trials:
        trial["history"] = [{"epoch": 1, "val_loss": trial["lr"] + trial["weight_decay"] + trial["dropout"]}]
    curves = grid_effects.curves_by_factor(trials, best, "dropout")
    found = {value: curve["val_loss"].tolist() for value, curve in curves.items()}
    assert found == {0: [pytest.approx(0.00101)], 0.2: [pytest.approx(0.20101)]}


def test_a_value_whose_trainings_diverged_gets_no_verdict():
    def loss(lr, decay, drop, seed):
        return None if lr == 0.005 and drop == 0.2 else lr + 0.001 * seed

    rows = grid_effects.factor_effects(grid(loss, seeds=(1, 2, 3))).set_index(["factor", "value"])
    assert rows.loc[("lr", 0.005), "verdict"] == "some diverged"
    everywhere = grid_effects.factor_effects(grid(lambda lr, *_: None if lr == 0.005 else lr, seeds=(1, 2)))
    row = everywhere.set_index(["factor", "value"]).loc[("lr", 0.005)]
    assert row["verdict"] == "some diverged" and math.isnan(row["difference"])


def test_a_trial_that_lacks_a_seed_ranks_behind_those_that_have_all():
    trainings = grid(lambda lr, decay, drop, seed: lr, seeds=(1, 2))
    table = grid_effects.by_trial(trainings.drop(index=0))  # one seed of one of the best trials
    assert table["seeds"].tolist() == [2] * 7 + [1]


def test_the_history_of_a_trial_with_a_diverged_seed_ends_where_it_diverged():
    factors = {"lr": 0.1, "weight_decay": 1e-5, "channels_block3": 4, "dropout": 0.0, "parameters": 9, "max_epochs": 3}
    same = {"name": "a", **factors, "val_f1": 0.5, "val_acc": 0.5, "seconds": 1.0, "tflop": 1.0, "train_loss": 0.5}
    losses = {1: [0.6, 0.5, 0.4], 2: [0.8, None]}
    rows = [
        same | {"seed": seed, "val_loss": of[-1], "history": [{"epoch": n, "val_loss": x} for n, x in enumerate(of, 1)]}
        for seed, of in losses.items()
    ]
    history = grid_effects.by_trial(pd.DataFrame(rows))["history"][0]
    assert [row["val_loss"] for row in history] == pytest.approx([0.7, math.nan], nan_ok=True)


def test_a_trials_history_is_the_mean_over_its_seeds_as_its_losses_are():
    def training(seed: int, losses: list[float]) -> dict:
        history = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, start=1)]
        factors = {"lr": 0.001, "weight_decay": 1e-5, "channels_block3": 4, "dropout": 0.0}
        measured = dict.fromkeys(("train_loss", "val_f1", "val_acc", "seconds", "tflop"), 0.5)
        return {"name": "a", "seed": seed, **factors, **measured, "val_loss": losses[-1], "history": history} | {
            "parameters": 10,
            "max_epochs": len(losses),
        }

    table = grid_effects.by_trial(pd.DataFrame([training(1, [0.6, 0.4]), training(2, [0.8, 0.2])]))
    (trial,) = table.to_dict("records")
    assert [row["val_loss"] for row in trial["history"]] == pytest.approx([0.7, 0.3])
    assert trial["history"][-1]["val_loss"] == pytest.approx(trial["val_loss"])
    ends = [(row["val_loss_low"], row["val_loss_high"]) for row in trial["history"]]
    assert all(low <= row["val_loss"] <= high for (low, high), row in zip(ends, trial["history"], strict=True))
    assert ends[0] != (trial["history"][0]["val_loss"],) * 2
