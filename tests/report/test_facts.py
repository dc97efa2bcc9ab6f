"""The facts of the report, by value: what its words depend on, whatever the language."""

import math

import pytest

from helpers.config import ATTRIBUTES
from helpers.report import facts
from helpers.study import ORDER, RESULTS

from .made_up import SPECIFIC, attribute_row, changed, full_study

SMILING = "per_attribute.test.0"
NO_LOSS = {f"trials.{place}.val_loss": None for place in range(5)}
LEAST = {f"shortcuts.{place}.low": low for place, low in enumerate((-0.01, None, 0, -0.2, -0.01))}


@pytest.mark.parametrize("notebook", ORDER)
def test_these_results_are_those_that_the_notebooks_write(notebook):
    assert set(SPECIFIC[notebook]) == set(RESULTS[notebook])


# One section each: the fact of some results, as they are made up or with other values at some paths


def facts_of(function: str, notebook: str, changes: dict) -> dict:
    return getattr(facts, function)(changed(notebook, changes))


def of(function: str, notebook: str, *cases):
    rows = [(function, notebook, changes, name, expected) for changes, name, expected in cases]
    return [pytest.param(*row, id=f"{function}-{row[3]}-{number}") for number, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("function", "notebook", "changes", "name", "expected"),
    [
        *of(
            *("labels", "01_data"),
            ({}, "rarest", "Wearing_Hat"),
            ({}, "commonest", "Young"),
            ({}, "pair", ("Smiling", "Young")),  # the strongest by its size, whatever its sign
            ({}, "pair_correlation", -0.4),
            ({}, "pair_together", 0.1),
            ({"correlation.Smiling.Young": None, "correlation.Male.Eyeglasses": 0.9}, "pair", ("Male", "Eyeglasses")),
        ),
        *of(
            *("model", "02_baselines"),
            (
                {"baselines.1.micro_f1": 0.65, "baselines.2.micro_f1": 0.9},
                "best_blind",
                dict.fromkeys(facts.METRICS, "majority class") | {"micro_f1": "best constant for micro_f1"},
            ),
            ({}, "passed", [True]),
            ({"checks.0.passed": False}, "passed", [False]),
        ),
        *of(
            *("overfit", "03_overfit"),
            ({}, "memorised", True),
            ({"wrong_labels": 3}, "memorised", False),
            ({"first_epoch_below": None}, "memorised", False),
            ({}, "first", [(0.7, 0.3), (0.6, 0.2)]),
            ({}, "rose", True),
            ({"valid_loss_last": 0.6}, "rose", False),
            ({}, "ratio", 2.5),
            ({}, "fell_again", True),
            ({"valid_loss_last": 1.7}, "fell_again", False),
        ),
        *of(
            *("grid", "05_grid"),
            (
                {},
                "edges",
                {"lr": "lowest", "weight_decay": "lowest", "channels_block3": "highest", "dropout": "inside"},
            ),
            ({}, "margin", pytest.approx(0.04)),
            ({}, "range", pytest.approx(0.09)),
            (NO_LOSS, "margin", None),
            (NO_LOSS, "range", None),
            (NO_LOSS, "top", None),
            ({}, "next", {"lr": 0.0002}),
            ({}, "beyond_noise", []),
            ({"effects.1.verdict": "not shown"}, "beyond_noise", []),
            ({"effects.1.verdict": "some diverged"}, "beyond_noise", []),
            ({"effects.1.verdict": "some diverged"}, "not_shown", []),
            ({}, "several_seeds", False),
            ({"seeds": [42, 43]}, "several_seeds", True),
        ),
        *of(
            *("training", "06_final"),
            ({}, "gap", pytest.approx(0.03)),
            ({"best.train_eval_loss": 0.9}, "gap", pytest.approx(-0.68)),
            ({"best.train_eval_loss": None}, "gap", None),
            ({}, "last_gap", pytest.approx(0.06)),
            ({}, "rise", pytest.approx(0.02)),
            ({"history.2.val_loss": None}, "rise", None),
            ({}, "rises", [pytest.approx(0.02)]),
            ({"history.2.val_loss": 0.1}, "rises", []),
            ({"history.1.val_loss": None}, "rises", []),
            ({}, "best_is_last", False),
            ({"best_epoch": 3}, "best_is_last", True),
            ({}, "later", 1),
            ({}, "seconds", 36.0),
            ({}, "spread", None),
        ),
        *of(
            *("extra", "06_final"),
            ({}, "gain", pytest.approx(0.03)),
            ({"extra.best.val_loss": 0.5}, "gain", pytest.approx(-0.28)),
            ({"extra.best": {"val_loss": None}, "extra.differences": None}, "gain", None),
            ({"extra.best": {"val_loss": None}, "extra.differences": None}, "differences", {}),
            ({}, "same_epochs", True),
            ({"extra.max_epochs": 4}, "same_epochs", False),
        ),
        *of(
            *("test", "07_test"),
            ({}, "gap_errors", 0),
            (
                {"overall.test.mean_accuracy": 0.9112},
                "gap_errors",
                pytest.approx(0.02 / (math.hypot(0.01, 0.01) / 1.96)),
            ),
            ({}, "beaten", list(ATTRIBUTES)),
            ({f"{SMILING}.accuracy": 0.1}, "beaten", list(ATTRIBUTES[1:])),
            ({}, "never", []),
            ({f"{SMILING}.tp": 0, f"{SMILING}.fp": 0}, "never", ["Smiling"]),
            ({}, "few", []),
            ({"comparison": None}, "differences", None),
            ({"gaps.0.enough": False}, "largest_gap", None),
        ),
        *of(
            *("appendix", "appendix"),
            ({}, "of", 5),
            (LEAST, "leaning", []),
        ),
    ],
)
def test_a_fact_follows_the_results(function, notebook, changes, name, expected):
    assert facts_of(function, notebook, changes)[name] == expected


