"""The 64x64 cache: whole or absent, continued where it was stopped, and honest about broken files."""

import dataclasses
import os
import signal
import stat
import subprocess
import sys
import tempfile

import copies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from helpers import cache, decoding
from helpers.celeba import open_dataset
from helpers.config import ROOT
from helpers.decoding import decode
from helpers.errors import StudyError


def test_the_cache_holds_every_image_decoded_in_the_annotations_order(dataset):
    images = cache.load_images(dataset, progress=False)
    assert images.shape == (len(dataset.annotations), 3, 64, 64) and images.dtype == np.uint8
    for row, name in enumerate(dataset.annotations.index):
        assert (images[row] == decode(dataset.images.read(name), name)).all()


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
    Image.new("RGB", (178, 218), "red").save(image)
    assert cache.cache_path(open_dataset(str(copy))) != first


def stop_after(parts, monkeypatch):
    """Make a build stop once it has decoded so many parts."""
    calls = iter(range(10**6))

    def decode_part(part):
        if next(calls) == parts:
            raise KeyboardInterrupt
        return decoding.decode_part(part)

    monkeypatch.setattr(cache, "decode_part", decode_part)


def test_a_build_that_is_stopped_leaves_no_cache(copy, monkeypatch):
    stop_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list((copy / "cache").glob("**/*.npy"))


@given(cut=st.integers(0, 300 * cache.IMAGE_BYTES + 128))
@settings(max_examples=15, deadline=None)
def test_a_build_goes_on_from_any_byte_where_it_was_stopped(cut, dataset):
    whole = cache.prepare(dataset, progress=False).read_bytes()
    decoded = []
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("CELEBA_CACHE", folder)
        patch.setattr(cache, "PART", 32)
        patch.setattr(cache, "decode_part", lambda part: decoded.extend(part[1]) or decoding.decode_part(part))
        again = dataclasses.replace(dataset)  # without the folder it remembers
        cache.cache_path(again).with_suffix(".partial").write_bytes(whole[:cut])
        assert cache.prepare(again, progress=False).read_bytes() == whole
    assert len(decoded) <= 300 - cut // cache.IMAGE_BYTES + 1 + 2 * 32  # no more than what was missing and two parts


def test_a_build_that_is_killed_goes_on_and_ends_as_one_that_was_not(copy, dataset, monkeypatch):
    """A real process, killed by a signal that it cannot catch, with its workers."""
    code = (
        "import os, signal\n"
        "from helpers import cache, celeba\n"
        "def kill(dataset, names, done, *_, rest=cache._decode_all):\n"
        "    for number, part in enumerate(rest(dataset, names, done, *_)):\n"
        "        yield part\n"
        "        if number == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        "    cache.PART, cache._decode_all = 20, kill\n"
        f"    cache.prepare(celeba.open_dataset({str(copy)!r}), False, workers=2)\n"
    )
    script = copy.parent / "build.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not list((copy / "cache").glob("*.npy"))
    (partial,) = (copy / "cache").glob("*.partial")
    assert 60 <= partial.stat().st_size // cache.IMAGE_BYTES <= 100
    stop_at_nothing = []
    monkeypatch.setattr(cache, "PART", 20)
    monkeypatch.setattr(cache, "decode_part", lambda part: stop_at_nothing.append(part) or decoding.decode_part(part))
    images = cache.load_images(open_dataset(str(copy)), progress=False)
    assert (images == cache.load_images(dataset, progress=False)).all()
    assert len(stop_at_nothing) <= 15 - 3  # of the fifteen parts, those that were there are not decoded again
    assert not list((copy / "cache").glob("*.partial"))


def test_workers_build_the_same_bytes_as_one_process(copy, dataset, monkeypatch):
    monkeypatch.setattr(cache, "PART", 30)
    path = cache.prepare(open_dataset(str(copy)), progress=False, workers=2)
    assert path.read_bytes() == cache.prepare(dataset, progress=False).read_bytes()


def test_images_that_change_while_they_are_read_are_noticed(copy, monkeypatch):
    dataset = open_dataset(str(copy))
    first = sorted((copy / "img_align_celeba").iterdir())[0]

    def decode_part(part):
        os.utime(first, (1, 1))
        return decoding.decode_part(part)

    assert dataset.fingerprint
    monkeypatch.setattr(cache, "decode_part", decode_part)
    with pytest.raises(StudyError, match="changed while they were read"):
        cache.prepare(dataset, progress=False)
    assert not list((copy / "cache").glob("*.npy")) + list((copy / "cache").glob("*.partial"))


def test_a_zip_whose_image_was_damaged_is_told(copy):
    copies.zip_images(copy / copies.IMAGES, copy / "img_align_celeba.zip")
    dataset = open_dataset(str(copy))
    data = bytearray((copy / "img_align_celeba.zip").read_bytes())
    at = data.index(dataset.images.read("000100.jpg"))
    data[at + 500] ^= 0xFF
    (copy / "img_align_celeba.zip").write_bytes(data)
    with pytest.raises(StudyError, match=r"000100.jpg cannot be read \(wrong checksum\)"):
        cache.prepare(dataset, progress=False)


@pytest.mark.parametrize(
    "spoil", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"<html>" + data]
)
@pytest.mark.parametrize("lenient", [False, True])
def test_a_broken_image_is_named_also_where_pillow_was_told_to_accept_it(copy, spoil, lenient, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    path = sorted((copy / "img_align_celeba").iterdir())[17]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StudyError, match=path.name):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list((copy / "cache").glob("**/*.npy")) and lenient == ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_cache_folder_that_cannot_be_written_is_told(copy, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CELEBA_CACHE", str(tmp_path / "file"))
    with pytest.raises(StudyError, match="CELEBA_CACHE"):
        cache.prepare(open_dataset(str(copy)), progress=False)


def test_a_full_disk_is_told_and_leaves_no_cache(copy, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(StudyError, match="No space left"):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list((copy / "cache").glob("**/*.npy"))
