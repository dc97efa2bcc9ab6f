"""Work shared out among processes, its results in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice

AHEAD = 2  # tasks a worker may be ahead of the one whose result is wanted: enough to keep it busy

MOST = 32  # one process gathers the results of all


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_for(images: int) -> int:
    """Return how many workers reading so many images is worth: starting them takes a second or two."""
    return min(cores(), MOST) if images >= 4_000 else 1


def in_order(function: Callable, tasks: Iterable, workers: int) -> Iterator:
    """Yield function(task) for each task, in order, computed by `workers` processes.

    At most `AHEAD` tasks a worker are taken from `tasks` before their results are asked for. One worker is
    this process; so it is where processes cannot be started, and for the rest where one of them is killed.
    `function` must be importable: a worker imports its module, so that module's imports are what a worker
    costs. An exception in it is raised here.
    """
    tasks, waiting = iter(tasks), deque()
    if workers > 1:
        # Spawned on every system: a fork of a process in which torch or Jupyter has threads may hang.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, _start_worker)
        try:
            yield from _from_pool(pool, function, tasks, waiting, AHEAD * workers)
        except (BrokenProcessPool, OSError):
            pass
        finally:
            pool.shutdown(cancel_futures=True)
    yield from map(function, chain((task for task, _ in waiting), tasks))


def _from_pool(pool: ProcessPoolExecutor, function: Callable, tasks: Iterator, waiting: deque, ahead: int) -> Iterator:
    """Yield the results; `waiting` holds the tasks without one, also when the pool breaks."""
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
    """Leave an interrupt to the parent, and leave when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
