"""Run the whole study: execute the notebooks in order with papermill."""

import contextlib
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import papermill
from filelock import FileLock, Timeout

from helpers.cli.planning import Study, plan
from helpers.config import NOTEBOOKS, ROOT, RUNS, check_parameter
from helpers.data.cache import prepare
from helpers.data.celeba import open_dataset
from helpers.errors import StudyError
from helpers.system import progress
from helpers.system.devices import choose_device
from helpers.system.files import write_text


def run_study(study: Study) -> Path:
    """Run the notebooks and return the run's folder.

    The parameters, the device and the dataset are checked first. Raises StudyError if one of them is wrong or if a
    notebook fails, which stops the run; the executed copy of the notebook contains the traceback.
    """
    parameters = plan(study)
    run_name = check_parameter("run_name", study.run_name or study.profile)
    folder = RUNS / run_name
    with run_lock(folder):
        first = next(iter(parameters.values()))
        choose_device(first["device"])
        prepare(open_dataset(first["data_root"], first["allow_missing"]))
        journal = Journal(folder, study)
        for number, (notebook, values) in enumerate(parameters.items(), start=1):
            print(f"\n── {notebook} ({number}/{len(parameters)})", flush=True)
            with journal.timed(notebook):
                execute(notebook, values, folder)
    return folder


@contextlib.contextmanager
def run_lock(folder: Path):
    """Lock the run's folder; StudyError if another run of the same name has locked it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StudyError(
            f"A run named {folder.name!r} is going on. Wait until it ends, or choose another --run-name."
        ) from error
    except OSError as error:
        raise StudyError(f"The run folder {folder} cannot be written ({error.strerror or error}).") from error
    try:
        yield
    finally:
        lock.release()


def execute(notebook: str, parameters: dict, folder: Path):
    """Execute one notebook into the run's folder; its output is printed and also written to logs/."""
    (folder / "logs").mkdir(exist_ok=True)
    executed = folder / f"{notebook}.ipynb"
    with open(folder / "logs" / f"{notebook}.log", "w", encoding="utf-8") as log, _plain_progress():
        try:
            papermill.execute_notebook(
                str(NOTEBOOKS / f"{notebook}.ipynb"),
                str(executed),
                parameters=parameters,
                kernel_name="python3",
                cwd=str(ROOT),
                progress_bar=False,
                stdout_file=_Tee(sys.stdout, log),
                stderr_file=log,
                extra_arguments=["--log-level=40"],  # hides the kernel's warning about TCP
            )
        except OSError as error:
            raise StudyError(f"{executed} cannot be written ({error.strerror or error}).") from error
        except papermill.PapermillExecutionError as error:
            raise StudyError(
                f"{notebook} failed: {error.ename}: {error.evalue}\n"
                f"The traceback is in the executed copy: {executed}\n"
                f"Correct the error, then continue with the same command and --from {notebook}."
            ) from error


class _Tee:
    """A text stream that writes to several streams."""

    def __init__(self, *streams):
        self.streams = streams

    def write(self, text: str):
        for stream in self.streams:
            stream.write(text)

    def flush(self):
        for stream in self.streams:
            stream.flush()


@contextlib.contextmanager
def _plain_progress():
    """Make the kernels started in this context print lines instead of progress bars."""
    kept = dict(os.environ)
    os.environ[progress.PLAIN] = "1"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


class Journal:
    """The file runs/<run_name>/run.json: the commands, and the status and time of each notebook."""

    def __init__(self, folder: Path, study: Study):
        self.path = folder / "run.json"
        kept = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}
        command = "python -m helpers " + " ".join(sys.argv[1:])
        self.content = {
            "profile": study.profile,
            "commands": [*kept.get("commands", []), {"command": command, "started": _now()}],
            "notebooks": kept.get("notebooks", {}),
        }

    @contextlib.contextmanager
    def timed(self, notebook: str):
        """Write the status, the seconds and the end of a notebook that is executed in this context."""
        started = time.perf_counter()
        status = "failed"
        try:
            yield
            status = "done"
        finally:
            seconds = round(time.perf_counter() - started, 1)
            self.content["notebooks"][notebook] = {"status": status, "seconds": seconds, "ended": _now()}
            write_text(self.path, json.dumps(self.content, indent=1, ensure_ascii=False))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