def test_layers_without_parameters_or_work_have_none():
    assert facts_of("model", "02_baselines", {})["layers"][:2] == [
        ("Conv2d", "(64, 64, 64)", 1792, 7340032),
        ("ReLU", "(64, 32, 32)", None, None),
    ]


def test_effects_without_a_verdict_are_not_counted_as_noise():
    found = facts_of("grid", "05_grid", {"effects.1.verdict": "some diverged"})
    assert [row["value"] for row in found["undecided"]] == [0.005] and not found["not_shown"]


def test_trials_that_diverged_are_named():
    assert [trial["name"] for trial in facts_of("grid", "05_grid", {})["diverged"]] == ["lr0.001_do0.4"]
    assert len(facts_of("grid", "05_grid", NO_LOSS)["diverged"]) == 5


@pytest.mark.parametrize(
    ("low", "high", "beats"),
    [(0.1, 0.2, "above"), (-0.1, 0.2, "around"), (-0.2, -0.1, "below"), (None, None, "none")],
)
def test_the_verdict_is_that_of_the_paired_interval_against_the_majority_class(low, high, beats):
    found = facts_of("test", "07_test", {"above_majority.0.low": low, "above_majority.0.high": high})
    assert found["beats"] == beats and found["above"]["value"] == 0.18


def test_failed_checks_and_unfinished_notebooks_are_told():
    rows = [{"name": "a", "passed": True}, {"name": "b", "passed": False}]
    journal = {"notebooks": {"01_data": {"status": "done"}, "02_baselines": {"status": "failed"}}}
    found = facts.gather(full_study(), rows, journal)
    assert found["failed"] == rows[1:] and found["unfinished"] == ["02_baselines"]


