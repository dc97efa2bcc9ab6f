"""Run the whole study: execute the notebooks in order with papermill."""

import contextlib
import shutil
import signal
import sys
from pathlib import Path

import papermill
import psutil
from filelock import FileLock, Timeout
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError

from helpers.cli.journal import Journal, describe_data, inputs_of
from helpers.cli.kernels import KERNEL, Kernels, refuse_other_kernel, stop_kernel
from helpers.cli.planning import Study, plan
from helpers.config import NOTEBOOKS, RUNS, check_parameter
from helpers.data.cache import prepare
from helpers.data.celeba import open_dataset
from helpers.errors import Interrupted, StudyError
from helpers.run import RESUME
from helpers.system.devices import choose_device
from helpers.system.files import WHEN_UNWRITABLE
from helpers.system.interrupts import Interruption

CONTINUE = "Run the same command again: it continues from there."
START_TIMEOUT = 600  # seconds in which a kernel has to answer: it imports first, which is slow on a busy machine


def run_study(study: Study, kernels: Kernels) -> Path:
    """Run the notebooks that are not done yet and return the run's folder.

    The parameters, the device and the dataset are checked first. A notebook is done if it was executed with the same
    parameters, data and code, and if no file that it read or made has changed since. Raises StudyError if something is
    wrong or if a notebook fails, which stops the run; the executed copy of the notebook contains the traceback. Raises
    Interrupted if the run is told to end. One of the `kernels` is left waiting for the report unless a single notebook
    was asked for.
    """
    parameters = plan(study)
    run_name = check_parameter("run_name", study.run_name or study.profile)
    folder = RUNS / run_name
    with run_lock(folder):
        first = next(iter(parameters.values()))
        choose_device(first["device"])
        refuse_other_kernel()
        kernels.start()  # the first notebook's, while the dataset is prepared
        dataset = open_dataset(first["data_root"], first["allow_missing"])
        prepare(dataset)
        if study.fresh:
            forget_trainings(folder)
        journal, data = Journal(folder, study.profile), describe_data(dataset)
        for number, (notebook, values) in enumerate(parameters.items(), start=1):
            inputs = inputs_of(notebook, values, data)
            asked = study.fresh or notebook in (study.only, study.start)
            reason = "was asked for" if asked else journal.why_execute(notebook, inputs)
            state = f"it {reason}" if reason else "done before, and nothing that it depends on has changed"
            print(f"\n── {notebook} ({number}/{len(parameters)}): {state}", flush=True)
            if reason:
                with journal.timed(notebook, inputs):
                    stopped = execute(notebook, values, folder, kernels.take(last=bool(study.only)))
                if stopped:  # between two cells, where a kernel ignores the signal
                    raise Interrupted(stopped, f"The run was interrupted after {notebook}. {CONTINUE}")
    return folder


def forget_trainings(folder: Path):
    """Remove the saved states of a run's trainings, and its finished trials and seeds, so that all are done again."""
    shutil.rmtree(folder / RESUME, ignore_errors=True)
    for name in ("grid.jsonl", "seeds.jsonl"):
        (folder / "results" / name).unlink(missing_ok=True)


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


def execute(notebook: str, parameters: dict, folder: Path, kernel: AsyncKernelManager) -> int | None:
    """Execute one notebook into the run's folder, and end its kernel; the output is printed and written to logs/.

    Raises Interrupted if this process gets SIGINT or SIGTERM: the notebook then saves its training first. Returns the
    number of the signal if the notebook was executed to its end all the same, else None.
    """
    executed = folder / f"{notebook}.ipynb"
    with _ended(kernel), _log(folder / "logs" / f"{notebook}.log") as log, _Told(kernel) as told:
        try:
            papermill.execute_notebook(
                str(NOTEBOOKS / f"{notebook}.ipynb"),
                str(executed),
                parameters=parameters,
                kernel_name=KERNEL,
                km=kernel,
                start_timeout=START_TIMEOUT,
                progress_bar=False,
                stdout_file=_Tee(sys.stdout, log),
                stderr_file=log,
            )
        except Exception as error:
            if told.requested:
                raise Interrupted(told.requested, f"{notebook} was interrupted. {CONTINUE}") from error
            raise _explained(error, notebook, executed) from error
    return told.requested


@contextlib.contextmanager
def _log(path: Path):
    """Open a log for writing; StudyError if it cannot be written, which a full disk may tell only at the end."""
    try:
        path.parent.mkdir(exist_ok=True)
        with open(path, "w", encoding="utf-8") as log:
            yield log
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror or error}). {WHEN_UNWRITABLE}") from error


def _explained(error: Exception, notebook: str, executed: Path) -> Exception:
    """Return the error that tells the user why a notebook's execution failed."""
    if isinstance(error, papermill.PapermillExecutionError):
        return StudyError(
            f"{notebook} failed: {error.ename}: {error.evalue}\n"
            f"The traceback is in the executed copy: {executed}\n"
            "Correct the error, then run the same command again: it continues from there."
        )
    if isinstance(error, DeadKernelError):
        return StudyError(
            f"{notebook} failed: its kernel died, probably because memory ran out. The executed copy up to there is "
            f"{executed}. Run the same command again: it continues from there."
        )
    if isinstance(error, OSError):
        return StudyError(f"{executed} cannot be written ({error.strerror or error}). {WHEN_UNWRITABLE}")
    return error


@contextlib.contextmanager
def _ended(kernel: AsyncKernelManager):
    """End a kernel at the end of this context."""
    try:
        yield
    finally:
        stop_kernel(kernel)


class _Told(Interruption):
    """Within this context, SIGINT and SIGTERM interrupt the kernel that executes a notebook, which ends its step."""

    def __init__(self, kernel: AsyncKernelManager):
        super().__init__()
        self.kernel = psutil.Process(kernel.provisioner.pid)

    def _note(self, number: int, frame):
        super()._note(number, frame)
        with contextlib.suppress(psutil.Error):
            self.kernel.send_signal(signal.SIGINT)


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
