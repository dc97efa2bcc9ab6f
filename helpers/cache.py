"""The dataset's images as one uint8 array (N, 3, 64, 64), decoded once."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm.auto import tqdm

from helpers.celeba import Dataset, fingerprint
from helpers.config import IMAGE_SIZE
from helpers.decoding import VERSION, decode_part
from helpers.errors import StudyError
from helpers.workers import in_order, workers_for

PART = 128  # images a task: enough to hide the hand-over, and no more is lost when a build is killed
SHAPE = (3, IMAGE_SIZE, IMAGE_SIZE)
IMAGE_BYTES = 3 * IMAGE_SIZE * IMAGE_SIZE


def load_images(dataset: Dataset, progress: bool = True) -> np.ndarray:
    """Return all images of `dataset`, uint8 (N, 3, 64, 64) in the order of its annotations.

    The array is mapped from the cache file, which is built first where there is none; writing to it changes
    the copy in memory alone.
    """
    path = prepare(dataset, progress)
    return np.load(path, mmap_mode="c")  # "r" would do, but torch warns of arrays that cannot be written


def prepare(dataset: Dataset, progress: bool = True, workers: int = 0) -> Path:
    """Build the dataset's cache file unless it is there, and return its path.

    It grows under another name and is moved into place when whole. A build that was killed goes on where it
    stopped; a second process waits for the first. `workers` is 0 for as many as there are cores.
    """
    path = cache_path(dataset)
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _build(dataset, path, progress, workers or workers_for(len(dataset.annotations)))
    except OSError as error:
        raise StudyError(
            f"The image cache cannot be written to {path.parent} ({error.strerror or error}). "
            "Free some space, or set CELEBA_CACHE to a folder that can be written."
        ) from error
    return path


def cache_path(dataset: Dataset) -> Path:
    """Return where the cache is or will be; another source, or a changed one, has another."""
    return dataset.cache_folder / f"images{IMAGE_SIZE}-v{VERSION}-{dataset.fingerprint}.npy"


def _build(dataset: Dataset, path: Path, progress: bool, workers: int):
    names = list(dataset.annotations.index)
    partial = path.with_suffix(".partial")
    # Plain writes, not a memory map: a full disk is then an error and not a signal that kills the kernel.
    with open(partial, "ab") as file:
        done = _images_written(partial, len(names))
        file.truncate(0 if done == 0 else _length(done, len(names)))
        if done == 0:
            file.write(_header(len(names)))
        for images in _decode_all(dataset, names, done, progress, workers):
            file.write(images.tobytes())
            file.flush()  # what is written counts as done when this process is killed
        os.fsync(file.fileno())
    if fingerprint(dataset.images.part(names), dataset.annotations.index) != dataset.fingerprint:
        partial.unlink()
        raise StudyError(f"The images in {dataset.images.path} changed while they were read. Prepare them again.")
    os.replace(partial, path)


def _header(count: int) -> bytes:
    """Return the beginning of a .npy file (format 1.0) of `count` images."""
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *SHAPE)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _length(images: int, count: int) -> int:
    return len(_header(count)) + images * IMAGE_BYTES


def _images_written(partial: Path, count: int) -> int:
    """Return how many whole parts a build that was stopped has written, in images.

    The last of them is decoded again: nothing tells whether all of its bytes arrived.
    """
    images = (partial.stat().st_size - len(_header(count))) // IMAGE_BYTES
    return max(0, (images - 1) // PART * PART)


def _decode_all(dataset: Dataset, names: list[str], done: int, progress: bool, workers: int) -> Iterator[np.ndarray]:
    """Yield the images after the first `done` in parts, in order."""
    parts = [names[start : start + PART] for start in range(done, len(names), PART)]
    tasks = ((dataset.images.part(part), part) for part in parts)
    bar = tqdm(
        total=len(names), initial=done, desc="64x64 cache", unit="img", disable=not progress, mininterval=1, smoothing=0
    )
    with bar:
        for images in in_order(decode_part, tasks, workers):
            yield images
            bar.update(len(images))
