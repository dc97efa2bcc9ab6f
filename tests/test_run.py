"""The folders of a run: nothing of test is spent unseen, and nothing of an interrupted training passes as a result."""

import errno
import gc
import json
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from helpers import run as runs
from helpers.config import Config
from helpers.errors import StudyError
from helpers.models.checkpoints import load_checkpoint
from helpers.models.networks import build_model
from helpers.run import Run
from helpers.study import RESULTS
from helpers.system.files import file_md5
from helpers.system.records import file_digest, read_arrays

CPU = torch.device("cpu")


@pytest.fixture
def make_run(dataset, tmp_path, monkeypatch):
    """Return a function that begins a notebook of one run in a folder of the test."""
    for folder in ("RUNS", "FIGURES", "CHECKPOINTS"):
        monkeypatch.setattr(runs, folder, tmp_path / folder)

    def begin(notebook: str) -> Run:
        config = Config(data_root="drawn", device="cpu")
        return Run(notebook, config, dataset, {"seed": 42, "seeds": None}, RESULTS[notebook])

    return begin


def test_every_opening_of_the_test_split_is_written_down_and_none_is_lost(make_run, dataset, tmp_path):
    checkpoint = tmp_path / "best.pt"
    checkpoint.write_bytes(b"weights")
    for count in (1, 2):
        run = make_run("07_test")
        assert len(run.open_test(CPU, [checkpoint])) == 30 and len(run.test_openings) == count
    record = run.test_openings[0]
    assert list(record["checkpoints"]) == [str(checkpoint)] and record["checkpoints"][str(checkpoint)]
    assert "@" in record["who"] and record["notebook"] and record["data"] == dataset.fingerprint
    assert pd.to_datetime(record["when"]) <= pd.Timestamp.now(tz="UTC")


def finish(run: Run):
    """Write results of a notebook with the right names, whatever they hold."""
    run.write(**dict.fromkeys(RESULTS[run.notebook]))


def test_an_interrupted_final_training_is_not_tested_unless_asked_for(make_run):
    final, test = make_run("06_final"), make_run("07_test")
    final.checkpoints.mkdir(parents=True)
    (final.checkpoints / "best.pt").write_bytes(b"weights of epoch 3 of 5")
    with pytest.raises(StudyError, match=r"06_final.*interrupted.*allow_unfinished = True"):
        test.trained_checkpoint()
    assert test.trained_checkpoint(allow_unfinished=True).name == "best.pt"
    finish(final)
    assert test.trained_checkpoint().name == "best.pt"
    final.clear_results()  # it begins again
    with pytest.raises(StudyError, match="interrupted"):
        test.trained_checkpoint()


def test_results_of_other_names_than_the_schemas_are_refused(make_run):
    with pytest.raises(ValueError, match=r"RESULTS.*accuracy"):
        make_run("appendix").write(**dict.fromkeys(RESULTS["appendix"]), accuracy=1)
    with pytest.raises(ValueError, match=r"RESULTS.*published"):
        make_run("appendix").write(**dict.fromkeys(RESULTS["appendix"][:-1]))


def test_results_hold_the_parameters_of_the_notebook_and_of_its_configuration(make_run):
    run = make_run("03_overfit")
    run.configure(lr=0.007)
    finish(run)
    parameters = json.loads((run.results / "03_overfit.json").read_text())["parameters"]
    assert parameters["seeds"] is None and parameters["lr"] == 0.007 and parameters["batch_size"] == 64


def test_a_followed_training_keeps_its_best_and_its_last_epoch(make_run):
    run = make_run("06_final")
    model, follower = build_model(0, CPU, 4), run.follow("best", run.config.but(channels_block3=4), last=True)
    follower.load_state_dict({})  # as `fit` does
    for epoch, loss in enumerate((0.5, 0.3, 0.4), start=1):
        with torch.no_grad():
            model.head.bias.fill_(epoch)
        follower({"epoch": epoch, "val_loss": loss, "train_loss": loss}, model)
    best, last = (load_checkpoint(run.checkpoints / f"{name}.pt") for name in ("best", "last"))
    assert follower.row["epoch"] == best.content["epoch"] == 2 and last.content["epoch"] == 3
    assert best.model.head.bias.tolist() == [2.0] * 5 and last.model.head.bias.tolist() == [3.0] * 5
    kept = follower.state_dict()
    follower.load_state_dict(kept)  # the training is continued: the files are made again
    assert load_checkpoint(run.checkpoints / "best.pt").content["epoch"] == 2
    assert load_checkpoint(run.checkpoints / "last.pt").content["epoch"] == 3
    follower.load_state_dict({})  # another training begins: nothing of this one is taken for it
    assert not list(run.checkpoints.glob("*.pt"))


def test_a_log_takes_a_diverged_epoch_without_a_loss_and_leaves_no_thread(make_run):
    run, before = make_run("05_grid"), set(threading.enumerate())
    log = run.tensorboard("grid/diverged")
    log({"epoch": 1, "train_loss": None, "val_loss": None, "val_f1": 0.5, "val_acc": 0.5})
    started = set(threading.enumerate()) - before
    assert started
    del log
    gc.collect()
    for thread in started:
        thread.join(10)
        assert not thread.is_alive()


