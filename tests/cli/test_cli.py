"""The command line: exit codes, messages without tracebacks, predictions as CSV."""

import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from helpers.__main__ import app, main
from helpers.cli import doctor, pipeline, reporting
from helpers.cli.kernels import kernel_problem, refuse_other_kernel
from helpers.config import ATTRIBUTES, DATA, ROOT, Config
from helpers.errors import StudyError
from helpers.models.checkpoints import save_checkpoint
from helpers.models.networks import build_model
from helpers.study import ORDER
from helpers.system.devices import choose_device
from helpers.system.records import write_record

PROBABILITIES, DECISIONS = list(ATTRIBUTES), [f"{name}_pred" for name in ATTRIBUTES]


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    save_checkpoint(path, build_model(0, torch.device("cpu"), 8), Config(channels_block3=8), 1, {}, "drawn faces")
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 30, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(pixels).convert("L").resize((300, 500)).save(folder / "deeper" / "b.jpg")
    Image.fromarray(pixels).convert("RGBA").save(folder / "c.webp")
    (folder / ".DS_Store").write_text("hidden, and no image")
    return folder


def test_predict_writes_the_promised_columns(checkpoint, photos, tmp_path):
    assert call("predict", "--checkpoint", checkpoint, photos, "--csv", tmp_path / "out.csv").exit_code == 0
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table.columns) == ["image", *PROBABILITIES, *DECISIONS] and len(table) == 3
    assert table[PROBABILITIES].stack().between(0, 1).all()
    assert ((table[PROBABILITIES] >= 0.5).to_numpy() == table[DECISIONS].astype(bool).to_numpy()).all()


def test_predict_prints_the_table_without_csv(checkpoint, photos):
    result = call("predict", "--checkpoint", checkpoint, photos / "a.png")
    assert pd.read_csv(io.StringIO(result.stdout))["image"].tolist() == [str(photos / "a.png")]


def test_predict_leaves_out_what_is_broken_names_it_and_answers_the_rest(checkpoint, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no jpeg")
    result = call("predict", "--checkpoint", checkpoint, photos, "--csv", tmp_path / "out.csv")
    assert result.exit_code == 1 and "broken.jpg" in result.stderr
    assert len(pd.read_csv(tmp_path / "out.csv")) == 3


def test_data_check_of_drawn_faces_is_usable_with_remarks(drawn):
    result = call("data", "check", drawn)
    assert result.exit_code == 1 and "drawn faces" in result.stdout


def test_data_check_of_a_broken_folder_is_not_usable(copy):
    (copy / "list_eval_partition.txt").unlink()
    result = call("data", "check", copy)
    assert result.exit_code == 2 and "list_eval_partition.txt is missing" in result.stdout


def test_data_draw_and_prepare_say_where(tmp_path):
    assert call("data", "draw", "--root", tmp_path / "few", "--count", 80).exit_code == 0
    assert call("data", "prepare", tmp_path / "few").exit_code == 0
    assert len(list((tmp_path / "few" / "cache").glob("*.npy"))) == 1


def test_doctor_names_what_will_be_used(drawn):
    text = call("doctor", "--data-root", "drawn").stdout
    assert torch.__version__ in text and "300 images" in text and "GPU" in text
    home = DATA.parent
    assert f"ready in {drawn}" in text and f"(results in {home}, data in {drawn}, cache in " in text


def test_doctor_says_that_faces_would_be_drawn_and_which_disk_is_used(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "DATA", tmp_path / "data")
    monkeypatch.setattr(doctor, "HOME", tmp_path)
    text = call("doctor", "--data-root", tmp_path / "nowhere").stdout
    assert "not drawn yet" in text and f"(results in {tmp_path}, data in {tmp_path})" in text


def test_doctor_names_a_kernel_of_another_python(monkeypatch, tmp_path):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {
        "argv": ["/opt/other/bin/python", "-m", "ipykernel_launcher"],
        "display_name": "Other",
        "language": "python",
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert "runs /opt/other/bin/python, which does not exist" in kernel_problem()
    with pytest.raises(StudyError, match=r"Remove the kernel with jupyter kernelspec remove python3"):
        refuse_other_kernel()
    monkeypatch.delenv("JUPYTER_PATH")
    assert not kernel_problem()


@pytest.mark.parametrize("device", ["mps", "gpu", ""])
def test_a_device_that_is_not_known_is_refused(device):
    with pytest.raises(StudyError, match="is not one of auto, cpu and cuda"):
        choose_device(device)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--checkpoint", "nowhere.pt", "x.jpg"], "There is no checkpoint nowhere.pt"),
        (["run", "--profile", "demo", "-p", "06_final.max_epoch=3"], "Did you mean 'max_epochs'"),
        (["run", "--profile", "quick", "--data-root", "/nowhere"], "The data root /nowhere does not exist"),
        (["report", "nowhere"], "There is no run 'nowhere'"),
        (["report", "nowhere", "--format", "odt"], "no report format 'odt'"),
    ],
)
def test_a_users_mistake_is_one_clear_message_and_exit_status_2(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["helpers", *arguments])
    assert main() == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ") and message in told.err and "Traceback" not in told.err + told.out


