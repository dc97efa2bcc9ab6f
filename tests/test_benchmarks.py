"""The benchmarks compare like with like: the plain way is the same study, and a ratio above 1 is faster."""

import io
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.batches import denormalise
from helpers.config import ROOT, Config
from helpers.decoding import decode
from helpers.models import COURSE_PARAMETERS, CourseCNN, build_for, count_parameters

sys.path.insert(0, str(ROOT / "benchmarks"))
import accuracy
import plain
import speed

PROMISED = {
    *("input_batches", "input_batches_fast", "train_step_cpu", "epoch_cpu", "epoch_cpu_fp32"),
    *("trainer_overhead", "cache_build", "demo"),
}


def test_the_plain_network_is_the_courses():
    torch.manual_seed(0)
    theirs = plain.PlainCNN().eval()
    ours = CourseCNN().eval()
    weights = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(weights))
    images = torch.randn(4, 3, 64, 64)
    assert count_parameters(ours) == count_parameters(theirs)
    assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_the_plain_input_is_the_caches(drawn):
    file = next((drawn / "img_align_celeba").glob("*.jpg"))
    theirs = denormalise(plain.transform(augmented=False)(Image.open(io.BytesIO(file.read_bytes()))))
    difference = np.abs(theirs.numpy() * 255 - decode(file.read_bytes(), "here"))
    assert difference.mean() < 1 and difference.max() <= 40  # decoded at half scale: an edge may differ


def test_every_promised_row_is_measured():
    assert {row.name for row in speed.ROWS} >= PROMISED


@pytest.mark.parametrize(
    ("unit", "plain_samples", "our_samples"),
    [("images/s", [50, 60, 55], [110, 90, 120]), ("s", [4, 5, 6], [2, 2.5, 3])],
)
def test_a_ratio_is_that_of_the_medians_and_above_one_where_ours_is_faster(unit, plain_samples, our_samples):
    row = speed.Row("x", unit, lambda: 1.0, lambda: 1.0)
    result = speed.summarise(row, plain_samples, our_samples)
    assert result["ratio"] == pytest.approx(2) and result["spread"][0] <= 2 <= result["spread"][1]
    assert result["samples_ours"] == our_samples


def test_repeats_take_turns_and_the_warm_up_is_dropped(monkeypatch):
    row = speed.Row("x", "images/s", float, float)
    samples = speed.measure([row], 3)
    assert samples == {"x": ([0.0] * 3, [0.0] * 3)}


# Accuracy


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Two small arms in place of the real ones; the list of what was trained."""
    course = Config(channels_block3=8, batch_size=32, max_epochs=1)
    monkeypatch.setattr(accuracy, "ARMS", {"course": course, "other": course.but(mirror=True, optimizer="adamw")})
    monkeypatch.setattr(accuracy, "CHECKPOINTS", tmp_path / "checkpoints")
    labels, fit = [], accuracy.fit
    monkeypatch.setattr(accuracy, "fit", lambda *given, **named: labels.append(named["label"]) or fit(*given, **named))
    return labels


def test_an_arm_is_trained_once_a_seed_and_test_is_opened_once(trained, drawn, tmp_path):
    file = tmp_path / "accuracy.json"
    options = ["--data-root", str(drawn), "--seeds", "1", "2", "--json", str(file)]
    accuracy.main([*options, "--arms", "course"])
    assert trained == ["course seed 1", "course seed 2"] and "test_opened" not in file.read_text()
    accuracy.main([*options, "--open-test"])
    assert trained[2:] == ["other seed 1", "other seed 2"]
    course, other = json.loads(file.read_text())["arms"]
    assert other["seeds"] == [1, 2] and other["mflop"] == pytest.approx(2 * course["mflop"])
    scores = [row["test"]["mean_accuracy"] for row in other["per_seed"]]
    assert other["test_mean_accuracy"] == pytest.approx(np.mean(scores))
    gain = other["test_mean_accuracy"] - course["test_mean_accuracy"]
    assert other["above_course"]["value"] == pytest.approx(gain)
    accuracy.main([*options, "--open-test"])
    assert len(trained) == 4 and json.loads(file.read_text())["arms"][1]["test_opened"] == other["test_opened"]


def test_no_arm_has_more_parameters_than_the_course_and_the_first_is_its_recipe():
    for config in accuracy.ARMS.values():
        assert count_parameters(build_for(config, torch.device("cpu"))) <= COURSE_PARAMETERS
    course = accuracy.ARMS["course"]
    recipe = (course.optimizer, course.lr, course.weight_decay, course.batch_size, course.max_epochs, course.schedule)
    assert recipe == ("adam", 0.005, 1e-5, 64, 20, "constant")
