"""The learning-rate range test: sweep, smooth, stop at divergence, suggest; everything else left as it was."""

import copy
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.batches import Split, endless_batches
from helpers.config import Config
from helpers.devices import keep_freed_memory, rng_kept
from helpers.progress import bar
from helpers.steps import build_optimizer, set_lr, train_step

SMOOTHING = 0.98  # fastai's, of the exponential moving average
DIVERGED = 4  # times the best smoothed loss, as in fastai


def lr_range_test(
    model: nn.Module, train: Split, config: Config, first_lr: float, last_lr: float, steps: int
) -> pd.DataFrame:
    """Train with lr rising exponentially from `first_lr` to `last_lr`; return columns lr, loss, smoothed.

    Stops when the smoothed loss exceeds four times its best, or is not finite. The model (its batch
    statistics included) and every random generator are left as they were; the optimizer is the sweep's own.
    Smith, "Cyclical learning rates for training neural networks" (2017), section 3.3.
    """
    keep_freed_memory()
    kept = copy.deepcopy(model.state_dict())
    was_training = model.training
    try:
        with rng_kept():
            torch.manual_seed(config.seed)
            return _sweep(model, train, config, np.geomspace(first_lr, last_lr, steps))
    finally:
        model.load_state_dict(kept)
        model.train(was_training)
        model.zero_grad(set_to_none=True)


def _sweep(model: nn.Module, train: Split, config: Config, lrs: np.ndarray) -> pd.DataFrame:
    model.train()
    optimizer = build_optimizer(model, config)
    batches = endless_batches(train, config.batch_size, torch.Generator().manual_seed(config.seed))
    rows, average, best = [], 0.0, math.inf
    for step, lr in enumerate(bar(lrs, desc="lr sweep", unit="step"), start=1):
        set_lr(optimizer, float(lr))
        # Read each step: the sweep must notice divergence when it happens.
        loss = train_step(model, optimizer, *next(batches), config).item()
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed = average / (1 - SMOOTHING**step)  # the bias of starting from zero taken out
        rows.append((float(lr), loss, smoothed))
        best = min(best, smoothed)
        if not math.isfinite(smoothed) or smoothed > DIVERGED * best:
            break
    return pd.DataFrame(rows, columns=["lr", "loss", "smoothed"])


@dataclass(frozen=True)
class Suggestions:
    """What a sweep suggests: two rules' lr, and the window in which the loss falls."""

    valley: float
    steep: float
    window: tuple[float, float]


def suggest(sweep: pd.DataFrame) -> Suggestions:
    """Read fastai's valley and steep suggestions, and the stable window, off a sweep's smoothed losses.

    As in fastai's Learner.lr_find, the first tenth and the last five points are left out, and values that
    are not finite. The window goes from where a tenth of the fall is done to the lowest point.
    """
    kept = sweep.iloc[len(sweep) // 10 : -5] if len(sweep) > 20 else sweep
    kept = kept[np.isfinite(kept["smoothed"])]
    lrs, losses = kept["lr"].to_numpy(), kept["smoothed"].to_numpy()
    return Suggestions(valley(lrs, losses), steep(lrs, losses), stable_window(lrs, losses))


def valley(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Return the lr half-way down the second third of the longest falling subsequence (fastai's default)."""
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        higher = losses[:i] > losses[i]
        lengths[i] += (lengths[:i][higher]).max(initial=0)
    end = int(lengths.argmax())
    start = end - int(lengths[end])
    third = (end - start) / 3
    return float(lrs[start + int(third) + int(third / 2)])


def steep(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Return the lr at which the loss falls most per unit of log lr (fastai's steep)."""
    slopes = np.diff(losses) / np.diff(np.log(lrs))
    return float(lrs[int(slopes.argmin())])


def stable_window(lrs: np.ndarray, losses: np.ndarray) -> tuple[float, float]:
    """Return the lr where a tenth of the smoothed loss's fall is done, and the lr of its lowest point."""
    lowest = int(losses.argmin())
    falling = losses[: lowest + 1]
    threshold = falling.max() - 0.1 * (falling.max() - losses[lowest])
    begins = int(falling.argmax()) + int((falling[falling.argmax() :] <= threshold).argmax())
    return float(lrs[begins]), float(lrs[lowest])
