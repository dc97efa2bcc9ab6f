"""The augmentation: equal to torchvision's given the same draws, drawn for each image, in the course's ranges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import functional

from helpers.data import augmentation
from helpers.data.augmentation import Draws

OPERATIONS = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)


def noise(count: int, seed: int = 0) -> torch.Tensor:
    """Images in [0, 1], some with only 256 levels, some with flat grey patches (where hue is undefined)."""
    images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    images[::2] = (images[::2] * 255).round() / 255
    images[1::3, :, 10:20, 10:20] = 0.5
    return images


def one_by_one(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Augment as torchvision does, image by image."""
    result = []
    for index, image in enumerate(images):
        image = functional.hflip(image) if draws.flip[index] else image
        image = functional.rotate(image, draws.degrees[index].item())
        for step in draws.order:
            if step == 3:
                image = functional.adjust_hue(image, draws.hue[index].item())
            else:
                factor = (draws.brightness, draws.contrast, draws.saturation)[step][index].item()
                image = OPERATIONS[step](image, factor)
        result.append(image)
    return torch.stack(result)


@pytest.mark.parametrize("seed", range(6))
def test_augmentation_equals_torchvisions_given_the_same_draws(seed):
    images = noise(24, seed)
    draws = augmentation.draw_augmentation(24, torch.Generator().manual_seed(seed))
    difference = (augmentation.augment(images.clone(), draws) - one_by_one(images, draws)).abs().amax(1)
    assert (difference <= 1 / 255).float().mean() >= 0.999  # a rotated pixel on a tie may round the other way


def test_augmentation_is_drawn_for_each_image():
    draws = augmentation.draw_augmentation(500, torch.Generator().manual_seed(0))
    for values in (draws.degrees, draws.brightness, draws.contrast, draws.saturation, draws.hue):
        assert len(values.unique()) > 450
    assert 0.4 < draws.flip.float().mean() < 0.6


def test_draws_stay_in_the_courses_ranges_and_fill_them():
    draws = augmentation.draw_augmentation(5000, torch.Generator().manual_seed(0))
    for values, low, high in (
        (draws.degrees, -15, 15),
        (draws.brightness, 0.8, 1.2),
        (draws.contrast, 0.8, 1.2),
        (draws.saturation, 0.8, 1.2),
        (draws.hue, -0.1, 0.1),
    ):
        margin = 0.01 * (high - low)
        assert low <= values.min() < low + margin and high - margin < values.max() <= high


def test_the_jitters_come_in_every_order():
    generator = torch.Generator().manual_seed(0)
    assert len({tuple(augmentation.draw_augmentation(1, generator).order) for _ in range(300)}) == 24


def test_augmentation_changes_its_input_nowhere():
    images = noise(4)
    kept = images.clone()
    augmentation.augment(images, augmentation.draw_augmentation(4, torch.Generator().manual_seed(0)))
    assert torch.equal(images, kept)


@settings(deadline=None)
@given(st.lists(st.integers(0, 255), min_size=3, max_size=3), st.floats(-0.1, 0.1))
def test_any_colours_hue_turns_as_torchvisions(colour, shift):
    pixel = torch.tensor(colour).view(1, 3, 1, 1) / 255
    expected = functional.adjust_hue(pixel[0], shift)
    augmentation.adjust_hue_(pixel, torch.tensor([shift]))
    assert torch.allclose(pixel[0], expected, atol=1 / 255)
