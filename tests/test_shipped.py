"""The checkpoint kept in git: small, safe to load, what its card says, and what answers where no other is named."""

import json
import os
import re

import pytest
import torch
import yaml
from cli.test_cli import call
from conftest import REAL
from PIL import Image

from helpers.config import ATTRIBUTES, ROOT, SHIPPED
from helpers.data.batches import load_split
from helpers.data.celeba import open_dataset
from helpers.evaluation import metrics
from helpers.models.checkpoints import load_checkpoint
from helpers.models.networks import COURSE_PARAMETERS, count_parameters
from helpers.report.model_card import METRICS
from helpers.report.published import measured_steps
from helpers.training.loop import predict_logits


@pytest.fixture(scope="module")
def arm() -> dict:
    """The arm of benchmarks/accuracy-third.json that the checkpoint is of."""
    results = ROOT / "benchmarks" / "accuracy-third.json"
    return next(arm for arm in json.loads(results.read_text(encoding="utf-8"))["arms"] if arm["arm"] == "fine_taught")


def test_it_is_small_and_within_the_courses_parameters(arm):
    assert SHIPPED.stat().st_size < 2_000_000
    assert count_parameters(load_checkpoint(SHIPPED).model) == arm["parameters"] <= COURSE_PARAMETERS


def test_its_card_has_the_benchmarks_figures_and_says_what_it_may_be_used_for(arm):
    _, front, text = SHIPPED.with_suffix(".md").read_text(encoding="utf-8").split("---\n", 2)
    (result,) = yaml.safe_load(front)["model-index"][0]["results"]
    shown = {metric["type"]: metric["value"] for metric in result["metrics"]}
    measured = arm["per_seed"][0]["test"]
    assert shown == {kind: round(measured[name], 4) for name, kind in METRICS.items()}
    assert "non-commercial research only" in text and f"{arm['test_mean_accuracy']:.4f}" in text


def test_the_page_of_results_and_the_readme_have_the_benchmarks_figures(arm):
    told = [f"{arm[f'test_{name}']:.4f}" for name in ("loss", "mean_accuracy", "micro_f1")]
    each = [f"{arm['test_per_attribute'][name]:.4f}" for name in ATTRIBUTES]
    results, readme = (
        ROOT.joinpath(*page).read_text(encoding="utf-8") for page in (("docs", "results.md"), ("README.md",))
    )
    assert all(figure in results for figure in told + each) and all(figure in readme for figure in told)


def test_it_holds_no_image_name_and_no_path():
    content = torch.load(SHIPPED, weights_only=True) | {"model": None}
    told = str(content) + SHIPPED.with_suffix(".md").read_text(encoding="utf-8")
    assert not re.search(r"\d{6}\.jpg|/(home|root|work|tmp)\b", told)


def test_predict_answers_with_it_where_none_is_named_and_says_so(drawn):
    result = call("predict", next((drawn / "img_align_celeba").glob("*.jpg")))
    assert result.exit_code == 0 and "non-commercial research only" in result.stderr
    assert result.stdout.startswith("image,Smiling,Wearing_Hat,Male,Young,Eyeglasses")


def test_it_tells_noise_and_plain_colours_from_what_it_was_trained_on(tmp_path):
    Image.effect_noise((178, 218), 200).save(tmp_path / "noise.png")
    Image.new("RGB", (178, 218), "green").save(tmp_path / "green.png")
    result = call("predict", tmp_path)
    told = "2 of 2 images do not look like those that the network was trained on (CelebA)"
    assert result.exit_code == 0 and told in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir(REAL), reason="$CELEBA_ROOT names no folder")
def test_on_real_faces_it_answers_as_well_as_the_benchmark_says(arm, tmp_path, monkeypatch):
    monkeypatch.setenv("CELEBA_CACHE", str(tmp_path))
    valid = load_split(open_dataset(REAL, allow_missing=True), "valid", torch.device("cpu"))
    scores = metrics.scores(predict_logits(load_checkpoint(SHIPPED).model, valid), valid.targets.numpy())
    assert scores["mean_accuracy"] > arm["per_seed"][0]["valid"]["mean_accuracy"] - 0.01  # of another part, another


def test_the_benchmarks_steps_are_told_with_their_verdicts():
    steps = measured_steps()
    assert steps["verdict"].dropna().isin(["improves", "worsens", "both", "not shown", "one seed"]).all()
    assert (steps["verdict"] == "one seed").equals(steps["compared"] == 1)
    assert steps.loc["compact_network", "verdict"] == "improves"  # by 2 points, with each of three seeds
    assert steps.loc["course_adamw_one_cycle", "verdict"] == "not shown"  # its three seeds do not agree
    assert steps["gain"].notna().tolist() == steps["over"].isin(steps.index).tolist()  # where both are trained
    paid = steps.query("verdict == 'improves'")
    assert ((paid["gain_low"] > 0) | (paid["change_high"] < 0)).all()
