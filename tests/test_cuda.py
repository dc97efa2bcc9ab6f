"""On a GPU alone: a recorded step is the eager one, a split that does not fit is read ahead, seeds repeat."""

import numpy as np
import pytest
import torch

from helpers import batches
from helpers.batches import Split
from helpers.config import Config
from helpers.devices import cuda_problem
from helpers.models import build_model
from helpers.steps import RecordedStep, build_optimizer, build_step, set_lr, train_step
from helpers.training import fit

pytestmark = pytest.mark.skipif(bool(cuda_problem()), reason="needs a CUDA GPU")
GPU = torch.device("cuda")


def noise(count: int) -> Split:
    images = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    targets = (images.float().mean((2, 3)) > 127).float()[:, [0, 1, 2, 0, 1]]
    return Split("train", images.to(GPU), targets.to(GPU), [""] * count, np.arange(count))


def weights_after(steps: int, recorded: bool) -> list[torch.Tensor]:
    config = Config(lr=0.001, precision="fp32")
    model = build_model(0, GPU, 16)
    optimizer = build_optimizer(model, config)
    step = build_step(model, optimizer, config)
    if not recorded:
        step = lambda images, targets: train_step(model, optimizer, images, targets, config)  # noqa: E731
    split = noise(104)  # three batches of 32 and one of 8 an epoch
    generator, done = torch.Generator().manual_seed(0), 0
    while done < steps:
        for batch in batches.training_batches(split, 32, generator):
            set_lr(optimizer, 0.001 * (1 + done % 3))  # a schedule must reach the recording
            step(*batch)
            done += 1
    if recorded:
        assert isinstance(step, RecordedStep) and step.graph is not None
    return [p.detach().clone() for p in model.parameters()]


def test_recorded_steps_give_the_weights_of_eager_ones(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    for eager, recorded in zip(weights_after(20, False), weights_after(20, True), strict=True):
        assert torch.allclose(eager, recorded, rtol=1e-2, atol=1e-3)


def test_images_that_stay_in_the_hosts_memory_give_the_same_batches(monkeypatch):
    monkeypatch.setattr(batches, "CHUNK", 32)
    split = noise(100)
    host = Split("train", split.images.cpu(), split.targets, split.names, split.identities)
    one, other = (list(batches.training_batches(s, 16, torch.Generator().manual_seed(1))) for s in (split, host))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(one, other, strict=True))


def test_a_step_is_recorded_while_images_are_read_ahead(monkeypatch):
    monkeypatch.setattr(batches, "CHUNK", 32)
    split = noise(400)
    host = Split("train", split.images.cpu(), split.targets, split.names, split.identities)
    config = Config(max_epochs=2, batch_size=16, device="cuda")
    assert fit(build_model(0, GPU, 16), host, noise(32), config)["train_loss"].notna().all()


def test_the_same_seed_gives_nearly_the_same_training():
    def loss() -> float:
        config = Config(max_epochs=3, batch_size=32, dropout=0.2, device="cuda")
        return fit(build_model(0, GPU, 16, 0.2), noise(128), noise(64), config)["val_loss"].iloc[-1]

    assert loss() == pytest.approx(loss(), abs=0.02)
