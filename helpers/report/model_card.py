"""The model card: what a network is, was trained on, can do and cannot, filled from the results."""

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
    """Write MODEL_CARD.md into a run's folder from the results of its 07_test and the checkpoint it tested."""
    result = json.loads((folder / "results" / "07_test.json").read_text(encoding="utf-8"))
    path = folder / "MODEL_CARD.md"
    write_text(path, model_card(folder.name, checkpoint, result, len(read_jsons(folder / TEST_LOG)), _seeds(folder)))
    return path


def model_card(
    name: str, checkpoint: Checkpoint, result: dict, openings: int, seeds: list[dict], notes: tuple[str, ...] = ()
) -> str:
    """Return the card of `checkpoint` in the form of Hugging Face's (Mitchell et al., "Model Cards", 2019).

    That is YAML between two lines of dashes, with the figures in `model-index`, then prose. `result` is what 07_test
    writes; `seeds` are rows with loss and mean_accuracy on valid, `notes` further sentences on the training.
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
    """Return the rows of 06_final's seeds that did not diverge; none where it trained with one, or has not run here."""
    path = folder / "results" / "06_final.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["seeds"] if path.exists() else None
    return [row for row in rows or [] if row["loss"] is not None]
