"""Files: text written as a whole, JSON lines, checksums, and what is saved in the place of data."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from helpers.errors import StudyError

WHEN_UNWRITABLE = "Free some space, or make the folder writable."


def write_text(path: Path, text: str):
    """Write a text file as UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes):
    """Write a file as a whole or not at all; raise StudyError if the folder is read-only or the disk is full."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StudyError(f"{path} cannot be written ({error.strerror or error}). {WHEN_UNWRITABLE}") from error


def append_json(path: Path, record: dict):
    """Append `record` as a line of JSON, on a new line even if the last one was cut short by a kill."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        cut_short = path.exists() and not path.read_bytes().endswith(b"\n")
        with open(path, "a", encoding="utf-8") as file:
            file.write(("\n" if cut_short else "") + json.dumps(record) + "\n")
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror or error}). {WHEN_UNWRITABLE}") from error


def read_jsons(path: Path) -> list[dict]:
    """Return the records of a file of JSON lines, without damaged lines and those that a kill cut short.

    If there is no file, the list is empty.
    """
    records = []
    if path.exists():
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                records.append(json.loads(text))
    return [record for record in records if isinstance(record, dict)]


def file_md5(path: Path) -> str:
    """Return the MD5 of a file as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def is_web_page(beginning: bytes) -> bool:
    """Return whether a file is a web page, by its first bytes."""
    return beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def is_lfs_pointer(beginning: bytes) -> bool:
    """Return whether a file is a text that stands for a file in Git LFS, by its first bytes."""
    return beginning.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"version https://git-lfs")


def stand_in(beginning: bytes) -> str:
    """Return what stands in the place of data, by a file's first bytes: a web page, a Git LFS pointer; "" for data."""
    if is_web_page(beginning):
        # Google Drive sends such a page for a file that is downloaded too often, and clients save it as the data.
        return (
            "a web page saved under the name of a data file (a quota or error page). Delete it and download the file "
            "again"
        )
    if is_lfs_pointer(beginning):
        return "a Git LFS pointer, a small text in the place of the file. Run git lfs pull in its repository"
    return ""


def beginning(path: Path) -> bytes:
    """Return the first bytes of a file, enough for `stand_in`."""
    with open(path, "rb") as file:
        return file.read(256)


def refuse_stand_in(path: Path):
    """Raise StudyError if a file is a web page or a Git LFS pointer instead of data."""
    if found := stand_in(beginning(path)):
        raise StudyError(f"{path} is {found}.")
