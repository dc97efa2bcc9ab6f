"""Sanity checks: the scorecard of expected and measured values, and the probes of a network and its data.

A probe returns a `Check`, which the notebook adds to its `Checks`. Most of them come from Karpathy, "A Recipe for
Training Neural Networks" (2019).

The texts of a check are English templates with named fields, such as "{wrong} wrong of {total}", and its values are
kept beside them. The template is what the report looks up in its catalogue to say the same in another language.
"""

import contextlib
import copy
import dataclasses
import itertools
import math
import string
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.config import ATTRIBUTES, Config
from helpers.data.batches import Split, endless_batches, normalise
from helpers.data.celeba import Dataset
from helpers.data.official import OFFICIAL_COPIES, OFFICIAL_SIZES
from helpers.errors import StudyError
from helpers.evaluation import metrics
from helpers.system.records import plain, read_record, write_record
from helpers.training.loop import predict_logits
from helpers.training.optim import batch_loss, build_optimizer, train_step

__all__ = [
    "Check",
    "blanked",
    "did_not_diverge",
    "every_parameter_learns",
    "gradient_stays_in_its_sample",
    "images_tell_labels",
    "inputs_normalised",
    "no_better_than_constant",
    "no_copies_across",
    "predictions_move",
    "same_logits",
    "shuffled",
    "targets_are_the_files",
    "train_and_eval_mode_agree",
    "trained_to_the_end",
]

REACH = 0.9  # photographs have nearly black and nearly white pixels, so normalised pixels reach at least this value
BLOWN_UP = 20
CHANCE_AUROC = 0.6  # mean over the five attributes; labels shuffled across images give 0.5


class Formatter(string.Formatter):
    """Fill the fields of a template; the items of a list are separated by commas, and None is a value not finite."""

    def format_field(self, value, format_spec):
        if isinstance(value, list | tuple):
            return ", ".join(self.format_field(item, format_spec) for item in value)
        return "NaN" if value is None else format(value, format_spec)


@dataclass(frozen=True)
class Check:
    """One sanity check. If a "fault" fails, the study is wrong; if a "remark" fails, that is worth knowing.

    `passed` is None for a check that does not apply, since what it looks at does not exist here; `measured` says why.
    `name`, `expected` and `measured` are templates, whose fields are filled from `values`: numbers, strings, and lists
    of them.
    """

    name: str
    expected: str
    measured: str
    passed: bool | None
    severity: str = "fault"
    values: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.passed is not None:
            object.__setattr__(self, "passed", bool(self.passed))  # JSON cannot write NumPy's types
        object.__setattr__(self, "values", plain(self.values))

    def told(self, part: str) -> str:
        """Return "name", "expected" or "measured" in English, with the values filled in."""
        return Formatter().vformat(getattr(self, part), (), self.values)


class Checks:
    """The checks of one notebook, which are printed and written to the run's scorecard.

    `path` is the scorecard, a JSON file with the checks of all notebooks. Checks from an earlier execution of this
    notebook are removed from it. A new check replaces an earlier one of the same name.
    """

    def __init__(self, notebook: str, path: Path):
        self.notebook, self.path = notebook, path
        self.made: dict[str, Check] = {}
        self._write()

    def expect(self, name: str, expected: str, measured: str, passed: bool, severity: str = "fault", **values):
        """Record and print one check; a failed check does not stop the notebook.

        `values` fill the fields of the three texts: expect("no label is wrong", "0", "{wrong:,}", not wrong,
        wrong=wrong). The texts are templates, not f-strings, so that the report can translate them.
        """
        self.add(Check(name, expected, measured, passed, severity, values))

    def add(self, check: Check):
        """Record and print a check that a probe returned."""
        self.made[check.told("name")] = check
        self._write()
        failed = "FAIL" if check.severity == "fault" else "NOTE"
        word = {True: "PASS", False: failed, None: "NONE"}[check.passed]
        print(f"{word}  {check.told('name')}: expected {check.told('expected')}, measured {check.told('measured')}")

    def conclusion(self, text: str) -> str:
        """Return `text` with the failed remarks added; if there are faults, return a sentence that names them."""
        failed = {kind: self._failed(kind) for kind in ("fault", "remark")}
        if failed["fault"]:
            return f"**No conclusion can be drawn here.** Checks that failed: {'; '.join(failed['fault'])}."
        if failed["remark"]:
            return f"{text} Remarks: {'; '.join(failed['remark'])}."
        count = sum(check.passed is True for check in self.made.values())
        passed = {0: "", 1: " The check of this notebook passed."}
        return text + passed.get(count, f" All {count} checks of this notebook passed.")

    def _failed(self, severity: str) -> list[str]:
        failed = [check for check in self.made.values() if check.passed is False and check.severity == severity]
        parts = ([check.told(part) for part in ("name", "expected", "measured")] for check in failed)
        return [f"{name} (expected {expected}, measured {measured})" for name, expected, measured in parts]

    @property
    def rows(self) -> list[dict]:
        """The checks as dictionaries of plain types, for the results file."""
        return [asdict(check) | {"notebook": self.notebook} for check in self.made.values()]

    def _write(self):
        others = [row for row in read_scorecard(self.path) if row["notebook"] != self.notebook]
        rows = sorted(others + self.rows, key=lambda row: row["notebook"])  # names begin with numbers
        write_record(self.path, {"checks": rows})


