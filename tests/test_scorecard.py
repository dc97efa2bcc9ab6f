"""The scorecard: checks are kept with their values, nothing hides a fault, and the verdict names it."""

import dataclasses

import numpy as np
import pytest

from helpers import checks
from helpers.scorecard import Check, Checks, read_scorecard, verdict
from helpers.system.records import write_record


def test_the_texts_of_a_check_are_templates_kept_beside_their_values(tmp_path, capsys):
    made = Checks("03_overfit", tmp_path / "checks.json")
    made.expect("no label is wrong", "0", "{wrong:,} of {sizes}", False, wrong=np.int64(1234), sizes=(3, 64))
    assert capsys.readouterr().out == "FAIL  no label is wrong: expected 0, measured 1,234 of 3, 64\n"
    (row,) = read_scorecard(made.path)
    assert row["measured"] == "{wrong:,} of {sizes}" and row["values"] == {"wrong": 1234, "sizes": [3, 64]}


def test_a_measure_that_is_not_finite_is_printed_and_kept(tmp_path, capsys):
    made = Checks("06_final", tmp_path / "checks.json")
    made.expect("it did not diverge", "a number", "{loss:.4f}", False, loss=float("nan"))
    assert "measured NaN" in capsys.readouterr().out and read_scorecard(made.path)[0]["values"] == {"loss": None}


def test_checks_are_kept_as_they_are_made_and_a_rerun_replaces_its_own(tmp_path):
    path = tmp_path / "results" / "checks.json"
    Checks("01_data", path).expect("a", "1", "1", np.bool_(True))
    second = Checks("02_baselines", path)
    second.expect("b", "1", "2", False)
    assert [(row["notebook"], row["name"], row["passed"]) for row in read_scorecard(path)] == [
        ("01_data", "a", True),
        ("02_baselines", "b", False),
    ]
    again = Checks("01_data", path)
    assert [row["name"] for row in read_scorecard(path)] == ["b"]
    again.expect("c", "1", "2", False)
    again.expect("c", "1", "1", True)
    assert [(row["name"], row["passed"]) for row in read_scorecard(path)] == [("c", True), ("b", False)]
    assert set(read_scorecard(path)[0]) == {field.name for field in dataclasses.fields(Check)} | {"notebook"}


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-30], lambda text: text.replace("false", "true"), lambda _: "[1]"]
)
def test_a_damaged_scorecard_is_made_again_from_the_results_and_hides_no_fault(spoil, tmp_path):
    path = tmp_path / "checks.json"
    made = Checks("01_data", path)
    made.expect("a", "1", "2", False)
    write_record(tmp_path / "01_data.json", {"checks": made.rows})
    (tmp_path / "02_baselines.json").write_text('{"checks": [')
    path.write_text(spoil(path.read_text()))
    assert read_scorecard(path) == made.rows
    Checks("05_grid", path).expect("b", "1", "1", True)
    line, sound = verdict(read_scorecard(path), ["01_data", "02_baselines", "05_grid"])
    assert not sound and "a (01_data); no check was made in 02_baselines" in line


def test_the_verdict_names_faults_and_only_counts_remarks():
    rows = [
        dataclasses.asdict(check) | {"notebook": "02_baselines"}
        for check in (Check("good", "", "", True), Check("odd", "", "", False, "remark"), Check("bad", "", "", False))
    ]
    line, sound = verdict(rows)
    assert not sound and "1 passed, 1 remark, 1 fault: bad (02_baselines)" in line and "odd" not in line
    assert verdict(rows[:2]) == ("Checks: 1 passed, 1 remark, 0 faults.", True)


def test_a_scorecard_without_checks_is_not_sound():
    line, sound = verdict([])
    assert not sound and "no check was made in this run" in line
    rows = [{"name": "a", "values": {}, "passed": True, "severity": "fault", "notebook": "01_data"}]
    line, sound = verdict(rows, ["01_data", "05_grid"])
    assert not sound and "1 fault: no check was made in 05_grid" in line
    assert verdict(rows, ["01_data"])[1]


def test_a_check_that_does_not_apply_is_neither_passed_nor_failed(tmp_path, capsys):
    scorecard = Checks("06_final", tmp_path / "checks.json")
    scorecard.add(checks.predictions_move([np.zeros((8, 5))]))
    assert capsys.readouterr().out.startswith("NONE  a fixed batch's predictions move")
    assert scorecard.conclusion("Fine.") == "Fine."
    line, sound = verdict(read_scorecard(tmp_path / "checks.json"))
    assert line == "Checks: 0 passed, 0 remarks, 0 faults (1 did not apply)." and sound


def test_a_conclusion_stands_only_where_no_check_found_a_fault(tmp_path):
    made = Checks("03_overfit", tmp_path / "checks.json")
    made.expect("every label is right", "0 wrong", "0 wrong", True)
    assert made.conclusion("It works.") == "It works. The check of this notebook passed."
    made.expect("the window is the course's", "1e-4", "1e-2", False, "remark")
    assert made.conclusion("It works.").startswith(
        "It works. **Not as expected:** the window is the course's (expected 1e-4"
    )
    made.expect("the images are overfitted", "train loss < 0.01", "0.3", False)
    said = made.conclusion("It works.")
    assert "It works" not in said and "No conclusion" in said and "the images are overfitted" in said