@pytest.mark.slow
def test_a_process_that_is_told_a_mistake_exits_with_status_2():
    command = [sys.executable, "-m", "helpers", "predict", "--checkpoint", "nowhere.pt", "x.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and not done.stdout


@pytest.mark.parametrize(
    ("passed", "options", "status"), [(True, [], 0), (False, [], 1), (False, ["--keep-going"], 0), (None, [], 0)]
)
def test_a_fault_on_the_scorecard_is_the_exit_status_of_a_run(monkeypatch, tmp_path, passed, options, status):
    rows = [
        {"name": "a check", "values": {}, "passed": passed, "severity": "fault", "notebook": name}
        for name in ("01_data", "02_baselines")
    ]
    monkeypatch.setattr("helpers.cli.pipeline.run_study", lambda study, kernels: tmp_path)
    monkeypatch.setattr("helpers.cli.planning.chosen", lambda study: ("01_data", "02_baselines"))
    monkeypatch.setattr("helpers.cli.reporting.make_report", lambda *given, **named: [])
    monkeypatch.setattr("helpers.scorecard.read_scorecard", lambda path: rows)
    done = call("run", "--profile", "demo", *options)
    assert done.exit_code == status and "Checks: " in done.output
    rows.pop()  # a notebook without any check is a fault too
    assert call("run", "--profile", "demo").exit_code == 1


@pytest.mark.parametrize(("passed", "keep_going", "status"), [(True, False, 0), (False, False, 1), (False, True, 0)])
def test_run_passes_on_what_was_asked_and_its_status_is_that_of_the_checks(
    tmp_path, monkeypatch, passed, keep_going, status
):
    asked = []
    check = {"name": "a", "expected": "", "measured": "", "values": {}, "passed": passed, "severity": "fault"}
    (tmp_path / "results").mkdir()
    rows = [check | {"notebook": name} for name in ORDER]
    write_record(tmp_path / "results" / "checks.json", {"checks": rows})
    monkeypatch.setattr(pipeline, "run_study", lambda study, kernels: asked.append(study) or tmp_path)
    monkeypatch.setattr(reporting, "make_report", lambda name, page, kernels: asked.append((name, page)))
    words = ["run", "--profile", "demo", "--run-name", "mine", "--device", "cpu", "-p", "seed=7", "--language", "en"]
    words += ["--allow-missing", "--fresh", "--author", "Ada", *(["--keep-going"] if keep_going else [])]
    assert call(*words).exit_code == status
    study, (name, page) = asked
    assert (study.profile, study.run_name, study.device, study.settings) == ("demo", "mine", "cpu", ["seed=7"])
    assert study.allow_missing and study.fresh and name == tmp_path.name
    assert page == {"language": "en", "author": "Ada", "course": "", "repository": ""}


@pytest.mark.slow
def test_a_checkpoint_is_exported_where_it_was_asked_for(checkpoint, tmp_path):
    pytest.importorskip("onnxscript")
    result = call("export-onnx", "--checkpoint", checkpoint, "--onnx", tmp_path / "a.onnx")
    assert result.exit_code == 0 and (tmp_path / "a.onnx").stat().st_size > 10_000
    assert "a.onnx: its logits differ from torch's by " in result.stdout
