"""Hugging Face's parquet files of CelebA: labels read by column, images by row group."""

import re
from functools import cached_property
from pathlib import Path

import pandas as pd

from helpers.config import SPLITS
from helpers.data.annotations import from_columns
from helpers.data.names import image_name, is_litter
from helpers.data.official import CELEBA_ATTRIBUTES
from helpers.data.tables import SPLIT_OF, Sheet, as_sheet, usual_title
from helpers.errors import StudyError
from helpers.system.files import refuse_stand_in

IMAGE = "image"  # the image column, in every known copy
BATCH = 64  # images in memory at a time


class ImageParquet:
    """Images inside parquet files; `places` maps a name to its file, row group and row."""

    def __init__(self, path: Path, places: dict[str, tuple[Path, int, int]]):
        self.path, self._places = path, places

    @cached_property
    def evidence(self) -> str:
        """Nothing: the stamps say all."""
        return ""

    @cached_property
    def stamps(self) -> dict[str, str]:
        """Name -> size and time of its file, row group and row, since a row has no stamp of its own."""
        stats = {file: file.stat() for file in {file for file, _, _ in self._places.values()}}
        return {
            name: f"{stats[file].st_size} {stats[file].st_mtime_ns} {group} {row}"
            for name, (file, group, row) in self._places.items()
        }

    def read(self, name: str) -> bytes:
        file, group, row = self._places[name]
        data = _image(file, group, row)
        data = data["bytes"] if isinstance(data, dict) else data
        if not isinstance(data, bytes):
            raise StudyError(f"{self.where(name)} holds no image. Download the file again.")
        return data

    def where(self, name: str) -> str:
        file, group, row = self._places[name]
        return f"{file}, row group {group}, row {row} ({name})"

    def part(self, names: list[str]) -> "ImageParquet":
        return ImageParquet(self.path, {name: self._places[name] for name in names})


def parquet_files(root: Path) -> list[Path]:
    """Return the parquet files in `root`, or, if there are none, those in its folders train/, valid/ and test/."""
    folders = [root, *(path for path in root.glob("*") if path.name.lower() in SPLIT_OF and path.is_dir())]
    found = [[path for path in folder.glob("*.parquet") if not is_litter(path.name)] for folder in folders]
    return sorted(found[0] or [path for paths in found[1:] for path in paths])


def read_parquet(files: list[Path]) -> tuple[pd.DataFrame, ImageParquet]:
    """Return the annotations and the images of parquet files that are named after their splits.

    An image has the name that its file stores, or else its split and its number there. Raises StudyError for files
    without attributes, with an unknown split, or of which one is missing (train-00001-of-00003.parquet).
    """
    _refuse_gaps(files)
    files = sorted(files, key=lambda file: (SPLITS.index(_split(file)), file.name))
    tables, stored, places = [], [], []
    for file in files:
        sheet, paths, groups = _read_labels(file)
        tables.append(from_columns(sheet))
        stored += paths
        places += [(file, group, row) for group, rows in enumerate(groups) for row in range(rows)]
    table = pd.concat(tables, join="inner", ignore_index=True)
    table["split"] = pd.Categorical(table["split"], SPLITS)
    table.index = _names(table["split"], stored, places)
    root = files[0].parent
    return table, ImageParquet(root, dict(zip(table.index, places, strict=True)))


def has_attributes(file: Path) -> bool:
    """Return whether a parquet file has attribute columns besides its images."""
    return any(usual_title(name) in CELEBA_ATTRIBUTES for name in _open(file).schema_arrow.names)


def _split(file: Path) -> str:
    """Return the split in the name of a file (train-00000-of-00019.parquet) or of its folder."""
    for name in (file.stem, file.parent.name):
        word = name.lower().replace("_", "-").split("-")[0]
        if word in SPLIT_OF:
            return SPLIT_OF[word]
    raise StudyError(
        f"{file} is not named after a split: its name, or its folder's, must start with train, valid or test."
    )


def _refuse_gaps(files: list[Path]):
    """Raise StudyError if a file of a numbered series (-00001-of-00003) is missing."""
    for file in files:
        if match := re.fullmatch(r"(.*-)\d{5}(-of-(\d{5})\.parquet)", file.name):
            start, end, total = match.groups()
            series = [file.with_name(f"{start}{number:05d}{end}") for number in range(int(total))]
            if absent := [path.name for path in series if path not in files]:
                some = ", ".join(absent[:5]) + (", …" if len(absent) > 5 else "")
                raise StudyError(f"{file.parent} lacks {len(absent)} of its {int(total)} files: {some}. Download them.")


