"""Trainings on Ray: the same bits, the images once per machine, no training lost with its worker, no process left."""

import contextlib
import functools
import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from helpers.config import Config
from helpers.data.batches import Split
from helpers.errors import StudyError
from helpers.training import grid, ray_workers
from helpers.training.loop import fit_seeds
from helpers.training.trials import Job, run_trials

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),  # one Ray at a time
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra scale"),
]

CONFIG = Config(max_epochs=2, batch_size=8, channels_block3=8, device="cpu", dropout=0.2)
WORKERS = 4
IMAGES = 16_384  # of 12 kB: 201 MB


@pytest.fixture(scope="module", autouse=True)
def ray():
    """Ray on this machine, started once for the tests of this file."""
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import the tests
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_workers, "cores", lambda: WORKERS)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)  # without it, Ray writes one into the home
        with contextlib.ExitStack() as connection:
            try:
                connection.enter_context(ray_workers.connected(IMAGES * 12_288))
            except StudyError as error:
                if "timed out during startup" in str(error):  # Ray waits for 30 seconds and cannot be told otherwise
                    pytest.skip("this machine is too busy to start Ray")
                raise
            yield ray


@pytest.fixture(autouse=True)
def one_thread():
    """As on the workers: another number of threads adds numbers in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def few(splits):
    return splits["train"].subset(range(24)), splits["valid"].subset(range(12))


def without_times(table):
    return table.drop(columns=["seconds", "history"])


def test_a_grid_has_the_same_bits_as_one_by_one(few, tmp_path):
    trials = grid.grid_trials(CONFIG, [0.001, 0.005], [1e-5], [8], [0.0, 0.2])
    here = grid.run_grid(trials, *few, tmp_path / "here.jsonl")
    names = []
    record = lambda name: lambda row: names.append(name)  # noqa: E731
    there = grid.run_grid(trials, *few, tmp_path / "ray.jsonl", record, workers="ray")
    assert without_times(there).equals(without_times(here))
    assert sorted(names) == sorted(2 * list(here["name"]))  # of each trial, the history of its own two epochs


def test_seeds_have_the_same_bits_and_order_as_one_by_one(few):
    assert fit_seeds([44, 43], *few, CONFIG, workers="ray").equals(fit_seeds([44, 43], *few, CONFIG))


def held_images(folder: Path, split, resume=None) -> tuple[int, int]:
    """Read all images, and return how many bytes of them this process maps, and its own part of that memory."""
    assert int(split.images.sum()) == IMAGES
    meet(folder / "read")
    address, held = split.images.data_ptr(), None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first:
            begin, end = (int(number, 16) for number in first.split("-"))
            held = {} if begin <= address < end else None
        elif held is not None and first in ("Rss:", "Pss:"):
            held[first] = int(rest.split()[0]) * 1024
            if len(held) == 2:
                break
    meet(folder / "measured")  # a worker that ended would leave its part of the memory to the others
    return held["Rss:"], held["Pss:"]


def meet(folder: Path):
    """Wait until all workers are here."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(os.getpid())).touch()
    end = time.monotonic() + 120
    while len(list(folder.iterdir())) < WORKERS:
        assert time.monotonic() < end, "not all workers have come"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's account of memory")
def test_four_workers_hold_the_images_once(few, tmp_path):
    images = torch.zeros(IMAGES, 3, 64, 64, dtype=torch.uint8)
    images[:, 0, 0, 0] = 1
    split = Split("train", images, torch.zeros(IMAGES, 5), [""] * IMAGES, None)
    jobs = {number: Job(functools.partial(held_images, tmp_path)) for number in range(WORKERS)}
    results = [result for _, result in run_trials(jobs, (split,), "cpu", "ray")]
    assert all(mapped >= images.nbytes for mapped, _ in results), results
    assert sum(part for _, part in results) < 1.3 * images.nbytes, results


def die(folder: Path, times: int, split, resume=None) -> str:
    """Kill this worker, unless that was done so many times."""
    died = len(list(folder.iterdir()))
    if died < times:
        (folder / str(died)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return f"survived {died}"


def test_a_training_whose_worker_dies_is_done_again_and_one_that_kills_each_worker_is_a_failure(
    few, tmp_path, monkeypatch
):
    monkeypatch.setattr(ray_workers, "RETRIES", 1)
    jobs = {}
    for times in (0, 1, 9):
        (tmp_path / str(times)).mkdir()
        jobs[times] = Job(functools.partial(die, tmp_path / str(times), times))
    results = dict(run_trials(jobs, few[:1], "cpu", "ray"))
    assert results[0] == "survived 0" and results[1] == "survived 1"
    assert str(results[9]).startswith("the workers that trained it died, 2 times (")


def fail(error: Exception, split, resume=None):
    raise error


def test_a_failure_on_a_worker_is_that_of_one_by_one(few):
    failing = {"bad": Job(functools.partial(fail, ValueError("no labels")))}
    ((_, error),) = run_trials(failing, few[:1], "cpu", "ray")
    assert repr(error) == "ValueError('no labels')" and "in fail" in error.__notes__[0]
    mistake = {"bad": Job(functools.partial(fail, StudyError("too large")))}
    with pytest.raises(StudyError, match="too large"):
        list(run_trials(mistake, few[:1], "cpu", "ray"))


def test_an_interruption_saves_what_is_trained_and_the_next_call_ends_with_the_same_bits(few, tmp_path):
    config, states = CONFIG.but(max_epochs=8), tmp_path / "resume"
    call = functools.partial(fit_seeds, [43, 44], *few, config, None, lambda name: states / f"{name}.pt", "ray")

    def interrupt_when_trained():
        while len(list(states.glob("*.pt"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_trained).start()
    with pytest.raises(KeyboardInterrupt):
        call()
    saved = [path.stat().st_mtime_ns for path in sorted(states.iterdir())]
    time.sleep(0.5)
    assert saved == [path.stat().st_mtime_ns for path in sorted(states.iterdir())]  # nothing is trained any more
    assert call().equals(fit_seeds([43, 44], *few, config))
