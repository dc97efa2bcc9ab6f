"""Zips as they come from a download: their directory, files read from it, and the zips that are refused."""

import shutil
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from helpers.errors import StudyError
from helpers.system.files import refuse_stand_in

LARGEST_FILE = 2**30  # bytes of one file in a zip; an image of CelebA has 8 KB, its attribute file 26 MB
LARGEST_RATIO = 300  # of unpacked to packed bytes; text packs 1:10, images hardly, and a zip bomb 1:1000


class Entry(NamedTuple):
    """A file in a zip, as its central directory describes it."""

    filename: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int


def read_directory(path: Path) -> list[Entry]:
    """Return the files in a zip, without folders and symbolic links; raise StudyError if it is not a readable zip."""
    return [_entry(info) for info in _infos(path) if not info.filename.endswith("/") and not _is_link(info)]


def _entry(info: zipfile.ZipInfo) -> Entry:
    return Entry(info.filename, info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC)


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


def _infos(path: Path) -> list[zipfile.ZipInfo]:
    try:
        refuse_stand_in(path)
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except StudyError:
        raise
    except Exception as error:  # zipfile raises errors of many kinds for a damaged directory
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is cut off or damaged"
        raise StudyError(f"{path} is not a readable zip ({reason}). Download it again.") from error
    if any(info.flag_bits & 1 for info in infos):
        raise StudyError(f"{path} is encrypted. Unpack it with its password, and use the folder.")
    return infos


def read_entry(path: Path, entry: Entry) -> bytes:
    """Return the bytes of a file in a zip, whose checksum is verified; raise StudyError if they cannot be read."""
    try:
        data = _unpacked(path, entry)
    except (OSError, ValueError, OverflowError, struct.error, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StudyError(f"{path}:{entry.filename} cannot be read ({reason}). Download the zip again.") from error
    return data


def _unpacked(path: Path, entry: Entry) -> bytes:
    if entry.size > min(LARGEST_FILE, max(LARGEST_RATIO * entry.packed, 2**20)):
        raise ValueError(f"its {entry.packed:,} bytes unpack to {entry.size:,}, as those of a zip bomb")
    with open(path, "rb") as file:
        file.seek(entry.offset)
        # The local header repeats the name and may have other extra fields than the directory (APPNOTE 4.3.7).
        signature, name, extra = struct.unpack("<4s22xHH", file.read(30))
        if signature != b"PK\x03\x04":
            raise ValueError("no file starts where the zip's directory says")
        file.seek(name + extra, 1)
        data = file.read(entry.packed)
    if entry.method == zipfile.ZIP_DEFLATED:
        # One byte more than announced is enough to see that the announcement is wrong, and a bomb unpacks no further.
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, entry.size + 1)
    elif entry.method != zipfile.ZIP_STORED:
        raise ValueError(f"compression method {entry.method} is not supported: unpack the zip")
    if len(data) != entry.size:
        raise ValueError("another length than the zip's directory says")
    if zlib.crc32(data) != entry.crc:
        raise ValueError("wrong checksum")
    return data


@dataclass(frozen=True)
class Member:
    """A file in a zip that is not unpacked, used as a path is used."""

    archive: Path
    entry: Entry

    @property
    def name(self) -> str:
        return self.entry.filename.replace("\\", "/").rpartition("/")[2]

    def read_bytes(self) -> bytes:
        return read_entry(self.archive, self.entry)

    def __str__(self) -> str:
        return f"{self.archive}:{self.entry.filename}"


def unpack(archive: Path, folder: Path):
    """Unpack a zip into a new folder.

    Raises StudyError, before anything is written, for a zip that would write elsewhere (`../`, absolute names, symbolic
    links), that unpacks to far more than it holds (a zip bomb), or that does not fit on the disk.
    """
    infos = _infos(archive)
    for info in infos:
        parts = info.filename.replace("\\", "/").split("/")
        if ".." in parts or parts[0] == "" or any(":" in part for part in parts) or _is_link(info):
            raise StudyError(
                f"{archive.name} is refused: its entry {info.filename!r} would write outside of its folder. No copy of "
                "CelebA has such an entry. Use another source."
            )
    packed, total = archive.stat().st_size, sum(info.file_size for info in infos)
    if total > LARGEST_RATIO * packed:
        raise StudyError(
            f"{archive.name} is refused: it has {packed:,} bytes but unpacks to {total:,} (a zip bomb). "
            "Use another source."
        )
    if total > shutil.disk_usage(archive.parent).free:
        raise StudyError(f"{archive.name} unpacks to {total:,} bytes, which do not fit on the disk. Free some space.")
    try:
        shutil.unpack_archive(archive, folder)
    except OSError:
        raise  # the disk is full, or the folder cannot be written
    except Exception as error:  # zipfile and zlib have errors of many kinds for damaged files
        raise StudyError(f"{archive.name} is damaged and cannot be unpacked. Download it again.") from error
