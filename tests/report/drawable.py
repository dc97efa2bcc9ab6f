"""A made-up run whose every figure can be drawn: made_up's results with curves, a whole grid, groups and arrays."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from helpers.config import ATTRIBUTES
from helpers.evaluation.calibration import reliability
from helpers.report import figures
from helpers.report.published import measured_scaling, measured_steps
from helpers.report.sections import TEMPLATES
from helpers.system.records import plain
from helpers.training.grid_effects import by_trial, factor_effects

from .made_up import full_study

GRID = {"lr": (0.001, 0.005), "weight_decay": (1e-5, 1e-4), "channels_block3": (192, 256), "dropout": (0.0, 0.2, 0.4)}
GROUPS = ("Male", "not Male", "Young", "not Young", "Male, Young", "Male, not Young", "not Male, Young")
GROUPS += ("not Male, not Young",)
BASELINES = ("majority class", "uniform random", "always positive", "logistic regression")
BASELINES += tuple(f"best constant for {name}" for name in ("mean_accuracy", "exact_match", "micro_f1", "macro_f1"))


def history(epochs: int, start: float = 0.61) -> list[dict]:
    """A training whose valid loss is lowest two epochs before its end."""
    losses = [start * 0.85**epoch for epoch in range(epochs)]
    valid = [loss + 0.02 + 0.05 * max(0, epoch - epochs + 3) for epoch, loss in enumerate(losses)]
    return [
        {"epoch": epoch, "train_loss": loss, "train_eval_loss": 0.95 * loss, "val_loss": other}
        | {"val_f1": 1 - other, "val_acc": 1 - other / 2, "seconds": 1.0}
        for epoch, (loss, other) in enumerate(zip(losses, valid, strict=True), start=1)
    ]


def grid(seeds: int, levels: dict[str, tuple], epochs: int, diverged: bool) -> dict:
    rng, trainings = np.random.default_rng(0), []
    for number, (levels_of, seed) in enumerate(itertools.product(itertools.product(*levels.values()), range(seeds))):
        factors = dict(zip(levels, levels_of, strict=True))
        rows = history(epochs, 0.6 + 30 * factors["lr"] * 0.1 + rng.normal(0, 0.01))
        lost = diverged and number == 0
        measured = {name: None if lost else rows[-1][name] for name in ("train_loss", "val_loss", "val_f1", "val_acc")}
        name = "_".join(f"{value:g}" for value in factors.values())
        more = {"seconds": 2.0, "tflop": 0.1, "parameters": 372997, "max_epochs": epochs, "history": rows}
        trainings.append({"name": name, "seed": 42 + seed, **factors, **measured, **more})
    table = pd.DataFrame(trainings)
    trials = by_trial(table)
    best = {factor: trials.iloc[0][factor].item() for factor in levels}
    return {"best": best, "trials": trials, "effects": factor_effects(table), "seeds": sorted(table["seed"].unique())}


def group_rows(images: int) -> list[dict]:
    rng = np.random.default_rng(1)
    return [
        {"group": group, "rate": rate, "attribute": attribute, "value": (value := rng.uniform()), "images": images}
        | {"low": max(0, value - 0.2), "high": min(1, value + 0.2)}
        for group in GROUPS
        for rate in ("accuracy", "tpr", "fpr")
        for attribute in ATTRIBUTES
    ]


def faces(count: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, 3, 64, 64), dtype=np.uint8)


def by_column(kind: str, attributes: list[int]) -> dict[str, np.ndarray]:
    """The images of one attribute after another, with labels and predictions."""
    count = len(attributes)
    columns = {"attributes": attributes, "labels": np.arange(count) % 2, "predicted": np.linspace(0.9, 0.03, count)}
    return {f"{kind}_images": faces(count)} | {f"{kind}_{name}": np.array(values) for name, values in columns.items()}


def arrays(images: int, epochs: int) -> dict[str, dict[str, np.ndarray]]:
    labels, attributes = np.arange(5 * images).reshape(images, 5) % 2, [a for a in range(5) for _ in range(2)]
    lrs, maps = np.geomspace(1e-6, 1, 40), (np.indices((10, 64, 64)).sum(0) % 256).astype(np.uint8)
    loss = 0.7 - 0.1 * np.exp(-((np.log10(lrs) + 2) ** 2))
    sweep = {"lr": lrs, "loss": loss, "band_lr": lrs, "mean": loss, "low": loss - 0.02, "high": loss + 0.02}
    return {
        "01_data": {"before": faces(images), "after": faces(images), "labels": labels},
        "03_overfit": {"images": faces(images), "probabilities": 0.98 * labels + 0.01, "labels": labels},
        "04_lr_finder": sweep,
        "06_final": {"answers": np.full((epochs, images, 5), 0.7), "labels": labels},
        "07_test": by_column("worst", [a for _ in range(3) for a in range(5)]),
        "appendix": by_column("doubted", [0, 0, 2, 3, 3, 3])
        | {"map_images": faces(10), "maps": maps, "control": maps[::-1], "map_attributes": np.array(attributes)}
        | {"map_labels": np.arange(10) % 2, "map_predicted": np.linspace(0, 1, 10)},
    }


def results(images: int, epochs: int, **of_grid) -> dict[str, dict]:
    study = full_study()
    study["02_baselines"]["baselines"] = [
        {"baseline": name, "mean_accuracy": 0.7436, "exact_match": 0.0231, "micro_f1": 0.6, "macro_f1": place / 10}
        for place, name in enumerate(BASELINES)
    ]
    study["03_overfit"]["history"] = history(20 * epochs)
    study["05_grid"] |= grid(epochs=epochs, **of_grid)
    final = study["06_final"]
    final["history"], final["extra"]["history"] = history(epochs), history(epochs, 0.5)
    final["extra"]["steps"], final["extra"]["scaling"] = measured_steps(), measured_scaling()
    study["07_test"]["groups"] = group_rows(images)
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 2, (40 * images, 5))
    logits = rng.normal(3 * targets - 1.5, 1.5)
    calibration = study["appendix"]["calibration"]
    calibration["before"], calibration["after"] = (reliability(logits / t, targets, 5) for t in (1, 1.3))
    return plain(study)


def source(language: str, images=10, epochs=3, seeds=3, levels=GRID, diverged=False, **changes) -> figures.Source:
    """What the figures of a language are drawn from; `changes` has other results by notebook."""
    written = results(images, epochs, seeds=seeds, levels=levels, diverged=diverged)
    for notebook, values in changes.items():
        written[notebook] |= values
    words = yaml.safe_load((TEMPLATES / language / "words.yaml").read_text("utf-8"))
    found = figures.source(Path("nowhere"), written, language, words)
    return found._replace(arrays=arrays(images, epochs))
