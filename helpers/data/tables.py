"""One reader for all annotation files: any separator, encoding and titles; text or parquet.

What people have differs in form and not in content: a French Excel writes semicolons, another tool UTF-16 or lower-case
titles, and editors drop the line with the number of rows. `read_sheet` reads all of them into one kind of table, in
which `helpers.data.annotations` then checks the content.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from helpers.data.names import has_image_suffix, image_name
from helpers.data.official import CELEBA_ATTRIBUTES
from helpers.errors import StudyError
from helpers.system.files import stand_in

LARGEST = 2**30  # bytes of an annotation file; CelebA's largest has 26 MB
MARKS = {  # byte order marks; those of UTF-32 first, since they begin as those of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
TITLES = {name.lower(): name for name in CELEBA_ATTRIBUTES}
TITLES |= dict.fromkeys(("partition", "split", "eval_partition", "subset", "set"), "split")
TITLES |= dict.fromkeys(("identity", "celeb_id", "identity_id", "person", "person_id"), "identity")
TITLES |= dict.fromkeys(
    ("image", "image_id", "img", "file", "filename", "file_name", "image_name", "name", "id"), "image"
)
SPLIT_OF = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid"}
SPLIT_OF |= {"dev": "valid", "test": "test", "testing": "test"}
VALUE = re.compile(r"[+-]?\d+(\.0*)?|true|false|" + "|".join(SPLIT_OF), re.IGNORECASE)
BLANK = " \t,;"  # what a blank line may hold; a spreadsheet leaves its separators
SHORT_NUMBER = re.compile(r"\d{1,5}(\.0*)?")


class File(Protocol):
    """An annotation file: a path on disk, or a file in a zip."""

    @property
    def name(self) -> str: ...

    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class Sheet:
    """An annotation file: its known columns by their usual names, one row per image, indexed by the image's name.

    `lines` has the line of each row in the file, for messages.
    """

    file: File
    table: pd.DataFrame
    lines: Sequence[int]

    def place(self, row: int) -> str:
        """Return where a row is, for messages: file, line and image."""
        name = self.table.index[row]
        return f"{self.file}, line {self.lines[row]}" + (f" ({name})" if isinstance(name, str) else "")


def read_sheet(file: File, columns: Sequence[str]) -> Sheet:
    """Read an annotation file; `columns` are those of a file without titles, after the names of the images.

    Raises StudyError, with file and line, if the rows have different numbers of fields, if an image is listed twice,
    if a column is there twice with different values, or if there are no image names.
    """
    data = _read(file)
    titles, table, lines = _from_parquet(file, data) if data[:4] == b"PAR1" else _from_text(file, data, columns)
    blank = [not title for title in titles]
    titles = [usual_title(title) for title in titles]
    image = _image_column(file, titles, [str(field) for field in table.iloc[0]])
    others = [i for i in range(len(titles)) if i != image and not blank[i]]
    if len(columns) == 1 and len(others) == 1:  # the one column beside the names, whatever its title
        titles[others[0]] = columns[0]
    known = _without_repeats(file, [i for i in range(len(titles)) if i != image], titles, table, lines)
    index = _names(file, list(map(str, table[image])), lines)
    return Sheet(file, table[known].set_axis([titles[i] for i in known], axis=1).set_axis(index), lines)


def _read(file: File) -> bytes:
    try:
        if isinstance(file, Path) and file.stat().st_size > LARGEST:
            raise StudyError(f"{file} is too large for an annotation file ({file.stat().st_size:,} bytes).")
        data = file.read_bytes()
    except OSError as error:
        raise StudyError(f"{file} cannot be read ({error.strerror or error}). Check its permissions.") from error
    if found := stand_in(data[:256]):
        raise StudyError(f"{file} is {found}.")
    return data


def _from_parquet(file: File, data: bytes) -> tuple[list[str], pd.DataFrame, Sequence[int]]:
    try:
        table = pd.read_parquet(io.BytesIO(data))
    except ImportError as error:
        raise StudyError(f"{file} is a parquet file, which needs pyarrow. Run pip install pyarrow.") from error
    except Exception as error:  # pyarrow's own errors, and whatever else a damaged file causes
        raise StudyError(f"{file} is not a readable parquet file. Download it again.") from error
    if not len(table) or not len(table.columns):
        raise StudyError(f"{file} lists no image. Download it again.")
    return list(map(str, table.columns)), table.set_axis(range(table.shape[1]), axis=1), range(1, len(table) + 1)


# Text


class _Body(NamedTuple):
    """The lines of a text file that are not blank, their numbers, and what separates their fields."""

    lines: list[str]
    numbers: list[int]
    separator: str

    def fields(self, row: int) -> list[str]:
        return [field.strip() for field in self.lines[row].split(self.separator)]


def _from_text(file: File, data: bytes, columns: Sequence[str]) -> tuple[list[str], pd.DataFrame, Sequence[int]]:
    body, count = _body(file, _decoded(file, data))
    titled = not any(has_image_suffix(field) or VALUE.fullmatch(field) for field in body.fields(0))
    titles = _titles(file, body, columns, titled)
    rows = _Body(body.lines[titled:], body.numbers[titled:], body.separator)
    _refuse_other_widths(file, rows, len(titles))
    if count is not None and count != len(rows.lines):
        raise StudyError(
            f"{file} announces {count:,} rows in its first line but has {len(rows.lines):,}. Download it again, or "
            "delete that line if you chose the rows yourself."
        )
    texts = [i for i, title in enumerate(titles) if usual_title(title) in ("", "image")]
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(rows.lines)),
            sep=rows.separator,
            header=None,
            names=list(range(len(titles))),
            index_col=False,
            dtype=dict.fromkeys(texts, object),  # 000001 is a name
            na_filter=False,
            low_memory=False,  # one type per column, not one per part of it
            quoting=csv.QUOTE_NONE,
            skipinitialspace=True,
        )
    except (ValueError, OverflowError) as error:  # pandas' parser errors are ValueErrors
        raise StudyError(f"{file} cannot be read as a table. Open it in an editor, or download it again.") from error
    return titles, table, rows.numbers


def _decoded(file: File, data: bytes) -> str:
    """Return the text of a file in UTF-8, UTF-16 or UTF-32 with or without a byte order mark, else in Latin-1."""
    encoding = next((encoding for mark, encoding in MARKS.items() if data.startswith(mark)), "")
    if not encoding and b"\0" in data[:2]:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise StudyError(f"{file} is damaged: it is not valid {encoding.upper()}. Download it again.") from error
        text = data.decode("latin-1")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise StudyError(f"{file} is not a text file: line {line} holds a zero byte. Download it again.")
    # No name or value holds a separator, so quotation marks carry nothing.
    return text.replace('"', "").replace("\r\n", "\n").replace("\r", "\n")


def _body(file: File, text: str) -> tuple[_Body, int | None]:
    """Return the lines of the table, and the number of rows that a first line announces (None without such a line)."""
    lines = text.split("\n")
    separator = _separator([line for line in lines if line.strip(BLANK)])
    if separator == " ":
        text = text.replace("\t", " ").replace("\xa0", " ")
        while "  " in text:  # CelebA's own files align their columns
            text = text.replace("  ", " ")
        lines = text.split("\n")
    numbers = [number for number, line in enumerate(lines, 1) if line.strip(BLANK)]
    lines = [lines[number - 1].strip(" ") for number in numbers]
    first = lines[0].strip(BLANK) if lines else ""
    if first.lower().startswith("sep="):  # a line by which Excel tells itself the separator
        del lines[0], numbers[0]
        first = lines[0].strip(BLANK) if lines else ""
    count = int(first) if re.fullmatch(r"[0-9]{1,9}", first) and len(lines) > 1 else None
    start = count is not None
    if not lines[start:]:
        raise StudyError(f"{file} is empty. Download it again.")
    return _Body(lines[start:], numbers[start:], separator), count


def _separator(lines: list[str]) -> str:
    """Return what separates the fields of a row in the middle: a tab, ";", "," or (any number of) blanks."""
    row = lines[len(lines) // 2].strip(" ") if lines else ""
    best = max("\t;,", key=row.count)
    if best not in row or (best == "\t" and any(" " in field.strip() for field in row.split("\t"))):
        return " "
    return best


def _titles(file: File, body: _Body, columns: Sequence[str], titled: bool) -> list[str]:
    """Return one title per field of a row; CelebA's own files have none for the names of the images."""
    if len(body.lines) == titled:
        raise StudyError(f"{file} lists no image below its titles. Download it again.")
    widths = [line.count(body.separator) for line in body.lines[titled:]]
    sample = body.fields(titled + widths.index(Counter(widths).most_common(1)[0][0]))
    titles = body.fields(0) if titled else ["image", *columns]
    if len(titles) == len(sample) - 1 and titled:
        return [*titles, ""] if sample[-1] == "" else ["image", *titles]
    if len(titles) == len(sample) + 1 and titles[-1] == "":
        return titles[:-1]
    if len(titles) != len(sample) and not titled:
        wanted = f"an image name and {columns[0]}" if len(columns) == 1 else "an image name and CelebA's 40 attributes"
        raise StudyError(
            f"{file} has {len(sample)} columns and no line of titles; without titles it must have {wanted}. Add the "
            "titles, or replace the file with CelebA's own (CelebA-Dialog uses the same file names)."
        )
    return titles


