"""CelebA from where it can be had: each source by its own client, verified, and put in place when whole."""

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
from helpers.data.celeba import open_dataset
from helpers.data.check import about_files, check_files, examine
from helpers.data.downloads import client, download, in_short
from helpers.data.official import OFFICIAL_FILES
from helpers.errors import StudyError

SMALL_FIRST = sorted(OFFICIAL_FILES, key=lambda name: OFFICIAL_FILES[name][1])  # they tell early of a quota
KAGGLE, HUGGING_FACE = "jessicali9530/celeba-dataset", "flwrlabs/celeba"
BY_HAND = (
    "By hand: https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html has list_attr_celeba.txt, list_eval_partition.txt, "
    "identity_CelebA.txt and img_align_celeba.zip; put them into one folder and name it by --data-root."
)


def fetch(source: str = "", to: Path | None = None) -> Path:
    """Download CelebA into `to` (data/celeba if not given) and return it.

    `source` is one of SOURCES or a URL: a folder on a web server with the official files, or a zip of a whole
    copy. Without one all sources are tried in turn. What has arrived is kept beside `to` until all is there
    and verified; the next call goes on with it. Raises StudyError with each source's reason.
    """
    to = to or DATA / "celeba"
    _check_target(to)
    _check_source(source)
    reasons = []
    for name in [source] if source else SOURCES:
        print(f"Fetching CelebA from {name} into {to}")
        try:
            _fetch_from(name, to)
            break
        except StudyError as error:
            print(f"{name} failed: {error}")
            reasons.append(f"{name}: {error}")
    else:
        raise StudyError("CelebA could not be fetched.\n  " + "\n  ".join(reasons) + f"\n{BY_HAND}")
    for leftover in to.parent.glob(f".{to.name}-from-*"):  # what other sources began
        shutil.rmtree(leftover, ignore_errors=True)
    return to


def _check_target(to: Path):
    """Raise StudyError where a folder could not be put in place in the end."""
    if to.is_dir() and os.path.ismount(to):
        raise StudyError(f"{to} is a mount point, which cannot be replaced: name a folder in it by --to.")
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise StudyError(f"{to} is not empty: check it (python -m helpers data check {to}), or name another by --to.")


def _check_source(source: str):
    url = urlsplit(source)
    if not source or source in SOURCES:
        return
    if url.scheme not in ("http", "https"):
        raise StudyError(f"There is no source {source!r}; there are {', '.join(SOURCES)}, and any http(s):// address.")
    if url.path.lower().endswith((".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")):
        raise StudyError(f"{source} is an archive that cannot be unpacked here; a .zip can, or a folder on a server.")


def _fetch_from(source: str, to: Path):
    # A folder for each source and address: parts of different files must not be put together.
    name = source if source in SOURCES else hashlib.sha256(source.encode()).hexdigest()[:8]
    staging = to.parent / f".{to.name}-from-{name}"
    lock = FileLock(to.parent / f".{to.name}.lock", timeout=0)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with lock:
            staging.mkdir(exist_ok=True)
            copy = SOURCES[source](staging) if source in SOURCES else _from_url(source, staging)
            _verify(copy, staging)
            if to.is_dir():
                to.rmdir()  # it is empty
            os.replace(copy, to)
            shutil.rmtree(staging, ignore_errors=True)
    except Timeout as error:
        raise StudyError(f"another fetch into {to} is running; wait for it.") from error
    except OSError as error:
        raise StudyError(f"{to} cannot be written ({error.strerror or error}).") from error
    finally:
        with contextlib.suppress(OSError):
            staging.rmdir()  # where nothing has arrived


def _verify(copy: Path, staging: Path):
    """Read a copy as a run would, and every image of it; where it is not usable, delete it and raise StudyError."""
    try:
        dataset = open_dataset(str(copy))
        found = examine(dataset)
        faults = [finding["what"] for finding in found["findings"] if finding["severity"] == "fault"]
        if faults:
            raise StudyError(" ".join(faults))
    except StudyError as error:
        shutil.rmtree(staging, ignore_errors=True)  # else the next call would go on with it
        what = str(error).partition("\n")[0]
        raise StudyError(f"what arrived is not usable, and was deleted: {what}") from error
    for finding in [*map(asdict, about_files(check_files(dataset.layout))), *found["findings"]]:
        print(f"{finding['severity']}: {finding['what']}")


def _from_torchvision(staging: Path) -> Path:
    """Download the authors' files from Google Drive, by the addresses and checksums that torchvision has."""
    from torchvision.datasets import CelebA

    files = {name: (drive_id, md5) for drive_id, md5, name in CelebA.file_list if name in OFFICIAL_FILES}
    for name in SMALL_FIRST:
        drive_id, md5 = files[name]
        download(staging / name, md5, drive_id=drive_id)
    return staging


def _from_kaggle(staging: Path) -> Path:
    kagglehub = client("kagglehub")
    before = os.environ.get("KAGGLEHUB_CACHE")
    os.environ["KAGGLEHUB_CACHE"] = str(staging)  # where kagglehub continues a download
    try:
        return Path(_told(kagglehub.dataset_download, KAGGLE))
    finally:
        os.environ.pop("KAGGLEHUB_CACHE")
        if before is not None:
            os.environ["KAGGLEHUB_CACHE"] = before


def _from_hugging_face(staging: Path) -> Path:
    hub, _ = client("huggingface_hub"), client("pyarrow")  # to download it, and to read it
    _told(hub.snapshot_download, HUGGING_FACE, repo_type="dataset", allow_patterns=["*.parquet"], local_dir=staging)
    shutil.rmtree(staging / ".cache", ignore_errors=True)  # the client's notes on what was downloaded
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
            print(f"going on without identities: {error}")
    return staging


def _unpack(archive: Path) -> Path:
    """Unpack a zip of a whole copy beside it; both are in the staging folder."""
    folder = archive.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)  # a call that was killed may have left half of it
    try:
        shutil.unpack_archive(archive, folder)
    except (shutil.ReadError, ValueError) as error:
        archive.unlink()
        raise StudyError(f"the zip that arrived is not readable ({error}); it was deleted.") from error
    return folder


def _told(call: Callable, *arguments, **options):
    """Call a client, whose exceptions are many; each is the reason why this source failed."""
    try:
        return call(*arguments, **options)
    except Exception as error:
        raise StudyError(f"{type(error).__name__}: {in_short(error)}") from error


SOURCES = {"torchvision": _from_torchvision, "huggingface": _from_hugging_face, "kaggle": _from_kaggle}
