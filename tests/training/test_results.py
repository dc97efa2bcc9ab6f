"""The finished trainings of a file: what makes a training another one, and what is read back."""

import dataclasses

import numpy as np
import pytest
import torch

from helpers.config import Config
from helpers.system import devices
from helpers.training.results import Finished, read_finished

CONFIG = Config(max_epochs=1, batch_size=8, device="cpu")


@pytest.fixture
def splits_of(splits):
    return splits["train"].subset(range(8)), splits["valid"].subset(range(8))


def test_what_was_added_is_read_back_and_nan_is_none(splits_of, tmp_path):
    finished = Finished(tmp_path / "a.jsonl", *splits_of)
    finished.add(CONFIG, {"loss": np.float32(0.5), "f1": float("nan")})
    again = Finished(tmp_path / "a.jsonl", *splits_of)
    assert CONFIG in again and again[CONFIG] == finished[CONFIG] == {"loss": 0.5, "f1": None}
    assert CONFIG.but(run_name="other") in again and CONFIG.but(lr=0.1) not in again
    assert len(read_finished(tmp_path / "a.jsonl")) == 1


def test_without_a_file_results_are_kept_in_memory_alone(splits_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = Finished(None, *splits_of)
    finished.add(CONFIG, {"loss": 1.0})
    assert finished[CONFIG] == {"loss": 1.0} and not list(tmp_path.iterdir())


def test_other_labels_another_device_or_precision_and_a_cluster_make_another_training(splits_of, tmp_path, monkeypatch):
    train, valid = splits_of
    Finished(tmp_path / "a.jsonl", train, valid).add(CONFIG, {"loss": 1.0})
    relabelled = dataclasses.replace(train, targets=1 - train.targets)
    assert CONFIG not in Finished(tmp_path / "a.jsonl", relabelled, valid)
    assert CONFIG not in Finished(tmp_path / "a.jsonl", train, valid, "auto", "ray")
    assert CONFIG.but(precision="bf16") not in Finished(tmp_path / "a.jsonl", train, valid)
    on_gpu = Finished(tmp_path / "a.jsonl", train, valid)
    on_gpu._device = torch.device("cuda")  # a split cannot be there without a GPU
    monkeypatch.setattr(devices, "_gpu_has_bf16", lambda: False)
    assert CONFIG not in on_gpu
