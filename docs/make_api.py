"""Write docs/api.md, the list of the public names of each room: `python docs/make_api.py`."""

import ast
import importlib
import inspect
import itertools
import sys
import tomllib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BEGINNING = """# Public names

`python docs/make_api.py` writes this file from the docstrings; a test fails where it is out of date. The rooms stand in
the order of their imports: each imports only from itself and from those before it. In a notebook, import the rooms
(`from helpers import data, training`) and call `data.load_split(…)`, `training.fit(…)`.
"""


def rooms() -> list[str]:
    """Return the rooms and files of helpers/ in the order of their imports, without the command line's `__main__`."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return [name for name in reversed(settings["contracts"][0]["layers"]) if name != "__main__"]


def public_names() -> dict[str, dict[str, str]]:
    """Return for each room the docstrings of its public names, empty where there is none."""
    found = {}
    for name in rooms():
        module = importlib.import_module(f"helpers.{name}")
        found[name] = {each: docstring(module, each) for each in sorted(module.__all__)}
    return found


def docstring(module: ModuleType, name: str) -> str:
    """Return the docstring of a function, a class, a module, or a constant (the string literal below it)."""
    value = getattr(module, name)
    if not callable(value) and not isinstance(value, ModuleType):
        return below_constant(Path(module.__file__), name)
    written = value.__doc__ or ""
    return "" if written.startswith(f"{name}(") else inspect.cleandoc(written)  # a dataclass's own is its signature


def below_constant(path: Path, name: str) -> str:
    """Return the string literal that follows `name = …` in a module, or in any module of a room."""
    for file in sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]:
        statements = ast.parse(file.read_text(encoding="utf-8")).body
        for assignment, after in itertools.pairwise(statements):
            named = isinstance(assignment, ast.Assign) and getattr(assignment.targets[0], "id", None) == name
            if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return inspect.cleandoc(after.value.value)
    return ""


def table(docstrings: dict[str, str]) -> str:
    """Return a Markdown table of names and the first lines of their docstrings."""
    rows = [(name, text.partition("\n")[0].replace("|", "\\|")) for name, text in docstrings.items()]
    return "\n".join(["| name | what it is |", "|---|---|", *(f"| `{name}` | {line} |" for name, line in rows)])


def section(room: str, docstrings: dict[str, str]) -> str:
    """Return a room's part of the list; a module that a room hands on has a table of its own."""
    module = importlib.import_module(f"helpers.{room}")
    parts = [f"## {room}", inspect.cleandoc(module.__doc__)]
    if docstrings:
        parts.append(table(docstrings))
    for name in docstrings:
        topic = getattr(module, name)
        if isinstance(topic, ModuleType):
            parts += [f"### {room}.{name}", table({each: docstring(topic, each) for each in topic.__all__})]
    return "\n\n".join(parts)


def api() -> str:
    """Return the text of docs/api.md."""
    return "\n\n".join([BEGINNING.strip(), *(section(*room) for room in public_names().items())]) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "api.md").write_text(api(), encoding="utf-8")
