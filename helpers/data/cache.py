"""The images of a dataset as one uint8 array (N, 3, 64, 64), decoded once and kept in a file with checksums.

The checksums are those of the pixels as they were decoded, one per PART images. They are compared once per process,
before the file is used; a file that differs is built again from the images.
"""

import errno
import io
import json
import math
import multiprocessing
import os
import re
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from filelock import FileLock

from helpers.config import IMAGE_SIZE
from helpers.data.celeba import Dataset, fingerprint
from helpers.data.decoding import VERSION, decode_into
from helpers.errors import StudyError
from helpers.system.files import beginning, write_text
from helpers.system.progress import bar
from helpers.system.workers import cores, in_order, workers_for

PART = 128  # images per task: enough to hide the cost of passing a task to a worker
CHUNK = 32 * PART  # images saved together; a killed build loses no more than these
SUMS = ".sums.json"  # the suffix of the checksums' file, beside the cache
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
    and a second process waits for the first. A file that is damaged is built again. `workers=0` means one per core, or
    only one for few images. Raises StudyError if an image or the cache cannot be used.
    """
    path = cache_path(dataset)
    if path.exists() and not find_damage(path, len(dataset.annotations)):
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
            _remove_if_damaged(path, len(dataset.annotations))
            if not path.exists():
                _build(dataset, path, progress, workers or workers_for(len(dataset.annotations)))
    except OSError as error:
        raise StudyError(
            f"The image cache cannot be written to {path.parent} ({error.strerror or error}). "
            "Free some space, or set CELEBA_CACHE to a writable folder."
        ) from error
    return path


def _remove_if_damaged(path: Path, count: int):
    if path.exists() and (damage := find_damage(path, count)):
        print(f"The image cache {path} cannot be used: {damage}. It is built again from the images.", flush=True)
        path.unlink()


def cache_path(dataset: Dataset) -> Path:
    """Return the path of the cache file; it differs for another dataset and for a changed one."""
    return dataset.cache_folder / f"images{IMAGE_SIZE}-v{VERSION}-{dataset.fingerprint}.npy"


def _build(dataset: Dataset, path: Path, progress: bool, workers: int):
    names, header = list(dataset.annotations.index), _header(len(dataset.annotations))
    partial, journal = path.with_suffix(".partial"), path.with_suffix(".done")
    done, sums = _images_done(journal)
    if not done or not partial.exists() or partial.stat().st_size < len(header) + done * IMAGE_BYTES:
        done, sums = 0, []
        partial.write_bytes(header)
        journal.write_text("")
    _refuse_small_disk(partial, len(header) + len(names) * IMAGE_BYTES)
    parts = [(start, names[start : start + PART]) for start in range(done, len(names), PART)]
    tasks = ((partial, len(header) + start * IMAGE_BYTES, dataset.images.part(part), part) for start, part in parts)
    shown = bar(None, disable=not progress, total=len(names), initial=done, desc="decoding the images", unit="images")
    # With plain writes instead of a memory map, a full disk is an error and not a signal that kills the kernel.
    with open(partial, "r+b") as data, open(journal, "a") as log, shown:
        for count, checksum in in_order(decode_into, tasks, workers):
            shown.update(count)
            done += count
            sums.append(checksum)
            if done == len(names) or done % CHUNK == 0:
                os.fsync(data.fileno())  # before the journal, which is then right even after a power cut
                log.write(" ".join(map(str, [done, *sums])) + "\n")
                log.flush()
    if fingerprint(dataset.images.part(names), dataset.annotations.index) != dataset.fingerprint:
        partial.unlink()
        raise StudyError(f"The images in {dataset.images.path} changed while they were read. Build the cache again.")
    write_text(path.with_suffix(SUMS), json.dumps({"images_per_checksum": PART, "crc32": sums}))
    os.replace(partial, path)
    journal.unlink()


def _refuse_small_disk(partial: Path, size: int):
    """Raise OSError if a file cannot reach `size` bytes because its disk is too small; filling the disk takes long."""
    if size - partial.stat().st_size > shutil.disk_usage(partial.parent).free:
        raise OSError(errno.ENOSPC, f"it needs {size:,} bytes, more than are free")


def _images_done(journal: Path) -> tuple[int, list[int]]:
    """Return how many images an interrupted build has saved, and their checksums: the last whole line of its journal.

    A journal with other parts than today's, or none, counts for nothing.
    """
    lines = journal.read_text().split("\n")[:-1] if journal.exists() else []
    done, *sums = map(int, lines[-1].split()) if lines and re.fullmatch(r"[\d ]+", lines[-1]) else [0]
    return (done, sums) if len(sums) == math.ceil(done / PART) else (0, [])


def _header(count: int) -> bytes:
    """Return the header of a .npy file (format 1.0) with `count` images."""
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *SHAPE)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


# Checksums

_whole: set[tuple] = set()  # the cache files that this process has compared, by name, size, time and number


def find_damage(path: Path, count: int) -> str:
    """Return what is wrong with a cache file of `count` images, or "" if it is as it was built.

    The first call in a process reads the whole file, 0.4 GB/s and more; later ones compare its size and time.
    """
    try:
        found = path.stat()
        state = str(path), found.st_size, found.st_mtime_ns, found.st_ino
        if state in _whole:
            return ""
        record = json.loads(path.with_suffix(SUMS).read_text(encoding="utf-8"))
        per_sum, sums = int(record["images_per_checksum"]), [int(value) for value in record["crc32"]]
    except (OSError, ValueError, KeyError, TypeError):
        return "its checksums are missing or unreadable"
    header = _header(count)
    if found.st_size != len(header) + count * IMAGE_BYTES or per_sum < 1 or len(sums) != math.ceil(count / per_sum):
        return "it has another size than it was built with"
    damaged = _differing(path, len(header), per_sum * IMAGE_BYTES, sums)
    if damaged:
        first, last = damaged[0] * per_sum, min((damaged[0] + 1) * per_sum, count) - 1
        return f"{len(damaged)} of its {len(sums)} parts are damaged, first the images in rows {first:,} to {last:,}"
    if beginning(path)[: len(header)] != header:
        return "its header is damaged"
    _whole.add(state)
    return ""


def _differing(path: Path, offset: int, size: int, sums: list[int]) -> list[int]:
    """Return the numbers of the parts, `size` bytes each from `offset` on, that differ from their CRC-32."""

    def differs(number: int) -> bool:
        with open(path, "rb") as file:
            file.seek(offset + number * size)
            return zlib.crc32(file.read(size)) != sums[number]

    with ThreadPoolExecutor(min(cores(), 8)) as threads:  # reading and the CRC release Python's lock
        return [number for number, other in enumerate(threads.map(differs, range(len(sums)))) if other]
