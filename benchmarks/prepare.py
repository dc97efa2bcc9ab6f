"""How fast images become the 64x64 cache: a decoder at a time, and whole builds on one core and on all.

    python benchmarks/prepare.py [--data-root DIR] [--images 2000] [--repeats 3] [--whole] [--json prepare.json]

Everything is measured in turn in one run, as this is what makes ratios comparable on a shared machine. `--whole`
builds the cache of 202,599 images (those of the dataset over and over, in one zip) and needs 5 GB of disk.
"""

import argparse
import contextlib
import dataclasses
import io
import itertools
import json
import os
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from PIL import Image

from helpers.data import cache, decoding
from helpers.data.celeba import Dataset, open_dataset
from helpers.data.images import ImageZip
from helpers.data.rgb import read_rgb
from helpers.system.workers import cores

BLOCK = 50  # images a decoder decodes before it is the next one's turn
WHOLE = 202_599


def plain(data: bytes) -> np.ndarray:
    """PIL: open, convert, resize, bilinear."""
    image = Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1)


def ours(data: bytes) -> np.ndarray:
    """simplejpeg at half scale, Pillow's resize."""
    return decoding.decode(data, "benchmark")


def pillow(data: bytes) -> np.ndarray:
    """What ours does without simplejpeg: the same pixels from Pillow's draft mode."""
    image = read_rgb(data, decoding.SIDES).image
    return np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def torchvision(data: bytes) -> np.ndarray:
    """torchvision.io's decoder and anti-aliased resize, as before."""
    from torchvision.transforms.v2 import functional

    return functional.resize(_decode_by_torchvision(data), [64, 64], antialias=True).numpy()


def torchvision_in_a_batch(files: list[bytes]) -> np.ndarray:
    """The same with one resize for all the images of a batch (they must be of one size)."""
    import torch
    from torchvision.transforms.v2 import functional

    images = torch.stack([_decode_by_torchvision(data) for data in files])
    return functional.resize(images, [64, 64], antialias=True).numpy()


def _decode_by_torchvision(data: bytes):
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)


def in_turn(decoder):
    """Return the decoder of a batch that decodes one file after the other."""
    return lambda files: np.stack([decoder(data) for data in files])


DECODERS = {
    "plain (PIL)": in_turn(plain),
    "ours (simplejpeg at half scale, Pillow's resize)": in_turn(ours),
    "ours without simplejpeg (Pillow's draft mode)": in_turn(pillow),
    "torchvision.io, anti-aliased resize": in_turn(torchvision),
    f"torchvision.io, resize in batches of {BLOCK}": torchvision_in_a_batch,
}


