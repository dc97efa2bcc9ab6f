"""Access to CelebA's images: a folder of files, or a zip that is read without unpacking it."""

import os
import struct
import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from helpers.config import IMAGE_FOLDER
from helpers.errors import StudyError
from helpers.system.files import refuse_html


class Images(Protocol):
    """Images by name. An instance keeps no file open, so that processes and threads may share it."""

    path: Path

    @cached_property
    def stamps(self) -> dict[str, str]:
        """Name -> a string that changes when the image does."""
        ...

    def read(self, name: str) -> bytes:
        """Return the bytes of the image file; raise StudyError if they cannot be read."""
        ...

    def where(self, name: str) -> str:
        """Return where the image is, for messages."""
        ...

    def part(self, names: list[str]) -> "Images":
        """Return a small copy that knows only these images, to send to a worker."""
        ...


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
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise StudyError(
                f"{self.where(name)} cannot be read ({error.strerror}). Check the file and its permissions."
            ) from error

    def where(self, name: str) -> str:
        return str(self.path / name)

    def part(self, names: list[str]) -> "ImageFolder":
        return ImageFolder(self.path)


class _Entry(NamedTuple):
    """A file in a zip, as its central directory describes it."""

    filename: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int


class ImageZip:
    """Images read from a zip without unpacking it.

    The central directory is read once, here. A worker gets only the entries that it needs, and seeks to them.
    """

    def __init__(self, path: Path, entries: dict[str, _Entry] | None = None):
        self.path = path
        self._entries = _read_directory(path) if entries is None else entries

    @cached_property
    def stamps(self) -> dict[str, str]:
        """File name -> size and CRC, from the central directory."""
        return {name: f"{entry.size} {entry.crc:08x}" for name, entry in self._entries.items()}

    def read(self, name: str) -> bytes:
        entry = self._entries[name]
        try:
            with open(self.path, "rb") as file:
                file.seek(entry.offset)
                # The local header repeats the name and may have other extra fields than the directory (APPNOTE 4.3.7).
                header = struct.unpack("<4s22xHH", file.read(30))
                if header[0] != b"PK\x03\x04":
                    raise ValueError("no file starts where the zip's directory says")
                file.seek(header[1] + header[2], os.SEEK_CUR)
                data = file.read(entry.packed)
            if entry.method == zipfile.ZIP_DEFLATED:
                data = zlib.decompress(data, -zlib.MAX_WBITS)
            elif entry.method != zipfile.ZIP_STORED:
                raise ValueError(f"compression method {entry.method} is not supported: unpack the zip")
            if zlib.crc32(data) != entry.crc:
                raise ValueError("wrong checksum")
        except (OSError, ValueError, struct.error, zlib.error) as error:
            raise StudyError(f"{self.where(name)} cannot be read ({error}). Download the zip again.") from error
        return data

    def where(self, name: str) -> str:
        return f"{self.path}:{self._entries[name].filename}"

    def part(self, names: list[str]) -> "ImageZip":
        return ImageZip(self.path, {name: self._entries[name] for name in names})


def _read_directory(path: Path) -> dict[str, _Entry]:
    refuse_html(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise StudyError(f"{path} is not a readable zip ({error}). Download it again.") from error
    usual_last = sorted(infos, key=lambda info: IMAGE_FOLDER in _parts(info.filename))  # the last of equal names counts
    return {
        _parts(i.filename)[-1]: _Entry(
            i.filename, i.header_offset, i.compress_size, i.file_size, i.compress_type, i.CRC
        )
        for i in usual_last
        if "__MACOSX" not in i.filename
    }


def _parts(filename: str) -> list[str]:
    return filename.replace("\\", "/").split("/")  # some Windows tools write backslashes
