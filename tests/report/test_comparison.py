"""Runs side by side: what differs is shown, and a difference is paired only on the same images."""

import json

import numpy as np
import pytest

from helpers.errors import StudyError
from helpers.report import comparison
from helpers.report.comparison import compare_runs, paired
from helpers.run import LOGITS

from .made_up import full_study

IMAGES = 60
TARGETS = np.arange(5 * IMAGES).reshape(IMAGES, 5) % 3 == 0
RIGHT = np.where(TARGETS, 2.0, -2.0)
ONE_WRONG_IN_TEN = np.where(np.arange(IMAGES)[:, None] % 10 == 0, -RIGHT, RIGHT)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A function that writes a run's results: its logits on test, changes by "notebook path", and what is not saved."""
    monkeypatch.setattr(comparison, "RUNS", tmp_path)

    def write(
        name: str, logits: np.ndarray = RIGHT, fingerprint: str = "same", left_out: tuple[str, ...] = (), **values
    ):
        folder = tmp_path / name / "results"
        folder.mkdir(parents=True)
        for notebook, result in full_study().items():
            result["data"]["fingerprint"] = fingerprint
            result["parameters"] |= values if notebook == "06_final" else {}
            (folder / f"{notebook}.json").write_text(json.dumps(result), encoding="utf-8")
        saved = {"test": logits, "targets": TARGETS, "persons": np.arange(IMAGES) // 2}
        np.savez(folder / LOGITS, **{key: array for key, array in saved.items() if key not in left_out})
        return comparison._read(name)

    return write


def test_differences_are_those_of_the_first_run_to_each_other_on_the_same_images(runs):
    why, rows = paired(runs("worse", ONE_WRONG_IN_TEN), runs("base"))
    assert why == "" and rows["mean_accuracy"]["value"] == pytest.approx(-0.1)
    assert rows["mean_accuracy"]["low"] < -0.1 < rows["mean_accuracy"]["high"] < 0
    assert rows["mean_accuracy"]["verdict"] == rows["loss"]["verdict"] == "worse beyond chance"


def test_a_run_does_not_differ_from_itself(runs):
    _, rows = paired(runs("one"), runs("two"))
    assert all(row["low"] == row["value"] == row["high"] == 0 for row in rows.values())


@pytest.mark.parametrize(
    ("other", "why", "told"),
    [
        ({"fingerprint": "another"}, "data", "not evaluated on the same images"),
        ({"left_out": ("targets",)}, "arrays", "Run its 07_test again"),
    ],
)
def test_without_the_same_images_or_their_labels_there_is_no_paired_difference(runs, other, why, told):
    base, run = runs("base"), runs("run", **other)
    assert paired(run, base) == (why, {})
    text = compare_runs(["base", "run"], "en")
    assert told in text and "95% interval | Verdict" not in text


def test_only_the_parameters_that_differ_are_shown(runs):
    runs("base", lr=0.001)
    runs("other", lr=0.005)
    text = compare_runs(["base", "other"], "fr")
    assert "| <code>06_final</code> | <code>lr</code> | 0,001 | 0,005 |" in text
    assert text.count("| <code>06_final</code> |") == 1 and "weight_decay" not in text


@pytest.mark.parametrize("language", ["fr", "en"])
def test_three_runs_are_one_column_each(runs, language):
    for name in ("a", "b", "c"):
        runs(name)
    text = compare_runs(["a", "b", "c"], language)
    rows = [line for line in text.splitlines() if line.startswith("| ") and "macro-F1" in line]
    assert [row.count("|") for row in rows] == [5, 5, 5, 5]  # on test, on valid, and one per pair
    assert not any(left in text for left in ("None |", "nan |", "{{", "Undefined"))


@pytest.mark.parametrize("names", [["base"], ["base", "base"]])
def test_a_comparison_of_less_than_two_runs_is_refused(runs, names):
    runs("base")
    with pytest.raises(StudyError, match="at least two different runs"):
        compare_runs(names)


def test_a_run_that_was_not_tested_is_told(runs):
    runs("base")
    with pytest.raises(StudyError, match="'untested' cannot be compared"):
        compare_runs(["base", "untested"])