def test_a_second_log_of_one_name_takes_the_place_of_the_first(make_run):
    run = make_run("06_final")
    for _ in range(2):
        run.tensorboard("final")({"epoch": 1, "val_loss": 0.5})
    assert len(list((run.folder / "tensorboard" / "final").glob("events.out.tfevents.*"))) == 1


def test_only_train_and_valid_are_limited_and_each_by_its_own_parameter(make_run):
    run = make_run("06_final")
    run.configure(train_images=20, valid_images=10)
    assert [len(run.load(split)) for split in ("train", "valid", "test")] == [20, 10, 30]


def test_an_opening_of_test_is_written_down_before_the_images_are_read(make_run, monkeypatch):
    run = make_run("07_test")
    run.save_checkpoint("best", build_model(0, CPU), 1, {})

    def fail(*given):
        raise OSError("the disk is gone")

    monkeypatch.setattr(runs, "load_split", fail)
    path = run.checkpoints / "best.pt"
    with pytest.raises(OSError, match="the disk is gone"):
        run.open_test(CPU, [path])
    (opening,) = run.test_openings
    assert opening["checkpoints"] == {str(path): file_md5(path)}


def test_the_persons_and_the_second_network_s_logits_come_back(make_run):
    run, targets = make_run("07_test"), np.eye(3, 5)
    second = np.arange(15, dtype=np.float32).reshape(3, 5)
    run.save_logits({"test": -second}, targets, np.array([70, 70, 5]), second)
    saved = read_arrays(run.results / runs.LOGITS)
    assert saved["persons"].tolist() == [1, 1, 0] and np.array_equal(saved["second"], second)
    assert np.array_equal(saved["targets"], targets.astype(bool)) and np.array_equal(saved["test"], -second)


def test_saved_logits_come_back_with_their_images_and_not_with_others(make_run, dataset):
    run = make_run("07_test")
    logits = {name: np.full((30, 5), number, np.float32) for number, name in enumerate(("valid", "test"))}
    with pytest.raises(StudyError, match="appendix needs the results of 07_test"):
        make_run("appendix").tested()
    run.save_logits(logits, run.load("test").targets.numpy(), None)
    finish(run)
    again, splits = make_run("appendix").tested()
    assert all(np.array_equal(again[name], logits[name]) for name in logits)
    assert splits["test"].name == "test" and not run.test_openings
    targets = splits["test"].targets.numpy()
    run.save_logits(logits, 1 - targets, None)
    finish(run)
    with pytest.raises(StudyError, match="07_test ran on another dataset"):  # its labels have changed since
        make_run("appendix").tested()
    np.savez(run.results / runs.LOGITS, data=np.array("another dataset"), targets=targets.astype(bool), **logits)
    with pytest.raises(StudyError, match="other data"):
        make_run("appendix").tested()


def test_results_that_were_changed_or_damaged_are_not_read(make_run):
    run = make_run("04_lr_finder")
    run.write(**dict.fromkeys(RESULTS["04_lr_finder"]) | {"chosen": {"lr": 0.005}})
    path = run.results / "04_lr_finder.json"
    content = path.read_text()
    assert make_run("05_grid").read("04_lr_finder")["chosen"]["lr"] == 0.005
    for wrong, reason in (
        (content.replace("0.005", "0.05"), "changed or damaged after it was written"),
        (content[:-20], "cannot be read"),
        ("{}", "another version of this study"),
    ):
        path.write_text(wrong)
        with pytest.raises(StudyError, match=f"04_lr_finder.json .*{reason}.*Run 04_lr_finder again"):
            make_run("05_grid").read("04_lr_finder")


def test_the_time_a_notebook_took_does_not_count_for_whoever_reads_its_results(make_run):
    digests = []
    for seconds in (1.0, 2.0):
        run = make_run("05_grid")
        run.write(**dict.fromkeys(RESULTS["05_grid"]) | {"trial_seconds": seconds, "images": 7})
        digests.append(file_digest(run.results / "05_grid.json"))
    assert digests[0] == digests[1]
    run.write(**dict.fromkeys(RESULTS["05_grid"]) | {"trial_seconds": 2.0, "images": 8})
    assert file_digest(run.results / "05_grid.json") != digests[0]


def test_a_checkpoint_that_changed_after_the_final_training_is_not_tested(make_run):
    final = make_run("06_final")
    final.save_checkpoint("best", build_model(0, CPU, 4), 1, {}, final.config.but(channels_block3=4))
    assert final.load_checkpoint("best").content["epoch"] == 1
    finish(final)
    assert make_run("07_test").load_checkpoint("best").content["epoch"] == 1
    final.save_checkpoint("best", build_model(1, CPU, 4), 2, {}, final.config.but(channels_block3=4))
    with pytest.raises(StudyError, match=r"best.pt was changed or damaged after 06_final wrote it"):
        make_run("07_test").load_checkpoint("best")


