"""The learning-rate range test: sweep, smooth, stop at divergence, suggest; everything else left as it was."""

import copy
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.config import Config
from helpers.data.batches import Split, endless_batches
from helpers.system.devices import keep_freed_memory, rng_kept
from helpers.system.progress import bar
from helpers.training.optim import build_optimizer, set_lr, train_step

__all__ = ["RULES", "band", "lr_range_test", "suggest", "typical"]

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
    """What a sweep suggests: fastai's four rules' lr, and the window in which the loss falls."""

    valley: float
    steep: float
    minimum: float
    slide: float  # NaN where the sweep has too few steps for it
    window: tuple[float, float]


def valley(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Return the lr half-way down the second third of the longest falling subsequence (fastai's default)."""
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        higher = losses[:i] > losses[i]
        lengths[i] += (lengths[:i][higher]).max(initial=0)
    end = int(lengths.argmax())
    start = end - int(lengths[end]) if end else 0  # nothing falls
    third = (end - start) / 3
    return float(lrs[start + int(third) + int(third / 2)])


def steep(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Return the lr at which the loss falls most per unit of log lr (fastai's steep)."""
    slopes = np.diff(losses) / np.diff(np.log(lrs))
    return float(lrs[int(slopes.argmin())])


def minimum(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Return a tenth of the lr at which the loss is lowest (fastai's minimum)."""
    return float(lrs[losses.argmin()]) / 10


def slide(lrs: np.ndarray, losses: np.ndarray, width: int = 15, threshold: float = 0.005) -> float:
    """Return the lr left of the steep rise at the end (fastai's slide, with its two constants).

    A window of `width` steps slides from the end of the curve to its beginning, as long as the loss's slopes
    (a step, not a unit of lr) at its two ends differ by more than `threshold`; the suggestion is the lr at the
    left end of the last such window, and at that of the first one where there is none. NaN on shorter curves.
    """
    if len(losses) <= width:
        return math.nan
    slopes = np.gradient(losses)
    left, right = len(losses) - 1 - width, len(losses) - 1
    suggestion = lrs[left]
    while left >= 0 and abs(slopes[right] - slopes[left]) > threshold:
        suggestion = lrs[left]
        left, right = left - 1, right - 1
    return float(suggestion)


def stable_window(lrs: np.ndarray, losses: np.ndarray) -> tuple[float, float]:
    """Return the lr where a tenth of the smoothed loss's fall is done, and the lr of its lowest point."""
    lowest = int(losses.argmin())
    falling = losses[: lowest + 1]
    threshold = falling.max() - 0.1 * (falling.max() - losses[lowest])
    begins = int(falling.argmax()) + int((falling[falling.argmax() :] <= threshold).argmax())
    return float(lrs[begins]), float(lrs[lowest])


RULES = (valley, steep, minimum, slide)
"""The four rules by which fastai reads a learning rate off a sweep."""


def suggest(sweep: pd.DataFrame, steps: int = 0) -> Suggestions:
    """Read fastai's four suggestions, and the stable window, off a sweep's smoothed losses.

    As in fastai's `Learner.lr_find`, the first tenth of the `steps` that were planned (if not given, of those
    made), the last five, and everything from the first value on that is not finite are left out; a sweep of
    which too little would remain is read whole. The window goes from where a tenth of the fall is done to the
    lowest point.
    """
    kept = sweep.iloc[(steps or len(sweep)) // 10 : -5]
    kept = _finite(kept if len(kept) > 10 else sweep)
    lrs, losses = kept["lr"].to_numpy(), kept["smoothed"].to_numpy()
    four = {rule.__name__: rule(lrs, losses) for rule in RULES}
    return Suggestions(**four, window=stable_window(lrs, losses))


def _finite(sweep: pd.DataFrame) -> pd.DataFrame:
    """Return a sweep up to its first loss that is not finite."""
    bad = ~np.isfinite(sweep["smoothed"].to_numpy())
    return sweep.iloc[: int(bad.argmax())] if bad.any() else sweep


def band(sweeps: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return the smoothed losses of several seeds' sweeps by lr: mean, low, high, as far as all of them got."""
    length = min(len(_finite(sweep)) for sweep in sweeps.values())
    losses = np.stack([sweep["smoothed"].to_numpy()[:length] for sweep in sweeps.values()])
    lrs = next(iter(sweeps.values()))["lr"].to_numpy()[:length]
    return pd.DataFrame({"lr": lrs, "mean": losses.mean(0), "low": losses.min(0), "high": losses.max(0)})


def typical(lrs) -> float:
    """Return the geometric mean of some learning rates, those left out that are NaN."""
    return float(np.exp(np.nanmean(np.log(lrs))))
