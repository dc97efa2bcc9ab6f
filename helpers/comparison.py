"""Two checkpoints on the same images, group by group, and what one attribute's answers owe to the others."""

import itertools

import numpy as np
import pandas as pd

from helpers.bootstrap import intervals, sums_by_person
from helpers.config import ATTRIBUTES

GROUPED_BY = ("Male", "Young")
ENOUGH = 30  # images that a rate is of, at least, for its gap to be named as the largest
RATES = ("accuracy", "tpr", "fpr")


def mcnemar(one: np.ndarray, other: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Return for each attribute the images that only `one`, or only `other`, answers right, and McNemar's exact p.

    `one` and `other` are 0/1 answers (N, 5) to the same images. The p-value is the binomial test's on the images
    where exactly one is right (McNemar, 1947); it takes images for independent, which those of one person are not.
    """
    from scipy.stats import binomtest  # comes with scikit-learn

    right, right_too = (np.asarray(answers, bool) == np.asarray(targets, bool) for answers in (one, other))
    only, only_other = (right & ~right_too).sum(0), (~right & right_too).sum(0)
    p = [binomtest(int(a), int(a + b)).pvalue if a + b else 1.0 for a, b in zip(only, only_other, strict=True)]
    table = {"only_one": only, "only_other": only_other, "p": p}
    return pd.DataFrame(table, index=pd.Index(ATTRIBUTES, name="attribute"))


def groups(targets: np.ndarray) -> dict[str, np.ndarray]:
    """Return the images (N,) of each group by the labels Male, Young and both."""
    truth = np.asarray(targets, bool)
    male, young = (truth[:, ATTRIBUTES.index(name)] for name in GROUPED_BY)
    sides = {"Male": male, "not Male": ~male, "Young": young, "not Young": ~young}
    both = itertools.product(("Male", "not Male"), ("Young", "not Young"))
    return sides | {f"{a}, {b}": sides[a] & sides[b] for a, b in both}


def slices(predicted: np.ndarray, targets: np.ndarray, identities: np.ndarray | None, **draw) -> pd.DataFrame:
    """Return accuracy, true and false positive rate (TPR, FPR) of each attribute in each group, with intervals.

    One row a group, attribute and rate; `images` says how many the rate is of: all of the group, its positives,
    its negatives. A rate of no image is NaN. `predicted` are 0/1 answers (N, 5).
    """
    inside = groups(targets)
    columns = [member[:, None] * count for member in inside.values() for count in _counts(predicted, targets)]
    sums = sums_by_person(np.column_stack(columns).astype(np.float64), identities)
    index = pd.MultiIndex.from_product([inside, RATES, ATTRIBUTES], names=["group", "rate", "attribute"])
    table = intervals(sums, lambda drawn: _rates(drawn, len(inside)), index, **draw)
    return table.assign(images=_denominators(sums.sum(0, keepdims=True), len(inside))[0].astype(int))


def gaps(predicted: np.ndarray, targets: np.ndarray, identities: np.ndarray | None, **draw) -> pd.DataFrame:
    """Return the rates' differences between Male and not, and Young and not, with intervals, the largest first.

    An attribute is not compared between groups that it makes itself. `images` is the smaller of the two counts
    that the rates are of; gaps of fewer than ENOUGH come last.
    """
    inside = {name: member for name, member in groups(targets).items() if "," not in name}
    columns = [member[:, None] * count for member in inside.values() for count in _counts(predicted, targets)]
    sums = sums_by_person(np.column_stack(columns).astype(np.float64), identities)

    def between(values: np.ndarray) -> np.ndarray:
        each = values.reshape(len(values), len(GROUPED_BY), 2, -1)
        return (each[:, :, 0] - each[:, :, 1]).reshape(len(values), -1)

    index = pd.MultiIndex.from_product([GROUPED_BY, RATES, ATTRIBUTES], names=["group", "rate", "attribute"])
    table = intervals(sums, lambda drawn: between(_rates(drawn, len(inside))), index, **draw)
    counts = _denominators(sums.sum(0, keepdims=True), len(inside)).reshape(len(GROUPED_BY), 2, -1).min(1)
    table = table.assign(images=counts.ravel().astype(int)).reset_index()
    table = table[(table["group"] != table["attribute"]) & table["value"].notna()]
    table = table.assign(enough=table["images"] >= ENOUGH, size=table["value"].abs())
    return table.sort_values(["enough", "size"], ascending=False, ignore_index=True).drop(columns="size")


def _counts(predicted: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return tp, fp, fn and tn (N, 5) of each image."""
    answered, truth = np.asarray(predicted, bool), np.asarray(targets, bool)
    return answered & truth, answered & ~truth, ~answered & truth, ~answered & ~truth


def _parts(sums: np.ndarray, groups: int) -> np.ndarray:
    """Return sums (R, K) as (R, groups, tp fp fn tn, 5)."""
    return sums.reshape(len(sums), groups, 4, len(ATTRIBUTES))


def _rates(sums: np.ndarray, groups: int) -> np.ndarray:
    tp, fp, _, tn = np.moveaxis(_parts(sums, groups), 2, 0)
    right = np.stack([tp + tn, tp, fp], axis=2).reshape(len(sums), -1)
    of = _denominators(sums, groups)
    return np.divide(right, of, out=np.full(right.shape, np.nan), where=of > 0)


def _denominators(sums: np.ndarray, groups: int) -> np.ndarray:
    tp, fp, fn, tn = np.moveaxis(_parts(sums, groups), 2, 0)
    return np.stack([tp + fp + fn + tn, tp + fn, fp + tn], axis=2).reshape(len(sums), -1)


def shortcuts(logits: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Return how much of each attribute's answers the labels of the other four explain (R² of linear regressions).

    `labels`: of the attribute's label, by the other labels: the tie that is in the data. `answers`: of the
    network's logit, by the other labels. `beyond_its_label`: by how much the other labels raise what the
    attribute's own label explains of the logit; a network that looks at the attribute alone has nearly 0 there.
    """
    truth, rows = np.asarray(targets, np.float64), {}
    for column, attribute in enumerate(ATTRIBUTES):
        others = np.delete(truth, column, axis=1)
        own, answer = truth[:, column], np.asarray(logits, np.float64)[:, column]
        alone = _r_squared(answer, own[:, None])
        rows[attribute] = {
            "labels": _r_squared(own, others),
            "answers": _r_squared(answer, others),
            "beyond_its_label": _r_squared(answer, np.column_stack([own, others])) - alone,
        }
    return pd.DataFrame(rows).T.rename_axis("attribute")


def _r_squared(values: np.ndarray, by: np.ndarray) -> float:
    """Return the share of the variance of `values` (N,) that a linear function of `by` (N, K) explains."""
    if not np.ptp(values):
        return float("nan")
    centred = values - values.mean()
    features = by - by.mean(0)
    left = centred - features @ np.linalg.lstsq(features, centred, rcond=None)[0]
    return float(1 - (left @ left) / (centred @ centred))
