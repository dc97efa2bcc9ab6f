"""JPEG -> one uint8 array (N, 3, 64, 64), decoded once per dataset."""

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm.auto import tqdm

from helpers.celeba import Dataset
from helpers.config import IMAGE_SIZE
from helpers.errors import StudyError

CHUNK = 256  # images a task: enough to hide the hand-over, small enough to keep the bar moving


def load_images(dataset: Dataset, progress: bool = True) -> np.ndarray:
    """Return all images of `dataset`, uint8 (N, 3, 64, 64) in the order of its annotations.

    The array is mapped from the cache file, which is built first where there is none; writing to it changes
    the copy in memory alone.
    """
    path = prepare(dataset, progress)
    return np.load(path, mmap_mode="c")  # "r" would do, but torch warns of arrays that cannot be written


def prepare(dataset: Dataset, progress: bool = True) -> Path:
    """Build the dataset's cache file unless it is there, and return its path.

    Written under another name and moved into place when whole; a second process waits for the first.
    """
    path = cache_path(dataset)
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _build(dataset, path, progress)
    except OSError as error:
        raise StudyError(
            f"The image cache cannot be written to {path.parent} ({error.strerror or error}). "
            "Free some space, or set CELEBA_CACHE to a folder that can be written."
        ) from error
    return path


def cache_path(dataset: Dataset) -> Path:
    """Return where the cache is or will be: $CELEBA_CACHE, else beside the dataset, else the user's cache."""
    if os.environ.get("CELEBA_CACHE"):
        folder = Path(os.environ["CELEBA_CACHE"]).expanduser()
    elif _is_writable(dataset.root):
        folder = dataset.root / "cache"
    else:
        import platformdirs  # not on a bare GPU node, where the cache is brought along

        folder = platformdirs.user_cache_path("celeba-study", appauthor=False)
    return folder / f"images{IMAGE_SIZE}-{dataset.fingerprint}.npy"


def _is_writable(folder: Path) -> bool:
    """Say whether the folder may be written. Root may write anywhere, so the mode bits count as well."""
    anyone = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & anyone)


def _build(dataset: Dataset, path: Path, progress: bool):
    names = list(dataset.annotations.index)
    shape = (len(names), 3, IMAGE_SIZE, IMAGE_SIZE)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with tempfile.TemporaryDirectory(dir=path.parent, ignore_cleanup_errors=True) as folder:
        partial = Path(folder) / path.name
        # Plain writes, not a memory map: a full disk is then an error and not a signal that kills the kernel.
        with open(partial, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for images in _decode_all(dataset, names, progress):
                file.write(images.tobytes())
        os.replace(partial, path)


def _decode_all(dataset: Dataset, names: list[str], progress: bool) -> Iterator[np.ndarray]:
    """Yield chunks of decoded images, in order. Threads suffice: decoding and resizing release the GIL."""

    def decode_chunk(start: int) -> np.ndarray:
        chunk = names[start : start + CHUNK]
        return np.stack([decode(dataset.images.read(name), dataset.images.where(name)) for name in chunk])

    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,))
    bar = tqdm(total=len(names), desc="64x64 cache", unit="img", disable=not progress, mininterval=1)
    with bar:
        try:
            for images in pool.map(decode_chunk, range(0, len(names), CHUNK)):
                yield images
                bar.update(len(images))
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


def decode(data: bytes, where: str) -> np.ndarray:
    """Decode an image file of any size and mode, and resize it to uint8 (3, 64, 64).

    Bilinear and anti-aliased, as torchvision's Resize on a PIL image (within 1/255 on average).
    Raises StudyError naming `where` when the bytes are not a whole image.
    """
    from torchvision.io import ImageReadMode, decode_jpeg  # two seconds to import, and once cached not needed
    from torchvision.transforms.v2 import functional

    try:
        encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        image = decode_jpeg(encoded, mode=ImageReadMode.RGB, apply_exif_orientation=True)
    except (RuntimeError, ValueError):
        image = _decode_with_pillow(data, where)  # another format, a rare JPEG, or a broken one
    return functional.resize(image, [IMAGE_SIZE, IMAGE_SIZE], antialias=True).numpy()


def _decode_with_pillow(data: bytes, where: str) -> torch.Tensor:
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)
    except UnidentifiedImageError as error:
        raise StudyError(f"{where} is not an image.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise StudyError(f"{where} is a corrupt or truncated image ({error}); replace or delete it.") from error
