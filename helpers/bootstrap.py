"""Intervals of the dataset metrics, by resampling persons: the images of one person are not independent."""

import numpy as np
import pandas as pd

from helpers import metrics
from helpers.config import ATTRIBUTES

RESAMPLES = 1000
AT_A_TIME = 100  # resamples; bounds the memory where every image is a person of its own


def bootstrap_scores(
    logits: np.ndarray,
    targets: np.ndarray,
    identities: np.ndarray | None,
    thresholds=0.5,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Return each of `metrics.scores` with its 95 % percentile interval: columns value, low, high.

    Whole persons are drawn with replacement (the cluster bootstrap: Davison and Hinkley, "Bootstrap Methods
    and their Application", 1997, section 3.8); without identities, images. The metrics are functions of sums
    over images, so each person is summed up once and a resample is a weighted sum of persons.
    """
    persons = _sums_by_person(logits, targets, identities, thresholds)
    rng = np.random.default_rng(seed)
    chunks = [min(AT_A_TIME, resamples - start) for start in range(0, resamples, AT_A_TIME)]
    evenly = np.full(len(persons), 1 / len(persons))
    drawn = [_scores(rng.multinomial(len(persons), evenly, size=chunk) @ persons) for chunk in chunks]
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975], axis=0)
    (value,) = _scores(persons.sum(0, keepdims=True))
    return pd.DataFrame({"value": value, "low": low, "high": high}, index=pd.Index(SCORES, name="metric"))


SCORES = ("loss", "mean_accuracy", "micro_f1", "macro_f1", "exact_match")


def _sums_by_person(logits, targets, identities, thresholds) -> np.ndarray:
    """Return one row a person: images, loss, answers right, images all right, then tp, fp, fn of each attribute."""
    predicted, truth = metrics.predictions(logits, thresholds).astype(bool), np.asarray(targets, bool)
    right = predicted == truth
    per_image = np.column_stack(
        [
            *(np.ones(len(truth)), metrics.bce_losses(logits, truth).mean(1), right.mean(1), right.all(1)),
            *(predicted & truth, predicted & ~truth, ~predicted & truth),
        ]
    ).astype(np.float64)
    if identities is None:
        return per_image
    names, person = np.unique(identities, return_inverse=True)
    sums = np.zeros((len(names), per_image.shape[1]))
    np.add.at(sums, person, per_image)
    return sums


def _scores(sums: np.ndarray) -> np.ndarray:
    """Return SCORES (R, 5) from sums (R, 4 + 3 x attributes)."""
    images, attributes = sums[:, :1], len(ATTRIBUTES)
    tp, fp, fn = (sums[:, 4 + i * attributes : 4 + (i + 1) * attributes] for i in range(3))
    micro = metrics.f1(tp.sum(1), fp.sum(1), fn.sum(1))
    return np.column_stack([sums[:, 1:3] / images, micro, metrics.f1(tp, fp, fn).mean(1), sums[:, 3:4] / images])
