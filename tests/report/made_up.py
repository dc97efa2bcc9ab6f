"""The results of a study, made up: what every notebook would have written, and the run that the report reads."""

import base64
import json

from helpers.config import ATTRIBUTES, RECIPE, Config
from helpers.data.official import OFFICIAL_SIZES
from helpers.report import sections
from helpers.report.sections import SECTIONS, load_report, render
from helpers.study import ORDER, notebook_parameters
from helpers.system.records import write_record

LAYERS = [
    {"layer": "Conv2d", "output": "(64, 64, 64)", "parameters": 1792, "multiply-adds": 7340032},
    {"layer": "ReLU", "output": "(64, 32, 32)", "parameters": 0, "multiply-adds": 0},
    {"layer": "Linear", "output": "(5,)", "parameters": 1285, "multiply-adds": 1285},
]


def by_attribute(*values) -> dict:
    return dict(zip(ATTRIBUTES, values, strict=True))


def row(epoch: int, loss: float, **more) -> dict:
    return {"epoch": epoch, "train_loss": loss, "val_loss": loss + 0.02, "val_f1": 0.9, "val_acc": 0.93} | more


def a_check(name: str, passed: bool = True, severity: str = "fault") -> dict:
    texts = {"name": name, "expected": "{wanted:g}", "measured": "{found:,}", "values": {"wanted": 0.5, "found": 12345}}
    return texts | {"passed": passed, "severity": severity}


def trial(lr: float, dropout: float, loss: float | None) -> dict:
    factors = {"lr": lr, "weight_decay": 1e-5, "channels_block3": 256, "dropout": dropout}
    measured = {
        "train_loss": 0.2,
        "val_loss": loss,
        "val_f1": 0.8,
        "val_acc": 0.9,
        "seconds": 61.0,
        "tflop": 0.5,
        "parameters": 372997,
        "max_epochs": 3,
        "seeds": 1,
        "val_loss_std": None,
        "val_f1_std": None,
    }
    return {"name": f"lr{lr:g}_do{dropout:g}", **factors, **measured, "history": []}


