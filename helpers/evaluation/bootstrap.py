"""Confidence intervals of the metrics of a split, by bootstrap over persons.

The images of one person are not independent, so whole persons are drawn with replacement (the cluster bootstrap:
Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8). Without identities, images are
drawn. The 95 % intervals are Hesterberg's expanded percentile intervals ("What Teachers Should Know About the
Bootstrap", 2015): for many persons they go from percentile 2.5 to percentile 97.5, for few they are as much wider as
Student's t is. With one person there is none (NaN). Tables have one row per quantity, indexed by `of` ("overall" or an
attribute) and `metric`, with the columns value, low and high.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTES
from helpers.evaluation import metrics

RESAMPLES = 1000
AT_A_TIME = 100  # resamples per step; bounds the memory if each image counts as a person
BINS = 15  # of the expected calibration error, as in Guo et al., "On Calibration of Modern Neural Networks" (2017)
OVERALL = ("loss", "mean_accuracy", "micro_f1", "macro_f1", "exact_match", "brier", "ece")
EACH = ("loss", "accuracy", "precision", "recall", "f1", "brier", "ece")
INDEX = pd.MultiIndex.from_tuples(
    [("overall", name) for name in OVERALL] + [(of, name) for name in EACH for of in ATTRIBUTES], names=["of", "metric"]
)
_N = len(ATTRIBUTES)


def bootstrap_scores(
    logits: np.ndarray, targets: np.ndarray, identities: np.ndarray | None, thresholds=0.5, **draw
) -> pd.DataFrame:
    """Return the metrics of a split with their intervals: OVERALL for the split, and EACH per attribute.

    All metrics are functions of sums over images. Each person is therefore summed once, and a resample is a weighted
    sum of persons. `draw` may set `resamples` (default 1,000) and `seed` (default 0). The expected calibration error
    of a resample is biased upwards, so its interval may lie above its value.
    """
    scores = partial(_scores, occurs=np.any(targets, axis=0))
    return intervals(sums_by_person(_per_image(logits, targets, thresholds), identities), scores, INDEX, **draw)


def every_interval(logits, targets, identities: np.ndarray | None, thresholds=0.5, **draw) -> pd.DataFrame:
    """Return `bootstrap_scores` and `bootstrap_ranking` in one table, with intervals over persons.

    With identities, the columns image_low and image_high add the intervals over images, for comparison. Without
    identities, low and high are the intervals over images.
    """

    def table(of: np.ndarray | None) -> pd.DataFrame:
        scores = bootstrap_scores(logits, targets, of, thresholds, **draw)
        return pd.concat([scores, bootstrap_ranking(logits, targets, of, **draw)])

    if identities is None:
        return table(None)
    by_image = table(None)
    return table(identities).assign(image_low=by_image["low"], image_high=by_image["high"])


def bootstrap_difference(
    one: tuple[np.ndarray, object], other: tuple[np.ndarray, object], targets, identities, **draw
) -> pd.DataFrame:
    """Return the difference of `one` minus `other` in each metric, with paired intervals.

    `one` and `other` are each (logits, thresholds) for the same images. Both are scored on the same resamples, so that
    the difficulty of a resample cancels.
    """
    columns = np.column_stack([_per_image(logits, targets, thresholds) for logits, thresholds in (one, other)])
    half, scores = columns.shape[1] // 2, partial(_scores, occurs=np.any(targets, axis=0))
    sums = sums_by_person(columns, identities)
    return intervals(sums, lambda drawn: scores(drawn[:, :half]) - scores(drawn[:, half:]), INDEX, **draw)


def verdict(difference, lower_is_better: bool = False) -> str:
    """Say in words whether a difference with its interval (`low`, `high`) shows an improvement."""
    if not math.isfinite(difference["low"]) or not math.isfinite(difference["high"]):
        return "which has no interval"
    if difference["low"] <= 0 <= difference["high"]:
        return "which cannot be told from chance"
    return "better beyond chance" if (difference["low"] > 0) != lower_is_better else "worse beyond chance"


def bootstrap_ranking(
    logits: np.ndarray, targets: np.ndarray, identities: np.ndarray | None, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Return AUROC and average precision of each attribute, and their means as "overall", with intervals.

    What is not defined, as in `metrics.per_attribute`, is NaN, and left out of the means. The images are sorted by
    score once; a resample only changes the weight of each image.
    """
    person, count = number_persons(identities, len(logits))
    columns = zip(np.asarray(logits).T, np.asarray(targets).T, strict=True)
    rankings = [_Ranking(scores, truth) for scores, truth in columns]

    def scores(weights: np.ndarray) -> np.ndarray:
        by_image = (weights.astype(np.float32)[:, person[ranking.order]] for ranking in rankings)
        return np.concatenate([ranking.scores(w) for ranking, w in zip(rankings, by_image, strict=True)], axis=1)

    value = scores(np.ones((1, count)))
    # 20 resamples at a time, so that the arrays fit in the CPU's cache.
    drawn = np.concatenate([scores(weights) for weights in draws(count, resamples, seed, at_a_time=20)])
    names = [(of, name) for of in ATTRIBUTES for name in ("auroc", "average_precision")]
    names += [("overall", "auroc"), ("overall", "average_precision")]
    defined = ~np.isnan(value[0])  # the same attributes in every resample
    value, drawn = (_with_means(each, defined) for each in (value, drawn))
    return _table(value, drawn, pd.MultiIndex.from_tuples(names, names=["of", "metric"]), count)


