"""Calibration: reliability by hand, temperatures that were planted, thresholds against trying all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.config import ATTRIBUTES
from helpers.evaluation import calibration, metrics
from helpers.evaluation.bootstrap import bootstrap_scores


def ece(table):
    """The expected calibration error of each attribute, from the reliability table (Guo et al., 2017)."""
    distance = (table["probability"] - table["rate"]).abs() * table["images"]
    return distance.groupby(table["attribute"]).sum() / table["images"].groupby(table["attribute"]).sum()


def logit(probability) -> np.ndarray:
    return np.log(probability) - np.log1p(-np.asarray(probability))


def columns(values) -> np.ndarray:
    """The same column five times."""
    return np.repeat(np.asarray(values)[:, None], 5, axis=1)


def rows(values) -> st.SearchStrategy:
    """Two arrays (N, 5), of `values` and of labels."""

    def of(n: int) -> st.SearchStrategy:
        labels = st.lists(st.integers(0, 1), min_size=5 * n, max_size=5 * n)
        return st.tuples(st.lists(values, min_size=5 * n, max_size=5 * n), labels)

    return st.integers(1, 12).flatmap(of).map(lambda pair: [np.array(flat, float).reshape(-1, 5) for flat in pair])


def simulated(images: int, seed: int = 0):
    """Logits that are calibrated, and labels drawn by them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-0.5, 2, (images, 5))
    return logits, (rng.random(logits.shape) < metrics.probabilities(logits)).astype(np.float32)


# Reliability


def test_reliability_and_its_error_equal_the_values_worked_by_hand():
    answers, truth = columns(logit([0.71, 0.79, 0.1, 0.95])), columns([1, 0, 0, 1])
    table = calibration.reliability(answers, truth, bins=5)
    assert table["attribute"].drop_duplicates().tolist() == list(ATTRIBUTES)
    male = table[table["attribute"] == "Male"]
    assert male["bin"].tolist() == [0, 3, 4] and male["images"].tolist() == [1, 2, 1]
    assert male["probability"].tolist() == pytest.approx([0.1, 0.75, 0.95])
    assert male["rate"].tolist() == [0, 0.5, 1]
    expected = (1 * 0.1 + 2 * 0.25 + 1 * 0.05) / 4
    assert ece(table).to_dict() == pytest.approx(dict.fromkeys(ATTRIBUTES, expected))


def test_sure_answers_lie_in_the_outer_bins():
    table = calibration.reliability(columns([-1e4, 1e4]), columns([0, 1]), bins=10)
    assert table["bin"].tolist() == [0, 9] * 5 and table["probability"].tolist() == [0, 1] * 5


def test_the_calibration_error_is_the_one_that_has_intervals():
    logits, truth = simulated(500)
    expected = bootstrap_scores(1.7 * logits, truth, None, resamples=2)["value"][:, "ece"]
    found = ece(calibration.reliability(1.7 * logits, truth))
    assert found[list(ATTRIBUTES)].tolist() == pytest.approx(expected[list(ATTRIBUTES)].tolist())


# Temperatures


def test_a_planted_temperature_is_found():
    logits, truth = simulated(40_000)
    factors = np.array([0.3, 0.7, 1.0, 2.0, 5.0])
    assert calibration.fit_temperatures(logits * factors, truth) == pytest.approx(factors, rel=0.05)


@settings(deadline=None, max_examples=50)
@given(rows(st.floats(-30, 30)))
def test_a_temperature_never_raises_the_loss_it_was_fitted_to(pair):
    logits, truth = pair
    scaled = metrics.bce_losses(logits / calibration.fit_temperatures(logits, truth), truth).mean(0)
    assert (scaled <= metrics.bce_losses(logits, truth).mean(0) + 1e-6).all()


def test_labels_that_are_all_alike_teach_no_temperature():
    logits, truth = simulated(500)
    truth[:, 0], truth[:, 1] = 0, 1
    temperatures = calibration.fit_temperatures(3 * logits, truth)
    assert temperatures[:2].tolist() == [1, 1] and temperatures[2:] == pytest.approx([3, 3, 3], rel=0.5)


def test_logits_that_separate_the_labels_teach_no_temperature():
    truth = np.tile([0, 1], 12)[:, None].repeat(5, 1)
    assert calibration.fit_temperatures(4.0 * truth - 2, truth).tolist() == [1] * 5


def test_the_calibration_error_by_chance_is_that_of_a_calibrated_network_and_falls_with_more_images():
    few, many = (calibration.ece_by_chance(simulated(images)[0], 0) for images in (250, 4_000))
    assert (many < few / 2).all() and (few > 0.02).all()
    logits, truth = simulated(4_000)
    own = bootstrap_scores(logits, truth, None, resamples=2)["value"].loc[:, "ece"][list(ATTRIBUTES)]
    assert many == pytest.approx(own.to_numpy(), rel=0.6)  # `simulated` draws its labels from the probabilities


# Thresholds


def score(answers: np.ndarray, truth: np.ndarray, threshold: float, goal: str) -> float:
    said = answers >= threshold
    if goal == "accuracy":
        return float(np.mean(said == truth))
    return 2 * np.sum(said * truth) / max(1, np.sum(said) + np.sum(truth))


@pytest.mark.parametrize("goal", ["f1", "accuracy"])
@settings(deadline=None)
@given(pair=rows(st.integers(-3, 3)))
def test_no_threshold_between_two_answers_does_better_and_of_equals_the_nearest_to_a_half_is_taken(goal, pair):
    logits, truth = pair
    chosen = calibration.choose_thresholds(logits, truth, goal)
    for answers, labels, threshold in zip(metrics.probabilities(logits).T, truth.T, chosen, strict=True):
        distinct, reached = np.unique(answers), score(answers, labels, threshold, goal)
        for other in [0.0, 0.5, *distinct, 1.0, *(distinct[1:] + distinct[:-1]) / 2]:
            assert score(answers, labels, other, goal) <= reached + 1e-9
        for other in [0.5, *(distinct[1:] + distinct[:-1]) / 2]:
            if score(answers, labels, other, goal) >= reached - 1e-9:
                assert abs(threshold - 0.5) <= abs(other - 0.5)


def test_each_attribute_has_its_own_threshold_for_the_goal_that_was_asked_for():
    # Worked by hand: F1 takes all three of the positives and two negatives, accuracy only the first positive.
    answers, truth = np.array([0.9, 0.6, 0.4, 0.3, 0.2, 0.1]), np.array([1, 0, 0, 1, 1, 0])
    logits, targets = columns(logit(answers)), columns(truth)
    logits[:, 1], targets[:, 1] = logit(answers[::-1] / 2), truth[::-1]
    assert calibration.choose_thresholds(logits, targets, "f1") == pytest.approx([0.15, 0.075, 0.15, 0.15, 0.15])
    assert calibration.choose_thresholds(logits, targets, "accuracy")[0] == pytest.approx(0.75)


def test_saying_yes_or_no_to_everything_is_tried_too():
    answers = columns(logit(np.array([0.1, 0.2, 0.3])))
    assert (calibration.choose_thresholds(answers, columns(np.array([1, 0, 0])), "f1") <= 0.1).all()
    assert (calibration.choose_thresholds(answers, columns(np.array([0, 0, 0])), "accuracy") > 0.3).all()