def test_the_duration_of_a_notebook_is_the_journal_s_where_it_has_one():
    journal = {"notebooks": {"01_data": {"status": "done", "seconds": 99.0}, "05_grid": {"status": "interrupted"}}}
    found = facts.gather(full_study(), [], journal)["seconds"]
    assert found["01_data"] == 99.0 and found["05_grid"] == 75.0


def test_a_factor_with_one_value_has_no_edge():
    results = changed("05_grid", {})
    results["trials"] = results["trials"][:1]
    found = facts.grid(results)
    assert set(found["edges"].values()) == {"fixed"} and found["margin"] is None
    assert found["top"]["name"] == "lr0.001_do0.2"


def test_the_best_trial_by_f1_may_be_another_than_the_best_by_loss():
    found = facts_of("grid", "05_grid", {"trials.1.val_f1": 0.99, "trials.0.val_f1": None})
    assert (found["top"]["lr"], found["best_f1"]["lr"]) == (0.001, 0.005)


def test_one_seed_is_a_comparison_but_no_effect_beyond_noise():
    def beyond(verdict: str) -> list:
        found = facts_of("grid", "05_grid", {"effects.1.verdict": verdict})
        return [row["value"] for row in found["beyond_noise"]]

    assert beyond("one seed") == [] and beyond("higher") == beyond("lower") == [0.005]


def test_neighbours_of_the_best_trial_differ_in_one_factor():
    neighbours = facts_of("grid", "05_grid", {})["neighbours"]
    assert [trial["dropout"] for trial in neighbours["dropout"]] == [0.0, 0.2, 0.4]
    assert [trial["lr"] for trial in neighbours["lr"]] == [0.001, 0.005]
    assert len(neighbours["weight_decay"]) == 1


def test_the_spread_over_seeds_is_a_mean_and_a_standard_deviation():
    rows = [{"seed": seed, "epoch": 3, "loss": 0.2 + seed / 1000} for seed in (1, 2, 3)]
    assert facts_of("training", "06_final", {"seeds": rows})["spread"] == {
        "loss": (pytest.approx(0.202), pytest.approx(0.001))
    }


def test_the_linear_baseline_is_compared_on_valid():
    results = full_study()
    found = facts.linear(results["02_baselines"], results["06_final"])
    assert found == {
        "accuracy": 0.7436,
        "gain": pytest.approx(0.1864),
        "gain_f1": pytest.approx(0.3),
        "same_images": True,
    }
    results["06_final"]["best"]["val_acc"] = 0.7
    results["06_final"]["images"]["valid"] = 500
    found = facts.linear(results["02_baselines"], results["06_final"])
    assert found["gain"] < 0 and not found["same_images"]


def test_a_step_without_a_gain_has_no_interval():
    course, compact, _ = facts_of("extra", "06_final", {})["steps"]
    assert course["gain"] is None
    assert compact["gain"] == {"value": 0.0234, "low": 0.0234, "high": 0.0234}


def test_an_attribute_without_an_f1_is_not_the_weakest():
    never = attribute_row("Eyeglasses", 1, 0, 0, 1028) | {"f1": None}
    found = facts_of("test", "07_test", {"per_attribute.test.4": never})
    assert found["weakest"]["attribute"] != "Eyeglasses" and found["weakest"]["f1"] is not None


def test_a_forecast_of_the_accuracy_is_one_minus_the_end_of_the_error_s_curve():
    found = facts_of("extra", "06_final", {})["scaling"]
    assert found["images"] == (2000, 53289) and found["all"] == 162770
    assert found["forecasts"]["course"] == pytest.approx({"value": 0.95, "low": 0.94, "high": 0.96})
    assert not facts_of("extra", "06_final", {"extra.scaling.2.fitted": None})["scaling"]["forecasts"]


def test_gaps_are_test_minus_valid_and_gains_are_over_the_majority_class():
    found = facts_of("test", "07_test", {"overall.test.loss": None, "overall.test.micro_f1": 0.9})
    assert found["gap"]["loss"] is None and found["gap"]["micro_f1"] == pytest.approx(-0.01)
    assert found["gain"]["mean_accuracy"] == pytest.approx(0.18)


