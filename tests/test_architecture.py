"""The house: imports go one way, nothing happens on import, training needs few packages, public names are few."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from helpers.config import ROOT

sys.path.insert(0, str(ROOT / "docs"))

import make_api
import make_errors

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
ROOMS = LINTER["contracts"][0]["layers"][::-1]  # each imports only from itself and from those before it
MODULES = sorted(set((ROOT / "helpers").rglob("*.py")) - {ROOT / "helpers" / "__init__.py"})
TRAINING_NEEDS = {"torch", "numpy", "pandas", "PIL", "tqdm", "lazy_loader", "helpers"}
TRAINING_NEEDS |= {"filelock"}  # torch itself requires it
MOST_NAMES = 110  # as many as a reader can look up
HEAVY = {"torch", "pandas", "matplotlib", "IPython", "nbconvert"}


def room(path: Path) -> str:
    return path.relative_to(ROOT / "helpers").parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_packages(path: Path) -> set[str]:
    """Return the packages that a module imports when it is imported: those at its top level."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[0] for name in names}


def test_the_contracts_on_imports_are_kept(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out


def test_every_room_up_to_training_is_kept_from_jupyter():
    kept = LINTER["contracts"][1]["source_modules"]
    assert kept == [f"helpers.{name}" for name in ROOMS[: ROOMS.index("training") + 1]]


def test_training_needs_nothing_that_a_bare_gpu_node_lacks():
    for path in MODULES:
        if ROOMS.index(room(path)) <= ROOMS.index("training"):
            assert imported_packages(path) - sys.stdlib_module_names <= TRAINING_NEEDS, path


@pytest.mark.slow
def test_importing_the_helpers_makes_no_folder_and_draws_no_random_number(tmp_path):
    names = [dotted(path) for path in MODULES if path.stem != "__main__"]
    code = (
        "import random, importlib, numpy, torch\n"
        "before = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state()\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "assert random.getstate() == before[0] and numpy.random.get_state()[1].tolist() == before[1]\n"
        "assert torch.equal(torch.get_rng_state(), before[2])\n"
    )
    home = tmp_path / "home"
    environment = {"CELEBA_STUDY_HOME": str(home), "PATH": "", "HOME": str(tmp_path / "user")}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    assert not home.exists()


# The public names


def test_public_names_are_few_and_each_has_a_docstring():
    names = make_api.public_names()
    assert sum(map(len, names.values())) <= MOST_NAMES
    assert not [f"{where}.{name}" for where, found in names.items() for name, text in found.items() if not text]


def test_the_list_of_public_names_is_up_to_date():
    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert written == make_api.api(), "run python docs/make_api.py"


def test_the_list_of_errors_is_up_to_date_and_each_says_more_than_one_word():
    written = (make_api.ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert written == make_errors.errors(), "run python docs/make_errors.py"
    assert written.count("\n| ") > 100


@pytest.mark.parametrize("name", [name for name in ROOMS if (ROOT / "helpers" / name).is_dir()])
def test_a_room_says_in_two_sentences_what_it_is_for_and_what_it_may_import(name):
    text = importlib.import_module(f"helpers.{name}").__doc__
    assert len(re.findall(r"\.(?=\s)", text)) == 2 and "It may import" in text


def test_importing_the_rooms_loads_nothing_heavy():
    rooms = [name for name in ROOMS if (ROOT / "helpers" / name).is_dir()]
    code = f"import sys; from helpers import {', '.join(rooms)}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
