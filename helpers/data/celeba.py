"""A copy of CelebA in any layout: its annotations, one row per image, and access to its images."""

import dataclasses
import hashlib
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import PIL

from helpers.config import ATTRIBUTE_FILE, DATA, DRAWN_MARK, IMAGE_FOLDER, PARTITION_FILE, SPLITS, folder_named_by
from helpers.data.decoding import VERSION, inspect, load_facts, save_facts
from helpers.data.drawn.faces import draw_dataset
from helpers.data.images import Images
from helpers.data.layouts import Layout, recognise
from helpers.data.official import OFFICIAL_POSITIVES, OFFICIAL_SIZES, official_splits
from helpers.errors import StudyError

DRAWN = "drawn"

FOUR_WAYS = f"""Four ways to get data:
  1. The faces that the program draws, without a download. In a notebook: data_root = "{DRAWN}". On the command line:
     --data-root {DRAWN}.
  2. A copy of CelebA that you have, in a folder DIR. In a notebook: data_root = "DIR". On the command line:
     --data-root DIR. For both: set the variable CELEBA_ROOT to DIR. DIR holds {ATTRIBUTE_FILE}, {PARTITION_FILE}, and
     {IMAGE_FOLDER}/ or {IMAGE_FOLDER}.zip. Copies from the authors, torchvision, Kaggle and Hugging Face all work.
  3. A download into {DATA}: python -m helpers data fetch
  4. A download by hand from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, put into {DATA}."""


@dataclass(frozen=True)
class Dataset:
    """A dataset as found on disk.

    `annotations` has one row per image that is present, indexed by its name, in the order of the files: `split`
    (missing for an image left out as a duplicate), `identity` (no such column if unknown) and the attributes as 0/1.
    `table` is the same for every image that the annotation files list, present or not, left out or not.
    """

    layout: Layout
    annotations: pd.DataFrame
    images: Images
    table: pd.DataFrame

    @property
    def root(self) -> Path:
        return self.layout.root.resolve()

    @property
    def drawn(self) -> bool:
        return self.layout.drawn

    @property
    def source(self) -> str:
        """What the images are, for figures and reports."""
        return "drawn faces" if self.drawn else "CelebA"

    @property
    def listed(self) -> int:
        """The number of images that the annotation files list."""
        return len(self.table)

    @property
    def missing(self) -> pd.Index:
        """The names of the listed images that are not present."""
        return self.table.index.difference(self.annotations.index, sort=False)

    @property
    def is_subset(self) -> bool:
        return len(self.annotations) < self.listed

    @property
    def left_out(self) -> int:
        """The number of images that are in no split because they are copies of others."""
        return int(self.annotations["split"].isna().sum())

    @cached_property
    def has_official_splits(self) -> bool:
        """Whether each image that is present is listed in the split that CelebA's authors put it in.

        The numbers in the image names tell this. For copies without such names, the sizes of the splits and the
        numbers of positives must be the official ones.
        """
        if self.drawn:
            return False
        listed = self.table["split"].reindex(self.annotations.index)
        official = official_splits(listed.index)
        if official.notna().all():
            return bool((official.astype(str) == listed.astype(str)).all())
        return not self.is_subset and split_sizes(self.table) == OFFICIAL_SIZES and self.has_official_labels

    @property
    def is_whole_celeba(self) -> bool:
        """Whether every image of CelebA's three official splits is present and listed in its split."""
        return not self.is_subset and split_sizes(self.table) == OFFICIAL_SIZES and self.has_official_splits

    @property
    def has_official_labels(self) -> bool:
        """Whether the annotation files list as many positives per split as the official ones."""
        return positives(self.table) == OFFICIAL_POSITIVES

    @property
    def split_sizes(self) -> dict[str, int]:
        return split_sizes(self.annotations)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when an image is added, removed, replaced or reordered."""
        return fingerprint(self.images, self.annotations.index)

    @cached_property
    def cache_folder(self) -> Path:
        return cache_folder(self.root)

    @cached_property
    def facts(self) -> pd.DataFrame:
        """Digest, width, height, mode and problem of each image file, one row per image.

        The first call reads and decodes every image, and saves the result beside the cache. It is found anew when any
        of the files has another size or time, or the zip another directory, when another version decodes, and as long
        as a file cannot be read, which may be a matter of permissions or of the disk.
        """
        seen = f"{self.fingerprint}\n{self.images.evidence}\n{VERSION} {PIL.__version__}"
        path = self.cache_folder / f"facts-{hashlib.sha256(seen.encode()).hexdigest()[:16]}.npy"
        facts = load_facts(path, len(self.annotations))
        if facts is None:
            facts = inspect(self.images, list(self.annotations.index))
            if (facts["digest"] != b"").all():
                save_facts(path, facts)
        table = pd.DataFrame(facts, index=self.annotations.index)
        return table.assign(digest=table["digest"].str.decode("ascii"))

    def without_copies(self) -> "Dataset":
        """Return the dataset without the train images that are byte-identical to a valid or test image."""
        digests, splits = self.facts["digest"], self.annotations["split"]
        held_out = digests[splits.isin(["valid", "test"]) & (digests != "")]
        copies = (splits == "train") & digests.isin(held_out)
        return dataclasses.replace(self, annotations=self.annotations.assign(split=splits.mask(copies)))


def split_sizes(annotations: pd.DataFrame) -> dict[str, int]:
    """Count the images of each split."""
    counts = annotations["split"].value_counts()
    return {split: int(counts.get(split, 0)) for split in SPLITS}


def positives(annotations: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the images with each of the five attributes, by split."""
    counts = annotations.groupby("split", observed=False)[list(OFFICIAL_POSITIVES)].sum()
    return {name: {split: int(counts.loc[split, name]) for split in SPLITS} for name in counts}


