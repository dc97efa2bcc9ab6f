"""Grad-CAM: where in an image a prediction comes from, with randomised weights as a negative control."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate, relu

from helpers.config import IMAGE_SIZE
from helpers.data.batches import normalise
from helpers.system.devices import rng_kept

__all__ = ["alikeness", "examples", "grad_cam", "randomised"]


def grad_cam(model: nn.Module, images: torch.Tensor, attributes: list[int]) -> np.ndarray:
    """Return one map (B, 64, 64) in [0, 1] per image of the regions that raise the logit of its attribute.

    Selvaraju et al., "Grad-CAM" (2017), in the form of Draelos and Carin, "Use HiResCAM instead of Grad-CAM" (2020):
    the last feature map with more than one position is multiplied by the gradient of the logit with respect to it and
    summed over the channels; negative values become 0. Grad-CAM takes the mean gradient of each channel. The two are
    the same for the course's network, which averages over the positions; the compact network weighs each position, and
    there the mean gradient points to places that it does not read. `images` are uint8 (B, 3, 64, 64); `attributes` has
    the index of one output per image. Each map is divided by its maximum. A map of zeros means that no region raises
    the logit.
    """
    network = getattr(model, "network", model).eval()  # of a Mirrored model, the network without the mirror image
    logits, features = _with_features(network, normalise(images))
    chosen = logits[torch.arange(len(images)), torch.as_tensor(attributes, device=logits.device)]
    (gradient,) = torch.autograd.grad(chosen.sum(), features)
    maps = relu((gradient * features).sum(1, keepdim=True)).detach()
    maps = interpolate(maps, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", align_corners=False)[:, 0]
    return (maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)).cpu().numpy()


def _with_features(model: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits, and the last feature map (B, C, H, W) with H above 1."""
    kept = []

    def keep(module, given, output):
        if output.ndim == 4 and output.shape[2] > 1:
            kept.append(output)

    hooks = [module.register_forward_hook(keep) for module in model.modules()]  # a block's runs after its layers'
    try:
        return model(inputs), kept[-1]
    finally:
        for hook in hooks:
            hook.remove()


def examples(answers: np.ndarray, targets: np.ndarray, attribute: int, count: int, seed: int) -> list[int]:
    """Return the indices of `count` images: half of them true positives, half of them wrong predictions.

    `answers` are 0/1 predictions (N, 5). The images are drawn at random, so that they are typical and not the best.
    If one kind has too few images, the other kind fills the places, then the remaining images.
    """
    order = np.random.default_rng(seed).permutation(len(answers))
    yes, truth = answers[order, attribute] == 1, targets[order, attribute] == 1
    right, wrong = order[yes & truth], order[yes != truth]
    chosen = [*right[: count // 2], *wrong[: count - count // 2], *right[count // 2 :], *wrong[count // 2 :], *order]
    return [int(row) for row in dict.fromkeys(chosen)][:count]


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Return a copy with all weights drawn again at random: a negative control, since its maps owe nothing to training.

    Adebayo et al., "Sanity Checks for Saliency Maps" (2018).
    """
    control = copy.deepcopy(model)
    with rng_kept():
        torch.manual_seed(seed)
        fresh = copy.deepcopy(model).cpu()
        for module in fresh.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    control.load_state_dict(fresh.state_dict())
    return control


def alikeness(maps: np.ndarray, others: np.ndarray) -> float:
    """Return the mean rank correlation (Spearman) between two sets of maps (B, H, W), image by image.

    1 means the same ranking of the pixels. Constant maps are left out; the result is NaN if none remains.
    """
    from scipy.stats import spearmanr  # comes with scikit-learn

    pairs = [(a.ravel(), b.ravel()) for a, b in zip(maps, others, strict=True) if np.ptp(a) and np.ptp(b)]
    return float(np.mean([spearmanr(*pair).statistic for pair in pairs])) if pairs else float("nan")
