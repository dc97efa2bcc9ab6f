"""Downloading CelebA: from a server that misbehaves, and by clients that fail. Nothing here leaves this machine."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import types
import zipfile

import copies
import numpy as np
import pytest
from filelock import FileLock
from server import Server

from helpers.data import downloads, fetch
from helpers.data.celeba import open_dataset
from helpers.data.downloads import download
from helpers.data.official import OFFICIAL_FILES
from helpers.errors import StudyError

FILE = "list_attr_celeba.txt"


@pytest.fixture
def server(copy, monkeypatch):
    """A server of a copy of CelebA with a zip of images; delays are short."""
    copies.deflated_zip(copy)
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    monkeypatch.setattr("random.uniform", lambda *_: 0.01)  # gdown waits so long before it tries again
    found = Server(copy)
    yield found
    found.close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "fetched" / "celeba"


@pytest.fixture
def blob(server):
    """A file of a few of the pieces in which gdown writes."""
    data = np.random.default_rng(0).bytes(3 * 2**20)
    (server.root / "blob").write_bytes(data)
    return data


def left_beside(target):
    return [path.name for path in target.parent.iterdir() if path.name not in (target.name, f".{target.name}.lock")]


def parts(path):
    return list(path.parent.glob(f"{path.name}*.part"))


def test_a_file_arrives_whole(server, tmp_path):
    path = download(tmp_path / FILE, url=f"{server.url}/{FILE}")
    assert path.read_bytes() == (server.root / FILE).read_bytes() and not parts(path)


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_download_that_is_cut_off_or_stalls_is_continued_from_where_it_was(server, tmp_path, blob, fault):
    server.does["blob"] = [fault, fault]
    assert download(tmp_path / "blob", url=f"{server.url}/blob").read_bytes() == blob
    begun = [int(ranges.removeprefix("bytes=").rstrip("-")) for _, ranges in server.asked if ranges]
    assert len(begun) == 2 and 0 < begun[0] < begun[1]


def test_what_arrived_is_kept_when_it_is_given_up_and_continued_by_the_next_call(server, tmp_path, blob, monkeypatch):
    monkeypatch.setattr(downloads, "RETRIES", 0)
    server.does["blob"] = ["cut"]
    with pytest.raises(StudyError, match="What has arrived is kept"):
        download(tmp_path / "blob", url=f"{server.url}/blob")
    (part,) = parts(tmp_path / "blob")
    arrived = part.stat().st_size
    assert 0 < arrived <= len(blob) // 2 and not (tmp_path / "blob").exists()
    assert download(tmp_path / "blob", url=f"{server.url}/blob").read_bytes() == blob
    assert server.asked[-1] == ("blob", f"bytes={arrived}-")


def test_a_server_that_continues_nothing_is_asked_for_the_whole_again(server, tmp_path, monkeypatch):
    part = tmp_path / f"{FILE}abcdefgh.part"
    part.write_bytes(b"2599")
    server.does[FILE] = "no ranges"
    path = download(tmp_path / FILE, url=f"{server.url}/{FILE}")
    assert path.read_bytes() == (server.root / FILE).read_bytes() and not parts(path)


def test_a_quota_page_is_not_saved_as_data(server, tmp_path):
    server.does[FILE] = "quota"
    with pytest.raises(StudyError, match="web page instead of the file"):
        download(tmp_path / FILE, url=f"{server.url}/{FILE}")
    assert not list(tmp_path.glob(f"{FILE}*"))


def test_a_quota_page_half_way_costs_nothing_of_what_has_arrived(server, tmp_path):
    part = tmp_path / f"{FILE}abcdefgh.part"
    part.write_bytes((server.root / FILE).read_bytes()[:1000])
    server.does[FILE] = "quota"
    with pytest.raises(StudyError, match="web page instead of the file"):
        download(tmp_path / FILE, url=f"{server.url}/{FILE}")
    assert part.stat().st_size == 1000


@pytest.mark.parametrize(("status", "reason"), [(403, "access is refused"), (404, "there is no such file")])
def test_a_refusal_is_told_at_once(server, tmp_path, status, reason):
    server.does[FILE] = [status] * 10
    with pytest.raises(StudyError, match=reason):
        download(tmp_path / FILE, url=f"{server.url}/{FILE}")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_asks_to_wait_is_waited_for(server, tmp_path, status, monkeypatch):
    waited = []
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: waited.append(seconds))
    server.does[FILE], server.retry_after = [status, status], "7"
    assert download(tmp_path / FILE, url=f"{server.url}/{FILE}").is_file()
    assert waited.count(7) == 2


@pytest.mark.parametrize(("times", "retry_after"), [(10, "0"), (1, "3600"), (1, "Wed, 21 Oct 2099 07:28:00 GMT")])
def test_a_server_that_asks_to_wait_for_too_long_is_left_alone(server, tmp_path, times, retry_after):
    server.does[FILE], server.retry_after = [429] * times, retry_after
    with pytest.raises(StudyError, match="come back later"):
        download(tmp_path / FILE, url=f"{server.url}/{FILE}")
    assert len(server.asked) == min(times, downloads.ATTEMPTS)


def test_a_file_with_another_md5_is_deleted_and_one_with_the_right_is_not_asked_for_again(server, tmp_path):
    path = tmp_path / FILE
    with pytest.raises(StudyError, match="not the official file"):
        download(path, md5="0" * 32, url=f"{server.url}/{FILE}")
    assert not path.exists()
    download(path, url=f"{server.url}/{FILE}")
    md5 = downloads.file_md5(path)
    asked = len(server.asked)
    assert download(path, md5=md5, url=f"{server.url}/{FILE}") == path and len(server.asked) == asked
    path.write_text("damaged")
    download(path, md5=md5, url=f"{server.url}/{FILE}")
    assert downloads.file_md5(path) == md5


def test_a_folder_on_a_server_is_fetched_verified_and_put_in_place(server, target, dataset):
    assert fetch.fetch(server.url, target) == target
    assert len(open_dataset(str(target)).annotations) == len(dataset.annotations)
    assert left_beside(target) == []


def test_a_copy_without_identities_is_fetched_all_the_same(server, target):
    (server.root / copies.IDENT).unlink()
    assert "identity" not in open_dataset(str(fetch.fetch(server.url, target))).annotations


def test_a_zip_of_a_whole_copy_is_fetched_and_unpacked(server, target, drawn):
    with zipfile.ZipFile(server.root / "everything.zip", "w") as archive:
        for path in drawn.rglob("*"):
            if path.name != "drawn.json" and "cache" not in path.parts:
                archive.write(path, f"some/{path.relative_to(drawn)}")
    fetch.fetch(f"{server.url}/everything.zip", target)
    assert len(open_dataset(str(target)).annotations) == 300


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "PATIENCE", 0.6)
    server.does[FILE] = "trickle"
    started = time.monotonic()
    with pytest.raises(StudyError, match="sent hardly anything"):
        download(tmp_path / FILE, url=f"{server.url}/{FILE}")
    assert time.monotonic() - started < 20 and not (tmp_path / FILE).exists()


def test_a_server_that_lies_about_the_length_of_a_file_gives_no_dataset(server, target):
    """It says that the file is half as long as it is, so that the transfer looks complete."""
    server.does[FILE] = ["short"]
    with pytest.raises(StudyError, match=r"was deleted: .*list_attr_celeba.txt"):
        fetch.fetch(server.url, target)
    assert not target.exists() and left_beside(target) == []
    assert fetch.fetch(server.url, target) == target


def test_a_server_that_sends_a_pointer_gives_no_dataset(server, target):
    (server.root / FILE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(StudyError, match="the server sent a Git LFS pointer"):
        fetch.fetch(server.url, target)
    assert not target.exists()


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt"])
def test_a_hostile_zip_is_deleted_and_writes_nothing(server, target, name):
    with zipfile.ZipFile(server.root / "everything.zip", "w") as archive:
        archive.writestr(name, "mine")
    with pytest.raises(StudyError, match=r"was deleted.*would write outside"):
        fetch.fetch(f"{server.url}/everything.zip", target)
    assert not target.exists() and left_beside(target) == []


def test_a_disk_that_fills_up_is_told_and_what_arrived_is_kept(server, tmp_path, monkeypatch):
    """A disk of 2 MB: the small files arrive, the zip does not."""
    disk = tmp_path / "tiny"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("a disk can be mounted by root only")
    try:
        with pytest.raises(StudyError, match="No space left on device"):
            fetch.fetch(server.url, disk / "celeba")
        assert not (disk / "celeba").exists() and list(disk.glob(f".celeba-from-*/{FILE}"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_nothing_is_put_in_place_until_all_is_there_and_the_next_call_goes_on(server, target):
    server.does["img_align_celeba.zip"] = [403]
    with pytest.raises(StudyError, match="access is refused"):
        fetch.fetch(server.url, target)
    assert not target.exists()
    asked = len(server.asked)
    fetch.fetch(server.url, target)
    assert target.is_dir() and [path for path, _ in server.asked[asked:]] == ["img_align_celeba.zip"]


def test_a_copy_that_arrives_broken_is_not_put_in_place(server, target):
    path = server.root / "img_align_celeba.zip"
    with zipfile.ZipFile(path) as archive:
        images = {info.filename: archive.read(info) for info in archive.infolist()}
    whole = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in images.items():
            archive.writestr(name, data[:900] if name.endswith("000100.jpg") else data)
    with pytest.raises(StudyError, match=r"was deleted: 1 images cannot be read: 000100.jpg"):
        fetch.fetch(server.url, target)
    assert not target.exists() and left_beside(target) == []
    path.write_bytes(whole)  # the server was repaired: nothing of the broken copy is used again
    assert fetch.fetch(server.url, target) == target


def test_parts_of_different_addresses_are_not_put_together(server, target, monkeypatch):
    monkeypatch.setattr(downloads, "RETRIES", 0)
    server.does["img_align_celeba.zip"] = [403]
    with pytest.raises(StudyError, match="access is refused"):
        fetch.fetch(server.url, target)
    asked = len(server.asked)
    fetch.fetch(f"{server.url}/", target)
    assert {path for path, _ in server.asked[asked:]} == {*fetch.OFFICIAL_FILES}
    assert left_beside(target) == []


def test_an_address_with_a_query_keeps_it(server, target):
    fetch.fetch(f"{server.url}/?token=1", target)
    assert (copies.ATTR, None) in server.asked
    assert all(address.endswith("?token=1") for address in server.addresses)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ftp://x/y", "no source"),
        ("http://x/a.tar.gz", "cannot be unpacked"),
        ("http://x/a.7z?b", "cannot be unpacked"),
    ],
)
def test_an_address_that_cannot_work_is_refused_at_once(address, reason, target):
    with pytest.raises(StudyError, match=reason):
        fetch.fetch(address, target)
    assert not target.parent.exists()


def test_a_file_in_the_way_is_seen_before_anything_is_downloaded(server, target):
    target.parent.mkdir()
    target.write_text("a file")
    with pytest.raises(StudyError, match="not empty"):
        fetch.fetch(server.url, target)
    assert not server.asked


def test_a_second_fetch_at_the_same_time_is_told_of_the_first(server, target):
    target.parent.mkdir()
    digest = hashlib.sha256(server.url.encode()).hexdigest()[:8]
    staging = target.parent / f".{target.name}-from-{digest}"
    staging.mkdir()  # the first one's, which is still empty
    with FileLock(target.parent / f".{target.name}.lock"), pytest.raises(StudyError, match="Another download"):
        fetch.fetch(server.url, target)
    assert not server.asked and staging.is_dir()


def test_a_link_to_a_folder_on_another_disk_is_followed(server, target, tmp_path):
    target.parent.mkdir()
    (tmp_path / "large").mkdir()
    target.symlink_to(tmp_path / "large")
    assert fetch.fetch(server.url, target) == tmp_path / "large" and target.is_symlink()
    assert open_dataset(str(target)).split_sizes


@pytest.mark.parametrize("md5", [True, False])
def test_a_part_that_is_the_whole_file_is_taken(server, tmp_path, md5):
    data = (server.root / FILE).read_bytes()
    (tmp_path / f"{FILE}abcdefgh.part").write_bytes(data)
    (tmp_path / f"{FILE}ijklmnop.part").write_bytes(data[:100])
    known = hashlib.md5(data).hexdigest() if md5 else ""
    path = download(tmp_path / FILE, md5=known, url=f"{server.url}/{FILE}")
    assert path.read_bytes() == data and not parts(path)
    assert not (md5 and server.asked)


def test_a_part_that_google_drive_does_not_continue_is_given_up(monkeypatch, tmp_path):
    import gdown

    part = tmp_path / "a.txtabcdefgh.part"
    part.write_text("old")

    def drive(output, **_):
        if part.exists():
            raise gdown.exceptions.DownloadError("Server did not honor the requested byte range; kept.")
        (tmp_path / "a.txt").write_text("new")

    monkeypatch.setattr(gdown, "download", drive)
    assert download(tmp_path / "a.txt", drive_id="0B7EVK8r0v71p").read_text() == "new"


def test_what_other_sources_began_goes_when_one_succeeds(monkeypatch, copy, target):
    def drive(path, md5="", **_):
        path.write_text("half")
        raise StudyError("gave up")

    def snapshot(name, repo_type, allow_patterns, local_dir):
        shutil.copytree(copy, local_dir, dirs_exist_ok=True)

    copies.parquet_with_booleans(copy)
    clients(monkeypatch, drive=drive, hub=snapshot)
    fetch.fetch("", target)
    assert left_beside(target) == []


def test_an_occupied_folder_is_left_alone(server, target):
    target.mkdir(parents=True)
    (target / "mine.txt").write_text("mine")
    with pytest.raises(StudyError, match="is not empty"):
        fetch.fetch(server.url, target)
    assert not server.asked


def test_an_unknown_source_is_told(target):
    with pytest.raises(StudyError, match="no source 'kagle'"):
        fetch.fetch("kagle", target)


def clients(monkeypatch, drive=None, hub=None, kaggle=None):
    """Put stand-ins in the place of the sources' clients; None fails as a client without a network does."""

    def fail(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(fetch, "download", drive or fail_as_drive)
    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=hub or fail))
    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=kaggle or fail))


