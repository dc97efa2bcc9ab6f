"""Write docs/errors.md, the list of the errors that a user can meet: `python docs/make_errors.py`."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HELPERS = ROOT / "helpers"
ERRORS = ("StudyError", "OutOfMemory", "Interrupted")

BEGINNING = """# Errors

`python docs/make_errors.py` writes this file from the code; a test fails where it is out of date. Each of these
messages is for a mistake that the user can put right: it says what happened, where, and what to do. On the command
line it is printed after `error:` and the exit status is 2; in a notebook it is a `StudyError`. What stands in braces is
filled in: `{path}` is a file. "…" stands for a part that the program puts together. Anything else that is raised is a
fault of the program: please report it.
"""


def messages(file: Path) -> list[tuple[str, str]]:
    """Return the function and the message of every error that a file of helpers raises."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    every = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    functions, found = {function.name: function for function in every}, []
    for function in every:  # several methods may have one name
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS and node.args:
                found.append((function.name, in_one_line(text_of(node.args[-1], functions))))
    return list(dict.fromkeys(found))


def text_of(node: ast.AST, functions: dict[str, ast.FunctionDef]) -> str:
    """Return the text of an expression, with what is computed in braces."""
    match node:
        case ast.Constant(value=str()):
            return node.value
        case ast.JoinedStr():
            return "".join(text_of(part, functions) for part in node.values)
        case ast.FormattedValue(value=ast.Name() | ast.Attribute()):
            return "{" + ast.unparse(node.value) + "}"
        case ast.BinOp(op=ast.Add()):
            return text_of(node.left, functions) + text_of(node.right, functions)
        case ast.IfExp():
            return text_of(node.body, functions)
        case ast.Call(func=ast.Name(id=name)) if name in functions:
            returned = [each for each in ast.walk(functions[name]) if isinstance(each, ast.Return) and each.value]
            return " / ".join(text_of(each.value, {}) for each in returned)
        case _:
            return "…"


def in_one_line(text: str) -> str:
    """Return a text for a cell of a Markdown table."""
    return re.sub(r"\s*\n\s*", " ", text).replace("|", "\\|").replace("<", "&lt;").strip()


def errors() -> str:
    """Return the text of docs/errors.md."""
    parts = [BEGINNING.strip()]
    for file in sorted(HELPERS.rglob("*.py")):
        if rows := messages(file):
            lines = [f"| {message} | `{function}` |" for function, message in rows]
            title = file.relative_to(HELPERS).as_posix()
            parts.append("\n".join([f"## {title}", "", "| message | raised in |", "|---|---|", *lines]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "errors.md").write_text(errors(), encoding="utf-8")
