"""Trainings that do not depend on each other: one after the other in this process, or in parallel on Ray."""

import contextlib
import traceback
from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from helpers.config import check_parameter
from helpers.data.batches import Split
from helpers.errors import OutOfMemory, StudyError

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Job:
    """One training: `train(*splits, resume=resume)` trains and returns its result.

    `resume` is the file for the state of the training, as for `fit`. For Ray, `train` and its result must be picklable.
    """

    train: Callable[..., Any]
    resume: Path | None = None


def run_trials(
    jobs: Mapping[Name, Job],
    splits: tuple[Split, ...],
    device: str = "auto",
    workers: str = "none",
    gpus_per_trial: float = 1.0,
) -> Generator[tuple[Name, Any], None, None]:
    """Yield the name and the result of each training as soon as it ends; one that fails has its exception as result.

    With `workers` "none", the trainings run in this process, one after the other. With "ray", they run in parallel on
    the Ray cluster that the environment variable RAY_ADDRESS names, or else on this machine; each has one CPU core and
    one thread, and the share `gpus_per_trial` of a GPU if `device` allows it and the cluster has one. Close the
    iterator when it is not read to its end: this interrupts the trainings on Ray. Raises StudyError if a training
    raises it, since it is a mistake that all trainings share (but for too little memory of a GPU), and if Ray cannot be
    used.
    """
    check_parameter("workers", workers)
    if workers == "none" or not jobs:
        results = ((name, _result(job, splits)) for name, job in jobs.items())
    else:
        from helpers.training.ray_workers import run_on_ray  # here, since Ray is needed only if it is asked for

        results = run_on_ray(jobs, splits, device, check_parameter("gpus_per_trial", gpus_per_trial))
    with contextlib.closing(results):
        for name, result in results:
            if isinstance(result, StudyError) and not isinstance(result, OutOfMemory):
                raise result
            yield name, result


def _result(job: Job, splits: tuple[Split, ...]) -> Any:
    """Train, and return the result or the exception."""
    try:
        return job.train(*splits, resume=job.resume)
    except Exception as error:  # any kind: out of memory, a CUDA error, a bug that only one trial shows
        # The frames of the tracebacks would keep the network in memory, so the exception has their text only.
        error.add_note(traceback.format_exc())
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
