"""Batches: normalisation, what an epoch holds, and splits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import batches
from helpers.data.batches import Split
from helpers.data.cache import load_images


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


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(2, 12))
def test_an_epoch_has_as_many_batches_as_announced(count, batch_size):
    split = numbered(count)
    found = sum(1 for _ in batches.training_batches(split, batch_size, torch.Generator(), augmented=False))
    assert found == batches.batches_per_epoch(split, batch_size)


def test_a_chunk_augmented_in_parts_keeps_its_images_in_order(monkeypatch):
    monkeypatch.setattr(batches, "PART", 16)
    images = torch.arange(0, 250, 5, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 64, 64).contiguous()
    augmented = batches._augmented(images, torch.Generator().manual_seed(0))
    centre = batches.denormalise(augmented)[:, :, 32, 32].mean(
        1
    )  # brightness changes by at most a fifth, contrast not at all
    assert torch.allclose(centre, images[:, 0, 0, 0] / 255, rtol=0.21)
    assert len({round(c.item(), 4) for c in centre[1:] / (images[1:, 0, 0, 0] / 255)}) > 20  # and was augmented


def test_reading_ahead_keeps_the_order_and_passes_on_what_goes_wrong():
    assert list(batches.one_ahead(lambda x: 2 * x, range(7))) == [0, 2, 4, 6, 8, 10, 12]
    with pytest.raises(ZeroDivisionError):
        list(batches.one_ahead(lambda x: 1 / x, [1, 0]))


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
    everything = load_images(dataset)
    for split in (*splits.values(), batches.load_split(dataset, "valid", torch.device("cpu"), 7)):
        own = everything[dataset.annotations.index.get_indexer(split.names)]
        assert (split.images.numpy() == own).all(), split.name
    part = valid.subset([3, 1])
    assert part.names == [valid.names[3], valid.names[1]] and torch.equal(part.images[0], valid.images[3])


@pytest.mark.parametrize("batch_size", [64, 100, 1024, 10_000])
def test_chunks_hold_whole_batches(batch_size):
    assert batches.chunk_size(torch.device("cpu"), batch_size) == batch_size
    assert batches.chunk_size(torch.device("cuda"), batch_size) % batch_size == 0


def of_labels(targets: torch.Tensor) -> Split:
    return Split("valid", torch.zeros(len(targets), 3, 1, 1), targets, [f"{i}.jpg" for i in range(len(targets))], None)


@given(seed=st.integers(0, 50), rates=st.lists(st.sampled_from([0.0, 0.02, 0.5, 1.0]), min_size=5, max_size=5))
@settings(max_examples=40, deadline=None)
def test_varied_images_have_every_attribute_that_there_is(seed, rates):
    split = of_labels(torch.from_numpy((np.random.default_rng(seed).random((300, 5)) < rates).astype(np.float32)))
    chosen = split.varied(8, seed)
    assert len(set(chosen.names)) == 8 and chosen.names == split.varied(8, seed).names
    assert torch.equal(chosen.targets.amax(0), split.targets.amax(0))


def test_varied_images_are_all_of_them_where_there_are_few():
    assert of_labels(torch.zeros(3, 5)).varied(8, 0).names == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(of_labels(torch.eye(5)).varied(2, 0)) == 2
