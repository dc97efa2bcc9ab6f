"""Intervals: the values are the metrics', the resampling is by person, slow code by hand agrees, and 95 % are 95 %."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from helpers.config import ATTRIBUTES
from helpers.evaluation import metrics
from helpers.evaluation.bootstrap import (
    EACH,
    INDEX,
    OVERALL,
    _Ranking,
    bootstrap_difference,
    bootstrap_ranking,
    bootstrap_scores,
    every_interval,
    intervals,
    tails,
    verdict,
)

COUNTED = ("loss", "mean_accuracy", "micro_f1", "macro_f1", "exact_match")


def answers(images: int, persons: int, seed: int = 0):
    """Logits whose mistakes are a person's, not an image's: all of a person's images are alike."""
    rng = np.random.default_rng(seed)
    identities = np.sort(rng.integers(0, persons, images))
    truth = rng.random((persons, 5)) < 0.4
    logits = np.where(truth, 2.0, -2.0) + rng.normal(0, 2, (persons, 5))
    return logits[identities], truth[identities].astype(np.float32), identities


def width(table: pd.DataFrame) -> pd.Series:
    return table["high"] - table["low"]


# The values


@pytest.mark.parametrize("thresholds", [0.5, [0.3, 0.5, 0.7, 0.9, 0.1]])
def test_the_values_are_the_dataset_metrics(thresholds):
    logits, truth, identities = answers(400, 40)
    table = bootstrap_scores(logits, truth, identities, thresholds, resamples=50)
    assert table.index.equals(INDEX) and (table["low"] <= table["high"]).all()
    overall, scores = table.loc["overall", "value"], metrics.scores(logits, truth, thresholds)
    assert tuple(overall.index) == OVERALL
    assert overall[list(COUNTED)].to_dict() == pytest.approx({name: scores[name] for name in COUNTED})
    each = metrics.per_attribute(logits, truth, thresholds)
    values = table["value"].unstack("metric").loc[list(ATTRIBUTES), list(EACH)]
    for name in ("accuracy", "precision", "recall", "f1"):
        assert values[name].tolist() == pytest.approx(each[name].tolist())
    assert values["loss"].tolist() == pytest.approx(metrics.bce_losses(logits, truth).mean(0).tolist())


def test_the_ranking_values_are_the_dataset_metrics():
    logits, truth, identities = answers(400, 40)
    values = bootstrap_ranking(logits, truth, identities, resamples=20)["value"]
    each = metrics.per_attribute(logits, truth)
    for name in ("auroc", "average_precision"):
        assert values[:, name][list(ATTRIBUTES)].tolist() == pytest.approx(each[name].tolist())
        assert values["overall", name] == pytest.approx(each[name].mean())


def test_brier_and_calibration_error_equal_the_values_worked_by_hand():
    answer = np.array([0.68, 0.72, 0.1, 0.95])  # the first two in one of fifteen bins, the others in their own
    logits = np.repeat(np.log(answer / (1 - answer))[:, None], 5, axis=1)
    truth = np.repeat([[1], [0], [0], [1]], 5, axis=1)
    values = bootstrap_scores(logits, truth, None, resamples=2)["value"]
    assert values[:, "brier"].tolist() == pytest.approx([(0.32**2 + 0.72**2 + 0.1**2 + 0.05**2) / 4] * 6)
    assert values[:, "ece"].tolist() == pytest.approx([(0.4 + 0.1 + 0.05) / 4] * 6)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(-2, 2), st.booleans(), st.integers(0, 3)), min_size=2, max_size=25))
def test_weighted_rankings_with_ties_are_scikit_learns(images):
    scores, truth, weights = (np.array(column, float) for column in zip(*images, strict=True))
    assume((weights * truth).any() and (weights * (1 - truth)).any())
    ranking = _Ranking(scores, truth)
    area, average = ranking.scores(weights[None, ranking.order])[0]
    assert area == pytest.approx(roc_auc_score(truth, scores, sample_weight=weights))
    assert average == pytest.approx(average_precision_score(truth, scores, sample_weight=weights))


def test_a_missing_class_gives_nan_and_no_warning():
    logits, truth, identities = answers(200, 20)
    truth[:, 0], truth[:, 1] = 0, 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = bootstrap_ranking(logits, truth, identities, resamples=20)
        bootstrap_scores(logits, truth, identities, resamples=20)
    nothing = itertools.product(("Smiling", "Wearing_Hat"), ("auroc", "average_precision"))
    assert table.loc[list(nothing)].isna().all(axis=None)
    defined = table.loc[["Male", "Young", "Eyeglasses"]]
    assert defined.notna().all(axis=None)
    assert table.loc[("overall", "auroc"), "value"] == pytest.approx(defined["value"].loc[:, "auroc"].mean())


