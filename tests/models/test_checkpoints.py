"""Checkpoints: complete, plain, whole or absent, and refused for what is wrong with them."""

import pytest
import torch

from helpers.config import ATTRIBUTES, Config
from helpers.errors import StudyError
from helpers.models.checkpoints import load_checkpoint, save_checkpoint
from helpers.models.networks import build_model

CONFIG = Config(channels_block3=8)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "run" / "best.pt"
    model = build_model(3, torch.device("cpu"), 8)
    save_checkpoint(path, model, CONFIG, 4, {"val_loss": 0.25}, "drawn faces")
    return path, model


def test_a_reloaded_model_gives_the_same_logits(saved):
    path, model = saved
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(load_checkpoint(path).model(images), model.eval()(images))


def test_a_checkpoint_carries_what_is_needed_to_use_and_to_trust_it(saved):
    content = torch.load(saved[0], weights_only=True)
    assert content["attributes"] == list(ATTRIBUTES) and content["normalisation"] == {"mean": 0.5, "std": 0.5}
    assert content["config"]["channels_block3"] == 8 and content["epoch"] == 4
    assert content["metrics"] == {"val_loss": 0.25} and content["trained_on"] == "drawn faces"
    assert "torch" in content["versions"]


def test_a_failed_write_leaves_the_old_checkpoint(saved, monkeypatch):
    path, model = saved
    before = path.read_bytes()

    def full(content, target):
        target.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StudyError, match="What was there before is untouched"):
        save_checkpoint(path, model, CONFIG, 5, {}, "drawn faces")
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def truncated(path):
    path.write_bytes(path.read_bytes()[:2000])


def text(path):
    path.write_text("not a checkpoint")


def empty(path):
    path.write_bytes(b"")


def foreign(path):
    torch.save({"state_dict": {}}, path)


def other_object(path):
    torch.save(build_model(0, torch.device("cpu"), 8), path)  # a pickled class: not loaded, for it could run code


def other_classes(path):
    torch.save(torch.load(path, weights_only=True) | {"attributes": ["Bald"]}, path)


def other_shape(path):
    content = torch.load(path, weights_only=True)
    torch.save(content | {"architecture": content["architecture"] | {"channels_block3": 16}}, path)


def missing(path):
    path.unlink()


FAULTS = {
    missing: "There is no checkpoint",
    truncated: "truncated or not a torch checkpoint",
    text: "truncated or not a torch checkpoint",
    empty: "truncated or not a torch checkpoint",
    other_object: "truncated or not a torch checkpoint",
    foreign: "not a checkpoint of this study",
    other_classes: r"predicts the attributes \['Bald'\]",
    other_shape: "weights of another shape",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_of_a_checkpoint_is_told_for_what_it_is(fault, saved):
    fault(saved[0])
    with pytest.raises(StudyError, match=FAULTS[fault]):
        load_checkpoint(saved[0])
