"""CelebA's annotation files, in their several formats, read into one table with one row per image.

The table is indexed by image name, in the order of the files. Its columns are `split` (categorical), `identity` (if
known) and the attributes as 0/1 (uint8).
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTES, SPLITS
from helpers.data.official import CELEBA_ATTRIBUTES
from helpers.errors import StudyError
from helpers.system.files import refuse_html

IMAGE_NAME = r"\.(?:jpe?g|png)$"


def read_texts(attributes: Path, partition: Path, identity: Path | None) -> pd.DataFrame:
    """Read CelebA's own text files: attributes, partition (the splits) and, if there is one, identities."""
    table = _read_attribute_text(attributes)
    return _put_together(table, attributes, _read_column(partition, "split"), partition, identity)


def read_csvs(attributes: Path, partition: Path, identity: Path | None) -> pd.DataFrame:
    """Read Kaggle's CSV files; the image column is recognised by the image names in it, whatever its title."""
    table = _binary(_read_csv(attributes)[0], attributes)
    splits, names = _read_csv(partition)
    if "partition" not in names and len(names) != 1:
        raise StudyError(f"{partition} has the columns {names}, but none is named partition. Download it again.")
    column = _integers(splits["partition" if "partition" in names else names[0]], partition)
    return _put_together(table, attributes, column, partition, identity)


def read_lists(lists: dict[str, Path], identity: Path | None) -> pd.DataFrame:
    """Read one list per split, without a header: in each row, an image name and 40 attributes in CelebA's order."""
    tables = []
    for split, path in lists.items():
        refuse_html(path)
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            columns = len(file.readline().split())
        if columns != 1 + len(CELEBA_ATTRIBUTES):
            raise StudyError(
                f"{path} has {columns} columns instead of an image name and CelebA's {len(CELEBA_ATTRIBUTES)} "
                "attributes. It belongs to another dataset (CelebA-Dialog uses the same file names). Replace it with "
                "CelebA's own annotations."
            )
        table = _binary(_read_table(path, ["image", *CELEBA_ATTRIBUTES]), path)
        table.index = pd.Index([Path(name).name for name in table.index], name="image")
        table.insert(0, "split", split)
        tables.append(table)
    whole = pd.concat(tables)
    _refuse_duplicates(whole.index, " and ".join(path.name for path in lists.values()))
    whole["split"] = pd.Categorical(whole["split"], SPLITS)
    return _with_identity(whole, next(iter(lists.values())), identity)


def from_columns(table: pd.DataFrame, where: Path) -> pd.DataFrame:
    """Check a table from Hugging Face's parquet files: `split`, `celeb_id` if present, one column per attribute."""
    splits = pd.Categorical(table["split"], SPLITS)
    identity = _integers(table["celeb_id"], where) if "celeb_id" in table else None
    labels = _binary(table, where)
    labels.insert(0, "split", splits)
    if identity is not None:
        labels.insert(1, "identity", identity)
    return labels


def _put_together(table: pd.DataFrame, file: Path, codes: pd.Series, partition: Path, identity: Path | None):
    _must_agree(table.index, file, codes.index, partition)
    if not codes.isin(range(len(SPLITS))).all():
        raise StudyError(f"{partition}: the split of each image must be 0, 1 or 2. Download it again.")
    table.insert(0, "split", pd.Categorical.from_codes(codes.reindex(table.index), SPLITS))
    return _with_identity(table, file, identity)


def _with_identity(table: pd.DataFrame, file: Path, identity: Path | None) -> pd.DataFrame:
    if identity is not None:
        people = _read_column(identity, "identity")
        _must_agree(table.index, file, people.index, identity)
        table.insert(1, "identity", people.reindex(table.index))
    return table


def _read_attribute_text(path: Path) -> pd.DataFrame:
    """Read the attribute file: the number of rows, a line of attribute names, then an image name and -1/1 per row."""
    refuse_html(path)
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        count, names = file.readline().strip(), file.readline().split()
    absent = [name for name in ATTRIBUTES if name not in names]
    if not count.isdigit() or absent:
        missing = f" (missing: {', '.join(absent)})" if absent else ""
        raise StudyError(
            f"{path} is not CelebA's attribute file: its first line must be a number and its second line the "
            f"attribute names{missing}. Download it again."
        )
    table = _read_table(path, ["image", *names], skip=2)
    if len(table) != int(count):
        raise StudyError(f"{path} announces {int(count):,} rows but has {len(table):,}. Download it again.")
    return _binary(table, path)


def _read_column(path: Path, name: str) -> pd.Series:
    """Read a text file with two columns, an image name and a number."""
    refuse_html(path)
    return _read_table(path, ["image", name])[name]


def _read_table(path: Path, columns: list[str], skip: int = 0) -> pd.DataFrame:
    try:
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):  # rows that are too long
            table = pd.read_csv(path, sep=r"\s+", skiprows=skip, header=None, names=columns, index_col=False)
        table = table.set_index("image").astype(np.int64)
    except (ValueError, TypeError, pd.errors.ParserWarning) as error:  # pandas' parser errors are ValueErrors
        raise StudyError(f"{path} is not in CelebA's format ({error}). Download it again.") from error
    _refuse_duplicates(table.index, path)
    return table


def _read_csv(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the table indexed by its column of image names, and the titles of its other columns that have one."""
    refuse_html(path)
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)
    except (ValueError, UnicodeError) as error:
        raise StudyError(f"{path} cannot be read as a CSV file ({error}). Download it again.") from error
    table.columns = [str(name).strip() for name in table.columns]
    for name in table.columns[:2]:  # row numbers may come first
        if len(table) and table[name].astype(str).str.contains(IMAGE_NAME, case=False).all():
            table = table.rename(columns={name: "image"}).set_index("image")
            _refuse_duplicates(table.index, path)
            return table, [c for c in table.columns if not c.startswith("Unnamed")]
    raise StudyError(f"{path} does not start with a column of image names (000001.jpg, …). Download it again.")


def _integers(column: pd.Series, path: Path) -> pd.Series:
    try:
        return column.astype(np.int64)
    except (ValueError, TypeError) as error:
        raise StudyError(
            f"{path}: {column.name} must be a whole number for every image ({error}). Download it again."
        ) from error


def _binary(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the attributes as 0/1, from -1/1, 0/1 or booleans."""
    absent = [name for name in ATTRIBUTES if name not in table.columns]
    if absent:
        raise StudyError(
            f"{path} has no column for {', '.join(absent)}, but the study needs {', '.join(ATTRIBUTES)}. "
            "Download it again, or use another copy."
        )
    table = table[[name for name in CELEBA_ATTRIBUTES if name in table.columns]]
    values = table.to_numpy()
    if not (np.isin(values, (-1, 1)).all() or np.isin(values, (0, 1)).all()):
        raise StudyError(f"{path} has attribute values other than -1/1 or 0/1. Download it again.")
    return (table == 1).astype(np.uint8)


def _refuse_duplicates(index: pd.Index, where: Path | str):
    if index.has_duplicates:
        raise StudyError(f"{where} lists {index[index.duplicated()][0]} more than once. Download it again.")


def _must_agree(listed: pd.Index, file: Path, other: pd.Index, other_file: Path):
    difference = listed.symmetric_difference(other)
    if len(difference):
        raise StudyError(
            f"{file.name} ({len(listed):,} images) and {other_file.name} ({len(other):,}) disagree on "
            f"{len(difference):,} images: {', '.join(map(str, difference[:5]))}. "
            "They come from different copies of CelebA. Download both from the same source."
        )
