"""The explorers of the final training: what is framed is wrong, and what differs between two runs is listed."""

import matplotlib.patches
import numpy as np
import pandas as pd
import pytest

from helpers.config import Config
from helpers.plots.explorers.training import Training, differences, view_epoch, view_two

HISTORY = pd.DataFrame(
    {"epoch": [1, 2, 3], "val_loss": [0.5, 0.3, 0.4], "train_eval_loss": [0.5, 0.4, 0.3], "val_acc": [0.7, 0.8, 0.75]}
)


@pytest.fixture
def watched():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 3, 64, 64), dtype=np.uint8)
    return images, rng.integers(0, 2, (4, 5)), rng.random((3, 4, 5))


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_the_framed_answers_are_the_wrong_ones_of_this_epoch(watched, epoch):
    images, targets, answers = watched
    view = view_epoch(images, targets, answers, HISTORY, epoch)
    table = view.figure.axes[1]
    framed = {(int(box.get_x()), int(box.get_y())) for box in table.patches}
    wrong = set(zip(*np.nonzero((answers[epoch - 1] >= 0.5) != targets), strict=True))
    assert framed == wrong and f"{20 - len(wrong)} of 20 answers" in view.says
    assert f"{HISTORY['val_loss'][epoch - 1]:.4f}" in view.says and isinstance(
        table.patches[0], matplotlib.patches.Patch
    )


def test_the_probabilities_stand_with_their_labels(watched):
    images, targets, answers = watched
    view = view_epoch(images, targets, answers, HISTORY, 2)
    shown = [text.get_text() for text in view.figure.axes[1].texts]
    expected = [f"{p:.2f} {'yes' if t else 'no'}" for p, t in zip(answers[1].ravel(), targets.ravel(), strict=True)]
    assert shown == expected


def test_the_epoch_is_marked_on_the_curve(watched):
    curves = view_epoch(*watched, HISTORY, 2).figure.axes[2]
    points = [
        (line.get_xdata()[0], line.get_ydata()[0]) for line in curves.lines if len(np.ravel(line.get_xdata())) == 1
    ]
    assert points == [(2, 0.4), (2, 0.3)]


# Two trainings


def a_training(history=HISTORY, data="abc", **changes) -> Training:
    return Training(history, Config(**changes).to_dict(), data)


def test_the_table_has_the_parameters_that_differ_and_no_others():
    two = {"final": a_training(run_name="a"), "other": a_training(run_name="b", lr=0.001, schedule="one_cycle")}
    table = differences(two)
    assert table.index.tolist() == ["lr", "schedule"]  # the name of a run changes nothing
    assert table.loc["lr"].tolist() == ["0.005", "0.001"]


def test_other_data_are_a_difference_and_make_the_losses_hard_to_compare():
    view = view_two({"final": a_training(), "other": a_training(data="xyz")})
    assert view.table.index.tolist() == ["data"] and "different images" in view.says


def test_a_random_subset_of_valid_depends_on_the_seed():
    alike = view_two({"a": a_training(seed=1), "b": a_training(seed=2)})
    unlike = view_two({"a": a_training(seed=1, valid_images=9), "b": a_training(seed=2, valid_images=9)})
    assert "different images" not in alike.says and "different images" in unlike.says


def test_the_lowest_losses_and_their_difference_are_told():
    lower = HISTORY.assign(val_loss=[0.5, 0.4, 0.25])
    says = view_two({"final": a_training(), "other": a_training(lower)}).says
    assert "final 0.3000 (accuracy 0.8000, epoch 2)" in says and "other 0.2500 (accuracy 0.7500, epoch 3)" in says
    assert "a difference of -0.0500" in says


def test_a_training_that_diverged_has_no_lowest_loss():
    says = view_two({"final": a_training(), "extra": a_training(HISTORY.assign(val_loss=None))}).says
    assert "extra none, it diverged" in says and "nan" not in says


def test_a_parameter_of_a_newer_version_is_not_known_to_an_older_run():
    older = a_training()
    older.parameters.pop("ema")
    assert differences({"final": a_training(), "older": older}).loc["ema"].tolist() == ["0", "not known"]
