"""Trainings on the workers of a Ray cluster, or on those of this machine (https://docs.ray.io)."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import helpers
from helpers.config import HOME
from helpers.data.batches import Split
from helpers.errors import StudyError
from helpers.system.devices import choose_device
from helpers.system.interrupts import Interruption
from helpers.system.progress import PLAIN
from helpers.system.workers import cores

RETRIES = 3  # of a training whose worker process or node died, or was killed for want of memory
MEMORY = 2**30  # bytes that a training needs besides the images, for PyTorch and a batch
SECONDS_TO_SAVE = 600  # for interrupted trainings: one that measures its network on a large valid split ends that first
SPARE_STORE = 200 * 2**20  # bytes of the object store besides the images: targets, names, code, results


def run_on_ray(
    jobs: Mapping, splits: tuple[Split, ...], device: str, gpus_per_trial: float
) -> Generator[tuple, None, None]:
    """Yield the name and the result of each job as `run_trials` does.

    The images are put into Ray's object store once; all workers of a node map the same copy. If this process is
    interrupted (SIGINT, SIGTERM) or the iterator is closed, the trainings finish their step, save their states and end.
    """
    interruption = Interruption()
    with connected(sum(split.images.nbytes for split in splits)) as ray:
        share = _gpu_share(ray, device, gpus_per_trial)
        train = ray.remote(num_cpus=1, num_gpus=share, max_retries=RETRIES)(_train)
        stored, running = [ray.put(_packed(split)) for split in splits], {}
        try:
            for name, job in jobs.items():
                if job.resume:
                    job.resume.parent.mkdir(parents=True, exist_ok=True)
                running[train.remote(job.train, job.resume, "cuda" if share else "cpu", *stored)] = name
            while running and not interruption.requested:
                with Interruption() as interruption:
                    ended = _first_ended(ray, list(running), interruption)
                for reference in ended:
                    yield running.pop(reference), _result(ray, reference)
        finally:
            _interrupt(ray, list(running))
    interruption.pass_on()


@contextlib.contextmanager
def connected(image_bytes: int) -> Iterator[Any]:
    """Yield the module `ray`, connected to the cluster that RAY_ADDRESS names, or to one that is started here.

    A cluster that is started here has as many CPU cores as this process may use and as memory allows, and room for
    `image_bytes` of images; it ends with the context. A connection that this process already has is used and left open.
    """
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    address, folder = os.environ.get("RAY_ADDRESS"), None
    options: dict[str, Any] = {"address": address}
    if not address:
        import psutil  # may be missing on a GPU node without Ray

        # In /tmp if possible: the names of Ray's sockets are long, and the system allows only 107 characters.
        folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp" if os.path.isdir("/tmp") else None)
        free = psutil.virtual_memory().available - image_bytes
        workers = max(1, min(cores(), free // MEMORY))
        options = {"address": "local", "num_cpus": workers, "include_dashboard": False, "_temp_dir": folder}
        options["object_store_memory"] = image_bytes + SPARE_STORE
        options["_system_config"] = {"task_oom_retries": RETRIES}  # without it, Ray tries again without end
    before = signal.getsignal(signal.SIGTERM)
    try:
        with _failure_explained(address):
            _refuse_unreachable(address)
            # The code travels with the trainings, so that every worker runs the code of this process.
            variables = {"CELEBA_STUDY_HOME": str(HOME), PLAIN: "1"}
            environment = {"py_modules": [helpers], "env_vars": variables}
            ray.init(runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR, **options)
        yield ray
    finally:
        ray.shutdown()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)  # Ray handles it by a SystemExit
        if folder:
            _clear(folder)


def _clear(folder: str):
    """End the processes that a failed start of Ray has left, and remove their folder."""
    import psutil  # may be missing on a GPU node without Ray

    started = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # one that has ended meanwhile
            if folder in " ".join(child.cmdline()):
                started += [child, *child.children(recursive=True)]
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(started, timeout=10)
    shutil.rmtree(folder, ignore_errors=True)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise StudyError(
            'workers="ray" needs the package ray, which is not installed here. Install it with pip install -e '
            '".[scale]", or choose workers="none".'
        ) from error
    return ray


def _refuse_unreachable(address: str | None):
    """Raise OSError if nothing answers at an address such as 10.0.0.5:6379, which Ray would try for many minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "://" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


