"""Comparisons of splits, checkpoints and groups of images, and of one attribute's logits with the other labels."""

import itertools

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTES
from helpers.evaluation.bootstrap import intervals, number_persons, sums_by_person
from helpers.evaluation.metrics import ratio

__all__ = ["ENOUGH", "ENOUGH_PERSONS", "gaps", "mcnemar", "shortcuts", "slices", "split_shifts"]

ENOUGH = 30
"""The smallest number of images behind a rate for which its gap may be called the largest."""

ENOUGH_PERSONS = 20
"""The same for the persons on these images: a bootstrap over few persons has intervals that are too narrow."""

GROUPED_BY = ("Male", "Young")
FOLDS = 5
NOTHING = 1e-9  # a sum of squared errors below this is rounding: the values are all the same
RATES = ("accuracy", "tpr", "fpr")


def mcnemar(one: np.ndarray, other: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Return, for each attribute, McNemar's exact test of two sets of predictions for the same images.

    `one` and `other` are 0/1 predictions (N, 5). The columns only_one and only_other count the images that only this
    one predicts correctly; p is the p-value of a binomial test on these images (McNemar, 1947). The test assumes
    independent images, which the images of one person are not.
    """
    from scipy.stats import binomtest  # comes with scikit-learn

    right, right_too = (np.asarray(predicted, bool) == np.asarray(targets, bool) for predicted in (one, other))
    only, only_other = (right & ~right_too).sum(0), (~right & right_too).sum(0)
    p = [binomtest(int(a), int(a + b)).pvalue if a + b else 1.0 for a, b in zip(only, only_other, strict=True)]
    table = {"only_one": only, "only_other": only_other, "p": p}
    return pd.DataFrame(table, index=pd.Index(ATTRIBUTES, name="attribute"))


def split_shifts(labels: np.ndarray, splits: np.ndarray, identities: np.ndarray | None) -> pd.DataFrame:
    """Return how far the rate of each attribute on valid and on test is from that on train, in standard errors.

    `labels` are 0/1 (N, 5), `splits` (N,) the names of their splits. Indexed by attribute and split; columns shift, the
    difference of the rates, error, its standard error, and errors = |shift| / error (NaN where the error is 0). The
    standard errors are those of a ratio over persons (Cochran, "Sampling Techniques", 1977, section 6.4), since whole
    persons are assigned to the splits; without identities, every image counts as a person.
    """
    rates, variances = {}, {}
    for name in ("train", "valid", "test"):
        inside = splits == name
        truth = np.asarray(labels, np.float64)[inside]
        rates[name] = truth.mean(0)
        sums = sums_by_person(truth - rates[name], None if identities is None else identities[inside])
        variances[name] = (sums**2).sum(0) / len(truth) ** 2 * len(sums) / max(1, len(sums) - 1)
    rows = {}
    for name in ("valid", "test"):
        shift, error = rates[name] - rates["train"], np.sqrt(variances[name] + variances["train"])
        for attribute, values in zip(ATTRIBUTES, zip(shift, error, ratio(abs(shift), error), strict=True), strict=True):
            rows[attribute, name] = dict(zip(("shift", "error", "errors"), values, strict=True))
    return pd.DataFrame(rows).T.rename_axis(["attribute", "split"])


def groups(targets: np.ndarray) -> dict[str, np.ndarray]:
    """Return a mask (N,) of the images of each group: by the label Male, by the label Young, and by both."""
    truth = np.asarray(targets, bool)
    male, young = (truth[:, ATTRIBUTES.index(name)] for name in GROUPED_BY)
    sides = {"Male": male, "not Male": ~male, "Young": young, "not Young": ~young}
    both = itertools.product(("Male", "not Male"), ("Young", "not Young"))
    return sides | {f"{a}, {b}": sides[a] & sides[b] for a, b in both}


def slices(predicted: np.ndarray, targets: np.ndarray, identities: np.ndarray | None, **draw) -> pd.DataFrame:
    """Return accuracy, true and false positive rate (TPR, FPR) of each attribute in each group, with intervals.

    One row per group, rate and attribute. `images` is the denominator of the rate: all images of the group for the
    accuracy, its positives for the TPR, its negatives for the FPR; `persons` is the number of persons on them (of
    images, without identities). A rate over no image is NaN. `predicted` are 0/1 predictions (N, 5).
    """
    inside = groups(targets)
    sums = _sums(list(inside.values()), predicted, targets, identities)
    index = pd.MultiIndex.from_product([inside, RATES, ATTRIBUTES], names=["group", "rate", "attribute"])
    table = intervals(sums, lambda drawn: _rates(drawn, len(inside)), index, **draw)
    images, persons = _behind(sums, len(inside))
    return table.assign(images=images, persons=persons)


def gaps(predicted: np.ndarray, targets: np.ndarray, identities: np.ndarray | None, **draw) -> pd.DataFrame:
    """Return the difference of each rate between a group and all other images, with intervals, largest first.

    The groups are Male, Young and their four combinations. An attribute is not compared between groups that it
    defines. `images` is the smaller of the two rates' denominators, and `persons` the smaller number of persons on
    them. Gaps with fewer than ENOUGH images or ENOUGH_PERSONS persons come last.
    """
    inside = {name: member for name, member in groups(targets).items() if name in GROUPED_BY or "," in name}
    sides = [side for member in inside.values() for side in (member, ~member)]
    sums = _sums(sides, predicted, targets, identities)

    def between(values: np.ndarray) -> np.ndarray:
        each = values.reshape(len(values), len(inside), 2, -1)
        return (each[:, :, 0] - each[:, :, 1]).reshape(len(values), -1)

    index = pd.MultiIndex.from_product([inside, RATES, ATTRIBUTES], names=["group", "rate", "attribute"])
    table = intervals(sums, lambda drawn: between(_rates(drawn, len(sides))), index, **draw)
    images, persons = (counts.reshape(len(inside), 2, -1).min(1).ravel() for counts in _behind(sums, len(sides)))
    table = table.assign(images=images, persons=persons).reset_index()
    made_by = [a in g for a, g in zip(table["attribute"], table["group"], strict=True)]
    table = table[~np.array(made_by) & table["value"].notna()]
    enough = (table["images"] >= ENOUGH) & (table["persons"] >= ENOUGH_PERSONS)
    table = table.assign(enough=enough, size=table["value"].abs())
    return table.sort_values(["enough", "size"], ascending=False, ignore_index=True).drop(columns="size")


def _sums(sides: list[np.ndarray], predicted: np.ndarray, targets: np.ndarray, identities) -> np.ndarray:
    """Return tp, fp, fn and tn of each attribute within each mask (N,) of `sides`, summed per person."""
    positive, truth = np.asarray(predicted, bool), np.asarray(targets, bool)
    counts = positive & truth, positive & ~truth, ~positive & truth, ~positive & ~truth
    columns = [side[:, None] & count for side in sides for count in counts]
    return sums_by_person(np.column_stack(columns).astype(np.float64), identities)


def _parts(sums: np.ndarray, groups: int) -> np.ndarray:
    """Return sums (R, K) as (R, groups, tp fp fn tn, 5)."""
    return sums.reshape(len(sums), groups, 4, len(ATTRIBUTES))


def _rates(sums: np.ndarray, groups: int) -> np.ndarray:
    tp, fp, _, tn = np.moveaxis(_parts(sums, groups), 2, 0)
    right = np.stack([tp + tn, tp, fp], axis=2).reshape(len(sums), -1)
    return ratio(right, _denominators(sums, groups))


def _denominators(sums: np.ndarray, groups: int) -> np.ndarray:
    tp, fp, fn, tn = np.moveaxis(_parts(sums, groups), 2, 0)
    return np.stack([tp + fp + fn + tn, tp + fn, fp + tn], axis=2).reshape(len(sums), -1)


def _behind(sums: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images in the denominator of each rate, and the persons on them, from the sums per person."""
    denominators = _denominators(sums, groups)
    return denominators.sum(0).astype(int), (denominators > 0).sum(0)


def shortcuts(logits: np.ndarray, targets: np.ndarray, identities: np.ndarray | None, **draw) -> pd.DataFrame:
    """Return how well the labels of the other four attributes explain each attribute's logit (R² of regressions).

    `labels`: R² of the attribute's label from the other labels, a property of the data. `logits`: R² of the network's
    logit from the other labels. `beyond_its_label`: the increase of the logit's R² when the other labels are added to
    the attribute's own label, with its interval low and high. It is an association, and no proof that the network uses
    the other attributes: a label is a coarse form of what is seen, and a smile that looks different on men and women
    moves the logit too. The regressions are linear and cross-validated over FOLDS folds of persons, so that R² is near
    0, or negative, where there is nothing to explain.
    """
    truth, rows = np.asarray(targets, np.float64), {}
    fold = _folds(identities, len(truth))
    for column, attribute in enumerate(ATTRIBUTES):
        others, own = np.delete(truth, column, axis=1), truth[:, [column]]
        logit = np.asarray(logits, np.float64)[:, column]
        nothing = others[:, :0]
        errors = [_left(own[:, 0], by, fold) for by in (nothing, others)]
        errors += [_left(logit, by, fold) for by in (nothing, others, own, np.column_stack([own, others]))]
        sums = sums_by_person(np.column_stack(errors), identities)
        table = intervals(sums, _explained, pd.Index(["labels", "logits", "beyond_its_label"]), **draw)
        beyond = table.loc["beyond_its_label"]
        rows[attribute] = table["value"].to_dict() | {"low": beyond["low"], "high": beyond["high"]}
    return pd.DataFrame(rows).T.rename_axis("attribute")


def _explained(sums: np.ndarray) -> np.ndarray:
    """Return the three R² (R, 3) of `shortcuts` from the sums (R, 6) of squared errors; NaN where all values agree."""
    label, label_left, logit, by_others, by_own, by_all = sums.T
    label, logit = (np.where(errors > NOTHING, errors, 0) for errors in (label, logit))  # 0: nothing to explain
    return np.stack([1 - ratio(label_left, label), 1 - ratio(by_others, logit), ratio(by_own - by_all, logit)], axis=1)


def _folds(identities: np.ndarray | None, images: int) -> np.ndarray:
    """Return the fold (N,) of each image; all images of a person are in the same fold."""
    person, count = number_persons(identities, images)
    return np.random.default_rng(0).permutation(count)[person] % FOLDS


def _left(values: np.ndarray, by: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return the squared errors (N,) of a linear regression on `by` (N, K), fitted on the other folds."""
    features, errors = np.column_stack([np.ones(len(values)), by]), np.zeros(len(values))
    for number in np.unique(fold):
        out = fold == number
        weights = np.linalg.lstsq(features[~out], values[~out], rcond=None)[0] if (~out).any() else 0 * features[0]
        errors[out] = (values[out] - features[out] @ weights) ** 2
    return errors
