"""Checkpoints: complete, plain, whole or absent, and refused for what is wrong with them."""

import errno
import zipfile

import pytest
import torch

from helpers.config import ATTRIBUTES, ROOT, Config
from helpers.errors import StudyError
from helpers.models.checkpoints import FORMAT, load_checkpoint, save_checkpoint
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

    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(StudyError, match=r"best.pt cannot be written \(No space left on device\)"):
        save_checkpoint(path, model, CONFIG, 5, {}, "drawn faces")
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def changed(**fields):
    """Return a fault that puts other values into the fields of a checkpoint; None removes a field."""

    def fault(path):
        content = torch.load(path, weights_only=True) | fields
        torch.save({name: value for name, value in content.items() if value is not None}, path)

    return fault


def weights(change):
    """Return a fault that changes the weights by their names."""

    def fault(path):
        content = torch.load(path, weights_only=True)
        torch.save(content | {"model": change(content["model"])}, path)

    return fault


def planted(name: str, value: float):
    def change(model):
        model[name].view(-1)[0] = value
        return model

    return weights(change)


def a_flipped_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # of a weight: torch.load alone would not notice
    path.write_bytes(data)


def replaced(data: bytes):
    return lambda path: path.write_bytes(data)


def a_whole_network(path):
    torch.save(build_model(0, torch.device("cpu"), 8), path)  # a pickled class: not loaded, for it could run code


def another_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")


def weights_alone(path):
    torch.save(torch.load(path, weights_only=True)["model"], path)


SMALL = {"type": "CourseCNN", "channels_block3": 8, "dropout": 0.0}
FAULTS = {
    "missing": (lambda path: path.unlink(), "There is no checkpoint .*Train one with 06_final"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:2000]), "is truncated. Copy or train it again"),
    "a flipped byte": (a_flipped_byte, r"is damaged \(wrong checksum of .*\)"),
    "text": (replaced(b"not a checkpoint"), "is not a PyTorch checkpoint"),
    "empty": (replaced(b""), "is empty"),
    "LFS": (replaced(b"version https://git-lfs.github.com/spec/v1\n"), "is a Git LFS pointer .*git lfs pull"),
    "a web page": (replaced(b"<!DOCTYPE html>quota"), "is a web page"),
    "another zip": (another_zip, "is a zip, but not one that torch.save wrote"),
    "a network": (a_whole_network, "holds Python objects .*could run code. Save the network"),
    "weights alone": (weights_alone, r"holds weights alone \(a state_dict\)"),
    "foreign": (lambda path: torch.save({"state_dict": {}}, path), "is not a checkpoint of this study"),
    "a list": (lambda path: torch.save([1, 2], path), "is not a checkpoint of this study"),
    "a newer format": (changed(format="celeba-study checkpoint 2"), "has the format '.*2', .*Update this project"),
    "a new field": (changed(temperature=[1.0] * 5), "fields that this version does not know: 'temperature'"),
    "no attributes": (changed(attributes=None), "lacks attributes. Save it with"),
    "nothing but a format": (lambda path: torch.save({"format": FORMAT}, path), "lacks architecture, attributes"),
    "other attributes": (changed(attributes=["Bald"]), r"states attributes \['Bald'\], but this version works with"),
    "another order": (changed(attributes=list(ATTRIBUTES[::-1])), "would answer wrongly"),
    "normalisation": (changed(normalisation={"mean": 0.0, "std": 1.0}), "states normalisation .*would answer wrongly"),
    "input size": (changed(input_shape=[3, 128, 128]), r"states input_shape \[3, 128, 128\]"),
    "one threshold": (changed(thresholds=[0.5]), r"states thresholds \[0.5\]"),
    "other thresholds": (changed(thresholds=[0.5, 0.4, 0.5, 0.5, 0.5]), "states thresholds .*would answer wrongly"),
    "settings": (changed(config={"seed": "x"}), "has settings that this version does not know .*seed"),
    "unknown settings": (changed(config={"momentum": 0.9}), "has settings .*momentum"),
    "no number for epoch": (changed(epoch="4"), "has no valid epoch .*is not of type int"),
    "a tensor for epoch": (changed(epoch=torch.tensor(3)), "a field that is not of plain types"),
    "text for a metric": (changed(metrics={"val_loss": "low"}), "has no valid epoch or metrics"),
    "no versions": (changed(versions={}), "does not state the versions"),
    "another network": (changed(architecture={"type": "Transformer"}), "a network that this study does not know"),
    "a huge one": (changed(architecture=SMALL | {"channels_block3": 10**9}), "a network that this study does not know"),
    "a wider one": (changed(architecture=SMALL | {"channels_block3": 16}), "weights of another shape .*block3.conv"),
    "a mirrored one": (changed(architecture=SMALL | {"mirror": True}), "of another network .*without network.block1"),
    "a list for weights": (weights(lambda model: list(model.values())), "weights that are not tensors by name"),
    "a layer less": (weights(lambda m: {n: w for n, w in m.items() if n != "head.bias"}), "without head.bias"),
    "a layer more": (weights(lambda m: m | {"extra.bias": torch.ones(2)}), "with 'extra.bias'"),
    "NaN": (planted("block2.conv.weight", float("nan")), "NaN or infinite weights in the layer block2.conv. Train it"),
    "infinity": (planted("block1.norm.running_mean", float("inf")), "NaN or infinite weights in the layer block1.norm"),
    "a negative variance": (planted("block1.norm.running_var", -1.0), "answers are not finite numbers"),
    "whole numbers": (weights(lambda m: {n: w.int() for n, w in m.items()}), "of the type torch.int32"),
    "sparse": (weights(lambda m: m | {"head.bias": torch.ones(5).to_sparse()}), "no plain numbers in head.bias"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_checkpoint_is_told_for_what_it_is(fault, saved):
    spoil, told = FAULTS[fault]
    spoil(saved[0])
    with pytest.raises(StudyError, match=told) as caught:
        load_checkpoint(saved[0])
    said = str(caught.value)
    assert str(saved[0]) in said and "\n" not in said and "Weights only" not in said


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_weights_of_a_wrapped_network_are_those_of_the_network(prefix, saved):
    path, model = saved
    weights(lambda own: {prefix + name: tensor for name, tensor in own.items()})(path)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(load_checkpoint(path).model(images), model.eval()(images))


def test_a_compiled_networks_checkpoint_loads(tmp_path):
    model = torch.compile(build_model(3, torch.device("cpu"), 8))  # nothing is compiled before it is called
    save_checkpoint(tmp_path / "best.pt", model, CONFIG, 4, {}, "drawn faces")
    images = torch.randn(2, 3, 64, 64)
    own = model._orig_mod.eval()
    assert torch.equal(load_checkpoint(tmp_path / "best.pt").model(images), own(images))


@pytest.mark.parametrize("path", sorted((ROOT / "checkpoints").glob("*.pt")), ids=lambda path: path.name)
def test_the_checkpoints_in_git_still_load(path):
    assert load_checkpoint(path).content["trained_on"]


def test_a_checkpoint_of_before_a_parameter_existed_has_its_default(saved):
    content = torch.load(saved[0], weights_only=True)
    del content["config"]["ema"]
    torch.save(content, saved[0])
    assert load_checkpoint(saved[0]).content["config"] == CONFIG.to_dict()
