"""The state of a training, and its file, from which an interrupted training continues with the same result."""

import hashlib
import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from helpers.config import Config
from helpers.data.batches import Split
from helpers.system.devices import precision_used
from helpers.system.files import write_bytes
from helpers.system.interrupts import Interruption
from helpers.system.provenance import code_digest
from helpers.training.optim import WeightAverage, build_optimizer

ROOMS = ("config.py", "data", "evaluation", "models", "system", "training")  # the code that a training depends on
PROBED = 64  # images per split whose pixels are part of the identity


class TrainingState:
    """Everything that changes from one step of a training to the next: what is saved, and what is loaded.

    `losses` and `sizes` are the mean losses and the numbers of images of the batches of the current epoch. `order` is
    the state of the random generator at the beginning of that epoch: with it, the same batches are drawn again.
    PyTorch's own generators, which dropout uses, are saved as they are at the moment of saving.
    """

    def __init__(self, model: nn.Module, config: Config):
        self.model, self.device = model, next(model.parameters()).device
        self.generator = torch.Generator().manual_seed(config.seed)
        torch.manual_seed(config.seed)  # for dropout
        self.optimizer = build_optimizer(model, config)
        self.average = WeightAverage(model, config.ema) if config.ema else None
        self.history: list[dict] = []
        self._begin_epoch()

    def _begin_epoch(self):
        self.losses: list[torch.Tensor] = []  # on the device
        self.sizes: list[int] = []
        self.seconds = 0.0  # spent on training in this epoch
        self.order = self.generator.get_state()

    def finish_epoch(self, row: dict):
        """Add the epoch's row to the history, and begin the next one."""
        self.history.append(row)
        self._begin_epoch()

    def mean_loss(self) -> float:
        """Return the mean loss of the current epoch over its images."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        return float((torch.stack(self.losses).cpu().double() * sizes).sum() / sizes.sum())

    def first_not_finite(self) -> int | None:
        """Return the index of the current epoch's first step whose loss is not finite, or None."""
        wrong = (~torch.isfinite(torch.stack(self.losses))).nonzero().flatten().tolist()
        return wrong[0] if wrong else None

    @property
    def measured(self) -> nn.Module:
        """The model that is evaluated: with the EMA weights where there is an EMA."""
        return self.average.model if self.average else self.model

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain types."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
            "average": self.average and {"model": self.average.model.state_dict(), "updates": self.average.updates},
            "order": self.order,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "history": self.history,
            "losses": torch.stack(self.losses) if self.losses else None,
            "sizes": self.sizes,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]):
        """Continue from a saved state; the optimizer's settings are those of this training's configuration."""
        self.model.load_state_dict(state["model"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
        if self.average:
            self.average.model.load_state_dict(state["average"]["model"])
            self.average.updates = state["average"]["updates"]
        self.order = state["order"]
        self.generator.set_state(self.order)
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        self.history = state["history"]
        self.losses = [] if state["losses"] is None else list(state["losses"].to(self.device))
        self.sizes, self.seconds = state["sizes"], state["seconds"]


class StateFile:
    """The file of one training's state, written as a whole, with a checksum.

    `identity` describes the training (see `identity`). A file of another training, or a damaged one, is not used.
    """

    def __init__(self, path: Path, identity: dict[str, Any]):
        self.path, self.identity = path, identity

    def save(self, content: dict[str, Any]):
        """Write the state; StudyError if it cannot be written."""
        buffer = io.BytesIO()
        torch.save({"identity": self.identity, **content}, buffer)
        payload = buffer.getvalue()
        write_bytes(self.path, hashlib.sha256(payload).digest() + payload)

    def load(self) -> tuple[dict[str, Any] | None, str]:
        """Return the saved state, or None, and the reason why there is none (empty if there is no file)."""
        if not self.path.is_file():
            return None, ""
        content = self.path.read_bytes()
        digest, payload = content[:32], content[32:]
        if hashlib.sha256(payload).digest() != digest:
            return None, "its file is damaged"
        try:
            state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError) as error:
            return None, f"its file cannot be read ({error})"
        changed = [part for part, value in self.identity.items() if state["identity"].get(part) != value]
        return (None, f"{', '.join(changed)} changed") if changed else (state, "")


class Saver:
    """Loads the state of a training when its context begins, and saves it after each epoch and at an interruption.

    `on_epoch` is what `fit` calls after each epoch; its own state is saved too. Without a file, nothing is saved and
    interruptions take effect at once.
    """

    def __init__(self, state: TrainingState, file: StateFile | None, on_epoch: Any, label: str):
        self.state, self.file, self.on_epoch, self.label = state, file, on_epoch, label
        self.interruption = Interruption()

    def __enter__(self) -> "Saver":
        saved = self._load(self.file) if self.file else None
        if hasattr(self.on_epoch, "load_state_dict"):
            self.on_epoch.load_state_dict(saved["on_epoch"] if saved else {})
        if saved:
            self.state.load_state_dict(saved["training"])  # last, since `on_epoch` may have drawn random numbers
        if self.file:
            self.interruption.__enter__()
        return self

    def __exit__(self, *error):
        self.interruption.__exit__(*error)
        if error[0] is None:
            self.interruption.pass_on()  # one that came after the last epoch was saved

    def epochs_left(self, max_epochs: int) -> range:
        """Return the numbers of the epochs that are left; none if the training has diverged."""
        done = self.state.history
        diverged = done and not math.isfinite(done[-1]["train_loss"])
        return range(len(done) + 1, len(done) + 1 if diverged else max_epochs + 1)

    def after_step(self):
        """Save the state and give way to the interruption, if there was one."""
        if self.interruption.requested:
            self._save()
            print(f"{self.label}: interrupted in epoch {len(self.state.history) + 1}. The state is saved.", flush=True)
            self.interruption.pass_on()

    def after_epoch(self, row: dict):
        """Add the epoch's row to the history, save the state, and give way to the interruption, if there was one."""
        self.state.finish_epoch(row)
        self._save()
        if self.interruption.requested:
            print(f"{self.label}: interrupted after epoch {row['epoch']}. The state is saved.", flush=True)
            self.interruption.pass_on()

    def _load(self, file: StateFile) -> dict | None:
        saved, reason = file.load()
        if saved:
            done = f"{len(saved['training']['history'])} epochs and {len(saved['training']['sizes'])} steps"
            print(f"{self.label}: {done} were done before, with the same settings, images and code.", flush=True)
        elif reason:
            print(f"{self.label}: the state of an earlier training is not used, as {reason}. It begins anew.")
        return saved

    def _save(self):
        if self.file:
            kept = self.on_epoch.state_dict() if self.on_epoch else {}
            self.file.save({"training": self.state.state_dict(), "on_epoch": kept})


def identity(config: Config, splits: dict[str, Split | None], device: torch.device, augmented: bool) -> dict[str, Any]:
    """Return what a training depends on, by name: settings, images, code, PyTorch's version, kind of device, precision.

    See `settings` for those that do not count.
    """
    images = {f"the {name} images": fingerprint(split) for name, split in splits.items()}
    return {
        **{f"the setting {name}": value for name, value in settings(config).items()},
        **images,
        "the augmentation": augmented,
        "the code": code_digest(ROOMS),
        "PyTorch's version": str(torch.__version__),
        "the device": device.type,
        "the precision": precision_used(device, config.precision),
    }


def settings(config: Config) -> dict[str, Any]:
    """Return the settings that a training depends on; the run's name and the place of the data do not count."""
    return {k: v for k, v in config.to_dict().items() if k not in ("run_name", "data_root", "allow_missing")}


def fingerprint(split: Split | None) -> str:
    """Return a digest of a split's names and targets, and of the pixels of a few of its images."""
    if split is None:
        return ""
    digest = hashlib.sha256("\n".join(split.names).encode())
    digest.update(split.targets.cpu().numpy().tobytes())
    few = torch.from_numpy(np.linspace(0, len(split) - 1, min(PROBED, len(split)), dtype=np.int64))
    digest.update(split.images[few.to(split.images.device)].cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
