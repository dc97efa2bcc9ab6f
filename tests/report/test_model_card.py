"""The model card: its YAML is read back, its figures are the test's, and what it may be used for is said."""

import json
import re

import numpy as np
import pytest
import torch
import yaml

from helpers.config import ATTRIBUTES, Config
from helpers.data.official import OFFICIAL_SIZES
from helpers.evaluation.bootstrap import INDEX
from helpers.models.checkpoints import save_checkpoint
from helpers.models.networks import build_model, count_parameters
from helpers.report import model_card
from helpers.report.model_card import write_model_card
from helpers.run import LOGITS, TEST_LOG
from helpers.system.files import append_json

TEST = {"loss": 0.21, "mean_accuracy": 0.9312, "micro_f1": 0.87654, "macro_f1": 0.8, "exact_match": 0.7, "images": 48.0}
NBSP = "\u00a0"
RANKED = [(of, name) for of in ("overall", *ATTRIBUTES) for name in ("auroc", "average_precision")]
GAP = {"group": "Male", "rate": "tpr", "attribute": "Smiling", "images": 31, "enough": True}


def interval(of: str, metric: str) -> dict:
    value = TEST.get(metric, 0.8) if of == "overall" else 0.8
    return {"of": of, "metric": metric, "value": value, "low": value - 0.1, "high": value + 0.1}


def results(drawn: bool) -> dict:
    """What 07_test writes and the card reads."""
    source = "drawn faces" if drawn else "CelebA"
    return {
        "data": {"source": source, "drawn": drawn, "official_splits": not drawn},
        "checkpoint": "/elsewhere/best.pt",
        "checkpoint_name": "best.pt",
        "parameters": {"checkpoint": "", "compare_with": "", "seed": 0},
        "trained_on": source,
        "overall": {"valid": TEST | {"loss": 0.2}, "test": dict(TEST)},
        "whole_test": False,
        "persons": 1234,
        "intervals": [interval(*key) for key in [*INDEX, *RANKED]],
        "gaps": [GAP | {"value": -0.25, "low": -0.4, "high": -0.1}],
        "likely_errors": {"by_attribute": [], "count": 7},
    }


def save(folder, name: str, source: str, loss: float = 0.2):
    config = Config(channels_block3=8, lr=0.0021)
    model = build_model(0, torch.device("cpu"), 8)
    save_checkpoint(folder / f"{name}.pt", model, config, 4, {"val_loss": loss}, source)


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A function from 07_test's results to the card: its front matter and its text."""
    monkeypatch.setattr(model_card, "CHECKPOINTS", tmp_path / "checkpoints")

    def write(content: dict, language: str = "en") -> tuple[dict, str]:
        folder = tmp_path / "runs" / "look"
        (folder / "results").mkdir(parents=True, exist_ok=True)
        (folder / "results" / "07_test.json").write_text(json.dumps(content), encoding="utf-8")
        append_json(folder / TEST_LOG, {"notebook": "07_test"})
        save(tmp_path / "checkpoints" / "look", "best", content["trained_on"])
        path = write_model_card(folder, language)
        text = path.read_text(encoding="utf-8")
        assert path == folder / "MODEL_CARD.md" and not any(left in text for left in ("{{", "{%", "None", "\n\n\n"))
        nothing, front, prose = text.split("---\n", 2)
        assert not nothing
        return yaml.safe_load(front), prose

    return write


@pytest.fixture
def compared(card, tmp_path):
    """A function like `card` for a run whose second network is better on valid; with its logits on test if `kept`."""

    def write(kept: bool) -> str:
        rng = np.random.default_rng(0)
        targets = rng.random((48, 5)) < 0.5
        arrays = {"targets": targets, "persons": np.arange(48) // 2, "second": np.where(targets, 3.0, -3.0)}
        folder = tmp_path / "runs" / "look" / "results"
        folder.mkdir(parents=True)
        np.savez(folder / LOGITS, **(arrays if kept else {}))
        save(tmp_path / "checkpoints" / "look", "extra_best", "CelebA", 0.1234)
        content = results(drawn=False) | {"comparison": {"name": "extra_best.pt"}}
        return card(content)[1]

    return write


@pytest.mark.parametrize("drawn", [True, False])
def test_the_front_matter_holds_the_tests_figures(card, drawn):
    front, text = card(results(drawn))
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert model["name"] == "look" and result["dataset"]["split"] == "test"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
        "accuracy": 0.9312,
        "exact_match": 0.7,
        "f1": 0.8765,
        "loss": 0.21,
    }
    assert (
        "| Mean accuracy | 0.9312 | 0.8312 to 1.0312 |" in text
        and "| All five right | 0.7000 | 0.6000 to 0.8000 |" in text
    )
    assert all(
        f"| {attribute} | 0.8000 | 0.7000 to 0.9000 | 0.800 | 0.800 | 0.800 |" in text for attribute in ATTRIBUTES
    )


def test_a_card_of_drawn_faces_says_so_and_is_free(card):
    front, text = card(results(drawn=True))
    assert front["license"] == "mit" and "license_name" not in front and "drawn-faces" in front["tags"]
    assert "**Trained on drawn faces.**" in text and "of no use" in text
    assert "Trained on CelebA" not in text and "published ones" not in text


def test_a_card_of_celeba_is_for_non_commercial_research_only(card):
    front, text = card(results(drawn=False))
    assert front["license"] == "other" and front["license_name"] == "non-commercial-research"
    assert front["license_link"].startswith("https://") and "celeba" in front["tags"]
    assert "non-commercial research only" in text and "drawn faces" not in text


