"""The report: its numbers come from the results, its words follow them, in two languages."""

import copy
import json
import re

import pytest

from helpers.config import ATTRIBUTES, NOTEBOOKS, RECIPE, Config
from helpers.data.official import OFFICIAL_SIZES
from helpers.errors import StudyError
from helpers.report import sections, wording
from helpers.report.sections import SECTIONS, TEMPLATES, load_report, render, report_title
from helpers.study import ORDER, RESULTS, notebook_parameters

LANGUAGES = ("fr", "en")
NARROW, NBSP = "\u202f", "\u00a0"
LAYERS = [
    {"layer": "Conv2d", "output": "(64, 64, 64)", "parameters": 1792, "multiply-adds": 7340032},
    {"layer": "ReLU", "output": "(64, 32, 32)", "parameters": 0, "multiply-adds": 0},
    {"layer": "Linear", "output": "(5,)", "parameters": 1285, "multiply-adds": 1285},
]


# A run, made up


def by_attribute(*values) -> dict:
    return dict(zip(ATTRIBUTES, values, strict=True))


def row(epoch: int, loss: float, **more) -> dict:
    return {"epoch": epoch, "train_loss": loss, "val_loss": loss + 0.02, "val_f1": 0.9, "val_acc": 0.93} | more


def a_check(name: str, passed: bool = True, severity: str = "fault") -> dict:
    return {"name": name, "expected": "0.5", "measured": "12,345", "passed": passed, "severity": severity}


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


