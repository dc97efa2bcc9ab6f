"""What a notebook begins with: its parameters are all checked, and what is not set has the course's value."""

import pytest

from helpers import run as runs
from helpers import study
from helpers.config import Config
from helpers.errors import StudyError
from helpers.study import notebook_parameters


@pytest.fixture
def namespace(dataset, tmp_path, monkeypatch):
    """The parameters of 06_final as its cell has them, without a profile, on drawn faces in a folder of the test."""
    for folder in ("RUNS", "FIGURES", "CHECKPOINTS"):
        monkeypatch.setattr(runs, folder, tmp_path / folder)
    own = {"profile": "", "data_root": str(dataset.root), "device": "cpu", "seeds": [43]}
    return notebook_parameters("06_final") | own


def test_one_call_gives_run_dataset_device_configuration_and_checks(namespace, dataset):
    run, found, device, config, scorecard = study.start("06_final", namespace | {"other": "not a parameter"})
    assert found.fingerprint == dataset.fingerprint and device.type == "cpu" and scorecard is run.checks
    assert config == Config(data_root=namespace["data_root"], device="cpu") and run.parameters["seeds"] == [43]


def test_what_is_none_has_the_courses_value_and_what_is_given_its_own(namespace):
    config = study.start("06_final", namespace | {"lr": 0.02, "dropout": None})[3]
    assert config.lr == 0.02 and config.dropout == 0.0 and config.weight_decay == 1e-5


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("lr", 100, "out of range"), ("seeds", [], "at least one number"), ("max_epochs", None, "NoneType")],
)
def test_a_wrong_parameter_is_named_with_its_notebook(namespace, name, value, told):
    with pytest.raises(StudyError, match=f"06_final: Parameter {name}=.*{told}"):
        study.start("06_final", namespace | {name: value})


def test_a_profile_sets_what_was_left_as_it_is_in_the_notebook_too(namespace, capsys):
    namespace |= {"profile": "demo", "batch_size": 32}
    run, *_, config, _ = study.start("06_final", namespace)
    profile = study.load_profile("demo")["06_final"]
    assert config.max_epochs == profile["max_epochs"] < 20 and config.batch_size == 32 != profile["batch_size"]
    assert namespace["extra_epochs"] == run.parameters["extra_epochs"] == profile["extra_epochs"]
    assert config.data_root == str(namespace["data_root"]) != "drawn"
    assert "Set by the profile demo: schedule = 'one_cycle', max_epochs" in capsys.readouterr().out


def test_what_papermill_passes_is_never_replaced_and_without_a_profile_nothing_is(namespace, monkeypatch):
    monkeypatch.setattr(study, "is_logged", lambda: True)
    cell = "# Parameters\nmax_epochs = 20\nrun_name = 'mine'\n"
    assert study.start("06_final", namespace | {"profile": "demo", "In": ["", cell]})[3].batch_size == 64
    config = study.start("06_final", namespace | {"profile": "demo", "In": ["", cell + "profile = 'demo'\n"]})[3]
    assert config.max_epochs == 20 and config.batch_size == 16


def test_a_copy_is_opened_as_the_parameters_ask(namespace, copy):
    from helpers.data.celeba import open_dataset

    whole = open_dataset(str(copy)).annotations
    names = {split: list(whole.index[whole["split"] == split]) for split in ("train", "test")}
    images = copy / "img_align_celeba"
    (images / names["train"][0]).write_bytes((images / names["test"][0]).read_bytes())
    (images / names["train"][1]).unlink()
    asked = {"data_root": str(copy), "drop_duplicates": True, "allow_missing": True}
    dataset = study.start("06_final", namespace | asked)[1]
    assert dataset.left_out == 1 and dataset.is_subset


@pytest.mark.parametrize("profile", ["full", ""])
def test_the_full_profile_and_none_leave_the_courses_protocol(namespace, profile, capsys):
    assert study.start("06_final", namespace | {"profile": profile})[3].max_epochs == 20
    assert "Set by" not in capsys.readouterr().out


def test_a_newcomer_who_changes_nothing_runs_the_demo_on_drawn_faces():
    for notebook in study.ORDER:
        parameters = notebook_parameters(notebook)
        assert study.set_by_profile(notebook, parameters, parameters)["data_root"] == "drawn"
