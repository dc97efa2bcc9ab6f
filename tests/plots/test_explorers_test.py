"""The explorers of the test: the counts of a threshold are the evaluation's, and mistakes come largest loss first."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.config import ATTRIBUTES
from helpers.data.batches import Split
from helpers.evaluation.metrics import bce_losses, per_attribute
from helpers.plots.explorers.mosaic import PITCH
from helpers.plots.explorers.test import (
    ALL,
    KINDS,
    PAGE,
    at_threshold,
    curves_of,
    mistakes,
    view_mistakes,
    view_threshold,
)

COUNTS = ["tp", "fp", "fn", "tn"]


def answers(images: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = (rng.random((images, 5)) < (0.5, 0.1, 0.4, 0.8, 0.1)).astype(np.float32)
    return (rng.normal(0, 2, (images, 5)) + 2 * targets - 1).astype(np.float32), targets


def a_split(targets: np.ndarray) -> Split:
    images = torch.randint(0, 256, (len(targets), 3, 64, 64), dtype=torch.uint8)
    return Split("test", images, torch.from_numpy(targets), [""] * len(targets), None)


@settings(max_examples=60, deadline=None)
@given(threshold=st.floats(0.01, 0.99), attribute=st.sampled_from(ATTRIBUTES), seed=st.integers(0, 10))
def test_counts_and_scores_are_those_of_the_evaluation(threshold, attribute, seed):
    logits, targets = answers(seed=seed)
    here = at_threshold(logits, targets, attribute, threshold)
    expected = per_attribute(logits, targets, threshold).loc[attribute]
    names = ["precision", "recall", "f1", "accuracy", *COUNTS]
    assert np.allclose(here[names].to_numpy(float), expected[names].to_numpy(float), equal_nan=True)


@pytest.mark.parametrize("threshold", [0.1, 0.37, 0.8])
def test_the_operating_point_lies_on_both_curves(threshold):
    logits, targets = answers(600)
    recall, precision, false, true = curves_of(logits, targets, "Smiling")
    here = at_threshold(logits, targets, "Smiling", threshold)
    assert np.hypot(recall - here["recall"], precision - here["precision"]).min() < 0.02
    assert np.hypot(false - here["false_positive_rate"], true - here["recall"]).min() < 0.02
    axes = view_threshold(logits, targets, curves_of(logits, targets, "Smiling"), "Smiling", threshold).figure.axes
    marked = axes[1].lines[-1].get_xydata()[0]
    assert np.allclose(marked, here[["recall", "precision"]].to_numpy(float))


def test_the_view_of_a_threshold_has_the_counts_in_figure_table_and_sentence():
    logits, targets = answers()
    here = at_threshold(logits, targets, "Young", 0.3)
    view = view_threshold(logits, targets, curves_of(logits, targets, "Young"), "Young", 0.3)
    shown = {text.get_text().split("\n")[0] for text in view.figure.axes[0].texts}
    assert {f"{here[name]:.0f}" for name in COUNTS} == shown
    assert view.table.index.tolist() == ["at 0.30", "at 0.50"]
    assert [view.table.loc["at 0.30", name] for name in COUNTS] == [f"{here[name]:.0f}" for name in COUNTS]
    assert f"recall {here['recall']:.4f}" in view.says and f"F1 {here['f1']:.4f}" in view.says


def test_what_is_not_defined_is_said_and_not_drawn():
    logits, targets = answers()
    targets[:, 1] = 0
    assert curves_of(logits, targets, "Wearing_Hat") is None
    view = view_threshold(logits, targets, None, "Wearing_Hat", 0.99)
    assert "recall not defined" in view.says and "nan" not in view.says


# Mistakes


def test_the_mistakes_are_all_the_wrong_predictions_with_the_largest_loss_first():
    logits, targets = answers()
    found = mistakes(logits, targets)
    columns = [ATTRIBUTES.index(name) for name in found["attribute"]]
    assert np.allclose(found["loss"], bce_losses(logits, targets)[found["row"], columns])
    assert found["loss"].is_monotonic_decreasing and len(found) == ((logits >= 0) != targets).sum()
    positive = targets[found["row"], columns] == 1
    assert (found["kind"] == np.where(positive, "false negative", "false positive")).all()


@pytest.mark.parametrize("attribute", [ALL, "Young"])
@pytest.mark.parametrize("kind", [ALL, *KINDS])
def test_the_pages_show_each_mistake_of_the_choice_once_and_in_order(attribute, kind):
    logits, targets = answers(200)
    found, split = mistakes(logits, targets), a_split(targets)
    kept = found[(found["attribute"] == attribute) | (attribute == ALL)]
    kept = kept[(kept["kind"] == kind) | (kind == ALL)]
    shown, pages = [], -(-len(kept) // PAGE)
    for page in range(1, pages + 1):
        view = view_mistakes(split, found, attribute, kind, page)
        shown += [text.get_text() for axis in view.figure.axes for text in axis.texts]
        assert view.says.startswith(f"Page {page} of {pages}: ") and f" of {len(kept)} " in view.says
    sides = {"false negative": "yes", "false positive": "no"}
    told = [
        f"{r.attribute.replace('_', ' ')}\nlabel {sides[r.kind]}, network {r.probability:.2f}"
        for r in kept.itertuples()
    ]
    assert shown == told


def test_the_face_above_a_mistake_is_its_image():
    logits, targets = answers(30)
    found, split = mistakes(logits, targets), a_split(targets)
    view = view_mistakes(split, found, ALL, ALL, 1)
    sheet = np.asarray(view.figure.axes[0].images[0].get_array())
    left = 3 * PITCH + (PITCH - 64) // 2  # of the fourth face of the first row
    drawn = sheet[left - 3 * PITCH :][:64, left : left + 64]
    assert np.array_equal(drawn, split.images[found["row"][3]].numpy().transpose(1, 2, 0))


def test_no_mistake_of_a_kind_is_told():
    logits, targets = answers(30)
    view = view_mistakes(a_split(targets), mistakes(logits, targets)[:0], "Male", "false positive", 1)
    assert view.says == "There is no false positive for Male among 30 images."
