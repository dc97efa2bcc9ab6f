"""Ideas that the notebooks do not have: each changes one training of accuracy.py, which tells what it brings."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from helpers.config import ATTRIBUTES
from helpers.data import augmentation, batches
from helpers.data.augmentation import (
    JITTER,
    MAX_DEGREES,
    adjust_brightness_,
    adjust_contrast_,
    adjust_saturation_,
    draw_uniform,
    jitter_,
)
from helpers.data.batches import Split, normalise
from helpers.data.celeba import Dataset
from helpers.data.official import CELEBA_ATTRIBUTES
from helpers.system.devices import autocast
from helpers.training import loop

OTHERS = [name for name in CELEBA_ATTRIBUTES if name not in ATTRIBUTES]
WEIGHT = len(OTHERS) // len(ATTRIBUTES)  # so often the five are counted, to weigh as much as the others
ALPHA = 0.4  # of mixup's Beta distribution


class AllAttributes(nn.Module):
    """A head that in train mode answers for all of CelebA's attributes, the five `WEIGHT` times.

    In eval mode it answers for the five, or, while `asked_all`, as in train mode.
    """

    asked_all = False

    def __init__(self, five: nn.Linear):
        super().__init__()
        self.five, self.others = five, nn.Linear(five.in_features, len(OTHERS), device=five.weight.device)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        five = self.five(features)
        if not (self.training or self.asked_all):
            return five
        return torch.cat([five] * WEIGHT + [self.others(features)], 1)


def answers_to_all(model: nn.Module, head: AllAttributes, split: Split) -> np.ndarray:
    """Return the logits (N, 5 `WEIGHT` + 35) of a model with this head on a split, in fp32."""
    head.asked_all = True
    logits = loop.predict_logits(model, split, "fp32")
    head.asked_all = False
    return logits


def with_all_targets(train: Split, dataset: Dataset) -> Split:
    """Return the split with the targets that `AllAttributes` answers."""
    others = dataset.annotations.loc[train.names, OTHERS].to_numpy(np.float32)
    others = torch.tensor(others, device=train.device)
    return dataclasses.replace(train, targets=torch.cat([train.targets] * WEIGHT + [others], 1))


def only_the_five(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a network with `AllAttributes` as those of one without."""
    kept = {name: tensor for name, tensor in weights.items() if "head.others." not in name}
    return {name.replace("head.five.", "head."): tensor for name, tensor in kept.items()}


@dataclasses.dataclass(frozen=True)
class AffineDraws:
    """What is drawn for `augment_affine`: a value per image, in the units of its comment."""

    flip: torch.Tensor  # (B,) bool
    degrees: torch.Tensor
    scale: torch.Tensor  # factors
    right: torch.Tensor  # shifts, as shares of the side
    down: torch.Tensor
    brightness: torch.Tensor  # factors
    contrast: torch.Tensor
    saturation: torch.Tensor
    order: list[int]  # in which the last three are applied


def draw_affine(count: int, generator: torch.Generator, device: torch.device | str = "cpu") -> AffineDraws:
    """Draw flip p 0.5, rotation ±15°, scale and shift ±8 %, brightness, contrast and saturation ±0.2."""
    spread = (1, MAX_DEGREES, 0.08, 0.08, 0.08, JITTER, JITTER, JITTER)
    flip, *values = draw_uniform((0, 0, 1, 0, 0, 1, 1, 1), spread, count, generator, device)
    return AffineDraws(flip < 0, *values, order=torch.randperm(3, generator=generator).tolist())


def augment_affine(images: torch.Tensor, draws: AffineDraws) -> torch.Tensor:
    """Flip, rotate, scale and shift in one bilinear sampling, reflected at the border; then jitter without hue."""
    radians = draws.degrees * (math.pi / 180)
    cos, sin = radians.cos() / draws.scale, radians.sin() / draws.scale
    mirror = torch.where(draws.flip, -1.0, 1.0)
    # grid_sample's coordinates go from -1 to 1: a shift of a share of the side is twice that share.
    rows = [mirror * cos, -mirror * sin, 2 * draws.right, sin, cos, 2 * draws.down]
    inverse = torch.stack(rows, 1).view(-1, 2, 3)
    grid = functional.affine_grid(inverse, images.shape, align_corners=False)
    images = functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    jitters = (
        (adjust_brightness_, draws.brightness),
        (adjust_contrast_, draws.contrast),
        (adjust_saturation_, draws.saturation),
    )
    return jitter_(images, jitters, draws.order)


@torch.no_grad()
def augmented_views(
    train: Split, teachers: Iterable[nn.Module], count: int, precision: str, augment, draw
) -> list[Split]:
    """Return `count` augmented copies of a split (uint8), their targets the mean probabilities of the teachers.

    A student that sees what its teachers saw, in many epochs, learns their function and not only their answers to
    the images as they are (Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", 2022).
    """
    teachers, generator, views = list(teachers), torch.Generator().manual_seed(0), []
    for _ in range(count):
        images, targets = torch.empty_like(train.images), []
        for start in range(0, len(train), 512):
            rows = slice(start, start + 512)
            batch = train.images[rows].to(train.device).to(torch.float32).div_(255)
            batch = augment(batch, draw(len(batch), generator, train.device)).mul_(255).round_().to(torch.uint8)
            images[rows] = batch
            with autocast(train.device, precision):
                answers = [teacher(normalise(batch)).float().sigmoid() for teacher in teachers]
            targets.append(torch.stack(answers).mean(0))
        views.append(dataclasses.replace(train, images=images, targets=torch.cat(targets)))
    return views


def batches_of_views(views: list[Split], epochs: Callable[[], int]) -> Callable:
    """Return a `training_batches` that reads one view per epoch, in turn; `epochs` counts the finished epochs."""

    def batches_of_view(split: Split, batch_size: int, generator: torch.Generator, augmented: bool = True):
        yield from training_batches(views[epochs() % len(views)], batch_size, generator, augmented=False)

    return batches_of_view


def mixed_batches(split: Split, batch_size: int, generator: torch.Generator, augmented: bool = True):
    """Yield training batches blended with themselves in another order (Zhang et al., "mixup", 2018)."""
    beta = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    for images, targets in training_batches(split, batch_size, generator, augmented):
        share, other = float(beta.beta(ALPHA, ALPHA)), torch.randperm(len(images), generator=generator)
        yield images.lerp(images[other], share), targets.lerp(targets[other], share)


training_batches = loop.training_batches
IDEAS = {  # name: what it changes while a network is trained
    "": contextlib.nullcontext,
    "all attributes": contextlib.nullcontext,
    "mild augmentation": lambda: patch.multiple(augmentation, MAX_DEGREES=5.0, JITTER=0.1, HUE=0.02),
    "views": contextlib.nullcontext,
    "affine augmentation": lambda: patch.multiple(batches, augment=augment_affine, draw_augmentation=draw_affine),
    "mixup": lambda: patch.object(loop, "training_batches", mixed_batches),
}