def cache_folder(root: Path) -> Path:
    """Return the cache folder: $CELEBA_CACHE, else one beside the images, else the user's cache folder."""
    if named := folder_named_by("CELEBA_CACHE"):
        return named
    if _is_writable(root):
        return root / "cache"
    import platformdirs  # may be missing on a bare GPU node, which gets a finished cache

    return platformdirs.user_cache_path("celeba-study", appauthor=False)


def fingerprint(images: Images, names: pd.Index) -> str:
    """Return 16 hexadecimal digits computed from the stamps of these images, in this order."""
    stamps = images.stamps
    lines = "\n".join(f"{name} {stamps.get(name)}" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _is_writable(folder: Path) -> bool:
    """Return whether the folder is writable; root may write anywhere, so the mode bits count as well."""
    anyone = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & anyone)


def find_layout(data_root: str) -> Layout:
    """Find the copy of CelebA at `data_root`.

    `data_root` is a folder (the copy itself, or one that contains it) or "drawn"; empty means $CELEBA_ROOT, else
    data/. The drawn faces are drawn the first time they are asked for. They never replace missing data: a StudyError
    then says how to get data.
    """
    if data_root == DRAWN:
        if not (DATA / DRAWN / DRAWN_MARK).is_file():
            draw_dataset(DATA / DRAWN)
        return recognise(DATA / DRAWN)
    if not data_root and os.environ.get("CELEBA_ROOT") == DRAWN:
        raise StudyError('CELEBA_ROOT=drawn is not a folder. For the drawn faces, set data_root = "drawn" instead.')
    given = Path(data_root).expanduser().absolute() if data_root else folder_named_by("CELEBA_ROOT")
    root = given or DATA
    try:
        if not root.is_dir():
            what = "is a file, not a folder" if root.exists() else "does not exist"
            raise StudyError(f"The data root {root} {what}.")
        return recognise(root)
    except StudyError as error:
        nothing = f"No dataset was found: data_root is empty, CELEBA_ROOT is not set and {root} holds no CelebA."
        raise StudyError(f"{error if given else nothing}\n{FOUR_WAYS}") from error


def open_dataset(data_root: str = "", allow_missing: bool = False, drop_duplicates: bool = False) -> Dataset:
    """Find a dataset, read its annotations, and check that they agree with each other and with the images.

    `allow_missing` leaves out images that are absent; `drop_duplicates` leaves out train images that are byte-identical
    to a valid or test image. Raises StudyError for anything missing or wrong.
    """
    layout = find_layout(data_root)
    annotations, images = layout.read()
    stamps = images.stamps
    present = np.array([name in stamps for name in annotations.index], bool)
    if not present.all() and not (allow_missing and present.any()):
        raise StudyError(_missing_images(annotations.index[~present], len(annotations), images))
    dataset = Dataset(layout, annotations[present], images, annotations)
    return dataset.without_copies() if drop_duplicates else dataset


def _missing_images(missing: pd.Index, listed: int, images: Images) -> str:
    there = {name.lower() for name in images.stamps}
    by_case = " Some are there under names that differ only in case. Rename them." * any(
        name.lower() in there for name in missing
    )
    return (
        f"{len(missing):,} of {listed:,} images that the annotations list are not in {images.path}: "
        f"{', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}.{by_case}\n"
        "Complete the download, or use only the images that are there with allow_missing=True (--allow-missing)."
    )
