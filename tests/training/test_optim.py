"""Steps: learning rates, and the bookkeeping of recorded ones by a stand-in for CUDA (the real one: test_cuda.py)."""

import contextlib
import math
import warnings
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.config import Config
from helpers.models.networks import build_model
from helpers.training import optim
from helpers.training.optim import (
    RecordedStep,
    WeightAverage,
    batch_loss,
    build_optimizer,
    learning_rates,
    set_lr,
    train_step,
)

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
    train_step(model, optimizer, torch.randn(4, 3, 64, 64), torch.ones(4, 5), Config())
    # Adam's first step is lr in size, whatever the gradient.
    assert torch.allclose((model.head.bias - before).abs(), torch.full((5,), lr), rtol=1e-3)


class FakeCuda:
    """A GPU of paper: recording runs the step without counting it, replay runs it on what was recorded."""

    def __init__(self, monkeypatch, fails: bool = False):
        self.trained, self.replayed, self.recording, self.fails, self.restored = [], 0, False, fails, []
        monkeypatch.setattr(optim, "_recording_stream", lambda: self)
        monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: self.restored.append(stream))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: self)
        monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)
        optimizer = torch.optim.SGD([torch.zeros(1)])
        self.recorded = RecordedStep(self.step, optimizer, batch_size=8)

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
            self.trained.append((images[:, 0].tolist(), targets.tolist()))
        return images.sum()

    def replay(self):
        self.replayed += 1
        self.recorded.loss.copy_(self.step(self.recorded.images, self.recorded.targets))  # into the same memory


def batches_of(sizes: list[int]) -> list[torch.Tensor]:
    return [torch.full((size, 1), float(index)) for index, size in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [[8, 8, 8, 3] * 3, [8, 3] * 5, [8] * 9, [2]])
@pytest.mark.parametrize("fails", [False, True])
def test_every_batch_is_trained_on_once_recorded_or_not(monkeypatch, sizes, fails):
    cuda = FakeCuda(monkeypatch, fails)
    warnings.simplefilter("ignore", RuntimeWarning)
    batches = batches_of(sizes)
    losses = [cuda.recorded(images, -images[:, 0]) for images in batches]  # read when all steps are done, as `fit` does
    assert cuda.trained == [(images[:, 0].tolist(), (-images[:, 0]).tolist()) for images in batches]
    assert [loss.item() for loss in losses] == [images.sum().item() for images in batches]


def test_whole_batches_are_replayed_after_the_warm_up_and_odd_ones_never(monkeypatch):
    cuda = FakeCuda(monkeypatch)
    for images in batches_of([3, *[8, 8, 8, 3] * 3]):  # the first is the rest of an epoch that was interrupted
        cuda.recorded(images, torch.zeros(len(images)))
    assert cuda.replayed == 9 - optim.WARM_UP


def test_a_recording_that_fails_is_told_and_not_tried_again(monkeypatch):
    cuda = FakeCuda(monkeypatch, fails=True)
    with pytest.warns(RuntimeWarning, match="could not be recorded") as told:
        for images in batches_of([8] * 9):
            cuda.recorded(images, torch.zeros(8))
    assert cuda.replayed == 0 and len(told) == 1
    assert cuda.restored == [cuda]  # the stream that was current before


@pytest.mark.parametrize(("value", "kind"), [("", optim.RecordedStep), ("1", partial)])
def test_the_recorded_step_can_be_switched_off(monkeypatch, value, kind):
    monkeypatch.setenv(optim.EAGER, value)
    monkeypatch.setattr(optim, "_recording_stream", lambda: None)
    on_gpu = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(is_cuda=True)]))
    assert isinstance(optim.build_step(on_gpu, None, Config()), kind)


def test_the_optimizer_is_capturable_during_the_recording_alone():
    optimizer = build_optimizer(build_model(0, CPU, 4), Config())
    with pytest.raises(KeyError), optim._capturable(optimizer):
        assert optimizer.param_groups[0]["capturable"]
        raise KeyError
    assert not optimizer.param_groups[0]["capturable"]


