"""Does an image look like those that a network was trained on? A distance between statistics of feature maps.

The mean and the standard deviation of each channel of a feature map describe an image. Their Mahalanobis distance to
those of the training images is large for what is no face filling the frame (Lee et al., "A Simple Unified Framework for
Detecting Out-of-Distribution Samples and Adversarial Attacks", 2018). The map is that of the last block but one: in the
last one, the published network sees plots and small faces as it sees faces. Where something is in the image does not
count, so that a face on its side is not noticed. benchmarks/familiarity.json has what was measured.
"""

import numpy as np
import torch
from torch import nn

from helpers.data.batches import normalise
from helpers.models.compact import CompactCNN
from helpers.models.networks import CourseCNN, Mirrored

SHRINKAGE = 1e-4  # of the covariance towards a multiple of the identity, so that it can be inverted
QUANTILE = 0.99  # of the valid images, which are taken for familiar
BATCH = 256


@torch.inference_mode()
def statistics(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return mean and standard deviation of each channel of a feature map: uint8 (N, 3, 64, 64) -> (N, 2 C)."""
    network = model.network if isinstance(model, Mirrored) else model
    found = []
    hook = _block(network).register_forward_hook(
        lambda _, __, maps: found.append(torch.cat([maps.float().mean((2, 3)), maps.float().std((2, 3))], 1))
    )
    try:
        for batch in images.split(BATCH):
            network(normalise(batch))
    finally:
        hook.remove()
    return torch.cat(found).double().cpu()


def _block(network: nn.Module) -> nn.Module:
    """Return the last block but one."""
    if isinstance(network, CompactCNN):
        return network.blocks[-2]
    if isinstance(network, CourseCNN):
        return network.block2
    raise TypeError(f"{type(network).__name__} has no feature map")


def channels(model: nn.Module) -> int:
    """Return C, the number of channels of the feature map."""
    block = _block(model.network if isinstance(model, Mirrored) else model)
    return [module.num_features for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1]


def fit(model: nn.Module, train: torch.Tensor, valid: torch.Tensor) -> dict:
    """Return what `distances` needs, and the distance that one valid image in a hundred exceeds (`limit`)."""
    seen = statistics(model, train)
    covariance = torch.cov(seen.T)
    covariance += SHRINKAGE * covariance.trace() / len(covariance) * torch.eye(len(covariance), dtype=torch.float64)
    whiten = torch.linalg.cholesky(torch.linalg.inv(covariance))
    familiar = {"mean": seen.mean(0).float(), "whiten": whiten.float(), "limit": 0.0}
    return familiar | {"limit": float(np.quantile(distances(model, familiar, valid), QUANTILE))}


def distances(model: nn.Module, familiar: dict, images: torch.Tensor) -> np.ndarray:
    """Return the Mahalanobis distance (N,) of each image, uint8 (N, 3, 64, 64), to the training images."""
    off = statistics(model, images) - familiar["mean"].double()
    return (off @ familiar["whiten"].double()).norm(dim=1).numpy()