def _read_labels(file: Path) -> tuple[Sheet, list[str | None], list[int]]:
    """Return the labels of a file, the image paths that it stores (or None), and the sizes of its row groups."""
    parquet = _open(file)
    names = parquet.schema_arrow.names
    if IMAGE not in names:
        raise StudyError(
            f"{file} has no column {IMAGE}, but {', '.join(names[:5])}, …. It belongs to another dataset. Remove it."
        )
    metadata = parquet.metadata
    wanted = [name for name in names if usual_title(name) in (*CELEBA_ATTRIBUTES, "identity")]
    try:
        table = parquet.read(columns=wanted).to_pandas().reindex(columns=wanted)
        paths = _stored_paths(parquet, metadata.num_rows)
    except Exception as error:  # pyarrow's own errors, and whatever else a damaged page causes
        raise StudyError(f"{file} cannot be read: it is damaged. Download it again.") from error
    sheet = as_sheet(file, wanted, table.set_axis(range(len(wanted)), axis=1))
    sheet.table["split"] = _split(file)
    return sheet, paths, [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def _stored_paths(parquet, rows: int) -> list[str | None]:
    kind = parquet.schema_arrow.field(IMAGE).type
    if hasattr(kind, "get_field_index") and kind.get_field_index("path") >= 0:
        return parquet.read(columns=[f"{IMAGE}.path"]).column(IMAGE).combine_chunks().field("path").to_pylist()
    return [None] * rows


def _names(splits: pd.Series, stored: list[str | None], places: list[tuple[Path, int, int]]) -> pd.Index:
    """Return the names that the files store, if each image has one of its own; else split and number."""
    if all(stored) and len(set(stored)) > 1:
        names = pd.Index([image_name(path) for path in stored if path], name="image")
        if names.has_duplicates:
            again = names[names.duplicated()][0]
            files = ", ".join(str(places[row][0]) for row in names.get_indexer_for([again]))
            raise StudyError(f"{again} is there more than once: in {files}. Delete the file that is there twice.")
        return names
    numbers = splits.groupby(splits, observed=True).cumcount()
    return pd.Index([f"{split}-{number:06d}" for split, number in zip(splits, numbers, strict=True)], name="image")


class _Stream:
    """The images of one row group, one batch in memory at a time, since a row group may have gigabytes."""

    def __init__(self, file: Path, group: int):
        options = {"batch_size": BATCH, "row_groups": [group], "columns": [IMAGE], "use_threads": False}
        self._batches = _open(file).iter_batches(**options)
        self.first, self.images = 0, []

    def advance(self):
        images = next(self._batches).column(IMAGE)
        self.first, self.images = self.first + len(self.images), images  # both, or after an error neither


_streams: dict[tuple[Path, int, int], _Stream] = {}  # the row group that this process read last


def _image(file: Path, group: int, row: int):
    """Return an image of a row group; read on from the last one, or from the beginning for an earlier one."""
    import pyarrow

    try:
        key = file, group, file.stat().st_mtime_ns
        stream = _streams.get(key)
        if stream is None or row < stream.first:
            _streams.clear()
            stream = _streams[key] = _Stream(file, group)
        while row >= stream.first + len(stream.images):
            stream.advance()
        return stream.images[row - stream.first].as_py()
    except (OSError, StopIteration, pyarrow.ArrowException) as error:
        _streams.clear()  # the next image is read from the beginning, since this stream may be anywhere
        raise StudyError(f"{file}, row group {group}, cannot be read ({error}). Download the file again.") from error


def _open(file: Path):
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise StudyError(
            "Parquet files need the package pyarrow, which is not installed. Run pip install pyarrow, or "
            'pip install -e ".[fetch]".'
        ) from error
    try:
        refuse_stand_in(file)
        return parquet.ParquetFile(file, buffer_size=2**20, pre_buffer=False)  # otherwise a whole row group is read
    except (OSError, pyarrow.ArrowException) as error:
        raise StudyError(f"{file} is not a readable parquet file ({error}). Download it again.") from error
