"""The dataset's images as one uint8 array (N, 3, 64, 64), decoded once."""

import io
import multiprocessing
import os
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm.auto import tqdm

from helpers.config import IMAGE_SIZE
from helpers.data.celeba import Dataset, fingerprint
from helpers.data.decoding import VERSION, decode_into
from helpers.errors import StudyError
from helpers.system.workers import in_order, workers_for

PART = 128  # images a task: enough to hide the hand-over
CHUNK = 32 * PART  # images that are saved together; no more are lost when a build is killed
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
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker is running its parent's script again: it would wait for the parent, which waits for it.
        raise StudyError("Prepare the cache under `if __name__ == '__main__':`; it starts processes.")
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
    names, header = list(dataset.annotations.index), _header(len(dataset.annotations))
    partial, journal = path.with_suffix(".partial"), path.with_suffix(".done")
    done = _images_done(journal)
    if not done or not partial.exists() or partial.stat().st_size < len(header) + done * IMAGE_BYTES:
        done = 0
        partial.write_bytes(header)
        journal.write_text("")
    parts = [(start, names[start : start + PART]) for start in range(done, len(names), PART)]
    tasks = ((partial, len(header) + start * IMAGE_BYTES, dataset.images.part(part), part) for start, part in parts)
    # Plain writes, not a memory map: a full disk is then an error and not a signal that kills the kernel.
    with open(partial, "r+b") as data, open(journal, "a") as log, _bar(len(names), done, progress) as bar:
        for count in in_order(decode_into, tasks, workers):
            bar.update(count)
            done += count
            if done == len(names) or done % CHUNK == 0:
                os.fsync(data.fileno())  # first the images, then that they are there: this holds in a power cut, too
                log.write(f"{done}\n")
                log.flush()
    if fingerprint(dataset.images.part(names), dataset.annotations.index) != dataset.fingerprint:
        partial.unlink()
        raise StudyError(f"The images in {dataset.images.path} changed while they were read. Prepare them again.")
    os.replace(partial, path)
    journal.unlink()


def _bar(total: int, done: int, progress: bool) -> tqdm:
    """Return a bar that shows images/s and the time left, counted from what was done before."""
    return tqdm(total=total, initial=done, desc="64x64 cache", unit="img", disable=not progress, mininterval=1)


def _images_done(journal: Path) -> int:
    """Return how many images a build that was stopped has saved: the last whole line of its journal."""
    lines = journal.read_text().split("\n")[:-1] if journal.exists() else []
    return int(lines[-1]) if lines else 0


def _header(count: int) -> bytes:
    """Return the beginning of a .npy file (format 1.0) of `count` images."""
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *SHAPE)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()