def fail_as_drive(path, md5="", **_):
    raise StudyError(f"Google Drive's {path.name}: {downloads.QUOTA}.")


def test_the_next_source_is_tried_when_one_fails_and_each_reason_is_said(monkeypatch, copy, target, capsys):
    copies.parquet_with_booleans(copy)

    def snapshot(name, repo_type, allow_patterns, local_dir):
        assert (name, repo_type, allow_patterns) == ("flwrlabs/celeba", "dataset", ["*.parquet"])
        shutil.copytree(copy, local_dir, dirs_exist_ok=True)
        (local_dir / ".cache").mkdir()

    clients(monkeypatch, hub=snapshot)
    fetch.fetch("", target)
    said = capsys.readouterr().out
    assert "torchvision failed: Google Drive's" in said and "quota" in said and "from huggingface" in said
    assert open_dataset(str(target)).layout.name == "Hugging Face's parquet" and not (target / ".cache").exists()


def test_when_every_source_fails_all_reasons_and_the_way_by_hand_are_told(monkeypatch, target):
    clients(monkeypatch)
    with pytest.raises(StudyError) as caught:
        fetch.fetch("", target)
    text = str(caught.value)
    assert all(f"{name}: " in text for name in fetch.SOURCES)
    assert "quota" in text and "ConnectionError: no route to host" in text and "By hand" in text
    assert not target.exists()


