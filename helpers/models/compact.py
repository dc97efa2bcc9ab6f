"""The compact network: fewer parameters and operations than the course's, and one weight per position in its head."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import relu

from helpers.config import ATTRIBUTES, IMAGE_SIZE


@dataclass(frozen=True)
class Plan:
    """The sizes of a residual network: its stem, and the channels and stride of each block."""

    stem: int  # channels of the first convolution
    stem_stride: int
    blocks: tuple[tuple[int, int], ...]


PLANS = {
    "compact": Plan(32, 2, ((32, 1), (64, 2), (128, 2))),
    "fine": Plan(24, 1, ((48, 2), (72, 2), (112, 2))),
    "fine_deep": Plan(16, 1, ((32, 2), (32, 1), (64, 2), (64, 1), (96, 2))),
    "teacher": Plan(32, 1, ((64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (256, 1))),
}


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., "Deep Residual Learning", 2016).

    A shortcut that halves the resolution averages before its 1x1 convolution, so that no pixel is ignored (He et al.,
    "Bag of Tricks", 2019). The last normalisation starts at zero, so that each block starts as its shortcut alone.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.norm2.weight)
        self.shortcut = nn.Identity()
        if (inputs, stride) != (outputs, 1):
            project = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), project, nn.BatchNorm2d(outputs))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = relu(self.norm1(self.conv1(features)), inplace=True)
        return relu(self.norm2(self.conv2(inner)) + self.shortcut(features), inplace=True)


class CompactCNN(nn.Module):
    """Images (B, 3, 64, 64) -> logits (B, 5): a stem, residual blocks, and one weight per position and channel.

    The faces are aligned: a mouth is always low, a hat always high. The course's network averages over all positions.
    This one ends in a depthwise convolution as large as the 8x8 feature map, which weighs each position separately.
    """

    def __init__(self, dropout: float = 0.0, plan: str = "compact"):
        super().__init__()
        sizes = PLANS[plan]
        self.stem = nn.Conv2d(3, sizes.stem, 3, stride=sizes.stem_stride, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(sizes.stem)
        channels, blocks, side = sizes.stem, [], IMAGE_SIZE // sizes.stem_stride
        for outputs, stride in sizes.blocks:
            blocks.append(Residual(channels, outputs, stride))
            channels, side = outputs, side // stride
        self.blocks = nn.Sequential(*blocks)
        self.places = nn.Conv2d(channels, channels, side, groups=channels, bias=False)
        self.places_norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, len(ATTRIBUTES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.blocks(relu(self.stem_norm(self.stem(images)), inplace=True))
        features = relu(self.places_norm(self.places(features)), inplace=True)
        return self.head(self.dropout(features.flatten(1)))
