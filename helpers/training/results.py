"""The finished trainings of a JSONL file, which are not done again; only one process at a time writes to it."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.config import Config
from helpers.data.batches import Split
from helpers.errors import StudyError
from helpers.system.devices import precision_used
from helpers.system.files import append_json, read_jsons
from helpers.system.provenance import code_digest
from helpers.system.records import plain, record_digest
from helpers.training.state import ROOMS, fingerprint, settings


class Finished:
    """The results of finished trainings, each a dict; NaN is kept as None.

    A training with other settings, on other images or labels, on another kind of device or in another precision, or by
    other code, is another training. `device` and `workers` say where the trainings are done, as for `run_trials`. On a
    cluster that may have GPUs, device and precision are not known here, so those trainings are not mixed with the ones
    that are done in this process. Without a `path`, nothing is kept.
    """

    def __init__(self, path: Path | None, train: Split, valid: Split, device: str = "cpu", workers: str = "none"):
        self.path, self._device, self._elsewhere = path, train.device, workers == "ray" and device != "cpu"
        self._given = [fingerprint(train), fingerprint(valid), code_digest(ROOMS)]
        self._by_key = read_finished(path) if path else {}

    def __contains__(self, config: Config) -> bool:
        return self._key(config) in self._by_key

    def __getitem__(self, config: Config) -> dict:
        """Return the result of a finished training."""
        return {name: value for name, value in self._by_key[self._key(config)].items() if name != "key"}

    def add(self, config: Config, result: dict):
        """Write the result of a training into the file."""
        row = {"key": self._key(config), **plain(result)}
        self._by_key[row["key"]] = row
        if self.path:
            append_json(self.path, row | {"digest": record_digest(row)})

    def _key(self, config: Config) -> str:
        """Return a hash of the settings and of what is given to all trainings; names and places do not count."""
        where = ["elsewhere"]
        if not self._elsewhere:
            where = [self._device.type, precision_used(self._device, config.precision)]
        content = json.dumps([settings(config), *self._given, *where], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def read_finished(path: Path) -> dict[str, dict]:
    """Return the finished trainings by key, without failed ones and those whose line was damaged or changed."""
    rows = {}
    for row in read_jsons(path):
        digest = row.pop("digest", None)
        if "key" in row and digest == record_digest(row):
            rows[row["key"]] = row
    return rows


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Lock the file; StudyError if another process has locked it. The lock ends with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{path}.lock", timeout=0):
            yield
    except Timeout as error:
        raise StudyError(
            f"Another process is writing its trainings into {path}. Wait until it ends, or stop it."
        ) from error