def test_kaggles_client_keeps_its_download_in_the_staging_folder(monkeypatch, copy, target):
    copies.kaggle(copy)
    monkeypatch.delenv("KAGGLEHUB_CACHE", raising=False)

    def dataset_download(name):
        assert name == "jessicali9530/celeba-dataset"
        folder = os.path.join(os.environ["KAGGLEHUB_CACHE"], "datasets", "versions", "2")
        shutil.copytree(copy, folder)
        return folder

    clients(monkeypatch, kaggle=dataset_download)
    fetch.fetch("kaggle", target)
    assert open_dataset(str(target)).layout.name == "Kaggle's" and "KAGGLEHUB_CACHE" not in os.environ
    assert left_beside(target) == []


def test_torchvisions_files_are_asked_of_google_drive_with_their_md5_small_ones_first(monkeypatch, target, copy):
    asked = []
    copies.deflated_zip(copy)

    def drive(path, md5="", drive_id=""):
        asked.append((path.name, md5, drive_id))
        shutil.copy(copy / path.name, path)

    clients(monkeypatch, drive=drive)
    fetch.fetch("torchvision", target)
    assert {name: md5 for name, md5, _ in asked} == {name: md5 for name, (md5, _) in OFFICIAL_FILES.items()}
    assert [name for name, *_ in asked][-1] == "img_align_celeba.zip" and all(drive_id for *_, drive_id in asked)


def test_google_drives_refusal_is_known_as_a_quota(monkeypatch, tmp_path):
    import gdown

    def refuse(**_):
        raise gdown.exceptions.FileURLRetrievalError("Cannot retrieve the public link of the file.")

    monkeypatch.setattr(gdown, "download", refuse)
    with pytest.raises(StudyError, match=r"Google Drive's a.txt: the server sent a web page"):
        download(tmp_path / "a.txt", drive_id="0B7EVK8r0v71p")


@pytest.mark.parametrize("missing", ["gdown", "huggingface_hub", "kagglehub"])
def test_a_client_that_is_not_installed_is_named(monkeypatch, missing, target):
    monkeypatch.setitem(sys.modules, missing, None)
    source = {"gdown": "torchvision", "huggingface_hub": "huggingface", "kagglehub": "kaggle"}[missing]
    told = rf'needs the package {missing}, which is not installed. Run pip install -e "\.\[fetch\]"'
    with pytest.raises(StudyError, match=told):
        fetch.fetch(source, target)