@contextlib.contextmanager
def _failure_explained(address: str | None):
    """Turn any failure to start Ray or to connect to it into a StudyError."""
    try:
        yield
    except Exception as error:  # Ray raises many kinds, Exception itself among them
        reason = str(error).strip().partition("\n")[0]
        if address:
            raise StudyError(
                f"The Ray cluster at RAY_ADDRESS={address} cannot be used ({reason}). Start it as docs/scale.md "
                "describes, set RAY_AUTH_MODE=token if it asks for a token, or unset RAY_ADDRESS to train on this "
                "machine."
            ) from error
        raise StudyError(
            f'Ray could not be started on this machine ({reason}). Try again, or choose workers="none".'
        ) from error


def _gpu_share(ray: Any, device: str, gpus_per_trial: float) -> float:
    """Return the share of a GPU that each training asks for: 0 if it has to be trained on the CPU."""
    if device == "cpu" or not gpus_per_trial:
        return 0.0
    if ray.cluster_resources().get("GPU"):
        return gpus_per_trial
    if device == "cuda":
        raise StudyError('device="cuda" cannot be used: the Ray cluster has no GPU. Choose device="auto" or "cpu".')
    return 0.0


def _first_ended(ray: Any, running: list, interruption: Interruption) -> list:
    """Wait until a training has ended, and return it in a list; return an empty one after an interruption."""
    ended: list = []
    while not ended and not interruption.requested:
        ended, _ = ray.wait(running, timeout=0.5)
    return ended


def _interrupt(ray: Any, running: list):
    """Interrupt trainings as Ctrl-C would, and wait until their states are saved."""
    for reference in running:
        ray.cancel(reference)
    if running:
        ray.wait(running, num_returns=len(running), timeout=SECONDS_TO_SAVE)


def _result(ray: Any, reference: Any) -> Any:
    """Return what a training returned or raised; a RuntimeError if Ray could not train it."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, Exception) else error
        cause.add_note(str(error))  # the traceback on the worker
        return cause
    except ray.exceptions.RuntimeEnvSetupError as error:  # the same for all trainings
        return StudyError(f"Ray's workers could not be set up: {error}")
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
        reason = str(error).strip().partition("\n")[0]
        return RuntimeError(f"the workers that trained it died, {RETRIES + 1} times ({reason})")
    except ray.exceptions.RayError as error:
        return RuntimeError(f"Ray could not train it ({type(error).__name__}: {str(error).strip()})")


# On the workers


def _train(train: Callable, resume: Path | None, device: str, *stored: tuple) -> Any:
    """Train with one CPU thread, on the images of the object store.

    The state of the training is kept only if this node sees the folder for it, which is then on a shared file system.
    """
    torch.set_num_threads(1)
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        # Ray's workers start with SIGINT blocked: an interrupted training would save its state and then go on.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    splits = [_unpacked(*packed, choose_device(device)) for packed in stored]
    return train(*splits, resume=resume if resume and resume.parent.is_dir() else None)


def _packed(split: Split) -> tuple[str, np.ndarray, np.ndarray, list[str], np.ndarray | None]:
    return split.name, split.images.cpu().numpy(), split.targets.cpu().numpy(), split.names, split.identities


def _unpacked(name: str, images: np.ndarray, targets: np.ndarray, names, identities, device: torch.device) -> Split:
    """Return the split for a device; on the CPU, its images are those of the object store, which are read-only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nothing writes to the images
        shared = Split(name, torch.from_numpy(images), torch.tensor(targets), names, identities)
    return shared.to(device)