def read_scorecard(path: Path) -> list[dict]:
    """Return the checks of a run, the fields of `Check` and the notebook of each; [] if there is no file.

    If the file is damaged, the checks are taken from the results of the notebooks beside it, which contain them too;
    those of a notebook whose results are damaged as well are missing then.
    """
    if not path.is_file():
        return []
    try:
        return read_record(path)["checks"]
    except StudyError:
        rows = []
        for results in sorted(set(path.parent.glob("*.json")) - {path}):
            with contextlib.suppress(StudyError):
                rows += read_record(results, strict=False).get("checks", [])
        return rows


def verdict(rows: list[dict], notebooks: Iterable[str] = ()) -> tuple[str, bool]:
    """Return a one-line summary that names the faults, and whether there are none.

    `notebooks` are those that ran. One without any check is a fault too: nothing vouches for it.
    """
    failed = [row for row in rows if row["passed"] is False]
    faults = [f"{_name(row)} ({row['notebook']})" for row in failed if row["severity"] == "fault"]
    unchecked = sorted(set(notebooks) - {row["notebook"] for row in rows}) if rows else ["this run"]
    faults += [f"no check was made in {notebook}" for notebook in unchecked]
    passed, beside = sum(row["passed"] is True for row in rows), sum(row["passed"] is None for row in rows)
    remarks = len(failed) - sum(row["severity"] == "fault" for row in failed)
    counts = {"passed": passed, "remark": remarks, "fault": len(faults)}
    words = [f"{count} {name}{'s' if name != 'passed' and count != 1 else ''}" for name, count in counts.items()]
    counted = f"Checks: {', '.join(words)}"
    counted += f" ({beside} did not apply)" if beside else ""
    return (f"{counted}: {'; '.join(faults)}. The study is wrong there." if faults else f"{counted}."), not faults


def _name(row: dict) -> str:
    return Formatter().vformat(row["name"], (), row["values"])


# The probes


def inputs_normalised(images: torch.Tensor, name: str) -> Check:
    """Check that the pixels fill [-1, 1]; pixels in [0, 1] or [0, 255] fail."""
    low, high = images.min().item(), images.max().item()
    passed = -1 <= low <= -REACH and REACH <= high <= 1
    return Check(name, "-1 to 1", "{low:.2f} to {high:.2f}", passed, values={"low": low, "high": high})


def targets_are_the_files(split: Split, dataset: Dataset) -> Check:
    """Check that the targets of each image are the labels of its file name in the annotations."""
    listed = dataset.annotations.loc[split.names, list(ATTRIBUTES)].to_numpy(np.float32)
    wrong = int((listed != split.targets.cpu().numpy()).any(1).sum())
    name = "the {split} targets are the files' labels, image by image"
    return Check(name, "0 differ", "{wrong:,} differ", wrong == 0, values={"split": split.name, "wrong": wrong})


def no_copies_across(copies: dict[str, int], dataset: Dataset) -> Check:
    """Check that no image is in two splits; copies that CelebA is known to have are a remark, more are a fault.

    `copies` is the result of `labels.copies`. With splits other than the official ones, any known copy may be in two
    splits. A random subset with a share s of the images contains both images of about n s² of the n known pairs;
    three standard deviations, 3 √(n s²), are added to that.
    """
    crossing = sum(number for pair, number in copies.items() if "/" in pair)
    known = sum(number for pair, number in OFFICIAL_COPIES.items() if "/" in pair)
    known = 0 if dataset.drawn else known if dataset.has_official_splits else OFFICIAL_COPIES["extra"]
    expected = known * min(1, len(dataset.annotations) / sum(OFFICIAL_SIZES.values())) ** 2
    allowed = min(known, math.ceil(expected + 3 * math.sqrt(expected)))
    severity = "fault" if crossing > allowed else "remark"
    values = {"crossing": crossing}
    return Check("no image in two splits", "0 copies", "{crossing:,} copies", crossing == 0, severity, values)


