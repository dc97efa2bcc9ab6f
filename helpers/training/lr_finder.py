"""The learning-rate range test: a sweep of the learning rate, and the rules that suggest one from its losses."""

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

SMOOTHING = 0.98  # decay per step of the moving average of the losses, as in fastai
DIVERGED = 4  # the sweep stops at this multiple of the best smoothed loss, as in fastai


def lr_range_test(
    model: nn.Module, train: Split, config: Config, first_lr: float, last_lr: float, steps: int
) -> pd.DataFrame:
    """Train with lr rising exponentially from `first_lr` to `last_lr`; return the columns lr, loss, smoothed.

    The sweep stops early if the smoothed loss exceeds four times its lowest value or is not finite. The model,
    including its batch-norm statistics, and all random generators are restored; the sweep has its own optimizer.
    Source: Smith, "Cyclical learning rates for training neural networks" (2017), section 3.3.
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
    for step, lr in enumerate(bar(lrs, desc="lr sweep", unit="steps"), start=1):
        set_lr(optimizer, float(lr))
        # Read at every step, so that the sweep stops as soon as it diverges.
        loss = train_step(model, optimizer, *next(batches), config).item()
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed = average / (1 - SMOOTHING**step)  # corrects the bias of an average that starts at zero
        rows.append((float(lr), loss, smoothed))
        best = min(best, smoothed)
        if not math.isfinite(smoothed) or smoothed > DIVERGED * best:
            break
    return pd.DataFrame(rows, columns=["lr", "loss", "smoothed"])


@dataclass(frozen=True)
class Suggestions:
    """The suggestions of a sweep: the lr of fastai's four rules, and the window in which the loss falls."""

    valley: float
    steep: float
    minimum: float
    slide: float  # NaN if the sweep has too few steps
    window: tuple[float, float]


def valley(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Return the lr in the middle of the second third of the longest decreasing subsequence (fastai's default rule)."""
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        higher = losses[:i] > losses[i]
        lengths[i] += (lengths[:i][higher]).max(initial=0)
    end = int(lengths.argmax())
    start = max(0, end - int(lengths[end]))  # fastai's start; the sequence may begin later, after other losses
    third = (end - start) / 3
    return float(lrs[start + int(third) + int(third / 2)])


def steep(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Return the lr with the steepest fall of the loss per unit of log lr (fastai's steep)."""
    slopes = np.diff(losses) / np.diff(np.log(lrs))
    return float(lrs[int(slopes.argmin())])


def minimum(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Return a tenth of the lr at which the loss is lowest (fastai's minimum)."""
    return float(lrs[losses.argmin()]) / 10


def slide(lrs: np.ndarray, losses: np.ndarray, width: int = 15) -> float:
    """Return the lr before the steep rise at the end (fastai's slide, with its two constants).

    A window of `width` steps slides from the end of the curve towards its beginning while the slopes of the loss (per
    step) at its two ends differ by more than 0.005. The suggestion is the lr at the left end of the last such
    window, or of the first window if there is none. NaN if the curve has at most `width` steps.
    """
    if len(losses) <= width:
        return math.nan
    slopes = np.gradient(losses)
    left, right = len(losses) - 1 - width, len(losses) - 1
    suggestion = lrs[left]
    while left >= 0 and abs(slopes[right] - slopes[left]) > 0.005:
        suggestion = lrs[left]
        left, right = left - 1, right - 1
    return float(suggestion)


def stable_window(lrs: np.ndarray, losses: np.ndarray) -> tuple[float, float]:
    """Return the lr at which the smoothed loss has done a tenth of its fall, and the lr of its lowest value."""
    lowest = int(losses.argmin())
    falling = losses[: lowest + 1]
    threshold = falling.max() - 0.1 * (falling.max() - losses[lowest])
    begins = int(falling.argmax()) + int((falling[falling.argmax() :] <= threshold).argmax())
    return float(lrs[begins]), float(lrs[lowest])


RULES = (valley, steep, minimum, slide)
"""fastai's four rules, which suggest a learning rate from a sweep."""


def suggest(sweep: pd.DataFrame, steps: int = 0) -> Suggestions:
    """Return fastai's four suggestions and the stable window from a sweep's smoothed losses.

    As in fastai's `Learner.lr_find`, the first tenth of the planned `steps` (default: the steps made), the last five
    steps, and all steps from the first loss that is not finite are left out. If at most ten steps remain, the whole
    sweep is used. The window is that of `stable_window`.
    """
    kept = sweep.iloc[(steps or len(sweep)) // 10 : -5]
    kept = _finite(kept if len(kept) > 10 else sweep)
    lrs, losses = kept["lr"].to_numpy(), kept["smoothed"].to_numpy()
    four = {rule.__name__: rule(lrs, losses) for rule in RULES}
    return Suggestions(**four, window=stable_window(lrs, losses))


def _finite(sweep: pd.DataFrame) -> pd.DataFrame:
    """Return the steps of a sweep before the first loss that is not finite."""
    bad = ~np.isfinite(sweep["smoothed"].to_numpy())
    return sweep.iloc[: int(bad.argmax())] if bad.any() else sweep


def band(sweeps: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return mean, low and high of several seeds' smoothed losses, one row per lr that all the sweeps reached."""
    length = min(len(_finite(sweep)) for sweep in sweeps.values())
    losses = np.stack([sweep["smoothed"].to_numpy()[:length] for sweep in sweeps.values()])
    lrs = next(iter(sweeps.values()))["lr"].to_numpy()[:length]
    return pd.DataFrame({"lr": lrs, "mean": losses.mean(0), "low": losses.min(0), "high": losses.max(0)})


def typical(lrs) -> float:
    """Return the geometric mean of learning rates, without those that are NaN."""
    return float(np.exp(np.nanmean(np.log(lrs))))
