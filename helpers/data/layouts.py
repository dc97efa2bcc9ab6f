"""The layouts in which copies of CelebA come, recognised by their files."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.config import ATTRIBUTE_FILE, DRAWN_MARK, IDENTITY_FILE, IMAGE_FOLDER, PARTITION_FILE
from helpers.data.annotations import read_files, read_lists
from helpers.data.archives import Member, read_directory
from helpers.data.images import ImageFolder, Images, ImageZip
from helpers.data.names import has_image_suffix, is_litter
from helpers.data.parquet import has_attributes, parquet_files, read_parquet
from helpers.data.tables import File
from helpers.errors import StudyError

ATTRIBUTES, PARTITION, IDENTITY = (Path(name).stem for name in (ATTRIBUTE_FILE, PARTITION_FILE, IDENTITY_FILE))
LISTS = {"train": "train_attr_list", "valid": "val_attr_list", "test": "test_attr_list"}
TYPES = (".txt", ".csv", ".tsv", ".parquet")  # of annotation files; of two with one name, the first of these is read
# The official folders, and those in which mirrors put the lists
ANNOTATION_FOLDERS = ("anno", "eval", "annotations")
IMAGE_FOLDERS = (IMAGE_FOLDER, f"Img/{IMAGE_FOLDER}")
ARCHIVES = (f"{IMAGE_FOLDER}.zip", f"Img/{IMAGE_FOLDER}.zip")
LABELS_NEEDED = (
    f"Add the annotation files of CelebA ({ATTRIBUTE_FILE} and {PARTITION_FILE}), or use a copy that has them."
)


@dataclass(frozen=True)
class Layout:
    """A copy of CelebA: the name of its layout, its folder, its files, and how to read it."""

    name: str
    root: Path
    files: dict[str, Any]  # the annotation files and the archive: name -> its path, or None if it is missing
    read: Callable[[], tuple[pd.DataFrame, Images]]

    @property
    def drawn(self) -> bool:
        return _is_drawn(self.root)


def recognise(root: Path) -> Layout:
    """Find the copy of CelebA in `root`, else in one of its folders, else one level deeper.

    Raises StudyError if there is none, if there are only images, or if there is more than one copy.
    """
    folders = [root]
    for _ in range(3):
        found = [layout for layout in map(_layout_of, folders) if layout is not None]
        if len(found) > 1:
            names = ", ".join(str(layout.root.relative_to(root)) for layout in found)
            raise StudyError(f"{root} holds several datasets: {names}. Name one of them.")
        if found:
            return found[0]
        folders = [deeper for folder in folders for deeper in _folders(folder)]
    raise StudyError(_what_is_there(root))


def _folders(root: Path) -> list[Path]:
    """Return the folders in a folder, except hidden ones, those that cannot be opened (lost+found) and drawn faces."""
    found = [path for path in _inside(root) if os.path.isdir(path) and not is_litter(path.name)]
    return sorted(folder for folder in found if os.access(folder, os.R_OK | os.X_OK) and not _is_drawn(folder))


def _inside(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_drawn(folder: Path) -> bool:
    return os.path.isfile(folder / DRAWN_MARK)


def _layout_of(root: Path) -> Layout | None:
    files = _annotation_files(root)
    return _files_layout(root, files) or _list_layout(root, files) or _parquet_layout(root) or _zip_layout(root)


def _annotation_files(root: Path) -> dict[str, File]:
    """Return the files in `root` and in the usual folders of annotations, by their names in lower case."""
    usual = [folder for folder in _inside(root) if folder.name.lower() in ANNOTATION_FOLDERS and os.path.isdir(folder)]
    paths = [path for folder in (root, *usual) for path in _inside(folder)]
    files = [path for path in paths if path.suffix.lower() in TYPES and os.path.isfile(path)]
    return {path.name.lower(): path for path in reversed(files)}


def _pick(files: dict[str, File], stem: str) -> File | None:
    """Return the annotation file with this name and one of the usual types."""
    return next((file for kind in TYPES if (file := files.get(f"{stem}{kind}".lower()))), None)


def _files_layout(root: Path, files: dict[str, File], archive: Path | None = None) -> Layout | None:
    """Recognise an attribute file, a partition file and perhaps an identity file, and images beside them."""
    attributes, partition, identity = (_pick(files, stem) for stem in (ATTRIBUTES, PARTITION, IDENTITY))
    if attributes is None:
        return None

    def read():
        table = read_files(attributes, partition, identity)
        return table, ImageZip(archive) if archive else _find_images(root, table.index)

    if archive:
        return Layout("Kaggle's, in its zip", root, {archive.name: archive}, read)
    shown = {ATTRIBUTE_FILE: attributes, PARTITION_FILE: partition, IDENTITY_FILE: identity}
    named = {file.name if file else name: file for name, file in shown.items()}
    return Layout(_name_of(root, Path(str(attributes))), root, named | _archives(root), read)


def _name_of(root: Path, attributes: Path) -> str:
    if attributes.suffix.lower() != ".txt":
        return "Kaggle's"
    return "torchvision's" if attributes.parent == root else "the authors'"


def _list_layout(root: Path, files: dict[str, File]) -> Layout | None:
    lists = {split: _pick(files, stem) for split, stem in LISTS.items()}
    if not any(lists.values()):
        return None
    identity = _pick(files, IDENTITY)

    def read():
        found = {split: file for split, file in lists.items() if file is not None}
        if absent := [f"{LISTS[split]}.txt" for split in lists if split not in found]:
            raise StudyError(f"{root} has lists of attributes by split, but no {' and no '.join(absent)}. Add it.")
        table = read_lists(found, identity)
        return table, _find_images(root, table.index)

    shown = {f"{LISTS[split]}.txt": file for split, file in lists.items()} | {IDENTITY_FILE: identity}
    return Layout("one list per split", root, shown | _archives(root), read)


def _parquet_layout(root: Path) -> Layout | None:
    files = parquet_files(root)
    if not any(has_attributes(file) for file in files[:1]):
        return None
    return Layout("Hugging Face's parquet", root, {file.name: file for file in files}, lambda: read_parquet(files))


def _zip_layout(root: Path) -> Layout | None:
    """Recognise a zip of a whole copy that was not unpacked, as Kaggle's archive.zip."""
    for path in _zips(root):
        try:
            entries = [entry for entry in read_directory(path) if not has_image_suffix(entry.filename)]
        except StudyError as error:
            return Layout("a zip that cannot be read", root, {path.name: path}, partial(_refuse, error))
        members = [Member(path, entry) for entry in entries if not is_litter(entry.filename)]
        layout = _files_layout(root, {member.name.lower(): member for member in members}, path)
        if layout:
            return layout
    return None