def test_logits_that_are_not_finite_have_no_ranking():
    logits, truth, identities = answers(200, 20)
    logits[7, 0] = np.nan
    table = bootstrap_ranking(logits, truth, identities, resamples=20)
    assert table.loc["Smiling"].isna().all(axis=None) and table.loc["Male"].notna().all(axis=None)


def test_few_persons_have_wider_intervals_and_one_has_none():
    assert tails(2_000) == pytest.approx((0.025, 0.975), abs=1e-4)
    # Student's 2.201 for 11 degrees of freedom, times the square root of 12 / 11, as a quantile of the normal law.
    assert tails(12)[0] == pytest.approx(0.01075, abs=1e-4) and sum(tails(12)) == pytest.approx(1)
    logits, truth, _ = answers(40, 20)
    alone = bootstrap_scores(logits, truth, np.zeros(40, int), resamples=20)
    assert alone["value"].notna().any() and alone[["low", "high"]].isna().all(axis=None)
    assert verdict(alone.loc[("overall", "loss")], lower_is_better=True) == "which has no interval"


@pytest.mark.slow
def test_intervals_of_twelve_persons_contain_the_truth_about_as_often_as_they_say():
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        rates = rng.normal(0.8, 0.1, 12)
        right = rng.random((12, 20)) < rates[:, None]
        sums = np.column_stack([right.sum(1), np.full(12, 20)]).astype(float)
        share = lambda drawn: drawn[:, :1] / drawn[:, 1:]  # noqa: E731
        row = intervals(sums, share, pd.Index(["accuracy"]), resamples=400).iloc[0]
        found.append(row["low"] <= 0.8 <= row["high"])
    assert 0.92 <= np.mean(found) <= 0.98


def test_macro_f1_is_over_the_attributes_that_occur_in_every_resample():
    logits, truth, identities = answers(200, 20)
    truth[:, 1] = 0
    truth[3, 1], logits[:, 1] = 1, -9  # one hat, which is missed
    row = bootstrap_scores(logits, truth, identities, resamples=200).loc[("overall", "macro_f1")]
    assert row["high"] <= 0.8, "a resample without the hat would have a mean over four attributes"


# The resampling


