"""The layouts in which copies of CelebA come, recognised by their files."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.config import ATTRIBUTE_FILE, IDENTITY_FILE, IMAGE_FOLDER, PARTITION_FILE
from helpers.data.annotations import read_csvs, read_lists, read_texts
from helpers.data.drawn.faces import MARKER
from helpers.data.images import ImageFolder, Images, ImageZip
from helpers.data.parquet import has_attributes, read_parquet
from helpers.errors import StudyError

ATTRIBUTE_CSV, PARTITION_CSV = "list_attr_celeba.csv", "list_eval_partition.csv"
LISTS = {"train": "train_attr_list.txt", "valid": "val_attr_list.txt", "test": "test_attr_list.txt"}
# The official folders, and those in which mirrors put the lists
ANNOTATION_FOLDERS = ("", "Anno", "Eval", "annotations")
IMAGE_FOLDERS = (f"{IMAGE_FOLDER}/{IMAGE_FOLDER}", IMAGE_FOLDER, f"Img/{IMAGE_FOLDER}")
ARCHIVES = (f"{IMAGE_FOLDER}.zip", f"Img/{IMAGE_FOLDER}.zip")
HOLD_IMAGES = {".jpg", ".jpeg", ".png", ".parquet"}
LABELS_NEEDED = (
    f"Add the annotation files of CelebA ({ATTRIBUTE_FILE} and {PARTITION_FILE}), or use a copy that has them."
)


@dataclass(frozen=True)
class Layout:
    """A copy of CelebA: the name of its layout, its folder, its files, and how to read it."""

    name: str
    root: Path
    files: dict[str, Path | None]  # the annotation files and the archive: usual name -> where it is
    read: Callable[[], tuple[pd.DataFrame, Images]]

    @property
    def drawn(self) -> bool:
        return (self.root / MARKER).is_file()


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
    """Return the folders in a folder, except hidden ones and drawn faces."""
    with os.scandir(root) as entries:
        folders = [Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return sorted(folder for folder in folders if not (folder / MARKER).is_file())


def _layout_of(root: Path) -> Layout | None:
    return _text_layout(root) or _kaggle_layout(root) or _list_layout(root) or _parquet_layout(root)


def _find(root: Path, name: str) -> Path | None:
    for folder in ANNOTATION_FOLDERS:
        if (root / folder / name).is_file():
            return root / folder / name
    return None


def _text_layout(root: Path) -> Layout | None:
    files = {name: _find(root, name) for name in (ATTRIBUTE_FILE, PARTITION_FILE, IDENTITY_FILE)}
    attributes = files[ATTRIBUTE_FILE]
    if attributes is None:
        return None
    name = "torchvision's" if attributes.parent == root else "the authors'"
    return _with_images(name, root, files, PARTITION_FILE, read_texts)


def _kaggle_layout(root: Path) -> Layout | None:
    files = {name: _find(root, name) for name in (ATTRIBUTE_CSV, PARTITION_CSV, IDENTITY_FILE)}
    if files[ATTRIBUTE_CSV] is None:
        return None
    return _with_images("Kaggle's", root, files, PARTITION_CSV, read_csvs)


def _with_images(name: str, root: Path, files: dict, partition: str, reader: Callable) -> Layout:
    """Return a layout with an attribute file, a partition file, perhaps an identity file, and images beside them."""

    def read():
        if files[partition] is None:
            raise StudyError(f"{root / partition} is missing. It holds the official splits: download it.")
        table = reader(*files.values())
        return table, _find_images(root, table.index)

    return Layout(name, root, files | _archives(root), read)


def _list_layout(root: Path) -> Layout | None:
    lists = {split: _find(root, name) for split, name in LISTS.items()}
    if not any(lists.values()):
        return None
    identity = _find(root, IDENTITY_FILE)

    def read():
        found = {split: path for split, path in lists.items() if path is not None}
        if absent := [LISTS[split] for split in lists if split not in found]:
            raise StudyError(f"{root} has lists of attributes by split, but no {' and no '.join(absent)}. Add it.")
        table = read_lists(found, identity)
        return table, _find_images(root, table.index)

    files = {LISTS[split]: path for split, path in lists.items()} | {IDENTITY_FILE: identity}
    return Layout("one list per split", root, files | _archives(root), read)


def _parquet_layout(root: Path) -> Layout | None:
    files = sorted(root.glob("*.parquet"))
    if not any(has_attributes(file) for file in files[:1]):
        return None
    return Layout("Hugging Face's parquet", root, {file.name: file for file in files}, lambda: read_parquet(files))


def _archives(root: Path) -> dict[str, Path]:
    return {f"{IMAGE_FOLDER}.zip": root / name for name in ARCHIVES if (root / name).is_file()}


def _find_images(root: Path, names: pd.Index) -> Images:
    """Return the first folder or zip that holds all of `names`, else the one that holds the most.

    A zip that cannot be read is an error only if there is nothing else.
    """
    places = [(ImageFolder, root / folder) for folder in IMAGE_FOLDERS if (root / folder).is_dir()]
    places += [(ImageZip, path) for path in _archives(root).values()]
    best, most, problem = None, -1, None
    for kind, path in places:
        try:
            images = kind(path)
        except StudyError as error:
            problem = error
            continue
        there = int(names.isin(list(images.stamps)).sum())
        if there > most:
            best, most = images, there
        if there == len(names):
            break
    if best is None:
        nothing = (
            f"{root} has annotations but no images: neither {IMAGE_FOLDER}/ nor {IMAGE_FOLDER}.zip is there. Add one."
        )
        raise problem or StudyError(nothing)
    return best


def _what_is_there(root: Path) -> str:
    """Return a message that says why there is no dataset in an existing folder."""
    if not any(root.iterdir()):
        return f"The data root {root} is empty."
    archives = any((root / name).is_file() for name in ARCHIVES)
    inside = _folders(root)
    places = (root, *inside, *(deeper for folder in inside for deeper in _folders(folder)))
    if archives or any(path.suffix.lower() in HOLD_IMAGES for place in places for path in place.iterdir()):
        return f"The data root {root} holds images only, without attributes. {LABELS_NEEDED}"
    return f"The data root {root} has no annotations, neither {ATTRIBUTE_FILE} nor those of other layouts."
