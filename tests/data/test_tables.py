"""Annotation files in any form are read as what they say, and damaged ones are refused with a StudyError alone."""

import io
import os
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.config import ATTRIBUTES, SPLITS
from helpers.data.annotations import read_files
from helpers.data.names import has_image_suffix, image_name, is_litter
from helpers.data.official import CELEBA_ATTRIBUTES
from helpers.data.tables import read_sheet
from helpers.errors import StudyError

MANY = int(os.environ.get("CELEBA_STUDY_FUZZ", "2500"))  # examples in all; more by hand


def tiers(share: float):
    """Run a test on a few random examples, and, among the slow tests, on a share of MANY."""
    return pytest.mark.parametrize("examples", [40, pytest.param(int(share * MANY), marks=pytest.mark.slow)])


OTHERS = tuple(name for name in CELEBA_ATTRIBUTES if name not in ATTRIBUTES)


@dataclass(frozen=True)
class Bytes:
    """An annotation file in memory."""

    data: bytes
    name: str = "file"

    def read_bytes(self) -> bytes:
        return self.data

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Form:
    """The form of a file: what tools, systems and people change without changing what it says."""

    separator: str
    encoding: str
    newline: str
    suffix: str
    folder: str
    titles: str
    numbered: bool
    count: bool
    blank_lines: bool
    quoted: bool
    trailing: bool
    values: dict

    def write(self, names: list[str], columns: dict[str, list], title: str = "image_id") -> Bytes:
        """Return the columns as an annotation file in this form."""
        rows = [
            [f"{self.folder}{name}{self.suffix}", *(self.values.get(value, str(value)) for value in values)]
            for name, *values in zip(names, *columns.values(), strict=True)
        ]
        blank = self.separator.isspace()
        if self.titles != "none":
            change = {"lower": str.lower, "upper": str.upper}.get(self.titles, str)
            rows.insert(0, [*([] if blank else [title]), *map(change, columns)])
        if self.numbered and not blank and self.titles != "none":
            rows = [[str(i - 1) if i else "", *row] for i, row in enumerate(rows)]
        if self.quoted:
            rows = [[f'"{field}"' for field in row] for row in rows]
        lines = [self.separator.join(row) + self.separator.strip() * self.trailing for row in rows]
        if self.count:
            lines.insert(0, str(len(names)))
        if self.blank_lines:
            lines = ["", *lines, " ", self.separator.strip() * 3]
        return Bytes((self.newline.join(lines) + self.newline).encode(self.encoding))