def _with_means(table: np.ndarray, defined: np.ndarray) -> np.ndarray:
    means = [metrics.ratio(table[:, i::2][:, defined[i::2]].sum(1), defined[i::2].sum()) for i in (0, 1)]
    return np.column_stack([table, *means])


class _Ranking:
    """The images of one attribute, from the highest score to the lowest; equal scores form one step."""

    def __init__(self, scores: np.ndarray, truth: np.ndarray):
        self.finite = np.isfinite(scores).all()
        self.order = np.argsort(-scores, kind="stable")
        self.positive = np.asarray(truth, np.float32)[self.order]
        self.ends = np.flatnonzero(np.append(np.diff(scores[self.order]) != 0, True))

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Return AUROC and average precision (R, 2) for weights (R, N) in this order; NaN if a class is missing.

        AUROC is the area under the ROC curve by the trapezoidal rule. Average precision is the sum of precision times
        the step in recall. Both are taken over the distinct scores, as in scikit-learn.
        """
        tp = np.cumsum(weights * self.positive, axis=1)[:, self.ends]
        predicted = np.cumsum(weights, axis=1)[:, self.ends]  # predicted positive at each distinct score
        positives, negatives = tp[:, -1:], predicted[:, -1:] - tp[:, -1:]
        fp = predicted - tp
        steps = np.diff(tp, axis=1, prepend=0)
        wider = np.diff(fp, axis=1, prepend=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            area = (wider * (tp - steps / 2)).sum(1, dtype=np.float64, keepdims=True) / positives / negatives
            precision = np.divide(tp, predicted, out=np.zeros_like(tp), where=predicted > 0)
            average = (steps * precision).sum(1, dtype=np.float64, keepdims=True) / positives
        average = np.where(negatives > 0, average, np.nan)
        both = np.column_stack([area, average])
        return both if self.finite else np.full_like(both, np.nan)


def intervals(
    sums: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    index: pd.Index,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the values of `statistic`, with bootstrap intervals over persons.

    `sums` (P, K) has one row per person. `statistic` maps the sums of R resamples (R, K) to their values (R, M).
    """
    drawn = np.concatenate([statistic(weights @ sums) for weights in draws(len(sums), resamples, seed)])
    return _table(statistic(sums.sum(0, keepdims=True)), drawn, index, len(sums))


def draws(persons: int, resamples: int, seed: int, at_a_time: int = AT_A_TIME) -> Iterator[np.ndarray]:
    """Yield how often each person is drawn in each resample: counts (R, persons), with R at most `at_a_time`."""
    rng, evenly = np.random.default_rng(seed), np.full(persons, 1 / persons)
    for start in range(0, resamples, at_a_time):
        yield rng.multinomial(persons, evenly, size=min(at_a_time, resamples - start))


