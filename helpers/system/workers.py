"""Parallel processes that return their results in order."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice

AHEAD = 2  # tasks per worker that are submitted ahead of the next result, which keeps the workers busy
MOST = 32  # workers; one process collects the results of all of them


def cores() -> int:
    """Return the number of CPU cores that this process may use; in a container, its quota counts too."""
    try:
        from joblib import cpu_count  # here, since the import takes a worker process a quarter of a second
    except ImportError:  # on a GPU node that has little else than torch
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpu_count()


def workers_for(images: int) -> int:
    """Return the number of workers to read `images` images; for few images one, as starting processes takes seconds."""
    return min(cores(), MOST) if images >= 4_000 else 1


def in_order(function: Callable, tasks: Iterable, workers: int) -> Iterator:
    """Yield function(task) for each task, in order, computed by `workers` processes.

    At most `AHEAD` tasks per worker are taken from `tasks` before their results are requested. With one worker, this
    process does the work. It also does all of it if processes cannot be started, and the rest of it if one is killed.
    `function` must be importable; each worker imports its module, so that module should import little. Exceptions of
    `function` are raised here.
    """
    tasks, waiting = iter(tasks), deque()
    if workers > 1:
        # Spawned on every system: forking a process in which PyTorch or Jupyter has threads may hang.
        context = multiprocessing.get_context("spawn")
        try:
            with _pool(workers, context) as pool:
                yield from _from_pool(pool, function, tasks, waiting, AHEAD * workers)
        except (BrokenProcessPool, OSError):
            pass  # such as an unwritable /dev/shm, where the pool's locks lie
    yield from map(function, chain((task for task, _ in waiting), tasks))


@contextlib.contextmanager
def _pool(workers: int, context) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(workers, context, _start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _from_pool(pool: ProcessPoolExecutor, function: Callable, tasks: Iterator, waiting: deque, ahead: int) -> Iterator:
    """Yield the results in order; `waiting` has the tasks without a result, also if the pool breaks."""
    while True:
        for task in islice(tasks, ahead - len(waiting)):
            waiting.append((task, None))
            waiting[-1] = task, pool.submit(function, task)
        if not waiting:
            return
        result = waiting[0][1].result()
        waiting.popleft()
        yield result


def _start_worker():
    """Ignore interrupts, which the parent handles, and end this process when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
