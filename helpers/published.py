"""What others report for the same five attributes on CelebA's official test split: accuracies, in percent."""

import pandas as pd

from helpers.config import ATTRIBUTES

_ORDER = ("Eyeglasses", "Male", "Smiling", "Wearing_Hat", "Young")
_RESULTS = {  # name: (pixels, source, accuracies in _ORDER)
    "LNets+ANet (Liu et al., 2015)": ("not given", "arXiv:1411.7766", (99, 98, 92, 99, 87)),
    "SlimNet, reimplemented": ("not given", "github.com/gtamba/pytorch-slim-cnn", (99.11, 96.38, 91.23, 98.50, 85.62)),
    "ResNet-18": ("178 × 178", "BambooPalace, on GitHub", (99.62, 98.13, 92.83, 99.04, 88.86)),
    "MobileNetV2": ("198 × 158", "github.com/kkaryl/AI6126", (99.68, 98.61, 93.32, 99.09, 89.01)),
}


def published() -> pd.DataFrame:
    """Return one row a result: result, pixels, source, the five accuracies as fractions, and their mean."""
    rows = []
    for name, (size, source, percents) in _RESULTS.items():
        accuracies = {attribute: percent / 100 for attribute, percent in zip(_ORDER, percents, strict=True)}
        ordered = {attribute: accuracies[attribute] for attribute in ATTRIBUTES}
        mean = sum(ordered.values()) / len(ordered)
        rows.append({"result": name, "pixels": size, "source": source, **ordered, "mean": mean})
    return pd.DataFrame(rows)
