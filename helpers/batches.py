"""Splits as tensors on the device, and training batches from them: gathered, augmented and normalised as a batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from helpers.cache import load_images
from helpers.celeba import Dataset
from helpers.config import ATTRIBUTES, MEAN, STD
from helpers.errors import StudyError

MAX_DEGREES = 15.0
JITTER = 0.2  # brightness, contrast and saturation are scaled by a factor in [0.8, 1.2]
HUE = 0.1  # and the hue turned by at most a tenth of the circle
GREY = (0.2989, 0.587, 0.114)  # ITU-R 601-2 luma, as torchvision's rgb_to_grayscale


@dataclass(frozen=True)
class Split:
    """One split on the device: images uint8 (N, 3, 64, 64), targets float (N, 5), file names and identities."""

    name: str
    images: torch.Tensor
    targets: torch.Tensor
    names: list[str]
    identities: np.ndarray | None

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices) -> "Split":
        """Return the images at `indices` as a split of its own."""
        indices = torch.as_tensor(indices)
        on_device = indices.to(self.images.device)
        names = [self.names[i] for i in indices.tolist()]
        identities = None if self.identities is None else self.identities[indices.numpy()]
        return Split(self.name, self.images[on_device], self.targets[on_device], names, identities)


def load_split(dataset: Dataset, split: str, device: torch.device, limit: int = 0, seed: int = 0) -> Split:
    """Load a split onto the device; with `limit`, that many of its images drawn at random by `seed`."""
    rows = np.flatnonzero(dataset.annotations["split"] == split)
    if not len(rows):
        raise StudyError(f"The {split} split of {dataset.root} holds no image; this notebook needs some.")
    if 0 < limit < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))
    annotations = dataset.annotations.iloc[rows]
    targets = annotations[list(ATTRIBUTES)].to_numpy(np.float32)
    return Split(
        name=split,
        images=torch.from_numpy(load_images(dataset)[rows]).to(device),
        targets=torch.from_numpy(targets).to(device),
        names=list(annotations.index),
        identities=annotations["identity"].to_numpy() if "identity" in annotations else None,
    )


def normalise(images: torch.Tensor) -> torch.Tensor:
    """uint8, or float in [0, 1] -> float in [-1, 1], laid out channels last (faster convolutions)."""
    peak = 255 if images.dtype == torch.uint8 else 1
    pixels = images.to(torch.float32, memory_format=torch.channels_last)
    return pixels.mul(1 / (peak * STD)).sub_(MEAN / STD)


def denormalise(images: torch.Tensor) -> torch.Tensor:
    """Undo `normalise`, for the eye: float in [-1, 1] -> float in [0, 1]."""
    return (images * STD + MEAN).clamp(0, 1)


def training_batches(
    split: Split, batch_size: int, generator: torch.Generator, augmented: bool = True
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield one epoch in a random order: images (B, 3, 64, 64) in [-1, 1] and targets (B, 5).

    The last batch is smaller where batch_size does not divide the split; a last batch of one image
    is left out, since batch normalisation cannot learn from it.
    """
    order = torch.randperm(len(split), generator=generator).to(split.images.device)
    for indices in order.split(batch_size):
        if len(indices) == 1 and len(split) > 1:
            continue
        images = split.images.index_select(0, indices)
        if augmented:
            images = augment(images.float().div_(255), draw_augmentation(len(images), generator))
        yield normalise(images), split.targets.index_select(0, indices)


@dataclass(frozen=True)
class Draws:
    """What is drawn for the augmentation of B images: one value an image, but one order of jitters a batch."""

    flip: torch.Tensor  # (B,) bool
    degrees: torch.Tensor  # (B,) counter-clockwise
    brightness: torch.Tensor  # (B,) factors
    contrast: torch.Tensor
    saturation: torch.Tensor
    hue: torch.Tensor  # (B,) shift as a fraction of the circle
    order: list[int]  # in which brightness, contrast, saturation and hue are applied


