"""One list of dependencies: environment.yml installs pyproject.toml, and the lock pins all of it."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.config import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if line.strip()]


def asked_for() -> list[Requirement]:
    extras = PYPROJECT["optional-dependencies"]
    locked = (PYPROJECT["dependencies"], *(extras[name] for name in ("dev", "fetch", "scale")))
    return [Requirement(line) for lines in locked for line in lines]


def test_the_conda_environment_installs_the_project_and_lists_nothing_else():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, editable = environment["dependencies"]
    assert (pip, editable) == ("pip", {"pip": ["-e .[fetch]"]})
    assert python == f"python{PYPROJECT['requires-python']}"


def test_the_lock_pins_every_dependency_at_a_version_that_pyproject_accepts():
    pins = {}
    for line in LOCK:
        requirement = Requirement(line)
        pins.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    for wanted in asked_for():
        locked = pins[canonicalize_name(wanted.name)]
        for pin in locked:
            version = re.fullmatch(r"==(.+)", str(pin.specifier)).group(1)
            assert wanted.specifier.contains(version), f"{pin} is not {wanted}"


def test_the_lock_holds_versions_and_no_address():
    for line in LOCK:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;]+( ; .+)?", line), line
    assert not [line for line in LOCK if "://" in line or line.startswith("-")]


def test_torch_and_torchvision_are_a_pair_that_was_built_together():
    pins = dict(line.split(" ")[0].split("==") for line in LOCK)
    assert pins["torch"] != "2.13.0"
    assert int(pins["torchvision"].split(".")[1]) == int(pins["torch"].split(".")[1]) + 14  # 2.15 with 0.29, and so on


def test_a_commit_is_checked_by_the_linter_of_the_lock():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    linters = {pin for hook in hooks for pin in hook["additional_dependencies"] if pin.startswith("ruff")}
    assert linters == {line for line in LOCK if line.startswith("ruff==")}
