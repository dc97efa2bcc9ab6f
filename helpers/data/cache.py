"""The images of a dataset as one uint8 array (N, 3, 64, 64), decoded once and kept in a file."""

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

PART = 128  # images per task: enough to hide the cost of passing a task to a worker
CHUNK = 32 * PART  # images saved together; a killed build loses no more than these
SHAPE = (3, IMAGE_SIZE, IMAGE_SIZE)
IMAGE_BYTES = 3 * IMAGE_SIZE * IMAGE_SIZE


def load_images(dataset: Dataset, progress: bool = True) -> np.ndarray:
    """Return all images of `dataset`, uint8 (N, 3, 64, 64), in the order of its annotations.

    The array is memory-mapped from the cache file, which is built first if there is none. Writing to the array changes
    only the copy in memory.
    """
    path = prepare(dataset, progress)
    return np.load(path, mmap_mode="c")  # "r" would be enough, but torch warns about read-only arrays


def prepare(dataset: Dataset, progress: bool = True, workers: int = 0) -> Path:
    """Build the dataset's cache file if there is none, and return its path.

    The file is written under another name and renamed when it is complete. A killed build continues where it stopped,
    and a second process waits for the first. `workers=0` means one per core, or only one for few images. Raises
    StudyError if an image or the cache cannot be used.
    """
    path = cache_path(dataset)
    if path.exists():
        return path
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker runs its parent's script again: it would wait for the parent, which waits for the worker.
        raise StudyError(
            "Building the image cache starts processes, which run your script again. Put the call under "
            "`if __name__ == '__main__':`."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _build(dataset, path, progress, workers or workers_for(len(dataset.annotations)))
    except OSError as error:
        raise StudyError(
            f"The image cache cannot be written to {path.parent} ({error.strerror or error}). "
            "Free some space, or set CELEBA_CACHE to a writable folder."
        ) from error
    return path


def cache_path(dataset: Dataset) -> Path:
    """Return the path of the cache file; it differs for another dataset and for a changed one."""
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
    # With plain writes instead of a memory map, a full disk is an error and not a signal that kills the kernel.
    with open(partial, "r+b") as data, open(journal, "a") as log, _bar(len(names), done, progress) as bar:
        for count in in_order(decode_into, tasks, workers):
            bar.update(count)
            done += count
            if done == len(names) or done % CHUNK == 0:
                os.fsync(data.fileno())  # before the journal, which is then right even after a power cut
                log.write(f"{done}\n")
                log.flush()
    if fingerprint(dataset.images.part(names), dataset.annotations.index) != dataset.fingerprint:
        partial.unlink()
        raise StudyError(f"The images in {dataset.images.path} changed while they were read. Build the cache again.")
    os.replace(partial, path)
    journal.unlink()


def _bar(total: int, done: int, progress: bool) -> tqdm:
    """Return a progress bar with images/s and the time left, which starts at the images already done."""
    return tqdm(total=total, initial=done, desc="64x64 cache", unit="img", disable=not progress, mininterval=1)


def _images_done(journal: Path) -> int:
    """Return how many images an interrupted build has saved: the last complete line of its journal."""
    lines = journal.read_text().split("\n")[:-1] if journal.exists() else []
    return int(lines[-1]) if lines else 0


def _header(count: int) -> bytes:
    """Return the header of a .npy file (format 1.0) with `count` images."""
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *SHAPE)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()
