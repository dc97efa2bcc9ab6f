"""Each sanity check passes on what is sound, and turns red for the fault it is there to find."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers import checks
from helpers.config import DRAWN_MARK, IMAGE_FOLDER, PARTITION_FILE, Config
from helpers.data.batches import normalise
from helpers.data.celeba import open_dataset
from helpers.data.check import examine
from helpers.models.networks import LogisticRegression, build_model, start_from_priors
from helpers.training.loop import KeepBest, fit, predict_logits

CPU = torch.device("cpu")
CONFIG = Config(batch_size=16, channels_block3=8, device="cpu", lr=0.003)


def network(seed: int = 0):
    return build_model(seed, CPU, 8)


# The inputs and the labels


def test_unnormalised_input_is_a_fault(splits):
    images = splits["train"].images[:64]
    assert checks.inputs_normalised(normalise(images), "pixels").passed
    for wrong in (images.float(), images.float() / 255, normalise(images) * 2):
        check = checks.inputs_normalised(wrong, "pixels")
        assert not check.passed and check.severity == "fault"


def test_targets_shifted_by_one_are_a_fault(splits, dataset):
    train = splits["train"]
    assert checks.targets_are_the_files(train, dataset).passed
    shifted = dataclasses.replace(train, targets=train.targets.roll(1, dims=0))
    check = checks.targets_are_the_files(shifted, dataset)
    assert not check.passed and check.severity == "fault"


@pytest.mark.slow
def test_an_annotation_file_shifted_by_one_is_seen_in_that_images_tell_nothing(splits):
    def logits(shift: int):
        shifted = dataclasses.replace(splits["train"], targets=splits["train"].targets.roll(shift, 0))
        train, valid = shifted.subset(range(140)), shifted.subset(range(140, len(shifted)))  # valid alone is too few
        model, best = LogisticRegression(), KeepBest()
        recipe = CONFIG.but(max_epochs=12, lr=1e-3, weight_decay=1e-3, schedule="one_cycle")
        fit(model, train, valid, recipe, augmented=False, on_epoch=best)
        best.restore(model)
        return predict_logits(model, valid), valid.targets.numpy()

    right, wrong = (checks.images_tell_labels(*logits(shift)) for shift in (0, 1))
    assert right.passed, right.told("measured")
    assert not wrong.passed, wrong.told("measured")


def test_a_validation_image_in_train_is_a_fault(copy, drawn):
    shutil.copy(drawn / DRAWN_MARK, copy / DRAWN_MARK)
    names = (copy / PARTITION_FILE).read_text().split()
    splits = dict(zip(names[::2], names[1::2], strict=True))
    of_train, of_valid = (next(name for name, split in splits.items() if split == number) for number in "01")
    sound = open_dataset(str(copy))
    assert checks.no_copies_across(examine(sound)["copies"], sound).passed
    shutil.copy(copy / IMAGE_FOLDER / of_valid, copy / IMAGE_FOLDER / of_train)
    spoilt = open_dataset(str(copy))
    check = checks.no_copies_across(examine(spoilt)["copies"], spoilt)
    assert not check.passed and check.severity == "fault" and check.told("measured") == "1 copies"


@pytest.mark.parametrize(
    ("images", "crossing", "severity"),
    [(202_599, 37, "remark"), (202_599, 38, "fault"), (19_052, 3, "remark"), (19_052, 4, "fault")],
)
def test_celebas_own_copies_are_a_remark_and_more_than_chance_are_a_fault(images, crossing, severity):
    class Official:
        drawn, has_official_splits, annotations = False, True, range(images)

    check = checks.no_copies_across({"extra": 200, "train/valid": crossing, "train/test": 0}, Official)
    assert not check.passed and check.severity == severity


# The network


class Mixing(nn.Module):
    """A network whose answers are compared with those of the batch: the batch dimension leaks."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, images):
        logits = self.inner(images)
        return logits - logits.mean(0)


def test_a_leaking_batch_dimension_is_a_fault(splits):
    batch = normalise(splits["train"].images[:8])
    assert checks.gradient_stays_in_its_sample(network(), batch).passed
    check = checks.gradient_stays_in_its_sample(Mixing(), batch)
    assert not check.passed and check.severity == "fault" and check.told("measured") == "8 touched"


def test_a_frozen_head_is_a_fault_and_is_named(splits):
    assert checks.every_parameter_learns(network(), splits["train"], CONFIG).passed
    frozen = network()
    frozen.head.requires_grad_(False)
    check = checks.every_parameter_learns(frozen, splits["train"], CONFIG)
    assert not check.passed and "head.weight, head.bias" in check.told("measured")
    unread = network()
    unread.block1.conv.register_forward_hook(lambda *call: 0 * call[-1])  # its gradient is zero
    check = checks.every_parameter_learns(unread, splits["train"], CONFIG.but(weight_decay=1e-5))
    assert not check.passed and "block1.conv.weight" in check.told("measured")


def test_the_probe_of_the_parameters_leaves_the_model_as_it_was(splits):
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    checks.every_parameter_learns(model, splits["train"], CONFIG)
    checks.mode_losses(model, splits["train"].subset(range(32)), CONFIG)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def trained_on(given, judged, epochs: int = 10):
    model = network()
    start_from_priors(model, given.targets.mean(0).clamp(0.01, 0.99))
    fit(model, given, judged, CONFIG.but(max_epochs=epochs, lr=0.01, schedule="one_cycle"), augmented=False)
    return checks.no_better_than_constant("nothing to learn", model, judged)


