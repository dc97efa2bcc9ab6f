"""Comparisons: rates and p-values worked by hand, gaps and shortcuts that were planted, and what others report."""

import math

import numpy as np
import pytest

from helpers.config import ATTRIBUTES
from helpers.evaluation import groups
from helpers.report.published import published

SMILING, HAT, MALE, YOUNG, GLASSES = range(5)


def labels(images: int, seed: int = 0) -> np.ndarray:
    """Labels that have nothing to do with each other."""
    return (np.random.default_rng(seed).random((images, 5)) < [0.5, 0.3, 0.4, 0.6, 0.3]).astype(int)


def answers(truth: np.ndarray, wrong: float, seed: int = 0) -> np.ndarray:
    """The labels, with this share of them answered wrongly, whoever it is."""
    return truth ^ (np.random.default_rng(seed + 1).random(truth.shape) < wrong)


# McNemar's test


def test_mcnemars_p_equals_the_value_worked_by_hand():
    truth = np.ones((14, 5), int)
    one, other = truth.copy(), truth.copy()
    other[:8, MALE], one[8:10, MALE] = 0, 0
    one[10:12], other[10:12] = 0, 0  # both wrong: says nothing
    table = groups.mcnemar(one, other, truth)
    # At most 2 or at least 8 heads in ten throws: 2 (1 + 10 + 45) / 1024.
    assert table.loc["Male"].to_dict() == pytest.approx({"only_one": 8, "only_other": 2, "p": 112 / 1024})
    assert table.loc["Smiling"].to_dict() == {"only_one": 0, "only_other": 0, "p": 1}
    assert tuple(table.index) == ATTRIBUTES


# Groups


def test_rates_of_groups_equal_the_values_worked_by_hand():
    #                 S  H  M  Y  E
    truth = np.array([[1, 0, 1, 1, 0], [1, 0, 1, 0, 0], [0, 0, 1, 1, 0], [1, 0, 0, 1, 0], [0, 0, 0, 1, 0]])
    smiling = [1, 0, 1, 1, 0]
    predicted = truth.copy()
    predicted[:, SMILING] = smiling
    table = groups.slices(predicted, truth, None, resamples=20).xs("Smiling", level="attribute")
    expected = {  # group: accuracy, TPR, FPR as (of how many, share)
        "Male": ((3, 1 / 3), (2, 1 / 2), (1, 1)),
        "not Male": ((2, 1), (1, 1), (1, 0)),
        "Young": ((4, 3 / 4), (2, 1), (2, 1 / 2)),
        "not Young": ((1, 0), (1, 0), (0, np.nan)),
        "Male, Young": ((2, 1 / 2), (1, 1), (1, 1)),
        "Male, not Young": ((1, 0), (1, 0), (0, np.nan)),
        "not Male, Young": ((2, 1), (1, 1), (1, 0)),
        "not Male, not Young": ((0, np.nan), (0, np.nan), (0, np.nan)),
    }
    assert table.index.get_level_values("group").drop_duplicates().tolist() == list(expected)
    for group, rates in expected.items():
        for rate, (images, share) in zip(groups.RATES, rates, strict=True):
            row = table.loc[(group, rate)]
            assert row["images"] == images and row["value"] == pytest.approx(share, nan_ok=True)


