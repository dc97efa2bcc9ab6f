"""CelebA's annotation files, in their several formats, read into one table with one row per image.

The table is indexed by image name, in the order of the files. Its columns are `split` (categorical), `identity` (if
known) and the attributes as 0/1 (uint8).
"""

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTES, SPLITS
from helpers.data.official import CELEBA_ATTRIBUTES
from helpers.data.tables import File, Sheet, read_sheet
from helpers.data.values import binary, integers, split_names
from helpers.errors import StudyError

NAMED = 5  # images that a message names


def read_files(attributes: File, partition: File | None, identity: File | None) -> pd.DataFrame:
    """Read an attribute file, the file of the splits and that of the identities.

    The attribute file may hold the splits or the identities itself. The other files may cover more images than it
    lists; those are left out. Raises StudyError if an image has no split or no identity, or two of them.
    """
    sheet = read_sheet(attributes, CELEBA_ATTRIBUTES)
    labels = _attributes(sheet)
    splits = _column(sheet, "split", partition)
    if splits is None:
        raise StudyError(
            f"list_eval_partition.txt is missing beside {attributes}, which has no column for the splits itself. The "
            "file (.txt or .csv) holds the official splits: download it."
        )
    labels.insert(0, "split", pd.Categorical(splits, SPLITS))
    people = _column(sheet, "identity", identity)
    if people is not None:
        labels.insert(1, "identity", people)
    return labels


def read_lists(lists: dict[str, File], identity: File | None) -> pd.DataFrame:
    """Read one list per split: in each row, an image name and 40 attributes (in CelebA's order if there are no titles).

    Raises StudyError if an image is in two lists.
    """
    sheets = {split: read_sheet(file, CELEBA_ATTRIBUTES) for split, file in lists.items()}
    tables = [_attributes(sheet).assign(split=split) for split, sheet in sheets.items()]
    whole = pd.concat(tables, join="inner")
    if whole.index.has_duplicates:
        again = whole.index[whole.index.duplicated()][0]
        names = " and ".join(sheet.file.name for sheet in sheets.values() if again in sheet.table.index)
        raise StudyError(f"{again} is listed more than once: in {names}. Delete it from one of them.")
    whole.insert(0, "split", pd.Categorical(whole.pop("split"), SPLITS))
    first = next(iter(sheets.values()))
    everyone = Sheet(first.file, whole[[]], range(len(whole)))
    people = _column(everyone, "identity", identity)
    if people is not None:
        whole.insert(1, "identity", people)
    return whole


def from_columns(sheet: Sheet) -> pd.DataFrame:
    """Check a table of Hugging Face's parquet files: `split`, `identity` if present, one column per attribute."""
    labels = _attributes(sheet)
    labels.insert(0, "split", pd.Categorical(sheet.table["split"], SPLITS))
    if "identity" in sheet.table:
        labels.insert(1, "identity", integers(sheet, "identity"))
    return labels


def _attributes(sheet: Sheet) -> pd.DataFrame:
    absent = [name for name in ATTRIBUTES if name not in sheet.table.columns]
    if absent:
        raise StudyError(
            f"{sheet.file} has no column for {', '.join(absent)}, but the study needs {', '.join(ATTRIBUTES)}. "
            "Download it again, or use another copy."
        )
    return binary(sheet, [name for name in CELEBA_ATTRIBUTES if name in sheet.table.columns])


def _column(sheet: Sheet, name: str, file: File | None) -> pd.Series | None:
    """Return the splits or the identities of the images of `sheet`, from its own column and from another file."""
    read = split_names if name == "split" else lambda other: integers(other, name)
    own = read(sheet) if name in sheet.table.columns else None
    if file is None:
        return own
    other = read_sheet(file, (name,))
    if name not in other.table.columns:
        raise StudyError(f"{file} has no column named {'partition' if name == 'split' else name}. Download it again.")
    _must_cover(sheet, other)
    found = read(other).reindex(sheet.table.index)
    if own is not None and (differing := np.flatnonzero(own.to_numpy() != found.to_numpy())).size:
        row = int(differing[0])
        raise StudyError(
            f"{sheet.place(row)}: the {name} is {own.iloc[row]}, but {file} says {found.iloc[row]}; they differ for "
            f"{len(differing):,} images. Remove one of the two."
        )
    return found


def _must_cover(sheet: Sheet, other: Sheet):
    """Raise StudyError if `other` lacks an image of `sheet`; it may have more (the official file beside a subset)."""
    lacking = sheet.table.index.difference(other.table.index, sort=False)
    if len(lacking):
        some = ", ".join(map(str, lacking[:NAMED])) + (", …" if len(lacking) > NAMED else "")
        raise StudyError(
            f"{other.file} ({len(other.table):,} images) lacks {len(lacking):,} of the {len(sheet.table):,} images "
            f"that {sheet.file.name} lists: {some}. They come from different copies of CelebA. Download both from the "
            "same source."
        )