def _refuse_other_widths(file: File, rows: _Body, width: int):
    separators = width - 1
    for line, number in zip(rows.lines, rows.numbers, strict=True):
        if line.count(rows.separator) != separators:
            raise StudyError(
                f"{file}, line {number}: {line.count(rows.separator) + 1} fields instead of {width}. Correct the line, "
                "or download the file again."
            )


# Columns and names


def as_sheet(file: File, titles: list[str], table: pd.DataFrame) -> Sheet:
    """Return a table without image names as a Sheet; its columns are numbered, and `titles` are their names."""
    lines, titles = range(1, len(table) + 1), [usual_title(title) for title in titles]
    known = _without_repeats(file, list(range(len(titles))), titles, table, lines)
    return Sheet(file, table[known].set_axis([titles[i] for i in known], axis=1), lines)


def usual_title(title: str) -> str:
    """Return the usual name of a known column, whatever its case: an attribute, split, identity or image; else ""."""
    title = re.sub(r"[\s-]+", "_", title.strip().lower())
    return TITLES.get(title) or TITLES.get(re.sub(r"\.\d+$", "", title), "")  # pandas writes a repeated title as x.1


def _image_column(file: File, titles: list[str], first: list[str]) -> int:
    """Return the column of image names: the one with an image's suffix, else by its title, else the first one."""
    columns = range(len(titles))
    chosen = [i for i in columns if has_image_suffix(first[i])] or [i for i in columns if titles[i] == "image"]
    if not chosen and not titles[0]:
        chosen = [0]
    if not chosen:
        raise StudyError(f"{file} has no column of image names (000001.jpg, …). Download it again.")
    return chosen[0]


