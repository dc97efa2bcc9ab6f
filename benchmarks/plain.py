"""The plain way, to measure against: JPEG files, PIL transforms, a DataLoader, fp32, NCHW, `.item()` each step.

Written as a course teaches it and nothing slower: two persistent workers, torch's own number of threads,
the same network, augmentation and optimizer as the study's.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

IMAGE_SIZE = 64
WORKERS = 2


class FacesFolder(Dataset):
    """CelebA as torchvision reads it: a folder of JPEG files and their attributes (N, 5)."""

    def __init__(self, folder: Path, names: list[str], targets: torch.Tensor, augmented: bool):
        self.folder, self.names, self.targets = folder, names, targets
        self.transform = transform(augmented)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = Image.open(self.folder / self.names[index]).convert("RGB")
        return self.transform(image), self.targets[index]


def transform(augmented: bool) -> transforms.Compose:
    """Return the course's transforms of one PIL image."""
    augmentation = [
        transforms.RandomHorizontalFlip(),
        transforms.RandomRotation(15),
        transforms.ColorJitter(0.2, 0.2, 0.2, 0.1),
    ]
    return transforms.Compose(
        [
            transforms.Resize((IMAGE_SIZE, IMAGE_SIZE)),
            *(augmentation if augmented else []),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )


def loader(dataset: Dataset, batch_size: int = 64, shuffle: bool = True) -> DataLoader:
    """Return the DataLoader; its workers stay from epoch to epoch."""
    return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=WORKERS, persistent_workers=True)


class PlainCNN(nn.Sequential):
    """The course's network as it is usually written: images (B, 3, 64, 64) -> logits (B, 5)."""

    def __init__(self, channels_block3: int = 256, dropout: float = 0.0):
        super().__init__(
            *(nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(128, channels_block3, 3, padding=1), nn.BatchNorm2d(channels_block3), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels_block3, 5)),
        )


def train_epoch(model: nn.Module, optimizer, batches: DataLoader | Iterator) -> float:
    """Train on every batch; return the mean of the batches' losses."""
    model.train()
    total = count = 0
    for images, targets in batches:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(images), targets)
        loss.backward()
        optimizer.step()
        total, count = total + loss.item(), count + 1
    return total / count


@torch.no_grad()
def predict(model: nn.Module, batches: DataLoader) -> torch.Tensor:
    """Return the logits (N, 5) of every batch, in order."""
    model.eval()
    return torch.cat([model(images) for images, _ in batches])
