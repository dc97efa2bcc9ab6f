"""The whole study on drawn faces: eight notebooks and the report, by the command line, and by papermill alone."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
import torch
import yaml
from papermill import execute_notebook
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.config import ATTRIBUTES, CHECKPOINTS, FIGURES, HOME, NOTEBOOKS, ROOT, RUNS
from helpers.models.checkpoints import load_checkpoint
from helpers.study import ORDER, notebook_parameters
from helpers.system.records import TIMES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("the small run")]

SMALL = [
    "02_baselines.max_epochs=4",
    "02_baselines.probe_images=24",
    "02_baselines.probe_epochs=1",
    "03_overfit.overfit_images=12",
    "03_overfit.max_epochs=80",
    "03_overfit.valid_images=12",
    "04_lr_finder.sweep_steps=20",
    "04_lr_finder.batch_size=8",
    "04_lr_finder.seeds=[43]",
    "05_grid.seeds=[43]",
    "05_grid.grid_weight_decay=[1e-5]",
    "05_grid.grid_dropout=[0.0]",
    "05_grid.train_images=32",
    "05_grid.max_epochs=1",
    "05_grid.valid_images=16",
    "06_final.max_epochs=2",
    "06_final.train_images=64",
    "06_final.valid_images=24",
    "06_final.extra_epochs=1",
]


@pytest.fixture(scope="module")
def run(drawn):
    """The run `small`, made by the command line; its output is a pipe that has few characters, as on Windows."""
    command = [sys.executable, "-m", "helpers", "run", "--profile", "demo", "--run-name", "small"]
    settings = [word for setting in SMALL for word in ("-p", setting)]
    environment = os.environ | {"CELEBA_ROOT": "/not/looked/at", "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    command = [*command, *settings]
    done = subprocess.run(command, capture_output=True, encoding="cp1252", cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def results(run):
    return {name: json.loads((RUNS / "small" / "results" / f"{name}.json").read_text()) for name in ORDER}


def tags(folder):
    events = EventAccumulator(str(RUNS / "small" / "tensorboard" / folder))
    events.Reload()
    return set(events.Tags()["scalars"])


def test_every_notebook_is_executed_without_an_error_and_its_results_are_kept(run, results):
    for name in ORDER:
        executed = nbformat.read(RUNS / "small" / f"{name}.ipynb", as_version=4)
        assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code" and cell.source)
        assert (RUNS / "small" / "logs" / f"{name}.log").is_file()
    assert all(results[name]["data"]["drawn"] for name in ORDER)


def test_what_a_pipe_lacks_is_escaped(run):
    assert r"\u2500\u2500 01_data (1/8)" in run


def test_progress_in_the_log_is_plain_lines_and_no_bars(run):
    assert "final epoch 2/2: train loss" in run and "█" not in run and "it/s" not in run


def test_the_checks_hold_on_drawn_faces(results):
    faults = [c for r in results.values() for c in r["checks"] if c["passed"] is False and c["severity"] == "fault"]
    assert not faults, faults


def test_the_scorecard_holds_every_notebooks_checks_and_its_verdict_is_the_last_line(run):
    rows = json.loads((RUNS / "small" / "results" / "checks.json").read_text())["checks"]
    assert list(dict.fromkeys(row["notebook"] for row in rows)) == list(ORDER) and len(rows) > 30
    verdict = run.strip().splitlines()[-1]
    assert re.match(r"Checks: \d+ passed, \d+ remarks?, 0 faults( \(\d did not apply\))?\.$", verdict), verdict


def test_the_test_split_was_opened_once_for_the_checkpoints_that_were_compared(run):
    (opening,) = map(json.loads, (RUNS / "small" / "test_opened.jsonl").read_text().splitlines())
    assert [path.rpartition("/")[2] for path in opening["checkpoints"]] == ["best.pt", "extra_best.pt"]


def test_the_model_card_says_that_the_faces_are_drawn(run):
    assert "Entraîné sur des visages dessinés" in (RUNS / "small" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_split_sizes_are_counted_and_not_batches_times_the_batch_size(results):
    assert results["01_data"]["data"]["split_sizes"] == {"train": 240, "valid": 30, "test": 30}


def test_the_checkpoints_load_safely_and_say_what_they_were_trained_on(run):
    for name in ("best", "last", "extra_best"):
        path = CHECKPOINTS / "small" / f"{name}.pt"
        assert torch.load(path, weights_only=True)["trained_on"] == "drawn faces"
        assert load_checkpoint(path).content["attributes"] == list(ATTRIBUTES)


def test_the_final_training_takes_the_grids_best_trial(results):
    best = results["05_grid"]["best"]
    assert results["06_final"]["chosen"] == best and set(results["06_final"]["origin"].values()) == {"grid's best"}
    losses = [trial["val_loss"] for trial in results["05_grid"]["trials"]]
    assert losses == sorted(losses) and len(losses) == 4


def test_config_yaml_has_the_courses_form(run, results):
    config = yaml.safe_load((RUNS / "small" / "config.yaml").read_text())
    assert set(config["model"]) == {"type", "num_classes", "input_shape", "channels_block3", "dropout"}
    assert config["train"]["optimizer"]["lr"] == results["06_final"]["chosen"]["lr"]
    assert config["train"]["epochs"] == 2 and config["model"]["input_shape"] == [3, 64, 64]


def test_tensorboard_has_the_courses_folders_and_tags(run):
    course = {"train/loss", "val/loss", "val/f1", "val/acc"}
    trials = list((RUNS / "small" / "tensorboard" / "grid").iterdir())
    assert len(trials) == 8  # four, with two seeds each
    for folder in ("final", "overfit_small_sample", f"grid/{trials[0].name}"):
        assert tags(folder) == course
    assert tags("lr_finder") == {"train/loss"}


def test_the_report_is_one_html_file_and_says_that_the_faces_are_drawn(run):
    html = (RUNS / "small" / "report.html").read_text(encoding="utf-8")
    assert "drawn-banner" in html and 'lang="fr"' in html and "data:image/png;base64" in html
    assert (FIGURES / "small" / "07_test_confusion.png").is_file()


def test_the_pdf_is_printed_or_its_absence_is_told(run):
    pdf = RUNS / "small" / "report.pdf"
    assert pdf.read_bytes().startswith(b"%PDF") if pdf.exists() else "No PDF" in run


def test_the_measured_test_scores_stand_in_the_report(run, results):
    html = (RUNS / "small" / "report.html").read_text(encoding="utf-8")
    loss = results["07_test"]["overall"]["test"]["loss"]
    assert f"{loss:.4f}".replace(".", ",") in html


def test_nothing_is_written_beside_the_notebooks(run):
    assert not list(NOTEBOOKS.glob("**/*.png")) and not (ROOT / "runs" / "small").exists() and HOME != ROOT


def without_times(text: str) -> str:
    """Return a file of results without the lines of times, and of the name of the run."""
    return re.sub(rf'^ *"({"|".join(TIMES - {"digest"})}|run_name)": .*\n', "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("notebook", ["02_baselines", "04_lr_finder"])
def test_a_notebook_executed_again_writes_the_same_bytes_apart_from_times(notebook, run, results, tmp_path):
    given = {name: results[notebook]["parameters"][name] for name in notebook_parameters(notebook)}
    source = str(NOTEBOOKS / f"{notebook}.ipynb")
    execute_notebook(source, str(tmp_path / "out.ipynb"), given | {"run_name": "again"}, progress_bar=False)
    texts, files = [], []
    for run_name in ("small", "again"):
        folder = RUNS / run_name / "results"
        content = json.loads((folder / f"{notebook}.json").read_text())
        for place, key in ((content, "digest"), (content, "files"), (content["parameters"], "run_name")):
            del place[key]
        texts.append(without_times(json.dumps(content, indent=1)))
        made = [*folder.glob(f"{notebook}.npz"), *(FIGURES / run_name).glob(f"{notebook}_*.png")]
        files.append({path.name: path.read_bytes() for path in sorted(made)})
    assert len(texts[0]) > 1000 and texts[0] == texts[1]
    assert files[0].keys() and files[0] == files[1]


def papermill(tmp_path, notebook, *parameters):
    """Run papermill's own command line from a foreign folder."""
    words = [word for name, value in parameters for word in ("-p", name, str(value))]
    command = [sys.executable, "-m", "papermill", str(NOTEBOOKS / f"{notebook}.ipynb"), str(tmp_path / "out.ipynb")]
    return subprocess.run([*command, *words], capture_output=True, text=True, cwd=tmp_path, check=False)


def test_papermill_alone_runs_a_notebook_from_any_folder_with_the_courses_names(drawn, tmp_path):
    parameters = {
        "run_name": "alone", "data_root": "drawn", "max_epochs": 1, "extra_epochs": 1, "train_images": 32,
        "valid_images": 16, "channels_block3": 32, "lr": 0.01, "dropout": 0.2,
    }  # fmt: skip
    done = papermill(tmp_path, "06_final", *parameters.items())
    assert done.returncode == 0, done.stderr[-2000:]
    written = json.loads((RUNS / "alone" / "results" / "06_final.json").read_text())
    assert written["chosen"] == {"lr": 0.01, "weight_decay": 1e-5, "channels_block3": 32, "dropout": 0.2}
    assert written["origin"]["weight_decay"] == "the course's" and written["origin"]["lr"] == "by hand"


def test_a_notebook_names_the_one_to_run_before_it(drawn, tmp_path):
    done = papermill(tmp_path, "07_test", ("run_name", "lonely"), ("data_root", "drawn"))
    assert done.returncode != 0 and "Train one with 06_final" in done.stderr
