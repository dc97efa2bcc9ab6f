"""Hugging Face's parquet files of CelebA: labels read by column, images by row group."""

from functools import cached_property
from pathlib import Path

import pandas as pd

from helpers.data.annotations import from_columns
from helpers.data.official import CELEBA_ATTRIBUTES
from helpers.errors import StudyError

IMAGE = "image"  # the image column, in every known copy
BATCH = 64  # images in memory at a time
SPLIT_OF = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "test": "test"}


class ImageParquet:
    """Images inside parquet files; `places` maps a name to its file, row group and row."""

    def __init__(self, path: Path, places: dict[str, tuple[Path, int, int]]):
        self.path, self._places = path, places

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


def read_parquet(files: list[Path]) -> tuple[pd.DataFrame, ImageParquet]:
    """Return the annotations and the images of parquet files that are named after their splits.

    An image has the name that its file stores, or else its split and its number there. Raises StudyError for files
    without attributes or with an unknown split.
    """
    files = sorted(files, key=lambda file: (list(SPLIT_OF).index(_split(file)), file.name))
    tables, places = [], []
    for file in files:
        table, groups = _read_labels(file)
        tables.append(table.assign(split=SPLIT_OF[_split(file)]))
        places += [(file, group, row) for group, rows in enumerate(groups) for row in range(rows)]
    table = pd.concat(tables, ignore_index=True)
    table.index = _names(table)
    root = files[0].parent
    return from_columns(table, root), ImageParquet(root, dict(zip(table.index, places, strict=True)))


def has_attributes(file: Path) -> bool:
    """Return whether a parquet file has attribute columns besides its images."""
    return bool(set(CELEBA_ATTRIBUTES) & set(_open(file).schema_arrow.names))


def _split(file: Path) -> str:
    """Return the split in the name of a file (train-00000-of-00019.parquet) or of its folder."""
    for name in (file.stem, file.parent.name):
        word = name.lower().replace("_", "-").split("-")[0]
        if word in SPLIT_OF:
            return word
    raise StudyError(
        f"{file} is not named after a split: its name, or its folder's, must start with train, valid or test."
    )


def _read_labels(file: Path) -> tuple[pd.DataFrame, list[int]]:
    """Return the attributes of a file, with `celeb_id` and image paths if present, and the sizes of its row groups."""
    parquet = _open(file)
    names = parquet.schema_arrow.names
    if IMAGE not in names:
        raise StudyError(
            f"{file} has no column {IMAGE}, but {', '.join(names[:5])}, …. It belongs to another dataset. Remove it."
        )
    wanted = [name for name in (*CELEBA_ATTRIBUTES, "celeb_id") if name in names]
    table = parquet.read(columns=wanted).to_pandas()
    kind = parquet.schema_arrow.field(IMAGE).type
    if hasattr(kind, "get_field_index") and kind.get_field_index("path") >= 0:
        paths = parquet.read(columns=[f"{IMAGE}.path"]).column(IMAGE).combine_chunks().field("path")
        table["path"] = paths.to_pylist()
    metadata = parquet.metadata
    return table, [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def _names(table: pd.DataFrame) -> pd.Index:
    if "path" in table and table["path"].notna().all():
        names = pd.Index([Path(path).name for path in table["path"]], name="image")
        if names.is_unique:
            return names
    numbers = table.groupby("split").cumcount()
    return pd.Index(
        [f"{split}-{number:06d}" for split, number in zip(table["split"], numbers, strict=True)], name="image"
    )


class _Stream:
    """The images of one row group, one batch in memory at a time, since a row group may have gigabytes."""

    def __init__(self, file: Path, group: int):
        options = {"batch_size": BATCH, "row_groups": [group], "columns": [IMAGE], "use_threads": False}
        self._batches = _open(file).iter_batches(**options)
        self.first, self.images = 0, []

    def advance(self):
        self.first += len(self.images)
        self.images = next(self._batches).column(IMAGE)


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
        return parquet.ParquetFile(file, buffer_size=2**20, pre_buffer=False)  # otherwise a whole row group is read
    except (OSError, pyarrow.ArrowException) as error:
        raise StudyError(f"{file} is not a readable parquet file ({error}). Download it again.") from error
