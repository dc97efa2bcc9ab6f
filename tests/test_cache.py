"""The 64x64 cache: true to the images, whole or absent, and honest about broken files."""

import io
import os
import stat

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import Resize

from helpers import cache
from helpers.celeba import open_dataset
from helpers.errors import StudyError


def plain_way(data: bytes) -> np.ndarray:
    """torchvision's Resize on a PIL image."""
    image = Resize((64, 64))(Image.open(io.BytesIO(data)).convert("RGB"))
    return np.asarray(image).transpose(2, 0, 1).astype(int)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_cached_images_equal_torchvisions_resize_within_one_level(dataset):
    images = cache.load_images(dataset, progress=False)
    assert images.shape == (len(dataset.annotations), 3, 64, 64) and images.dtype == np.uint8
    for row in range(0, len(images), 10):
        expected = plain_way(dataset.images.read(dataset.annotations.index[row]))
        assert np.abs(images[row] - expected).mean() <= 1


def test_the_cache_lies_beside_the_dataset_and_is_built_once(copy, monkeypatch):
    dataset = open_dataset(str(copy))
    path = cache.prepare(dataset, progress=False)
    assert path.parent == copy.resolve() / "cache"
    monkeypatch.setattr(cache, "_build", lambda *_: pytest.fail("built again"))
    assert cache.prepare(open_dataset(str(copy)), progress=False) == path


def test_a_read_only_dataset_is_cached_in_the_users_folder(copy, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    copy.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert not cache.cache_path(open_dataset(str(copy))).is_relative_to(copy)
    finally:
        copy.chmod(stat.S_IRWXU)


def test_celeba_cache_names_the_folder(copy, monkeypatch, tmp_path):
    monkeypatch.setenv("CELEBA_CACHE", str(tmp_path / "mine"))
    assert cache.prepare(open_dataset(str(copy)), progress=False).parent == tmp_path / "mine"


def test_a_changed_source_gets_a_cache_of_its_own(copy):
    first = cache.cache_path(open_dataset(str(copy)))
    image = sorted((copy / "img_align_celeba").iterdir())[0]
    image.write_bytes(encoded(Image.new("RGB", (178, 218), "red"), "JPEG"))
    assert cache.cache_path(open_dataset(str(copy))) != first


def test_a_build_that_is_stopped_leaves_no_cache(copy, monkeypatch):
    dataset = open_dataset(str(copy))
    calls = iter(range(10**6))

    def stop_at_fifty(data, where):
        if next(calls) == 50:
            raise KeyboardInterrupt
        return np.zeros((3, 64, 64), np.uint8)

    monkeypatch.setattr(cache, "decode", stop_at_fifty)
    with pytest.raises(KeyboardInterrupt):
        cache.prepare(dataset, progress=False)
    assert not list((copy / "cache").glob("**/*.npy"))


@pytest.mark.parametrize(
    "spoil", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"<html>" + data]
)
def test_a_broken_image_is_named(copy, spoil):
    path = sorted((copy / "img_align_celeba").iterdir())[17]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StudyError, match=path.name):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list((copy / "cache").glob("**/*.npy"))


def test_a_cache_folder_that_cannot_be_written_is_told(copy, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CELEBA_CACHE", str(tmp_path / "file"))
    with pytest.raises(StudyError, match="CELEBA_CACHE"):
        cache.prepare(open_dataset(str(copy)), progress=False)


def test_a_full_disk_is_told_and_leaves_no_cache(copy, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(StudyError, match="No space left"):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list((copy / "cache").glob("**/*.npy"))


def test_building_leaves_torchs_threads_as_they_were(copy):
    before = torch.get_num_threads()
    cache.prepare(open_dataset(str(copy)), progress=False)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("1", "PNG"),
     ("I;16", "PNG"), ("RGB", "BMP"), ("RGB", "WEBP"), ("P", "GIF")],
)  # fmt: skip
@pytest.mark.parametrize("size", [(1, 1), (37, 90), (64, 64), (500, 300)])
def test_images_of_any_size_and_mode_are_decoded(mode, kind, size):
    image = Image.new("RGB", size, (204, 204, 204))
    image = Image.fromarray(np.full(size[::-1], 204 << 8, np.uint16)) if mode == "I;16" else image.convert(mode)
    decoded = cache.decode(encoded(image, kind), "test")
    assert decoded.shape == (3, 64, 64) and decoded.dtype == np.uint8
    if mode != "1":  # one bit is dithered
        assert np.abs(decoded.astype(int) - 204).max() <= 3


def test_transparent_pixels_are_seen_on_white():
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (cache.decode(encoded(image, "PNG"), "test") == 255).all()


def test_a_photo_held_sideways_is_turned_upright():
    image = Image.new("RGB", (80, 40), "black")
    image.paste("white", (0, 0, 40, 40))  # white on the left
    turned = Image.Exif()
    turned[0x0112] = 6  # shown rotated by 90 degrees clockwise: the left becomes the top
    for kind in ("JPEG", "PNG"):
        decoded = cache.decode(encoded(image, kind, exif=turned), "test")
        assert decoded[:, :20].mean() > 230 and decoded[:, -20:].mean() < 25
