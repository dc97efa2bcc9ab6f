"""The model card: a network's training data, scores, limits and intended use, filled in from the results."""

import math
from pathlib import Path

import numpy as np
import yaml

from helpers.config import ATTRIBUTES, CHECKPOINTS, ROOT
from helpers.data.official import OFFICIAL_SIZES
from helpers.evaluation import groups, metrics
from helpers.evaluation.bootstrap import every_interval
from helpers.evaluation.label_errors import likely_errors
from helpers.models.checkpoints import Checkpoint, load_checkpoint
from helpers.models.networks import count_parameters, forward_flop
from helpers.report.wording import catalogue, templates, typeset
from helpers.run import LOGITS, TEST_LOG, read_results
from helpers.system.files import read_jsons, write_text
from helpers.system.records import plain, read_arrays
from helpers.training.grid_effects import over_seeds

TEMPLATES = Path(__file__).parent / "templates"
LICENCE = {
    "license": "other",
    "license_name": "non-commercial-research",
    "license_link": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
}
# The metrics of the card, with the type of each in the Hub's list of metrics
METRICS = {"mean_accuracy": "accuracy", "exact_match": "exact_match", "micro_f1": "f1", "loss": "loss"}


def write_model_card(folder: Path, language: str = "fr") -> Path:
    """Write MODEL_CARD.md for the better of the two networks that a run's 07_test tested, and return its path.

    The better one is that with the lower loss on valid; test has no part in the choice. `folder` is the run's folder,
    which contains results/07_test.json. Raises StudyError if the checkpoint is missing.
    """
    result = (read_results(folder, "appendix") or {}) | (read_results(folder, "07_test") or {})
    path, result, choice = _better(folder, result)
    seeds = _seeds(folder) if path == CHECKPOINTS / folder.name / "best.pt" else []
    openings = len(read_jsons(folder / TEST_LOG))
    text = model_card(folder.name, load_checkpoint(path), result, openings, seeds, language=language, choice=choice)
    write_text(folder / "MODEL_CARD.md", text)
    return folder / "MODEL_CARD.md"


