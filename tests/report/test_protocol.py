"""What differs from the protocol, and the command of a step."""

import shlex

import pytest

from helpers.report import protocol
from helpers.study import notebook_parameters

from .made_up import every_notebook, full_study


def test_the_full_protocol_has_no_cuts():
    assert protocol.cuts(full_study()) == []


def test_trials_on_ray_are_no_cut_as_they_change_no_result():
    results = full_study()
    results["05_grid"]["parameters"] |= {"workers": "ray", "gpus_per_trial": 0.25}
    assert protocol.cuts(results) == []


def test_cuts_are_the_parameters_that_differ_from_the_protocol():
    results = every_notebook(split_sizes={"train": 15979, "valid": 2044, "test": 1029})
    results["05_grid"]["parameters"] |= {"max_epochs": 1, "device": "cpu", "seed": 7}  # where it runs is no cut
    results["06_final"]["parameters"] |= {"train_images": 16000, "valid_images": 500}  # 16,000 is all of train here
    assert protocol.cuts(results) == [
        {"notebook": "05_grid", "parameter": "max_epochs", "protocol": 3, "here": 1},
        {"notebook": "06_final", "parameter": "valid_images", "protocol": 0, "here": 500},
    ]


def test_a_value_given_by_hand_is_a_cut_and_the_grid_s_best_is_none():
    results = full_study()
    results["06_final"]["parameters"]["lr"] = 0.01
    assert protocol.cuts(results) == []
    results["06_final"]["origin"]["lr"] = "by hand"
    assert protocol.cuts(results) == [{"notebook": "06_final", "parameter": "lr", "protocol": None, "here": 0.01}]


def test_used_parameters_are_the_notebook_s_own_in_its_order():
    result = full_study()["05_grid"]
    used = protocol.used_parameters("05_grid", result)
    assert list(used) == list(notebook_parameters("05_grid")) and len(used) < len(result["parameters"])


@pytest.mark.parametrize(
    ("given", "step"),
    [
        ("run --profile demo", "--profile demo"),
        ("run --profile quick --data-root /ada/celeba --from 05_grid", "--profile quick --data-root …/celeba"),
        ("run --profile quick --allow-missing --author Ada Lovelace", "--profile quick --allow-missing"),
        ("run --profile demo -p 05_grid.max_epochs=3 -p 06_final.seeds=[1]", "--profile demo -p 05_grid.max_epochs=3"),
        ("run --profile=quick -p seed=7 -p first_lr=1e-6", "--profile quick -p seed=7"),
        ("run --profile demo -p '05_grid.grid_lr=[0.001, 0.01]'", '--profile demo -p "05_grid.grid_lr=[0.001, 0.01]"'),
        ("run --profile full --data-root '/ada/my celeba'", '--profile full --data-root "…/my celeba"'),
    ],
)
def test_the_command_of_a_step_is_that_of_the_run_for_one_notebook(given, step):
    journal = {"commands": [{"command": "", "arguments": shlex.split(given)}]}
    assert protocol.step_command("demo", journal, "05_grid") == f"python -m helpers run {step} --only 05_grid"


def test_a_run_made_by_hand_has_the_command_of_the_course_s_profile():
    command = "python -m helpers run --profile full --run-name study --only 05_grid"
    assert protocol.step_command("study", {}, "05_grid") == command
