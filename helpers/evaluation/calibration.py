"""Are the probabilities what they say? Reliability, temperature scaling, and thresholds chosen on one split."""

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTES
from helpers.evaluation import metrics
from helpers.evaluation.bootstrap import BINS

TEMPERATURES = (0.05, 20.0)  # the range that is searched


def reliability(logits: np.ndarray, targets: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Return, for each attribute and bin of probabilities that has images: probability, rate, images.

    `probability` is the mean answer in the bin and `rate` the share that is positive; they are equal where the
    network is calibrated. The expected calibration error (ECE) is their mean distance over the images.
    """
    answers, rows = metrics.probabilities(logits), []
    bin_of = metrics.calibration_bins(answers, bins)
    for column, attribute in enumerate(ATTRIBUTES):
        for number in range(bins):
            inside = bin_of[:, column] == number
            if inside.any():
                row = {"probability": answers[inside, column].mean(), "rate": np.mean(targets[inside, column])}
                rows.append({"attribute": attribute, "bin": number, **row, "images": int(inside.sum())})
    return pd.DataFrame(rows)


def fit_temperatures(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return for each attribute the temperature (5,) that its logits divided by have the lowest loss.

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks" (2017), here one for each of five
    independent answers. It changes no ranking, and no answer at the threshold 0.5. 1 where nothing can be learnt
    because all labels are alike.
    """
    from scipy.optimize import minimize_scalar  # comes with scikit-learn

    def best(scores: np.ndarray, truth: np.ndarray) -> float:
        if len(np.unique(truth)) < 2 or not np.isfinite(scores).all():
            return 1.0

        def loss(logarithm: float) -> float:
            return metrics.bce_loss(scores / np.exp(logarithm), truth)

        return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))

    return np.array([best(*pair) for pair in zip(np.asarray(logits, np.float64).T, np.asarray(targets).T, strict=True)])


def choose_thresholds(logits: np.ndarray, targets: np.ndarray, metric: str) -> np.ndarray:
    """Return for each attribute the threshold (5,) with the highest `metric`, "f1" or "accuracy", on this split.

    Every threshold that changes an answer is tried, half-way between two neighbouring probabilities (0 and 1 among
    them), and 0.5; where several are best, the one nearest to 0.5 is taken.
    """
    answers = metrics.probabilities(logits)
    return np.array([_best(a, t, metric) for a, t in zip(answers.T, np.asarray(targets).T, strict=True)])


def _best(answers: np.ndarray, truth: np.ndarray, metric: str) -> float:
    distinct = np.unique([0.0, *answers, 1.0])
    candidates = np.append((distinct[1:] + distinct[:-1]) / 2, 0.5)
    ordered = np.sort(answers)
    ordered_positive = np.sort(answers[truth == 1])
    answered = len(ordered) - np.searchsorted(ordered, candidates)
    tp = (len(ordered_positive) - np.searchsorted(ordered_positive, candidates)).astype(float)
    fp, fn = answered - tp, len(ordered_positive) - tp
    value = metrics.f1(tp, fp, fn) if metric == "f1" else 1 - (fp + fn) / len(truth)
    best = candidates[value >= value.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])
