"""Metrics of a whole split: pure functions of its targets and its logits, probabilities or predictions.

Arrays are NumPy, with one row per image and one column per attribute: logits and probabilities float (N, 5),
targets and predictions 0/1 (N, 5). All metrics except the loss are fractions in [0, 1].
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers.config import ATTRIBUTES


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return sigmoid(logits), without overflow."""
    with np.errstate(invalid="ignore"):  # the logits of a diverged network are NaN, and so is its loss
        return np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64)))


def predictions(logits: np.ndarray, thresholds: ArrayLike = 0.5) -> np.ndarray:
    """Return 0/1 predictions: 1 where the probability reaches the threshold (one number, or one per attribute)."""
    return (probabilities(logits) >= np.asarray(thresholds)).astype(np.uint8)


def bce_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean binary cross-entropy over images and attributes, in nats."""
    return float(np.mean(bce_losses(logits, targets)))


def bce_losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the binary cross-entropy (N, 5) per image and attribute, in nats."""
    logits = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore"):
        return np.logaddexp(0, logits) - logits * targets


def entropy(rates: np.ndarray) -> float:
    """Return the mean entropy of Bernoulli rates, in nats: the lowest loss of a constant prediction."""
    rates = np.clip(np.asarray(rates, np.float64), 1e-12, 1 - 1e-12)
    return float(np.mean(-rates * np.log(rates) - (1 - rates) * np.log(1 - rates)))


def calibration_bins(probability: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each probability, with [0, 1] divided into equal `bins`; a probability of 1 is in the last."""
    return np.minimum((np.nan_to_num(probability) * bins).astype(int), bins - 1)


def confusion_counts(predicted: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Return the true and false positives and negatives (tp, fp, fn, tn), one row per attribute."""
    predicted, targets = np.asarray(predicted, bool), np.asarray(targets, bool)
    counts = {
        "tp": (predicted & targets).sum(0),
        "fp": (predicted & ~targets).sum(0),
        "fn": (~predicted & targets).sum(0),
        "tn": (~predicted & ~targets).sum(0),
    }
    return pd.DataFrame(counts, index=pd.Index(ATTRIBUTES, name="attribute"))


def ratio(part, whole) -> np.ndarray:
    """Return part / whole, or NaN where `whole` is 0: a rate over nothing is not defined."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def f1(tp, fp, fn) -> np.ndarray:
    """Return 2 tp / (2 tp + fp + fn), or NaN where neither the targets nor the predictions are ever positive."""
    return ratio(2 * np.asarray(tp, np.float64), 2 * np.asarray(tp, np.float64) + fp + fn)


def decision_scores(predicted: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return the metrics of 0/1 predictions (N, 5).

    Mean accuracy is the mean over images and attributes. Micro-F1 adds up the counts of the five attributes; macro-F1
    is the mean of the F1 scores of the attributes that some image has. Exact match is the share of images with all five
    attributes right.
    """
    counts = confusion_counts(predicted, targets)
    tp, fp, fn = (counts[name].to_numpy(float) for name in ("tp", "fp", "fn"))
    right = np.asarray(predicted, bool) == np.asarray(targets, bool)
    return {
        "mean_accuracy": float(right.mean()),
        "micro_f1": float(f1(tp.sum(), fp.sum(), fn.sum())),
        "macro_f1": float(ratio(f1(tp, fp, fn)[tp + fn > 0].sum(), (tp + fn > 0).sum())),
        "exact_match": float(right.all(1).mean()),
    }


def scores(logits: np.ndarray, targets: np.ndarray, thresholds=0.5) -> dict[str, float]:
    """Return the loss, and the metrics of the predictions at `thresholds`."""
    return {"loss": bce_loss(logits, targets), **decision_scores(predictions(logits, thresholds), targets)}


def per_attribute(logits: np.ndarray, targets: np.ndarray, thresholds=0.5) -> pd.DataFrame:
    """Return accuracy, precision, recall, F1, AUROC, average precision, positive rate and counts per attribute.

    What is not defined is NaN: precision if no prediction is positive, recall if no target is, F1 if neither, and AUROC
    and average precision if all targets are equal or a logit is not finite.
    """
    counts = confusion_counts(predictions(logits, thresholds), targets)
    tp, fp, fn, tn = (counts[name] for name in ("tp", "fp", "fn", "tn"))
    table = pd.DataFrame(
        {
            "accuracy": (tp + tn) / len(targets),
            "precision": ratio(tp, tp + fp),
            "recall": ratio(tp, tp + fn),
            "f1": f1(tp, fp, fn),
            **_ranking_scores(logits, targets),
            "positive_rate": np.mean(targets, axis=0),
        }
    )
    return table.join(counts)


def _ranking_scores(logits: np.ndarray, targets: np.ndarray) -> dict[str, list[float]]:
    from sklearn import metrics  # imported here, so that training runs without scikit-learn

    def each(score) -> list[float]:
        columns = zip(np.asarray(targets).T, np.asarray(logits).T, strict=True)
        return [float(score(t, z)) if len(np.unique(t)) == 2 and np.isfinite(z).all() else np.nan for t, z in columns]

    return {"auroc": each(metrics.roc_auc_score), "average_precision": each(metrics.average_precision_score)}


def best_constant(targets: np.ndarray, metric: str) -> np.ndarray:
    """Return the constant prediction (5,) with the highest `metric`, one of those of `decision_scores`.

    All 32 constant predictions are tried. Where the metric is not defined, a constant comes last.
    """
    constants = np.array(np.meshgrid(*[[0, 1]] * len(ATTRIBUTES), indexing="ij")).reshape(len(ATTRIBUTES), -1).T
    values = [decision_scores(np.broadcast_to(c, np.shape(targets)), targets)[metric] for c in constants]
    return constants[int(np.argmax(np.nan_to_num(values, nan=-1)))]
