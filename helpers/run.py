"""The folders of one run: its results, figures, checkpoints and logs, each in its place."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from helpers.checks import Checks
from helpers.config import CHECKPOINTS, FIGURES, META, ROOT, RUNS, Config
from helpers.data.batches import Split, load_split
from helpers.data.celeba import Dataset
from helpers.errors import StudyError
from helpers.models.checkpoints import save_checkpoint
from helpers.models.networks import architecture
from helpers.system.devices import choose_device
from helpers.system.files import append_json, file_md5, plain, read_jsons, write_text
from helpers.system.provenance import environment, user
from helpers.training.loop import KeepBest

__all__ = ["Run"]

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW"}  # as the course and torch name them
SCORECARD = "checks.json"  # in results/
LOGITS = "07_logits.npz"  # in results/, of the splits that 07_test measured
TEST_LOG = "test_opened.jsonl"  # in the run's folder, and only ever added to
# What each notebook's results hold beside what `Run.write` adds: the report and the tests read them by these names.
RESULTS = {
    "01_data": (
        *("meta", "rates", "cooccurrence", "correlation", "identities", "identities_shared", "largest_shift"),
        *("labels_per_image", "no_label", "batch", "copies", "label_consistency", "findings"),
    ),
    "02_baselines": (
        *("baselines", "majority", "constants", "train_rates", "images", "linear_epochs", "parameters_count"),
        *("mult_adds", "layers", "initial_loss", "prior_loss", "prior_entropy"),
    ),
    "03_overfit": (
        *("images", "valid_images", "train_loss", "train_eval_loss", "wrong_labels", "first_epoch_below"),
        *("valid_loss_lowest", "valid_loss_highest_after", "valid_loss_last", "by_hand", "by_hand_difference"),
        *("capacity", "history"),
    ),
    "04_lr_finder": (
        *("chosen", "suggestions", "by_seed", "window", "steps", "range", "images", "last_lr", "diverged"),
    ),
    "05_grid": (
        *("best", "best_name", "trials", "trainings", "seeds", "seed_noise", "effects", "edges", "images"),
        *("suggested_lr", "trial_seconds", "trial_tflop"),
    ),
    "06_final": (
        *("chosen", "origin", "history", "best_epoch", "best", "checkpoint", "images", "extra", "seeds"),
        "images_per_second",
    ),
    "07_test": (
        *("checkpoint", "checkpoint_name", "checkpoint_epoch", "trained_on", "trained_seed", "overall", "whole_test"),
        *("persons", "openings", "intervals", "valid_interval", "majority", "per_attribute", "threshold_gains"),
        *("comparison", "groups", "gaps"),
    ),
    "appendix": ("calibration", "shortcuts", "likely_errors", "published"),
}


class Run:
    """The folders of one run, as seen by one notebook.

    Results go to runs/<run_name>/results/<notebook>.json, figures to figures/<run_name>/, weights to
    checkpoints/<run_name>/. `dataset` is what the notebook reads, where it reads one; `parameters` are those of its
    `parameters` cell; `checks` are its sanity checks, kept in results/checks.json with those of the other notebooks.
    """

    def __init__(
        self, notebook: str, config: Config, dataset: Dataset | None = None, parameters: Mapping | None = None
    ):
        self.notebook, self.config = notebook, config
        self.dataset: Any = dataset
        self.parameters = dict(parameters or {})
        self.folder = RUNS / config.run_name
        self.results = self.folder / "results"
        self.figures = FIGURES / config.run_name
        self.checkpoints = CHECKPOINTS / config.run_name
        self._started = time.perf_counter()
        for folder in (self.results, self.figures):
            _make(folder)
        self.checks = Checks(notebook, self.results / SCORECARD)

    def write(self, **results) -> Path:
        """Write the notebook's results, with its parameters, data and environment, as JSON.

        Raises ValueError where the results are not those that RESULTS names.
        """
        if set(results) != set(RESULTS.get(self.notebook, results)):
            wrong = sorted(set(results) ^ set(RESULTS[self.notebook]))
            raise ValueError(f"{self.notebook} writes other results than study.RESULTS names: {', '.join(wrong)}")
        content = {
            "notebook": self.notebook,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._started, 1),
            "parameters": self.parameters | self.config.to_dict(),
            "data": self._describe_data(),
            "environment": environment(choose_device(self.config.device)),
            **results,
            "checks": self.checks.rows,
        }
        path = self.results / f"{self.notebook}.json"
        write_text(path, json.dumps(plain(content), indent=1, ensure_ascii=False))
        print(f"Results: {short_path(path)}")
        return path

    def read(self, notebook: str, needed_for: str = "") -> dict:
        """Return another notebook's results; StudyError says which notebook to run where there are none."""
        path = self.results / f"{notebook}.json"
        if not path.is_file():
            why = f" {needed_for}" if needed_for else ""
            raise StudyError(
                f"{self.notebook} needs the results of {notebook}{why}, and {short_path(path)} is not there. "
                f"Run {notebook} first, with run_name={self.config.run_name!r}."
            )
        return json.loads(path.read_text(encoding="utf-8"))

    def configure(self, **changes) -> Config:
        """Change the run's configuration, which its results are written with; return it."""
        self.config = self.config.but(**changes)
        return self.config

    def load(self, split: str) -> Split:
        """Load a split for the run's device, as many images of train and valid as the parameters say."""
        limit = {"train": self.config.train_images, "valid": self.config.valid_images}.get(split, 0)
        return load_split(self.dataset, split, choose_device(self.config.device), limit, self.config.seed)

    def clear_results(self):
        """Remove this notebook's results of an earlier run, so that none are taken for those of an interrupted one."""
        (self.results / f"{self.notebook}.json").unlink(missing_ok=True)

    def has(self, notebook: str) -> bool:
        """Say whether that notebook's results are there."""
        return (self.results / f"{notebook}.json").is_file()

    def save_figure(self, figure, name: str, note: str = "") -> Path:
        """Save a figure as figures/<run_name>/<notebook>_<name>.png; drawn faces are said to be drawn.

        `note` stands below it: how many images, which seeds.
        """
        if note:
            figure.text(0.0, -0.01, note, ha="left", va="top", fontsize=7.5, color="#555")
        if self.dataset is not None and self.dataset.drawn:
            figure.text(1.0, -0.01, "drawn faces", ha="right", va="top", fontsize=7.5, color="#a33")
        path = self.figures / f"{self.notebook}_{name}.png"
        try:
            figure.savefig(path, dpi=150, bbox_inches="tight", facecolor="white")
        except OSError as error:
            raise StudyError(f"The figure {path} cannot be written ({error}).") from error
        return path

    def save_checkpoint(self, name: str, model, epoch: int, metrics: dict, config: Config | None = None):
        """Write checkpoints/<run_name>/<name>.pt."""
        path = self.checkpoints / f"{name}.pt"
        source = self.dataset.source if self.dataset else "unknown"
        save_checkpoint(path, model, config or self.config, epoch, metrics, source)

    def follow(self, name: str, config: Config, last: bool = False) -> "Follower":
        """Return an `on_epoch` for `fit` that logs the training and saves its best checkpoint as <name>.pt.

        With `last`, the newest epoch's is saved as last.pt too. Checkpoints of an earlier training are removed, so
        that none is taken for this one's.
        """
        for old in [name, "last"] if last else [name]:
            (self.checkpoints / f"{old}.pt").unlink(missing_ok=True)
        return Follower(self, name, config, last)

    def write_config(self, config: Config):
        """Write runs/<run_name>/config.yaml in the course's form."""
        content = {
            "model": {
                **architecture(config),
                "num_classes": META["num_classes"],
                "input_shape": list(META["input_shape"]),
            },
            "train": {
                "seed": config.seed,
                "batch_size": config.batch_size,
                "epochs": config.max_epochs,
                "optimizer": {
                    "name": OPTIMIZERS[config.optimizer],
                    "lr": config.lr,
                    "weight_decay": config.weight_decay,
                },
            },
        }
        write_text(self.folder / "config.yaml", yaml.safe_dump(content, sort_keys=False))

    def tensorboard(self, name: str) -> Callable[[dict, object], None]:
        """Return an `on_epoch` for `fit` that logs to runs/<run_name>/tensorboard/<name>, begun anew."""
        from torch.utils.tensorboard import SummaryWriter  # a second to import: only where it is used

        folder = self.folder / "tensorboard" / name
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        writer = SummaryWriter(str(folder))
        tags = {"train_loss": "train/loss", "val_loss": "val/loss", "val_f1": "val/f1", "val_acc": "val/acc"}

        def log(row: dict, model=None):
            for column in tags.keys() & row.keys():
                writer.add_scalar(tags[column], row[column], row["epoch"])
            writer.flush()

        return log

    def trained_checkpoint(self, allow_unfinished: bool = False) -> Path:
        """Return the path of the final training's best checkpoint.

        06_final writes its results when it is done: raises StudyError where they are missing, since its training was
        interrupted, unless `allow_unfinished`.
        """
        path = self.checkpoints / "best.pt"
        if path.is_file() and not self.has("06_final") and not allow_unfinished:
            raise StudyError(
                f"06_final of the run {self.config.run_name!r} was interrupted: {short_path(path)} is there, but its "
                "results are not. Run 06_final to its end, or set allow_unfinished = True to open test for it."
            )
        return path

    def open_test(self, device: torch.device, checkpoints: list[Path]) -> Split:
        """Load the test split, after writing down who opens it, when and for which checkpoints (TEST_LOG)."""
        record = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "who": user(),
            "notebook": self.notebook,
            "checkpoints": {str(path): file_md5(path) for path in checkpoints},
            "data": self.dataset.fingerprint,
        }
        append_json(self.folder / TEST_LOG, record)
        return load_split(self.dataset, "test", device)

    def save_logits(self, logits: dict[str, np.ndarray]):
        """Keep the logits of each split for the notebooks that look closer, with the data that they belong to."""
        arrays: dict[str, Any] = {"data": np.array(self.dataset.fingerprint), **logits}
        np.savez(self.results / LOGITS, **arrays)

    def tested(self) -> tuple[dict[str, np.ndarray], dict[str, Split]]:
        """Return the logits that 07_test saved, and their splits, by name.

        Raises StudyError where 07_test has not run, or where it ran on other data. Test is not opened by this: the
        log has no new entry, as nothing is predicted and nothing can be chosen.
        """
        self.read("07_test", "and the logits that it saved")
        with np.load(self.results / LOGITS) as saved:
            if str(saved["data"]) != self.dataset.fingerprint:
                raise StudyError("07_test ran on other data than these. Set data_root to its data, or run it again.")
            logits = {name: saved[name] for name in ("valid", "test")}
        device = choose_device(self.config.device)
        return logits, {name: load_split(self.dataset, name, device) for name in logits}

    @property
    def test_openings(self) -> list[dict]:
        """Every opening of the test split in this run, the oldest first."""
        return read_jsons(self.folder / TEST_LOG)

    def _describe_data(self) -> dict | None:
        if self.dataset is None:
            return None
        return {
            "source": self.dataset.source,
            "drawn": self.dataset.drawn,
            "root": str(self.dataset.root),
            "images": len(self.dataset.annotations),
            "listed": self.dataset.listed,
            "split_sizes": self.dataset.split_sizes,
            "layout": self.dataset.layout.name,
            "official_splits": self.dataset.has_official_splits,
            "whole_celeba": self.dataset.is_whole_celeba,
            "left_out": self.dataset.left_out,
            "fingerprint": self.dataset.fingerprint,
        }


class Follower(KeepBest):
    """Keeps the best epoch of a training, as `KeepBest` does, and writes its checkpoint and its TensorBoard log."""

    def __init__(self, run: Run, name: str, config: Config, last: bool):
        super().__init__()
        self.run, self.name, self.config, self.last = run, name, config, last
        self.log = run.tensorboard("final" if name == "best" else name.removesuffix("_best"))

    def __call__(self, row: dict, model):
        self.log(row)
        super().__call__(row, model)
        if self.last:
            self.run.save_checkpoint("last", model, row["epoch"], row, self.config)
        if self.row is row:
            self.run.save_checkpoint(self.name, model, row["epoch"], row, self.config)


def _make(folder: Path):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"The folder {folder} cannot be made ({error.strerror or error}).") from error


def short_path(path: Path) -> str:
    """Return a path as one types it in the project's folder, where it lies there."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
