"""Several runs side by side: what differs between them, their scores, and paired differences on the same images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.config import RUNS, check_parameter
from helpers.errors import StudyError
from helpers.evaluation.bootstrap import bootstrap_difference, verdict
from helpers.report.wording import catalogue, templates, typeset
from helpers.run import LOGITS, read_results
from helpers.study import ORDER
from helpers.system.records import read_arrays

TEMPLATES = Path(__file__).parent / "templates"
METRICS = ("mean_accuracy", "exact_match", "micro_f1", "macro_f1", "loss")
# Parameters that name places or the run itself
NOT_COMPARED = ("run_name", "data_root", "device", "checkpoint", "compare_with")


@dataclass(frozen=True)
class Compared:
    """One run of a comparison: its results by notebook, and the arrays that 07_test saved ({} if there are none)."""

    name: str
    results: dict[str, dict]
    saved: dict[str, np.ndarray]

    @property
    def test(self) -> dict:
        """What 07_test wrote."""
        return self.results["07_test"]

    def intervals(self) -> dict[str, dict]:
        """Return the scores on test with their intervals, by metric."""
        return {row["metric"]: row for row in self.test["intervals"] if row["of"] == "overall"}


def compare_runs(names: list[str], language: str = "fr") -> str:
    """Return a short report in Markdown that sets runs side by side; StudyError if one of them was not tested.

    Every run is compared with the first. The differences are paired, by bootstrap over persons, where both runs were
    tested on the same images; elsewhere the report says why there is none.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise StudyError("Name at least two different runs to compare: python -m helpers report --compare RUN_A RUN_B")
    check_parameter("language", language)
    runs = [_read(name) for name in names]
    text = (
        templates(TEMPLATES, language)
        .get_template(f"comparison.{language}.md.j2")
        .render(
            w=catalogue(language),
            runs=runs,
            metrics=METRICS,
            parameters=_different_parameters(runs),
            pairs=[(run, *paired(run, runs[0])) for run in runs[1:]],
        )
    )
    return typeset(text, language)


def paired(run: Compared, base: Compared) -> tuple[str, dict[str, dict]]:
    """Return why there are no paired differences ("" if there are), and the differences of `run` minus `base` on test.

    Each difference has value, low, high and verdict. The reasons are "data", for other images, and "arrays", for a
    version of 07_test that did not save the labels.
    """
    if run.test["data"]["fingerprint"] != base.test["data"]["fingerprint"]:
        return "data", {}
    if not {"test", "targets"} <= run.saved.keys() & base.saved.keys():
        return "arrays", {}
    if len(run.saved["test"]) != len(base.saved["test"]):
        return "data", {}
    sides = ((each.saved["test"], 0.5) for each in (run, base))
    table = bootstrap_difference(*sides, base.saved["targets"], base.saved.get("persons")).loc["overall"]
    rows = {metric: table.loc[metric].to_dict() for metric in METRICS}
    return "", {metric: row | {"verdict": verdict(row, metric == "loss")} for metric, row in rows.items()}


def _read(name: str) -> Compared:
    folder = RUNS / check_parameter("run_name", name)
    read = {notebook: read_results(folder, notebook) for notebook in ORDER}
    results = {notebook: result for notebook, result in read.items() if result}
    if "07_test" not in results:
        missing = folder / "results" / "07_test.json"
        raise StudyError(f"The run {name!r} cannot be compared: {missing} does not exist. Run 07_test.")
    logits = folder / "results" / LOGITS
    saved = read_arrays(logits) if logits.is_file() else {}
    return Compared(name, results, saved)


def _different_parameters(runs: list[Compared]) -> list[dict]:
    """Return the parameters that are not the same in all runs: notebook, parameter, and one value per run."""
    rows = []
    for notebook in ORDER:
        given = [run.results.get(notebook, {}).get("parameters", {}) for run in runs]
        for name in dict.fromkeys(name for values in given for name in values):
            values = [each.get(name) for each in given]
            if name not in NOT_COMPARED and any(value != values[0] for value in values):
                rows.append({"notebook": notebook, "parameter": name, "values": values})
    return rows
