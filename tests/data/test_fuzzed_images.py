"""Damaged images of every format: pixels or one message, never another exception, and the check of the data agrees.

FUZZ_INPUTS sets the number of inputs, for a long run by hand (with pytest -s, their outcomes are printed).
"""

import io
import os
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from data.test_rgb import exif_segment, half_transparent, jpeg, tiff, xmp_segment
from helpers.data.decoding import decode, look_at_part
from helpers.errors import StudyError

INPUTS = int(os.environ.get("FUZZ_INPUTS", 0))
HANG = 60_000  # milliseconds, on a busy machine; an image that claims 200 megapixels takes seconds
MODES = ("RGB", "RGBA", "L", "P", "1", "I;16", "CMYK", "F")
OPTIONS = {"TIFF": ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4"], "BLP": ["BLP1", "BLP2"]}


def fuzzed(inputs: int):
    """Return the settings for so many inputs, the same ones at each run unless FUZZ_INPUTS is set."""
    suppressed = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.large_base_example]
    repeated = {"max_examples": INPUTS or inputs, "derandomize": not INPUTS}
    return settings(deadline=HANG, database=None, suppress_health_check=suppressed, **repeated)


def small_images() -> list[bytes]:
    """Return one small image of each format, mode and compression that Pillow writes."""
    Image.init()
    row, column = np.mgrid[:24, :20]
    picture = Image.fromarray(np.stack([row * 10, column * 12, row * column % 255], 2).astype(np.uint8))
    made = [jpeg(picture, exif_segment(6)), jpeg(picture, xmp_segment(8)), tiff(np.eye(9, dtype="<f4"), 3)]
    made += [half_transparent(mode) for mode in ("RGBA", "PA", "16", "RGB 16", "P key")]
    made += [saved(picture, "JPEG", progressive=True), saved(picture, "PNG", exif=b"Exif\0\0MM\0*")]
    for kind in sorted(set(Image.SAVE) - {"PDF", "EPS", "WMF", "PALM", "IM"}):
        for mode in MODES:
            for compression in OPTIONS.get(kind, [None]):
                option = {"blp_version" if kind == "BLP" else "compression": compression} if compression else {}
                converted = picture.convert("L").convert(mode) if mode == "I;16" else picture.convert(mode)
                made.append(saved(converted, kind, **option))
    return sorted({data for data in made if data})


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """Return an image in a format, or nothing where the format lacks its mode."""
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings(action="ignore"):
            image.save(buffer, kind, **options)
    except Exception:
        return b""
    return buffer.getvalue()


SEEDS = small_images()
BYTES = st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))


@st.composite
def damaged(draw) -> bytes:
    """Draw an image with some bytes changed, a piece removed, repeated or taken from another one, or its end cut."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    near = draw(st.sampled_from([64, 256, len(data)]))  # most of what matters is at the beginning
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, min(near, len(data)) - 1))] = draw(BYTES)
    place, size = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
    match draw(st.sampled_from(["keep"] * 4 + ["cut", "remove", "repeat", "another"])):
        case "cut":
            del data[place:]
        case "remove":
            del data[place : place + size]
        case "repeat":
            data[place:place] = data[place : place + size] * draw(st.integers(1, 50))
        case "another":
            data[place:] = draw(st.sampled_from(SEEDS))[place:]
    return bytes(data)


class InMemory:
    """An image that is read from memory."""

    def __init__(self, data: bytes):
        self.data = data

    def read(self, name: str) -> bytes:
        return self.data


OUTCOMES = Counter()


@pytest.fixture(scope="module", autouse=True)
def told():
    """Tell what became of the inputs, to those who run pytest with -s."""
    yield
    print(OUTCOMES.total(), "inputs:", OUTCOMES.most_common())


def check_one(data: bytes):
    try:
        pixels = decode(data, "fuzzed")
        assert pixels.shape == (3, 64, 64) and pixels.dtype == np.uint8
        refused = ""
    except StudyError as error:
        refused = str(error)
        assert refused.startswith("fuzzed is ") and "\n" not in refused
    (facts,) = look_at_part((InMemory(data), ["fuzzed"]))
    OUTCOMES["read" if not refused else refused[:40]] += 1
    assert bool(facts["problem"]) == bool(refused), (facts, refused)


@fuzzed(300)
@given(data=damaged())
def test_some_damaged_images_give_pixels_or_one_message(data):
    check_one(data)


@pytest.mark.slow
@fuzzed(4000)
@given(data=damaged())
def test_many_damaged_images_give_pixels_or_one_message(data):
    check_one(data)


def test_the_images_that_are_damaged_are_of_every_format():
    kinds = Counter(Image.open(io.BytesIO(data)).format for data in SEEDS)
    assert {"JPEG", "PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "DDS", "BLP", "ICO", "JPEG2000", "PCX"} <= kinds.keys()
