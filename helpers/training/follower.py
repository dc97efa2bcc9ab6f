"""Following a training: its best and latest checkpoints, its TensorBoard log, and the predictions for a few images."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from helpers.config import Config
from helpers.data.batches import Split
from helpers.evaluation.metrics import probabilities
from helpers.models.networks import build_for
from helpers.system.records import TIMES
from helpers.training.loop import KeepBest, predict_logits


class Folders(Protocol):
    """What a `helpers.run.Run` offers: where checkpoints and logs are written."""

    checkpoints: Path

    def save_checkpoint(self, name: str, model: nn.Module, epoch: int, metrics: dict, config: Config | None = None):
        """Write <name>.pt."""

    def tensorboard(self, name: str) -> Callable[..., None]:
        """Return a function that logs an epoch's row."""
        ...


class Follower(KeepBest):
    """An `on_epoch` like `KeepBest` that also writes the checkpoints and the TensorBoard log of a training.

    `predictions` has the probabilities (B, 5) of the watched images, one array per epoch. `fit` calls
    `load_state_dict` before the first epoch.
    """

    def __init__(self, run: Folders, name: str, config: Config, watched: Split | None, last: bool):
        super().__init__()
        self.run, self.name, self.config, self.watched, self.last = run, name, config, watched, last
        self.rows: list[dict] = []
        self.predictions: list[np.ndarray] = []
        self.latest: dict[str, torch.Tensor] | None = None  # the weights of the latest epoch, for last.pt

    def state_dict(self) -> dict:
        """Return what is kept, for the file from which an interrupted training continues."""
        predictions = [torch.from_numpy(each) for each in self.predictions]
        return super().state_dict() | {"rows": self.rows, "predictions": predictions, "latest": self.latest}

    def load_state_dict(self, state: dict):
        """Take over what an interrupted training had kept; {} stands for the start of a new training.

        The checkpoints are written again from what was kept. At a new start, those of an earlier training are removed,
        so that they cannot be mistaken for those of this one.
        """
        super().load_state_dict(state)
        self.rows, self.latest = state.get("rows", []), state.get("latest")
        self.predictions = [each.numpy() for each in state.get("predictions", [])]
        self.log = self.run.tensorboard("final" if self.name == "best" else self.name.removesuffix("_best"))
        for row in self.rows:
            self.log(row)
        self._restore(self.name, self.row, self.weights)
        if self.last:
            self._restore("last", self.rows[-1] if self.rows else None, self.latest)

    def __call__(self, row: dict, model):
        self.log(row)
        self.rows.append(row)
        super().__call__(row, model)
        if self.watched:
            self.predictions.append(probabilities(predict_logits(model, self.watched, self.config.precision)))
        if self.last:
            self.latest = copy.deepcopy(model.state_dict())
            self._save("last", model, row)
        if self.row is row:
            self._save(self.name, model, row)

    def _save(self, name: str, model, row: dict):
        scores = {key: value for key, value in row.items() if key not in TIMES}
        self.run.save_checkpoint(name, model, row["epoch"], scores, self.config)

    def _restore(self, name: str, row: dict | None, weights: dict[str, torch.Tensor] | None):
        if row is None or weights is None:
            (self.run.checkpoints / f"{name}.pt").unlink(missing_ok=True)
            return
        model = build_for(self.config, torch.device("cpu"))
        model.load_state_dict(weights)
        self._save(name, model, row)
