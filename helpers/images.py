"""Where CelebA's images lie: a folder of files, or a zip read without unpacking it."""

import os
import zipfile
from functools import cached_property
from pathlib import Path

from helpers.errors import StudyError


class ImageFolder:
    """Images as files in a folder."""

    def __init__(self, folder: Path):
        self.path = folder

    @cached_property
    def stamps(self) -> dict[str, str]:
        """File name -> size and modification time."""
        with os.scandir(self.path) as entries:
            stats = {entry.name: entry.stat() for entry in entries if entry.is_file()}
        return {name: f"{stat.st_size} {stat.st_mtime_ns}" for name, stat in stats.items()}

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def where(self, name: str) -> str:
        return str(self.path / name)


class ImageZip:
    """Images read straight from the zip, without unpacking it. Reads from several threads are safe."""

    def __init__(self, path: Path):
        refuse_html(path)
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise StudyError(f"{path} is not a readable zip ({error}); download it again.") from error

    @cached_property
    def _entries(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        return {Path(info.filename).name: info for info in infos if not info.is_dir()}

    @cached_property
    def stamps(self) -> dict[str, str]:
        """File name -> size and CRC, from the central directory."""
        return {name: f"{info.file_size} {info.CRC:08x}" for name, info in self._entries.items()}

    def read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._entries[name])
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise StudyError(f"{self.where(name)} cannot be read ({error}); download the zip again.") from error

    def where(self, name: str) -> str:
        return f"{self.path}:{self._entries[name].filename}"


def refuse_html(path: Path):
    """Google Drive answers a crowded download by a quota page, which clients save as if it were the data."""
    with open(path, "rb") as file:
        beginning = file.read(256).lstrip().lower()
    if beginning.startswith((b"<!doctype html", b"<html")):
        raise StudyError(
            f"{path} is a web page saved under a data file's name (a download's quota or error page). "
            "Delete it and download the file again."
        )
