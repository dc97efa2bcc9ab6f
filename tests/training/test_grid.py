"""The grid: the course's trials, none run twice, the best by the rule."""

import dataclasses
import json
import math
import subprocess
import sys

import pandas as pd
import pytest
import torch

from helpers.config import Config
from helpers.data.batches import Split
from helpers.errors import StudyError
from helpers.training import grid
from helpers.training.grid_effects import best_trial, by_trial
from helpers.training.results import read_finished

CONFIG = Config(max_epochs=1, batch_size=8, device="cpu")


FACES = Split(
    "train", torch.zeros(10, 3, 64, 64, dtype=torch.uint8), torch.zeros(10, 5), [str(n) for n in range(10)], None
)


@pytest.fixture
def failures():
    """How often a trial's training fails before it succeeds, by name."""
    return {}


@pytest.fixture
def trained(monkeypatch, failures):
    """Replace the training by a formula, and list the trials that were trained."""
    trials = []

    def fit(model, train, valid, trial, **options):
        trials.append(grid.trial_name(trial))
        if trials.count(grid.trial_name(trial)) <= failures.get(grid.trial_name(trial), 0):
            raise RuntimeError("CUDA out of memory")
        loss = math.nan if trial.lr > 0.9 else trial.lr + trial.dropout
        return pd.DataFrame(
            [{"epoch": 1, "train_loss": loss, "val_loss": loss, "val_f1": 0.5, "val_acc": 0.5, "seconds": 1.0}]
        )

    monkeypatch.setattr(grid, "fit", fit)
    return trials


def run(path, lr=(0.001, 0.005), dropout=(0.0, 0.2), channels=(4,), faces=FACES):
    trials = grid.grid_trials(CONFIG, lr, [1e-5], channels, dropout)
    return by_trial(grid.run_grid(trials, faces, FACES, path))


def test_the_courses_grid_has_24_trials_of_distinct_names():
    trials = grid.grid_trials(CONFIG, [0.001, 0.005], [1e-5, 1e-4], [192, 256], [0.0, 0.2, 0.4])
    assert len(trials) == 24 and len({grid.trial_name(trial) for trial in trials}) == 24


def test_a_trial_that_is_done_is_not_run_again(tmp_path, trained):
    first = run(tmp_path / "grid.jsonl")
    assert len(trained) == 4 and run(tmp_path / "grid.jsonl").equals(first) and len(trained) == 4


def test_only_the_trials_that_are_new_are_run(tmp_path, trained):
    run(tmp_path / "grid.jsonl")
    table = run(tmp_path / "grid.jsonl", lr=(0.001, 0.01))
    assert len(trained) == 6 and set(table["lr"]) == {0.001, 0.01}


@pytest.mark.parametrize(
    "other",
    [
        {"targets": torch.ones(10, 5)},
        {"names": ["another"] * 10},
        {"images": torch.ones(10, 3, 64, 64, dtype=torch.uint8)},
    ],
)
def test_other_labels_or_other_images_are_other_trials(tmp_path, trained, other):
    run(tmp_path / "grid.jsonl")
    run(tmp_path / "grid.jsonl", faces=dataclasses.replace(FACES, **other))
    assert len(trained) == 8


def test_a_value_that_is_listed_twice_counts_once(tmp_path, trained):
    assert len(run(tmp_path / "grid.jsonl", lr=(0.001, 0.001))) == len(trained) == 2


def test_a_line_cut_short_by_a_kill_costs_its_own_trial_alone(tmp_path, trained):
    path = tmp_path / "grid.jsonl"
    run(path)
    text = path.read_text()
    path.write_text(text[: len(text) - 20])
    assert len(run(path)) == 4 and len(trained) == 5
    assert len(run(path)) == 4 and len(trained) == 5


def test_a_trial_whose_line_was_changed_or_damaged_is_trained_again(tmp_path, trained):
    path = tmp_path / "grid.jsonl"
    whole = run(path)
    lines = path.read_bytes().splitlines()
    changed = lines[0].replace(b'"val_loss": 0.001', b'"val_loss": 0.000')
    assert changed != lines[0]
    others = [b"\xff\xfe", b"3", b"null", b'{"key": "7"}', lines[1].replace(b"0.2", b"0.1", 1)]
    path.write_bytes(b"\n".join([changed, *others, *lines[2:]]) + b"\n")
    assert run(path).equals(whole) and len(trained) == 6


