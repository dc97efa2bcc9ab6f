"""The compact network: within the course's budget, aware of place, and usable wherever the course's network is."""

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from helpers import checks
from helpers.cli.predict import predict_images
from helpers.config import ATTRIBUTES, Config
from helpers.data.batches import normalise
from helpers.errors import StudyError
from helpers.evaluation import gradcam
from helpers.models.checkpoints import load_checkpoint, save_checkpoint
from helpers.models.compact import CompactCNN
from helpers.models.networks import COURSE_PARAMETERS, CourseCNN, Mirrored, build_model, count_parameters, forward_flop
from helpers.models.onnx import export_onnx
from helpers.training.loop import fit

CPU = torch.device("cpu")
ARCHES = ("course", "compact")


@pytest.fixture(params=ARCHES)
def saved(request, tmp_path):
    """A checkpoint of each network, its batch-norm statistics not those it began with."""
    config = Config(arch=request.param, channels_block3=8, dropout=0.1)
    model = build_model(1, CPU, config.channels_block3, config.dropout, config.arch)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(16, 3, 64, 64))
    path = tmp_path / "best.pt"
    save_checkpoint(path, model, config, 2, {"val_loss": 0.2}, "drawn faces")
    return path, model.eval()


def test_it_has_no_more_parameters_than_the_courses_and_a_third_of_its_operations():
    assert count_parameters(CompactCNN()) <= COURSE_PARAMETERS
    assert forward_flop(CompactCNN()) <= 100e6 < forward_flop(CourseCNN()) / 3


def test_the_same_seed_draws_the_same_weights():
    one, other = (build_model(7, CPU, arch="compact").state_dict().values() for _ in range(2))
    assert all(map(torch.equal, one, other))


def test_it_knows_where_things_are_and_the_courses_network_hardly_does():
    def moved(model) -> float:
        """How much an answer changes when what is seen moves from the middle to a corner, away from the border."""
        images = torch.full((2, 3, 64, 64), -1.0)
        images[0, :, 28:36, 28:36] = 1
        images[1, :, 12:20, 12:20] = 1
        one, other = model.eval()(images).detach()
        return float((one - other).abs().mean() / (one.abs().mean() + 1e-9))

    torch.manual_seed(0)
    assert moved(CompactCNN()) > 10 * moved(CourseCNN())


def test_a_checkpoint_brings_its_own_network_back(saved):
    path, model = saved
    images = torch.randn(2, 3, 64, 64)
    loaded = load_checkpoint(path).model
    assert type(loaded) is type(model) and torch.equal(loaded(images), model(images))


def test_a_checkpoint_of_a_network_unknown_here_is_refused_in_words(saved):
    path, _ = saved
    content = torch.load(path, weights_only=True)
    torch.save(content | {"architecture": {"type": "Transformer"}}, path)
    with pytest.raises(StudyError, match="a network that this study does not know"):
        load_checkpoint(path)


@pytest.mark.slow
def test_a_mirrored_network_answers_alike_for_an_image_and_its_mirror_image_but_learns_from_one(tmp_path):
    config = Config(arch="compact", mirror=True)
    model = build_model(1, CPU, arch="compact", mirror=True)
    images = torch.randn(4, 3, 64, 64)
    model(images)  # in train mode: moves the running averages
    path = tmp_path / "best.pt"
    save_checkpoint(path, model, config, 1, {}, "drawn faces")
    loaded = load_checkpoint(path).model
    assert isinstance(loaded, Mirrored) and torch.allclose(loaded(images), loaded(images.flip(3)), atol=1e-6)
    assert torch.equal(loaded(images), model.eval()(images)) and forward_flop(model) == 2 * forward_flop(model.network)
    assert not torch.allclose(model.train()(images), model(images.flip(3)), atol=1e-3)
    assert gradcam.grad_cam(model, torch.zeros(2, 3, 64, 64, dtype=torch.uint8), [0, 1]).shape == (2, 64, 64)


def test_predict_answers_with_either_network(saved, tmp_path):
    Image.fromarray(np.full((100, 80, 3), 120, np.uint8)).save(tmp_path / "face.png")
    table, complaints = predict_images(load_checkpoint(saved[0]), [tmp_path / "face.png"], CPU)
    answers = table[list(ATTRIBUTES)].to_numpy()
    assert not complaints and ((answers > 0) & (answers < 1)).all()


@pytest.mark.slow
def test_onnxruntime_answers_as_torch_for_any_number_of_images(saved, tmp_path):
    path, model = saved
    file = tmp_path / "new" / "network.onnx"
    assert export_onnx(load_checkpoint(path), file) < 1e-4
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        images = torch.rand(count, 3, 64, 64) * 2 - 1
        (logits,) = session.run(None, {"images": images.numpy()})
        assert np.abs(logits - model(images).detach().numpy()).max() < 1e-4
    assert [path.name for path in file.parent.iterdir()] == ["network.onnx"]


@pytest.mark.slow
def test_it_learns_and_passes_the_courses_checks(splits):
    model = build_model(0, CPU, arch="compact")
    few, config = splits["train"].subset(range(32)), Config(arch="compact", batch_size=16, max_epochs=25, lr=0.003)
    assert checks.gradient_stays_in_its_sample(model, normalise(few.images[:6])).passed
    history = fit(model, few, few, config, augmented=False)
    assert history["train_loss"].iloc[-1] < 0.1 < history["train_loss"].iloc[0]
    assert checks.every_parameter_learns(model, few, config).passed


def test_its_maps_are_of_the_last_blocks_output(saved):
    _, model = saved
    logits, features = gradcam._with_features(model, torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 5) and features.shape[2:] == ((8, 8) if isinstance(model, CompactCNN) else (16, 16))
    assert (features >= 0).all()  # after the ReLU, both branches in it