def test_intervals_are_those_of_resampling_persons_by_hand():
    logits, truth, identities = answers(300, 30)

    def by_hand(rows: np.ndarray) -> list[float]:
        scores, accuracy = metrics.scores(logits[rows], truth[rows]), metrics.predictions(logits[rows]) == truth[rows]
        yes, no = (logits[rows, 2][truth[rows, 2] == label][:, None] for label in (1, 0))
        area = ((yes > no.T) + 0.5 * (yes == no.T)).mean()
        return [*(scores[name] for name in COUNTED), accuracy[:, 2].mean(), area]

    rng, of = np.random.default_rng(5), [np.flatnonzero(identities == p) for p in np.unique(identities)]
    drawn = [by_hand(np.concatenate([of[p] for p in rng.choice(len(of), len(of))])) for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    names = [*(("overall", name) for name in COUNTED), ("Male", "accuracy"), ("Male", "auroc")]
    table = every_interval(logits, truth, identities, resamples=2000).loc[names]
    assert (np.abs(table["low"] - low) < 0.1 * (high - low)).all()
    assert (np.abs(table["high"] - high) < 0.1 * (high - low)).all()


def test_the_order_of_the_images_changes_nothing():
    logits, truth, identities = answers(200, 20)
    mixed = np.random.default_rng(1).permutation(200)
    one, other = (
        every_interval(logits[rows], truth[rows], identities[rows], resamples=50)[["value", "low", "high"]]
        for rows in (slice(None), mixed)
    )
    assert np.allclose(one, other, equal_nan=True)


def test_images_of_one_person_are_not_counted_as_independent():
    logits, truth, identities = answers(1000, 25)
    by_person, by_image = (width(bootstrap_scores(logits, truth, of)) for of in (identities, None))
    assert by_person["overall", "mean_accuracy"] > 2 * by_image["overall", "mean_accuracy"]


@pytest.mark.slow
def test_95_percent_intervals_hold_the_truth_95_times_in_100():
    # A little less often, as percentiles do: 94.1 to 94.6 % of 10,000 datasets of 150 persons, by the distribution of
    # what they are; 92.9 to 94.3 % at 50 persons, 94.3 to 94.6 % at 400.
    rng, persons, at_once, held = np.random.default_rng(0), 150, 100, []
    for seed in range(40):
        images = rng.poisson(20, (persons, at_once))  # one column a dataset; all are resampled with the same draws
        right = rng.binomial(5 * images, rng.beta(9, 1, images.shape)) / 5
        sums, index = np.hstack([images, right]).astype(float), pd.RangeIndex(at_once)
        table = intervals(sums, lambda drawn: drawn[:, at_once:] / drawn[:, :at_once], index, seed=seed)
        held += list((table["low"] <= 0.9) & (table["high"] >= 0.9))
    assert len(held) == 4000 and 0.93 <= np.mean(held) <= 0.97


@pytest.mark.slow
def test_intervals_by_image_hold_the_truth_far_less_often_than_those_by_person():
    rng, persons, held = np.random.default_rng(1), 150, {"person": [], "image": []}
    for seed in range(40):
        identities = np.repeat(np.arange(persons), rng.poisson(20, persons))
        right = rng.random((len(identities), 5)) < rng.beta(9, 1, persons)[identities, None]
        truth = rng.random(right.shape) < 0.4
        for unit, of in (("person", identities), ("image", None)):
            logits = np.where(right == truth, 2.0, -2.0)
            table = bootstrap_scores(logits, truth, of, resamples=100, seed=seed)
            low, high = table.loc[("overall", "mean_accuracy"), ["low", "high"]]
            held[unit].append(low <= 0.9 <= high)
    assert np.mean(held["person"]) > 0.85 > np.mean(held["image"])


def test_the_same_seed_gives_the_same_intervals_and_another_gives_others():
    logits, truth, identities = answers(200, 20)
    one, same, other = (every_interval(logits, truth, identities, seed=seed, resamples=50) for seed in (3, 3, 4))
    assert one.equals(same) and one["value"].equals(other["value"]) and not one["low"].equals(other["low"])


def test_image_intervals_stand_beside_only_where_there_are_persons():
    logits, truth, identities = answers(200, 20)
    by_image = every_interval(logits, truth, None, resamples=50)
    assert list(by_image) == ["value", "low", "high"]
    both = every_interval(logits, truth, identities, resamples=50)
    assert list(both) == ["value", "low", "high", "image_low", "image_high"]
    assert both["image_low"].equals(by_image["low"]) and both["image_high"].equals(by_image["high"])
    by_person = bootstrap_scores(logits, truth, identities, resamples=50)
    assert both.loc[INDEX, ["value", "low", "high"]].equals(by_person)
    assert both.index.is_unique and len(both) == len(INDEX) + 12


# Differences


def test_a_thing_differs_from_itself_by_exactly_nothing():
    logits, truth, identities = answers(200, 20)
    table = bootstrap_difference((logits, 0.4), (logits, 0.4), truth, identities, resamples=50)
    assert table.index.equals(INDEX) and (table == 0).all(axis=None)


def test_a_difference_is_the_first_above_the_second_each_at_its_own_thresholds():
    logits, truth, identities = answers(200, 20)
    worse, thresholds = logits - 1, [0.3, 0.5, 0.7, 0.9, 0.1]
    table = bootstrap_difference((logits, 0.5), (worse, thresholds), truth, identities, resamples=5)
    values = (
        bootstrap_scores(*each, resamples=5)["value"]
        for each in ((logits, truth, identities, 0.5), (worse, truth, identities, thresholds))
    )
    assert np.allclose(table["value"], next(values) - next(values))


def test_a_difference_that_is_of_whole_persons_has_a_wider_interval_over_persons():
    logits, truth, identities = answers(1000, 25)
    other = np.where(
        (identities % 2 == 0)[:, None], -logits, logits
    )  # wrong where the first is right, for whole persons
    pair = (other, 0.5), (logits, 0.5)
    over_persons, over_images = (width(bootstrap_difference(*pair, truth, ids)) for ids in (identities, None))
    for name in ("loss", "mean_accuracy", "micro_f1"):
        assert over_persons["overall", name] > 2 * over_images["overall", name]


def test_what_is_hard_for_both_cancels_in_the_difference_of_two_nearly_equal_models():
    logits, truth, identities = answers(1000, 50)
    other = logits.copy()
    other[::50] *= -1
    difference = bootstrap_difference((other, 0.5), (logits, 0.5), truth, identities)
    alone = [bootstrap_scores(each, truth, identities) for each in (logits, other)]
    for name in ("loss", "mean_accuracy", "micro_f1"):
        assert width(difference)["overall", name] < 0.5 * min(width(table)["overall", name] for table in alone)


@pytest.mark.parametrize(
    ("low", "high", "lower_is_better", "words"),
    [
        (0.1, 0.2, False, "better"),
        (-0.2, -0.1, False, "worse"),
        (-0.2, -0.1, True, "better"),
        (0.1, 0.2, True, "worse"),
        (-0.1, 0.2, False, "cannot be told"),
    ],
)
def test_a_verdict_follows_the_interval_and_the_direction_of_the_metric(low, high, lower_is_better, words):
    assert words in verdict({"low": low, "high": high}, lower_is_better)
