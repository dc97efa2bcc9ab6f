"""Sanity checks: probes of a network and its data, each of which returns a `Check` for the scorecard.

Most of them come from Karpathy, "A Recipe for Training Neural Networks" (2019).
"""

import copy
import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.config import ATTRIBUTES, Config
from helpers.data.batches import Split, endless_batches, normalise
from helpers.data.celeba import Dataset
from helpers.data.official import OFFICIAL_COPIES, OFFICIAL_SIZES
from helpers.evaluation import metrics
from helpers.scorecard import Check
from helpers.training.loop import predict_logits
from helpers.training.optim import batch_loss, build_optimizer, train_step

__all__ = [
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
