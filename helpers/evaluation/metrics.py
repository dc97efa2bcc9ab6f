"""Dataset-level metrics: pure functions of (logits or probabilities, targets) of a whole split.

Arrays are NumPy, one row an image and one column an attribute: logits and probabilities float (N, 5),
targets and predictions 0/1 (N, 5). All values are fractions in [0, 1] but the loss.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers.config import ATTRIBUTES


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return sigmoid(logits), without overflow."""
    with np.errstate(invalid="ignore"):  # a diverged network answers NaN, and its metrics say so
        return np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64)))


def predictions(logits: np.ndarray, thresholds: ArrayLike = 0.5) -> np.ndarray:
    """Return 0/1 answers: 1 where the probability reaches the threshold (one number, or one an attribute)."""
    return (probabilities(logits) >= np.asarray(thresholds)).astype(np.uint8)


def bce_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean binary cross-entropy over images and attributes, in nats."""
    return float(np.mean(bce_losses(logits, targets)))


def bce_losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the binary cross-entropy (N, 5) of each image and attribute, in nats."""
    logits = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore"):
        return np.logaddexp(0, logits) - logits * targets


def entropy(rates: np.ndarray) -> float:
    """Return the mean entropy of Bernoulli rates, in nats: the loss of the best constant answer."""
    rates = np.clip(np.asarray(rates, np.float64), 1e-12, 1 - 1e-12)
    return float(np.mean(-rates * np.log(rates) - (1 - rates) * np.log(1 - rates)))


def calibration_bins(probability: np.ndarray, bins: int) -> np.ndarray:
    """Return the number of the equal bin of [0, 1] that each probability lies in; 1 is in the last."""
    return np.minimum((np.nan_to_num(probability) * bins).astype(int), bins - 1)


def confusion_counts(predicted: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Return true and false positives and negatives, one row an attribute."""
    predicted, targets = np.asarray(predicted, bool), np.asarray(targets, bool)
    counts = {
        "tp": (predicted & targets).sum(0),
        "fp": (predicted & ~targets).sum(0),
        "fn": (~predicted & targets).sum(0),
        "tn": (~predicted & ~targets).sum(0),
    }
    return pd.DataFrame(counts, index=pd.Index(ATTRIBUTES, name="attribute"))


def f1(tp, fp, fn):
    """Return 2 tp / (2 tp + fp + fn); 0 where nothing is positive, neither in truth nor as answered."""
    return np.divide(2 * tp, 2 * tp + fp + fn, out=np.zeros(np.shape(tp)), where=(tp + fp + fn) > 0)


def decision_scores(predicted: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return the metrics of 0/1 answers.

    Mean accuracy is over images and attributes; micro-F1 pools the five attributes' counts, macro-F1 is
    the mean of the five; exact match is the share of images with all five right.
    """
    counts = confusion_counts(predicted, targets)
    tp, fp, fn = (counts[name].to_numpy(float) for name in ("tp", "fp", "fn"))
    right = np.asarray(predicted, bool) == np.asarray(targets, bool)
    return {
        "mean_accuracy": float(right.mean()),
        "micro_f1": float(f1(tp.sum(), fp.sum(), fn.sum())),
        "macro_f1": float(f1(tp, fp, fn).mean()),
        "exact_match": float(right.all(1).mean()),
    }


def scores(logits: np.ndarray, targets: np.ndarray, thresholds=0.5) -> dict[str, float]:
    """Return the loss and the metrics of the answers at `thresholds`."""
    return {"loss": bce_loss(logits, targets), **decision_scores(predictions(logits, thresholds), targets)}


def per_attribute(logits: np.ndarray, targets: np.ndarray, thresholds=0.5) -> pd.DataFrame:
    """Return one row an attribute: accuracy, precision, recall, F1, AUROC, average precision, positives, counts.

    Precision is 0 where nothing was answered positive, and recall where nothing is; AUROC and average
    precision are NaN where the targets are all alike.
    """
    counts = confusion_counts(predictions(logits, thresholds), targets)
    tp, fp, fn, tn = (counts[name] for name in ("tp", "fp", "fn", "tn"))
    table = pd.DataFrame(
        {
            "accuracy": (tp + tn) / len(targets),
            "precision": tp / (tp + fp).clip(lower=1),
            "recall": tp / (tp + fn).clip(lower=1),
            "f1": f1(*(counts[name].to_numpy(float) for name in ("tp", "fp", "fn"))),
            **_ranking_scores(logits, targets),
            "positive_rate": np.mean(targets, axis=0),
        }
    )
    return table.join(counts)


def _ranking_scores(logits: np.ndarray, targets: np.ndarray) -> dict[str, list[float]]:
    from sklearn import metrics  # here, so that training runs where scikit-learn is not

    def each(score) -> list[float]:
        columns = zip(np.asarray(targets).T, np.asarray(logits).T, strict=True)
        return [float(score(t, z)) if len(np.unique(t)) == 2 and np.isfinite(z).all() else np.nan for t, z in columns]

    return {"auroc": each(metrics.roc_auc_score), "average_precision": each(metrics.average_precision_score)}


def best_constant(targets: np.ndarray, metric: str) -> np.ndarray:
    """Return the constant answer (5,) that scores best in one of `decision_scores`' metrics.

    There are only 32 constants: all are tried.
    """
    constants = np.array(np.meshgrid(*[[0, 1]] * len(ATTRIBUTES), indexing="ij")).reshape(len(ATTRIBUTES), -1).T
    values = [decision_scores(np.broadcast_to(c, np.shape(targets)), targets)[metric] for c in constants]
    return constants[int(np.argmax(values))]
