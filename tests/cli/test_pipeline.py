"""The pipeline's checks before anything runs, and what is kept when something fails."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import papermill
import pytest
from filelock import FileLock
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

from helpers import study
from helpers.cli import kernels, pipeline, planning
from helpers.cli.kernels import Kernels
from helpers.cli.planning import Study
from helpers.config import CHECKPOINTS, RUNS
from helpers.errors import Interrupted, StudyError


def run_study(study: Study):
    with Kernels() as kernels:
        return pipeline.run_study(study, kernels)


def planned(*settings, **asked):
    return planning.plan(Study("demo", settings=list(settings), **asked))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("06_final.max_epoch=3", "Did you mean 'max_epochs'"),
        ("data_root=0", "data_root"),
        ("data_root='a\\0b'", "not a path that can be used"),
        ("07_test.checkpoint=" + "x" * 300, "not a path that can be used"),
        ("07_test.checkpoint=~nobody-of-this-name/best.pt", "not a path that can be used"),
        ("06_finale.max_epochs=3", "Did you mean '06_final'"),
        ("sed=3", "Did you mean 'seed'"),
        ("06_final.max_epochs", "-p 06_final.max_epochs=30"),
        ("06_final.max_epochs=-1", "06_final: Parameter max_epochs=-1 is out of range"),
        ("06_final.max_epochs=many", "must be a whole number"),
        ("05_grid.grid_lr=0.1", "must be a list"),
        ("01_data.lr=0.1", "There is no parameter of 01_data 'lr'"),
        ("03_overfit.lr=None", "must be a number"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_runs(settings, message):
    with pytest.raises(StudyError, match=message):
        planned(settings)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"only": "05_gird"}, "Did you mean '05_grid'"),
        ({"start": "5_grid"}, "Did you mean '05_grid'"),
        ({"device": "tpu"}, "device='tpu'"),
        ({"run_name": "a/b"}, "run_name='a/b'"),
    ],
)
def test_a_wrong_option_is_told_before_anything_runs(asked, message):
    with pytest.raises(StudyError, match=message):
        planned(**asked)


@pytest.mark.parametrize(
    ("settings", "asked", "message"),
    [
        (["run_name=mine"], {}, "-p run_name: .*--run-name"),
        (["06_final.run_name=mine"], {}, "-p 06_final.run_name: .*--run-name"),
        (["06_final.max_epochs=3"], {"only": "05_grid"}, "06_final is not run .only 05_grid.*no effect"),
        (["grid_lr=[0.1]"], {"start": "06_final"}, "no notebook that is run has this parameter"),
        (["07_test.checkpoint=nothing.pt"], {}, "07_test.checkpoint: there is no checkpoint /.*nothing.pt"),
        (["07_test.compare_with=nothing.pt"], {}, "07_test.compare_with: there is no checkpoint"),
    ],
)
def test_a_setting_that_would_have_no_effect_is_refused(settings, asked, message):
    with pytest.raises(StudyError, match=message):
        planned(*settings, **asked)


def test_paths_of_checkpoints_are_made_absolute_for_the_kernels(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.pt").touch()
    assert planned("07_test.checkpoint=mine.pt")["07_test"]["checkpoint"] == str(tmp_path / "mine.pt")
    later = str(CHECKPOINTS / "demo" / "last.pt")  # 06 of this run makes it
    assert planned(f"07_test.checkpoint={later}")["07_test"]["checkpoint"] == later
    with pytest.raises(StudyError, match="there is no checkpoint"):
        planned(f"07_test.checkpoint={later}", start="07_test")


def test_an_unknown_profile_is_told():
    with pytest.raises(StudyError, match="Did you mean 'quick'"):
        planning.plan(Study("quik"))


def test_settings_reach_their_notebook_alone_and_bare_ones_all_that_know_them():
    plan = planned("06_final.max_epochs=30", "06_final.lr=1e-2", "seed=7")
    assert plan["06_final"]["max_epochs"] == 30 and plan["06_final"]["lr"] == 0.01
    assert plan["05_grid"]["max_epochs"] != 30
    assert {values["seed"] for values in plan.values()} == {7}


def test_none_stays_none_where_it_is_the_default():
    assert planned()["06_final"]["lr"] is None


def test_the_run_is_named_after_its_profile_unless_named():
    assert {v["run_name"] for v in planned().values()} == {"demo"}
    assert {v["run_name"] for v in planned(run_name="mine").values()} == {"mine"}


def test_demo_means_drawn_faces_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("CELEBA_ROOT", "/somewhere")
    assert {values["data_root"] for values in planned().values()} == {"drawn"}


def test_a_data_root_is_made_absolute_for_the_kernels(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    plan = planning.plan(Study("quick", data_root="faces"))
    assert plan["01_data"]["data_root"] == str(tmp_path / "faces")


def test_from_goes_on_to_the_end_and_only_runs_one():
    assert list(planned(start="05_grid")) == ["05_grid", "06_final", "07_test", "appendix"]
    assert list(planned(only="05_grid")) == ["05_grid"]


def test_a_second_run_of_the_same_name_is_refused(drawn):
    folder = RUNS / "twice"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(StudyError, match="'twice' is going on"):
        run_study(Study("demo", run_name="twice"))


def test_a_run_folder_that_cannot_be_made_is_told(drawn):
    (RUNS / "in-the-way").parent.mkdir(parents=True, exist_ok=True)
    (RUNS / "in-the-way").write_text("a file")
    with pytest.raises(StudyError, match="cannot be written"):
        run_study(Study("demo", run_name="in-the-way"))


def test_a_signal_that_the_kernel_ignores_is_not_lost(monkeypatch, tmp_path):
    """Between two cells, and while it starts, a kernel ignores SIGINT; the notebook is then executed to its end."""
    ignoring = [sys.executable, "-c", "import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(60)"]
    with subprocess.Popen(ignoring) as child:
        kernel = SimpleNamespace(provisioner=SimpleNamespace(pid=child.pid))
        executed = lambda *given, **named: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        monkeypatch.setattr(pipeline.papermill, "execute_notebook", executed)
        monkeypatch.setattr(pipeline, "stop_kernel", lambda kernel: child.kill())
        assert pipeline.execute("01_data", {}, tmp_path, kernel) == signal.SIGTERM


def test_a_kernel_that_dies_is_told_in_words(tmp_path):
    told = pipeline._explained(DeadKernelError("Kernel died"), "05_grid", tmp_path / "05_grid.ipynb")
    assert isinstance(told, StudyError) and "its kernel died, probably because memory ran out" in str(told)


def test_a_log_that_cannot_be_written_is_told_before_and_after_the_notebook(monkeypatch, tmp_path):
    kernel = SimpleNamespace(provisioner=SimpleNamespace(pid=os.getpid()))
    monkeypatch.setattr(pipeline, "stop_kernel", lambda kernel: None)
    log = tmp_path / "logs" / "01_data.log"
    log.mkdir(parents=True)
    with pytest.raises(StudyError, match=r"01_data.log cannot be written \(Is a directory\). Free some space"):
        pipeline.execute("01_data", {}, tmp_path, kernel)
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no device that is always full")
    log.rmdir()
    log.symlink_to("/dev/full")
    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, stderr_file, **options: stderr_file.write("told"))
    with pytest.raises(StudyError, match=r"01_data.log cannot be written \(No space left on device\)"):
        pipeline.execute("01_data", {}, tmp_path, kernel)


def test_cuda_that_is_not_there_is_told_before_anything_runs(drawn):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(StudyError, match='device="cuda"'):
        run_study(Study("demo", run_name="cuda", device="cuda"))
    assert not list((RUNS / "cuda").glob("*.ipynb"))


@pytest.fixture
def own_notebooks(monkeypatch, tmp_path):
    """Two notebooks of the test's own in the place of the seven: the second fails while its switch is there."""

    def write(name, source):
        parameters = new_code_cell('run_name = "x"  # name\ndata_root = ""  # data\ndevice = "auto"  # device\n')
        parameters.source += 'allow_missing = False  # subset\nprofile = ""  # a profile'
        parameters.metadata["tags"] = ["parameters"]
        notebook = new_notebook(cells=[parameters, new_code_cell(source)])
        notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")

    write("01_data", "print('first')")
    write("05_grid", f"import os\nif os.path.exists({str(tmp_path / 'fail')!r}):\n    1 / 0\nprint('second')")
    (tmp_path / "profiles.yaml").write_text("demo: {all: {data_root: drawn}}")
    (tmp_path / "fail").touch()
    for module in (study, pipeline):
        monkeypatch.setattr(module, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(planning, "ORDER", ("01_data", "05_grid"))
    monkeypatch.setattr(kernels, "IMPORTED", ("math",))  # these notebooks need no more
    monkeypatch.setattr(sys, "argv", ["helpers", "run", "--profile", "demo"])
    return tmp_path


@pytest.mark.slow
def test_a_failing_notebook_stops_the_run_keeps_its_traceback_and_from_goes_on(
    own_notebooks, drawn, capsys, monkeypatch
):
    with pytest.raises(StudyError, match="05_grid failed: ZeroDivisionError") as caught:
        run_study(Study("demo", run_name="stumble"))
    folder = RUNS / "stumble"
    assert str(folder / "05_grid.ipynb") in str(caught.value) and "run the same command again" in str(caught.value)
    executed = nbformat.read(folder / "05_grid.ipynb", as_version=4)
    assert any(
        output.get("ename") == "ZeroDivisionError" for cell in executed.cells for output in cell.get("outputs", [])
    )
    journal = json.loads((folder / "run.json").read_text())
    assert {name: entry["status"] for name, entry in journal["notebooks"].items()} == {
        "01_data": "done",
        "05_grid": "failed",
    }

    (own_notebooks / "fail").unlink()
    told = capsys.readouterr().out
    assert "first" in told and "01_data (1/2): it is not done" in told
    run_study(Study("demo", run_name="stumble"))  # the failure left the run unlocked
    journal = json.loads((folder / "run.json").read_text())
    assert journal["notebooks"]["05_grid"]["status"] == "done" and len(journal["commands"]) == 2
    told = capsys.readouterr().out
    assert "01_data (1/2): done before" in told and "first" not in told and "second" in told
    run_study(Study("demo", run_name="stumble", start="05_grid"))
    told = capsys.readouterr().out
    assert "was asked for" in told and "second" in told and "first" not in told
    results = RUNS / "stumble" / "results"
    kept = [RUNS / "stumble" / "resume" / "06_final" / "final.pt", results / "grid.jsonl", results / "seeds.jsonl"]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("an earlier training")
    run_study(Study("demo", run_name="stumble", fresh=True))
    assert "first" in capsys.readouterr().out and not any(path.exists() for path in kept)
    monkeypatch.setattr(pipeline, "execute", lambda *given: signal.SIGTERM)  # which came between two cells
    with pytest.raises(Interrupted, match="interrupted after 01_data"):
        run_study(Study("demo", run_name="stumble", fresh=True))
    assert "05_grid (2/2)" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_dataset_that_vanishes_between_two_notebooks_is_named_and_what_is_done_stays(own_notebooks, copy, capsys):
    away = copy.with_name("unplugged")
    source = "import pathlib, helpers.data.celeba as c\nprint(len(c.open_dataset(data_root).annotations))\n"
    move = f"pathlib.Path({str(copy)!r}).rename({str(away)!r})"
    for name, code in (("01_data", source + move), ("05_grid", source)):
        notebook = nbformat.read(own_notebooks / f"{name}.ipynb", as_version=4)
        notebook.cells[1].source = code
        nbformat.write(notebook, own_notebooks / f"{name}.ipynb")
    asked = Study("demo", run_name="vanish", data_root=str(copy))
    with pytest.raises(StudyError, match=f"05_grid failed: StudyError: The data root {copy} does not exist"):
        run_study(asked)
    away.rename(copy)
    capsys.readouterr()
    run_study(asked)
    told = capsys.readouterr().out
    assert "01_data (1/2): done before" in told and "05_grid (2/2): it is not done" in told


@pytest.mark.slow
def test_papermill_alone_tells_a_bad_value_as_the_notebook_does(tmp_path, drawn):
    notebook = str(pipeline.NOTEBOOKS / "06_final.ipynb")
    with pytest.raises(papermill.PapermillExecutionError, match="max_epochs=-1"):
        papermill.execute_notebook(
            notebook, str(tmp_path / "out.ipynb"), {"max_epochs": -1, "data_root": "drawn"}, progress_bar=False
        )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "status", "times"), [(signal.SIGTERM, 143, 2), (signal.SIGINT, 130, 1)])
def test_an_interrupted_run_saves_its_training_and_the_same_command_continues_it(drawn, tmp_path, kind, status, times):
    command = [sys.executable, "-m", "helpers", "run", "--profile", "demo", "--only", "06_final"]
    command += ["--data-root", str(drawn), "-p", "06_final.max_epochs=500", "-p", "06_final.train_images=32"]
    environment = os.environ | {"CELEBA_STUDY_HOME": str(tmp_path)}
    for attempt in range(1, times + 1):
        program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        state = tmp_path / "runs/demo/resume/06_final/final.pt"
        began, before = time.monotonic(), state.stat().st_mtime_ns if state.exists() else 0
        while not (state.exists() and state.stat().st_mtime_ns > before):
            assert program.poll() is None and time.monotonic() - began < 120
            time.sleep(0.1)
        program.send_signal(kind)
        told, errors = program.communicate(timeout=120)
        assert program.returncode == status and "06_final was interrupted. Run the same command again" in errors
        assert "The state is saved." in told and ("were done before" in told) == (attempt == 2)
    assert json.loads((tmp_path / "runs/demo/run.json").read_text())["notebooks"]["06_final"]["status"] == "interrupted"
