"""Put an arm's first network and card into checkpoints/:

    python benchmarks/publish.py --data-root DIR --arm NAME --json FILE

The figures come from the logits that accuracy.py kept when it opened test for that arm; test is not opened again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from arms import ARMS, FOLDER, SEEDS, TEACHER_SEEDS, checkpoint

from helpers.config import ATTRIBUTES, SHIPPED
from helpers.data.celeba import Dataset, open_dataset
from helpers.data.official import OFFICIAL_SIZES
from helpers.models.checkpoints import load_checkpoint
from helpers.report.model_card import measured, model_card
from helpers.system.files import write_text


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, help="the CelebA folder that accuracy.py had")
    parser.add_argument("--arm", required=True, choices=ARMS)
    parser.add_argument("--json", type=Path, required=True, help="the results that accuracy.py wrote")
    options = parser.parse_args(arguments)
    arms = {arm["arm"]: arm for arm in json.loads(options.json.read_text(encoding="utf-8"))["arms"]}
    publish(options.arm, arms, open_dataset(options.data_root, allow_missing=True), SHIPPED)


def publish(name: str, arms: dict[str, dict], dataset: Dataset, path: Path):
    """Put the first checkpoint of the arm `name` at `path`, with the dataset's name, and write its card beside it."""
    arm = arms[name]
    trained = f"{arm['arm']}-{SEEDS[0]}"
    content = torch.load(checkpoint(trained), weights_only=True)
    torch.save(content | {"trained_on": dataset.source}, path)  # a GPU node may have had the images in another form
    loaded = load_checkpoint(path)
    result = on_test(np.load(FOLDER / f"{trained}-test.npy"), dataset, path)
    seeds = [{"loss": row["valid"]["loss"], "mean_accuracy": row["valid"]["mean_accuracy"]} for row in arm["per_seed"]]
    notes = notes_on(arm, arms["course"], arms.get(arm["teachers"]), dataset)
    write_text(path.with_suffix(".md"), model_card(path.stem, loaded, result, 1, seeds, notes))


def on_test(logits: np.ndarray, dataset: Dataset, path: Path) -> dict:
    """Return what a card needs of 07_test's results, from the logits (N, 5) on the test images."""
    rows = dataset.annotations[dataset.annotations["split"] == "test"]
    truth = rows[list(ATTRIBUTES)].to_numpy(np.float32)
    persons = rows["identity"].to_numpy() if "identity" in rows else None
    return measured(logits, truth, persons) | {
        "data": {"source": dataset.source, "drawn": dataset.drawn},
        "checkpoint": str(path),
        "checkpoint_name": path.name,
        "whole_test": False,
    }


def notes_on(arm: dict, course: dict, teacher: dict | None, dataset: Dataset) -> tuple[str, ...]:
    """Return what the card says of the training beyond the recipe, and of the course's beside it."""
    sizes, above = dataset.split_sizes, arm["above_course"]
    used = [f"{sizes[split]:,} of {OFFICIAL_SIZES[split]:,} {split} images" for split in ("train", "test")]
    notes = [f"Trained on {used[0]} of CelebA, and tested on {used[1]}."]
    if teacher:
        seeds = TEACHER_SEEDS if "views" in arm["idea"] else SEEDS
        others = f"{len(seeds)} networks of {teacher['parameters']:,} parameters (seeds {', '.join(map(str, seeds))})"
        notes.append(f"Learnt the mean answers of {others}, trained on the same images; it has not seen the labels.")
    if arm["idea"]:
        notes.append(f"Trained with: {arm['idea']} (benchmarks/ideas.py).")
    ours, theirs = (
        f"loss {each['test_loss']:.4f}, mean accuracy {each['test_mean_accuracy']:.4f}, micro-F1 "
        f"{each['test_micro_f1']:.4f}"
        for each in (arm, course)
    )
    seeds = above.get("seeds") or [seed for seed in arm["seeds"] if seed in course["seeds"]]
    both = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    trainings = "1 seed" if len(course["seeds"]) == 1 else f"{len(course['seeds'])} seeds"
    notes.append(
        f"Mean of {len(arm['seeds'])} seeds on test: {ours}. The course's network and recipe on the same images "
        f"({trainings}): {theirs}; with {both} of both, the difference in accuracy is {above['value']:+.4f} "
        f"({above['low']:+.4f} to {above['high']:+.4f})."
    )
    return tuple(notes)


if __name__ == "__main__":
    main()
