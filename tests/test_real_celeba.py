"""The official files, where $CELEBA_ROOT names a folder with them (a tenth of the images is enough)."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REAL

from helpers.config import ATTRIBUTES, IDENTITY_FILE, PARTITION_FILE
from helpers.data.batches import load_split
from helpers.data.celeba import Dataset, find_layout, open_dataset
from helpers.data.check import check_files, compare
from helpers.data.official import OFFICIAL_POSITIVES, OFFICIAL_SIZES, official_splits
from helpers.errors import StudyError
from helpers.evaluation.metrics import decision_scores, entropy
from helpers.system.files import file_md5

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("real"),
    pytest.mark.skipif(not os.path.isdir(REAL), reason="$CELEBA_ROOT names no folder"),
]


@pytest.fixture(scope="module", autouse=True)
def cache_of_its_own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELEBA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def annotations():
    return find_layout(REAL).read()[0]


@pytest.fixture(scope="module")
def real() -> Dataset:
    return open_dataset(REAL, allow_missing=True)


def test_the_official_splits_have_their_official_sizes(annotations):
    assert annotations["split"].value_counts().to_dict() == OFFICIAL_SIZES


def test_the_official_positives_are_counted(annotations):
    counts = annotations.groupby("split", observed=True)[list(ATTRIBUTES)].sum()
    assert counts.to_dict() == OFFICIAL_POSITIVES


def test_no_identity_crosses_the_official_splits(annotations):
    assert annotations.groupby("identity")["split"].nunique().max() == 1


def test_the_majority_answer_has_the_accuracy_of_a_mean_of_five_and_not_of_one(annotations):
    labels = {
        split: annotations.loc[annotations["split"] == split, list(ATTRIBUTES)].to_numpy() for split in OFFICIAL_SIZES
    }
    majority = labels["train"].mean(0) > 0.5
    scores = {s: decision_scores(np.broadcast_to(majority, y.shape), y)["mean_accuracy"] for s, y in labels.items()}
    assert scores["valid"] == pytest.approx(0.744, abs=5e-4) and scores["test"] == pytest.approx(0.753, abs=5e-4)
    assert entropy(labels["train"].mean(0)) == pytest.approx(0.467, abs=5e-4)


def test_a_subset_has_to_be_asked_for(real):
    if not real.is_subset:
        pytest.skip("all images are here")
    with pytest.raises(StudyError, match="allow_missing"):
        open_dataset(REAL)
    assert not real.is_whole_celeba


def test_real_images_are_decoded_within_a_level_of_the_plain_way_on_average_and_two_at_worst(real):
    from data.test_decoding import differences

    found = differences(real, every=20)
    assert found.mean() <= 1 and found.max() <= 2


def test_the_official_annotations_are_known_for_what_they_are(annotations):
    files = {file["name"]: file["md5"] for file in check_files(find_layout(REAL))}
    assert set(list(files.values())[:3]) == {"official"}
    assert (official_splits(annotations.index).astype(str) == annotations["split"].astype(str)).all()


def test_the_splits_of_a_subset_of_the_official_images_are_official_and_a_resplit_is_not(real):
    assert real.has_official_splits
    split = real.table["split"].copy()
    split[real.annotations.index[0]] = "test"
    assert not dataclasses.replace(real, table=real.table.assign(split=split)).has_official_splits


def test_the_official_files_with_unix_line_endings_have_the_md5_of_the_copies_in_git(tmp_path):
    known = {PARTITION_FILE: "be94fe8e502ac478aba4274aa7d31b9e", IDENTITY_FILE: "720a004a325e1f0411bb14797efbfca8"}
    for name, md5 in known.items():
        path = tmp_path / name
        path.write_bytes((Path(REAL) / name).read_bytes().replace(b"\r\n", b"\n"))
        assert file_md5(path) == md5 and compare(name, path) == "official but for line endings"


def test_the_network_learns_real_faces_better_than_the_majority_answer(real):
    from helpers.config import Config
    from helpers.models.networks import build_model
    from helpers.training.loop import fit

    cpu = torch.device("cpu")
    train, valid = (load_split(real, split, cpu, count) for split, count in (("train", 2000), ("valid", 500)))
    config = Config(max_epochs=3, schedule="one_cycle", lr=0.01, batch_size=24, device="cpu")
    history = fit(build_model(0, cpu), train, valid, config)
    rates = train.targets.mean(0).numpy()
    majority = np.broadcast_to(rates > 0.5, (len(valid), 5))
    assert history["val_acc"].iloc[-1] > decision_scores(majority, valid.targets.numpy())["mean_accuracy"] + 0.02
    assert history["val_loss"].iloc[-1] < entropy(rates) - 0.02
