"""Image files of any kind -> 64x64 pixels, as the plain way makes them within a level."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

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


@pytest.mark.parametrize("size", [(129, 128), (256, 300), (511, 513), (64, 1000), (1999, 1333)])
def test_the_scales_of_simplejpeg_and_pillow_are_the_same_at_any_size(size, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), np.uint8)
    data = encoded(Image.fromarray(pixels).resize(size), "JPEG")
    fast = decode(data, "test")
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert (decode(data, "test") == fast).all()


def test_the_usual_jpeg_is_decoded_by_simplejpeg(dataset, monkeypatch):
    monkeypatch.setattr(decoding, "_decode_with_pillow", lambda *_: pytest.fail("decoded by Pillow"))
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


def test_transparent_pixels_are_seen_on_white():
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (decode(encoded(image, "PNG"), "test") == 255).all()


def test_a_photo_held_sideways_is_turned_upright():
    image = Image.new("RGB", (80, 40), "black")
    image.paste("white", (0, 0, 40, 40))  # white on the left
    turned = Image.Exif()
    turned[0x0112] = 6  # shown rotated by 90 degrees clockwise: the left becomes the top
    for kind in ("JPEG", "PNG"):
        decoded = decode(encoded(image, kind, exif=turned), "test")
        assert decoded[:, :20].mean() > 230 and decoded[:, -20:].mean() < 25
