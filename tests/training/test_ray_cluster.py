"""Ray in processes of its own: a node of a cluster dies and nothing is lost, an interrupted grid leaves no process."""

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch

from helpers.config import ROOT, Config
from helpers.training import grid

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),  # one Ray at a time
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra scale"),
    pytest.mark.skipif(sys.platform != "linux", reason="Ray's clusters are supported on Linux only"),
]

CONFIG = Config(batch_size=8, device="cpu")
AUTHENTICATION = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}  # without it, Ray writes one into the home
PROGRAM = """
import sys
from pathlib import Path
import torch
from helpers.config import Config
from helpers.data.batches import load_split
from helpers.data.celeba import open_dataset
from helpers.training import grid
folder, epochs, dropouts = Path(sys.argv[1]), int(sys.argv[2]), [float(value) for value in sys.argv[3:]]
import os
cpu, config = torch.device("cpu"), Config(batch_size=8, device=os.environ.get("DEVICE", "cpu"), max_epochs=epochs)
train, valid = (load_split(open_dataset("drawn"), name, cpu).subset(range(16)) for name in ("train", "valid"))
trials = grid.grid_trials(config, [0.001], [1e-5], [8], dropouts)
states = lambda name: folder / "resume" / f"{name}.pt"
table = grid.run_grid(trials, train, valid, folder / "grid.jsonl", resume=states, workers="ray")
table.to_pickle(folder / "table.pkl")
"""


@contextlib.contextmanager
def program(folder: Path, epochs: int, *dropouts: float, **variables: str):
    """Train a grid on Ray in a process of its own, which logs to a file beside the results."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CELEBA_STUDY_PLAIN": "1"} | AUTHENTICATION | variables
    command = [sys.executable, "-c", PROGRAM, folder, epochs, *dropouts]
    with (
        open(folder / "log", "w") as log,
        subprocess.Popen([*map(str, command)], env=environment, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition, seconds: float = 300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "this takes too long"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def cluster(*resources: str):
    """Start a cluster of two nodes with one CPU core each; yield its address and the process of the second node.

    `resources` are options of `ray start` for the first node.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    with contextlib.ExitStack() as started:
        # In /tmp, since the names of Ray's sockets are long
        folder = started.enter_context(tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp"))
        head = ("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}")
        started.enter_context(node(folder, *head, *resources))
        wait_until(lambda: is_open(port))
        yield address, started.enter_context(node(folder, f"--address={address}"))


def is_open(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def node(folder: str, *arguments: str):
    command = [str(Path(sys.executable).with_name("ray")), "start", *arguments, "--num-cpus=1", "--block"]
    command += ["--node-ip-address=127.0.0.1", "--disable-usage-stats"]
    options = {"env": os.environ | AUTHENTICATION, "stdin": subprocess.DEVNULL}
    with (
        open(f"{folder}/{arguments[0]}.log", "w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, **options) as process,
    ):
        try:
            yield process
        finally:
            kill(process)


def kill(node: subprocess.Popen):
    """Kill a node's processes, all at once as in a power cut."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def trained_here(splits, epochs: int, dropouts, folder: Path) -> pd.DataFrame:
    """Return the same grid, trained in this process with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train, valid = (splits[name].subset(range(16)) for name in ("train", "valid"))
        trials = grid.grid_trials(CONFIG.but(max_epochs=epochs), [0.001], [1e-5], [8], dropouts)
        return grid.run_grid(trials, train, valid, folder / "here.jsonl")
    finally:
        torch.set_num_threads(threads)


def test_a_grid_goes_to_its_end_while_a_node_dies_with_nothing_lost_and_nothing_twice(drawn, splits, tmp_path):
    dropouts = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    results = tmp_path / "grid.jsonl"
    with cluster() as (address, second), program(tmp_path, 24, *dropouts, RAY_ADDRESS=address) as driver:
        wait_until(results.exists)
        wait_until(lambda: any(map(trains, psutil.Process(second.pid).children(recursive=True))))
        kill(second)
        assert driver.poll() is None, "the grid ended before its node died"
        assert driver.wait(300) == 0, (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert sorted(line["dropout"] for line in lines) == list(dropouts)
    table, expected = pd.read_pickle(tmp_path / "table.pkl"), trained_here(splits, 24, dropouts, tmp_path)
    untimed = ["seconds", "history"]
    assert table.drop(columns=untimed).equals(expected.drop(columns=untimed))
    log = (tmp_path / "log").read_text()
    told = [line.partition(" lr")[0] for line in log.splitlines() if line.startswith("training")]
    assert told == [f"training {number}/6" for number in range(1, 7)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_training_that_is_given_a_gpu_which_cannot_be_used_says_so_and_is_not_done_on_the_cpu(drawn, tmp_path):
    with (
        cluster("--num-gpus=1") as (address, _),
        program(tmp_path, 1, 0.0, RAY_ADDRESS=address, DEVICE="auto") as driver,
    ):
        assert driver.wait(300) == 1
    assert 'device="cuda" cannot be used: ' in (tmp_path / "log").read_text()
    assert not (tmp_path / "grid.jsonl").exists()


def trains(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name().startswith("ray::_train")
    return False


def test_an_interrupted_grid_saves_its_trainings_and_leaves_no_process(drawn, tmp_path):
    with program(tmp_path, 1_000, 0.0) as driver:
        wait_until(lambda: list((tmp_path / "resume").glob("*.pt")))
        started = psutil.Process(driver.pid).children(recursive=True)
        assert any(trains(process) for process in started)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(30) == -signal.SIGTERM
    assert not psutil.wait_procs(started, timeout=10)[1]
    assert not (tmp_path / "log").read_text()
