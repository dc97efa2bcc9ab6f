"""Sanity checks: what was expected, what was measured, and whether it holds."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from helpers.files import write_text


@dataclass(frozen=True)
class Check:
    """One expectation. A "fault" means the study is wrong where it fails; a "remark" is a fact worth knowing."""

    name: str
    expected: str
    measured: str
    passed: bool
    severity: str = "fault"

    def __post_init__(self):
        object.__setattr__(self, "passed", bool(self.passed))  # NumPy's own is none of JSON's


class Checks:
    """The checks of one notebook: printed as they are made, and kept in the run's scorecard.

    `path` is the scorecard, a JSON list of the checks of all notebooks; those that this notebook made before
    are dropped from it. A check made again replaces the one of its name.
    """

    def __init__(self, notebook: str, path: Path):
        self.notebook, self.path = notebook, path
        self.made: dict[str, Check] = {}
        self._write()

    def expect(self, name: str, expected: str, measured: str, passed: bool, severity: str = "fault"):
        """Record and print one check; the notebook goes on either way."""
        self.add(Check(name, expected, measured, passed, severity))

    def add(self, check: Check):
        """Record and print a check that was made elsewhere."""
        self.made[check.name] = check
        self._write()
        word = "PASS" if check.passed else "FAIL" if check.severity == "fault" else "NOTE"
        print(f"{word}  {check.name}: expected {check.expected}, measured {check.measured}")

    @property
    def rows(self) -> list[dict]:
        """Return the checks as plain rows, for the results."""
        return [asdict(check) | {"notebook": self.notebook} for check in self.made.values()]

    def _write(self):
        others = [row for row in read_scorecard(self.path) if row["notebook"] != self.notebook]
        rows = sorted(others + self.rows, key=lambda row: row["notebook"])  # in the notebooks' order: numbered
        write_text(self.path, json.dumps(rows, indent=1, ensure_ascii=False))


def read_scorecard(path: Path) -> list[dict]:
    """Return the checks of a run, {name, expected, measured, passed, severity, notebook}; none where none was made."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def verdict(rows: list[dict]) -> tuple[str, bool]:
    """Return a scorecard in one line, that names its faults, and whether it has none."""
    failed = [row for row in rows if not row["passed"]]
    faults = [f"{row['name']} ({row['notebook']})" for row in failed if row["severity"] == "fault"]
    remarks = len(failed) - len(faults)
    counted = f"Checks: {len(rows) - len(failed)} passed, {remarks} remarks, {len(faults)} faults"
    return (f"{counted}: {'; '.join(faults)}. The study is wrong there." if faults else f"{counted}."), not faults