def attribute_row(attribute: str, tp: int, fp: int, fn: int, tn: int) -> dict:
    rates = {"precision": tp / (tp + fp), "recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn)}
    count = tp + fp + fn + tn
    more = {"accuracy": (tp + tn) / count, "auroc": 0.97, "average_precision": 0.91, "positive_rate": (tp + fn) / count}
    more["majority_accuracy"] = max(tp + fn, fp + tn) / count
    return {"attribute": attribute, **rates, **more, "tp": tp, "fp": fp, "fn": fn, "tn": tn}


def interval(of: str, metric: str, value: float, reach: float = 0.01) -> dict:
    bounds = {"low": value - reach, "high": value + reach}
    return {"of": of, "metric": metric, "value": value} | bounds | {f"image_{k}": v for k, v in bounds.items()}


def intervals(value: float) -> list[dict]:
    """Return every row that 07 writes, all of the same value."""
    overall = ("loss", "mean_accuracy", "micro_f1", "macro_f1", "exact_match", "brier", "ece")
    each = ("loss", "accuracy", "precision", "recall", "f1", "brier", "ece")
    ranking = ("auroc", "average_precision")
    rows = [interval("overall", metric, value) for metric in (*overall, *ranking)]
    return rows + [interval(attribute, metric, value) for attribute in ATTRIBUTES for metric in (*each, *ranking)]


def effect(factor: str, value, difference: float | None = None, verdict: str | None = None) -> dict:
    bounds = {"low": None, "high": None}
    if difference is not None:
        bounds = {"low": difference - 0.01, "high": difference + 0.01}
    row = {"factor": factor, "value": value, "best": 0.21, "mean": 0.235, "trials": 2, "difference": difference}
    return row | bounds | {"n": 4, "of": "pairs", "verdict": verdict}


def a_size(images, measured, fitted, metric="error") -> dict:
    """A row of the scaling study: measured, or of a curve."""
    bounds = {"low": fitted and fitted - 0.01, "high": fitted and fitted + 0.01}
    return {"network": "course", "metric": metric, "images": images, "measured": measured, "fitted": fitted, **bounds}


def a_step(arm: str, gain: float | None) -> dict:
    of = {"arm": arm, "adds": f"the step {arm}", "over": "", "seeds": 3, "compared": 2, "accuracy": 0.9321, "loss": 0.2}
    names = [f"{name}{end}" for name in ("gain", "change") for end in ("", "_low", "_high")]
    return of | dict.fromkeys(names, gain) | {"verdict": None if gain is None else "improves"}


def result_of(name: str, source: str, accuracy: float) -> dict:
    return {"result": name, "pixels": "64 × 64", "source": source, "mean": accuracy} | by_attribute(*[accuracy] * 5)


RATES = by_attribute(0.48, 0.05, 0.42, 0.78, 0.06)
HISTORY = [row(1, 0.3), row(2, 0.2), row(3, 0.19, val_loss=0.24)]
for each in HISTORY:
    each |= {"train_eval_loss": each["train_loss"] - 0.01, "seconds": 12.0}
ROWS = [attribute_row(attribute, 400, 30, 40, 530) for attribute in ATTRIBUTES]
SPECIFIC = {
    "01_data": {
        "meta": {"input_shape": [3, 64, 64], "num_classes": 5, "attributes": list(ATTRIBUTES)},
        "rates": {"train": RATES, "valid": RATES, "test": RATES},
        "cooccurrence": {a: by_attribute(0.1, 0.1, 0.1, 0.1, 0.1) for a in ATTRIBUTES},
        "correlation": {a: by_attribute(0.1, 0.2, 0.3, -0.4, 0.1) for a in ATTRIBUTES},
        "identities": {"train": 8000, "valid": 900, "test": 1000},
        "identities_shared": 0,
        "copies": {"extra": 131, "train/valid": 24, "train/test": 11, "valid/test": 2},
        "label_consistency": {"Male": {"people": 10_133, "divided": 147, "minority": 163}},
        "largest_shift": {"attribute": "Young", "split": "test", "points": -2.14, "errors": 1.7},
        "labels_per_image": 1.77,
        "no_label": 0.031,
        "batch": {"images": [64, 3, 64, 64], "targets": [64, 5]},
        "findings": [],
    },
    "02_baselines": {
        "baselines": [
            {"baseline": name, "mean_accuracy": 0.7436, "exact_match": 0.2, "micro_f1": 0.6, "macro_f1": 0.4}
            for name in ("majority class", "best constant for micro_f1", "logistic regression")
        ],
        "images": {"train": 162770, "valid": 19867},
        "parameters_count": 372997,
        "mult_adds": 158_500_000,
        "layers": LAYERS,
        "majority": {},
        "constants": {},
        "train_rates": {},
        "linear_epochs": [],
        "initial_loss": 0.6951,
        "prior_loss": 0.468,
        "prior_entropy": 0.467,
    },
    "03_overfit": {
        "images": 64,
        "valid_images": 256,
        "train_loss": 0.0043,
        "train_eval_loss": 0.0044,
        "wrong_labels": 0,
        "first_epoch_below": 31,
        "valid_loss_lowest": 0.6,
        "valid_loss_last": 1.5,
        "valid_loss_highest_after": {"epoch": 60, "loss": 1.8},
        "by_hand": [0.7, 0.6],
        "by_hand_difference": 5e-7,
        "capacity": {"channels": [32, 256], "epochs": 10, "losses": [0.4, 0.3]},
        "history": HISTORY,
    },
    "04_lr_finder": {
        "chosen": {"lr": 0.0021, "weight_decay": 1e-5},
        "suggestions": {"valley": 0.0021, "steep": 0.0005, "minimum": 0.003, "slide": None},
        "by_seed": [
            {"seed": seed, "valley": 0.0021, "steep": 0.0005, "minimum": 0.003, "slide": None} for seed in (42, 43, 44)
        ],
        "window": [1e-4, 0.03],
        "steps": 150,
        "last_lr": 0.7,
        "diverged": True,
        "range": [1e-6, 1.0],
        "images": 162770,
    },
    "05_grid": {
        "best": {"lr": 0.001, "weight_decay": 1e-5, "channels_block3": 256, "dropout": 0.2},
        "trials": [trial(0.001, 0.2, 0.21), trial(0.005, 0.2, 0.25), trial(0.001, 0.0, 0.26), trial(0.001, 0.4, None)],
        "effects": [effect("lr", 0.001), effect("lr", 0.005, 0.0432, "one seed")],
        "edges": [{"factor": "lr", "best": 0.001, "side": "smallest", "next": 0.0002}],
        "seeds": [42],
        "seed_noise": None,
        "trial_tflop": 12.3,
        "images": {"train": 4000, "valid": 1000},
        "trial_seconds": 3840.0,
        "best_name": "lr0.001_do0.2",
        "trainings": [],
        "suggested_lr": 0.0021,
    },
    "06_final": {
        "chosen": {"lr": 0.001, "weight_decay": 1e-5, "channels_block3": 256, "dropout": 0.2},
        "origin": dict.fromkeys(("lr", "weight_decay", "channels_block3", "dropout"), "grid's best"),
        "history": HISTORY,
        "best_epoch": 2,
        "best": HISTORY[1],
        "images": {"train": 162770, "valid": 19867},
        "extra": {
            "arch": "compact",
            "lr": 0.004,
            "batch_size": 128,
            "max_epochs": 20,
            "recipe": RECIPE,
            "best": row(18, 0.17),
            "history": [],
            "differences": [
                {"metric": name, "value": 0.0123, "low": 0.0045, "high": 0.02}
                for name in ("mean_accuracy", "micro_f1", "loss")
            ],
            "costs": [
                {"index": name, "parameters": count, "MFLOP": 197, "seconds per epoch": 21}
                for name, count in (("final", 372997), ("extra", 316453))
            ],
            "steps": [a_step("course", None), a_step("compact", 0.0234), a_step("unknown_here", 0.0001)],
            "scaling": [
                *(a_size(2000, 0.12, None), a_size(53289, 0.06, None), a_size(162770, None, 0.05)),
                *(a_size(2000, 0.3, None, "loss"), a_size(53289, 0.2, None, "loss")),
            ],
        },
        "seeds": None,
        "images_per_second": 1234.5,
        "checkpoint": "checkpoints/study/best.pt",
    },
    "07_test": {
        "checkpoint_epoch": 2,
        "checkpoint_name": "best.pt",
        "trained_seed": 42,
        "trained_on": "CelebA",
        "persons": 1000,
        "whole_test": True,
        "openings": [
            {"when": "2026-11-22T15:57:11+00:00", "who": "ada@lovelace", "checkpoints": {"/home/ada/best.pt": "0"}}
        ],
        "intervals": intervals(0.91),
        "valid_interval": {"value": 0.9312, "low": 0.92, "high": 0.94},
        "groups": [
            {"group": group, "rate": "accuracy", "attribute": attribute, "value": 0.9, "low": 0.8, "high": 0.95}
            for group in ("Male", "not Male")
            for attribute in ATTRIBUTES
        ],
        "threshold_gains": [
            {"chosen for": "f1", "threshold": 0.4} | interval("Smiling", "f1", 0.012),
            {"chosen for": "f1", "threshold": None} | interval("overall", "macro_f1", 0.0234),
        ],
        "comparison": {
            "name": "extra_best.pt",
            "differences": [interval("overall", name, 0.0042) for name in ("mean_accuracy", "micro_f1", "loss")],
            "mcnemar": [{"attribute": a, "only_one": 8, "only_other": 2, "p": 0.109} for a in ATTRIBUTES],
        },
        "gaps": [
            {"group": "Young", "rate": "tpr", "attribute": "Male", "images": 312, "persons": 70, "enough": True}
            | {"value": 0.0765, "low": 0.05, "high": 0.1}
        ],
        "checkpoint": "checkpoints/study/best.pt",
        "overall": {
            split: {"loss": 0.15, "mean_accuracy": 0.9312, "micro_f1": 0.91, "macro_f1": 0.87, "exact_match": 0.71}
            | {"images": 1029.0}
            for split in ("valid", "test")
        },
        "majority": {"mean_accuracy": 0.7512, "micro_f1": 0.55, "macro_f1": 0.17, "exact_match": 0.2},
        "above_majority": [
            {"metric": "mean_accuracy", "value": 0.18, "low": 0.17, "high": 0.19},
            {"metric": "micro_f1", "value": 0.36, "low": 0.35, "high": 0.37},
            {"metric": "macro_f1", "value": 0.7, "low": 0.69, "high": 0.71},
            {"metric": "exact_match", "value": 0.51, "low": 0.5, "high": 0.52},
        ],
        "per_attribute": {"valid": ROWS, "test": ROWS},
    },
    "appendix": {
        "calibration": {
            "table": [
                {"attribute": attribute, "temperature": 1.2, "ece": 0.02, "ece, scaled": 0.01, "ece by chance": 0.008}
                | {"brier": 0.05, "brier, scaled": 0.04, "loss": 0.2, "loss, scaled": 0.19}
                for attribute in ATTRIBUTES
            ],
            "change": [{"metric": "loss", "value": -0.0031, "low": -0.005, "high": -0.001}],
        },
        "shortcuts": [
            {
                "attribute": a,
                "labels": 0.1,
                "logits": 0.2,
                "beyond_its_label": 0.03 + i / 100,
                "low": 0.01 + i / 100,
                "high": 0.2,
            }
            for i, a in enumerate(ATTRIBUTES)
        ],
        "likely_errors": {
            "count": 77,
            "by_attribute": [{"attribute": a, "doubted": 15, "said_yes": 5} for a in ATTRIBUTES],
        },
        "published": [
            result_of("ResNet-18", "somewhere", 0.9569),
            result_of("this run: best.pt", "", 0.9312),
        ],
    },
}


def full_study() -> dict[str, dict]:
    """Return the results of the course's protocol, by notebook."""
    results = {}
    for notebook in ORDER:
        defaults = notebook_parameters(notebook)
        given = {name: value for name, value in defaults.items() if value is not None}
        parameters = defaults | Config().to_dict() | given
        results[notebook] = {
            "notebook": notebook,
            "written": "2026-11-22T15:57:11+00:00",
            "seconds": 75.0,
            "parameters": parameters,
            "data": {
                "source": "CelebA",
                "drawn": False,
                "root": "/home/ada/celeba",
                "images": sum(OFFICIAL_SIZES.values()),
                "listed": sum(OFFICIAL_SIZES.values()),
                "split_sizes": OFFICIAL_SIZES,
                "layout": "torchvision's",
                "official_splits": True,
                "whole_celeba": True,
                "left_out": 0,
                "fingerprint": "0123456789abcdef",
            },
            "environment": {"python": "3.11.7", "torch": "2.9", "numpy": "2.1", "platform": "Linux"}
            | {"device": "a GPU", "device_type": "cuda", "threads": None, "precision": "bf16"}
            | {"git_commit": "abc123def456"},
            "checks": [
                a_check("loss at initialisation is near ln 2"),
                a_check("a check of tomorrow", severity="remark"),
            ],
        } | json.loads(json.dumps(SPECIFIC[notebook]))  # as read: no two values are one
    results["03_overfit"]["parameters"]["train_images"] = 64
    trials = results["05_grid"]["trials"]
    # The course's levels of every factor, so that nothing is missing from its grid.
    trials += [trial(0.005, 0.4, 0.3) | {"weight_decay": 1e-4, "channels_block3": 192}]
    return results


def every_notebook(**data) -> dict[str, dict]:
    """Results of all notebooks, read from data that are described so."""
    results = full_study()
    for result in results.values():
        result["data"] |= data
    return results


def put(result: dict, path: str, value):
    """Set result["a"]["b"] by "a.b"; a whole number is a place in a list."""
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        result = result[key]
    result[last] = value


def changed(notebook: str, changes: dict) -> dict:
    """Return what a notebook has written, with other values at some paths."""
    result = full_study()[notebook]
    for path, value in changes.items():
        put(result, path, value)
    return result


class Study:
    """A run on disk that a test may change and look at as a report."""

    def __init__(self, folder, monkeypatch):
        monkeypatch.setattr(sections, "RUNS", folder / "runs")
        monkeypatch.setattr(sections, "FIGURES", folder / "figures")
        monkeypatch.setattr(sections, "CHECKPOINTS", folder / "checkpoints")
        self.folder, self.figures = folder / "runs" / "study", folder / "figures" / "study"
        self.results = full_study()
        self.journal = {
            "profile": "full",
            "commands": [
                {"command": "python -m helpers run --profile full --data-root /home/ada/celeba", "started": ""}
            ],
            "notebooks": {"05_grid": {"status": "done", "seconds": 3845.0, "ended": ""}},
        }
        self.figures.mkdir(parents=True)

    def change(self, notebook: str, path: str, value):
        put(self.results[notebook], path, value)

    def everywhere(self, **data):
        for result in self.results.values():
            result["data"] |= data

    def report(self, language: str = "fr", **options):
        (self.folder / "results").mkdir(parents=True, exist_ok=True)
        for file in (self.folder / "results").iterdir():
            file.unlink()
        for notebook, result in self.results.items():
            (self.folder / "results" / f"{notebook}.json").write_text(json.dumps(result), encoding="utf-8")
        rows = [check | {"notebook": name} for name, result in self.results.items() for check in result["checks"]]
        write_record(self.folder / "results" / "checks.json", {"checks": rows})
        (self.folder / "run.json").write_text(json.dumps(self.journal), encoding="utf-8")
        (self.folder / "config.yaml").write_text("model:\n  type: CourseCNN\n", encoding="utf-8")
        return load_report("study", language, **options)

    def text(self, *sections: str, language: str = "fr", **options) -> str:
        report = self.report(language, **options)
        return "\n".join(render(report, section) for section in sections or SECTIONS)


DRAWING = (  # a drawing of 17 cm, as the figures of the report are
    '<img alt="A line that falls." src="data:image/svg+xml;base64,'
    + base64.b64encode(
        b'<svg xmlns="http://www.w3.org/2000/svg" width="642" height="200"><path d="M0 0L642 200" stroke="#000"/></svg>'
    ).decode()
    + '">'
)
