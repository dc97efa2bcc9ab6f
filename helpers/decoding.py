"""The bytes of an image file -> uint8 (3, 64, 64)."""

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from helpers.config import IMAGE_SIZE
from helpers.errors import StudyError
from helpers.images import Images

VERSION = 2  # raised whenever the same file gives other pixels

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
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
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
