"""Zips from anywhere: what is hostile or damaged is refused in words, and nothing is written outside."""

import stat
import tracemalloc
import types
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.data.archives import Member, read_directory, read_entry, unpack
from helpers.data.images import ImageZip
from helpers.errors import StudyError


def made(path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "a/../../outside.txt",
        "/etc/outside.txt",
        "C:/outside.txt",
        "..\\outside.txt",
        "C:outside.txt",
        "a/C:outside.txt",
    ],
)
def test_a_zip_that_would_write_outside_is_refused_before_anything_is_written(name, tmp_path):
    path = made(tmp_path / "copy.zip", {"inside.txt": b"1", name: b"2"})
    with pytest.raises(StudyError, match="would write outside of its folder"):
        unpack(path, tmp_path / "copy")
    assert [file.name for file in tmp_path.iterdir()] == ["copy.zip"]


def test_a_link_in_a_zip_is_refused_and_is_no_image(tmp_path):
    path = tmp_path / "copy.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link("000001.jpg"), "/etc/passwd")
        archive.writestr("000002.jpg", b"image")
    with pytest.raises(StudyError, match="would write outside"):
        unpack(path, tmp_path / "copy")
    assert set(ImageZip(path).stamps) == {"000002.jpg"}


def test_a_bomb_is_refused_before_it_goes_off(tmp_path):
    path = made(tmp_path / "copy.zip", {"000001.jpg": bytes(50_000_000)})
    with pytest.raises(StudyError, match=r"unpacks to 50,000,000 .a zip bomb"):
        unpack(path, tmp_path / "copy")
    with pytest.raises(StudyError, match=r"000001.jpg cannot be read .* as those of a zip bomb"):
        ImageZip(path).read("000001.jpg")
    assert not (tmp_path / "copy").exists()


def test_a_bomb_that_hides_its_size_unpacks_no_further_than_it_says(tmp_path):
    path = made(tmp_path / "copy.zip", {"000001.jpg": bytes(5_000_000)})
    (entry,) = read_directory(path)
    tracemalloc.start()
    with pytest.raises(StudyError, match="another length than the zip's directory says"):
        read_entry(path, entry._replace(size=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_zip_larger_than_the_disk_is_told(tmp_path, monkeypatch):
    path = made(tmp_path / "copy.zip", {"a.txt": b"1234"})
    monkeypatch.setattr("helpers.data.archives.shutil.disk_usage", lambda _: types.SimpleNamespace(free=3))
    with pytest.raises(StudyError, match="unpacks to 4 bytes, which do not fit on the disk"):
        unpack(path, tmp_path / "copy")


def test_an_encrypted_zip_is_told(tmp_path):
    path = made(tmp_path / "copy.zip", {"000001.jpg": b"image"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(StudyError, match="is encrypted"):
        ImageZip(path)


def test_a_file_in_a_zip_is_named_with_its_zip(tmp_path):
    path = made(tmp_path / "archive.zip", {"folder\\list_attr_celeba.csv": b"text"})
    (member,) = [Member(path, entry) for entry in read_directory(path)]
    assert member.name == "list_attr_celeba.csv" and member.read_bytes() == b"text"
    assert str(member).startswith(f"{path}:folder")


@pytest.mark.parametrize("examples", [100, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_zip_is_read_or_refused_in_words(examples, method, tmp_path):
    images = {f"img_align_celeba/{i:06d}.jpg": bytes([i]) * 40 for i in range(3)}
    whole = made(tmp_path / "whole.zip", images, method).read_bytes()
    path = tmp_path / "damaged.zip"

    @settings(max_examples=examples, deadline=60_000, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32 - 1))
    def check(seed):
        rng, data = np.random.default_rng(seed), bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            start = int(rng.integers(0, len(data)))
            data[start : start + int(rng.integers(0, 3))] = rng.bytes(int(rng.integers(0, 3)))
        path.write_bytes(data)
        try:
            found = ImageZip(path)
        except StudyError:
            return
        for name in found.stamps:
            try:
                assert found.read(name) in images.values()
            except StudyError:
                continue

    check()
