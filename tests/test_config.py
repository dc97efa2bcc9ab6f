"""Parameters: the course's defaults, types and ranges."""

import dataclasses

import pytest

from helpers.config import RECIPE, Config, check_parameter
from helpers.errors import StudyError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_epochs", -1), ("max_epochs", 0), ("max_epochs", 2.5), ("max_epochs", "3"), ("max_epochs", True),
        ("lr", 0), ("lr", -0.1), ("lr", float("nan")), ("lr", float("inf")), ("lr", "fast"), ("lr", None),
        ("dropout", 1.0), ("weight_decay", -1e-5), ("batch_size", 1), ("channels_block3", 0), ("seed", -1),
        ("device", "tpu"), ("language", "de"), ("allow_missing", "yes"), ("allow_missing", 1),
        ("grid_lr", []), ("grid_lr", 0.1), ("grid_lr", [0.1, "x"]), ("grid_dropout", [0.2, 1.5]),
    ],
)  # fmt: skip
def test_a_wrong_type_or_an_out_of_range_value_names_the_parameter_and_what_it_may_be(name, value):
    with pytest.raises(StudyError, match=rf"Parameter {name}=.* must be"):
        check_parameter(name, value)


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".hidden", "with blank", 'quo"te', "it's", "", "back\\slash", "é", "x" * 81]
)
def test_a_run_name_that_could_leave_its_folder_or_break_a_command_is_refused(name):
    with pytest.raises(StudyError, match="run_name"):
        Config(run_name=name)


@pytest.mark.parametrize("name", ["demo", "celeba-20k", "final_training_best_config", "v1.2"])
def test_plain_run_names_are_accepted(name):
    assert Config(run_name=name).run_name == name


def test_a_whole_number_is_a_number():
    value = check_parameter("lr", 1)
    assert value == 1.0 and isinstance(value, float)


def test_a_config_is_frozen_and_checked_when_changed():
    config = Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.lr = 1.0
    with pytest.raises(StudyError):
        config.but(lr=-1.0)
    assert config.but(lr=0.01).lr == 0.01


def test_the_additional_training_gets_exactly_the_recipe_and_nothing_of_the_grids_best():
    final = Config(seed=7, dropout=0.4, label_smoothing=0.1, channels_block3=192, weight_decay=1e-4, train_images=500)
    extra = final.with_recipe(arch="compact", max_epochs=3)
    assert extra == Config(seed=7, train_images=500, arch="compact", max_epochs=3, **RECIPE)
    assert extra.dropout == 0.0 and extra.label_smoothing == 0.0  # as in the ablation that it repeats


def test_the_defaults_are_the_courses_protocol():
    assert (Config().lr, Config().weight_decay, Config().channels_block3, Config().dropout) == (0.005, 1e-5, 256, 0.0)
