"""Doubts about labels, and copies: counted by hand on small tables, and by brute force on random ones."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.config import ATTRIBUTES, SPLITS
from helpers.data import labels
from helpers.data.celeba import open_dataset


def people(male: list[list[int]]) -> pd.DataFrame:
    """Return annotations of people whose images have these labels for Male, and 0 for all else."""
    rows = [{"identity": person, "Male": label} for person, images in enumerate(male) for label in images]
    return pd.DataFrame(rows).reindex(columns=["identity", *ATTRIBUTES]).fillna(0).astype(int)


def test_people_who_disagree_with_themselves_are_counted_and_their_minority():
    table = labels.label_consistency(people([[1, 1, 1], [0, 0], [1, 0], [0, 0, 0, 1], [1, 0, 1, 1, 0], [1]]))
    assert table.loc["Male"].to_dict() == {"people": 5, "divided": 3, "minority": 1 + 1 + 2}
    assert table.loc["Smiling"].to_dict() == {"people": 5, "divided": 0, "minority": 0}
    assert tuple(table.index) == ATTRIBUTES


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=6), min_size=1, max_size=8))
@settings(deadline=None)
def test_the_minority_is_what_a_majority_vote_within_each_person_would_get_wrong(male):
    expected = sum(min(sum(images), len(images) - sum(images)) for images in male)
    assert labels.label_consistency(people(male)).loc["Male", "minority"] == expected


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(SPLITS)), max_size=12))
@settings(deadline=None)
def test_copies_are_those_a_comparison_of_all_pairs_finds(images):
    digests, splits = (pd.Series([image[i] for image in images], dtype=str) for i in (0, 1))
    found = labels.copies(digests, splits)
    assert found.pop("extra") == len(images) - len(set(digests))
    pairs = {(a, s, t) for (a, s), (b, t) in itertools.product(images, images) if a == b}
    assert found == {
        f"{s}/{t}": len({a for a, x, y in pairs if (x, y) == (s, t)}) for s, t in itertools.combinations(SPLITS, 2)
    }


def test_unreadable_images_are_no_copies_of_each_other():
    assert labels.copies(pd.Series(["", "", "a"]), pd.Series(["train", "test", "test"]))["train/test"] == 0


@pytest.fixture
def copied(copy):
    """A copy in which two train images are those of valid and test, and one test image is a valid one."""
    table = open_dataset(str(copy)).annotations
    first = {split: list(table.index[table["split"] == split]) for split in SPLITS}
    folder = copy / "img_align_celeba"
    for target, source in (
        (first["train"][3], first["valid"][0]),
        (first["train"][7], first["test"][5]),
        (first["test"][2], first["valid"][1]),
        (first["train"][8], first["train"][9]),
    ):
        (folder / target).write_bytes((folder / source).read_bytes())
    return copy, {first["train"][3], first["train"][7]}


def test_copies_are_dropped_from_train_alone_when_that_is_asked_for(copied):
    root, expected = copied
    whole = open_dataset(str(root))
    assert labels.copies(whole.facts["digest"], whole.annotations["split"]) == {
        "extra": 4,
        "train/valid": 1,
        "train/test": 1,
        "valid/test": 1,
    }
    assert whole.left_out == 0
    dropped = open_dataset(str(root), drop_duplicates=True)
    left = set(dropped.annotations.index[dropped.annotations["split"].isna()])
    assert left == expected and dropped.left_out == 2
    assert dropped.split_sizes == whole.split_sizes | {"train": whole.split_sizes["train"] - 2}
    assert dropped.fingerprint == whole.fingerprint  # one cache for both


def test_leaving_copies_out_leaves_the_splits_as_official_as_they_are(copied, monkeypatch):
    from helpers.data import celeba

    root, _ = copied
    whole = open_dataset(str(root))
    monkeypatch.setattr(celeba, "official_splits", lambda names: whole.table["split"].reindex(names))
    monkeypatch.setattr(celeba, "OFFICIAL_SIZES", whole.split_sizes)
    for dataset in (whole, open_dataset(str(root), drop_duplicates=True)):
        assert dataset.has_official_splits and dataset.is_whole_celeba


def test_a_dropped_image_is_not_trained_on(copied):
    import torch

    from helpers.data.batches import load_split

    root, expected = copied
    dataset = open_dataset(str(root), drop_duplicates=True)
    splits = [load_split(dataset, split, torch.device("cpu")) for split in SPLITS]
    assert not expected & {name for split in splits for name in split.names}
    assert sum(map(len, splits)) == 298
    whole = load_split(open_dataset(str(root)), "train", torch.device("cpu"))
    kept = [whole.names.index(name) for name in splits[0].names]
    assert np.array_equal(whole.images[kept], splits[0].images) and torch.equal(whole.targets[kept], splits[0].targets)
