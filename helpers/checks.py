"""Sanity checks: what was expected, what was measured, and whether it holds."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Check:
    """One expectation. A "fault" means the study is wrong where it fails; a "remark" is a fact worth knowing."""

    name: str
    expected: str
    measured: str
    passed: bool
    severity: str = "fault"


class Checks:
    """The checks of one notebook, printed as they are made."""

    def __init__(self):
        self.made: list[Check] = []

    def expect(self, name: str, expected: str, measured: str, passed: bool, severity: str = "fault") -> None:
        """Record and print one check; the notebook goes on either way."""
        self.made.append(Check(name, expected, measured, bool(passed), severity))
        print(f"{'PASS' if passed else 'FAIL'}  {name}: expected {expected}, measured {measured}")

    @property
    def rows(self) -> list[dict]:
        """Return the checks as plain rows, for the results."""
        return [asdict(check) for check in self.made]
