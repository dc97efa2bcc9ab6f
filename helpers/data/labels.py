"""What can be doubted in the labels: people who disagree with themselves, and copies of one image."""

import itertools

import pandas as pd

from helpers.config import ATTRIBUTES, SPLITS


def label_consistency(annotations: pd.DataFrame) -> pd.DataFrame:
    """Return how far the images of one person agree, one row an attribute.

    `people` have two images or more; `divided` of them have some with and some without the attribute;
    `minority` counts the images that differ from most of their person's. People age, smile and take off hats:
    the last column tells of errors (in the label, or in who it is) for Male alone. Nothing is dropped for it.
    """
    groups = annotations.groupby("identity")[list(ATTRIBUTES)]
    sizes = groups.size()
    positives = groups.sum()[sizes > 1]
    negatives = positives.rsub(sizes[sizes > 1], axis=0)
    minority = positives.where(positives < negatives, negatives)
    table = {"people": len(positives), "divided": (minority > 0).sum(), "minority": minority.sum()}
    return pd.DataFrame(table).rename_axis("attribute")


def copies(digests: pd.Series, splits: pd.Series) -> dict[str, int]:
    """Count byte-identical images: `extra` ones beyond the first of each, and groups of them in two splits.

    `digests` and `splits` have one entry an image; an empty digest (an unreadable file) is equal to no other.
    The groups are keyed "train/valid", "train/test" and "valid/test".
    """
    digests = digests[digests != ""]
    groups = pd.crosstab(digests, splits.reindex(digests.index).astype(str)).reindex(columns=list(SPLITS), fill_value=0)
    found = {"extra": int(digests.duplicated().sum())}
    for one, other in itertools.combinations(SPLITS, 2):
        found[f"{one}/{other}"] = int(((groups[one] > 0) & (groups[other] > 0)).sum())
    return found
