"""Signs of errors in the labels: persons whose images disagree, and copies of one image."""

import itertools

import pandas as pd

from helpers.config import ATTRIBUTES, SPLITS


def label_consistency(annotations: pd.DataFrame) -> pd.DataFrame:
    """Return how far the labels of one person's images agree, one row per attribute.

    `people` counts the persons with two images or more; `divided` those of them who have images both with and without
    the attribute; `minority` the images that differ from the majority of their person's images. People age, smile and
    take off hats, so only for Male does `minority` mean errors (in the label or in the identity). No image is removed.
    """
    minority = minority_by_person(annotations)
    table = {"people": len(minority), "divided": (minority > 0).sum(), "minority": minority.sum()}
    return pd.DataFrame(table).rename_axis("attribute")


def minority_by_person(annotations: pd.DataFrame) -> pd.DataFrame:
    """Count, per person with two images or more and per attribute, the images that differ from the person's majority.

    One row per identity; 0 where all images of the person agree.
    """
    groups = annotations.groupby("identity")[list(ATTRIBUTES)]
    sizes = groups.size()
    positives = groups.sum()[sizes > 1]
    negatives = positives.rsub(sizes[sizes > 1], axis=0)
    return positives.where(positives < negatives, negatives)


def copies(digests: pd.Series, splits: pd.Series) -> dict[str, int]:
    """Count byte-identical images: `extra` copies beyond the first of each, and groups that are in two splits.

    `digests` and `splits` have one entry per image; an empty digest (an unreadable file) equals no other.
    The groups are keyed "train/valid", "train/test" and "valid/test".
    """
    digests = digests[digests != ""]
    groups = pd.crosstab(digests, splits.reindex(digests.index).astype(str)).reindex(columns=list(SPLITS), fill_value=0)
    found = {"extra": int(digests.duplicated().sum())}
    for one, other in itertools.combinations(SPLITS, 2):
        found[f"{one}/{other}"] = int(((groups[one] > 0) & (groups[other] > 0)).sum())
    return found
