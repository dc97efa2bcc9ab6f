"""Images unlike a network's training images are noticed, and its valid images are not."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.cli.predict import about_unfamiliar, as_text, predict_images
from helpers.config import Config
from helpers.errors import StudyError
from helpers.models import familiarity
from helpers.models.checkpoints import load_checkpoint, save_checkpoint
from helpers.models.networks import build_model

CPU = torch.device("cpu")
NETWORKS = {"course": {"channels_block3": 8}, "mirrored": {"arch": "compact", "mirror": True}}


@pytest.fixture(scope="module", params=NETWORKS)
def saved(request, splits, tmp_path_factory):
    """A checkpoint with statistics of the drawn faces, as benchmarks/familiarity.py writes it."""
    options = NETWORKS[request.param]
    model = build_model(0, CPU, **options)
    model.train()(torch.randn(8, 3, 64, 64))
    path = tmp_path_factory.mktemp("familiar") / "best.pt"
    save_checkpoint(path, model.eval(), Config(**options), 1, {}, "drawn faces")
    familiar = familiarity.fit(model, splits["train"].images, splits["valid"].images)
    torch.save(torch.load(path, weights_only=True) | {"familiar": familiar}, path)
    return path


def test_about_one_valid_image_in_a_hundred_is_unfamiliar_and_noise_is(saved, splits):
    loaded = load_checkpoint(saved)
    familiar = loaded.content["familiar"]
    usual = familiarity.distances(loaded.model, familiar, splits["valid"].images)
    assert 0 < (usual > familiar["limit"]).sum() <= max(1, 0.03 * len(usual))
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 3, 64, 64), np.uint8))
    for strange in (noise, noise[:, :, :1, :1].expand(-1, -1, 64, 64)):
        assert (familiarity.distances(loaded.model, familiar, strange) > familiar["limit"]).all()


def test_predict_says_which_images_are_unfamiliar(saved, dataset, tmp_path):
    loaded, name = load_checkpoint(saved), dataset.annotations.index[0]
    (tmp_path / "face.jpg").write_bytes(dataset.images.read(name))
    Image.effect_noise((64, 64), 200).save(tmp_path / "noise.png")
    table, problems = predict_images(loaded, sorted(tmp_path.iterdir()), CPU)
    assert table["unfamiliar"].tolist() == [0, 1] and not problems
    told = about_unfamiliar(table, loaded)
    assert told.startswith("1 of 2 images do not look like") and "(drawn faces)" in told and "noise.png" in told
    assert [line.endswith("unfamiliar") for line in as_text(table).splitlines()] == [False, False, True]
    assert about_unfamiliar(table.iloc[:1], loaded) == ""


@pytest.mark.parametrize("spoil", [
    lambda familiar: familiar | {"limit": float("nan")},
    lambda familiar: familiar | {"mean": familiar["mean"][:-1]},
    lambda familiar: familiar | {"whiten": familiar["whiten"] * torch.nan},
    lambda familiar: {"limit": 1.0},
    lambda familiar: "yes",
])  # fmt: skip
def test_statistics_that_do_not_fit_the_network_are_refused(spoil, saved, tmp_path):
    content = torch.load(saved, weights_only=True)
    torch.save(content | {"familiar": spoil(content["familiar"])}, tmp_path / "best.pt")
    with pytest.raises(StudyError, match=r"\(familiar\) that do not fit its network"):
        load_checkpoint(tmp_path / "best.pt")
