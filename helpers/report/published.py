"""Results from elsewhere: published accuracies on CelebA's test split, and two benchmarks of this project."""

import json
from pathlib import Path

import pandas as pd

from helpers.config import ATTRIBUTES, ROOT
from helpers.training.grid_effects import student_interval

ACCURACY = ROOT / "benchmarks" / "accuracy.json"
SCALING = ROOT / "benchmarks" / "scaling-third.json"

_ORDER = ("Eyeglasses", "Male", "Smiling", "Wearing_Hat", "Young")
_RESULTS = {  # name: (pixels, source, accuracies in _ORDER)
    "LNets+ANet (Liu et al., 2015)": ("not given", "arXiv:1411.7766", (99, 98, 92, 99, 87)),
    "SlimNet, reimplemented": ("not given", "github.com/gtamba/pytorch-slim-cnn", (99.11, 96.38, 91.23, 98.50, 85.62)),
    "ResNet-18": ("178 × 178", "BambooPalace, on GitHub", (99.62, 98.13, 92.83, 99.04, 88.86)),
    "MobileNetV2": ("198 × 158", "github.com/kkaryl/AI6126", (99.68, 98.61, 93.32, 99.09, 89.01)),
}


def published() -> pd.DataFrame:
    """Return one row per published result: result, pixels, source, five accuracies as fractions, and their mean."""
    rows = []
    for name, (size, source, percents) in _RESULTS.items():
        accuracies = {attribute: percent / 100 for attribute, percent in zip(_ORDER, percents, strict=True)}
        ordered = {attribute: accuracies[attribute] for attribute in ATTRIBUTES}
        mean = sum(ordered.values()) / len(ordered)
        rows.append({"result": name, "pixels": size, "source": source, **ordered, "mean": mean})
    return pd.DataFrame(rows)


def measured_steps(path: Path = ACCURACY) -> pd.DataFrame:
    """Return the ablation of benchmarks/accuracy.py, measured on valid: one row per step, indexed by arm.

    Columns: adds (in words), over (the arm that it is compared with), seeds (their number), accuracy and loss (means
    over the seeds), compared (the number of seeds that both arms have); gain, gain_low, gain_high (difference of
    accuracy) and change, change_low, change_high (of loss), with 95 % intervals over persons; verdict. The first arm is
    compared with none, so its differences are missing.

    The verdict is "improves" or "worsens" if accuracy or loss changes beyond two 95 % intervals, that over persons and
    Student's over the seeds; "both" if one of them improves and the other worsens; else "not shown". With one seed,
    which tells nothing of another training, it is "one seed".
    """
    rows, arms = [], {arm["arm"]: arm for arm in json.loads(path.read_text(encoding="utf-8"))["arms"]}
    for arm in arms.values():
        row = {"arm": arm["arm"], "adds": arm["adds"], "over": arm["over"], "seeds": len(arm["seeds"])}
        row |= {"accuracy": arm["valid_mean_accuracy"], "loss": arm["valid_loss"]}
        for name, metric in (("gain", "mean_accuracy"), ("change", "loss")):
            bounds = arm.get("gain", {}).get(metric, {})
            row |= {f"{name}{end}": bounds.get(key) for key, end in (("value", ""), ("low", "_low"), ("high", "_high"))}
        row["verdict"] = _verdict(row, arm, arms[arm["over"]]) if "gain" in arm else None
        row["compared"] = len(arm["gain"]["seeds"]) if "gain" in arm else 0
        rows.append(row)
    return pd.DataFrame(rows).set_index("arm")


def _verdict(row: dict, arm: dict, over: dict) -> str:
    if len(arm["gain"]["seeds"]) < 2:
        return "one seed"
    gain, change = (_over_seeds(arm, over, metric) for metric in ("mean_accuracy", "loss"))
    better = min(row["gain_low"], gain[0]) > 0 or max(row["change_high"], change[1]) < 0
    worse = max(row["gain_high"], gain[1]) < 0 or min(row["change_low"], change[0]) > 0
    return {(True, False): "improves", (False, True): "worsens", (True, True): "both"}.get((better, worse), "not shown")


def _over_seeds(arm: dict, over: dict, metric: str) -> tuple[float, float]:
    """Return Student's 95 % interval of the difference between two arms, over the seeds that both have."""
    one, other = ({row["seed"]: row["valid"][metric] for row in each["per_seed"]} for each in (arm, over))
    mean, reach, _ = student_interval(pd.Series([one[seed] - other[seed] for seed in arm["gain"]["seeds"]]))
    return mean - reach, mean + reach


def measured_scaling(path: Path = SCALING) -> pd.DataFrame:
    """Return what benchmarks/scaling.py measured on valid and benchmarks/forecast.py fitted to it.

    Columns: network ("course", "fine"), metric ("error", which is 1 − mean accuracy, or "loss"), images (of training),
    measured (one row per training), or fitted, low and high (the curve with its 95 % interval, the last row of which
    is the forecast for all of CelebA). There is no curve for a network that was trained on fewer than four sizes.
    """
    content, rows = json.loads(path.read_text(encoding="utf-8")), []
    for training in content["trainings"]:
        of = {"network": training["network"], "images": training["images"]}
        scores = {"error": 1 - training["valid"]["mean_accuracy"], "loss": training["valid"]["loss"]}
        rows += [of | {"metric": metric, "measured": value} for metric, value in scores.items()]
    rows += content["curves"]
    columns = ["network", "metric", "images", "measured", "fitted", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    return table[table["network"].isin(["course", "fine"])].reset_index(drop=True)