def test_two_processes_do_not_train_one_grid_and_one_that_was_killed_blocks_nobody(tmp_path, trained):
    path = tmp_path / "grid.jsonl"
    program = f"import filelock; lock = filelock.FileLock({f'{path}.lock'!r}); lock.acquire(); print(1, flush=True)"
    command = [sys.executable, "-c", f"{program}; input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(StudyError, match="Another process is writing its trainings into"):
            run(path)
        assert not trained and not path.exists()
        holder.kill()
    assert len(run(path)) == len(trained) == 4


def test_the_best_is_the_lowest_valid_loss_and_ties_go_to_the_smaller_network(tmp_path, trained):
    table = run(tmp_path / "grid.jsonl", channels=(8, 4))
    assert best_trial(table) == {"lr": 0.001, "weight_decay": 1e-5, "channels_block3": 4, "dropout": 0.0}


def test_a_diverged_trial_ranks_last_and_is_kept_as_json(tmp_path, trained):
    table = run(tmp_path / "grid.jsonl", lr=(1.0, 0.001))
    assert table["val_loss"].isna().tolist() == [False, False, True, True]
    assert all(json.loads(line) for line in (tmp_path / "grid.jsonl").read_text().splitlines())


def test_every_trial_is_trained_once_per_seed(tmp_path, trained):
    trials = grid.grid_trials(CONFIG, [0.001, 0.005], [1e-5], [4], [0.0], seeds=[42, 43, 43])
    names = []
    trainings = grid.run_grid(trials, FACES, FACES, tmp_path / "grid.jsonl", lambda name: names.append(name))
    assert len(trainings) == 4 and by_trial(trainings)["seeds"].tolist() == [2, 2]
    assert len(set(names)) == 4 and names[0].endswith("_seed42")


def test_a_trial_that_fails_is_tried_again_and_counts_once_it_is_done(tmp_path, trained, failures):
    failures["lr0.001_wd1e-05_ch4_do0"] = 1
    table = run(tmp_path / "grid.jsonl")
    assert len(table) == 4 and len(trained) == 5


def test_a_trial_that_keeps_failing_is_never_counted_as_done(tmp_path, trained, failures):
    failures["lr0.001_wd1e-05_ch4_do0"] = 2
    path = tmp_path / "grid.jsonl"
    table = run(path)
    assert len(table) == 3 and table["name"].ne("lr0.001_wd1e-05_ch4_do0").all()
    assert path.read_text().count("CUDA out of memory") == 2 and len(read_finished(path)) == 3
    assert len(run(path)) == 4  # tried anew, and this time it succeeds
    assert len(trained) == 6


def test_a_grid_of_which_every_trial_fails_says_where_to_look(tmp_path, trained, failures):
    failures["lr0.001_wd1e-05_ch4_do0"] = 9
    with pytest.raises(StudyError, match=r"Every trial of the grid failed, 2 times each\. .*grid\.jsonl"):
        run(tmp_path / "grid.jsonl", lr=(0.001,), dropout=(0.0,))


def test_the_cost_of_a_trial_is_three_forward_passes_per_image_and_epoch(tmp_path, trained):
    table = run(tmp_path / "grid.jsonl", channels=(256,))
    assert table["tflop"].iloc[0] == pytest.approx(3 * 316.6e6 * 10 / 1e12, rel=0.01)


@pytest.mark.parametrize("arch", ["course", "compact"])
def test_a_trial_trains_the_network_that_its_configuration_names(arch, monkeypatch):
    seen = []

    def fit(model, train, valid, trial, **options):
        seen.append(model)
        return pd.DataFrame(
            [{"epoch": 1, "train_loss": 0.1, "val_loss": 0.1, "val_f1": 0.5, "val_acc": 0.5, "seconds": 1.0}]
        )

    monkeypatch.setattr(grid, "fit", fit)
    result = grid.run_trial(CONFIG.but(arch=arch, channels_block3=8), FACES, FACES)
    assert type(seen[0]).__name__ == {"course": "CourseCNN", "compact": "CompactCNN"}[arch]
    assert result["parameters"] == sum(parameter.numel() for parameter in seen[0].parameters())
