"""Measure how well `predict` notices images unlike a network's training images, and prepare a checkpoint for it.

    python benchmarks/familiarity.py --data-root DIR --checkpoint FILE [--write] [--json familiarity.json]

The statistics are of at most 8,000 train images, and the limit is the 99th percentile of the distances of valid. The
checkpoint keeps these numbers alone, and no image.
"""

import argparse
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.data.batches import load_split
from helpers.data.celeba import open_dataset
from helpers.models import familiarity
from helpers.models.checkpoints import load_checkpoint

TRAIN, COUNT = 8_000, 300


def unlike(faces: torch.Tensor, drawn: torch.Tensor) -> dict[str, np.ndarray]:
    """Return groups of images, uint8 (N, 3, 64, 64): no faces, or faces that do not fill the frame as usual."""
    draw = np.random.default_rng(0)
    shown = [Image.fromarray(face.permute(1, 2, 0).numpy()) for face in faces[:COUNT]]
    return {
        "noise": draw.integers(0, 256, (COUNT, 3, 64, 64), np.uint8),
        "blurred noise": np.stack([_blurred_noise(draw) for _ in range(COUNT)]),
        "one colour": np.tile(draw.integers(0, 256, (COUNT, 3, 1, 1), np.uint8), (1, 1, 64, 64)),
        "plots": np.stack([_plot(draw) for _ in range(60)]),
        "crops of a landscape and a flower": np.stack([_crop(draw) for _ in range(COUNT)]),
        "drawn faces": drawn.numpy(),
        "faces at a quarter of the size": np.stack([_small(face, 4, draw) for face in shown]),
        "faces at half the size": np.stack([_small(face, 2, draw) for face in shown]),
        "faces cropped tightly": np.stack([_pixels(face.crop((16, 19, 48, 51))) for face in shown]),
        "faces on their side": np.stack([_pixels(face.rotate(90)) for face in shown]),
        "faces upside down": np.stack([_pixels(face.rotate(180)) for face in shown]),
    }


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def _blurred_noise(draw: np.random.Generator) -> np.ndarray:
    side = draw.integers(2, 12)
    coarse = Image.fromarray(draw.integers(0, 256, (side, side, 3), np.uint8))
    return _pixels(coarse.resize((64, 64), Image.Resampling.BICUBIC))


def _plot(draw: np.random.Generator) -> np.ndarray:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    [axes.plot(draw.normal(size=30).cumsum()) for _ in range(draw.integers(1, 5))]
    axes.set(title="loss per epoch", xlabel="epoch", ylabel="loss")
    buffer = io.BytesIO()
    figure.savefig(buffer)
    plt.close(figure)
    return _pixels(Image.open(buffer))


def _crop(draw: np.random.Generator) -> np.ndarray:
    from sklearn.datasets import load_sample_images  # two photographs, under a free licence

    photo = Image.fromarray(load_sample_images().images[draw.integers(2)])
    side = int(draw.integers(80, 400))
    left, top = int(draw.integers(photo.width - side)), int(draw.integers(photo.height - side))
    return _pixels(photo.crop((left, top, left + side, top + side)))


def _small(face: Image.Image, times: int, draw: np.random.Generator) -> np.ndarray:
    ground = Image.new("RGB", (64 * times, 64 * times), face.getpixel((0, 0)))
    ground.paste(face, tuple(int(place) for place in draw.integers(0, 64 * (times - 1) + 1, 2)))
    return _pixels(ground)


def write(path: Path, familiar: dict):
    """Put the statistics into the checkpoint, whose other fields stay as they are."""
    content = torch.load(path, weights_only=True)
    fresh = path.with_name(f"{path.name}.partial")
    torch.save(content | {"familiar": familiar}, fresh)
    os.replace(fresh, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="put the statistics into the checkpoint")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cpu, model = torch.device("cpu"), load_checkpoint(options.checkpoint).model
    dataset, drawn = open_dataset(options.data_root, allow_missing=True), open_dataset("drawn")
    images = {split: load_split(dataset, split, cpu, TRAIN).images for split in ("train", "valid", "test")}
    familiar = familiarity.fit(model, images["train"], images["valid"])
    groups = {"test images": images["test"].numpy()}
    groups |= unlike(images["test"], load_split(drawn, "test", cpu, COUNT).images)
    noticed = {}
    for name, group in groups.items():
        far = familiarity.distances(model, familiar, torch.from_numpy(group)) > familiar["limit"]
        noticed[name] = {"images": len(group), "unfamiliar": float(far.mean())}
        print(f"{name:36s} {far.mean():6.1%} of {len(group):,}")
    if options.write:
        write(options.checkpoint, familiar)
    if options.json:
        found = {"checkpoint": options.checkpoint.name, "source": dataset.source, "noticed": noticed}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
