"""The journal of a run, run.json: its commands, and what each notebook was executed with and how it ended."""

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.config import HOME, NOTEBOOKS
from helpers.data.celeba import Dataset
from helpers.errors import Interrupted, StudyError
from helpers.system.files import file_md5
from helpers.system.provenance import HELPERS, code_digest, in_shell, now
from helpers.system.records import file_digest, read_record, relative, write_record

NOT_USED = {"cli", "report", "__main__.py", "__pycache__"}  # by notebooks, except for `report` by some of them


class Journal:
    """The file runs/<run_name>/run.json, which is written as a whole after every notebook.

    A journal that cannot be read is kept beside the new one, as run.json.damaged; every notebook is executed then.
    """

    def __init__(self, folder: Path, profile: str):
        self.folder, self.path = folder, folder / "run.json"
        kept = self._read()
        command = in_shell(["python", "-m", "helpers", *sys.argv[1:]])
        self.notebooks: dict[str, dict[str, Any]] = kept.get("notebooks", {})
        self.commands = [*kept.get("commands", []), {"command": command, "arguments": sys.argv[1:], "started": now()}]
        self.profile = profile

    def why_execute(self, notebook: str, inputs: dict[str, Any]) -> str:
        """Return why a notebook has to be executed, in words; "" if it is done and nothing it depends on changed."""
        entry = self.notebooks.get(notebook, {})
        if entry.get("status") != "done" or "inputs" not in entry:
            return "was interrupted" if entry.get("status") == "interrupted" else "is not done"
        before, after = entry["inputs"], inputs
        names = [name for name in after["parameters"] if before["parameters"].get(name) != after["parameters"][name]]
        changed = [f"the parameter {name}" for name in names]
        changed += [what for what in ("data", "notebook", "code") if before.get(what) != after[what]]
        changed += [path for path, digest in {**entry["read"], **entry["made"]}.items() if _digest(path) != digest]
        return f"depends on what has changed: {', '.join(changed)}" if changed else ""

    @contextlib.contextmanager
    def timed(self, notebook: str, inputs: dict[str, Any]):
        """Write how a notebook that is executed in this context ended, and what it was executed with."""
        started, entry = time.perf_counter(), {"status": "failed"}
        self._write(notebook, {"status": "interrupted", "started": now()})  # stands if this process is killed
        try:
            yield
            entry = {"status": "done", "inputs": inputs, **self._files(notebook)}
        except (Interrupted, KeyboardInterrupt):
            entry = {"status": "interrupted"}
            raise
        finally:
            seconds = round(time.perf_counter() - started, 1)
            self._write(notebook, entry | {"seconds": seconds, "ended": now()})

    def _write(self, notebook: str, entry: dict[str, Any]):
        self.notebooks[notebook] = entry
        content = {"profile": self.profile, "commands": self.commands, "notebooks": self.notebooks}
        write_record(self.path, content)

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {}
        try:
            return read_record(self.path)
        except StudyError:
            self.path.replace(self.path.with_name("run.json.damaged"))
            print("The run's journal, run.json, was damaged. It is kept as run.json.damaged, and a new one begins.")
            return {}

    def _files(self, notebook: str) -> dict[str, dict[str, str]]:
        """Return the digests of the files that a notebook read and made, its own results among them."""
        results = self.folder / "results" / f"{notebook}.json"
        if not results.is_file():
            return {"read": {}, "made": {}}
        files = read_record(results)["files"]
        return {"read": files["read"], "made": files["made"] | {relative(results): file_digest(results)}}


def inputs_of(notebook: str, parameters: dict[str, Any], data: str) -> dict[str, Any]:
    """Return what the result of a notebook depends on, besides the files that it reads.

    `data` is the result of `describe_data`. The code is that of the notebook and of the rooms of `helpers` it may use.
    """
    path = NOTEBOOKS / f"{notebook}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    rooms = sorted(part.name for part in HELPERS.iterdir() if part.name not in NOT_USED)
    used = (*rooms, "report") if "report" in code else tuple(rooms)
    return {"parameters": parameters, "data": data, "notebook": file_md5(path), "code": code_digest(used)}


def describe_data(dataset: Dataset) -> str:
    """Return a digest of a dataset's images and labels."""
    rows = pd.util.hash_pandas_object(dataset.annotations)
    return f"{dataset.fingerprint}-{int(rows.sum()) % 2**64:016x}"


def _digest(path: str) -> str:
    try:
        return file_digest(HOME / path)
    except Exception:
        return "damaged"
