"""The scorecard: the sanity checks of a run, with what they expected and what they measured, and their verdict.

The texts of a check are English templates with named fields, such as "{wrong} wrong of {total}", and its values are
kept beside them. The template is what the report looks up in its catalogue to say the same in another language.
"""

import contextlib
import string
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from helpers.errors import StudyError
from helpers.system.records import plain, read_record, write_record

__all__ = ["Check"]


class Formatter(string.Formatter):
    """Fill the fields of a template; the items of a list are separated by commas, and None is a value not finite."""

    def format_field(self, value, format_spec):
        if isinstance(value, list | tuple):
            return ", ".join(self.format_field(item, format_spec) for item in value)
        return "NaN" if value is None else format(value, format_spec)


@dataclass(frozen=True)
class Check:
    """One sanity check. If a "fault" fails, the study is wrong; if a "remark" fails, that is worth knowing.

    `passed` is None for a check that does not apply, since what it looks at does not exist here; `measured` says why.
    `name`, `expected` and `measured` are templates, whose fields are filled from `values`: numbers, strings, and lists
    of them.
    """

    name: str
    expected: str
    measured: str
    passed: bool | None
    severity: str = "fault"
    values: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.passed is not None:
            object.__setattr__(self, "passed", bool(self.passed))  # JSON cannot write NumPy's types
        object.__setattr__(self, "values", plain(self.values))

    def told(self, part: str) -> str:
        """Return "name", "expected" or "measured" in English, with the values filled in."""
        return Formatter().vformat(getattr(self, part), (), self.values)


class Checks:
    """The checks of one notebook, which are printed and written to the run's scorecard.

    `path` is the scorecard, a JSON file with the checks of all notebooks. Checks from an earlier execution of this
    notebook are removed from it. A new check replaces an earlier one of the same name.
    """

    def __init__(self, notebook: str, path: Path):
        self.notebook, self.path = notebook, path
        self.made: dict[str, Check] = {}
        self._write()

    def expect(self, name: str, expected: str, measured: str, passed: bool, severity: str = "fault", **values):
        """Record and print one check; a failed check does not stop the notebook.

        `values` fill the fields of the three texts: expect("no label is wrong", "0", "{wrong:,}", not wrong,
        wrong=wrong). The texts are templates, not f-strings, so that the report can translate them.
        """
        self.add(Check(name, expected, measured, passed, severity, values))

    def add(self, check: Check):
        """Record and print a check that a probe returned."""
        self.made[check.told("name")] = check
        self._write()
        failed = "FAIL" if check.severity == "fault" else "NOTE"
        word = {True: "PASS", False: failed, None: "NONE"}[check.passed]
        print(f"{word}  {check.told('name')}: expected {check.told('expected')}, measured {check.told('measured')}")

    def conclusion(self, text: str) -> str:
        """Return `text` with the failed remarks added; if there are faults, return a sentence that names them."""
        failed = {kind: self._failed(kind) for kind in ("fault", "remark")}
        if failed["fault"]:
            return f"**No conclusion can be drawn here.** Checks that failed: {'; '.join(failed['fault'])}."
        if failed["remark"]:
            return f"{text} **Not as expected:** {'; '.join(failed['remark'])}."
        count = sum(check.passed is True for check in self.made.values())
        passed = {0: "", 1: " The check of this notebook passed.", 2: " Both checks of this notebook passed."}
        return text + passed.get(count, f" All {count} checks of this notebook passed.")

    def _failed(self, severity: str) -> list[str]:
        failed = [check for check in self.made.values() if check.passed is False and check.severity == severity]
        parts = ([check.told(part) for part in ("name", "expected", "measured")] for check in failed)
        return [f"{name} (expected {expected}, measured {measured})" for name, expected, measured in parts]

    @property
    def rows(self) -> list[dict]:
        """The checks as dictionaries of plain types, for the results file."""
        return [asdict(check) | {"notebook": self.notebook} for check in self.made.values()]

    def _write(self):
        others = [row for row in read_scorecard(self.path) if row["notebook"] != self.notebook]
        rows = sorted(others + self.rows, key=lambda row: row["notebook"])  # names begin with numbers
        write_record(self.path, {"checks": rows})


def read_scorecard(path: Path) -> list[dict]:
    """Return the checks of a run, the fields of `Check` and the notebook of each; [] if there is no file.

    If the file is damaged, the checks are taken from the results of the notebooks beside it, which contain them too;
    those of a notebook whose results are damaged as well are missing then.
    """
    if not path.is_file():
        return []
    try:
        return read_record(path)["checks"]
    except StudyError:
        rows = []
        for results in sorted(set(path.parent.glob("*.json")) - {path}):
            with contextlib.suppress(StudyError):
                rows += read_record(results, strict=False).get("checks", [])
        return rows


def verdict(rows: list[dict], notebooks: Iterable[str] = ()) -> tuple[str, bool]:
    """Return a one-line summary that names the faults, and whether there are none.

    `notebooks` are those that ran. One without any check is a fault too: nothing vouches for it.
    """
    failed = [row for row in rows if row["passed"] is False]
    faults = [f"{_name(row)} ({row['notebook']})" for row in failed if row["severity"] == "fault"]
    unchecked = sorted(set(notebooks) - {row["notebook"] for row in rows}) if rows else ["this run"]
    faults += [f"no check was made in {notebook}" for notebook in unchecked]
    passed, beside = sum(row["passed"] is True for row in rows), sum(row["passed"] is None for row in rows)
    remarks = len(failed) - sum(row["severity"] == "fault" for row in failed)
    counts = {"passed": passed, "remark": remarks, "fault": len(faults)}
    words = [f"{count} {name}{'s' if name != 'passed' and count != 1 else ''}" for name, count in counts.items()]
    counted = f"Checks: {', '.join(words)}"
    counted += f" ({beside} did not apply)" if beside else ""
    return (f"{counted}: {'; '.join(faults)}. The study is wrong there." if faults else f"{counted}."), not faults


def _name(row: dict) -> str:
    return Formatter().vformat(row["name"], (), row["values"])
