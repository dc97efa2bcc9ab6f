"""Results as JSON files with a digest, so that a changed or damaged file is noticed before anything builds on it."""

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.config import HOME
from helpers.errors import StudyError
from helpers.system.files import file_md5, write_bytes, write_text

# What differs between two executions with the same outcome, and therefore does not count for the digest
TIMES = {
    *("written", "environment", "seconds", "trial_seconds", "seconds per epoch", "images_per_second", "digest"),
    *("when", "openings"),
}


def write_record(path: Path, content: dict[str, Any]):
    """Write `content` as JSON with its digest; StudyError if the file cannot be written."""
    kept: dict[str, Any] = plain(content)
    write_text(path, json.dumps(kept | {"digest": record_digest(kept)}, indent=1, ensure_ascii=False) + "\n")


def read_record(path: Path, strict: bool = True) -> dict[str, Any]:
    """Return the content of a file of `write_record`; StudyError if it is damaged or was changed since.

    Unless `strict`, a file without a digest is read too: earlier versions of this study wrote such files.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error}). Run {path.stem} again.") from error
    if not isinstance(content, dict) or (strict and "digest" not in content):
        raise StudyError(f"{path} has no digest: another version of this study wrote it. Run {path.stem} again.")
    if content.get("digest", record_digest(content)) != record_digest(content):
        raise StudyError(
            f"{path} was changed or damaged after it was written: its content does not have its digest. "
            f"Run {path.stem} again."
        )
    return content


def write_arrays(path: Path, **arrays: Any):
    """Write arrays as a compressed npz, as a whole or not at all; StudyError if the file cannot be written."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an npz by name, whose checksums are verified; StudyError if it is damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as saved:
            return dict(saved)
    except Exception as error:  # the readers of zip and npy raise whatever comes over them
        reason = str(error).split("\n")[0][:120] or type(error).__name__
        raise StudyError(f"{path} cannot be read ({reason}). Run the notebook again that made it.") from error


def record_digest(content: dict[str, Any]) -> str:
    """Return a digest of a record, as 16 hexadecimal digits; times, versions and the device do not count."""
    text = json.dumps(_without_times(content), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_times(value):
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def plain(value) -> Any:
    """Return `value` in JSON's types: tables as lists of rows, arrays as lists, what is not finite as null."""
    if isinstance(value, pd.DataFrame):
        named = value if isinstance(value.index, pd.RangeIndex) else value.reset_index()
        return plain(named.to_dict(orient="records"))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | pd.Series):
        return plain(value.tolist() if isinstance(value, np.ndarray) else value.to_dict())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


class Files:
    """The files that a notebook read and made, which tell whether it has to be executed again."""

    def __init__(self):
        self._read: set[Path] = set()
        self._made: set[Path] = set()

    def read(self, path: Path):
        """Note that the notebook read a file, or looked for it; a file that it made itself does not count."""
        if path not in self._made:
            self._read.add(path)

    def made(self, path: Path):
        """Note that the notebook made a file."""
        self._made.add(path)

    def is_made(self, path: Path) -> bool:
        """Return whether the notebook made the file."""
        return path in self._made

    def digests(self) -> dict[str, dict[str, str]]:
        """Return {"read": …, "made": …}, the digest of each file by its path in the study's folder."""
        named = {"read": self._read, "made": self._made}
        return {name: {relative(path): file_digest(path) for path in sorted(paths)} for name, paths in named.items()}


def file_digest(path: Path) -> str:
    """Return the digest of a file as it counts for whoever reads it; "" if it does not exist.

    Results count without their times, so that another execution with the same outcome changes nothing.
    """
    if not path.is_file():
        return ""
    return read_record(path)["digest"] if path.suffix == ".json" else file_md5(path)


def relative(path: Path) -> str:
    """Return a path relative to the folder that contains the runs if it is inside it, or else as it is."""
    return path.relative_to(HOME).as_posix() if path.is_relative_to(HOME) else str(path)
