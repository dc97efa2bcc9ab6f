"""Training, prediction and evaluation on one device."""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.config import Config
from helpers.data.batches import Split, batches_per_epoch, normalise, training_batches
from helpers.errors import OutOfMemory
from helpers.evaluation import metrics
from helpers.models.networks import build_for
from helpers.system import progress
from helpers.system.devices import autocast, keep_freed_memory
from helpers.training.optim import build_step, learning_rates, set_lr
from helpers.training.results import Finished, only_writer
from helpers.training.state import Saver, StateFile, TrainingState, identity
from helpers.training.trials import Job, run_trials

EVALUATION_BATCHES = (512, 128, 32)  # images per batch; the smaller ones where a GPU has too little memory


def predict_logits(model: nn.Module, split: Split, precision: str = "auto") -> np.ndarray:
    """Return the logits (N, 5) of a whole split in eval mode, without augmentation; the model's mode is restored."""
    was_training = model.training
    model.eval()
    try:
        for batch_size in EVALUATION_BATCHES[:-1]:
            with contextlib.suppress(torch.OutOfMemoryError):
                return _logits(model, split, precision, batch_size)
        return _logits(model, split, precision, EVALUATION_BATCHES[-1])
    finally:
        model.train(was_training)


@torch.inference_mode()
def _logits(model: nn.Module, split: Split, precision: str, batch_size: int) -> np.ndarray:
    logits = []
    for images in split.images.split(batch_size):
        images = images.to(split.device, non_blocking=True)
        with autocast(split.device, precision):
            logits.append(model(normalise(images)).float())
    return torch.cat(logits).cpu().numpy()


def evaluate(model: nn.Module, split: Split, precision: str = "auto") -> dict[str, float]:
    """Return `metrics.scores` of the model on a whole split."""
    return metrics.scores(predict_logits(model, split, precision), split.targets.cpu().numpy())


def every_score(model: nn.Module, split: Split, precision: str = "auto") -> dict[str, float]:
    """Return `metrics.scores`, the mean AUROC and average precision, and the accuracy per attribute."""
    logits, targets = predict_logits(model, split, precision), split.targets.cpu().numpy()
    by_attribute = metrics.per_attribute(logits, targets)
    means = by_attribute[["auroc", "average_precision"]].mean().to_dict()
    return metrics.scores(logits, targets) | means | by_attribute["accuracy"].to_dict()


def fit(
    model: nn.Module,
    train: Split,
    valid: Split,
    config: Config,
    *,
    augmented: bool = True,
    measure_on: Split | None = None,
    on_epoch: Callable[[dict, nn.Module], None] | None = None,
    label: str = "train",
    resume: Path | None = None,
) -> pd.DataFrame:
    """Train `model` in place for `config.max_epochs` epochs and return its history, one row per epoch.

    Columns: epoch, train_loss (the mean during training, with augmentation and label smoothing), val_loss, val_f1
    (micro), val_acc (mean accuracy), lr (after the epoch), seconds, images_per_second. If `measure_on` is a split of
    training images, train_eval_loss is their loss in eval mode without augmentation, comparable with val_loss.
    `on_epoch(row, model)` is called after each epoch. Training stops after an epoch whose train loss is not finite,
    and after the current epoch if the user presses the button that a notebook shows: the history is then shorter.
    With `config.ema`, the EMA weights are evaluated, passed to `on_epoch`, and copied into `model` at the end.

    With `resume`, the state of the training is saved in that file after each epoch, and after the current step if it
    is interrupted (SIGINT, SIGTERM). The next call with the same arguments continues from there and ends
    with the same weights and history as a training without interruption, apart from the times; on a GPU, whose kernels
    do not add in a fixed order, with nearly the same. An `on_epoch` that keeps something has to have `state_dict` and
    `load_state_dict` then, as `KeepBest` does; {} is loaded at the start.
    Raises OutOfMemory if the GPU has too little memory for the batches.
    """
    keep_freed_memory()
    state = TrainingState(model, config)
    file = None
    if resume:
        images = {"train": train, "valid": valid, "measured": measure_on}
        file = StateFile(resume, identity(config, images, state.device, augmented))
    step, steps = build_step(model, state.optimizer, config), batches_per_epoch(train, config.batch_size)
    step = state.average.after(step) if state.average else step
    rates = learning_rates(config, config.max_epochs * steps)
    shown = progress.training(label, config.max_epochs, steps, can_continue=resume is not None)
    with Saver(state, file, on_epoch, label) as saver, shown, _memory_explained(config.batch_size):
        shown.begin(state.history)

        def after_step():
            saver.after_step()
            shown.after_step()

        for epoch in saver.epochs_left(config.max_epochs):
            batches = training_batches(train, config.batch_size, state.generator, augmented)
            _train_epoch(state, batches, step, rates[(epoch - 1) * steps : epoch * steps], after_step)
            row = {"epoch": epoch, "train_loss": state.mean_loss()}
            row |= _evaluation(state.measured, valid, measure_on, config.precision) | {"lr": rates[epoch * steps]}
            row |= {"seconds": state.seconds, "images_per_second": len(train) / state.seconds}
            progress.line(f"{label} epoch {epoch}/{config.max_epochs}: {_in_words(row)}")
            if (bad := state.first_not_finite()) is not None:
                print(_divergence(label, row, state.history, bad, rates[(epoch - 1) * steps + bad]))
            if on_epoch:
                on_epoch(row, state.measured)
            saver.after_epoch(row)
            shown.after_epoch(row)
            if bad is not None or shown.stopped:
                break
    model.load_state_dict(state.measured.state_dict())
    return pd.DataFrame(state.history)


