"""On a GPU alone: a recorded step is the eager one, a split that does not fit is read ahead, seeds repeat."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import checks
from helpers.cli.predict import predict_images
from helpers.config import ATTRIBUTES, SHIPPED, Config
from helpers.data import batches
from helpers.data.batches import Split
from helpers.evaluation import gradcam
from helpers.models.checkpoints import load_checkpoint
from helpers.models.networks import build_model
from helpers.system.devices import cuda_problem
from helpers.training.loop import fit
from helpers.training.lr_finder import lr_range_test
from helpers.training.optim import RecordedStep, build_optimizer, build_step, set_lr, train_step

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(bool(cuda_problem()), reason="needs a CUDA GPU")]
GPU = torch.device("cuda")


def noise(count: int) -> Split:
    images = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    targets = (images.float().mean((2, 3)) > 127).float()[:, [0, 1, 2, 0, 1]]
    return Split("train", images.to(GPU), targets.to(GPU), [""] * count, np.arange(count))


def weights_after(steps: int, recorded: bool) -> list[torch.Tensor]:
    config = Config(lr=0.001, batch_size=32, precision="fp32")
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


@pytest.mark.filterwarnings("error::RuntimeWarning")  # a recording that failed
def test_a_step_is_recorded_while_images_are_read_ahead(monkeypatch):
    monkeypatch.setattr(batches, "CHUNK", 64)
    split = noise(4_000)
    host = Split("train", split.images.cpu(), split.targets, split.names, split.identities)
    config = Config(max_epochs=2, batch_size=16, device="cuda")
    assert fit(build_model(0, GPU, 16), host, noise(32), config)["train_loss"].notna().all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_whose_recording_fails_goes_on_eagerly_with_the_same_numbers(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    config = Config(max_epochs=2, batch_size=32, dropout=0.2, device="cuda", precision="fp32")

    def losses(fails: bool) -> list[float]:
        model = build_model(0, GPU, 16, 0.2)
        if fails:  # reading a value is not allowed while a graph is recorded
            model.head.register_forward_hook(lambda module, given, logits: print(logits.sum().item()))
        return fit(model, noise(128), noise(64), config)["train_loss"].tolist()

    assert losses(True) == pytest.approx(losses(False), abs=0.01)
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


def test_a_part_of_a_split_can_be_chosen_by_indices_on_the_gpu():
    split = noise(20)
    part = split.subset((split.targets[:, 0] == 1).nonzero().flatten())
    assert part.targets[:, 0].all() and len(part.identities) == len(part)


def test_the_same_seed_gives_nearly_the_same_training():
    def loss() -> float:
        config = Config(max_epochs=3, batch_size=32, dropout=0.2, device="cuda")
        return fit(build_model(0, GPU, 16, 0.2), noise(128), noise(64), config)["val_loss"].iloc[-1]

    assert loss() == pytest.approx(loss(), abs=0.02)


def test_an_average_of_the_weights_follows_a_recorded_step(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    config = Config(max_epochs=3, batch_size=32, lr=0.01, ema=0.5, device="cuda", precision="fp32")
    averaged, plain = build_model(0, GPU, 16), build_model(0, GPU, 16)
    fit(averaged, noise(320), noise(32), config)
    fit(plain, noise(320), noise(32), config.but(ema=0.0))
    pairs = list(zip(averaged.parameters(), plain.parameters(), strict=True))
    assert all(torch.isfinite(mean).all() for mean, _ in pairs)
    assert not all(torch.equal(mean, last) for mean, last in pairs)  # it lags behind
    assert all((mean - last).abs().max() < 0.2 for mean, last in pairs)  # but not far


def test_an_interrupted_training_continues_with_nearly_the_same_result(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    config = Config(max_epochs=4, batch_size=32, dropout=0.2, ema=0.9, device="cuda", precision="fp32")

    def interrupt(row, model):
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt.state_dict = dict
        fit(build_model(0, GPU, 16, 0.2), noise(320), noise(64), config, on_epoch=interrupt, resume=tmp_path / "a.pt")
    again = fit(build_model(0, GPU, 16, 0.2), noise(320), noise(64), config, resume=tmp_path / "a.pt")
    whole = fit(build_model(0, GPU, 16, 0.2), noise(320), noise(64), config)
    assert "2 epochs and 0 steps were done before" in capsys.readouterr().out
    assert again["train_loss"].tolist() == pytest.approx(whole["train_loss"].tolist(), abs=0.01)


def test_faces_of_one_s_own_are_answered_on_the_gpu_as_on_the_cpu(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (218, 178, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "face.png")
    tables = [
        predict_images(load_checkpoint(SHIPPED), [tmp_path / "face.png"], device)[0][list(ATTRIBUTES)]
        for device in (GPU, torch.device("cpu"))
    ]
    assert np.allclose(*tables, atol=1e-3)


def test_a_sweep_leaves_the_generator_of_the_gpu_as_it_was():
    model = build_model(0, GPU, 16, 0.3)
    kept = torch.cuda.get_rng_state()
    lr_range_test(model, noise(64), Config(batch_size=16, dropout=0.3, device="cuda"), 1e-5, 1e-2, 20)
    assert torch.equal(torch.cuda.get_rng_state(), kept)


def test_the_checks_of_a_network_run_on_the_gpu():
    split, config = noise(64), Config(batch_size=16, device="cuda", precision="fp32")
    model = build_model(0, GPU, 16)
    assert checks.gradient_stays_in_its_sample(model, batches.normalise(split.images[:8])).passed
    assert checks.every_parameter_learns(model, split, config).passed
    assert checks.same_logits(model, build_model(0, GPU, 16), split).passed
    assert checks.same_logits(model, build_model(1, GPU, 16), split).passed is False
    maps = gradcam.grad_cam(model, split.images[:4], [0, 1, 2, 3])
    assert maps.shape == (4, 64, 64) and gradcam.alikeness(maps, maps) == pytest.approx(1)
    assert next(gradcam.randomised(model, 1).parameters()).is_cuda
