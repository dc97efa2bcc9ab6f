"""What the tests share: a home of their own, so that nothing of the user's is touched, and a few drawn faces."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

HOME = Path(tempfile.mkdtemp(prefix="celeba-study-tests-"))
os.environ["CELEBA_STUDY_HOME"] = str(HOME)  # before helpers is imported; the kernels inherit it
for name, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("GOMP_SPINCOUNT", "10000")):
    os.environ.setdefault(name, value)  # as the command line sets them; faster where cores are shared
# The folder of a real copy is asked for by this name, so that no test depends on it unawares. The processes that
# pytest-xdist starts get it from the first one under a name of its own.
REAL = os.environ.pop("CELEBA_ROOT", "") or os.environ.get("CELEBA_TESTS_REAL", "")
os.environ["CELEBA_TESTS_REAL"] = REAL
os.environ.pop("CELEBA_CACHE", None)

FACES = 300

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where a shell runs the tests in the background


@pytest.fixture(scope="session")
def drawn() -> Path:
    """The drawn faces that data_root="drawn" finds."""
    from helpers.data.drawn.faces import draw_dataset

    root = HOME / "data" / "drawn"
    draw_dataset(root, FACES, seed=1, progress=False)
    return root


@pytest.fixture
def copy(drawn, tmp_path) -> Path:
    """A copy of the drawn faces that a test may spoil, no longer marked as drawn."""
    root = tmp_path / "celeba"
    shutil.copytree(drawn, root, ignore=shutil.ignore_patterns("cache", "drawn.json"))
    return root


@pytest.fixture(scope="session")
def dataset(drawn):
    from helpers.data.celeba import open_dataset

    return open_dataset("drawn")


@pytest.fixture(scope="session")
def splits(dataset):
    """The drawn faces' splits on the CPU, by name."""
    import torch

    from helpers.data.batches import load_split

    return {name: load_split(dataset, name, torch.device("cpu")) for name in ("train", "valid", "test")}


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 2 MB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def pytest_sessionfinish():
    shutil.rmtree(HOME, ignore_errors=True)
