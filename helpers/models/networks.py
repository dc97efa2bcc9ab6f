"""The networks: the course's CNN, the compact ones, and logistic regression as a linear baseline."""

import copy
from collections import OrderedDict

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.config import ATTRIBUTES, IMAGE_SIZE, META, Config
from helpers.models.compact import PLANS, CompactCNN

COURSE_PARAMETERS = 372_997
"""The number of parameters of the course's network with channels_block3=256."""


def conv_block(in_channels: int, out_channels: int, pool: bool) -> nn.Sequential:
    """Build a 3x3 convolution, batch normalisation, ReLU and, if `pool`, a 2x2 max-pooling.

    The pooling comes before the ReLU. Both keep the order of values, so the result is the same, and the ReLU has a
    quarter of the pixels to process.
    """
    layers = [
        ("conv", nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)),
        ("norm", nn.BatchNorm2d(out_channels)),
        ("pool", nn.MaxPool2d(2) if pool else None),
        ("relu", nn.ReLU(inplace=True)),
    ]
    return nn.Sequential(OrderedDict((name, layer) for name, layer in layers if layer is not None))


class CourseCNN(nn.Module):
    """Images (B, 3, 64, 64) -> logits (B, 5): three convolution blocks, global average pooling, a linear head."""

    def __init__(self, channels_block3: int = 256, dropout: float = 0.0):
        super().__init__()
        self.block1 = conv_block(3, 64, pool=True)
        self.block2 = conv_block(64, 128, pool=True)
        self.block3 = conv_block(128, channels_block3, pool=False)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels_block3, len(ATTRIBUTES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.block3(self.block2(self.block1(images)))
        return self.head(self.dropout(self.average(features).flatten(1)))


class LogisticRegression(nn.Sequential):
    """Images (B, 3, 64, 64) -> logits (B, 5): one weight per pixel, channel and attribute."""

    def __init__(self):
        super().__init__(OrderedDict(flatten=nn.Flatten()))
        self.head = nn.Linear(3 * IMAGE_SIZE**2, len(ATTRIBUTES))
        nn.init.zeros_(self.head.weight)  # the loss is convex: any start works, and zero adds no noise
        nn.init.zeros_(self.head.bias)


class Mirrored(nn.Module):
    """A network that returns, in eval mode, the mean of the logits of an image and of its mirror image."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.network(images)
        return (self.network(images) + self.network(images.flip(3))) / 2


def build_model(
    seed: int,
    device: torch.device,
    channels_block3: int = 256,
    dropout: float = 0.0,
    arch: str = "course",
    mirror: bool = False,
) -> nn.Module:
    """Build a network on `device`, with initial weights drawn from `seed`."""
    torch.manual_seed(seed)
    model = CompactCNN(dropout, arch) if arch in PLANS else CourseCNN(channels_block3, dropout)
    return (Mirrored(model) if mirror else model).to(device, memory_format=torch.channels_last)


def build_for(config: Config, device: torch.device) -> nn.Module:
    """Build the network that `config` describes, with initial weights drawn from its seed."""
    return build_model(config.seed, device, config.channels_block3, config.dropout, config.arch, config.mirror)


def architecture(config: Config) -> dict:
    """Return the description of the network that a checkpoint stores for `from_architecture`."""
    common = {"dropout": config.dropout} | ({"mirror": True} if config.mirror else {})
    if config.arch in PLANS:
        return {"type": "CompactCNN", "plan": config.arch} | common
    return {"type": "CourseCNN", "channels_block3": config.channels_block3} | common


def from_architecture(described: dict) -> nn.Module:
    """Build the network that `architecture` described; raise KeyError or TypeError if it is unknown."""
    options = {name: value for name, value in described.items() if name not in ("type", "mirror")}
    model = {"CourseCNN": CourseCNN, "CompactCNN": CompactCNN}[described["type"]](**options)
    return Mirrored(model) if described.get("mirror") else model


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def layer_table(model: nn.Module) -> pd.DataFrame:
    """Return one row per layer with what it does for one image: layer, output shape, parameters, multiply-adds."""
    import torchinfo  # not on a bare GPU node

    summary = torchinfo.summary(model, (1, *META["input_shape"]), verbose=0)
    rows = [
        (layer.class_name, str(tuple(layer.output_size[1:])), layer.num_params, layer.macs)
        for layer in summary.summary_list
        if layer.is_leaf_layer
    ]
    return pd.DataFrame(rows, columns=["layer", "output", "parameters", "multiply-adds"])


def forward_flop(model: nn.Module) -> int:
    """Return the floating-point operations of the forward pass of one image; a multiply-add counts as two."""
    probe = copy.deepcopy(model).to("meta").eval()  # tensors on "meta" have a shape but no values
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        probe(torch.empty(1, *META["input_shape"], device="meta"))
    return counter.get_total_flops()


@torch.no_grad()
def start_from_priors(model: nn.Module, rates: torch.Tensor):
    """Set the head so that the untrained model predicts the base rate of each attribute; `rates` has shape (5,).

    The bias becomes the log-odds of the rates, and the weights are scaled to nearly zero. The loss at initialisation
    is then the mean entropy of the rates (Karpathy, "A Recipe for Training Neural Networks", 2019).
    """
    rates = rates.clamp(1e-4, 1 - 1e-4)
    model.head.bias.copy_(torch.logit(rates))
    model.head.weight.mul_(0.01)