def _refuse(error: StudyError):
    raise error


def _archives(root: Path) -> dict[str, Path]:
    return {f"{IMAGE_FOLDER}.zip": root / name for name in ARCHIVES if os.path.isfile(root / name)}


def _find_images(root: Path, names: pd.Index) -> Images:
    """Return the first folder or zip that holds all of `names`, else the one that holds the most.

    The usual places come first, then any other zip, and any other folder in `root`. What cannot be read is an error
    only if there is nothing else.
    """
    usual = [(ImageFolder, root / folder) for folder in IMAGE_FOLDERS if os.path.isdir(root / folder)]
    usual += [(ImageZip, path) for path in _archives(root).values()]
    others = [(ImageZip, path) for path in _zips(root) if path not in _archives(root).values()]
    best, most, problem = None, -1, None
    for kind, path in [*usual, *others, (ImageFolder, root)]:
        try:
            images = kind(path)
            stamps = images.stamps
        except StudyError as error:
            problem = problem or error
            continue
        there = sum(name in stamps for name in names)
        if there > most and (there or (kind, path) in usual):
            best, most = images, there
        if there == len(names):
            break
    if best is None:
        nothing = (
            f"{root} has annotations but no images: neither {IMAGE_FOLDER}/ nor {IMAGE_FOLDER}.zip is there. Add one."
        )
        raise problem or StudyError(nothing)
    return best


def _zips(root: Path) -> list[Path]:
    found = [path for folder in (root, root / "Img") for path in _inside(folder) if path.suffix.lower() == ".zip"]
    return [path for path in found if not is_litter(path.name) and os.path.isfile(path)]


def _what_is_there(root: Path) -> str:
    """Return a message that says why there is no dataset in an existing folder."""
    try:
        if not any(root.iterdir()):
            return f"The data root {root} is empty."
    except OSError as error:
        return f"The data root {root} cannot be read ({error.strerror}). Check its permissions."
    inside = _folders(root)
    places = (root, *inside, *(deeper for folder in inside for deeper in _folders(folder)))
    archives = any(os.path.isfile(root / name) for name in ARCHIVES)
    if archives or any(_may_hold_images(path) for place in places for path in _inside(place)):
        return f"The data root {root} holds images only, without attributes. {LABELS_NEEDED}"
    return f"The data root {root} has no annotations, neither {ATTRIBUTE_FILE} nor those of other layouts."


def _may_hold_images(path: Path) -> bool:
    return not is_litter(path.name) and (has_image_suffix(path.name) or path.suffix == ".parquet")
