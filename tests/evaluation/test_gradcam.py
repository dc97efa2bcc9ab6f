"""Grad-CAM: the map lies where the answer was planted, and its control and its examples are what they say."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, relu

from helpers.config import Config
from helpers.data.batches import normalise
from helpers.evaluation import gradcam
from helpers.models.networks import build_for, build_model

CPU = torch.device("cpu")


def planted() -> nn.Module:
    """A network whose first answer speaks of red places, its second of blue ones, its third against red ones."""
    model = nn.Sequential(
        nn.Conv2d(3, 2, kernel_size=8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 5)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model[0].weight[0, 0], model[0].weight[1, 2] = 1 / 64, 1 / 64
        model[4].weight[:3] = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    return model


@pytest.fixture
def corners() -> torch.Tensor:
    """A black image, red in the upper left corner and blue in the lower right one, three times."""
    images = torch.zeros(3, 3, 64, 64, dtype=torch.uint8)
    images[:, 0, :16, :16] = 255
    images[:, 2, 48:, 48:] = 255
    return images


def network(seed: int = 0) -> nn.Module:
    return build_model(seed, CPU, 8)


def pictures(count: int = 4) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


# Maps


def test_the_map_peaks_where_the_answer_was_planted(corners):
    red, blue, against = gradcam.grad_cam(planted(), corners, [0, 1, 2])
    assert red[:16, :16].max() == 1 and red[24:].max() == red[:, 24:].max() == 0
    assert blue[48:, 48:].max() == 1 and blue[:40].max() == blue[:, :40].max() == 0
    assert not against.any()


def test_the_map_of_the_courses_network_is_its_last_features_weighted_by_its_head():
    # Before a global average and a linear head, the mean gradient is the head's weight over the number of places.
    model, images, asked = network().eval(), pictures(), [0, 3, 4, 3]
    with torch.no_grad():
        features = model.block3(model.block2(model.block1(normalise(images))))
        maps = relu((model.head.weight[asked][:, :, None, None] * features).sum(1, keepdim=True))
    maps = interpolate(maps, size=(64, 64), mode="bilinear", align_corners=False)[:, 0].numpy()
    found = gradcam.grad_cam(model, images, asked)
    assert found.shape == (4, 64, 64) and found.min() >= 0 and found.max() <= 1
    assert np.allclose(found, maps / maps.max(axis=(1, 2), keepdims=True).clip(1e-12), atol=1e-3)
    assert not found[1].any() and found[[0, 2, 3]].max(axis=(1, 2)) == pytest.approx(1)  # nothing speaks for the second


def test_a_map_has_nothing_where_the_compact_network_does_not_read_its_features():
    model = build_for(Config(arch="compact"), torch.device("cpu")).eval()
    with torch.no_grad():
        model.places.weight.normal_()
        model.places.weight[..., :4] = 0  # the left half of the 8 × 8 feature map
    maps = gradcam.grad_cam(model, pictures(), [0, 1, 2, 3])
    assert not maps[:, :, :28].any() and maps[:, :, 36:].any()


def test_a_map_does_not_depend_on_the_other_images_of_its_batch():
    model, images = network(), pictures()
    together = gradcam.grad_cam(model, images, [1, 1, 1, 1])
    alone = np.concatenate([gradcam.grad_cam(model, image[None], [1]) for image in images])
    assert np.allclose(together, alone, atol=1e-4)


def test_looking_leaves_the_model_as_it_was_and_no_hooks():
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradcam.grad_cam(model, pictures(), [0, 1, 2, 3])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


# The control


def test_the_control_has_other_weights_and_leaves_the_model_and_the_random_numbers_alone():
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    control = gradcam.randomised(model, 7)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    for name in ("block1.conv.weight", "block3.conv.weight", "head.weight", "head.bias"):
        assert not torch.equal(control.state_dict()[name], before[name])
    assert torch.equal(gradcam.randomised(model, 7).head.weight, control.head.weight)
    assert not torch.equal(gradcam.randomised(model, 8).head.weight, control.head.weight)


def test_nothing_of_the_training_is_left_in_the_control():
    model = network()
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.fill_(5)
    control = gradcam.randomised(model, 0)
    assert not any((tensor == 5).any() for tensor in [*control.parameters(), *control.buffers()])


def test_alikeness_is_the_rank_correlation_of_maps_that_are_not_constant():
    maps = np.random.default_rng(0).random((3, 8, 8))
    assert gradcam.alikeness(maps, maps) == pytest.approx(1)
    assert gradcam.alikeness(maps, maps**3) == pytest.approx(1)
    assert gradcam.alikeness(maps, 1 - maps) == pytest.approx(-1)
    blank = maps.copy()
    blank[1] = 0
    assert gradcam.alikeness(blank, maps) == gradcam.alikeness(maps, blank) == pytest.approx(1)
    assert np.isnan(gradcam.alikeness(np.zeros_like(maps), maps))


# Examples


def told(right: int, wrong: int, rest: int):
    """Answers and labels of the third attribute: so many rightly yes, wrong by turns, and rightly no."""
    answers = [1] * right + [0, 1] * (wrong // 2) + [1] * (wrong % 2) + [0] * rest
    truth = [1] * right + [1, 0] * (wrong // 2) + [0] * (wrong % 2) + [0] * rest
    answers, truth = (np.random.default_rng(0).permutation(column) for column in (answers, truth))
    answers, truth = (np.repeat(column[:, None], 5, axis=1) for column in (answers, truth))
    answers[:, [0, 1, 3, 4]] = 0
    return answers, truth


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("right", "wrong", "rest", "expected"),  # expected: how many of each of six examples
    [(9, 9, 9, (3, 3, 0)), (1, 9, 9, (1, 5, 0)), (9, 2, 9, (4, 2, 0)), (1, 2, 9, (1, 2, 3)), (0, 0, 9, (0, 0, 6))],
)
def test_half_the_examples_are_right_and_half_are_wrong_and_gaps_are_filled(right, wrong, rest, expected, seed):
    answers, truth = told(right, wrong, rest)
    rows = gradcam.examples(answers, truth, 2, 6, seed)
    assert len(set(rows)) == 6
    yes, has = answers[rows, 2] == 1, truth[rows, 2] == 1
    assert ((yes & has).sum(), (yes != has).sum(), (~yes & ~has).sum()) == expected


def test_examples_are_drawn_at_random_and_are_no_more_than_there_are_images():
    answers, truth = told(20, 20, 20)
    one, same, other = (gradcam.examples(answers, truth, 2, 6, seed) for seed in (0, 0, 1))
    assert one == same and one != other
    assert sorted(gradcam.examples(answers[:3], truth[:3], 2, 6, 0)) == [0, 1, 2]
