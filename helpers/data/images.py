"""Access to CelebA's images: a folder of files, or a zip that is read without unpacking it."""

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Protocol

from helpers.config import DRAWN_MARK, IMAGE_FOLDER
from helpers.data.archives import Entry, read_directory, read_entry
from helpers.data.names import has_image_suffix, image_name, is_litter
from helpers.errors import StudyError

DEPTH = 3  # levels of folders below the images' folder that are searched


class Images(Protocol):
    """Images by name (`helpers.data.names`). An instance keeps no file open, so processes and threads may share it."""

    path: Path

    @cached_property
    def stamps(self) -> dict[str, str]:
        """Name -> a string that changes when the image does."""
        ...

    @cached_property
    def evidence(self) -> str:
        """A string that changes when the files do that hold the images, as far as `stamps` do not tell."""
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
    """Images as files in a folder, or in folders in it."""

    def __init__(self, folder: Path, places: dict[str, str] | None = None):
        self.path, self._given = folder, places

    @cached_property
    def evidence(self) -> str:
        """Nothing: the stamps say all."""
        return ""

    @cached_property
    def _places(self) -> dict[str, str]:
        """Image name -> path of its file below the folder."""
        return _choose(self.path, self._stats) if self._given is None else self._given

    @cached_property
    def _stats(self) -> dict[str, str]:
        """Path of each image file below the folder -> size and modification time."""
        return dict(_image_files(self.path, "", DEPTH))

    @cached_property
    def stamps(self) -> dict[str, str]:
        """Image name -> size and modification time of its file."""
        if self._given is None:
            return {name: self._stats[place] for name, place in self._places.items()}
        return {name: stamp for name, place in self._given.items() if (stamp := _stamp(self.path / place))}

    def read(self, name: str) -> bytes:
        try:
            return (self.path / self._places[name]).read_bytes()
        except OSError as error:
            raise StudyError(
                f"{self.where(name)} cannot be read ({error.strerror}). Check the file, its disk and its permissions."
            ) from error

    def where(self, name: str) -> str:
        return str(self.path / self._places[name])

    def part(self, names: list[str]) -> "ImageFolder":
        return ImageFolder(self.path, {name: self._places[name] for name in names})


def _image_files(folder: Path, below: str, depth: int):
    """Yield path below the images' folder, and size and time, of each image file.

    Folders below it that cannot be read are skipped, and so are drawn faces, which have the names of CelebA's images.
    """
    inside = []
    if below and os.path.isfile(folder / DRAWN_MARK):
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_litter(entry.name):
                    continue
                if has_image_suffix(entry.name) and entry.is_file():
                    found = entry.stat()
                    yield below + entry.name, f"{found.st_size} {found.st_mtime_ns}"
                elif depth and not has_image_suffix(entry.name) and entry.is_dir():
                    inside.append(entry.name)
    except OSError as error:
        if below:
            return  # such as lost+found; if it holds images after all, they are reported as missing
        raise StudyError(
            f"{folder} cannot be read ({error.strerror}). Check the folder, its disk and its permissions."
        ) from error
    for name in sorted(inside):
        yield from _image_files(folder / name, f"{below}{name}/", depth - 1)


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _choose(folder: Path, places) -> dict[str, str]:
    """Return image name -> path: of two files for one image, that in CelebA's folder, the less deep one, the .jpg.

    Raises StudyError if neither is better.
    """
    chosen: dict[str, str] = {}
    for place in places:
        name = image_name(place)
        other = chosen.setdefault(name, place)
        if other != place:
            if _merit(place) == _merit(other):
                raise StudyError(f"{folder} has two files for the image {name}: {other} and {place}. Delete one.")
            chosen[name] = max(place, other, key=_merit)
    return chosen


def _merit(place: str) -> tuple:
    folders = place.replace("\\", "/").split("/")[:-1]
    return IMAGE_FOLDER in folders, -len(folders), place.endswith(".jpg")


class ImageZip:
    """Images read from a zip without unpacking it.

    The central directory is read once, here. A worker gets only the entries that it needs, and seeks to them.
    """

    def __init__(self, path: Path, entries: dict[str, Entry] | None = None):
        self.path = path
        self._entries = _image_entries(path) if entries is None else entries

    @cached_property
    def stamps(self) -> dict[str, str]:
        """Image name -> size and CRC, from the central directory."""
        return {name: f"{entry.size} {entry.crc:08x}" for name, entry in self._entries.items()}

    @cached_property
    def evidence(self) -> str:
        """Size and time of the zip, and a hash of what its directory says."""
        directory = hashlib.sha256("\n".join(map(str, self._entries.values())).encode()).hexdigest()
        return f"{_stamp(self.path)} {directory}"

    def read(self, name: str) -> bytes:
        return read_entry(self.path, self._entries[name])

    def where(self, name: str) -> str:
        return f"{self.path}:{self._entries[name].filename}"

    def part(self, names: list[str]) -> "ImageZip":
        return ImageZip(self.path, {name: self._entries[name] for name in names})


def _image_entries(path: Path) -> dict[str, Entry]:
    entries = [e for e in read_directory(path) if has_image_suffix(e.filename) and not is_litter(e.filename)]
    last = {entry.filename: entry for entry in entries}  # of two entries with one name, the last one counts
    return {name: last[place] for name, place in _choose(path, last).items()}
