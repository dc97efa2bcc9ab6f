"""The bytes of an image file -> uint8 (3, 64, 64), and its facts: digest, size, mode, and whether it is whole."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from helpers.config import IMAGE_SIZE
from helpers.data.images import Images
from helpers.errors import StudyError
from helpers.system.progress import bar
from helpers.system.workers import in_order, workers_for

VERSION = 2  # raised whenever the same file gives other pixels
FACTS = np.dtype([("digest", "S32"), ("width", "i4"), ("height", "i4"), ("mode", "U8"), ("problem", "U200")])
PART = 128  # images a task

# (A worker imports this module; torch and pandas would cost it seconds and hundreds of megabytes.)


def decode_into(task: tuple[Path, int, Images, list[str]]) -> int:
    """Decode some images and write them one after the other into a file from an offset on; return their number.

    The workers write themselves: passing gigabytes to one process that writes would keep it, and them, waiting.
    """
    file, offset, images, names = task
    pixels = np.stack([decode(images.read(name), images.where(name)) for name in names])
    with open(file, "r+b") as opened:
        opened.seek(offset)
        opened.write(pixels.tobytes())
    return len(names)


def decode(data: bytes, where: str) -> np.ndarray:
    """Decode an image file of any size and mode, and resize it to uint8 (3, 64, 64).

    Bilinear and anti-aliased as Pillow does it, from the smallest of the JPEG's own scales (1/2, 1/4, 1/8,
    computed with its cosine transform) that is no smaller than 64 x 64. For CelebA's images that is 1/2, and
    within 1/255 of the full decoding on average. Raises StudyError naming `where` when the bytes are not a
    whole image.
    """
    image = _decode_jpeg(data)
    if image is None:
        image = _decode_with_pillow(data, where)
    return np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def _decode_jpeg(data: bytes) -> Image.Image | None:
    """Decode the usual JPEG by simplejpeg, in half the time of Pillow; None for anything out of the ordinary."""
    if not data.startswith(b"\xff\xd8") or b"Exif\0\0" in data[:4096]:
        return None  # another format, or a photo that may have to be turned
    try:
        import simplejpeg  # not on a bare GPU node
    except ImportError:
        return None
    try:
        height, width = map(int, simplejpeg.decode_jpeg_header(data)[:2])
        scale = max([s for s in (2, 4, 8) if min(height, width) >= s * IMAGE_SIZE], default=1)
        wanted = -(-height // scale), -(-width // scale)  # exactly: simplejpeg would take 3/8 as well
        return Image.fromarray(simplejpeg.decode_jpeg(data, "RGB", False, False, *wanted, 1))
    except ValueError:
        return None  # broken, or of a kind for Pillow


@contextlib.contextmanager
def whole_files_only():
    """Have Pillow refuse truncated files, also where another library (WeasyPrint does) has told it not to."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


@whole_files_only()
def _decode_with_pillow(data: bytes, where: str) -> Image.Image:
    """Decode whatever Pillow can; transparent pixels are seen on white, photos turned upright."""
    try:
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", (IMAGE_SIZE, IMAGE_SIZE))  # the same scales; does nothing for what is no JPEG
        image = ImageOps.exif_transpose(image)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise StudyError(f"{where} is not an image.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise StudyError(f"{where} is a corrupt or truncated image ({error}); replace or delete it.") from error


# What each file is


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
