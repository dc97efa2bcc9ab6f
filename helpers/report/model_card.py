"""The model card: a network's training data, scores, limits and intended use, filled in from the results."""

import json
from pathlib import Path

import jinja2

from helpers.config import ATTRIBUTES
from helpers.data.official import OFFICIAL_SIZES
from helpers.models.checkpoints import Checkpoint
from helpers.models.networks import count_parameters, forward_flop
from helpers.run import TEST_LOG, short_path
from helpers.system.files import read_jsons, write_text
from helpers.training.grid_effects import over_seeds

TEMPLATE = Path(__file__).parent / "templates" / "model_card.md.j2"


def write_model_card(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write MODEL_CARD.md for the checkpoint that a run's 07_test tested, and return its path.

    `folder` is the run's folder, which contains results/07_test.json.
    """
    result = json.loads((folder / "results" / "07_test.json").read_text(encoding="utf-8"))
    path = folder / "MODEL_CARD.md"
    write_text(path, model_card(folder.name, checkpoint, result, len(read_jsons(folder / TEST_LOG)), _seeds(folder)))
    return path


def model_card(
    name: str, checkpoint: Checkpoint, result: dict, openings: int, seeds: list[dict], notes: tuple[str, ...] = ()
) -> str:
    """Return the model card of `checkpoint` as Markdown in Hugging Face's format.

    It begins with YAML between two lines of dashes, with the scores in `model-index`. `result` is the content of
    07_test.json. `openings` is how often test was opened. `seeds` are rows with loss and mean_accuracy on valid.
    `notes` are further sentences on the training. Source: Mitchell et al., "Model Cards for Model Reporting" (2019).
    """
    scores = {(row["of"], row["metric"]): row for row in result["intervals"]}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["n"] = lambda value, digits=4: "—" if value is None else f"{value:.{digits}f}"
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        result=result,
        content=checkpoint.content,
        scores=scores,
        attributes=ATTRIBUTES,
        parameters=count_parameters(checkpoint.model),
        mflop=forward_flop(checkpoint.model) / 1e6,
        official=OFFICIAL_SIZES,
        openings=openings,
        name=name,
        notes=notes,
        checkpoint=short_path(Path(result["checkpoint"])),
        seeds=len(seeds),
        spread=over_seeds(seeds),
        gap=next((gap for gap in result["gaps"] if gap["enough"]), None),
    )


def _seeds(folder: Path) -> list[dict]:
    """Return 06_final's rows of the seeds that did not diverge; [] if it used one seed or has not run."""
    path = folder / "results" / "06_final.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["seeds"] if path.exists() else None
    return [row for row in rows or [] if row["loss"] is not None]
