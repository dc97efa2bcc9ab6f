"""Download of CelebA: each source with its own client, verified, and put in place when it is complete."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock, Timeout

from helpers.config import DATA, IDENTITY_FILE
from helpers.data.archives import unpack
from helpers.data.celeba import open_dataset
from helpers.data.check import about_files, check_files, examine
from helpers.data.downloads import client, download, in_short
from helpers.data.official import OFFICIAL_FILES
from helpers.errors import StudyError

SMALL_FIRST = sorted(OFFICIAL_FILES, key=lambda name: OFFICIAL_FILES[name][1])  # to see a quota early
KAGGLE, HUGGING_FACE = "jessicali9530/celeba-dataset", "flwrlabs/celeba"
BY_HAND = (
    "By hand: download list_attr_celeba.txt, list_eval_partition.txt, identity_CelebA.txt, img_align_celeba.zip from "
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html into one folder, and name that folder with --data-root."
)


def fetch(source: str = "", to: Path | None = None) -> Path:
    """Download CelebA into `to` (by default data/celeba) and return that folder.

    `source` is one of SOURCES or a URL: a folder on a web server with the official files, or a zip of a complete copy.
    Without a source, all SOURCES are tried in turn. What has arrived is kept beside `to` until everything is there and
    verified, and the next call continues with it. Raises StudyError with the reason for each source.
    """
    to = (to or DATA / "celeba").resolve()  # a link leads to where there is space
    _check_target(to)
    _check_source(source)
    reasons = []
    for name in [source] if source else SOURCES:
        print(f"Downloading CelebA from {name} into {to}")
        try:
            _fetch_from(name, to)
            break
        except StudyError as error:
            print(f"{name} failed: {error}")
            reasons.append(f"{name}: {error}")
    else:
        raise StudyError("CelebA could not be downloaded.\n  " + "\n  ".join(reasons) + f"\n{BY_HAND}")
    for leftover in to.parent.glob(f".{to.name}-from-*"):  # partial downloads from other sources
        shutil.rmtree(leftover, ignore_errors=True)
    return to


def _check_target(to: Path):
    """Raise StudyError if the finished download could not be moved to `to`."""
    if to.is_dir() and os.path.ismount(to):
        raise StudyError(f"{to} is a mount point, which cannot be replaced. Name a folder inside it with --to.")
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise StudyError(
            f"{to} is not empty. Check it (python -m helpers data check {to}), or name another folder with --to."
        )


def _check_source(source: str):
    url = urlsplit(source)
    if not source or source in SOURCES:
        return
    if url.scheme not in ("http", "https"):
        raise StudyError(f"There is no source {source!r}. Use {', '.join(SOURCES)}, or an http(s):// address.")
    if url.path.lower().endswith((".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")):
        raise StudyError(f"{source} is an archive that cannot be unpacked here. Use a .zip, or a folder on a server.")


def _fetch_from(source: str, to: Path):
    # One folder per source and address, so that parts of different files are never joined.
    name = source if source in SOURCES else hashlib.sha256(source.encode()).hexdigest()[:8]
    staging = to.parent / f".{to.name}-from-{name}"
    lock = FileLock(to.parent / f".{to.name}.lock", timeout=0)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with lock:
            try:
                staging.mkdir(exist_ok=True)
                copy = SOURCES[source](staging) if source in SOURCES else _from_url(source, staging)
                _verify(copy, staging)
                if to.is_dir():
                    to.rmdir()  # it is empty
                os.replace(copy, to)
                shutil.rmtree(staging, ignore_errors=True)
            finally:
                with contextlib.suppress(OSError):
                    staging.rmdir()  # if nothing has arrived
    except Timeout as error:
        raise StudyError(f"Another download into {to} is running. Wait until it has finished.") from error
    except OSError as error:
        raise StudyError(
            f"{to} cannot be written ({error.strerror or error}). Free some space, or name another folder with --to."
        ) from error


def _verify(copy: Path, staging: Path):
    """Read a copy as a run would, and every image in it; if it is not usable, delete it and raise StudyError."""
    try:
        dataset = open_dataset(str(copy))
        found = examine(dataset)
        faults = [finding["what"] for finding in found["findings"] if finding["severity"] == "fault"]
        if faults:
            raise StudyError(" ".join(faults))
    except StudyError as error:
        shutil.rmtree(staging, ignore_errors=True)  # otherwise the next call would continue with it
        what = str(error).partition("\n")[0]
        raise StudyError(f"The downloaded copy is not usable and was deleted: {what}") from error
    for finding in [*map(asdict, about_files(check_files(dataset.layout))), *found["findings"]]:
        print(f"{finding['severity']}: {finding['what']}")


def _from_torchvision(staging: Path) -> Path:
    """Download the authors' files from Google Drive, with the addresses and checksums that torchvision lists."""
    from torchvision.datasets import CelebA

    files = {name: (drive_id, md5) for drive_id, md5, name in CelebA.file_list if name in OFFICIAL_FILES}
    for name in SMALL_FIRST:
        drive_id, md5 = files[name]
        download(staging / name, md5, drive_id=drive_id)
    return staging


def _from_kaggle(staging: Path) -> Path:
    kagglehub = client("kagglehub")
    before = os.environ.get("KAGGLEHUB_CACHE")
    os.environ["KAGGLEHUB_CACHE"] = str(staging)  # kagglehub continues a download in this folder
    try:
        return Path(_told(kagglehub.dataset_download, KAGGLE))
    finally:
        os.environ.pop("KAGGLEHUB_CACHE")
        if before is not None:
            os.environ["KAGGLEHUB_CACHE"] = before


def _from_hugging_face(staging: Path) -> Path:
    hub, _ = client("huggingface_hub"), client("pyarrow")  # to download and to read the files
    _told(hub.snapshot_download, HUGGING_FACE, repo_type="dataset", allow_patterns=["*.parquet"], local_dir=staging)
    shutil.rmtree(staging / ".cache", ignore_errors=True)  # the client's own records
    return staging


def _from_url(url: str, staging: Path) -> Path:
    parts = urlsplit(url)
    if parts.path.lower().endswith(".zip"):
        return _unpack(download(staging / "copy.zip", url=url))
    for name in SMALL_FIRST:
        try:
            download(staging / name, url=urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}")))
        except StudyError as error:
            if name != IDENTITY_FILE:
                raise
            print(f"Continuing without identities: {error}")
    return staging


def _unpack(archive: Path) -> Path:
    """Unpack the zip of a complete copy beside it, inside the staging folder."""
    folder = archive.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)  # a killed call may have left a part of it
    try:
        unpack(archive, folder)
    except StudyError as error:
        archive.unlink()
        raise StudyError(f"The downloaded zip was deleted. {error}") from error
    return folder


def _told(call: Callable, *arguments, **options):
    """Call a client, and turn any of its many exceptions into the StudyError that says why this source failed."""
    try:
        return call(*arguments, **options)
    except Exception as error:
        raise StudyError(f"{type(error).__name__}: {in_short(error)}") from error


SOURCES = {"torchvision": _from_torchvision, "huggingface": _from_hugging_face, "kaggle": _from_kaggle}
