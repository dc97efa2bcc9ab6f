"""Calibration of the probabilities: reliability, temperature scaling, and thresholds chosen on one split."""

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTES
from helpers.evaluation import metrics
from helpers.evaluation.bootstrap import BINS

TEMPERATURES = (0.05, 20.0)  # the range of the search


def reliability(logits: np.ndarray, targets: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Return the mean probability and the positive rate of each bin of probabilities, per attribute.

    One row per attribute and non-empty bin: attribute, bin, probability (mean), rate (share of positives) and images
    (count). Probability and rate are equal where the network is calibrated. The expected calibration error (ECE) is
    their mean absolute difference, weighted by images.
    """
    probability, rows = metrics.probabilities(logits), []
    bin_of = metrics.calibration_bins(probability, bins)
    for column, attribute in enumerate(ATTRIBUTES):
        for number in range(bins):
            inside = bin_of[:, column] == number
            if inside.any():
                row = {"probability": probability[inside, column].mean(), "rate": np.mean(targets[inside, column])}
                rows.append({"attribute": attribute, "bin": number, **row, "images": int(inside.sum())})
    return pd.DataFrame(rows)


def ece_by_chance(logits: np.ndarray, seed: int, draws: int = 100) -> np.ndarray:
    """Return the mean ECE of each attribute (5,) if the probabilities were right, which is due to noise alone.

    The labels are drawn from the probabilities (Vaicenavicius et al., "Evaluating model calibration in classification",
    2019, call this consistency resampling).
    """
    probability, rng = metrics.probabilities(logits), np.random.default_rng(seed)
    inside = metrics.calibration_bins(probability, BINS)[:, :, None] == np.arange(BINS)  # (N, 5, BINS)
    total = np.zeros(len(ATTRIBUTES))
    for _ in range(draws):
        excess = probability - (rng.random(probability.shape) < probability)
        total += np.abs(np.einsum("na,nab->ab", excess, inside)).sum(1) / len(probability)
    return total / draws


def fit_temperatures(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return, for each attribute, the temperature (5,) that minimises the loss of the scaled logits.

    Temperature scaling divides the logits by a positive number (Guo et al., "On Calibration of Modern Neural
    Networks", 2017); here each attribute has its own. It changes neither the ranking of the images nor the predictions
    at the threshold 0.5. The temperature is 1 if it cannot be told: if all labels are equal, a logit is not finite, or
    the best value is at the end of the range of the search, as where the logits separate the labels.
    """
    from scipy.optimize import minimize_scalar  # comes with scikit-learn

    def best(scores: np.ndarray, truth: np.ndarray) -> float:
        if len(np.unique(truth)) < 2 or not np.isfinite(scores).all():
            return 1.0

        def loss(logarithm: float) -> float:
            return metrics.bce_loss(scores / np.exp(logarithm), truth)

        found = float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))
        return found if 1.01 * TEMPERATURES[0] < found < TEMPERATURES[1] / 1.01 else 1.0

    return np.array([best(*pair) for pair in zip(np.asarray(logits, np.float64).T, np.asarray(targets).T, strict=True)])


def choose_thresholds(logits: np.ndarray, targets: np.ndarray, metric: str) -> np.ndarray:
    """Return, for each attribute, the threshold (5,) with the highest `metric` ("f1" or "accuracy") on this split.

    The candidates are 0.5 and the midpoints between neighbouring probabilities, with 0 and 1 added, so that every
    threshold that changes a prediction is tried. If several are best, the one nearest to 0.5 is taken.
    """
    probability = metrics.probabilities(logits)
    return np.array([_best(p, t, metric) for p, t in zip(probability.T, np.asarray(targets).T, strict=True)])


def _best(probability: np.ndarray, truth: np.ndarray, metric: str) -> float:
    distinct = np.unique([0.0, *probability, 1.0])
    candidates = np.append((distinct[1:] + distinct[:-1]) / 2, 0.5)
    ordered = np.sort(probability)
    ordered_positive = np.sort(probability[truth == 1])
    predicted = len(ordered) - np.searchsorted(ordered, candidates)
    tp = (len(ordered_positive) - np.searchsorted(ordered_positive, candidates)).astype(float)
    fp, fn = predicted - tp, len(ordered_positive) - tp
    value = np.nan_to_num(metrics.f1(tp, fp, fn)) if metric == "f1" else 1 - (fp + fn) / len(truth)
    best = candidates[value >= value.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])
