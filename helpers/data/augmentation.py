"""The course's augmentation on whole batches, with random values per image: flip, rotation, colour jitter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

MAX_DEGREES = 15.0
JITTER = 0.2  # brightness, contrast and saturation are scaled by a factor in [0.8, 1.2]
HUE = 0.1  # the hue is shifted by at most a tenth of the colour circle
GREY = (0.2989, 0.587, 0.114)  # ITU-R 601-2 luma, as torchvision's rgb_to_grayscale
TINY = 1e-12  # replaces a chroma of 0 in divisions


@dataclass(frozen=True)
class Draws:
    """The random values for the augmentation of B images: one per image, but one order of the jitters for all."""

    flip: torch.Tensor  # (B,) bool
    degrees: torch.Tensor  # (B,) counter-clockwise
    brightness: torch.Tensor  # (B,) factors
    contrast: torch.Tensor
    saturation: torch.Tensor
    hue: torch.Tensor  # (B,) shift as a fraction of the colour circle
    order: list[int]  # in which brightness, contrast, saturation and hue are applied


def draw_augmentation(count: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Draws:
    """Draw the random values of the course's augmentation for `count` images.

    Flip with p 0.5; rotation within ±15°; brightness, contrast and saturation within ±20 %; hue within ±0.1. They are
    drawn on the CPU, so that a seed gives the same values on every device, and sent to `device` in one copy.
    """
    spread = (1, MAX_DEGREES, JITTER, JITTER, JITTER, HUE)
    flip, *values = draw_uniform((0, 0, 1, 1, 1, 0), spread, count, generator, device)
    return Draws(flip < 0, *values, order=torch.randperm(4, generator=generator).tolist())


def draw_uniform(
    centre: Sequence[float], spread: Sequence[float], count: int, generator: torch.Generator, device: torch.device | str
) -> torch.Tensor:
    """Draw `count` uniform values in centre ± spread for each of K quantities; return them (K, count) on `device`."""
    uniform = torch.rand(len(centre), count, generator=generator)
    drawn = torch.tensor(centre).view(-1, 1) + torch.tensor(spread).view(-1, 1) * (2 * uniform - 1)
    if torch.device(device).type == "cuda":
        drawn = drawn.pin_memory()  # a copy from unpinned memory would wait for the GPU
    return drawn.to(device, non_blocking=True)


def augment(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Flip, rotate and jitter float images (B, 3, H, W) in [0, 1], as torchvision does image by image."""
    images = rotate(images, draws.degrees, draws.flip)
    jitters = (
        (adjust_brightness_, draws.brightness),
        (adjust_contrast_, draws.contrast),
        (adjust_saturation_, draws.saturation),
        (adjust_hue_, draws.hue),
    )
    return jitter_(images, jitters, draws.order)


def jitter_(images: torch.Tensor, jitters: Sequence[tuple], order: list[int]) -> torch.Tensor:
    """Apply jitters, pairs of a function and its values per image, in this order and in place; return the images."""
    for index in order:
        adjust, values = jitters[index]
        adjust(images, values)
    return images


def rotate(images: torch.Tensor, degrees: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
    """Mirror the images where `flip` is true, then rotate them about the centre; both in one sampling.

    Nearest pixel, black outside. The source of a target pixel is found by the inverse rotation, then mirrored. The
    images must be square, so that grid_sample's coordinates (-1 to 1 along each side) rotate as pixels do.
    """
    radians = degrees * (math.pi / 180)
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
    mirror = torch.where(flip, -1.0, 1.0)
    inverse = torch.stack([mirror * cos, -mirror * sin, zero, sin, cos, zero], 1).view(-1, 2, 3)
    grid = functional.affine_grid(inverse, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def adjust_brightness_(images: torch.Tensor, factors: torch.Tensor):
    """Blend each image with black, in place; factor 0 gives black, factor 1 the image itself."""
    images.mul_(_per_image(factors)).clamp_(0, 1)


def adjust_contrast_(images: torch.Tensor, factors: torch.Tensor):
    """Blend each image with its mean grey value, in place."""
    _blend_(images, _grey(images).mean((1, 2, 3), keepdim=True), factors)


def adjust_saturation_(images: torch.Tensor, factors: torch.Tensor):
    """Blend each image with its grey version, in place."""
    _blend_(images, _grey(images), factors)


def adjust_hue_(images: torch.Tensor, shifts: torch.Tensor):
    """Shift the hue by a fraction of the colour circle (at most a sixth), in place; value and saturation stay the same.

    Hue, value and chroma are those of A. R. Smith, "Color gamut transform pairs" (1978). One formula covers all cases,
    since `torch.where` costs ten times an arithmetic operation on CPU. Measure the hue h in sixths of the circle from
    red, h in [-3, 3], and let e = (G - B) / chroma and m = (value - R) / chroma. Then |h| is |e| where red is the
    largest channel (m = 0), 1 + m where it is the middle one (|e| = 1), and 3 - |e| where it is the smallest (m = 1).
    All three cases are |h| = |e| + m (3 - 2 |e|), and h has the sign of e.

    Back to colours: let c be the hue of a channel (red 0, green 2, blue -2). The channel falls from value to
    value - chroma while the distance of h from c on the circle, 3 - ||h - c| - 3|, goes from 1 to 2.
    """
    red, green, blue = images.unbind(1)
    value = torch.maximum(red, green).maximum(blue)
    chroma = value - torch.minimum(red, green).minimum(blue)
    per_chroma = chroma.clamp(min=TINY).reciprocal_()
    e = (green - blue).mul_(per_chroma)
    m = (value - red).mul_(per_chroma)
    size = e.abs()
    sextant = torch.addcmul(size, m, torch.sub(3, size, alpha=2)).copysign_(e)
    channels = torch.arange(2, 7, 2, device=images.device) % 6 - 2  # 0, 2, -2, made on the device
    turned = 6 * shifts.view(-1, 1) - channels
    torch.add(sextant.unsqueeze(1), turned.view(-1, 3, 1, 1), out=images)
    images.abs_().sub_(3).abs_().clamp_(1, 2)  # 2 where the channel is highest, 1 where it is lowest
    images.mul_(chroma.unsqueeze(1)).add_(value.sub_(chroma, alpha=2).unsqueeze(1))


def _grey(images: torch.Tensor) -> torch.Tensor:
    red, green, blue = images.unbind(1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2]).unsqueeze(1)


def _blend_(images: torch.Tensor, other: torch.Tensor, factors: torch.Tensor):
    factors = _per_image(factors)
    images.mul_(factors).add_(other * (1 - factors)).clamp_(0, 1)


def _per_image(values: torch.Tensor) -> torch.Tensor:
    return values.view(-1, 1, 1, 1)
