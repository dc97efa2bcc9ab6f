"""Ideas that the notebooks do not have: each changes one training of accuracy.py, which tells what it brings."""

import contextlib
import dataclasses
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from helpers.config import ATTRIBUTES
from helpers.data import augmentation
from helpers.data.batches import Split
from helpers.data.celeba import Dataset
from helpers.data.official import CELEBA_ATTRIBUTES
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
        self.five, self.others = five, nn.Linear(five.in_features, len(OTHERS))

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
    "mixup": lambda: patch.object(loop, "training_batches", mixed_batches),
}
