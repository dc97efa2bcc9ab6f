"""The values of an annotation file: labels as 0/1, splits by name, and whole numbers, from numbers or words."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.config import SPLITS
from helpers.data.tables import SPLIT_OF, Sheet
from helpers.errors import StudyError

TRUTH = {"true": 1, "false": 0}


def binary(sheet: Sheet, names: Sequence[str]) -> pd.DataFrame:
    """Return attributes as 0/1 (uint8), from -1/1, 0/1 or true/false; a file must not use both -1 and 0."""
    table = pd.DataFrame({name: _numbers(sheet, name, TRUTH) for name in names}, index=sheet.table.index)
    values = table.to_numpy()
    unknown = (values < -1) | (values > 1)
    if not unknown.any() and (values == -1).any():
        unknown = values == 0
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        raise StudyError(
            f"{sheet.place(row)}: {names[column]} has the value {values[row, column]:g}, but the attribute values of a "
            "file must all be -1/1 or all 0/1. Correct it, or download the file again."
        )
    return (table == 1).astype(np.uint8)


def split_names(sheet: Sheet) -> pd.Series:
    """Return the split of each image as train, valid or test, from 0/1/2 or from words."""
    column = sheet.table["split"]
    if column.dtype == np.int64 and column.between(0, 2).all():
        return pd.Series(np.array(SPLITS, object)[column], column.index, dtype=object)
    words = {str(code): split for code, split in enumerate(SPLITS)} | SPLIT_OF
    texts = column.astype(str).str.strip().str.lower().str.removesuffix(".0")
    found = texts.map(words)
    if found.isna().any():
        row = int(np.flatnonzero(found.isna())[0])
        raise StudyError(
            f"{sheet.place(row)}: the split is {_shown(texts.iloc[row])}; it must be 0, 1 or 2, or train, valid or "
            "test. Correct it, or download the file again."
        )
    return found


def integers(sheet: Sheet, name: str) -> pd.Series:
    """Return a column of whole numbers, such as the identities."""
    return _numbers(sheet, name, {}).astype(np.int64)


def _numbers(sheet: Sheet, name: str, words: dict[str, int]) -> pd.Series:
    """Return a column as whole numbers; `words` stand for numbers too."""
    column = sheet.table[name]
    if column.dtype == bool and words:
        return column.astype(np.int64)
    if column.dtype == np.int64:
        return column
    texts = column.astype(str).str.strip().str.lower()
    numbers = pd.to_numeric(texts.replace(words), errors="coerce").astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers) | (numbers % 1 != 0) | (np.abs(numbers) > 2**53))
    if len(bad):
        row = int(bad[0])
        raise StudyError(
            f"{sheet.place(row)}: {name} is {_shown(texts.iloc[row])}; it must be a whole number"
            f"{' or true or false' if words else ''}. Correct it, or download the file again."
        )
    return numbers.astype(np.int64)


def _shown(value) -> str:
    return repr(value) if isinstance(value, str) and value else "missing"
