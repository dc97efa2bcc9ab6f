"""The house: imports go one way, nothing happens on import, files stay readable."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.config import ROOT

# A module imports only from its own room and from those above it in this list.
ORDER = (
    "errors", "config", "system", "data", "models", "evaluation", "training", "checks", "plots", "study", "notebook",
    "report", "cli", "__main__",
)  # fmt: skip
MODULES = sorted(set((ROOT / "helpers").rglob("*.py")) - {ROOT / "helpers" / "__init__.py"})
JUPYTER = {"IPython", "papermill", "nbconvert", "nbformat", "nbclient", "ipywidgets"}
TRAINING_NEEDS = {"torch", "torchvision", "numpy", "pandas", "PIL", "tqdm", "filelock", "helpers"}


def top(path: Path) -> str:
    """Return the module's room in ORDER."""
    return path.relative_to(ROOT / "helpers").parts[0].removesuffix(".py")


def imports(path: Path, whole_file: bool = True) -> list[tuple[str, str]]:
    """Return (module, name) of each import; without `whole_file`, of those at the top level alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree) if whole_file else tree.body:
        if isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return found


def imported_helpers(path: Path) -> set[str]:
    names = set()
    for module, name in imports(path):
        if module == "helpers":
            names.add(name)
        elif module.startswith("helpers."):
            names.add(module.split(".")[1])
    return names


def test_every_room_has_its_place_in_the_order():
    assert {top(path) for path in MODULES} == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_those_above_it_and_never_starred(path):
    assert imported_helpers(path) <= set(ORDER[: ORDER.index(top(path)) + 1])
    assert not [module for module, name in imports(path) if name == "*"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_last_modules_know_jupyter(path):
    roots = {module.split(".")[0] for module, _ in imports(path)}
    assert not roots & JUPYTER or ORDER.index(top(path)) >= ORDER.index("notebook")


def test_training_needs_nothing_that_a_bare_gpu_node_lacks():
    needed = [p for p in MODULES if ORDER.index(top(p)) <= ORDER.index("training")]
    roots = {module.split(".")[0] for path in needed for module, _ in imports(path, whole_file=False)}
    assert roots - set(sys.stdlib_module_names) <= TRAINING_NEEDS


def test_importing_the_helpers_makes_no_folder_and_draws_no_random_number(tmp_path):
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES if path.stem != "__main__"]
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
