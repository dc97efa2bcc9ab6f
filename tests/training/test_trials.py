"""Trainings one after the other: each result as it ends, a failure costs its own training, a user's mistake stops all."""

import functools
import importlib
import sys

import pytest

from helpers.errors import StudyError
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


def test_ray_is_imported_only_when_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    importlib.reload(ray_workers)
    assert dict(run_trials(jobs(1), ([],))) == {1: 2}
    assert not list(run_trials({}, (), workers="ray"))  # a finished grid needs no cluster