forms = st.builds(
    Form,
    separator=st.sampled_from([" ", "  ", "\t", ",", ";", ", "]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "utf-32"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    suffix=st.sampled_from([".jpg", "", ".JPG", ".png", ".jpeg"]),
    folder=st.sampled_from(["", "img_align_celeba/", "train\\", "/data/celeba/"]),
    titles=st.sampled_from(["as they are", "lower", "upper"]),
    numbered=st.booleans(),
    count=st.booleans(),
    blank_lines=st.booleans(),
    quoted=st.booleans(),
    trailing=st.booleans(),
    values=st.sampled_from([{-1: "-1"}, {-1: "0"}, {-1: "false", 1: "true"}, {-1: "FALSE", 1: "TRUE"}, {1: "+1"}]),
)


@st.composite
def tables(draw):
    """Draw annotations as `read_files` returns them, in any order of columns."""
    stems = st.one_of(st.from_regex(r"[0-9]{6}", fullmatch=True), st.sampled_from(["é", "photo_1", "b-2", "c.3"]))
    names = draw(st.lists(stems, min_size=1, max_size=6, unique=True))
    titles = draw(st.permutations([*ATTRIBUTES, *OTHERS[: draw(st.integers(0, 3))]]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table = pd.DataFrame(rng.integers(0, 2, (len(names), len(titles))), index=names, columns=titles)
    table.insert(0, "split", rng.choice(SPLITS, len(names)))
    table.insert(1, "identity", rng.integers(0, 10_000, len(names)))
    return table


def as_files(table: pd.DataFrame, form: Form, other: Form) -> tuple[Bytes, Bytes, Bytes]:
    """Write a table as attribute, partition and identity file, in two forms."""
    names, labels = list(table.index), table.drop(columns=["split", "identity"])
    attributes = {name: [2 * int(value) - 1 for value in labels[name]] for name in labels}
    words = other.values.get(-1) != "-1"
    splits = [{"train": "Train", "valid": "val"}.get(s, s) if words else SPLITS.index(s) for s in table["split"]]
    return (
        form.write(names, attributes),
        other.write(names, {"partition": splits}, "id"),
        form.write(names, {"celeb_id": list(map(str, table["identity"]))}),
    )


def fuzz(examples: int, *strategies):
    """Return a decorator that runs a function on random examples; one that hangs is a failure too."""
    options = settings(max_examples=examples, deadline=60_000, database=None, suppress_health_check=list(HealthCheck))
    return lambda function: options(given(*strategies)(function))


@tiers(0.15)
def test_a_table_written_in_any_form_is_read_as_it_was(examples):
    @fuzz(examples, tables(), forms, forms)
    def check(table, form, other):
        read = read_files(*as_files(table, form, other))
        assert list(read.index) == [f"{name}.jpg" for name in table.index]
        assert list(read["split"].astype(str)) == list(table["split"])
        assert list(read["identity"]) == list(table["identity"])
        found = read.drop(columns=["split", "identity"])
        assert set(found) == set(table) - {"split", "identity"} and (found.dtypes == np.uint8).all()
        assert (found.to_numpy() == table[list(found)].to_numpy()).all()

    check()


def mutated(data: bytes, seed: int) -> bytes:
    """Return bytes with a few of them changed, removed, doubled or put elsewhere, as a damaged disk or a hand does."""
    rng, data = np.random.default_rng(seed), bytearray(data)
    for _ in range(rng.integers(1, 6)):
        start, length = int(rng.integers(0, len(data) + 1)), int(rng.integers(1, 30))
        piece = bytes(data[start : start + length])
        match rng.integers(0, 6):
            case 0:
                data[start : start + 1] = rng.bytes(1)
            case 1:
                del data[start : start + length]
            case 2:
                data[start:start] = rng.bytes(length)
            case 3:
                data[start:start] = piece * int(rng.integers(1, 4))
            case 4:
                del data[start:]
            case _:
                data[start:start] = rng.choice([b",", b";", b"\n", b'"', b" ", b"\0", b"-1", b"nan", b"1e400", b"\x85"])
    return bytes(data)


def only_study_errors(read, *arguments):
    """Call a reader; a StudyError in words of our own is fine, and so is an answer."""
    try:
        read(*arguments)
    except StudyError as error:
        assert "Error" not in str(error) and "Expected" not in str(error) and "invalid literal" not in str(error)


@tiers(0.85)
def test_damaged_annotation_files_are_read_or_refused_in_words(examples):
    anything = st.one_of(st.binary(max_size=400), st.text('01-x.jpg,; \t\n"é\0', max_size=300).map(str.encode))

    @fuzz(examples, tables(), forms, st.integers(0, 2**32 - 1), st.integers(0, 4), anything)
    def check(table, form, seed, which, rubbish):
        files = list(as_files(table, form, form))
        if which < 3:
            files[which] = Bytes(mutated(files[which].data, seed))
        else:
            files[which - 3] = Bytes(rubbish)
        only_study_errors(read_files, *files)

    check()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("000001.jpg", "000001.jpg"), ("000001.JPG", "000001.jpg"), ("000001.png", "000001.jpg"),
        ("000001", "000001.jpg"), ("img_align_celeba/000001.jpg", "000001.jpg"), ("D:\\a b\\000001.jpeg", "000001.jpg"),
        ("a.b", "a.b.jpg"), ("photo.v2.jpg", "photo.v2.jpg"), (" 000001.jpg ", "000001.jpg"),
    ],
)  # fmt: skip
def test_names_are_compared_without_folder_and_suffix(path, name):
    assert image_name(path) == name == image_name(name)


@pytest.mark.parametrize(
    ("path", "litter"),
    [("._000001.jpg", True), ("a/._b.jpg", True), ("__MACOSX/a.jpg", True), ("x/Thumbs.db", True), (".DS_Store", True),
     ("img_align_celeba/000001.jpg", False), ("a.b.jpg", False)],
)  # fmt: skip
def test_what_systems_leave_beside_the_data_is_no_data(path, litter):
    assert is_litter(path) == litter
    assert has_image_suffix(path) == path.endswith(".jpg")


ROWS = "000001.jpg 1 -1 1 1 -1\n000002.jpg -1 -1 1 1 -1\n"
HEADER = " ".join(ATTRIBUTES) + "\n"
TWICE = r"Smiling twice \(column 2 and column 7\), and they differ in 1 rows, first in line 3: '-1' and '1'"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 26721026\n"
REFUSED = {
    "a column twice, contradicting": (HEADER[:-1] + " smiling\n" + ROWS.replace("\n", " 1\n"), TWICE),
    "a column that pandas numbered": (HEADER[:-1] + " Smiling.1\n" + ROWS.replace("\n", " 1\n"), "Smiling twice"),
    "a row too short": (HEADER + ROWS + "000003.jpg 1 1\n", "line 4: 3 fields instead of 6"),
    "a row too long": ("2\n" + HEADER + ROWS[:-1] + " 1\n", "line 4: 7 fields instead of 6"),
    "a name twice": (HEADER + ROWS + ROWS[:23], r"000001.jpg more than once: in line 2 and line 4"),
    "both -1 and 0": (HEADER + ROWS.replace("-1", "0", 1), r"line 2 \(000001.jpg\): Wearing_Hat has the value 0"),
    "a half": (HEADER + ROWS.replace("-1", "0.5", 1), r"line 2 \(000001.jpg\): Wearing_Hat is '0.5'"),
    "no value": ("id," + (HEADER + ROWS.replace("-1", "", 1)).replace(" ", ","), "Wearing_Hat is missing"),
    "no zeros": (HEADER + ROWS.replace("00000", "").replace(".jpg", ""), "may have removed their leading zeros"),
    "no image": (HEADER, "lists no image"),
    "nothing": ("\n \n", "is empty"),
    "a count that is wrong": ("3\n" + HEADER + ROWS, "announces 3 rows in its first line but has 2"),
    "a page": ("<!DOCTYPE html><html>", "is a web page"),
    "an LFS pointer": (POINTER, "is a Git LFS pointer.*Run git lfs pull"),
    "zero bytes": (HEADER + ROWS + "\0\0", "not a text file: line 4 holds a zero byte"),
    "half of UTF-16": ((HEADER + ROWS).encode("utf-16")[:-1], "not valid UTF-16"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_fault_is_told_with_its_line_and_what_to_do(fault):
    text, told = REFUSED[fault]
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(StudyError, match=told) as caught:
        read_files(Bytes(data), Bytes(b"000001.jpg 0\n000002.jpg 1\n"), None)
    assert "file" in str(caught.value)


def test_a_damaged_parquet_annotation_is_refused():
    buffer = io.BytesIO()
    pd.DataFrame({"image_id": ["000001.jpg"], "identity": [3]}).to_parquet(buffer)
    assert read_sheet(Bytes(buffer.getvalue()), ("identity",)).table["identity"].to_dict() == {"000001.jpg": 3}
    with pytest.raises(StudyError, match="not a readable parquet file"):
        read_sheet(Bytes(buffer.getvalue()[:-20]), ("identity",))


@pytest.mark.slow
def test_the_whole_of_celeba_is_read_in_seconds():
    names = [f"{number:06d}.jpg" for number in range(1, 202_600)]
    row = " " + " ".join(["-1", " 1"] * 20)
    text = f"{len(names)}\n{' '.join(CELEBA_ATTRIBUTES)}\n" + "\n".join(name + row for name in names) + "\n"
    started = time.process_time()
    table = read_files(Bytes(text.encode()), Bytes("\n".join(f"{name} 0" for name in names).encode()), None)
    assert len(table) == 202_599 and time.process_time() - started < 10
