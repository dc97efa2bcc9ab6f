"""Any image file that Pillow reads -> an upright RGB image of 8 bits per channel, or the reason why there is none."""

import contextlib
import functools
import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps

from helpers.system.files import is_lfs_pointer

MOST_PIXELS = 2**28  # 268 megapixels; more than any camera has, and 1 GB of memory once decoded
MOST_SIDE = 2**16 - 1  # that of a JPEG; an image of a million rows would take a minute to resize
GREY = 128  # what transparent pixels are shown on: the middle of the range, zero for the network
# What numbers wider than 8 bits may mean by white: fractions, then 8, 12, 16, 31 and 32 bits
WHITES = (1, 2**8 - 1, 2**12 - 1, 2**16 - 1, 2**31 - 1, 2**32 - 1)
# PostScript is a program, and Pillow has it run; WMF needs Windows; the others are known to Pillow by name only
UNREAD = {"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"}
HEIC = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypheim", b"ftypheis", b"ftypmif1", b"ftypmsf1")

# The workers that decode import this module, so it must not import torch or pandas.


class Unreadable(Exception):
    """An image that cannot be used: `what` it is ("a corrupt image"), and what to `do` about it."""

    def __init__(self, what: str, do: str = "Replace or delete it."):
        super().__init__(what)
        self.what, self.do = what, do


class Picture(NamedTuple):
    """An upright RGB image, with the size (width, height) and the mode that the file states."""

    image: Image.Image
    size: tuple[int, int]
    mode: str


def read_rgb(data: bytes, smallest: tuple[int, int]) -> Picture:
    """Decode an image file with Pillow; raise Unreadable, whatever its decoder raises.

    A JPEG is decoded at the smallest of its own scales (1, 1/2, 1/4, 1/8) that is no smaller than `smallest`. An image
    is turned as its EXIF or XMP metadata say; metadata that cannot be read turn nothing. Transparent pixels are shown
    on grey. Numbers wider than 8 bits are scaled by the range that they need (see `_eight_bits`).
    """
    try:
        with _strict_pillow():
            opened = Image.open(io.BytesIO(data), formats=_formats())
            size, mode = opened.size, opened.mode
            if max(size) > MOST_SIDE:
                raise Unreadable(f"an image that claims a side of more than {MOST_SIDE:,} pixels")
            opened.draft("RGB", smallest)  # no effect unless it is a JPEG
            opened.load()  # PNG may have its metadata after the pixels
            with contextlib.suppress(Exception):  # the pixels are turned before the metadata are written back
                ImageOps.exif_transpose(opened, in_place=True)
            return Picture(_as_rgb(opened), size, mode)
    except Unreadable:
        raise
    except Image.UnidentifiedImageError as error:
        raise _no_image(data) from error
    except Image.DecompressionBombError as error:
        most = f"{MOST_PIXELS / 1e6:.0f} megapixels"
        raise Unreadable(f"an image that claims more than {most}", "Reduce its size, or delete it.") from error
    except MemoryError as error:
        raise Unreadable("an image too large for this computer's memory", "Reduce its size, or delete it.") from error
    except Exception as error:  # decoders raise whatever comes over them: struct.error, IndexError, KeyError, …
        reason = str(error).split("\n")[0][:120] or type(error).__name__
        raise Unreadable(f"a corrupt or truncated image ({reason})") from error


@contextlib.contextmanager
def _strict_pillow():
    """Make Pillow refuse truncated and too large files, whatever other libraries have set, and warn of nothing.

    WeasyPrint makes Pillow accept truncated files. Above MAX_IMAGE_PIXELS, Pillow warns; above the double, it refuses.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, MOST_PIXELS // 2
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


@functools.cache
def _formats() -> list[str]:
    """Return the formats that are read, the usual ones first."""
    Image.preinit()
    Image.init()
    return [name for name in Image.ID if name not in UNREAD]


@functools.cache
def suffixes() -> frozenset[str]:
    """Return the endings of names of images that are read, in lower case: {".jpg", ".png", …}."""
    formats = {*_formats(), "MPO"}  # several JPEGs in a file, of which the first is read
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def _no_image(data: bytes) -> Unreadable:
    """Return what a file is in which Pillow recognises no image."""
    if not data:
        return Unreadable("an empty file", "Copy it again, or delete it.")
    if is_lfs_pointer(data):
        return Unreadable("a Git LFS pointer and not the image itself", "Fetch the image with `git lfs pull`.")
    if data[4:12] in HEIC:
        return Unreadable("a HEIC photo, which Pillow does not read", "Convert it to JPEG.")
    if _begins_as_an_image(data[:16]):
        return Unreadable("a corrupt image, or of a kind that Pillow does not read", "Convert it to JPEG or PNG.")
    return Unreadable("not an image")


def _begins_as_an_image(data: bytes) -> bool:
    for _, accept in (Image.OPEN[name] for name in _formats()):
        with contextlib.suppress(Exception):  # of data shorter than what is expected
            if accept and accept(data) is True:
                return True
    return False


# Modes


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image).convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        key = image.info.get("transparency")
        if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:  # of 16 bits, of which Pillow keeps 8
            image.info["transparency"] = tuple(value >> 8 for value in key)
        ground, image = Image.new("RGB", image.size, (GREY, GREY, GREY)), image.convert("RGBA")
        ground.paste(image, mask=image)
        return ground
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # in some builds of Pillow it is missing

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    profiles = ImageCms.ImageCmsProfile(lab), ImageCms.ImageCmsProfile(srgb)
    return ImageCms.ImageCmsTransform(*profiles, "LAB", "RGB").apply(image)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey values wider than 8 bits to 0 to 255.

    White is the smallest of WHITES that is no smaller than the brightest value, since files do not say which range
    they use: 16-bit files with 8-bit values are common. 1 is for floats alone; floats are judged by their 99th
    percentile, since sharpening and resizing leave a few values outside of the range. Raises Unreadable for values
    that are not finite, or negative beyond that.
    """
    values, real = np.asarray(image), image.mode == "F"
    if image.mode == "I" and values.min() < 0 and _is_unsigned(image):
        values = values.view(np.uint32)  # Pillow has no mode for it
    if not np.isfinite(values).all():
        raise Unreadable("an image with values that are not finite numbers")
    low, high = np.percentile(values, [1, 99]) if real else (values.min(), values.max())
    white = next((white for white in WHITES[0 if real else 1 :] if high <= white), None)
    if white is None or low < -0.05 * white:
        span = f"{values.min():g} to {values.max():g}"
        raise Unreadable(f"an image of unknown range (its values are {span})", "Save it with 8 bits per channel.")
    grey = (values.astype(np.float32) * np.float32(255 / white)).round().clip(0, 255).astype(np.uint8)
    key = image.info.get("transparency")
    if isinstance(key, int | float):
        grey[values == key] = GREY
    return Image.fromarray(grey)


def _is_unsigned(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    return tags.get(339) == (1,)  # TIFF's SampleFormat: 1 unsigned, 2 signed, 3 float