def a_step(arm: str, gain: float | None) -> dict:
    of = {"arm": arm, "adds": f"the step {arm}", "over": "", "seeds": 3, "compared": 2, "accuracy": 0.9321, "loss": 0.2}
    names = [f"{name}{end}" for name in ("gain", "change") for end in ("", "_low", "_high")]
    return of | dict.fromkeys(names, gain) | {"verdict": None if gain is None else "pays"}


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
        "largest_shift": {"attribute": "Young", "split": "test", "points": -2.14},
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
        "openings": [{"when": "2026-11-22T15:57:11+00:00", "who": "ada@lovelace"}],
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
            {"group": "Young", "rate": "tpr", "attribute": "Male", "images": 312, "enough": True}
            | {"value": 0.0765, "low": 0.05, "high": 0.1}
        ],
        "checkpoint": "checkpoints/study/best.pt",
        "overall": {
            split: {"loss": 0.15, "mean_accuracy": 0.9312, "micro_f1": 0.91, "macro_f1": 0.87, "exact_match": 0.71}
            | {"images": 1029.0}
            for split in ("valid", "test")
        },
        "majority": {"mean_accuracy": 0.7512, "micro_f1": 0.55, "macro_f1": 0.17, "exact_match": 0.2},
        "per_attribute": {"valid": ROWS, "test": ROWS},
    },
    "appendix": {
        "calibration": {
            "table": [
                {"attribute": attribute, "temperature": 1.2, "ece": 0.02, "ece, scaled": 0.01}
                | {"brier": 0.05, "brier, scaled": 0.04, "loss": 0.2, "loss, scaled": 0.19}
                for attribute in ATTRIBUTES
            ],
            "change": [{"metric": "loss", "value": -0.0031, "low": -0.005, "high": -0.001}],
        },
        "shortcuts": [
            {
                "attribute": a,
                "labels": 0.1,
                "answers": 0.2,
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


@pytest.mark.parametrize("notebook", ORDER)
def test_these_results_are_those_that_the_notebooks_write(notebook):
    assert set(SPECIFIC[notebook]) == set(RESULTS[notebook])


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
                "root": "/data/celeba",
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
            | {"device": "a GPU", "device_type": "cuda", "git_commit": "abc123def456"},
            "checks": [
                a_check("loss at initialisation is near ln 2"),
                a_check("a check of tomorrow", severity="remark"),
            ],
        } | copy.deepcopy(SPECIFIC[notebook])
    results["03_overfit"]["parameters"]["train_images"] = 64
    trials = results["05_grid"]["trials"]
    # The course's levels of every factor, so that nothing is missing from its grid.
    trials += [trial(0.005, 0.4, 0.3) | {"weight_decay": 1e-4, "channels_block3": 192}]
    return results


class Study:
    """A run on disk that a test may change and look at as a report."""

    def __init__(self, folder, monkeypatch):
        monkeypatch.setattr(sections, "RUNS", folder / "runs")
        monkeypatch.setattr(sections, "FIGURES", folder / "figures")
        self.folder, self.figures = folder / "runs" / "study", folder / "figures" / "study"
        self.results = full_study()
        self.journal = {
            "profile": "full",
            "commands": [{"command": "python -m helpers run --profile full", "started": "2026-11-22T15:52:49+00:00"}],
            "notebooks": {"05_grid": {"status": "done", "seconds": 3845.0, "ended": ""}},
        }
        self.figures.mkdir(parents=True)
        for name in ("01_data_positive_rates", "07_test_worst_mistakes"):
            (self.figures / f"{name}.png").write_bytes(b"not really a picture")

    def change(self, notebook: str, path: str, value):
        """Set results["a"]["b"] by notebook and "a.b"; a whole number is a place in a list."""
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        place = self.results[notebook]
        for key in parents:
            place = place[key]
        place[last] = value

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
        (self.folder / "results" / "checks.json").write_text(json.dumps(rows), encoding="utf-8")
        (self.folder / "run.json").write_text(json.dumps(self.journal), encoding="utf-8")
        (self.folder / "config.yaml").write_text("model:\n  type: CourseCNN\n", encoding="utf-8")
        return load_report("study", language, **options)

    def text(self, *sections: str, language: str = "fr", **options) -> str:
        report = self.report(language, **options)
        return "\n".join(render(report, section) for section in sections or SECTIONS)


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    return Study(tmp_path, monkeypatch)


# Numbers and typography


@pytest.mark.parametrize(
    ("name", "value", "options", "french", "english"),
    [
        ("n", 0.14864, (), "0,1486", "0.1486"),
        ("n", None, (), "—", "—"),
        ("count", 202599, (), f"202{NARROW}599", "202,599"),
        ("signed", -0.0485, (), "−0,0485", "−0.0485"),
        ("signed", 0.0485, (2,), "+0,05", "+0.05"),
        ("signed", -0.00001, (), "0,0000", "0.0000"),
        ("percent", 0.9403, (), f"94,0{NBSP}%", "94.0%"),
        ("points", 0.0094, (), f"+0,94{NBSP}point", f"+0.94{NBSP}points"),
        ("points", -0.0294, (), f"−2,94{NBSP}points", f"−2.94{NBSP}points"),
        ("plural", 1, ("époque", "époques"), f"1{NBSP}époque", f"1{NBSP}époque"),
        ("plural", 0, ("x", "xs"), f"0{NBSP}x", f"0{NBSP}xs"),
        ("small", 0.005, (), "0,005", "0.005"),
        ("small", 1e-5, (), "10⁻⁵", "10⁻⁵"),
        ("small", 4.06e-4, (), f"4,1{NBSP}×{NBSP}10⁻⁴", f"4.1{NBSP}×{NBSP}10⁻⁴"),
        ("small", 256.0, (), "256", "256"),
        ("duration", 12.34, (), f"12,3{NBSP}s", f"12.3{NBSP}s"),
        ("duration", 3845, (), f"1{NBSP}h{NBSP}04{NBSP}min", f"1{NBSP}h{NBSP}04{NBSP}min"),
        ("date", "2026-08-01T15:57:11+02:00", (), f"1er{NBSP}août 2026 à 13:57 UTC", f"1{NBSP}August 2026, 13:57 UTC"),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(name, value, options, french, english):
    assert wording.filters("fr")[name](value, *options) == french
    assert wording.filters("en")[name](value, *options) == english


def test_the_words_of_checks_are_put_into_french():
    reword = wording.filters("fr")["reword"]
    assert reword("0.693 ± 0.05", {}) == "0,693 ± 0,05"
    assert reword("19,962 images", {}) == f"19{NARROW}962 images"
    assert reword("[-1.00, 1.00]", {}) == "[−1,00 ; 1,00]"
    assert reword("train loss < 0.01", {"train loss": "perte"}) == "perte &lt; 0,01"


def test_typography_leaves_code_and_tags_alone():
    text = "l'eau : `a : b` <img alt=\"l'a : b\"> 3 % ; non ?\n```text\n-p x ? y\n```"
    assert wording.typeset(text, "fr") == (
        f'l’eau{NBSP}: `a : b` <img alt="l\'a : b"> 3{NBSP}%{NARROW}; non{NARROW}?\n```text\n-p x ? y\n```'
    )
    assert wording.typeset('"so" it\'s', "en") == "“so” it’s"


# Every number comes from the results


NAMED = re.compile(r"\b[DM]\d+\b|\b0[1-7]_\w+|\b\w*[fF]1\b|\bln 2\b|channels_block3|h[23]\b|^#+", re.MULTILINE)
EXPRESSION = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("??/*.j2")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_number_is_typed_by_hand(path):
    words = NAMED.sub("", EXPRESSION.sub("", path.read_text(encoding="utf-8")))
    assert not re.findall(r".{0,30}\d.{0,30}", words)


def test_no_measure_hides_in_a_template_s_strings():
    for path in TEMPLATES.glob("??/*.j2"):
        strings = re.findall(r'"[^"]*"', " ".join(EXPRESSION.findall(path.read_text(encoding="utf-8"))))
        hidden = [text for text in strings if re.search(r"\d", NAMED.sub("", text)) and ".j2" not in text]
        assert not hidden, path


@pytest.mark.parametrize(
    ("section", "notebook", "path", "value", "shown"),
    [
        ("data", "01_data", "rates.train.Young", 0.12345, f"12,35{NBSP}%"),
        ("data", "01_data", "largest_shift.points", 3.21, f"+3,21{NBSP}points"),
        ("data", "01_data", "identities.test", 4321, f"4{NARROW}321"),
        ("model", "02_baselines", "baselines.0.mean_accuracy", 0.6543, "0,6543"),
        ("model", "02_baselines", "initial_loss", 0.7219, "0,722"),
        ("model", "02_baselines", "parameters_count", 987654, f"987{NARROW}654"),
        ("overfit", "03_overfit", "train_loss", 0.00876, "0,0088"),
        ("overfit", "03_overfit", "first_epoch_below", 77, "époque 77"),
        ("lr_finder", "04_lr_finder", "suggestions.steep", 6.6e-4, f"6,6{NBSP}×{NBSP}10⁻⁴"),
        ("grid", "05_grid", "trials.0.val_loss", 0.2019, "0,2019"),
        ("grid", "05_grid", "effects.0.mean", 0.3331, "0,3331"),
        ("training", "06_final", "best.val_loss", 0.2121, "0,2121"),
        ("training", "06_final", "history.2.val_f1", 0.8888, "0,8888"),
        ("comparisons", "05_grid", "trials.1.val_loss", 0.2777, "0,2777"),
        ("extra", "06_final", "extra.best.val_loss", 0.1717, "0,1717"),
        ("extra", "06_final", "extra.steps.1.gain", 0.0777, "+0,0777"),
        ("extra", "06_final", "extra.differences.0.low", 0.0066, "+0,0066"),
        ("extra", "06_final", "extra.costs.1.parameters", 111222, f"111{NARROW}222"),
        ("test", "07_test", "overall.test.micro_f1", 0.8765, "0,8765"),
        ("test", "07_test", "majority.mean_accuracy", 0.7019, "0,7019"),
        ("test", "07_test", "per_attribute.test.4.recall", 0.4321, "0,432"),
        ("limits", "07_test", "checks.0.measured", "0.7777", "0,7777"),
        ("reproducibility", "06_final", "parameters.batch_size", 96, "batch_size=96"),
    ],
)
def test_a_changed_result_changes_the_text(study, section, notebook, path, value, shown):
    before = study.text(section)
    study.change(notebook, path, value)
    after = study.text(section)
    assert shown not in before and shown in after


def test_the_course_s_own_figures_are_told_apart(study):
    assert "se comparent" in study.text("test") and "ne se comparent pas" not in study.text("test")
    study.everywhere(whole_celeba=False)
    text = study.text("test")
    assert "0,1486" in text and "tout CelebA" in text and "ne se comparent pas" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_splits_that_are_not_the_official_ones_are_never_called_official(study, language):
    named = {"fr": ("ce sont les jeux officiels", "dont rien ne dit qu’ils sont les officiels", "Une partie de CelebA")}
    named["en"] = ("these are the official splits", "not known to be the official ones", "Part of CelebA")
    official, other, part = named[language]
    assert official in study.text("data", language=language)
    study.everywhere(whole_celeba=False, official_splits=False)
    for section in ("data", "general"):
        text = study.text(section, language=language)
        assert official not in text and other in text
    limits = study.text("limits", language=language)
    assert part not in limits and {"fr": "D’autres jeux que", "en": "Other splits than"}[language] in limits


# What is missing


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notebook", ORDER)
def test_a_missing_notebook_leaves_a_warning_in_its_sections(study, notebook, language):
    del study.results[notebook]
    report = study.report(language)
    for section, needed in SECTIONS.items():
        text = render(report, section)
        shown = notebook in needed or (notebook, section) == ("appendix", "test")  # a part of that section alone
        assert (f"`{notebook}`" in text and '<div class="warning">' in text) == shown
    assert f"<code>{notebook}</code>" in render(report, "general")


def test_one_notebook_alone_makes_a_report(study):
    study.results = {"04_lr_finder": study.results["04_lr_finder"]}
    study.journal = {}
    text = study.text()
    assert text.count('<div class="warning">\n\nLe carnet') == 8 and "M4." in text


def test_an_absent_run_is_an_error_that_says_what_to_do(study):
    with pytest.raises(StudyError, match=r"no run 'elsewhere'.*--run-name elsewhere"):
        load_report("elsewhere")
    with pytest.raises(StudyError, match="run_name"):
        load_report("../study")


def test_a_damaged_results_file_is_named(study):
    study.report()
    (study.folder / "results" / "05_grid.json").write_text('{"trials": [', encoding="utf-8")
    with pytest.raises(StudyError, match=r"05_grid\.json cannot be read.*Run 05_grid again"):
        load_report("study")


def test_results_of_another_version_are_an_error_that_says_so(study):
    del study.results["03_overfit"]["wrong_labels"]
    with pytest.raises(StudyError, match=r"wrong_labels.*Run the notebooks again"):
        study.text("overfit")
    study.results["03_overfit"]["wrong_labels"] = 0
    del study.results["05_grid"]["trials"]
    with pytest.raises(StudyError, match=r"trials.*Run the notebooks again"):
        study.report()


def test_a_missing_figure_is_said_in_its_place(study):
    text = study.text("data")
    assert text.count("<figure>") == 1 and "01_data_cooccurrence.png" in text
    assert render(study.report(), "test").count('<figure class="tall">') == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_has_no_value_is_a_dash(study, language):
    study.change("07_test", "per_attribute.test.1.auroc", None)
    study.change("06_final", "extra.best", {"val_loss": None})
    text = study.text(language=language)
    auroc = next(line for line in text.splitlines() if line.startswith("| Wearing_Hat |") and line.count("|") == 11)
    assert auroc.split("|")[9].strip() == "—"
    diverged = next(line for line in text.splitlines() if line.startswith("| 4 |"))
    assert diverged.split("|")[7].strip() == "—"
    assert (
        "a divergé : elle ne fait pas mieux" if language == "fr" else "diverged, so it is not better"
    ) in text.replace(NBSP, " ")
    assert not re.search(r"\bnan\b|\bNone\b|Undefined|{{|}}|{%|%}|\d[.,]\d{6}", text)


def test_a_grid_where_everything_diverged_is_told(study):
    for place in study.results["05_grid"]["trials"]:
        place["val_loss"] = None
    text = study.text("grid", "comparisons", "limits")
    assert "**Le meilleur essai**" not in text and f"5{NBSP}essais ont divergé" in text


# Drawn faces, and what was cut


@pytest.mark.parametrize("language", LANGUAGES)
def test_drawn_faces_are_said_to_be_drawn(study, language):
    mark = "visages dessinés" if language == "fr" else "drawn faces"
    real = study.text("general", "data", "test", language=language)
    assert "drawn-banner" not in real and mark not in real.lower() and mark not in report_title("study", language)
    study.everywhere(drawn=True, whole_celeba=False, source="drawn faces")
    drawn = study.text("general", "data", language=language)
    assert drawn.index("drawn-banner") < drawn.index("## 0.")
    assert f"({mark})." in re.search("<figcaption>(.*?)</figcaption>", drawn).group(1)
    assert mark in report_title("study", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_full_protocol_has_no_box_of_cuts(study, language):
    assert '<div class="cut">' not in study.text("general", language=language)


def test_the_box_of_cuts_lists_what_differs(study):
    sizes = {"train": 15979, "valid": 2044, "test": 1029}
    study.everywhere(whole_celeba=False, images=19052, split_sizes=sizes)
    study.change("05_grid", "parameters.max_epochs", 1)
    study.change("06_final", "parameters.train_images", 16000)  # more than there are: all of them
    study.change("06_final", "parameters.valid_images", 500)
    study.change("06_final", "parameters.extra_epochs", 4)
    box = study.text("general").partition('<div class="cut">')[2].partition("</div>")[0]
    assert f"19{NARROW}052 sur les 202{NARROW}599" in box
    assert re.findall(r"<code>(\w+)</code> \| (.*?) \| (.*?) \| (.*?) \|", box) == [
        ("05_grid", "époques", "3", "1"),
        ("06_final", "images de validation", "toutes", "500"),
        ("06_final", "époques de l’itération supplémentaire", "20", "4"),
    ]


def test_a_value_given_by_hand_is_a_change_and_the_grid_s_best_is_none(study):
    study.change("06_final", "parameters.lr", 0.01)
    assert '<div class="cut">' not in study.text("general")
    study.change("06_final", "origin.lr", "by hand")
    assert "taux d’apprentissage | — | 0,01" in study.text("general")


def test_notebooks_that_read_different_images_are_pointed_out(study):
    assert "empreintes" not in study.text("general")
    study.change("07_test", "data", study.results["07_test"]["data"] | {"fingerprint": "ffff"})
    assert "empreintes" in study.text("general")


# The words follow the numbers


@pytest.mark.parametrize(
    ("section", "notebook", "path", "value", "before", "after"),
    [
        ("extra", "06_final", "extra.best.val_loss", 0.5, "**plus basse**", "**plus haute**"),
        ("extra", "06_final", "extra.max_epochs", 4, "", "pas eu le même nombre d’époques"),
        (
            "extra",
            "06_final",
            "extra.differences.0.low",
            -0.1,
            "plus exact, au-delà du hasard",
            "ne se distinguent pas",
        ),
        ("extra", "06_final", "extra.arch", "course", "réseau, compact", "Le réseau du cours, avec une autre recette"),
        ("extra", "06_final", "extra.steps.1.verdict", "costs", "", "nuisible"),
        ("training", "06_final", "best_epoch", 3, "sans progrès", "La meilleure époque est la dernière"),
        ("training", "06_final", "best.train_eval_loss", 0.9, "connaît mieux", "rien n’indique de surapprentissage"),
        ("training", "06_final", "best.val_acc", 0.7, "réseau la dépasse", "**ne la dépasse pas**"),
        ("limits", "06_final", "best.val_acc", 0.7, "", "ne dépasse pas un modèle linéaire"),
        ("general", "06_final", "best.val_acc", 0.7, "", "ne dépasse pas une régression logistique"),
        ("training", "06_final", "history.2.val_loss", 0.1, "est remontée 1 fois", ""),
        ("test", "07_test", "majority.mean_accuracy", 0.99, "Le réseau dépasse", "**ne dépasse pas**"),
        ("test", "07_test", "overall.test.mean_accuracy", 0.5, "hasard du tirage suffit", "choisissant sur valid"),
        ("test", "07_test", "per_attribute.test.0.accuracy", 0.1, "Sur chaque attribut", "ne dépasse celle"),
        ("overfit", "03_overfit", "valid_loss_last", 0.6, "surapprentissage, provoqué", "ne remonte pas"),
        ("overfit", "03_overfit", "wrong_labels", 3, "mémorisation est complète", "n’est pas complète"),
        ("lr_finder", "04_lr_finder", "suggestions.valley", 0.5, "est dans la fenêtre", "**hors de** la fenêtre"),
        ("lr_finder", "04_lr_finder", "diverged", False, "la perte a divergé", "n’a pas divergé"),
        ("grid", "05_grid", "best.dropout", 0.4, "à l’intérieur de la grille", "0,4, est la plus grande"),
        ("grid", "05_grid", "trials.1.val_f1", 0.99, "C’est aussi celui", "d’un autre essai"),
        ("data", "01_data", "identities_shared", 3, "Aucune n’apparaît", "3 apparaissent dans deux jeux"),
        ("data", "01_data", "copies.extra", 1, "comme on le sait de CelebA", "image est identique à une autre"),
        ("data", "01_data", "copies.extra", 0, "à la fois dans train et valid", "Aucune image n’est identique"),
        ("data", "01_data", "data.left_out", 35, "Rien n’a été écarté pour autant.", "images de train sont laissées"),
        ("data", "01_data", "identities", None, "personnes dans train", "pas de fichier d’identités"),
        ("data", "01_data", "largest_shift.points", -0.1, "l’explique mal", "Le hasard du tirage suffit"),
        ("model", "02_baselines", "parameters_count", 12, "compte exact du cours", "pas le compte du cours"),
        ("limits", "05_grid", "checks.0.passed", False, ">réussi<", '<span class="fail">ÉCHEC</span>'),
        ("limits", "05_grid", "checks.1.passed", False, ">réussi<", '<span class="remark">remarque</span>'),
        ("reproducibility", "07_test", "environment.git_commit", "abc+", "", "des fichiers différaient"),
    ],
)
def test_the_words_follow_the_numbers(study, section, notebook, path, value, before, after):
    first = study.text(section)
    study.change(notebook, path, value)
    second = study.text(section)
    assert before in first and after in second
    assert not after or after not in first
    assert before == ">réussi<" or not before or before not in second


@pytest.mark.parametrize("language", LANGUAGES)
def test_limits_name_attributes_with_few_positives(study, language):
    assert "- **Eyeglasses**" not in study.text("limits", language=language)
    study.change("07_test", "per_attribute.test.4", attribute_row("Eyeglasses", 20, 5, 30, 974))
    text = study.text("limits", language=language)
    assert "- **Eyeglasses**" in text and f"50{NBSP}" in text


def test_a_failed_check_is_a_fault_and_a_remark_is_not(study):
    study.change("05_grid", "checks.1.passed", False)
    assert '<div class="fault">' not in study.text("limits")
    study.change("05_grid", "checks.0.passed", False)
    text = study.text("limits")
    assert '<div class="fault">' in text and f"1{NBSP}échec et 1{NBSP}remarque" in text


# Two languages


def test_both_languages_have_the_same_sections_and_words():
    def keys(value):
        return {key: keys(item) for key, item in value.items()} if isinstance(value, dict) else None

    french, english = (sections._words(language) for language in LANGUAGES)
    for translated in ("checks", "phrases", "steps"):  # the notebooks' own words are English
        french.pop(translated), english.pop(translated)
    assert keys(french) == keys(english)
    assert list(french["sections"]) == list(SECTIONS)
    files = [sorted(path.name for path in (TEMPLATES / language).iterdir()) for language in LANGUAGES]
    assert files[0] == files[1] and len(files[0]) == len(SECTIONS) + 3  # words, and two parts of the test


@pytest.mark.parametrize("name", sorted(path.name for path in (TEMPLATES / "fr").glob("*.j2")))
def test_both_languages_show_the_same_things(name):
    def placeholders(language: str) -> list[str]:
        text = " ".join(EXPRESSION.findall((TEMPLATES / language / name).read_text(encoding="utf-8")))
        return sorted(re.findall(r"\b[a-zA-Z_]+(?:\.\w+|\[\d+\])+|(?<=figure\()\"\w+\"", text))

    assert placeholders("fr") == placeholders("en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_sections_are_numbered_as_in_the_course(study, language):
    text = study.text(language=language, author="Ada <Lovelace>")
    assert re.findall(r"^## (\d+)\. \w", text, re.MULTILINE) == [str(n) for n in range(13)]
    labels = re.findall(r"\*\*([DM]\d+)\.", text)
    assert labels == [f"D{n}" for n in range(1, 12)] + [f"M{n}" for n in range(10)]
    assert "Ada &lt;Lovelace&gt;" in text


def test_the_notebook_shows_every_section_in_order():
    notebook = json.loads((NOTEBOOKS / "report.ipynb").read_text("utf-8"))
    shown = [re.findall(r'show_section\(document, "(\w+)"\)', "".join(cell["source"])) for cell in notebook["cells"]]
    assert [name for names in shown for name in names] == list(SECTIONS)


# Rigour


def test_effects_beyond_noise_are_named_and_one_seed_allows_no_verdict(study):
    assert "une seule graine" in study.text("grid") and "aucun verdict" in study.text("grid")
    study.change("05_grid", "seeds", [42, 43, 44])
    study.change("05_grid", "seed_noise", 0.0123)
    study.change("05_grid", "effects.1.verdict", "within noise")
    text = study.text("grid")
    assert "0,0123" in text and "aucun effet ne sort du bruit" in text
    study.change("05_grid", "effects.1.verdict", "higher")
    text = study.text("grid").replace(NBSP, " ")
    assert "Au-delà du bruit : perte plus haute de 0,0432 avec <code>lr</code> 0,005" in text


def test_an_edge_of_the_grid_names_the_next_value(study):
    assert f"prochaine à essayer{NBSP}: 2,0{NBSP}×{NBSP}10⁻⁴" in study.text("grid")


@pytest.mark.parametrize(
    ("low", "high", "french"),
    [(0.01, 0.03, "Plus exact"), (-0.03, -0.01, "Moins exact"), (-0.01, 0.01, "ne se distinguent pas")],
)
def test_the_verdict_on_two_checkpoints_follows_the_interval(study, low, high, french):
    study.change("07_test", "comparison.differences.0.low", low)
    study.change("07_test", "comparison.differences.0.high", high)
    assert french in study.text("test")


def test_without_people_intervals_are_over_images_and_say_so(study):
    study.change("07_test", "persons", None)
    for row in study.results["07_test"]["intervals"]:
        del row["image_low"], row["image_high"]
    text = study.text("test", language="en")
    assert "these intervals are too narrow" in text and "Resampling images |" not in text


def test_a_test_opened_twice_is_told_in_its_section(study):
    assert "une seule fois" in study.text("test")
    study.results["07_test"]["openings"] *= 2
    assert "ouvert" in study.text("test") and "2 fois" in study.text("test").replace(NBSP, " ")


def test_a_part_of_the_test_split_does_not_compare_with_published_results(study):
    assert "elle ne se compare pas" not in study.text("test")
    study.change("07_test", "whole_test", False)
    assert "elle ne se compare pas" in study.text("test")


def test_the_spread_over_seeds_replaces_the_limit_of_one(study):
    assert "Une seule graine" in study.text("limits")
    scores = {"loss": 0.2, "mean_accuracy": 0.93, "micro_f1": 0.9, "macro_f1": 0.8, "exact_match": 0.7}
    rows = [{"seed": seed, "epoch": 3} | {k: v + seed / 1000 for k, v in scores.items()} for seed in (1, 2, 3)]
    study.change("06_final", "seeds", rows)
    assert "0,9320 ± 0,0010" in study.text("training") and "Une seule graine" not in study.text("limits")


def test_every_attribute_whose_interval_excludes_zero_is_named_and_no_other(study):
    rows = study.results["appendix"]["shortcuts"]
    for row in rows[:2]:
        row["low"] = -0.01
    text = study.text("test")
    assert f"3 intervalles sur 5 excluent{NBSP}" in text.replace("excluent ", f"excluent{NBSP}")
    named = text[text.index("Au-delà de leur propre étiquette") : text.index("excluent")]
    assert [name for name in ATTRIBUTES if name in named] == [row["attribute"] for row in rows[2:]]
    for row in rows:
        row["low"] = -0.01
    assert "Aucun intervalle n’exclut zéro" in study.text("test")