def compare_decoders(dataset: Dataset, count: int) -> list[dict]:
    """Time each decoder on one core, block by block in turn, and compare its pixels with the plain way's."""
    import torch

    torch.set_num_threads(1)
    names = dataset.annotations.index[:: max(1, len(dataset.annotations) // count)][: count // BLOCK * BLOCK]
    files = [dataset.images.read(name) for name in names]
    blocks = [files[i : i + BLOCK] for i in range(0, len(files), BLOCK)]
    seconds, differences = {name: [] for name in DECODERS}, {name: [] for name in DECODERS}
    for decoder in DECODERS.values():
        decoder(blocks[0])  # imports and first calls
    for block in blocks:
        expected = in_turn(plain)(block).astype(int)
        for name, decoder in DECODERS.items():
            start = time.perf_counter()
            images = decoder(block)
            seconds[name].append(time.perf_counter() - start)
            differences[name] += list(np.abs(images - expected).mean((1, 2, 3)))
    reference = np.array(seconds["plain (PIL)"])
    return [
        {
            "decoder": name,
            "images_per_second": BLOCK / median(seconds[name]),
            "ratio": median(reference / np.array(seconds[name])),
            "quartiles": np.percentile(reference / np.array(seconds[name]), [25, 75]).tolist(),
            "mean_difference": float(np.mean(differences[name])),
            "worst_image": float(np.max(differences[name])),
        }
        for name in DECODERS
    ]


def build(dataset: Dataset, workers: int) -> dict:
    """Build the cache in an empty folder; return its speed, and the largest memory of a worker and of this process."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CELEBA_CACHE"] = folder
        peak = {"worker": 0, "parent": 0}
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(peak, done))
        watcher.start()
        start = time.perf_counter()
        path = cache.prepare(dataclasses.replace(dataset), progress=False, workers=workers)
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
        return {
            "workers": workers,
            "images": len(dataset.annotations),
            "images_per_second": len(dataset.annotations) / seconds,
            "seconds": seconds,
            "bytes": path.stat().st_size,
            "worker_mb": peak["worker"] / 2**20,
            "parent_mb": peak["parent"] / 2**20,
        }


def _watch(peak: dict, done: threading.Event):
    """Note the largest resident memory of a worker, and of this process (pages in common are counted in each)."""
    me = psutil.Process()
    while not done.wait(0.5):
        with contextlib.suppress(psutil.Error):
            peak["worker"] = max([peak["worker"], *(child.memory_info().rss for child in me.children())])
            peak["parent"] = max(peak["parent"], me.memory_info().rss)


def machine_scaling(dataset: Dataset, repeats: int) -> float:
    """Return how many times the work of one process as many as there are cores do, sharing nothing.

    Cores of a shared machine need not be whole cores: this is what a build can reach at best.
    """
    files = [dataset.images.read(name) for name in dataset.annotations.index[:2000]]
    with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
        list(pool.map(_seconds, [files] * cores()))  # starts them, imports
        alone, together = [], []
        for _ in range(repeats):
            alone.append(pool.submit(_seconds, files).result())
            together.append(max(pool.map(_seconds, [files] * cores())))
    return cores() * median(np.array(alone) / np.array(together))


def _seconds(files: list[bytes]) -> float:
    start = time.perf_counter()
    in_turn(ours)(files)
    return time.perf_counter() - start


def whole_celeba(dataset: Dataset, folder: Path) -> Dataset:
    """Return a dataset of 202,599 images, those of `dataset` over and over, in one zip."""
    archive = folder / "img_align_celeba.zip"
    names = [f"{number:06d}.jpg" for number in range(1, WHOLE + 1)]
    with zipfile.ZipFile(archive, "w") as file:
        for name, original in zip(names, itertools.cycle(dataset.annotations.index), strict=False):
            file.writestr(f"img_align_celeba/{name}", dataset.images.read(original))
    rows = np.resize(np.arange(len(dataset.annotations)), WHOLE)
    annotations = dataset.annotations.iloc[rows].set_axis(names)
    return dataclasses.replace(dataset, annotations=annotations, images=ImageZip(archive), table=annotations)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-root", default="drawn", help="images to decode; the drawn faces if not given")
    parser.add_argument("--images", type=int, default=2000, help="for the comparison of decoders")
    parser.add_argument("--repeats", type=int, default=3, help="builds on one core and on all, in turn")
    parser.add_argument("--whole", action="store_true", help="build the cache of 202,599 images as well")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="The image decoding")
    dataset = open_dataset(options.data_root, allow_missing=True)
    found = {"source": dataset.source, "cores": cores(), "decoders": compare_decoders(dataset, options.images)}
    for row in found["decoders"]:
        low, high = row["quartiles"]
        print(
            f"{row['decoder']:50s} {row['images_per_second']:6,.0f} img/s  ratio {row['ratio']:.2f} "
            f"({low:.2f} to {high:.2f})  difference {row['mean_difference']:.3f}, worst image {row['worst_image']:.2f}"
        )
    found["machine_scaling"] = machine_scaling(dataset, 5)
    print(f"{cores()} processes that share nothing do {found['machine_scaling']:.2f} times the work of one")
    found["builds"] = [build(dataset, workers) for _ in range(options.repeats) for workers in (1, cores())]
    if options.whole:
        with tempfile.TemporaryDirectory() as folder:
            whole = whole_celeba(dataset, Path(folder))
            found["builds"] += [build(whole, workers) for workers in (1, cores())]
    for row in found["builds"]:
        print(
            f"{row['workers']} workers: {row['images']:,} images in {row['seconds']:.1f} s, "
            f"{row['images_per_second']:,.0f} img/s; {row['worker_mb']:.0f} MB a worker, {row['parent_mb']:.0f} MB here"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