def test_rates_lie_in_their_intervals_and_groups_add_up():
    truth = labels(600)
    table = groups.slices(answers(truth, 0.1), truth, np.arange(600) // 10, resamples=100).dropna()
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    images = table["images"].xs("accuracy", level="rate").unstack("group")
    for one, other in (("Male", "not Male"), ("Young", "not Young")):
        assert (images[one] + images[other] == 600).all()
    assert (images["Male, Young"] + images["Male, not Young"] == images["Male"]).all()


# Gaps


def gaps(wrong: np.ndarray, truth: np.ndarray):
    persons = np.random.default_rng(2).integers(0, 300, len(truth))
    return groups.gaps(wrong, truth, persons, resamples=400)


def test_a_planted_gap_is_the_largest_has_its_sign_and_its_interval_excludes_none():
    truth = labels(3000)
    predicted = answers(truth, 0.05)
    missed = (truth[:, MALE] == 1) & (truth[:, SMILING] == 1) & (np.random.default_rng(3).random(3000) < 0.4)
    predicted[missed, SMILING] = 0
    first = gaps(predicted, truth).iloc[0]
    assert (first["group"], first["rate"], first["attribute"]) == ("Male", "tpr", "Smiling")
    assert first["value"] == pytest.approx(-0.38, abs=0.05) and first["high"] < 0  # Male minus not Male


def test_where_no_gap_was_planted_most_intervals_hold_none():
    truth = labels(3000)
    table = gaps(answers(truth, 0.1), truth)
    assert ((table["low"] <= 0) & (table["high"] >= 0)).mean() > 0.8


def test_gaps_are_the_differences_of_the_groups_rates():
    truth = labels(300)
    predicted = answers(truth, 0.2)
    rates = groups.slices(predicted, truth, None, resamples=2)
    table = groups.gaps(predicted, truth, None, resamples=2)
    for row in table[table["group"].isin(["Male", "Young"])].itertuples():
        inside, outside = (rates.loc[(group, row.rate, row.attribute)] for group in (row.group, f"not {row.group}"))
        assert row.value == pytest.approx(inside["value"] - outside["value"])
        assert row.images == min(inside["images"], outside["images"])


def test_an_attribute_is_not_compared_between_groups_that_it_makes_itself():
    truth = labels(3000)
    table = gaps(answers(truth, 0.1), truth)
    assert len(table) == 2 * 3 * 4 + 4 * 3 * 3  # two sides, and their four combinations
    assert not any(row.attribute in row.group for row in table.itertuples())


def test_a_combination_of_both_labels_is_compared_with_all_others():
    truth = labels(3000)
    predicted = answers(truth, 0.0)
    both = (truth[:, MALE] == 1) & (truth[:, YOUNG] == 0)
    predicted[both, HAT] = 0  # no hat is found on them, and every hat elsewhere
    largest = gaps(predicted, truth).iloc[0]
    assert (largest["group"], largest["rate"], largest["attribute"]) == ("Male, not Young", "tpr", "Wearing_Hat")
    assert largest["value"] == -1


def test_gaps_of_few_images_come_last_however_large():
    truth = labels(3000)
    truth[:, HAT] = 0
    truth[:10, HAT], truth[:10, MALE] = 1, [1, 0] * 5
    predicted = answers(truth, 0.05)
    predicted[:10, HAT] = truth[:10, MALE]  # a gap of 1 in the TPR
    table = gaps(predicted, truth)
    few = table[table["images"] < groups.ENOUGH]
    assert table["enough"].is_monotonic_decreasing and (table["enough"] == (table["images"] >= groups.ENOUGH)).all()
    largest = few.iloc[0]
    assert (largest["group"], largest["rate"], largest["attribute"], largest["value"]) == (
        "Male",
        "tpr",
        "Wearing_Hat",
        1,
    )
    for part in (few, table[table["enough"]]):
        assert part["value"].abs().is_monotonic_decreasing


@pytest.mark.parametrize("wide", [True, False])
def test_a_shift_between_splits_is_measured_in_standard_errors_over_persons(wide):
    # Each person is all smiles or none: 200 persons, with 1 image each or with 25.
    each = 25 if wide else 1
    smiles, splits = np.tile([1.0, 0.0], 100), np.repeat(["train", "valid", "test"], [100, 50, 50])
    smiles[150:160] = 1  # five more persons of test smile: 30 of 50, in place of 25
    labels = np.zeros((200 * each, 5))
    labels[:, 0] = np.repeat(smiles, each)
    table = groups.split_shifts(labels, np.repeat(splits, each), np.repeat(np.arange(200), each))
    row = table.loc[("Smiling", "test")]
    error = math.sqrt(0.6 * 0.4 / 49 + 0.5 * 0.5 / 99)  # as many as there are persons, not images
    assert row["shift"] == pytest.approx(0.1) and row["error"] == pytest.approx(error)
    assert row["errors"] == pytest.approx(0.1 / error)
    assert math.isnan(table.loc[("Male", "test"), "errors"])  # nobody is male: there is no noise to compare with


def test_a_gap_of_few_persons_is_not_named_however_many_images_they_have():
    truth = labels(600)
    predicted = answers(truth, 0.2)
    few = groups.gaps(predicted, truth, np.arange(600) % 15, resamples=20)
    assert (few["images"] >= groups.ENOUGH).any() and not few["enough"].any() and few["persons"].max() == 15
    assert groups.gaps(predicted, truth, np.arange(600) // 2, resamples=20)["enough"].any()


# Shortcuts


def test_an_answer_built_from_another_label_is_told_from_one_built_from_its_own():
    truth, noise = labels(4000), np.random.default_rng(4).normal(size=(4000, 5))
    logits = 3 * truth + noise
    logits[:, HAT] = 3 * truth[:, MALE] + noise[:, HAT]
    table = groups.shortcuts(logits, truth, None, resamples=50)
    assert table.loc["Wearing_Hat", "beyond_its_label"] > 0.5 and table.loc["Wearing_Hat", "logits"] > 0.5
    assert (table["beyond_its_label"].drop("Wearing_Hat").abs() < 0.01).all()


def test_a_tie_between_labels_is_no_shortcut_of_the_answers():
    truth = labels(4000)
    truth[:, GLASSES] = truth[:, YOUNG]
    logits = 3 * truth + np.random.default_rng(5).normal(size=truth.shape)
    table = groups.shortcuts(logits, truth, None, resamples=50)
    assert table["labels"][["Young", "Eyeglasses"]].tolist() == pytest.approx([1, 1])
    assert table["labels"]["Smiling"] < 0.01
    assert table["logits"]["Young"] > 0.5 and abs(table["beyond_its_label"]["Young"]) < 0.01


def test_persons_alike_in_their_errors_are_no_shortcut():
    # Twelve persons with errors of their own: in-sample R² would be a fifth, of persons left out it is not above 0.
    rng, found = np.random.default_rng(6), []
    for _ in range(20):
        identities = np.repeat(np.arange(12), 20)
        truth = rng.integers(0, 2, (12, 5))[identities].astype(float)
        logits = 3 * truth + rng.normal(0, 2, (12, 5))[identities]
        found.append(groups.shortcuts(logits, truth, identities, resamples=50)["beyond_its_label"].mean())
    assert np.mean(found) < 0.02


# What others report


def test_published_means_are_those_of_their_five_accuracies():
    table = published()
    assert len(table) == 4 and list(table) == ["result", "pixels", "source", *ATTRIBUTES, "mean"]
    accuracies = table[list(ATTRIBUTES)]
    assert ((accuracies > 0.8) & (accuracies < 1)).all(axis=None)
    assert table["mean"].tolist() == pytest.approx(accuracies.mean(axis=1).tolist())
    assert table.loc[0, list(ATTRIBUTES)].tolist() == [0.92, 0.99, 0.98, 0.87, 0.99]  # Liu et al., 2015


def test_a_label_that_never_changes_has_nothing_to_explain():
    rng = np.random.default_rng(0)
    targets, logits = rng.integers(0, 2, (60, 5)), rng.normal(size=(60, 5))
    targets[:, 2] = 1
    table = groups.shortcuts(logits, targets, None, resamples=20)
    assert np.isnan(table.loc["Male", "labels"]) and table["labels"].notna().sum() == 4
    assert table["logits"].between(-2, 1).all() and table["labels"].dropna().between(-2, 1).all()
