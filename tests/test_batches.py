"""Batches: the augmentation against torchvision given the same draws, normalisation, and what an epoch holds."""

import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from helpers import batches
from helpers.batches import Draws, Split

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
    draws = batches.draw_augmentation(24, torch.Generator().manual_seed(seed))
    difference = (batches.augment(images.clone(), draws) - one_by_one(images, draws)).abs().amax(1)
    assert (difference <= 1 / 255).float().mean() >= 0.999  # a rotated pixel on a tie may round the other way


def test_augmentation_is_drawn_for_each_image():
    draws = batches.draw_augmentation(500, torch.Generator().manual_seed(0))
    for values in (draws.degrees, draws.brightness, draws.contrast, draws.saturation, draws.hue):
        assert len(values.unique()) > 450
    assert 0.4 < draws.flip.float().mean() < 0.6


def test_draws_stay_in_the_courses_ranges_and_fill_them():
    draws = batches.draw_augmentation(5000, torch.Generator().manual_seed(0))
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
    assert len({tuple(batches.draw_augmentation(1, generator).order) for _ in range(300)}) == 24


def test_augmentation_changes_its_input_nowhere():
    images = noise(4)
    kept = images.clone()
    batches.augment(images, batches.draw_augmentation(4, torch.Generator().manual_seed(0)))
    assert torch.equal(images, kept)


def test_normalise_maps_bytes_to_minus_one_and_one_and_back():
    images = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    assert torch.allclose(batches.normalise(images).flatten(), torch.tensor([-1.0, 1.0, -0.6]))
    assert torch.allclose(batches.denormalise(batches.normalise(images)).flatten() * 255, images.flatten().float())
    assert torch.allclose(batches.normalise(images), batches.normalise(images.float() / 255), atol=1e-6)


def numbered(count: int) -> Split:
    """A split whose image i is of brightness i and whose target is i in every column."""
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 64, 64).contiguous()
    targets = torch.arange(count, dtype=torch.float32).view(-1, 1).expand(-1, 5)
    return Split("train", images, targets, [f"{i}.jpg" for i in range(count)], np.arange(count))


@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (12, 4), (3, 64), (200, 64)])
def test_an_epoch_holds_every_image_once_with_its_own_target(count, batch_size):
    seen = []
    for images, targets in batches.training_batches(numbered(count), batch_size, torch.Generator(), augmented=False):
        brightness = (batches.denormalise(images)[:, 0, 0, 0] * 255).round()
        assert torch.equal(brightness, targets[:, 0])
        seen += targets[:, 0].tolist()
    assert sorted(seen) == list(range(count))


def test_a_last_batch_of_one_image_is_left_out():
    sizes = [len(t) for _, t in batches.training_batches(numbered(9), 4, torch.Generator(), augmented=False)]
    assert sizes == [4, 4]


def test_epochs_differ_and_repeat_with_the_generators_seed():
    def order(generator):
        return next(batches.training_batches(numbered(20), 20, generator, False))[1][:, 0].tolist()

    generator = torch.Generator().manual_seed(3)
    first, second = order(generator), order(generator)
    assert first != second and first == order(torch.Generator().manual_seed(3))


def test_a_limit_takes_a_seeded_subset_of_the_split(dataset):
    cpu = torch.device("cpu")
    one, same, other = (batches.load_split(dataset, "train", cpu, 20, seed) for seed in (0, 0, 1))
    assert len(one) == 20 and one.names == same.names != other.names
    assert (dataset.annotations.loc[one.names, "split"] == "train").all()


def test_a_split_keeps_images_targets_names_and_identities_together(dataset, splits):
    valid = splits["valid"]
    rows = dataset.annotations.loc[valid.names]
    assert (rows["identity"].to_numpy() == valid.identities).all()
    assert (rows[["Smiling", "Eyeglasses"]].to_numpy() == valid.targets[:, [0, 4]].numpy()).all()
    part = valid.subset([3, 1])
    assert part.names == [valid.names[3], valid.names[1]] and torch.equal(part.images[0], valid.images[3])
