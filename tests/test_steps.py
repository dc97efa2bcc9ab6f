"""Steps: learning rates, and the bookkeeping of recorded ones by a stand-in for CUDA (the real one: test_cuda.py)."""

import contextlib

import pytest
import torch

from helpers import steps
from helpers.config import Config
from helpers.models import build_model
from helpers.steps import RecordedStep, build_optimizer, learning_rates, set_lr, train_step

CPU = torch.device("cpu")


def test_a_constant_lr_is_constant_and_a_cycle_rises_to_its_peak_and_falls_to_nearly_nothing():
    assert learning_rates(Config(lr=0.01), 5) == [0.01] * 6
    rates = learning_rates(Config(lr=0.01, schedule="one_cycle"), 100)
    assert len(rates) == 101 and max(rates) == pytest.approx(0.01, rel=0.01)
    assert rates.index(max(rates)) in (29, 30) and rates[0] == pytest.approx(0.01 / 25) and rates[-1] < 1e-6


@pytest.mark.parametrize("lr", [0.0, 0.1])
def test_a_set_lr_is_the_one_of_the_next_step(lr):
    model = build_model(0, CPU, 4)
    optimizer = build_optimizer(model, Config(lr=0.5))
    before = model.head.bias.detach().clone()
    set_lr(optimizer, lr)
    train_step(model, optimizer, torch.randn(4, 3, 64, 64), torch.ones(4, 5), "fp32")
    # Adam's first step is lr in size, whatever the gradient.
    assert torch.allclose((model.head.bias - before).abs(), torch.full((5,), lr), rtol=1e-3)


class FakeCuda:
    """A GPU of paper: recording runs the step without counting it, replay runs it on what was recorded."""

    def __init__(self, monkeypatch, fails: bool = False):
        self.trained, self.replayed, self.recording, self.fails = [], 0, False, fails
        monkeypatch.setattr(torch.cuda, "Stream", lambda: self)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: self)
        monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)
        optimizer = torch.optim.SGD([torch.zeros(1)])
        self.recorded = RecordedStep(self.step, optimizer)

    def wait_stream(self, stream):
        pass

    @contextlib.contextmanager
    def graph(self, graph, stream, capture_error_mode):
        self.recording = True
        yield
        self.recording = False
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")

    def step(self, images, targets):
        if not self.recording:
            self.trained.append(images[:, 0].tolist())
        return images.sum()

    def replay(self):
        self.replayed += 1
        self.recorded.loss = self.step(self.recorded.images, self.recorded.targets)


def batches_of(sizes: list[int]) -> list[torch.Tensor]:
    return [torch.full((size, 1), float(index)) for index, size in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [[8, 8, 8, 3] * 3, [8, 3] * 5, [8] * 9, [2]])
@pytest.mark.parametrize("fails", [False, True])
def test_every_batch_is_trained_on_once_recorded_or_not(monkeypatch, sizes, fails):
    cuda = FakeCuda(monkeypatch, fails)
    batches = batches_of(sizes)
    losses = [cuda.recorded(images, torch.zeros(len(images))).item() for images in batches]
    assert cuda.trained == [images[:, 0].tolist() for images in batches]
    assert losses == [images.sum().item() for images in batches]


def test_whole_batches_are_replayed_after_the_warm_up_and_odd_ones_never(monkeypatch):
    cuda = FakeCuda(monkeypatch)
    for images in batches_of([8, 8, 8, 3] * 3):
        cuda.recorded(images, torch.zeros(len(images)))
    assert cuda.replayed == 9 - steps.WARM_UP


def test_a_recording_that_fails_is_told_and_not_tried_again(monkeypatch, capsys):
    monkeypatch.setattr(steps, "line", print)
    cuda = FakeCuda(monkeypatch, fails=True)
    for images in batches_of([8] * 9):
        cuda.recorded(images, torch.zeros(8))
    assert cuda.replayed == 0 and capsys.readouterr().out.count("could not be recorded") == 1


def test_the_optimizer_is_capturable_during_the_recording_alone():
    optimizer = build_optimizer(build_model(0, CPU, 4), Config())
    with pytest.raises(KeyError), steps._capturable(optimizer):
        assert optimizer.param_groups[0]["capturable"]
        raise KeyError
    assert not optimizer.param_groups[0]["capturable"]
