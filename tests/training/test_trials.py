"""Trainings one after the other: each result as it ends, a failure costs its own training, a mistake stops all."""

import functools
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from helpers.errors import OutOfMemory, StudyError
from helpers.training import ray_workers
from helpers.training.trials import Job, run_trials


def double(number, split, resume=None):
    return 2 * number + len(split)


def fail(error, split, resume=None):
    raise error


def jobs(*numbers):
    return {number: Job(functools.partial(double, number)) for number in numbers}


def test_each_result_comes_as_soon_as_its_training_ends():
    trained = []

    def train(split, resume):
        trained.append(split)
        return "done"

    results = run_trials({"a": Job(train), "b": Job(train)}, ("split",))
    assert next(results) == ("a", "done") and trained == ["split"]
    assert list(results) == [("b", "done")]


def test_a_failure_is_given_in_place_of_its_result_with_the_place_where_it_happened():
    failing = {"bad": Job(functools.partial(fail, RuntimeError("CUDA out of memory")))}
    (_, error), (_, result) = run_trials(failing | jobs(3), ([],))
    assert str(error) == "CUDA out of memory" and "in fail" in error.__notes__[0] and result == 6
    assert error.__traceback__ is None  # its frames would keep the network in memory


def test_a_mistake_of_the_user_stops_all_trainings():
    results = run_trials({"bad": Job(functools.partial(fail, StudyError("too large")))} | jobs(3), ([],))
    with pytest.raises(StudyError, match="too large"):
        next(results)
    assert not list(results)


def test_a_gpu_that_is_too_small_for_one_training_is_not_too_small_for_all():
    failing = {"large": Job(functools.partial(fail, OutOfMemory("try batch_size = 32")))}
    (_, error), (_, result) = run_trials(failing | jobs(3), ([],))
    assert isinstance(error, OutOfMemory) and result == 6


def test_a_mistake_of_the_user_ends_the_trainings_on_ray_at_once(monkeypatch):
    ended = []

    def run_on_ray(*given):
        try:
            yield "bad", StudyError("too large")
        finally:
            ended.append(True)

    monkeypatch.setattr(ray_workers, "run_on_ray", run_on_ray)
    with pytest.raises(StudyError, match="too large") as caught:
        list(run_trials(jobs(1), (), workers="ray"))
    assert ended, caught.traceback  # although the traceback still holds the iterator


def test_the_state_of_a_training_is_kept_where_its_job_says(tmp_path):
    def train(resume):
        return resume

    assert dict(run_trials({1: Job(train, tmp_path / "1.pt")}, ())) == {1: tmp_path / "1.pt"}


def test_other_workers_are_refused():
    with pytest.raises(StudyError, match="workers='dask' is out of range; it must be one of 'none', 'ray'"):
        list(run_trials(jobs(1), ([],), workers="dask"))


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StudyError, match=r'pip install -e "\.\[scale\]"'):
        list(run_trials(jobs(1), (), workers="ray"))


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    pytest.importorskip("ray", reason="needs the extra scale")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(StudyError, match=r"The Ray cluster at RAY_ADDRESS=127\.0\.0\.1:1 cannot be used \("):
        list(run_trials(jobs(1), (), workers="ray"))


def test_a_start_of_ray_that_fails_leaves_no_process_and_no_folder(monkeypatch):
    started = []

    def init(_temp_dir, **options):
        command = [sys.executable, "-c", "import time; time.sleep(600)", _temp_dir]
        started.append((_temp_dir, subprocess.Popen(command)))
        raise Exception("The current node timed out during startup.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray = SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(StudyError, match=r"Ray could not be started on this machine \(The current node timed out"):
        list(run_trials(jobs(1), (), workers="ray"))
    ((folder, process),) = started
    assert not psutil.pid_exists(process.pid) and not Path(folder).exists()


@pytest.mark.parametrize(
    ("gpus", "device", "gpus_per_trial", "share"),
    [(2, "auto", 0.25, 0.25), (2, "cuda", 1.0, 1.0), (2, "cpu", 1.0, 0), (2, "auto", 0.0, 0), (0, "auto", 1.0, 0)],
)
def test_a_training_asks_for_its_share_of_a_gpu_where_there_is_one(gpus, device, gpus_per_trial, share):
    cluster = SimpleNamespace(cluster_resources=lambda: {"CPU": 2.0} | ({"GPU": float(gpus)} if gpus else {}))
    assert ray_workers._gpu_share(cluster, device, gpus_per_trial) == share


def test_a_gpu_that_no_machine_of_the_cluster_has_is_an_error():
    with pytest.raises(StudyError, match="the Ray cluster has no GPU"):
        ray_workers._gpu_share(SimpleNamespace(cluster_resources=dict), "cuda", 0.25)


def test_ray_is_imported_only_when_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    importlib.reload(ray_workers)
    assert dict(run_trials(jobs(1), ([],))) == {1: 2}
    assert not list(run_trials({}, (), workers="ray"))  # a finished grid needs no cluster


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        ("RuntimeEnvSetupError", StudyError, "could not be set up: Failed to .*no disk is left"),
        ("WorkerCrashedError", RuntimeError, "the workers that trained it died, 4 times"),
        ("OutOfMemoryError", RuntimeError, r"Ray could not train it \(OutOfMemoryError: no disk is left"),
    ],
)
def test_what_ray_could_not_do_is_told_as_what_it_is(raised, kind, said):
    ray = pytest.importorskip("ray", reason="needs the extra scale")
    error = getattr(ray.exceptions, raised)
    failing = error() if raised == "WorkerCrashedError" else error("no disk is left")

    def get(reference):
        raise failing

    found = ray_workers._result(SimpleNamespace(get=get, exceptions=ray.exceptions), None)
    assert type(found) is kind and re.search(said, str(found).replace("\n", " "))
