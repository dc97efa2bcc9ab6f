"""Intervals: the values are the metrics', the resampling is by person, and slow code by hand agrees."""

import numpy as np
import pytest

from helpers import metrics
from helpers.bootstrap import SCORES, bootstrap_scores


def answers(images: int, persons: int, seed: int = 0):
    """Logits whose mistakes are a person's, not an image's: all of a person's images are alike."""
    rng = np.random.default_rng(seed)
    identities = np.sort(rng.integers(0, persons, images))
    truth = rng.random((persons, 5)) < 0.4
    logits = np.where(truth, 2.0, -2.0) + rng.normal(0, 2, (persons, 5))
    return logits[identities], truth[identities].astype(np.float32), identities


def test_the_values_are_the_dataset_metrics():
    logits, truth, identities = answers(400, 40)
    table = bootstrap_scores(logits, truth, identities, resamples=50)
    assert table["value"].to_dict() == pytest.approx(metrics.scores(logits, truth))
    assert tuple(table.index) == SCORES and (table["low"] <= table["high"]).all()


def test_intervals_are_those_of_resampling_persons_by_hand():
    logits, truth, identities = answers(300, 30)
    rng, by_hand = np.random.default_rng(5), []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(identities == p) for p in rng.choice(np.unique(identities), 30)])
        by_hand.append([metrics.scores(logits[rows], truth[rows])[name] for name in SCORES])
    table = bootstrap_scores(logits, truth, identities, resamples=2000)
    low, high = np.quantile(by_hand, [0.025, 0.975], axis=0)
    width = high - low
    assert (
        np.abs(table["low"] - low).max() < 0.1 * width.max() and np.abs(table["high"] - high).max() < 0.1 * width.max()
    )


def test_images_of_one_person_are_not_counted_as_independent():
    logits, truth, identities = answers(1000, 25)
    by_person = bootstrap_scores(logits, truth, identities).loc["mean_accuracy"]
    by_image = bootstrap_scores(logits, truth, None).loc["mean_accuracy"]
    assert by_person["high"] - by_person["low"] > 2 * (by_image["high"] - by_image["low"])


def test_the_same_seed_gives_the_same_intervals():
    logits, truth, identities = answers(200, 20)
    assert bootstrap_scores(logits, truth, identities, seed=3).equals(
        bootstrap_scores(logits, truth, identities, seed=3)
    )