def sums_by_person(per_image: np.ndarray, identities: np.ndarray | None) -> np.ndarray:
    """Return the sums (P, K) of the columns (N, K) over the images of each person."""
    if identities is None:
        return per_image
    person, _ = number_persons(identities, len(per_image))
    order = np.argsort(person, kind="stable")
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    return np.add.reduceat(per_image[order], starts, axis=0)


def number_persons(identities: np.ndarray | None, images: int) -> tuple[np.ndarray, int]:
    """Return the person of each image as a number from 0, and the number of persons."""
    if identities is None:
        return np.arange(images), images
    names, person = np.unique(identities, return_inverse=True)
    return person, len(names)


def _table(value: np.ndarray, drawn: np.ndarray, index: pd.Index, persons: int) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a quantity that is NaN in every resample stays NaN
        low, high = np.nanquantile(drawn, tails(persons), axis=0) if persons > 1 else (math.nan, math.nan)
    return pd.DataFrame({"value": value[0], "low": low, "high": high}, index=index)


def tails(persons: int) -> tuple[float, float]:
    """Return the quantiles of the resamples at which a 95 % interval begins and ends, for two persons or more."""
    from scipy import stats  # comes with scikit-learn

    lower = float(stats.norm.cdf(stats.t.ppf(0.025, persons - 1) * math.sqrt(persons / (persons - 1))))
    return lower, 1 - lower


def _per_image(logits: np.ndarray, targets: np.ndarray, thresholds) -> np.ndarray:
    """Return the columns from whose sums every metric is computed, one row per image.

    The columns are 1 and exact match (0/1); then, per attribute, loss, tp, fp, fn, tn and squared error (Brier); then,
    per calibration bin and attribute, the probability minus the target.
    """
    probability, truth = metrics.probabilities(logits), np.asarray(targets, bool)
    predicted = probability >= np.asarray(thresholds)
    excess = probability - truth
    bins = metrics.calibration_bins(probability, BINS)
    by_bin = [np.where(bins == number, excess, 0) for number in range(BINS)]
    right = (predicted == truth).all(1)
    counts = (predicted & truth, predicted & ~truth, ~predicted & truth, ~predicted & ~truth)
    columns = [np.ones(len(truth)), right, metrics.bce_losses(logits, truth), *counts, excess**2, *by_bin]
    return np.column_stack(columns).astype(np.float64)


def _scores(sums: np.ndarray, occurs: np.ndarray) -> np.ndarray:
    """Return the values of INDEX (R, M) from the sums (R, K) of the columns of `_per_image`.

    `occurs` (5,) says which attributes some image has: their F1 scores are in the macro-F1. In a resample that lacks
    one of them, it is NaN.
    """
    images, exact = sums[:, :1], sums[:, 1:2]
    loss, tp, fp, fn, tn, brier = (sums[:, 2 + i * _N : 2 + (i + 1) * _N] for i in range(6))
    by_bin = sums[:, 2 + 6 * _N :].reshape(len(sums), BINS, _N)
    loss, brier, ece = loss / images, brier / images, np.abs(by_bin).sum(1) / images
    accuracy, each_f1 = (tp + tn) / images, metrics.f1(tp, fp, fn)
    precision, recall = (metrics.ratio(tp, tp + wrong) for wrong in (fp, fn))
    micro = metrics.f1(tp.sum(1), fp.sum(1), fn.sum(1))
    macro = metrics.ratio(np.where(tp + fn > 0, each_f1, np.nan)[:, occurs].sum(1), occurs.sum())
    overall = [loss.mean(1), accuracy.mean(1), micro, macro, exact[:, 0] / images[:, 0]]
    return np.column_stack(
        [*overall, brier.mean(1), ece.mean(1), loss, accuracy, precision, recall, each_f1, brier, ece]
    )