def model_card(
    name: str,
    checkpoint: Checkpoint,
    result: dict,
    openings: int,
    seeds: list[dict],
    notes: tuple[str, ...] = (),
    language: str = "en",
    choice: dict | None = None,
) -> str:
    """Return the model card of `checkpoint` as Markdown in Hugging Face's format.

    It begins with YAML between two lines of dashes, with the scores in `model-index`. `result` is the content of
    07_test.json. `openings` is how often test was opened. `seeds` are rows with loss and mean_accuracy on valid.
    `notes` are further sentences on the training. `choice` says which of a run's two networks is the better.
    Source: Mitchell et al., "Model Cards for Model Reporting" (2019).
    """
    w, drawn = catalogue(language), checkpoint.content["trained_on"] == "drawn faces"
    text = (
        templates(TEMPLATES, language)
        .get_template(f"model_card.{language}.md.j2")
        .render(
            name=name,
            w=w,
            data=result["data"],
            test=result["overall"]["test"],
            whole_test=result["whole_test"],
            persons=result["persons"],
            doubted=result.get("likely_errors", {}).get("count"),
            content=checkpoint.content,
            config=checkpoint.content["config"],
            drawn=drawn,
            trained_on=w["values"].get(checkpoint.content["trained_on"], checkpoint.content["trained_on"]),
            tested_on=w["values"].get(result["data"]["source"], result["data"]["source"]),
            words={metric: w["metrics"][metric] for metric in METRICS},
            scores={(row["of"], row["metric"]): row for row in result["intervals"]},
            attributes=ATTRIBUTES,
            parameters=count_parameters(checkpoint.model),
            mflop=forward_flop(checkpoint.model) / 1e6,
            mirror=checkpoint.content["config"].get("mirror", False),
            official=OFFICIAL_SIZES,
            openings=openings,
            notes=notes,
            choice=choice,
            checkpoint=_shown(Path(result["checkpoint"])),
            last=result["checkpoint_name"] == "last.pt",
            seeds=len(seeds),
            spread=over_seeds(seeds),
            gap=next((gap for gap in result["gaps"] if gap["enough"]), None),
        )
    )
    front = yaml.safe_dump(_front_matter(name, result, drawn), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{typeset(text, language)}"


def measured(logits: np.ndarray, truth: np.ndarray, persons: np.ndarray | None, seed: int = 0) -> dict:
    """Return what a card needs of 07_test's results, from the logits (N, 5) and labels (N, 5) of the test images."""
    result = {
        "overall": {"test": metrics.scores(logits, truth) | {"images": len(truth)}},
        "persons": None if persons is None else len(np.unique(persons)),
        "intervals": every_interval(logits, truth, persons, seed=seed),
        "gaps": groups.gaps(metrics.predictions(logits), truth, persons, seed=seed),
        "likely_errors": {"count": len(likely_errors(metrics.probabilities(logits), truth))},
    }
    return {name: plain(value) for name, value in result.items()}


def _front_matter(name: str, result: dict, drawn: bool) -> dict:
    """Return the card's metadata, in English as the Hub's names are."""
    test, data = result["overall"]["test"], result["data"]
    task = {"type": "image-classification", "name": "Multi-label classification of five face attributes"}
    dataset = {"name": data["source"], "type": "drawn-faces" if data["drawn"] else "celeba", "split": "test"}
    words = catalogue("en")["metrics"]
    scores = [
        {"type": kind, "name": words[metric], "value": round(test[metric], 4)} for metric, kind in METRICS.items()
    ]
    return {
        **({"license": "mit"} if drawn else LICENCE),
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["multi-label", "face-attributes", "drawn-faces" if drawn else "celeba"],
        "metrics": ["accuracy", "f1"],
        "model-index": [{"name": name, "results": [{"task": task, "dataset": dataset, "metrics": scores}]}],
    }


def _better(folder: Path, result: dict) -> tuple[Path, dict, dict | None]:
    """Return the checkpoint with the lower loss on valid, its results on test, and what to say of the choice.

    There is no choice if 07_test compared nothing, or something else than the two networks of its own run.
    """
    weights, asked = CHECKPOINTS / folder.name, result["parameters"]
    # The run's own are looked for in its folder, which may have been moved since.
    tested = Path(result["checkpoint"]) if asked["checkpoint"] else weights / result["checkpoint_name"]
    other = weights / (result.get("comparison") or {}).get("name", "")
    result = result | {"checkpoint": str(tested)}
    if asked["checkpoint"] or asked["compare_with"] or not other.is_file():
        return tested, result, None
    losses = {path: load_checkpoint(path).content["metrics"].get("val_loss", math.inf) for path in (tested, other)}
    better, worse = sorted(losses, key=lambda path: losses[path])
    choice = {"better": better.name, "other": worse.name, "loss": losses[better], "other_loss": losses[worse]}
    if better == tested:
        return tested, result, choice | {"described": True}
    saved = read_arrays(folder / "results" / LOGITS)
    if "second" not in saved:
        return tested, result, choice | {"described": False}
    of_other = measured(saved["second"], saved["targets"], saved.get("persons"), result["parameters"]["seed"])
    of_other |= {"checkpoint": str(other), "checkpoint_name": other.name}
    return other, result | of_other, choice | {"described": True}


def _shown(path: Path) -> str:
    """Return a path inside the project, or else the file's name: where else it lies is nobody's business."""
    inside = next((folder for folder in (CHECKPOINTS.parent, ROOT) if path.is_relative_to(folder)), path.parent)
    return path.relative_to(inside).as_posix()


def _seeds(folder: Path) -> list[dict]:
    """Return 06_final's rows of the seeds that did not diverge; [] if it used one seed or has not run."""
    final = read_results(folder, "06_final") or {}
    return [row for row in final.get("seeds") or [] if row["loss"] is not None]
