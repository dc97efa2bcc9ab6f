"""Work shared out among processes: in order, not too far ahead, and done whatever happens to them."""

import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.config import ROOT
from helpers.errors import StudyError
from helpers.system import workers
from helpers.system.workers import AHEAD, in_order

ME = os.getpid()


def square(number: int) -> int:
    return number * number


def slow_if_even(number: int) -> tuple[int, int]:
    time.sleep(0.02 if number % 2 == 0 else 0)
    return number, os.getpid()


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise StudyError("seven")
    return number


def die_at_seven(number: int) -> int:
    if number == 7 and os.getpid() != int(os.environ["THE_PARENT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@given(st.lists(st.integers(), max_size=20))
def test_one_worker_is_this_process(numbers):
    assert list(in_order(square, numbers, 1)) == [n * n for n in numbers]


def test_results_come_in_order_from_other_processes():
    found = list(in_order(slow_if_even, range(40), 2))
    assert [number for number, _ in found] == list(range(40))
    assert len({pid for _, pid in found}) == 2 and ME not in {pid for _, pid in found}


def test_where_the_locks_of_processes_cannot_be_made_this_process_does_the_work(monkeypatch):
    """As where /dev/shm cannot be written."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "/dev/shm")

    monkeypatch.setattr("multiprocessing.synchronize._multiprocessing.SemLock", refuse)
    assert list(in_order(square, range(9), 2)) == [n * n for n in range(9)]


@pytest.mark.slow
def test_tasks_are_taken_as_they_are_wanted():
    taken = []
    results = in_order(square, (taken.append(n) or n for n in range(100)), 2)
    for number in range(5):
        next(results)
        assert len(taken) <= number + 1 + AHEAD * 2
    results.close()


@pytest.mark.slow
def test_an_error_in_a_worker_is_raised_here_after_the_results_before_it():
    results = in_order(fail_at_seven, range(20), 2)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(StudyError, match="seven"):
        next(results)


@pytest.mark.slow
def test_the_work_of_a_worker_that_is_killed_is_done_here(monkeypatch):
    monkeypatch.setenv("THE_PARENT", str(ME))
    assert list(in_order(die_at_seven, range(20), 2)) == list(range(20))


def test_where_no_process_can_be_started_the_work_is_done_here(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(workers.ProcessPoolExecutor, "submit", refuse)
    assert list(in_order(square, range(20), 2)) == [n * n for n in range(20)]


def test_few_images_are_not_worth_a_worker():
    assert workers.workers_for(300) == 1
    assert workers.workers_for(202_599) == min(workers.cores(), workers.MOST)


def test_the_cores_are_those_of_the_process_and_joblib_is_not_needed_to_count_them(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # as a container's quota does
    assert workers.cores() == 1
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert 1 <= workers.cores() <= os.cpu_count()


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="asks /proc which processes live")
@pytest.mark.slow
def test_workers_leave_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
        "from helpers.system.workers import in_order\n"
        "from system.test_workers import slow_if_even\n"
        "if __name__ == '__main__':\n"
        "    for number, pid in in_order(slow_if_even, range(10**6), 2):\n"
        "        print(pid, flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    pids = {int(parent.stdout.readline()) for _ in range(20)}
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pids and not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
