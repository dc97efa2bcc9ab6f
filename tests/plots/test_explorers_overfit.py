"""The explorer of the overfit: a frame is blue where all labels are right, and following changes no training."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from helpers.config import ATTRIBUTES, Config
from helpers.evaluation.metrics import probabilities
from helpers.models.networks import build_for
from helpers.plots.explorers.mosaic import RIGHT, WRONG
from helpers.plots.explorers.overfit import Memory, draw_epoch, wrong_labels
from helpers.training.loop import fit, predict_logits

EPOCHS = 4


@pytest.fixture
def memory():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 3, 64, 64), dtype=np.uint8)
    targets = rng.integers(0, 2, (6, 5))
    predicted = rng.random((EPOCHS, 6, 5))
    predicted[2, :3] = targets[:3]  # half of them are right after epoch 3
    predicted[3] = targets
    losses = {"train_loss": [0.7, 0.5, 0.1, 0.001], "val_loss": [0.7, 0.6, 0.65, 0.9]}
    return Memory(images, targets, predicted, pd.DataFrame({"epoch": range(1, EPOCHS + 1)} | losses))


@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_a_frame_is_blue_and_solid_where_all_labels_are_right_and_else_orange_and_dashed(memory, epoch):
    view = draw_epoch(memory, epoch)
    wrong = (memory.probabilities[epoch - 1] >= 0.5) != memory.targets
    looks = [(to_hex(frame.get_edgecolor()), frame.get_linestyle()) for frame in view.figure.axes[0].patches]
    assert looks == [
        (WRONG["color"].lower(), WRONG["linestyle"]) if each.any() else (RIGHT["color"].lower(), "-") for each in wrong
    ]
    named = {text.get_text() for text in view.figure.axes[0].texts}
    expected = {"\n".join(n.replace("_", " ") for n, w in zip(ATTRIBUTES, each, strict=True) if w) for each in wrong}
    assert named == expected - {""}
    assert f"{(~wrong.any(1)).sum()} of these 6 images" in view.says
    assert (f"{wrong.sum()} of 30 labels are wrong" in view.says) == wrong.any()


def test_the_marked_epoch_has_the_losses_of_the_history(memory):
    curves = draw_epoch(memory, 3).figure.axes[1]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in curves.lines if len(line.get_xdata()) == 1]
    assert points == [(3, 0.1), (3, 0.65)]
    assert any(list(line.get_xdata()) == [3, 3] for line in curves.lines)


def test_it_begins_where_half_of_the_images_are_right(memory):
    from helpers.plots.explorers.overfit import _halfway

    assert _halfway(memory) == 3
    never = memory._replace(probabilities=1.0 - memory.targets[None].repeat(EPOCHS, 0))
    assert wrong_labels(never).all() and _halfway(never) == EPOCHS


def test_keeping_the_predictions_of_each_epoch_changes_nothing_of_the_training(splits):
    few, valid = splits["train"].subset(range(12)), splits["valid"].subset(range(4))
    config = Config(max_epochs=3, batch_size=6, precision="fp32", channels_block3=8, dropout=0.2)
    histories, kept = [], []

    def follow(row, network):
        kept.append(probabilities(predict_logits(network, few, "fp32")))

    for on_epoch in (None, follow):
        torch.manual_seed(0)
        model = build_for(config, torch.device("cpu"))
        histories.append(
            fit(model, few, valid, config, on_epoch=on_epoch).drop(columns=["seconds", "images_per_second"])
        )
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    assert len(kept) == 3 and np.array_equal(kept[-1], probabilities(predict_logits(model, few, "fp32")))