def draw_augmentation(count: int, generator: torch.Generator) -> Draws:
    """Draw the course's augmentation: flip p 0.5, rotation ±15°, colour jitter 0.2, 0.2, 0.2 and hue 0.1."""

    def uniform(centre: float, spread: float) -> torch.Tensor:
        return centre + spread * (2 * torch.rand(count, generator=generator) - 1)

    return Draws(
        flip=torch.rand(count, generator=generator) < 0.5,
        degrees=uniform(0, MAX_DEGREES),
        brightness=uniform(1, JITTER),
        contrast=uniform(1, JITTER),
        saturation=uniform(1, JITTER),
        hue=uniform(0, HUE),
        order=torch.randperm(4, generator=generator).tolist(),
    )


def augment(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Flip, rotate and jitter float images (B, 3, H, W) in [0, 1], as torchvision does one by one."""
    images = rotate(images, draws.degrees, draws.flip)
    jitters = (
        lambda x: adjust_brightness(x, draws.brightness),
        lambda x: adjust_contrast(x, draws.contrast),
        lambda x: adjust_saturation(x, draws.saturation),
        lambda x: adjust_hue(x, draws.hue),
    )
    for index in draws.order:
        images = jitters[index](images)
    return images


def rotate(images: torch.Tensor, degrees: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
    """Mirror where `flip`, then rotate about the centre: nearest pixel, black outside, one gather for both.

    The source pixel of each target pixel is the rotation's inverse applied to pixel centres, as in
    torchvision's `rotate(interpolation=NEAREST)`; rounding is to even, as grid_sample's.
    """
    count, _, height, width = images.shape
    device = images.device
    radians = degrees.to(device, torch.float32) * (math.pi / 180)
    cos, sin = radians.cos().view(-1, 1, 1), radians.sin().view(-1, 1, 1)
    y = (torch.arange(height, device=device) - (height - 1) / 2).view(1, -1, 1)
    x = (torch.arange(width, device=device) - (width - 1) / 2).view(1, 1, -1)
    source_x = (cos * x - sin * y + (width - 1) / 2).round_().long()
    source_y = (sin * x + cos * y + (height - 1) / 2).round_().long()
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    source_x = torch.where(flip.to(device).view(-1, 1, 1), width - 1 - source_x, source_x)
    index = (source_y * width + source_x).where(inside, 0).view(count, 1, -1).expand(-1, 3, -1)
    gathered = images.reshape(count, 3, -1).gather(2, index).view(images.shape)
    return gathered.mul_(inside.unsqueeze(1))


def adjust_brightness(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with black: factor 0 is black, 1 the image itself."""
    return (images * _per_image(factors, images)).clamp_(0, 1)


def adjust_contrast(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with the image's mean grey."""
    return _blend(images, _grey(images).mean((1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with the image in grey."""
    return _blend(images, _grey(images), factors)


def adjust_hue(images: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Turn the hue by a fraction of the circle, value and saturation unchanged.

    RGB -> HSV as A. R. Smith, "Color gamut transform pairs" (1978); back by the closed form
    channel_n = V - V·S·clamp(min(k, 4 - k), 0, 1) with k = (n + 6 H) mod 6, n = 5, 3, 1 for R, G, B.
    """
    red, green, blue = images.unbind(1)
    value, chroma = images.amax(1), images.amax(1) - images.amin(1)
    safe = torch.where(chroma == 0, 1.0, chroma)  # a grey pixel has no hue: any will do
    sextant = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sextant = sextant + 6 * shifts.to(images.device).view(-1, 1, 1)
    phase = torch.tensor([5.0, 3.0, 1.0], device=images.device).view(1, 3, 1, 1)
    k = (phase + sextant.unsqueeze(1)).remainder_(6)
    weight = torch.minimum(k, 4 - k).clamp_(0, 1)
    return value.unsqueeze(1) - chroma.unsqueeze(1) * weight


def _grey(images: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor(GREY, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def _blend(images: torch.Tensor, other: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    return other.expand_as(images).lerp(images, _per_image(factors, images)).clamp_(0, 1)


def _per_image(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    return values.to(images.device, images.dtype).view(-1, 1, 1, 1)