def after_a_step_without_gradient(config: Config) -> dict[str, torch.Tensor]:
    """Return the parameters, all 2 before, after a step in which every gradient is zero."""
    model = build_model(0, CPU, 4)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 2.0)
        parameter.grad = torch.zeros_like(parameter)
    build_optimizer(model, config).step()
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def test_adamw_decays_the_weights_by_lr_times_weight_decay_and_neither_biases_nor_norms():
    moved = after_a_step_without_gradient(Config(optimizer="adamw", lr=0.1, weight_decay=0.5))
    assert {name for name, p in moved.items() if p.ndim > 1} and {name for name, p in moved.items() if p.ndim == 1}
    for parameter in moved.values():
        expected = 2.0 * (1 - 0.1 * 0.5) if parameter.ndim > 1 else 2.0
        assert torch.allclose(parameter, torch.full_like(parameter, expected))


def test_the_courses_adam_takes_weight_decay_into_the_gradient_of_every_parameter():
    moved = after_a_step_without_gradient(Config(lr=0.1, weight_decay=0.5))
    # Adam's first step is lr in size, whatever the gradient: here it is that of the L2 term.
    assert all(torch.allclose(p, torch.full_like(p, 1.9), atol=1e-4) for p in moved.values())


@given(st.floats(0.01, 0.5), st.integers(0, 1000))
@settings(deadline=None)
def test_label_smoothing_moves_each_target_half_of_it_towards_the_other(amount, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 5, generator=generator)
    targets = torch.randint(0, 2, (6, 5), generator=generator).float()
    loss = batch_loss(lambda images: images, logits, targets, Config(label_smoothing=amount, precision="fp32"))
    p = torch.sigmoid(logits)
    positive, negative = -p.log(), -(1 - p).log()
    half = amount / 2
    expected = torch.where(
        targets == 1, (1 - half) * positive + half * negative, half * positive + (1 - half) * negative
    )
    assert loss.item() == pytest.approx(expected.mean().item(), rel=1e-4)


def test_without_label_smoothing_the_loss_is_the_cross_entropy():
    logits, targets = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    loss = batch_loss(lambda images: images, logits, targets, Config(precision="fp32"))
    assert loss.item() == pytest.approx((math.log(2) + math.log(1 + math.e)) / 2, rel=1e-5)


def test_a_moving_average_is_the_one_worked_by_hand_and_copies_counters():
    model = torch.nn.BatchNorm1d(1)
    average = WeightAverage(model, decay=0.2)
    expected = 1.0
    for update, weight in enumerate((3.0, 5.0, 4.0), start=1):
        torch.nn.init.constant_(model.weight, weight)
        model.running_mean.fill_(weight)
        model.num_batches_tracked.fill_(update)
        average.update()
        keep = min(0.2, (1 + update) / (10 + update))  # 2/11, then 0.2
        expected = keep * expected + (1 - keep) * weight
        assert average.model.weight.item() == pytest.approx(expected, rel=1e-6)
        assert average.model.num_batches_tracked.item() == update
    mean = average.model.running_mean.item()  # a buffer, which began at 0
    assert mean == pytest.approx(0.8 * 4 + 0.2 * (0.8 * 5 + 0.2 * (9 / 11) * 3), rel=1e-6)
    assert model.weight.item() == 4.0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(0, 0.999))
@settings(deadline=None)
def test_a_moving_average_lies_between_the_least_and_the_greatest_of_the_weights(weights, decay):
    model = torch.nn.Linear(1, 1)
    start = model.weight.item()
    average = WeightAverage(model, decay)
    for weight in weights:
        torch.nn.init.constant_(model.weight, weight)
        average.update()
    assert min([start, *weights]) - 1e-5 <= average.model.weight.item() <= max([start, *weights]) + 1e-5
