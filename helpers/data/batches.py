"""Splits as tensors on the device, and training batches from them: gathered, augmented and normalised as a batch."""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from helpers.config import ATTRIBUTES, MEAN, STD
from helpers.data.augmentation import augment, draw_augmentation
from helpers.data.cache import load_images
from helpers.data.celeba import Dataset
from helpers.errors import StudyError

# A GPU needs much work per kernel, so its batches are cut from chunks of CHUNK images, augmented PART at a time.
# On the CPU, the course's batches of 64 already fill the caches, and larger ones are slower.
CHUNK, PART = 4096, 512
SHARE_OF_MEMORY = 0.5  # the share of the GPU's free memory that the images of a split may take


@dataclass(frozen=True)
class Split:
    """One split: images uint8 (N, 3, 64, 64), targets float (N, 5), file names and identities.

    The targets are on the device that computes; so are the images, if they fit in its memory.
    """

    name: str
    images: torch.Tensor
    targets: torch.Tensor
    names: list[str]
    identities: np.ndarray | None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """The device that computes and that receives the batches."""
        return self.targets.device

    def gather(self, indices: torch.Tensor) -> torch.Tensor:
        """Return the images at `indices` (on any device) as uint8 on the split's device."""
        images = self.images.index_select(0, indices.to(self.images.device))
        if images.device == self.device:
            return images
        return images.pin_memory().to(self.device, non_blocking=True)

    def to(self, device: torch.device) -> "Split":
        """Return the split for another device, with its images there if they fit."""
        return dataclasses.replace(self, images=_placed(self.images, device), targets=self.targets.to(device))

    def subset(self, indices) -> "Split":
        """Return the images at `indices` as a new split."""
        if not isinstance(indices, torch.Tensor):
            indices = torch.tensor(indices)  # a copy, since pandas gives arrays that are not writable
        images = self.images[indices.to(self.images.device)]
        names = [self.names[i] for i in indices.tolist()]
        identities = None if self.identities is None else self.identities[indices.cpu().numpy()]
        return Split(self.name, images, self.targets[indices.to(self.device)], names, identities)

    def varied(self, count: int, seed: int) -> "Split":
        """Return `count` images, drawn at random with `seed`, with every attribute among them, as a new split.

        Of each attribute, one image that has it and one that does not are taken first, beginning with the rarest, where
        there are any and `count` has room for them.
        """
        order = np.random.default_rng(seed).permutation(len(self))
        labels = self.targets.cpu().numpy()[order] >= 0.5
        chosen: list[int] = []
        for side in sorted((side for column in labels.T for side in (column, ~column)), key=np.sum):
            if side.any() and not side[chosen].any():
                chosen.append(int(np.argmax(side)))
        chosen = list(dict.fromkeys([*chosen, *range(len(order))]))[:count]
        return self.subset(np.sort(order[chosen]))


def load_split(dataset: Dataset, split: str, device: torch.device, limit: int = 0, seed: int = 0) -> Split:
    """Load a split for `device`; with `limit`, only that many images, drawn at random with `seed`.

    On the CPU, the images stay memory-mapped from the cache file if the split is contiguous, as in CelebA. Raises
    StudyError if the split is empty.
    """
    rows = np.flatnonzero(dataset.annotations["split"] == split)
    if not len(rows):
        raise StudyError(f"The {split} split of {dataset.root} has no images. Complete the dataset, or use another.")
    if 0 < limit < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))
    annotations = dataset.annotations.iloc[rows]
    in_one_piece = rows[-1] - rows[0] == len(rows) - 1
    images = torch.from_numpy(load_images(dataset)[slice(rows[0], rows[-1] + 1) if in_one_piece else rows])
    targets = annotations[list(ATTRIBUTES)].to_numpy(np.float32)
    return Split(
        name=split,
        images=_placed(images, device),
        targets=torch.tensor(targets, device=device),  # a copy, since pandas may return a read-only array
        names=list(annotations.index),
        identities=annotations["identity"].to_numpy() if "identity" in annotations else None,
    )


def _placed(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return the images on the device, or as they are if they do not fit on the GPU."""
    if device.type == "cuda" and images.nbytes >= SHARE_OF_MEMORY * torch.cuda.mem_get_info(device)[0]:
        return images
    return images.to(device)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Convert images, uint8 or float in [0, 1], to float in [-1, 1], channels last for faster convolutions."""
    peak = 255 if images.dtype == torch.uint8 else 1
    pixels = images.to(torch.float32, memory_format=torch.channels_last)
    return pixels.mul(1 / (peak * STD)).sub_(MEAN / STD)


def denormalise(images: torch.Tensor) -> torch.Tensor:
    """Undo `normalise` to show images: float in [-1, 1] -> float in [0, 1]."""
    return (images * STD + MEAN).clamp(0, 1)


def training_batches(
    split: Split, batch_size: int, generator: torch.Generator, augmented: bool = True
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the batches of one epoch in a random order: images (B, 3, 64, 64) in [-1, 1] and targets (B, 5).

    The last batch is smaller if batch_size does not divide the number of images. A last batch of one image is left
    out, since batch normalisation cannot learn from it.
    """
    order = torch.randperm(len(split), generator=generator).to(split.images.device)
    chunks = order.split(chunk_size(split.device, batch_size))
    for indices, images in zip(chunks, _read_ahead(split, chunks), strict=True):
        images = _augmented(images, generator) if augmented else normalise(images)
        targets = split.targets.index_select(0, indices.to(split.device, non_blocking=True))
        for batch in zip(images.split(batch_size), targets.split(batch_size), strict=True):
            if len(batch[0]) > 1 or len(split) == 1:
                yield batch


def batches_per_epoch(split: Split, batch_size: int) -> int:
    """Return the number of batches that `training_batches` yields."""
    whole, rest = divmod(len(split), batch_size)
    return whole + (rest > 1 or len(split) == 1)


def endless_batches(split: Split, batch_size: int, generator: torch.Generator):
    """Yield the batches of one epoch after another, without end."""
    while True:
        yield from training_batches(split, batch_size, generator)


def chunk_size(device: torch.device, batch_size: int) -> int:
    """Return how many images are read and augmented together: one batch on the CPU, many on a GPU."""
    return batch_size * max(1, CHUNK // batch_size) if device.type == "cuda" else batch_size


def _augmented(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a chunk of uint8 images, augmented and normalised.

    A large chunk is augmented in parts, which bounds the memory. Each part has one order of the jitters. With 8 parts,
    each one takes every eighth image, so that one batch still sees several orders.
    """
    parts = max(1, len(images) // PART)
    if parts == 1:
        return _augmented_part(images, generator)
    result = torch.empty(images.shape, device=images.device, memory_format=torch.channels_last)
    for index in range(parts):
        result[index::parts] = _augmented_part(images[index::parts], generator)
    return result


def _augmented_part(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    draws = draw_augmentation(len(images), generator, images.device)
    return normalise(augment(images.to(torch.float32).div_(255), draws))


def _read_ahead(split: Split, chunks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield the images of each chunk; if they are in the host's memory, gather the next chunk in the meantime."""
    if split.images.device == split.device:
        return map(split.gather, chunks)
    return one_ahead(split.gather, chunks)


def one_ahead(function: Callable, items: Iterable) -> Iterator:
    """Yield function(item) for each item in order, while a thread computes the next one."""
    with ThreadPoolExecutor(1) as thread:
        waiting = deque()
        for item in items:
            waiting.append(thread.submit(function, item))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
