"""What each image file is: its digest, size and mode, and whether it is whole."""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from helpers.decoding import whole_files_only
from helpers.errors import StudyError
from helpers.images import Images
from helpers.progress import bar
from helpers.workers import in_order, workers_for

FACTS = np.dtype([("digest", "S32"), ("width", "i4"), ("height", "i4"), ("mode", "U8"), ("problem", "U200")])
PART = 128  # images a task


def inspect(images: Images, names: list[str]) -> np.ndarray:
    """Read and decode every image; return a structured array of `FACTS`, one row a name.

    `digest` is of the file's bytes (equal for byte-identical files, BLAKE2b); `problem` is empty for a whole
    image.
    """
    parts = ((images.part(names[i : i + PART]), names[i : i + PART]) for i in range(0, len(names), PART))
    found = in_order(look_at_part, parts, workers_for(len(names)))
    return np.concatenate([np.empty(0, FACTS), *_counted(found, len(names))])


def _counted(parts: Iterator[np.ndarray], total: int) -> Iterator[np.ndarray]:
    with bar(None, total=total, desc="Looking at the images", unit="img") as shown:
        for part in parts:
            shown.update(len(part))
            yield part


def look_at_part(part: tuple[Images, list[str]]) -> np.ndarray:
    """Return the facts of some images."""
    images, names = part
    return np.array([_look_at(images, name) for name in names], FACTS)


@whole_files_only()
def _look_at(images: Images, name: str) -> tuple:
    try:
        data = images.read(name)
    except StudyError as error:
        return b"", 0, 0, "", str(error)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest().encode()
    try:
        image = Image.open(io.BytesIO(data))
        (width, height), mode = image.size, image.mode
        image.draft(mode, (1, 1))  # a JPEG is decoded at an eighth of its size, from all of its bytes
        image.load()
    except UnidentifiedImageError:
        return digest, 0, 0, "", "not an image"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return digest, 0, 0, "", f"corrupt or truncated ({error})"
    return digest, width, height, mode, ""


def load_facts(path: Path, count: int) -> np.ndarray | None:
    """Return the facts kept in `path`; None where there are none that fit `count` images."""
    try:
        facts = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return facts if facts.dtype == FACTS and len(facts) == count else None


def save_facts(path: Path, facts: np.ndarray):
    """Write the facts if that is possible; they can be found again."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(fresh, "wb") as file:
            np.save(file, facts)
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)