def test_attributes_are_ranked_by_f1_and_few_positives_are_found():
    few = attribute_row("Eyeglasses", 20, 5, 30, 974)
    found = facts_of("test", "07_test", {"per_attribute.test.4": few, f"{SMILING}.f1": 0.99})
    assert (found["weakest"]["attribute"], found["strongest"]["attribute"]) == ("Eyeglasses", "Smiling")
    assert [(row["attribute"], row["positives"]) for row in found["few"]] == [("Eyeglasses", 50)]
    assert found["rows"][4]["valid_f1"] == SPECIFIC["07_test"]["per_attribute"]["valid"][4]["f1"]


def test_intervals_groups_and_goals_are_found_by_name():
    found = facts_of("test", "07_test", {})
    assert found["intervals"]["Male"]["auroc"]["value"] == 0.91
    assert list(found["groups"]) == ["Male", "not Male"] and list(found["groups"]["Male"]) == list(ATTRIBUTES)
    assert [row["metric"] for row in found["goals"]] == ["macro_f1"]
    assert found["differences"]["micro_f1"]["value"] == 0.0042


def test_the_largest_gap_has_enough_images():
    gap = SPECIFIC["07_test"]["gaps"][0]
    found = facts_of("test", "07_test", {"gaps": [gap | {"enough": False}, gap | {"group": "not Young"}]})
    assert found["largest_gap"]["group"] == "not Young"


def test_attributes_leaning_on_others_are_those_whose_interval_excludes_zero_strongest_first():
    found = facts_of("appendix", "appendix", {"shortcuts.0.low": -0.01, "shortcuts.1.low": None})
    assert [row["attribute"] for row in found["leaning"]] == list(ATTRIBUTES[:1:-1])


# The study as a whole


def test_one_notebook_on_drawn_faces_or_other_splits_marks_the_study():
    def data(notebook: str, **changes) -> dict:
        results = full_study()
        results[notebook]["data"] |= changes
        return facts.gather(results, [], {})["data"]

    names = ("drawn", "whole_celeba", "official_splits")
    assert [data("01_data")[name] for name in names] == [False, True, True]
    assert data("07_test", drawn=True)["drawn"]
    assert not data("07_test", whole_celeba=False)["whole_celeba"]
    assert not data("07_test", official_splits=False)["official_splits"]


def test_images_and_code_that_differ_between_notebooks_are_found():
    results = full_study()
    same = facts.gather(results, [], {})
    results["07_test"]["data"] |= {"fingerprint": "ffff"}
    results["07_test"]["environment"]["git_commit"] = "abc+"
    results["07_test"]["written"] = "2026-11-23T00:00:00+00:00"
    other = facts.gather(results, [], {})
    assert (same["mixed_data"], other["mixed_data"]) == (False, True)
    assert (list(same["commits"]), list(other["commits"])) == (["abc123def456"], ["abc123def456", "abc+"])
    assert other["newest"]["notebook"] == "07_test"


@pytest.mark.parametrize("notebook", ORDER)
def test_a_notebook_that_has_not_run_has_no_facts_and_leaves_the_others_theirs(notebook):
    own = {"01_data": {"labels"}, "02_baselines": {"model", "linear"}, "03_overfit": {"overfit"}, "05_grid": {"grid"}}
    own |= {"06_final": {"training", "extra", "linear"}, "07_test": {"test"}, "appendix": {"appendix"}}
    found = facts.gather(full_study() | {notebook: None}, [], {})
    assert {name for name, fact in found.items() if fact is None} == own.get(notebook, set())
    assert notebook not in found["used"]


def test_a_partly_filled_last_batch_counts_as_full():
    assert facts.batches_times_size(130, 64) == 192 and facts.batches_times_size(128, 64) == 128