class KeepBest:
    """An `on_epoch` for `fit` that keeps the row and the weights of the epoch with the lowest valid loss."""

    def __init__(self):
        self.row: dict | None = None
        self.weights: dict[str, torch.Tensor] | None = None

    def state_dict(self) -> dict:
        """Return what is kept, for the file from which an interrupted training continues."""
        return {"row": self.row, "weights": self.weights}

    def load_state_dict(self, state: dict):
        """Take over what an interrupted training had kept; {} stands for the start of a new training."""
        self.row, self.weights = state.get("row"), state.get("weights")

    def __call__(self, row: dict, model: nn.Module):
        if row["val_loss"] < (self.row["val_loss"] if self.row else math.inf):
            self.row, self.weights = row, copy.deepcopy(model.state_dict())

    def restore(self, model: nn.Module):
        """Load the best weights into `model`; it is left unchanged if no epoch had a finite valid loss."""
        if self.weights is not None:
            model.load_state_dict(self.weights)


def fit_seeds(
    seeds: list[int],
    train: Split,
    valid: Split,
    config: Config,
    path: Path | None = None,
    resume: Callable[[str], Path | None] = lambda name: None,
    workers: str = "none",
    gpus_per_trial: float = 1.0,
) -> pd.DataFrame:
    """Train the network once per seed; return one row per seed: seed, epoch, and `every_score` on valid.

    The scores are those of the epoch with the lowest valid loss. A training that diverged has none, and one that the
    user stopped has no row. All seeds use the same images; the initial weights, the order, the augmentation and the
    dropout depend on the seed.
    `path` is a JSONL file with one line per finished training, which is then not done again; only this process writes
    to it. `resume(name)` returns the file in which the state of a training is kept, as for `fit`. `workers` and
    `gpus_per_trial` say where the networks are trained, as for `run_trials`. If a training fails, its exception is
    raised when the others have ended.
    """
    with only_writer(path) if path else contextlib.nullcontext():
        done = Finished(path, train, valid, config.device, workers)
        configs = [config.but(seed=seed) for seed in dict.fromkeys(seeds)]
        jobs = {
            each: Job(partial(_fit_seed, each), resume(f"seed {each.seed}")) for each in configs if each not in done
        }
        failures = []
        with contextlib.closing(run_trials(jobs, (train, valid), config.device, workers, gpus_per_trial)) as results:
            for each, row in results:
                if isinstance(row, Exception):
                    failures.append(row)
                elif row:
                    done.add(each, row)
    if failures:
        raise failures[0]
    return pd.DataFrame([done[each] for each in configs if each in done]).apply(pd.to_numeric)


def _fit_seed(config: Config, train: Split, valid: Split, resume: Path | None) -> dict:
    """Train one network; return the row of its seed, which is empty if the user stopped the training."""
    model, best = build_for(config, train.device), KeepBest()
    history = fit(model, train, valid, config, on_epoch=best, label=f"seed {config.seed}", resume=resume)
    if not math.isfinite(history["train_loss"].iloc[-1]) or best.row is None:
        return {"seed": config.seed}
    if len(history) < config.max_epochs:
        return {}
    best.restore(model)
    return {"seed": config.seed, "epoch": best.row["epoch"], **every_score(model, valid, config.precision)}


def _train_epoch(state: TrainingState, batches: Iterator, step, rates: list[float], after_step: Callable[[], None]):
    """Train for one epoch, from the step at which it was interrupted, if it was.

    The losses stay on the device until the epoch is finished, so that the device never waits for this loop.
    """
    state.model.train()
    started, current = time.perf_counter() - state.seconds, None
    for (images, targets), lr in islice(zip(batches, rates, strict=True), len(state.losses), None):
        if lr != current:
            set_lr(state.optimizer, lr)
            current = lr
        state.losses.append(step(images, targets))
        state.sizes.append(len(images))
        state.seconds = time.perf_counter() - started
        after_step()
    if state.device.type == "cuda":
        torch.cuda.synchronize(state.device)  # the last steps are launched, but not yet done
        state.seconds = time.perf_counter() - started


@contextlib.contextmanager
def _memory_explained(batch_size: int):
    """Turn CUDA's error for want of memory into one that names the batch size to try."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            f"The GPU has too little free memory for batches of {batch_size} images. Try "
            f"batch_size = {max(2, batch_size // 2)}, and close other programs that use this GPU."
        ) from error


def _divergence(label: str, row: dict, history: list[dict], step: int, lr: float) -> str:
    """Return the message about a loss that is not finite: where it began, and the best epoch before it."""
    sound = [earlier for earlier in history if math.isfinite(earlier["val_loss"])]
    best = min(sound, key=lambda earlier: earlier["val_loss"], default=None)
    kept = f"The best epoch before it is {best['epoch']}." if best else "No epoch before it had a finite loss."
    return (
        f"{label}: the train loss is not finite from step {step + 1} of epoch {row['epoch']} on (lr {lr:.3g}). "
        f"The training has diverged and stops. {kept}"
    )


def _evaluation(model: nn.Module, valid: Split, measure_on: Split | None, precision: str) -> dict[str, float]:
    """Return the part of an epoch's row that is measured in eval mode: scores on valid and the loss on `measure_on`."""
    measured = evaluate(model, valid, precision)
    row = {"val_loss": measured["loss"], "val_f1": measured["micro_f1"], "val_acc": measured["mean_accuracy"]}
    if measure_on is not None:
        row["train_eval_loss"] = evaluate(model, measure_on, precision)["loss"]
    return row


def _in_words(row: dict) -> str:
    return (
        f"train loss {row['train_loss']:.4f}, valid loss {row['val_loss']:.4f}, "
        f"micro-F1 {row['val_f1']:.4f}, accuracy {row['val_acc']:.4f} "
        f"({row['seconds']:.0f} s, {row['images_per_second']:.0f} images/s)"
    )
