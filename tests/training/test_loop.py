"""Training: the same losses as a loop by hand, repeatable, dataset-level, and an end to a diverged run."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from helpers.config import Config
from helpers.data.batches import normalise, training_batches
from helpers.evaluation import metrics
from helpers.models.networks import COURSE_PARAMETERS, CourseCNN, build_model, count_parameters, start_from_priors
from helpers.training import loop

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def few(splits):
    return splits["train"].subset(range(24))


@pytest.fixture(scope="module")
def valid(splits):
    return splits["valid"].subset(range(20))


def config(**changes) -> Config:
    return Config(**({"max_epochs": 2, "batch_size": 8, "channels_block3": 8, "device": "cpu"} | changes))


def test_the_course_network_has_the_courses_number_of_parameters():
    assert count_parameters(CourseCNN(256)) == COURSE_PARAMETERS


def test_pooling_before_the_relu_is_the_same_function():
    torch.manual_seed(0)
    features = torch.randn(4, 6, 16, 16)
    assert torch.equal(nn.MaxPool2d(2)(features).relu(), nn.MaxPool2d(2)(features.relu()))


def test_one_image_does_not_touch_anothers_gradient_in_eval_mode():
    model = build_model(0, CPU, 8).eval()
    images = torch.randn(3, 3, 64, 64, requires_grad=True)
    model(images)[1].sum().backward()
    touched = images.grad.abs().sum((1, 2, 3)) > 0
    assert touched.tolist() == [False, True, False]


def test_initial_weights_depend_on_the_seed_alone():
    torch.rand(7)
    one = build_model(5, CPU, 8)
    torch.rand(3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), build_model(5, CPU, 8).parameters(), strict=True))
    assert not torch.equal(one.block1.conv.weight, build_model(6, CPU, 8).block1.conv.weight)


@pytest.mark.slow
def test_priors_in_the_bias_give_the_priors_entropy_as_loss(splits):
    train = splits["train"]
    rates = train.targets.mean(0)
    model = build_model(0, CPU)
    start_from_priors(model, rates)
    loss = loop.evaluate(model, train)["loss"]
    assert loss == pytest.approx(metrics.entropy(rates.numpy()), abs=0.01)


def test_fit_gives_the_losses_of_the_loop_by_hand(few, valid):
    settings = config(lr=0.01)
    model = build_model(1, CPU, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    generator, by_hand = torch.Generator().manual_seed(settings.seed), []
    for _ in range(settings.max_epochs):
        total = 0.0
        for images, targets in training_batches(few, settings.batch_size, generator):
            loss = binary_cross_entropy_with_logits(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(images)
        by_hand.append(total / len(few))
    history = loop.fit(build_model(1, CPU, 8), few, valid, settings)
    assert np.allclose(history["train_loss"], by_hand, atol=1e-4)


def test_the_same_seed_gives_the_same_training_and_another_seed_another(few, valid):
    def losses(seed):
        return loop.fit(build_model(seed, CPU, 8, 0.3), few, valid, config(seed=seed, dropout=0.3))["train_loss"]

    assert losses(1).tolist() == losses(1).tolist() != losses(2).tolist()


def test_validation_is_measured_on_all_logits_and_leaves_the_mode_as_it_was(valid, monkeypatch):
    model = build_model(0, CPU, 8).train()
    whole = model.eval()(normalise(valid.images)).detach().numpy()
    model.train()
    monkeypatch.setattr(loop, "EVALUATION_BATCHES", (7, 3))  # does not divide 20
    logits = loop.predict_logits(model, valid)
    assert np.allclose(logits, whole, atol=1e-5) and model.training
    assert loop.evaluate(model, valid) == pytest.approx(metrics.scores(whole, valid.targets.numpy()), abs=1e-5)


def test_the_history_has_one_row_per_epoch_and_is_told_as_it_grows(few, valid):
    seen = []

    def look(row, model):
        seen.append(row)
        measured = loop.evaluate(model, valid)
        expected = [
            measured["loss"],
            measured["micro_f1"],
            measured["mean_accuracy"],
            loop.evaluate(model, few)["loss"],
        ]
        assert [row[name] for name in ("val_loss", "val_f1", "val_acc", "train_eval_loss")] == pytest.approx(expected)

    history = loop.fit(build_model(0, CPU, 8), few, valid, config(), measure_on=few, on_epoch=look)
    assert pd.DataFrame(seen).equals(history) and history["epoch"].tolist() == [1, 2]
    assert {"train_loss", "train_eval_loss", "val_loss", "val_f1", "val_acc"} <= set(history.columns)


def test_a_training_sees_augmented_images_unless_told_otherwise(few, valid, monkeypatch):
    def seen(**options):
        images = []

        def build_step(model, optimizer, config):
            return lambda batch, targets: images.append(batch) or torch.zeros(())

        monkeypatch.setattr(loop, "build_step", build_step)
        loop.fit(build_model(0, CPU, 8), few, valid, config(max_epochs=1), **options)
        return torch.cat(images)

    plain = seen(augmented=False).flatten(1).sort(0).values
    assert torch.equal(plain, normalise(few.images).flatten(1).sort(0).values)
    assert not torch.equal(seen().flatten(1).sort(0).values, plain)


def test_where_the_gpu_has_too_little_memory_the_network_is_measured_on_smaller_batches(valid, monkeypatch):
    model = build_model(0, CPU, 8)
    expected = loop.predict_logits(model, valid)
    monkeypatch.setattr(loop, "EVALUATION_BATCHES", (16, 8, 4))
    forward, sizes = model.forward, []

    def full(images):
        sizes.append(len(images))
        if len(images) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(images)

    monkeypatch.setattr(model, "forward", full)
    assert np.allclose(loop.predict_logits(model.train(), valid), expected, atol=1e-5) and model.training
    assert sizes == [16, 8, 4, 4, 4, 4, 4]


@pytest.fixture
def trained(monkeypatch):
    """The seeds that are trained, in order; seed 1 fails the first time."""
    seeds = []

    def fit_seed(config, train, valid, resume):
        seeds.append(config.seed)
        if seeds == [1]:
            raise RuntimeError("no more memory")
        return {"seed": config.seed, "epoch": 1, "loss": np.float32(0.5), "macro_f1": float("nan")}

    monkeypatch.setattr(loop, "_fit_seed", fit_seed)
    return seeds


def test_a_seed_whose_training_fails_does_not_cost_the_others_and_none_is_trained_twice(few, valid, trained, tmp_path):
    path = tmp_path / "seeds.jsonl"
    with pytest.raises(RuntimeError, match="no more memory"):
        loop.fit_seeds([1, 2], few, valid, config(), path)
    table = loop.fit_seeds([1, 2, 3], few, valid, config(), path)
    assert trained == [1, 2, 1, 3] and table["seed"].tolist() == [1, 2, 3]
    assert table["loss"].tolist() == [0.5] * 3 and table["macro_f1"].isna().all() and table["macro_f1"].dtype == float
    loop.fit_seeds([2], few, valid, config(lr=0.1), path)
    assert trained[-1] == 2, "another learning rate is another training"


def test_bf16_is_used_where_it_is_asked_for_and_its_logits_are_fp32(few):
    model = build_model(0, CPU, 8)
    full, half, auto = (loop.predict_logits(model, few, precision) for precision in ("fp32", "bf16", "auto"))
    assert half.dtype == np.float32 and not np.array_equal(full, half) and np.allclose(full, half, atol=0.05)
    assert np.array_equal(full, auto)  # on a CPU


def test_a_diverged_training_stops(few, valid):
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(float("nan")))

        def forward(self, images):
            return images.mean((1, 2, 3)).view(-1, 1).expand(-1, 5) * self.weight

    history = loop.fit(Broken(), few, valid, config(max_epochs=5))
    assert len(history) == 1


@pytest.mark.slow
def test_one_cycle_rises_to_the_peak_and_falls_to_nearly_nothing(few, valid, monkeypatch):
    settings, rates = config(schedule="one_cycle", lr=0.01, max_epochs=6), []
    build = loop.build_step

    def build_step(model, optimizer, config):
        step = build(model, optimizer, config)
        return lambda *batch: (rates.append(optimizer.param_groups[0]["lr"]), step(*batch))[1]

    monkeypatch.setattr(loop, "build_step", build_step)
    history = loop.fit(build_model(0, CPU, 8), few, valid, settings)
    assert rates == loop.learning_rates(settings, len(rates))[:-1]  # the optimizer's own, at every step
    assert history["lr"].max() <= 0.01 and history["lr"].idxmax() in (1, 2) and history["lr"].iloc[-1] < 1e-6


def test_keep_best_restores_the_epoch_with_the_lowest_valid_loss():
    model, best = nn.Linear(1, 1), loop.KeepBest()
    for loss, weight in ((0.5, 1.0), (0.3, 2.0), (0.4, 3.0)):
        nn.init.constant_(model.weight, weight)
        best({"val_loss": loss}, model)
    best.restore(model)
    assert model.weight.item() == 2.0


@pytest.mark.slow
def test_with_an_average_its_weights_are_measured_kept_and_handed_over_and_the_training_is_the_same(few, valid):
    handed = []

    def keep(row, model):
        handed.append(metrics.scores(loop.predict_logits(model, valid), valid.targets.numpy())["loss"])

    model, plain = build_model(0, CPU, 8), build_model(0, CPU, 8)
    history = loop.fit(model, few, valid, config(ema=0.9), on_epoch=keep)
    without = loop.fit(plain, few, valid, config())
    assert handed == history["val_loss"].tolist()
    assert loop.evaluate(model, valid)["loss"] == history["val_loss"].iloc[-1]
    assert history["train_loss"].tolist() == without["train_loss"].tolist()  # the average only looks on
    assert history["val_loss"].iloc[-1] != without["val_loss"].iloc[-1]


@pytest.mark.parametrize("change", [{"optimizer": "adamw", "weight_decay": 0.5}, {"label_smoothing": 0.2}])
@pytest.mark.slow
def test_each_choice_of_the_recipe_changes_the_training(few, valid, change):
    losses = [
        loop.fit(build_model(0, CPU, 8), few, valid, config(**changes))["val_loss"].iloc[-1]
        for changes in ({"weight_decay": 0.5} if "weight_decay" in change else {}, change)
    ]
    assert losses[0] != losses[1]


@pytest.mark.slow
def test_several_seeds_are_several_trainings_each_measured_at_its_best_epoch(few, valid):
    table = loop.fit_seeds([1, 2], few, valid, config(max_epochs=3, lr=0.01))
    assert table["seed"].tolist() == [1, 2] and table["loss"].nunique() == 2
    for row in table.itertuples():
        alone = loop.fit(build_model(row.seed, CPU, 8), few, valid, config(max_epochs=3, lr=0.01, seed=row.seed))
        best = alone.loc[alone["val_loss"].idxmin()]
        assert (row.epoch, row.loss, row.micro_f1) == (best["epoch"], best["val_loss"], best["val_f1"])


@pytest.mark.slow
def test_a_seed_that_diverged_is_a_row_without_figures_and_none_is_trained_twice(splits):
    config = Config(max_epochs=1, batch_size=16, channels_block3=8, device="cpu")
    few = splits["train"].subset(range(32))
    rows = loop.fit_seeds([43, 43, 44], few, splits["valid"], config)
    assert rows["seed"].tolist() == [43, 44] and {"auroc", "Smiling", "macro_f1"} <= set(rows)
    broken = dataclasses.replace(few, targets=torch.full_like(few.targets, float("nan")))
    lost = loop.fit_seeds([43], broken, splits["valid"], config)
    assert lost["seed"].tolist() == [43] and "loss" not in lost


@pytest.mark.parametrize(("epochs", "last", "rows"), [(2, 0.4, 1), (1, 0.4, 0), (2, math.nan, 1), (1, math.nan, 1)])
def test_a_seed_that_the_user_stopped_has_no_row_and_one_that_diverged_at_last_has_no_scores(
    few, valid, monkeypatch, epochs, last, rows
):
    def fit(model, *given, on_epoch, **named):
        history = [{"epoch": number + 1, "train_loss": 0.5, "val_loss": 0.5} for number in range(epochs)]
        on_epoch(history[0], model)
        return pd.DataFrame([*history[:-1], history[-1] | {"train_loss": last}])

    monkeypatch.setattr(loop, "fit", fit)
    table = loop.fit_seeds([1], few, valid, config(max_epochs=2))
    assert len(table) == rows and ("loss" in table) == (rows == 1 and math.isfinite(last))
