"""Decoding of an image file to uint8 (3, 64, 64), and facts about it: digest, size, mode and problem."""

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.config import IMAGE_SIZE
from helpers.data.images import Images
from helpers.data.rgb import MOST_PIXELS, Unreadable, read_rgb
from helpers.errors import StudyError
from helpers.system.progress import bar
from helpers.system.workers import in_order, workers_for

VERSION = 3  # to be increased when the same file gives other pixels
FACTS = np.dtype([("digest", "S32"), ("width", "i4"), ("height", "i4"), ("mode", "U8"), ("problem", "U200")])
PART = 128  # images per task
SIDES = IMAGE_SIZE, IMAGE_SIZE
TURNED = b"Exif\0\0", b"ns.adobe.com/xap/"  # metadata that may say that a photo has to be turned

# Workers import this module, so it must not import torch or pandas: they cost seconds and hundreds of megabytes.


def decode_into(task: tuple[Path, int, Images, list[str]]) -> tuple[int, int]:
    """Decode images, write them one after the other to a file from an offset on; return their number and their CRC-32.

    The workers write the file themselves, since sending gigabytes to one writing process would make all of them wait.
    """
    file, offset, images, names = task
    pixels = np.stack([decode(images.read(name), images.where(name)) for name in names]).tobytes()
    with open(file, "r+b") as opened:
        opened.seek(offset)
        opened.write(pixels)
    return len(names), zlib.crc32(pixels)


def decode(data: bytes, where: str) -> np.ndarray:
    """Decode an image file of any size and mode, and resize it to uint8 (3, 64, 64).

    The resizing is Pillow's anti-aliased bilinear filter. A JPEG is decoded at the smallest of its own scales (1/2,
    1/4, 1/8, computed in its cosine transform) that is no smaller than 64 x 64. For CelebA's images, that is 1/2, and
    the result is within 1/255 of the full decoding on average. Raises StudyError naming `where` if the bytes are not a
    complete image.
    """
    try:
        image = _decode_jpeg(data) or read_rgb(data, SIDES).image
    except Unreadable as error:
        raise StudyError(f"{where} is {error.what}. {error.do}") from error
    return np.asarray(image.resize(SIDES, Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def _decode_jpeg(data: bytes) -> Image.Image | None:
    """Decode an ordinary JPEG with simplejpeg, which is faster than Pillow; return None for anything else."""
    if not data.startswith(b"\xff\xd8") or any(mark in data for mark in TURNED):
        return None
    try:
        import simplejpeg  # may be missing on a bare GPU node
    except ImportError:
        return None
    try:
        height, width = map(int, simplejpeg.decode_jpeg_header(data)[:2])
        if height * width > MOST_PIXELS:
            return None
        scale = max([s for s in (2, 4, 8) if min(height, width) >= s * IMAGE_SIZE], default=1)
        wanted = -(-height // scale), -(-width // scale)  # the exact size, since simplejpeg also knows the scale 3/8
        return Image.fromarray(simplejpeg.decode_jpeg(data, "RGB", False, False, *wanted, 1))
    except ValueError:
        return None  # broken, or of a kind that only Pillow reads


# Facts about each file


def inspect(images: Images, names: list[str]) -> np.ndarray:
    """Read and decode every image; return a structured array of `FACTS`, one row per name.

    `digest` is the BLAKE2b hash of the file (equal for byte-identical files); `problem` is empty for a complete image.
    """
    parts = ((images.part(names[i : i + PART]), names[i : i + PART]) for i in range(0, len(names), PART))
    found = in_order(look_at_part, parts, workers_for(len(names)))
    return np.concatenate([np.empty(0, FACTS), *_counted(found, len(names))])


def _counted(parts: Iterator[np.ndarray], total: int) -> Iterator[np.ndarray]:
    with bar(None, total=total, desc="checking the images", unit="images") as shown:
        for part in parts:
            shown.update(len(part))
            yield part


def look_at_part(part: tuple[Images, list[str]]) -> np.ndarray:
    """Return the facts of some images."""
    images, names = part
    return np.array([_look_at(images, name) for name in names], FACTS)


def _look_at(images: Images, name: str) -> tuple:
    try:
        data = images.read(name)
    except StudyError as error:
        return b"", 0, 0, "", str(error)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest().encode()
    try:
        picture = read_rgb(data, (1, 1))  # decodes a JPEG at an eighth of its size, but reads all of its bytes
    except Unreadable as error:
        return digest, 0, 0, "", error.what
    return digest, *picture.size, picture.mode, ""


def load_facts(path: Path, count: int) -> np.ndarray | None:
    """Return the facts saved in `path`, or None if there are none for `count` images."""
    try:
        facts = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return facts if facts.dtype == FACTS and len(facts) == count else None


def save_facts(path: Path, facts: np.ndarray):
    """Save the facts if possible; otherwise they are computed again next time."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(fresh, "wb") as file:
            np.save(file, facts)
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)
