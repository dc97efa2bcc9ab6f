"""The benchmarks compare like with like: the plain way is the same study, and a ratio above 1 is faster."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.batches import denormalise
from helpers.config import ROOT
from helpers.decoding import decode
from helpers.models import CourseCNN, count_parameters

sys.path.insert(0, str(ROOT / "benchmarks"))
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