def test_the_results_name_the_files_that_a_notebook_read_and_made(make_run):
    finish(make_run("05_grid"))
    run = make_run("06_final")
    run.read("05_grid")
    assert not run.has("04_lr_finder")
    run.save_checkpoint("best", build_model(0, CPU, 4), 1, {}, run.config.but(channels_block3=4))
    finish(run)
    files = json.loads((run.results / "06_final.json").read_text())["files"]
    assert [bool(digest) for digest in files["read"].values()] == [False, True]
    assert [path.rpartition("/")[2] for path in files["read"]] == ["04_lr_finder.json", "05_grid.json"]
    assert [path.rpartition("/")[2] for path in files["made"]] == ["best.pt"]


def test_arrays_are_saved_beside_the_results_and_removed_with_them(make_run):
    run = make_run("03_overfit")
    path = run.save_arrays(images=np.full((2, 3, 64, 64), 7, np.uint8), labels=[0, 1])
    assert path == run.results / "03_overfit.npz" and run.files.is_made(path)
    with np.load(path) as saved:
        assert saved["images"].dtype == np.uint8 and saved["labels"].tolist() == [0, 1]
    before = path.read_bytes()
    assert run.save_arrays(images=np.full((2, 3, 64, 64), 7, np.uint8), labels=[0, 1]).read_bytes() == before
    run.clear_results()
    assert not path.exists()


def test_arrays_that_cannot_be_written_are_a_mistake_that_the_user_can_mend(make_run):
    run = make_run("03_overfit")
    (run.results / "03_overfit.npz").mkdir()
    with pytest.raises(StudyError, match=r"03_overfit.npz cannot be written"):
        run.save_arrays(labels=[0, 1])


@pytest.fixture
def tested(make_run):
    """A run whose 07_test has saved its logits."""
    run = make_run("07_test")
    run.save_logits({name: np.zeros((30, 5), np.float32) for name in ("valid", "test")}, np.zeros((30, 5)), None)
    finish(run)
    return run


@pytest.mark.parametrize("damage", ["cut", "changed", "text"])
def test_damaged_logits_are_refused_in_words(make_run, tested, damage):
    path = tested.results / runs.LOGITS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-40], "changed": content, "text": b"version https://git-lfs"}[damage])
    with pytest.raises(StudyError, match=r"07_logits.npz cannot be read .*Run the notebook again that made it"):
        make_run("appendix").tested()


def test_a_full_disk_while_arrays_are_written_keeps_those_that_were_there(tested, monkeypatch):
    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    before = (tested.results / runs.LOGITS).read_bytes()
    with pytest.raises(StudyError, match=r"07_logits.npz cannot be written \(No space left.*Free some space"):
        tested.save_logits({}, np.ones((30, 5)), None)
    with pytest.raises(StudyError, match=r"07_test.json cannot be written \(No space left.*Free some space"):
        finish(tested)
    assert (tested.results / runs.LOGITS).read_bytes() == before and not list(tested.results.glob("*.partial"))


def test_a_log_of_openings_that_was_cut_or_damaged_loses_no_other_line(make_run, tmp_path):
    (tmp_path / "best.pt").write_bytes(b"weights")
    run = make_run("07_test")
    run.open_test(CPU, [tmp_path / "best.pt"])
    log = run.folder / runs.TEST_LOG
    log.write_bytes(log.read_bytes() + b'7\n\xff\xfe\n{"when": "20')
    run.open_test(CPU, [tmp_path / "best.pt"])
    assert [record["notebook"] for record in run.test_openings] == ["07_test", "07_test"]


def test_the_results_of_other_runs_are_read_without_counting_as_read(make_run, tmp_path):
    for name in ("first", "second", "third"):
        other = make_run("06_final")
        other.results = tmp_path / "RUNS" / name / "results"
        finish(other)
    damaged = tmp_path / "RUNS" / "third" / "results" / "06_final.json"
    damaged.write_text(damaged.read_text().replace('"seed": 42', '"seed": 43'))
    run = make_run("06_final")
    finish(run)
    found = run.elsewhere("06_final")
    assert list(found) == ["first", "second"] and found["first"]["parameters"]["seed"] == 42
    assert not any("first" in path for path in run.files.digests()["read"])


def test_a_figure_says_its_note_and_that_faces_are_drawn_and_one_that_cannot_be_written_is_told(make_run):
    run, figure = make_run("01_data"), Figure()
    run.save_figure(figure, "faces", "48 images", alt="Faces.")
    assert [text.get_text() for text in figure.texts] == ["48 images", "drawn faces"]
    path = run.figures / "01_data_faces.png"
    assert path.stat().st_size > 1_000
    path.unlink()
    path.mkdir()
    with pytest.raises(StudyError, match=r"The figure .*01_data_faces\.png cannot be written \("):
        run.save_figure(Figure(), "faces", alt="Faces.")
