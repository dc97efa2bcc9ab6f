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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from helpers.config import ROOT
from helpers.data import cache, decoding
from helpers.data.celeba import open_dataset
from helpers.data.decoding import decode
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


@pytest.fixture
def small_chunks(dataset, monkeypatch):
    """Parts of 20 images, saved two at a time; returns the names that are decoded."""
    cache.prepare(dataset, progress=False)  # with which the tests compare, and which is not counted
    decoded = []
    monkeypatch.setattr(cache, "PART", 20)
    monkeypatch.setattr(cache, "CHUNK", 40)
    monkeypatch.setattr(cache, "decode_into", lambda task: decoded.extend(task[3]) or decoding.decode_into(task))
    return decoded


def stop_at(number, monkeypatch):
    """Make a build stop at its part with this number."""
    calls = iter(range(10**6))

    def decode_into(task):
        if next(calls) == number:
            raise KeyboardInterrupt
        return decoding.decode_into(task)

    monkeypatch.setattr(cache, "decode_into", decode_into)


def test_a_build_that_is_stopped_leaves_no_cache(copy, small_chunks, monkeypatch):
    stop_at(7, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list((copy / "cache").glob("**/images*.npy"))


def test_a_build_goes_on_where_it_was_stopped_and_no_more_than_a_chunk_is_lost(copy, dataset, small_chunks):
    with pytest.MonkeyPatch.context() as patch:
        stop_at(7, patch)
        with pytest.raises(KeyboardInterrupt):
            cache.prepare(open_dataset(str(copy)), progress=False)
    again = open_dataset(str(copy))
    assert (cache.load_images(again, progress=False) == cache.load_images(dataset, progress=False)).all()
    assert small_chunks == list(again.annotations.index[120:])  # 140 were decoded, 120 of them saved
    assert not list((copy / "cache").glob("*.partial")) + list((copy / "cache").glob("*.done"))


def parts_of(file: bytes, images: int) -> list[bytes]:
    """Return the pixels in a cache file of 300 images, a number of images at a time."""
    pixels, size = file[-300 * cache.IMAGE_BYTES :], images * cache.IMAGE_BYTES
    return [pixels[start : start + size] for start in range(0, len(pixels), size)]


@given(saved=st.integers(0, 7), cut=st.integers(0, 5), rubbish=st.binary(max_size=200))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
def test_only_what_the_journal_says_is_taken_for_done(saved, cut, rubbish, dataset, small_chunks):
    """Whatever the file holds behind the images that were saved, and wherever the journal was cut off."""
    whole = cache.prepare(dataset, progress=False).read_bytes()
    small_chunks.clear()
    sums = [cache.zlib.crc32(part) for part in parts_of(whole, 20)]
    journal = "".join(" ".join(map(str, [40 * (i + 1), *sums[: 2 * (i + 1)]])) + "\n" for i in range(saved))
    journal = journal[: len(journal) - cut] if cut else journal
    done = int(journal.split("\n")[-2].split()[0]) if "\n" in journal else 0
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELEBA_CACHE", folder)
        again = dataclasses.replace(dataset)  # without the folder it remembers
        path = cache.cache_path(again)
        kept = len(whole) - (300 - done) * cache.IMAGE_BYTES
        path.with_suffix(".partial").write_bytes(whole[:kept] + rubbish)
        path.with_suffix(".done").write_text(journal)
        assert cache.prepare(again, progress=False).read_bytes() == whole
        assert not cache.find_damage(path, 300)
    assert len(small_chunks) == 300 - done


@pytest.mark.parametrize("length", [None, 0, 1000])
def test_a_journal_without_its_images_is_not_believed(copy, dataset, small_chunks, length):
    again = open_dataset(str(copy))
    path = cache.cache_path(again)
    path.parent.mkdir()
    path.with_suffix(".done").write_text("40 1 2\n80 1 2 3 4\n")
    if length is not None:
        path.with_suffix(".partial").write_bytes(bytes(length))
    assert (cache.load_images(again, progress=False) == cache.load_images(dataset, progress=False)).all()
    assert len(small_chunks) == 300


@pytest.mark.slow
def test_a_build_that_is_killed_goes_on_and_ends_as_one_that_was_not(copy, dataset, small_chunks):
    """A real process with workers, killed by a signal that it cannot catch."""
    script = copy.parent / "build.py"
    script.write_text(
        "import os, signal\n"
        "from helpers.data import cache, celeba\n"
        "class Bar:\n"
        "    done = 0\n"
        "    __enter__ = lambda self: self\n"
        "    __exit__ = lambda self, *_: None\n"
        "    def update(self, count):\n"
        "        self.done += count\n"
        "        if self.done >= 100: os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        "    cache.PART, cache.CHUNK, cache.bar = 20, 40, lambda *_, **__: Bar()\n"
        f"    cache.prepare(celeba.open_dataset({str(copy)!r}), workers=2)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not list((copy / "cache").glob("images*.npy"))
    again = open_dataset(str(copy))
    assert (cache.load_images(again, progress=False) == cache.load_images(dataset, progress=False)).all()
    assert small_chunks == list(again.annotations.index[80:])


@pytest.mark.slow
def test_a_script_without_a_main_guard_ends_with_a_cache(copy, dataset):
    """Workers run such a script again, up to where it starts workers: they must not wait for each other."""
    script = copy.parent / "unguarded.py"
    script.write_text(
        "from helpers.data import cache, celeba\n"
        f"cache.prepare(celeba.open_dataset({str(copy)!r}), progress=False, workers=2)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "if __name__ == '__main__'" in done.stderr
    assert cache.cache_path(open_dataset(str(copy))).read_bytes() == cache.prepare(dataset, False).read_bytes()


@pytest.fixture
def built(copy):
    """A copy with a cache, of which this process has not yet compared the checksums; the cache file."""
    path = cache.prepare(open_dataset(str(copy)), progress=False)
    cache._whole.clear()
    return copy, path


def overwritten(path):
    with open(path, "r+b") as file:
        file.seek(1_000_000)
        file.write(bytes(4_000))


def header_overwritten(path):
    path.write_bytes(path.read_bytes().replace(b"(300, 3, 64, 64)", b"(300, 64, 3, 64)"))


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-5_000])


def parts_exchanged(path):
    data, size = path.read_bytes(), cache.PART * cache.IMAGE_BYTES
    start = len(data) - 300 * cache.IMAGE_BYTES
    one, two = data[start : start + size], data[start + size : start + 2 * size]
    path.write_bytes(data[:start] + two + one + data[start + 2 * size :])


def without_checksums(path):
    path.with_suffix(cache.SUMS).unlink()


def checksums_cut_off(path):
    path.with_suffix(cache.SUMS).write_text(path.with_suffix(cache.SUMS).read_text()[:30])


@pytest.mark.parametrize(
    "damage", [overwritten, header_overwritten, cut_off, parts_exchanged, without_checksums, checksums_cut_off]
)
def test_a_damaged_cache_is_found_before_it_is_used_and_built_again(built, damage, dataset, capsys):
    root, path = built
    damage(path)
    images = cache.load_images(open_dataset(str(root)), progress=False)
    assert (images == cache.load_images(dataset, progress=False)).all()
    assert "cannot be used" in capsys.readouterr().out and not cache.find_damage(path, 300)


def test_the_place_of_the_damage_is_told(built):
    overwritten(built[1])
    assert "1 of its 3 parts are damaged, first the images in rows 0 to 127" in cache.find_damage(built[1], 300)


def test_the_checksums_are_compared_once_per_process_and_anew_when_the_file_changes(built, monkeypatch):
    _, path = built
    assert not cache.find_damage(path, 300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_differing", lambda *_: pytest.fail("compared again"))
        assert not cache.find_damage(path, 300)
    overwritten(path)
    assert cache.find_damage(path, 300)


def test_a_damaged_cache_in_a_folder_that_cannot_be_written_is_not_used(built, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    overwritten(built[1])
    monkeypatch.setattr(cache, "FileLock", refuse)
    with pytest.raises(StudyError, match="cannot be written"):
        cache.load_images(open_dataset(str(built[0])), progress=False)


BUILD = (
    "from helpers.data import cache, celeba\n"
    "if __name__ == '__main__':\n"
    "    print(cache.prepare(celeba.open_dataset({root!r}), progress=False))\n"
)


def start(copy, script: str) -> subprocess.Popen:
    path = copy.parent / "script.py"
    path.write_text(script)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(path)], env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_that_prepare_one_cache_at_once_end_with_one(copy, dataset):
    both = [start(copy, BUILD.format(root=str(copy))) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0] and outputs[0] == outputs[1]
    path = cache.cache_path(open_dataset(str(copy)))
    assert path.read_bytes() == cache.prepare(dataset, False).read_bytes() and not cache.find_damage(path, 300)
    assert not list((copy / "cache").glob("*.partial")) + list((copy / "cache").glob("*.done"))


@pytest.mark.slow
def test_the_holder_of_the_lock_that_is_killed_does_not_block_the_next(copy):
    path = cache.cache_path(open_dataset(str(copy)))
    path.parent.mkdir()
    lock = str(path.with_suffix(".lock"))
    script = f"import time\nfrom filelock import FileLock\nwith FileLock({lock!r}):\n    print('held', flush=True)\n"
    holder = start(copy, script + "    time.sleep(600)\n")
    assert holder.stdout.readline() == "held\n"
    waiting = start(copy, BUILD.format(root=str(copy)))
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.communicate(timeout=4)
    holder.kill()
    assert waiting.communicate(timeout=60)[0].strip() == str(path)
    holder.wait()


def test_images_that_vanish_while_they_are_read_are_named_and_the_build_goes_on_when_they_are_back(
    copy, dataset, small_chunks, monkeypatch
):
    away = copy.parent / "away"

    def decode_into(task):
        if task[3][0] == "000201.jpg" and not away.exists():
            (copy / copies.IMAGES).rename(away)
        return decoding.decode_into(task)

    monkeypatch.setattr(cache, "decode_into", decode_into)
    with pytest.raises(StudyError, match=r"000201.jpg cannot be read \(No such file"):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list((copy / "cache").glob("*.npy"))
    away.rename(copy / copies.IMAGES)
    monkeypatch.setattr(cache, "decode_into", lambda task: small_chunks.extend(task[3]) or decoding.decode_into(task))
    again = open_dataset(str(copy))
    assert (cache.load_images(again, progress=False) == cache.load_images(dataset, progress=False)).all()
    assert small_chunks == list(again.annotations.index[200:])


def test_workers_build_the_same_bytes_as_one_process(copy, dataset, monkeypatch):
    monkeypatch.setattr(cache, "PART", 30)
    path = cache.prepare(open_dataset(str(copy)), progress=False, workers=2)
    assert path.read_bytes() == cache.prepare(dataset, progress=False).read_bytes()


def test_images_that_change_while_they_are_read_are_noticed(copy, monkeypatch):
    dataset = open_dataset(str(copy))
    first = sorted((copy / "img_align_celeba").iterdir())[0]

    def decode_into(task):
        os.utime(first, (1, 1))
        return decoding.decode_into(task)

    assert dataset.fingerprint
    monkeypatch.setattr(cache, "decode_into", decode_into)
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


def test_a_disk_that_is_too_small_for_the_cache_is_told_before_it_is_filled(copy, monkeypatch, tiny_disk):
    monkeypatch.setenv("CELEBA_CACHE", str(tiny_disk))
    with pytest.raises(StudyError, match=r"needs 3,686,528 bytes, more than are free.*CELEBA_CACHE"):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list(tiny_disk.glob("*.npy"))


def test_a_disk_that_fills_up_keeps_what_was_decoded(copy, monkeypatch, tiny_disk, dataset, small_chunks):
    monkeypatch.setenv("CELEBA_CACHE", str(tiny_disk))
    monkeypatch.setattr(cache, "_refuse_small_disk", lambda *_: None)
    with pytest.raises(StudyError, match="No space left on device"):
        cache.prepare(open_dataset(str(copy)), progress=False)
    assert not list(tiny_disk.glob("*.npy"))
    subprocess.run(["mount", "-o", "remount,size=8m", str(tiny_disk)], check=True)
    small_chunks.clear()
    again = open_dataset(str(copy))
    assert (cache.load_images(again, progress=False) == cache.load_images(dataset, progress=False)).all()
    assert 0 < len(small_chunks) < 300


def test_faces_on_a_disk_that_is_too_small_are_not_drawn_and_leave_nothing(tiny_disk):
    from helpers.data.drawn.faces import draw_dataset

    with pytest.raises(StudyError, match=r"cannot be drawn into .*No space left"):
        draw_dataset(tiny_disk / "drawn", 600, progress=False)
    assert not list(tiny_disk.iterdir())