def gradient_stays_in_its_sample(model: nn.Module, images: torch.Tensor) -> Check:
    """Check, in eval mode, that the logits of one image do not depend on the other images of the batch."""
    model.eval()
    inputs = images.detach().clone().requires_grad_()
    middle = len(inputs) // 2
    (gradient,) = torch.autograd.grad(model(inputs)[middle].sum(), inputs)
    touched = set(gradient.flatten(1).any(1).nonzero().flatten().tolist())
    name = "one sample's gradient touches its own input alone"
    values = {"touched": len(touched)}
    return Check(name, "1 image touched, its own", "{touched} touched", touched == {middle}, values=values)


def every_parameter_learns(model: nn.Module, train: Split, config: Config) -> Check:
    """Check that one optimizer step changes every parameter tensor; the step is done on a copy of the model.

    Without weight decay, which would move a parameter that no gradient reaches.
    """
    config = config.but(weight_decay=0.0)
    probe = copy.deepcopy(model).train()
    before = {name: parameter.detach().clone() for name, parameter in probe.named_parameters()}
    batches = endless_batches(train, config.batch_size, torch.Generator().manual_seed(config.seed))
    train_step(probe, build_optimizer(probe, config), *next(batches), config)
    still = [name for name, parameter in probe.named_parameters() if torch.equal(parameter, before[name])]
    measured = "{number} still: {still}" if still else "{number} still"
    values = {"number": len(still), "still": still}
    return Check("one step moves every parameter", "0 still", measured, not still, values=values)


def images_tell_labels(logits: np.ndarray, targets: np.ndarray) -> Check:
    """Check that a simple model's logits (N, 5) on valid have a mean AUROC above chance.

    The check does not apply if there are too few images: an AUROC of chance has the variance (p + n + 1) / (12 p n),
    with p positives and n negatives (Mann and Whitney, 1947), and three standard errors may reach beyond the bound.
    """
    area = float(metrics.per_attribute(logits, targets)["auroc"].mean())  # NaN for a diverged model, which fails
    name = "the images tell of their labels (logistic regression)"
    positives = np.asarray(targets, np.float64).sum(axis=0)
    negatives = len(targets) - positives
    two = (positives > 0) & (negatives > 0)  # the attributes of which valid has both values
    variances = (len(targets) + 1) / (12 * positives[two] * negatives[two])
    error = float(np.sqrt(variances.sum()) / max(1, two.sum()))
    values = {"chance": CHANCE_AUROC, "area": area, "error": error}
    if not two.any() or (3 * error > CHANCE_AUROC - 0.5 and not area > 0.5 + 3 * error):
        measured = "{area:.3f} ± {error:.3f}: too few images to tell"
        return Check(name, "mean AUROC > {chance:g}", measured, None, values=values)
    return Check(name, "mean AUROC > {chance:g}", "{area:.3f}", area > CHANCE_AUROC, values=values)


def blanked(split: Split) -> Split:
    """Return the split with all images grey, so that only the base rates of the labels can be learnt."""
    return dataclasses.replace(split, images=torch.full_like(split.images, 128))