@pytest.mark.parametrize("whole", [True, False])
def test_a_part_of_the_test_split_is_said_not_to_compare(card, whole):
    images = OFFICIAL_SIZES["test"] if whole else 48
    content = results(drawn=False) | {"whole_test": whole}
    content["overall"]["test"]["images"] = float(images)
    _, text = card(content)
    assert ("do not compare with published ones" in text) != whole
    assert f"{images:,} test images of CelebA" in text


def test_the_card_says_what_was_trained_and_how_often_the_test_split_was_opened(card):
    _, text = card(results(drawn=False))
    assert f"{count_parameters(build_model(0, torch.device('cpu'), 8)):,} parameters" in text
    assert "learning rate 0.0021" in text and "of epoch 4," in text
    assert "opened 1 time in its run" in text and "of 1,234 people" in text and "7 of the test’s 240 labels" in text


def test_the_largest_gap_that_is_of_enough_images_is_told_with_its_direction(card):
    content = results(drawn=False)
    content["gaps"].insert(0, GAP | {"enough": False, "attribute": "Wearing_Hat", "value": 1, "low": 0, "high": 1})
    _, text = card(content)
    assert "true positive rate of Smiling is 0.250 lower in the group “Male” than in all other images" in text
    assert "−0.400 to −0.100" in text


def test_what_could_not_be_measured_is_a_dash(card):
    content = results(drawn=False) | {"gaps": [], "persons": None}
    for row in content["intervals"]:
        if row["metric"] == "auroc":
            row |= {"value": None, "low": None, "high": None}
    _, text = card(content)
    assert "| Smiling | 0.8000 | 0.7000 to 0.9000 | 0.800 | — | 0.800 |" in text
    assert "people not known" in text and "by resampling images" in text and "largest difference" not in text


def test_the_licence_follows_what_was_trained_on_and_not_what_was_tested_on(card):
    front, text = card(results(drawn=True) | {"trained_on": "CelebA"})
    assert front["license"] == "other" and "Trained on drawn faces" not in text
    front, text = card(results(drawn=False) | {"trained_on": "drawn faces"})
    assert front["license"] == "mit" and "Trained on drawn faces" in text


def test_the_command_names_the_checkpoint_that_was_tested(card):
    assert "--checkpoint checkpoints/look/best.pt" in card(results(drawn=True))[1]


@pytest.mark.parametrize("named", ["checkpoint", "compare_with"])
def test_a_network_of_another_run_is_not_taken_for_the_run_s_own(card, compared, tmp_path, named):
    compared(kept=True)  # the run has a best.pt and an extra_best.pt of its own, which is better on valid
    save(tmp_path / "checkpoints" / "other", "best", "CelebA", 0.5)
    save(tmp_path / "checkpoints" / "other", "extra_best", "CelebA", 0.4)
    other = str(tmp_path / "checkpoints" / "other" / ("best.pt" if named == "checkpoint" else "extra_best.pt"))
    content = results(drawn=False) | {"comparison": {"name": "extra_best.pt"}}
    content["parameters"] |= {named: other}
    content |= {"checkpoint": other} if named == "checkpoint" else {}
    text = card(content)[1]
    assert "The run trained two networks" not in text and "0.9312" in text
    assert f"--checkpoint checkpoints/{'other' if named == 'checkpoint' else 'look'}/best.pt" in text


def test_several_seeds_are_told_with_their_spread_and_a_diverged_one_is_left_out(card, tmp_path):
    assert "One seed" in card(results(drawn=True))[1]
    rows = [{"seed": 42, "loss": 0.2, "mean_accuracy": 0.90}, {"seed": 43, "loss": 0.3, "mean_accuracy": 0.92}]
    final = {"seeds": [*rows, {"seed": 44, "loss": None, "mean_accuracy": None}]}
    (tmp_path / "runs" / "look" / "results" / "06_final.json").write_text(json.dumps(final), encoding="utf-8")
    text = card(results(drawn=True))[1]
    assert "Over 2 seeds the mean accuracy on valid is 0.9100 ± 0.0141" in text and "One seed" not in text


def test_the_card_is_of_the_network_that_is_better_on_valid_and_says_so(compared):
    text = compared(kept=True)
    assert "the loss of `extra_best.pt` is lower (0.1234 against 0.2000), so this card is about that one" in text
    assert "--checkpoint checkpoints/look/extra_best.pt" in text
    assert "| Mean accuracy | 1.0000 | 1.0000 to 1.0000 |" in text and "48 test images of CelebA" in text


def test_the_card_says_that_the_better_network_was_not_kept(compared):
    text = compared(kept=False)
    assert "`extra_best.pt` is lower" in text and "nevertheless about `best.pt`" in text
    assert "| Mean accuracy | 0.9312 |" in text


@pytest.mark.parametrize("drawn", [True, False])
def test_the_french_card_is_french_with_the_same_numbers_and_front_matter(card, drawn):
    english, french = card(results(drawn)), card(results(drawn), "fr")
    assert french[0] == english[0]
    assert "| Exactitude moyenne | 0,9312 | 0,8312 à 1,0312 |" in french[1] and "ouvert 2 fois" in french[1]
    assert "est celui de Smiling (" in french[1] and "dans le groupe « " in french[1].replace(NBSP, " ")
    assert "homme" in french[1]
    assert not re.search(r"\b(the|of|and|people|drawn|yes)\b", french[1].replace("Face Attributes in the Wild", ""))


def test_the_hub_s_own_reader_understands_the_card(card, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    card(results(drawn=False))
    read = hub.ModelCard.load(tmp_path / "runs" / "look" / "MODEL_CARD.md")
    scores = {result.metric_type: result.metric_value for result in read.data.eval_results}
    assert read.data.model_name == "look" and scores["accuracy"] == 0.9312
