"""How many labels are wrong? `python benchmarks/label_noise.py --data-root DIR [--arm fine_taught --seed 42]`

The images of one person should have one label for Male. If a share e of the labels is wrong, at random, two labels of
one person differ with probability 2 e (1 - e): so e follows from how often they do, and no network can be expected to
be right in more than 1 - e of the labels. Images that are under the wrong name count as wrong labels; a person whose
labels are all wrong is not noticed. For Young, the same share contains true changes as well, since people grow older.
For the three other attributes nothing follows.

With the answers on valid that accuracy.py kept for an arm, it is also counted how many of its mistakes about Male are
at labels that contradict those of the person's other images. Only numbers are written.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from arms import FOLDER

from helpers.config import ATTRIBUTES
from helpers.data.celeba import open_dataset
from helpers.evaluation.bootstrap import intervals
from helpers.evaluation.metrics import predictions
from helpers.system.files import write_text

STEADY = ("Male", "Young")  # Male does not change with the photograph, and Young seldom


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, help="a CelebA folder")
    parser.add_argument("--arm", default="fine_taught")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("label_noise.json"))
    options = parser.parse_args(arguments)
    annotations = open_dataset(options.data_root, allow_missing=True).annotations
    found = {split: wrong_labels(rows) for split, rows in annotations.groupby("split", observed=True)}
    content = {"wrong_labels": found}
    kept = FOLDER / f"{options.arm}-{options.seed}-valid.npy"
    if kept.exists():
        valid = annotations[annotations["split"] == "valid"]
        content["mistakes_about_male"] = {"arm": options.arm, "seed": options.seed} | contradicted(
            valid["Male"].to_numpy(), predictions(np.load(kept))[:, ATTRIBUTES.index("Male")], valid["identity"]
        )
    write_text(options.json, json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


def wrong_labels(annotations: pd.DataFrame) -> dict:
    """Return, for the attributes of STEADY, the share of wrong labels with a 95 % interval over persons.

    Persons with one image are left out, since nothing contradicts their label.
    """
    persons = annotations.groupby("identity")[list(STEADY)].agg(["sum", "size"])
    persons = persons[persons[STEADY[0], "size"] > 1]
    images = persons[STEADY[0], "size"].to_numpy(float)
    found = {"images": int(images.sum()), "persons": len(persons)}
    differ = []  # per person: the number of its images times the probability that two of its labels differ
    for name in STEADY:
        yes = persons[name, "sum"].to_numpy(float)
        differ.append(2 * yes * (images - yes) / (images - 1))
        found[f"{name}_persons_who_disagree"] = int(((yes > 0) & (yes < images)).sum())
    sums = np.column_stack([images, *differ])
    table = intervals(sums, lambda each: share_of_wrong(each[:, 1:] / each[:, :1]), pd.Index(STEADY))
    return found | table.to_dict("index")


def share_of_wrong(differ: np.ndarray) -> np.ndarray:
    """Return e from the probability 2 e (1 - e) that two labels of one person differ."""
    return (1 - np.sqrt(1 - 2 * np.minimum(differ, 0.5))) / 2


def contradicted(labels: np.ndarray, answers: np.ndarray, persons: pd.Series) -> dict[str, int]:
    """Return the number of wrong answers, and of those whose label contradicts most of the person's other labels."""
    table = pd.DataFrame({"label": labels, "wrong": answers != labels, "person": persons.to_numpy()})
    group = table.groupby("person")["label"]
    others = (group.transform("sum") - table["label"]) / (group.transform("size") - 1)  # NaN for a single image
    against = (others - table["label"]).abs() > 0.5
    known = others.notna()
    return {
        "wrong": int((table["wrong"] & known).sum()),
        "wrong_where_the_label_contradicts": int((table["wrong"] & against).sum()),
        "images": int(known.sum()),
        "labels_that_contradict": int(against.sum()),
    }


if __name__ == "__main__":
    main()
