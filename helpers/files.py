"""What a file is, by its bytes."""

import hashlib
from pathlib import Path

from helpers.errors import StudyError


def file_md5(path: Path) -> str:
    """Return a file's md5, as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def is_html(path: Path) -> bool:
    """Say whether a file is a web page, whatever its name."""
    with open(path, "rb") as file:
        beginning = file.read(256).lstrip().lower()
    return beginning.startswith((b"<!doctype html", b"<html"))


def refuse_html(path: Path):
    """Google Drive answers a crowded download by a quota page, which clients save as if it were the data."""
    if is_html(path):
        raise StudyError(
            f"{path} is a web page saved under a data file's name (a download's quota or error page). "
            "Delete it and download the file again."
        )