@pytest.mark.slow
def test_grey_images_and_shuffled_labels_teach_nothing_and_real_ones_would_be_told(splits):
    train, valid = splits["train"].subset(range(96)), splits["valid"]
    assert trained_on(checks.blanked(train), checks.blanked(valid)).passed
    assert trained_on(checks.shuffled(train, 1), valid).passed
    leak = trained_on(valid, valid, epochs=40)
    assert not leak.passed and leak.severity == "fault"


def test_a_network_that_leaves_the_rates_on_grey_images_is_a_fault(splits):
    valid = checks.blanked(splits["valid"])
    model = network()
    assert not checks.no_better_than_constant("grey", model, valid, most=0.05).passed  # untrained: at ln 2
    start_from_priors(model, valid.targets.mean(0).clamp(0.01, 0.99))
    assert checks.no_better_than_constant("grey", model, valid, most=0.05).passed


def test_a_diverged_model_tells_nothing_and_raises_nothing():
    targets = np.tile([[0, 1, 0, 1, 0], [1, 0, 1, 0, 1]], (10, 1)).astype(np.float32)
    assert not checks.images_tell_labels(np.full((20, 5), np.nan), targets).passed


def test_shuffling_keeps_the_labels_and_moves_them():
    from helpers.data.batches import Split

    targets = torch.arange(50.0).reshape(10, 5)
    split = Split("train", torch.zeros(10, 3, 64, 64, dtype=torch.uint8), targets, list("abcdefghij"), None)
    dealt = checks.shuffled(split, 0).targets
    assert sorted(dealt[:, 0].tolist()) == targets[:, 0].tolist() and not torch.equal(dealt, targets)


@pytest.mark.slow
def test_batch_statistics_that_never_settled_are_remarked(splits):
    few, model = splits["train"].subset(range(32)), network()
    fit(model, few, few, CONFIG.but(max_epochs=30), augmented=False)
    assert checks.train_and_eval_mode_agree(model, few, CONFIG).passed
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var *= 0.01
    check = checks.train_and_eval_mode_agree(model, few, CONFIG)
    assert not check.passed and check.severity == "remark"


def test_predictions_that_stand_still_are_a_fault():
    moving = [np.full((8, 5), 0.5), np.full((8, 5), 0.6), np.full((8, 5), 0.4)]
    assert checks.predictions_move(moving).passed
    assert checks.predictions_move(moving[:1]).passed is None  # one epoch shows nothing
    assert not checks.predictions_move([*moving, moving[-1]]).passed


def test_other_weights_do_not_give_the_same_logits(splits):
    assert checks.same_logits(network(1), network(1), splits["valid"]).passed
    assert not checks.same_logits(network(1), network(2), splits["valid"]).passed


# The training


@pytest.mark.parametrize(
    ("losses", "passed"), [([0.6, 0.3], True), ([0.6, 3334.0], False), ([0.6, float("nan")], False)]
)
def test_a_training_that_ends_above_where_it_began_or_not_at_all_diverged(losses, passed):
    history = pd.DataFrame({"train_loss": losses, "val_loss": [0.6, 0.5]})
    assert checks.did_not_diverge(history).passed is passed


@pytest.mark.parametrize(
    ("losses", "passed"),
    [
        ([0.5, 0.4, 0.6], True),  # it overfits, which is not a divergence
        ([0.5, 3334.0], False),
        ([0.9, 0.8], False),  # never better than a coin
        ([0.5, float("nan")], False),
    ],
)
def test_a_valid_loss_that_blows_up_or_is_never_better_than_a_coins_is_a_divergence(losses, passed):
    history = pd.DataFrame({"train_loss": np.linspace(0.6, 0.1, len(losses)), "val_loss": losses})
    assert checks.did_not_diverge(history).passed is passed


@pytest.mark.parametrize(("epochs", "passed"), [(5, True), (3, False)])
def test_a_training_that_was_stopped_is_told_as_a_remark(epochs, passed):
    check = checks.trained_to_the_end(pd.DataFrame({"epoch": range(1, epochs + 1)}), Config(max_epochs=5))
    assert check.passed is passed and check.severity == "remark"
    assert check.told("expected") == "5 epochs" and check.told("measured") == f"{epochs} epochs"


def test_labels_of_one_value_tell_nothing_about_the_images():
    logits = np.random.default_rng(0).normal(size=(10, 5))
    assert checks.images_tell_labels(logits, np.ones((10, 5), np.float32)).passed is None


def test_an_attribute_that_is_always_positive_gives_finite_bounds(splits):
    valid = splits["valid"]
    men = dataclasses.replace(valid, targets=torch.cat([torch.ones(len(valid), 1), valid.targets[:, 1:]], 1))
    model = build_model(0, CPU, 4)
    start_from_priors(model, men.targets.mean(0))
    check = checks.no_better_than_constant("a control", model, men)
    assert check.passed and all(np.isfinite(list(check.values.values())))


def test_too_few_images_are_no_fault_of_the_images():
    targets = np.zeros((12, 5), np.float32)
    targets[:2] = 1
    logits = np.random.default_rng(1).normal(size=(12, 5))
    check = checks.images_tell_labels(logits, targets)
    assert check.passed is None and "too few images to tell" in check.told("measured")
    many = np.tile(targets, (100, 1))
    assert checks.images_tell_labels(np.random.default_rng(1).normal(size=(1200, 5)), many).passed is False