def shuffled(split: Split, seed: int) -> Split:
    """Return the split with labels shuffled across images, so that only their base rates can be learnt."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    return dataclasses.replace(split, targets=split.targets[order.to(split.targets.device)])


def no_better_than_constant(
    name: str, model: nn.Module, split: Split, precision: str = "auto", most: float = math.inf
) -> Check:
    """Check that a model trained as a negative control is not better than the best constant prediction.

    The loss of the best constant is the entropy of the split's base rates. The tolerance for chance is three standard
    errors of the per-image difference between the two losses. The model's loss may exceed the constant's by at most
    `most`: a model that starts at the base rates and sees only grey images should stay there.
    """
    truth = split.targets.cpu().numpy().astype(np.float64)  # in which 1 - 1e-12 is not 1
    rates = truth.mean(0)
    losses = metrics.bce_losses(predict_logits(model, split, precision), truth).mean(1)
    constant = metrics.bce_losses(np.log(rates + 1e-12) - np.log1p(1e-12 - rates), truth).mean(1)
    slack = 3 * float(np.std(losses - constant)) / np.sqrt(len(losses)) + 1e-3
    loss, bar = float(losses.mean()), float(constant.mean())
    bounded = math.isfinite(most)
    expected = "a loss ≥ {bar:.3f} − {slack:.3f} and ≤ {most:.3f}" if bounded else "a loss ≥ {bar:.3f} − {slack:.3f}"
    values = {"bar": bar, "slack": float(slack), "loss": loss} | ({"most": bar + most} if bounded else {})
    return Check(name, expected, "{loss:.3f}", bar - slack <= loss <= bar + most, values=values)


def train_and_eval_mode_agree(model: nn.Module, train: Split, config: Config) -> Check:
    """Check that the loss of the same unaugmented train images is similar in train mode and in eval mode.

    The modes differ in dropout and in batch normalisation, whose running averages lag behind fast-changing weights.
    """
    losses = mode_losses(model, train, config)
    passed = losses["eval"] < 1.25 * losses["train"] + 0.05
    name, measured = "eval mode's train loss is near train mode's", "eval {eval:.4f}, train {train:.4f}"
    return Check(name, "eval < 1.25 train + 0.05", measured, passed, "remark", losses)


@torch.no_grad()
def mode_losses(model: nn.Module, train: Split, config: Config) -> dict[str, float]:
    """Return the mean loss over a split in eval and in train mode, in training batches; the model is unchanged."""
    probe, plain, losses = copy.deepcopy(model), config.but(label_smoothing=0.0), {}
    batches = torch.arange(len(train)).split(config.batch_size)
    for mode in ("eval", "train"):  # eval comes first, since train mode changes the running averages
        probe.train(mode == "train")
        total = sum(
            batch_loss(probe, normalise(train.gather(b)), train.targets[b.to(train.device)], plain) * len(b)
            for b in batches
            if len(b) > 1
        )
        losses[mode] = float(total) / sum(len(b) for b in batches if len(b) > 1)
    return losses


def trained_to_the_end(history: pd.DataFrame, config: Config) -> Check:
    """Check that the training ran all its epochs: it has fewer if it was stopped, or if it diverged."""
    done, planned = len(history), config.max_epochs
    values = {"planned": planned, "done": done}
    name = "the final training ran all its epochs"
    return Check(name, "{planned} epochs", "{done} epochs", done == planned, "remark", values)


def did_not_diverge(history: pd.DataFrame, name: str = "the final training did not diverge") -> Check:
    """Check that the losses stayed finite, the train loss did not rise, and the valid loss is no worse than a coin's.

    A coin's loss is ln 2. The last valid loss may be higher, since a network that overfits is sure of its mistakes,
    but not BLOWN_UP times as high as the lowest.
    """
    train, valid = (history[column].to_numpy(float) for column in ("train_loss", "val_loss"))
    values = {"coin": math.log(2), "first": train[0], "ended": train[-1], "lowest": valid.min(), "last": valid[-1]}
    sound = bool(np.isfinite([train, valid]).all() and train[-1] <= train[0])
    sound = sound and bool(valid.min() <= math.log(2) and valid[-1] <= BLOWN_UP * valid.min())
    expected = "train loss ≤ its first, {first:.4f}; valid loss ≤ {coin:.4f} at its lowest"
    measured = "train {ended:.4f}; valid {lowest:.4f} at its lowest, {last:.4f} at the end"
    return Check(name, expected, measured, sound, values=values)


def predictions_move(answers: list[np.ndarray]) -> Check:
    """Check that the probabilities of a fixed batch, one array (B, 5) per epoch, change from epoch to epoch."""
    steps = [float(np.abs(after - before).mean()) for before, after in itertools.pairwise(answers)]
    name, measured = "a fixed batch's predictions move every epoch", "{least:.4f} at least"
    if not steps:
        return Check(name, "a mean change > 0", "one epoch only", None)
    return Check(name, "a mean change > 0", measured, min(steps) > 0, values={"least": min(steps)})


def same_logits(model: nn.Module, other: nn.Module, split: Split, precision: str = "auto") -> Check:
    """Check that the logits of two models on a split differ by less than 1e-4."""
    pair = (predict_logits(each, split, precision) for each in (model, other))
    difference = float(np.abs(np.subtract(*pair)).max())
    name = "the reloaded checkpoint gives the same logits"
    values = {"difference": difference}
    return Check(name, "a difference below 1e-4", "{difference:.1e}", difference < 1e-4, values=values)
