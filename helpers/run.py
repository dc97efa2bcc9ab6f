"""The folders of one run, with its results, figures, checkpoints and logs."""

import contextlib
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from helpers.config import CHECKPOINTS, FIGURES, META, ROOT, RUNS, Config
from helpers.data.batches import Split, load_split
from helpers.data.celeba import Dataset
from helpers.errors import StudyError
from helpers.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from helpers.models.networks import architecture
from helpers.scorecard import Checks
from helpers.system.devices import choose_device
from helpers.system.files import append_json, file_md5, read_jsons, write_text
from helpers.system.provenance import environment, now, user
from helpers.system.records import Files, read_arrays, read_record, relative, write_arrays, write_record
from helpers.training.follower import Follower

__all__ = ["Run"]

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW"}  # the names that the course and PyTorch use
SCORECARD = "checks.json"  # in results/
RESUME = "resume"  # in the run's folder: the states of its trainings
LOGITS = "07_logits.npz"  # in results/: the logits of valid and test that 07_test computed
TEST_LOG = "test_opened.jsonl"  # in the run's folder; lines are only ever added


class Run:
    """The folders of one run, as one notebook uses them.

    Results are written to runs/<run_name>/results/<notebook>.json, figures to figures/<run_name>/ and weights to
    checkpoints/<run_name>/. `parameters` are the values of the notebook's `parameters` cell, and `promised` the names
    of the results that it has to write. `checks` are its sanity checks; results/checks.json has those of all notebooks.
    """

    def __init__(
        self,
        notebook: str,
        config: Config,
        dataset: Dataset,
        parameters: Mapping,
        promised: Iterable[str],
    ):
        self.notebook, self.config, self.dataset = notebook, config, dataset
        self.parameters, self.promised = dict(parameters), set(promised)
        self.folder = RUNS / config.run_name
        self.results = self.folder / "results"
        self.figures = FIGURES / config.run_name
        self.checkpoints = CHECKPOINTS / config.run_name
        self.files = Files()
        self._started = time.perf_counter()
        for folder in (self.results, self.figures):
            _make(folder)
        self.checks = Checks(notebook, self.results / SCORECARD)

    def write(self, **results) -> Path:
        """Write the notebook's results as JSON, with its parameters, data, environment and checks; return the path.

        The digests of the files that the notebook read and made are written too: by them, a run that is started again
        sees whether the notebook has to be executed again. Raises ValueError if the names of the results are not
        those that were promised.
        """
        if set(results) != self.promised:
            wrong = ", ".join(sorted(set(results) ^ self.promised))
            raise ValueError(f"The results of {self.notebook} differ from those in study.RESULTS: {wrong}")
        content = {
            "notebook": self.notebook,
            "written": now(),
            "seconds": round(time.perf_counter() - self._started, 1),
            "parameters": self.parameters | self.config.to_dict(),
            "data": self._describe_data(),
            "environment": environment(choose_device(self.config.device), self.config.precision),
            **results,
            "checks": self.checks.rows,
            "files": self.files.digests(),
        }
        path = self.results / f"{self.notebook}.json"
        write_record(path, content)
        print(f"Results: {short_path(path)}")
        return path

    def save_arrays(self, **arrays) -> Path:
        """Save the arrays and the few images that the report's figures need as results/<notebook>.npz.

        Images are uint8 (N, 3, 64, 64), a few dozens at most: the results stay small, and are not committed.
        """
        path = self.results / f"{self.notebook}.npz"
        write_arrays(path, **arrays)
        self.files.made(path)
        return path

    def read(self, notebook: str, needed_for: str = "") -> dict:
        """Return another notebook's results; StudyError if it has not run, or if they were changed since.

        `needed_for` completes the message.
        """
        path = self.results / f"{notebook}.json"
        if not self.has(notebook):
            why = f" {needed_for}" if needed_for else ""
            raise StudyError(
                f"{self.notebook} needs the results of {notebook}{why}, but {short_path(path)} does not exist. "
                f"Run {notebook} first, with run_name={self.config.run_name!r}."
            )
        return read_record(path)

    def elsewhere(self, notebook: str) -> dict[str, dict]:
        """Return a notebook's results in the other runs by the runs' names; damaged ones are left out.

        Nothing is computed from them, so they do not count as files that this notebook has read.
        """
        found = {}
        for path in sorted(RUNS.glob(f"*/results/{notebook}.json")):
            with contextlib.suppress(StudyError):
                found[path.parent.parent.name] = read_record(path)
        found.pop(self.config.run_name, None)
        return found

    def configure(self, **changes) -> Config:
        """Change the run's configuration, which is written with the results; return the new one."""
        self.config = self.config.but(**changes)
        return self.config

    def load(self, split: str) -> Split:
        """Load a split for the run's device, with `train_images` or `valid_images` images where these are set."""
        limit = {"train": self.config.train_images, "valid": self.config.valid_images}.get(split, 0)
        return load_split(self.dataset, split, choose_device(self.config.device), limit, self.config.seed)

    def clear_results(self):
        """Remove this notebook's earlier results, so that they are not read if its new execution is interrupted."""
        for kind in ("json", "npz"):
            (self.results / f"{self.notebook}.{kind}").unlink(missing_ok=True)

    def has(self, notebook: str) -> bool:
        """Return whether a notebook has written its results."""
        path = self.results / f"{notebook}.json"
        self.files.read(path)
        return path.is_file()

    def save_figure(self, figure, name: str, note: str = "", *, alt: str):
        """Show a figure and save it as figures/<run_name>/<notebook>_<name>.png.

        `note` is written below the figure: number of images, seeds. Figures of drawn faces are marked as such. `alt`
        says in a sentence what the figure shows, for those who cannot see it.
        """
        from helpers.plots.style import show_figure  # half a second of matplotlib that the command line can do without

        if note:
            figure.text(0.0, -0.01, note, ha="left", va="top", fontsize=7.5, color="#555")
        if self.dataset.drawn:
            figure.text(1.0, -0.01, "drawn faces", ha="right", va="top", fontsize=7.5, color="#a33")
        path = self.figures / f"{self.notebook}_{name}.png"
        try:
            figure.savefig(path, dpi=200, bbox_inches="tight", facecolor="white")
        except OSError as error:
            raise StudyError(f"The figure {path} cannot be written ({error}).") from error
        self.files.made(path)
        show_figure(figure, alt)

    def save_checkpoint(self, name: str, model, epoch: int, metrics: dict, config: Config | None = None):
        """Write checkpoints/<run_name>/<name>.pt."""
        path = self.checkpoints / f"{name}.pt"
        save_checkpoint(path, model, config or self.config, epoch, metrics, self.dataset.source)
        self.files.made(path)

    def load_checkpoint(self, name: str | Path) -> Checkpoint:
        """Load a checkpoint of this run by its name, or another one by its path.

        Raises StudyError if the file is not the one that this run's results were measured with.
        """
        path = self.checkpoints / f"{name}.pt" if isinstance(name, str) else name
        self.files.read(path)
        if not self.files.is_made(path) and (self.results / "06_final.json").is_file():
            written = read_record(self.results / "06_final.json")["files"]["made"].get(relative(path))
            if path.is_file() and written not in (None, file_md5(path)):
                raise StudyError(
                    f"{short_path(path)} was changed or damaged after 06_final wrote it. Run 06_final again, or copy "
                    "this file out of the run's folder to use it."
                )
        return load_checkpoint(path)

    def resume(self, name: str) -> Path:
        """Return the file for the state of a training of this notebook, from which `fit` continues."""
        return self.folder / RESUME / self.notebook / f"{name.replace(' ', '_')}.pt"

    def follow(self, name: str, config: Config, watched: Split | None = None, last: bool = False) -> Follower:
        """Return an `on_epoch` for `fit` that logs the training and saves its best epoch as <name>.pt.

        With `last`, the latest epoch is also saved, as last.pt. `watched` are a few images that are predicted after
        every epoch.
        """
        return Follower(self, name, config, watched, last)

    def write_config(self, config: Config):
        """Write runs/<run_name>/config.yaml in the course's format."""
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

    def tensorboard(self, name: str) -> Callable[..., None]:
        """Return a function that logs an epoch's row to runs/<run_name>/tensorboard/<name>; older logs are removed."""
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        folder = self.folder / "tensorboard" / name
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        writer = SummaryWriter(str(folder))
        tags = {"train_loss": "train/loss", "val_loss": "val/loss", "val_f1": "val/f1", "val_acc": "val/acc"}

        def log(row: dict, model=None):
            for column in tags.keys() & row.keys():
                if row[column] is not None:  # a diverged trial of the grid has no loss
                    writer.add_scalar(tags[column], row[column], row["epoch"])
            writer.flush()

        weakref.finalize(log, writer.close)  # otherwise its thread and its file stay open
        return log

    def trained_checkpoint(self, allow_unfinished: bool = False) -> Path:
        """Return the path of the best checkpoint of the final training.

        06_final writes its results last. If the checkpoint exists but the results do not, the training was
        interrupted: StudyError, unless `allow_unfinished` is true.
        """
        path = self.checkpoints / "best.pt"
        if path.is_file() and not self.has("06_final") and not allow_unfinished:
            raise StudyError(
                f"06_final of the run {self.config.run_name!r} was interrupted: {short_path(path)} exists, but its "
                "results do not. Run 06_final again, or set allow_unfinished = True to test this checkpoint anyway."
            )
        return path

    def open_test(self, device: torch.device, checkpoints: list[Path]) -> Split:
        """Load the test split, after logging in TEST_LOG who opens it, when and for which checkpoints."""
        record = {
            "when": now(),
            "who": user(),
            "notebook": self.notebook,
            "checkpoints": {str(path): file_md5(path) for path in checkpoints},
            "data": self.dataset.fingerprint,
        }
        append_json(self.folder / TEST_LOG, record)
        return load_split(self.dataset, "test", device)

    def save_logits(
        self,
        logits: dict[str, np.ndarray],
        targets: np.ndarray,
        persons: np.ndarray | None,
        second: np.ndarray | None = None,
    ):
        """Save the logits (N, 5) of each split for the appendix, with the fingerprint of the dataset.

        `targets` (N, 5) and `persons` (N,) are of the test images, and so are the logits of a `second` network: what
        the report needs to compare networks or runs without the dataset. Persons are saved as numbers from 0.
        """
        arrays: dict[str, Any] = {"data": np.array(self.dataset.fingerprint), "targets": targets.astype(bool), **logits}
        numbered = None if persons is None else np.unique(persons, return_inverse=True)[1]
        more = {"persons": numbered, "second": second}
        arrays |= {name: array for name, array in more.items() if array is not None}
        write_arrays(self.results / LOGITS, **arrays)
        self.files.made(self.results / LOGITS)

    def tested(self) -> tuple[dict[str, np.ndarray], dict[str, Split]]:
        """Return the logits of valid and test that 07_test saved, and the two splits, both by name.

        Raises StudyError if 07_test has not run, or if it ran on another dataset. This does not count as opening the
        test split, so nothing is logged: no new predictions are made.
        """
        self.read("07_test", "and the logits that it saved")
        self.files.read(self.results / LOGITS)
        saved = read_arrays(self.results / LOGITS)
        logits = {name: saved[name] for name in ("valid", "test")}
        splits = {name: self.load(name) for name in logits}
        same_labels = np.array_equal(saved.get("targets", ()), splits["test"].targets.cpu().numpy().astype(bool))
        if str(saved.get("data")) != self.dataset.fingerprint or not same_labels:
            raise StudyError("07_test ran on another dataset. Set data_root to that dataset, or run 07_test again.")
        return logits, splits

    @property
    def test_openings(self) -> list[dict]:
        """The log of all openings of the test split in this run, oldest first."""
        return read_jsons(self.folder / TEST_LOG)

    def _describe_data(self) -> dict:
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


def read_results(folder: Path, notebook: str) -> dict | None:
    """Return what a notebook wrote into a run's folder, None if it has not run; StudyError if that was damaged."""
    path = folder / "results" / f"{notebook}.json"
    return read_record(path, strict=False) if path.is_file() else None


def _make(folder: Path):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"The folder {folder} cannot be created ({error.strerror or error}).") from error


def short_path(path: Path) -> str:
    """Return a path relative to the project's folder if it is inside it, or else as it is."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
