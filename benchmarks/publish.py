"""Put an arm's first network and card into checkpoints/: `python benchmarks/publish.py --data-root DIR --arm NAME`

The figures come from the logits that accuracy.py kept when it opened test for that arm; test is not opened again.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from arms import ARMS, FOLDER, SEEDS, checkpoint

from helpers.config import ATTRIBUTES, SHIPPED
from helpers.data.celeba import Dataset, open_dataset
from helpers.models.checkpoints import load_checkpoint
from helpers.report.model_card import measured, model_card
from helpers.report.published import ACCURACY
from helpers.system.files import write_text


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, help="the CelebA folder that accuracy.py had")
    parser.add_argument("--arm", required=True, choices=ARMS)
    options = parser.parse_args(arguments)
    arms = {arm["arm"]: arm for arm in json.loads(ACCURACY.read_text(encoding="utf-8"))["arms"]}
    dataset = open_dataset(options.data_root, allow_missing=True)
    publish(arms[options.arm], arms["course"], dataset, SHIPPED)


def publish(arm: dict, course: dict, dataset: Dataset, path: Path):
    """Copy the arm's first checkpoint to `path` and write its card beside it."""
    trained = f"{arm['arm']}-{SEEDS[0]}"
    shutil.copyfile(checkpoint(trained), path)
    loaded = load_checkpoint(path)
    result = on_test(np.load(FOLDER / f"{trained}-test.npy"), dataset, path)
    seeds = [{"loss": row["valid"]["loss"], "mean_accuracy": row["valid"]["mean_accuracy"]} for row in arm["per_seed"]]
    notes = notes_on(arm, course, dataset)
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


def notes_on(arm: dict, course: dict, dataset: Dataset) -> tuple[str, ...]:
    """Return what the card says of the training beyond the recipe, and of the course's beside it."""
    images = dataset.split_sizes["train"]
    above = arm["above_course"]
    notes = [f"Trained on {images:,} images, a tenth of CelebA's train split, and tested on that tenth's test images."]
    if arm["teachers"]:
        others = f"{len(SEEDS)} networks of the same form, trained with seeds {', '.join(map(str, SEEDS))}"
        notes.append(f"Learnt the mean answers of {others}; it has not seen the labels themselves.")
    if arm["idea"]:
        notes.append(f"Trained with: {arm['idea']} (benchmarks/ideas.py).")
    ours, theirs = (
        f"loss {each['test_loss']:.4f}, mean accuracy {each['test_mean_accuracy']:.4f}, micro-F1 "
        f"{each['test_micro_f1']:.4f}"
        for each in (arm, course)
    )
    notes.append(
        f"Mean of {len(arm['seeds'])} seeds on test: {ours}. The course's network and recipe on the same images: "
        f"{theirs}; the difference in accuracy is {above['value']:+.4f} ({above['low']:+.4f} to {above['high']:+.4f})."
    )
    return tuple(notes)


if __name__ == "__main__":
    main()
