"""Training, prediction and evaluation on one device."""

import copy
import math
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.config import Config
from helpers.data.batches import Split, batches_per_epoch, normalise, training_batches
from helpers.evaluation import metrics
from helpers.models.networks import build_for
from helpers.system.devices import autocast, keep_freed_memory
from helpers.system.progress import bar, line
from helpers.training.optim import WeightAverage, build_optimizer, build_step, learning_rates, set_lr

EVALUATION_BATCH = 512


@torch.inference_mode()
def predict_logits(model: nn.Module, split: Split, precision: str = "auto") -> np.ndarray:
    """Return the logits (N, 5) of a whole split in eval mode, without augmentation; the model's mode is restored."""
    was_training = model.training
    model.eval()
    logits = []
    for images in split.images.split(EVALUATION_BATCH):
        images = images.to(split.device, non_blocking=True)
        with autocast(split.device, precision):
            logits.append(model(normalise(images)).float())
    model.train(was_training)
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
) -> pd.DataFrame:
    """Train `model` in place for `config.max_epochs` epochs and return its history, one row per epoch.

    Columns: epoch, train_loss (the mean during training, with augmentation and label smoothing), val_loss, val_f1
    (micro), val_acc (mean accuracy), lr (after the epoch), seconds, images_per_second. If `measure_on` is a split of
    training images, train_eval_loss is their loss in eval mode without augmentation, comparable with val_loss.
    `on_epoch(row, model)` is called after each epoch. Training stops after an epoch whose train loss is not finite.
    With `config.ema`, the EMA weights are evaluated, passed to `on_epoch`, and copied into `model` at the end.
    """
    keep_freed_memory()
    generator = torch.Generator().manual_seed(config.seed)
    torch.manual_seed(config.seed)  # for dropout
    optimizer = build_optimizer(model, config)
    step, measured = build_step(model, optimizer, config), model
    if config.ema:
        average = WeightAverage(model, config.ema)
        step, measured = average.after(step), average.model
    steps = batches_per_epoch(train, config.batch_size)
    rates = learning_rates(config, config.max_epochs * steps)
    history = []
    for epoch in bar(range(1, config.max_epochs + 1), desc=label, unit="epoch"):
        started = time.perf_counter()
        batches = training_batches(train, config.batch_size, generator, augmented)
        train_loss = _train_epoch(model, batches, step, optimizer, rates[(epoch - 1) * steps : epoch * steps])
        seconds = time.perf_counter() - started
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            **_evaluation(measured, valid, measure_on, config.precision),
            "lr": rates[epoch * steps],
            "seconds": seconds,
            "images_per_second": len(train) / seconds,
        }
        history.append(row)
        line(f"{label} epoch {epoch}/{config.max_epochs}: {_in_words(row)}")
        if on_epoch:
            on_epoch(row, measured)
        if not math.isfinite(train_loss):
            line(f"{label}: the train loss is {train_loss}, so training stops: it has diverged.")
            break
    model.load_state_dict(measured.state_dict())
    return pd.DataFrame(history)


class KeepBest:
    """An `on_epoch` for `fit` that keeps the row and the weights of the epoch with the lowest valid loss."""

    def __init__(self):
        self.row: dict | None = None
        self.weights: dict[str, torch.Tensor] | None = None

    def __call__(self, row: dict, model: nn.Module):
        if row["val_loss"] < (self.row["val_loss"] if self.row else math.inf):
            self.row, self.weights = row, copy.deepcopy(model.state_dict())

    def restore(self, model: nn.Module):
        """Load the best weights into `model`; it is left unchanged if no epoch had a finite valid loss."""
        if self.weights is not None:
            model.load_state_dict(self.weights)


def fit_seeds(seeds: list[int], train: Split, valid: Split, config: Config) -> pd.DataFrame:
    """Train the network once per seed; return one row per seed: seed, epoch, and `every_score` on valid.

    The scores are those of the epoch with the lowest valid loss; they are missing if the training diverged. All seeds
    use the same images; the initial weights, the order, the augmentation and the dropout depend on the seed.
    """
    rows = []
    for seed in dict.fromkeys(seeds):
        seeded, best = config.but(seed=seed), KeepBest()
        model = build_for(seeded, train.device)
        fit(model, train, valid, seeded, on_epoch=best, label=f"seed {seed}")
        if best.row is None:
            rows.append({"seed": seed})
            continue
        best.restore(model)
        rows.append({"seed": seed, "epoch": best.row["epoch"], **every_score(model, valid, config.precision)})
    return pd.DataFrame(rows)


def _train_epoch(model: nn.Module, batches, step, optimizer, rates: list[float]) -> float:
    """Train for one epoch; return its mean loss over images, summed on the device and read once at the end."""
    model.train()
    total, count, current = 0.0, 0, None
    for (images, targets), lr in zip(batches, rates, strict=True):
        if lr != current:
            set_lr(optimizer, lr)
            current = lr
        total, count = total + step(images, targets) * len(images), count + len(images)
    return float(total) / count


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
