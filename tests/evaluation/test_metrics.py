"""Metrics against a table worked by hand, against scikit-learn, and on the edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from helpers.evaluation import metrics

# Four images, five attributes. Worked by hand: tp, fp, fn, tn below.
TARGETS = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 1, 0], [1, 1, 0, 1, 0], [0, 0, 0, 0, 0]])
PREDICTED = np.array([[1, 0, 1, 1, 0], [1, 0, 1, 1, 0], [0, 1, 0, 1, 0], [0, 0, 1, 1, 0]])
COUNTS = {"tp": [1, 1, 2, 3, 0], "fp": [1, 0, 1, 1, 0], "fn": [1, 0, 0, 0, 0], "tn": [1, 3, 1, 0, 4]}

labels = st.integers(2, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 1), min_size=5 * n, max_size=5 * n)] * 2)
)


def test_confusion_counts_equal_the_table_worked_by_hand():
    assert metrics.confusion_counts(PREDICTED, TARGETS).to_dict("list") == COUNTS


def test_decision_scores_equal_the_values_worked_by_hand():
    scores = metrics.decision_scores(PREDICTED, TARGETS)
    assert scores["mean_accuracy"] == pytest.approx(16 / 20)
    assert scores["exact_match"] == pytest.approx(1 / 4)
    assert scores["micro_f1"] == pytest.approx(2 * 7 / (2 * 7 + 3 + 1))
    assert scores["macro_f1"] == pytest.approx((2 / 4 + 1 + 4 / 5 + 6 / 7) / 4)  # the fifth is not defined


def test_loss_equals_minus_the_log_of_the_right_answers_probability():
    logits = np.array([[0.0, np.log(3.0)]])
    assert metrics.bce_loss(logits, np.array([[1, 0]])) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_loss_and_probabilities_of_huge_logits_are_finite():
    logits = np.array([[1e4, -1e4]])
    assert metrics.bce_loss(logits, np.array([[1, 0]])) == 0
    assert metrics.bce_loss(logits, np.array([[0, 1]])) == pytest.approx(1e4)
    assert metrics.probabilities(logits).tolist() == [[1, 0]]


def test_a_dataset_metric_is_not_the_mean_of_its_batches():
    # A last batch of one image must weigh as one image: F1 and accuracy of batches do not average to the whole's.
    batches = [slice(0, 3), slice(3, 4)]
    mean_of_batches = np.mean([metrics.decision_scores(PREDICTED[b], TARGETS[b])["mean_accuracy"] for b in batches])
    assert metrics.decision_scores(PREDICTED, TARGETS)["mean_accuracy"] != pytest.approx(mean_of_batches)


@settings(deadline=None)
@given(labels)
def test_scores_agree_with_scikit_learn_on_any_answers(pair):
    predicted, targets = (np.array(flat).reshape(-1, 5) for flat in pair)
    scores = metrics.decision_scores(predicted, targets)
    assert scores["mean_accuracy"] == pytest.approx((predicted == targets).mean())
    assert scores["exact_match"] == pytest.approx(sklearn_metrics.accuracy_score(targets, predicted))
    micro = sklearn_metrics.f1_score(targets, predicted, average="micro", zero_division=np.nan)
    assert scores["micro_f1"] == pytest.approx(micro, nan_ok=True)
    each = sklearn_metrics.f1_score(targets, predicted, average=None, zero_division=np.nan)[targets.any(0)]
    assert scores["macro_f1"] == pytest.approx(each.mean() if len(each) else np.nan, nan_ok=True)


@settings(deadline=None)
@given(labels)
def test_counts_add_up_to_the_images(pair):
    predicted, targets = (np.array(flat).reshape(-1, 5) for flat in pair)
    counts = metrics.confusion_counts(predicted, targets)
    assert (counts.sum(axis=1) == len(targets)).all()
    assert ((counts["tp"] + counts["fn"]) == targets.sum(0)).all()


def test_thresholds_apply_to_their_own_attribute_and_include_equality():
    logits = np.zeros((1, 5))  # probability 0.5 everywhere
    assert metrics.predictions(logits, [0.5, 0.51, 0.4, 0.9, 0.1]).tolist() == [[1, 0, 1, 0, 1]]


def test_what_is_not_defined_is_nan_and_not_zero():
    logits, never = np.random.default_rng(0).normal(size=(6, 5)), np.zeros((6, 5), int)
    table = metrics.per_attribute(np.abs(logits), never)  # all predictions are positive, no target is
    assert table[["auroc", "average_precision", "recall"]].isna().all(axis=None)
    assert (table[["precision", "f1", "accuracy"]] == 0).all(axis=None)
    table = metrics.per_attribute(-np.abs(logits), never)  # nothing is positive
    assert table[["precision", "recall", "f1"]].isna().all(axis=None) and (table["accuracy"] == 1).all()
    assert math.isnan(metrics.decision_scores(never, never)["macro_f1"])


def test_an_attribute_without_positives_does_not_lower_macro_f1():
    targets = np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 0]])
    assert metrics.decision_scores(targets, targets)["macro_f1"] == 1


def test_auroc_does_not_depend_on_the_threshold():
    logits, targets = np.random.default_rng(1).normal(size=(50, 5)), np.arange(250).reshape(50, 5) % 2
    low, high = (metrics.per_attribute(logits, targets, t)["auroc"].tolist() for t in (0.1, 0.9))
    assert low == high


def test_prior_entropy_is_the_loss_of_answering_the_base_rates():
    targets = np.array([[1, 0, 1, 1, 0]] * 3 + [[0, 0, 1, 0, 1]] * 5)
    rates = targets.mean(0).clip(1e-9, 1 - 1e-9)
    logits = np.broadcast_to(np.log(rates / (1 - rates)), targets.shape)
    assert metrics.entropy(targets.mean(0)) == pytest.approx(metrics.bce_loss(logits, targets), abs=1e-6)


def test_best_constant_beats_every_constant_in_its_metric():
    targets = (np.random.default_rng(2).random((200, 5)) < [0.5, 0.05, 0.4, 0.8, 0.1]).astype(int)
    for metric in ("mean_accuracy", "micro_f1", "macro_f1", "exact_match"):
        best = metrics.best_constant(targets, metric)
        score = metrics.decision_scores(np.broadcast_to(best, targets.shape), targets)[metric]
        for code in range(32):
            other = [(code >> bit) & 1 for bit in range(5)]
            assert score >= metrics.decision_scores(np.broadcast_to(other, targets.shape), targets)[metric]