def _without_repeats(file, columns: list[int], titles: list[str], table: pd.DataFrame, lines) -> list[int]:
    """Return the known columns, each once; raise StudyError if a repeated one has other values."""
    first: dict[str, int] = {}
    for column in columns:
        title = titles[column]
        if title and title != "image" and first.setdefault(title, column) != column:
            one, other = table[first[title]].astype(str), table[column].astype(str)
            differing = np.flatnonzero(one.to_numpy() != other.to_numpy())
            if len(differing):
                row = int(differing[0])
                raise StudyError(
                    f"{file} has the column {title} twice ({_nth(first[title])} and {_nth(column)}), and they differ "
                    f"in {len(differing):,} rows, first in line {lines[row]}: {one.iloc[row]!r} and "
                    f"{other.iloc[row]!r}. Delete the wrong one."
                )
    return list(first.values())


def _nth(column: int) -> str:
    return f"column {column + 1}"


def _names(file: File, fields: list[str], lines: Sequence[int]) -> pd.Index:
    if not re.fullmatch(r"(\d{6}\.jpg\n)*", "\n".join([*fields, ""])):  # CelebA's own names need no work
        for row, field in enumerate(fields):
            if not field.strip() or SHORT_NUMBER.fullmatch(field.strip()):
                raise StudyError(
                    f"{file}, line {lines[row]}: {field!r} is not the name of an image. Names are those of the files "
                    "(000001.jpg, or 000001); a spreadsheet may have removed their leading zeros."
                )
        fields = [image_name(field) for field in fields]
    index = pd.Index(fields, name="image")
    if index.has_duplicates:
        again = int(np.flatnonzero(index.duplicated())[0])
        raise StudyError(
            f"{file} lists {index[again]} more than once: in line {lines[index.get_indexer_for([index[again]])[0]]} "
            f"and line {lines[again]}. Delete the wrong line, or download the file again."
        )
    return index
