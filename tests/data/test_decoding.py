"""Image files of any kind -> 64x64 pixels, as the plain way makes them within a level."""

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers.config import ROOT
from helpers.data import decoding
from helpers.data.decoding import decode


def plain_way(data: bytes) -> np.ndarray:
    """Pillow's, from the whole image."""
    image = Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1).astype(int)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def differences(dataset, every: int = 1) -> np.ndarray:
    """Return the mean difference of each image to the plain way, in levels of 255."""
    files = [dataset.images.read(name) for name in dataset.annotations.index[::every]]
    return np.array([np.abs(decode(data, "test") - plain_way(data)).mean() for data in files])


def test_decoded_images_are_within_a_level_of_the_plain_way_on_average_and_two_at_worst(dataset):
    found = differences(dataset)
    assert 0 < found.mean() <= 1 and found.max() <= 2


def test_without_simplejpeg_the_same_pixels_come_from_pillow(dataset, monkeypatch):
    files = [dataset.images.read(name) for name in dataset.annotations.index[:40]]
    fast = [decode(data, "test") for data in files]
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert all((decode(data, "test") == image).all() for data, image in zip(files, fast, strict=True))


def test_the_pixels_of_an_ordinary_jpeg_never_change():
    """The caches that people have, and the published networks, were made with these pixels."""
    row, column = np.mgrid[:218, :178]
    pixels = np.stack([row, column, row * column // 50 + (row // 9 + column // 7) % 2 * 60], 2) % 256
    decoded = decode(encoded(Image.fromarray(pixels.astype(np.uint8)), "JPEG", quality=90), "test")
    assert hashlib.sha256(decoded.tobytes()).hexdigest()[:16] == "dbf341a8f0934d54"


@pytest.mark.parametrize("size", [(129, 128), (256, 300), (511, 513), (64, 1000), (1999, 1333)])
def test_the_scales_of_simplejpeg_and_pillow_are_the_same_at_any_size(size, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), np.uint8)
    data = encoded(Image.fromarray(pixels).resize(size), "JPEG")
    fast = decode(data, "test")
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert (decode(data, "test") == fast).all()


def test_the_usual_jpeg_is_decoded_by_simplejpeg(dataset, monkeypatch):
    monkeypatch.setattr(decoding, "read_rgb", lambda *_: pytest.fail("decoded by Pillow"))
    decode(dataset.images.read(dataset.annotations.index[0]), "test")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("1", "PNG"),
     ("I;16", "PNG"), ("RGB", "BMP"), ("RGB", "WEBP"), ("P", "GIF")],
)  # fmt: skip
@pytest.mark.parametrize("size", [(1, 1), (37, 90), (64, 64), (500, 300)])
def test_images_of_any_size_and_mode_are_decoded(mode, kind, size):
    image = Image.new("RGB", size, (204, 204, 204))
    image = Image.fromarray(np.full(size[::-1], 204 << 8, np.uint16)) if mode == "I;16" else image.convert(mode)
    decoded = decode(encoded(image, kind), "test")
    assert decoded.shape == (3, 64, 64) and decoded.dtype == np.uint8
    if mode != "1":  # one bit is dithered
        assert np.abs(decoded.astype(int) - 204).max() <= 3


def test_the_workers_that_decode_load_neither_pandas_nor_torch():
    code = "import sys, helpers.data.decoding; sys.exit(bool({'pandas', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
