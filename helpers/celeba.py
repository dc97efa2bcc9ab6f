"""CelebA as torchvision lays it out on disk -> annotations, one row an image, and access to its images."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTE_FILE, ATTRIBUTES, DATA, IDENTITY_FILE, IMAGE_FOLDER, PARTITION_FILE, SPLITS
from helpers.errors import StudyError
from helpers.faces import MARKER, draw_dataset
from helpers.images import ImageFolder, ImageZip, refuse_html

OFFICIAL_SIZES = {"train": 162_770, "valid": 19_867, "test": 19_962}  # Liu et al. 2015, list_eval_partition
DRAWN = "drawn"

THREE_WAYS = f"""Three ways to get data:
  1. the built-in drawn faces, no download: data_root={DRAWN} (python -m helpers run --profile demo)
  2. a CelebA folder you have: --data-root DIR, or set CELEBA_ROOT=DIR; DIR holds {ATTRIBUTE_FILE},
     {PARTITION_FILE} and {IMAGE_FOLDER}/ or {IMAGE_FOLDER}.zip
  3. CelebA put into {DATA} (from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, or with
     torchvision.datasets.CelebA("{DATA}", download=True))"""


@dataclass(frozen=True)
class Dataset:
    """A dataset as found on disk.

    `annotations` has one row an image, indexed by its file name, in the files' order: `split`, `identity`
    (absent without an identity file), and CelebA's 40 attributes as 0/1. `listed` counts the images that
    the annotation files name, `annotations` holds those that are there.
    """

    root: Path
    annotations: pd.DataFrame
    images: ImageFolder | ImageZip
    listed: int
    drawn: bool

    @property
    def source(self) -> str:
        """What the images are, for figures and reports."""
        return "drawn faces" if self.drawn else "CelebA"

    @property
    def is_subset(self) -> bool:
        return len(self.annotations) < self.listed

    @property
    def is_whole_celeba(self) -> bool:
        """Whether every image of CelebA's three official splits is here."""
        return not self.drawn and self.split_sizes == OFFICIAL_SIZES

    @property
    def split_sizes(self) -> dict[str, int]:
        counts = self.annotations["split"].value_counts()
        return {split: int(counts.get(split, 0)) for split in SPLITS}

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when an image is added, removed, replaced or reordered."""
        stamps = self.images.stamps
        lines = "\n".join(f"{name} {stamps[name]}" for name in self.annotations.index)
        return hashlib.sha256(lines.encode()).hexdigest()[:16]


def find_root(data_root: str) -> Path:
    """Return the folder that holds the annotation files.

    `data_root` is a folder (with or without torchvision's `celeba/` level), or "drawn"; empty means
    $CELEBA_ROOT, else data/. The drawn faces are drawn the first time they are asked for, and never
    stand in for data that is missing: StudyError says what to do instead.
    """
    if data_root == DRAWN:
        if not (DATA / DRAWN / MARKER).is_file():
            draw_dataset(DATA / DRAWN)
        return DATA / DRAWN
    given = data_root or os.environ.get("CELEBA_ROOT", "")
    root = Path(given).expanduser() if given else DATA
    if given == DRAWN:
        raise StudyError("CELEBA_ROOT=drawn is not a folder; ask for the drawn faces by data_root=drawn.")
    for candidate in (root, root / "celeba"):
        if (candidate / ATTRIBUTE_FILE).is_file():
            return candidate
    raise StudyError(f"{_what_is_wrong(root, bool(given))}\n{THREE_WAYS}")


def _what_is_wrong(root: Path, given: bool) -> str:
    if not given:
        return f"No dataset: data_root is empty, CELEBA_ROOT is not set and {root} holds no CelebA."
    if not root.exists():
        return f"The data root {root} does not exist."
    if not root.is_dir():
        return f"The data root {root} is a file, not a folder."
    if not any(root.iterdir()):
        return f"The data root {root} is empty."
    return f"The data root {root} has no annotations: {ATTRIBUTE_FILE} is not there."


def open_dataset(data_root: str = "", allow_missing: bool = False) -> Dataset:
    """Find a dataset, read its annotations and check them against each other and against the images.

    Raises StudyError for what is missing or wrong; with `allow_missing` absent images are left out.
    """
    root = find_root(data_root)
    annotations = read_annotations(root)
    images = _find_images(root)
    present = annotations.index.isin(list(images.stamps))
    if not present.all() and not (allow_missing and present.any()):
        raise StudyError(_missing_images(annotations.index[~present], len(annotations), images))
    return Dataset(
        root=root.resolve(),
        annotations=annotations[present],
        images=images,
        listed=len(annotations),
        drawn=(root / MARKER).is_file(),
    )


def _missing_images(missing: pd.Index, listed: int, images: ImageFolder | ImageZip) -> str:
    return (
        f"{len(missing):,} of {listed:,} images that {ATTRIBUTE_FILE} lists are not in {images.path}: "
        f"{', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}.\n"
        "Complete the download, or read what is there with allow_missing=True (--allow-missing)."
    )


def _find_images(root: Path) -> ImageFolder | ImageZip:
    folder, archive = root / IMAGE_FOLDER, root / f"{IMAGE_FOLDER}.zip"
    if folder.is_dir():
        return ImageFolder(folder)
    if archive.is_file():
        return ImageZip(archive)
    raise StudyError(f"{root} has annotations but no images: neither {IMAGE_FOLDER}/ nor {archive.name} is there.")


def read_annotations(root: Path) -> pd.DataFrame:
    """Read the attribute, partition and (where there is one) identity files into one table."""
    attributes = _read_attributes(root / ATTRIBUTE_FILE)
    partition = _read_column(root / PARTITION_FILE, "split", required=True)
    _must_agree(attributes.index, partition.index, PARTITION_FILE)
    if not partition.isin(range(3)).all():
        raise StudyError(f"{root / PARTITION_FILE}: the split of each image must be 0, 1 or 2.")
    splits = pd.Categorical.from_codes(partition.reindex(attributes.index), SPLITS)
    attributes.insert(0, "split", splits)
    identity = _read_column(root / IDENTITY_FILE, "identity", required=False)
    if identity is not None:
        _must_agree(attributes.index, identity.index, IDENTITY_FILE)
        attributes.insert(1, "identity", identity.reindex(attributes.index))
    return attributes


def _read_attributes(path: Path) -> pd.DataFrame:
    """Line 1 counts the rows, line 2 names the attributes, each row is an image and its -1/1."""
    refuse_html(path)
    with open(path, encoding="utf-8", errors="replace") as file:
        count, names = file.readline().strip(), file.readline().split()
    absent = [name for name in ATTRIBUTES if name not in names]
    if not count.isdigit() or absent:
        raise StudyError(
            f"{path} is not CelebA's attribute file: its first line must be a count and its second the "
            f"attribute names{f' (without {absent})' if absent else ''}. Download it again."
        )
    table = _read_table(path, ["image", *names], skip=2)
    if len(table) != int(count):
        raise StudyError(f"{path} announces {int(count):,} rows and has {len(table):,}; download it again.")
    if not np.isin(table.to_numpy(), (-1, 1)).all():
        raise StudyError(f"{path}: every attribute must be -1 or 1.")
    return (table == 1).astype(np.uint8)


def _read_column(path: Path, name: str, required: bool) -> pd.Series | None:
    if not path.is_file():
        if required:
            raise StudyError(f"{path} is missing: the official splits are read from it. Download it.")
        return None
    refuse_html(path)
    return _read_table(path, ["image", name], skip=0)[name]


def _read_table(path: Path, columns: list[str], skip: int) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep=r"\s+", skiprows=skip, header=None, names=columns, index_col="image")
        table = table.astype(np.int64)
    except (ValueError, TypeError) as error:  # pandas' parser errors are ValueErrors
        raise StudyError(f"{path} cannot be read as CelebA's file ({error}); download it again.") from error
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise StudyError(f"{path} lists {twice} more than once; download it again.")
    return table


def _must_agree(listed: pd.Index, other: pd.Index, file: str):
    difference = listed.symmetric_difference(other)
    if len(difference):
        raise StudyError(
            f"{ATTRIBUTE_FILE} ({len(listed):,} images) and {file} ({len(other):,}) disagree on "
            f"{len(difference):,} images: {', '.join(map(str, difference[:5]))}. "
            "They are of different copies of CelebA; download both from one place."
        )
