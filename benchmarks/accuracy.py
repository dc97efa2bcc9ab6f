"""How accurate is each network and recipe? `python benchmarks/accuracy.py --data-root DIR [--arms a,b] [--open-test]`

Every arm is trained with several seeds; a training that is done is not done again (its checkpoint and its line in
the JSON file are kept), so that this may be stopped and started at will, on a CPU or a GPU. An arm's figures are those
of its epoch with the lowest valid loss, as in 06_final. Choices are made on valid: test is opened by --open-test
alone, once an arm, when all its seeds are trained, and the JSON file says when.

`--workers ray` trains arms and seeds in parallel (docs/scale.md). On a cluster, all nodes must see this folder and the
dataset on a shared file system, since checkpoints and the teachers' answers are files. Arms with teachers are trained
after all others.
"""

import argparse
import json
import statistics
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from arms import ARMS, FOLDER, SEEDS, answers, checkpoint, claim_folder, job, trained_alike

from helpers.data.batches import Split, load_split
from helpers.data.celeba import open_dataset
from helpers.errors import StudyError
from helpers.evaluation import metrics
from helpers.evaluation.bootstrap import intervals, sums_by_person
from helpers.models.networks import build_for, count_parameters, forward_flop
from helpers.system.devices import choose_device, describe
from helpers.system.files import write_text
from helpers.system.records import plain
from helpers.training.trials import run_trials

REPORTED = ("mean_accuracy", "micro_f1", "loss")


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, help="a CelebA folder")
    parser.add_argument("--arms", default=",".join(ARMS), help="only these, with commas between")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--precision", default="auto", help="fp32 or bf16; auto: bf16 on a GPU alone")
    parser.add_argument("--workers", default="none", help="none: one after the other; ray: in parallel")
    parser.add_argument("--gpus-per-trial", type=float, default=1.0, help="with ray: the share of a GPU for each")
    parser.add_argument("--open-test", action="store_true", help="measure on test what is trained with all seeds")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("accuracy.json"))
    options = parser.parse_args(arguments)
    dataset, device = open_dataset(options.data_root, allow_missing=True), choose_device()
    train, valid = (load_split(dataset, name, device) for name in ("train", "valid"))
    content = kept(options.json, dataset.split_sizes) or {"arms": []}
    content["split_sizes"] = dataset.split_sizes
    claim_folder(dataset)
    made_on = {"machine": describe(device), "torch": torch.__version__}
    arms = {arm["arm"]: arm for arm in content["arms"]}

    def keep():
        content["arms"] = [arms[name] for name in ARMS if name in arms]
        write_text(options.json, json.dumps(plain(content), indent=1) + "\n")

    jobs = {}
    for seed in options.seeds:
        for group in trained_alike(options.arms.split(",")):
            if missing := [name for name in group if seed not in arms.get(name, {"seeds": []})["seeds"]]:
                jobs[(*missing, seed)] = job(missing, seed, options.precision, dataset.root)
    for taught in (False, True):
        wave = {name: each for name, each in jobs.items() if bool(ARMS[name[0]].teachers) == taught}
        with closing(run_trials(wave, (train, valid), "auto", options.workers, options.gpus_per_trial)) as results:
            for (*_, seed), rows in results:
                if isinstance(rows, Exception):
                    raise rows
                for name, row in rows.items():
                    arm = arms.setdefault(name, described(name, options.precision))
                    arm["per_seed"].append(row | made_on | measured(name, seed, valid))
                    arm["per_seed"].sort(key=lambda one: one["seed"])
                    summarise(arm)
                keep()
    if options.open_test:
        test = load_split(dataset, "test", device)
        for name in options.arms.split(","):
            arm = arms[name]
            if open_test(arm, test):
                keep()  # whatever happens next, test was seen
            if name != "course" and "course" in arms and "test_opened" in arm and "above_course" not in arm:
                found = difference(arm, arms["course"], test)
                arm["above_course"] = found["mean_accuracy"] | {"seeds": found["seeds"]}
    for arm in arms.values():
        compare(arm, arms, valid)
    keep()
    for arm in arms.values():
        print({name: value for name, value in arm.items() if name not in ("per_seed", "config")})


def kept(path: Path, split_sizes: dict[str, int]) -> dict | None:
    """Return the results that a file has, or None if there is none; StudyError if they are of other images."""
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["split_sizes"] != split_sizes:
        raise StudyError(
            f"{path} holds results on {content['split_sizes']} images, and this dataset has {split_sizes}. "
            "Name another file with --json."
        )
    return content


def described(name: str, precision: str) -> dict:
    """Return an arm's line of the JSON file before its first training."""
    arm = ARMS[name]
    model = build_for(arm.config, torch.device("cpu"))
    counted = {"parameters": count_parameters(model), "mflop": forward_flop(model) / 1e6}
    recipe = {
        "adds": arm.adds,
        "over": arm.over,
        "teachers": arm.teachers,
        "idea": ", ".join(arm.ideas),
    }
    config = arm.config.but(precision=precision).to_dict()
    return {"arm": name, **counted, **recipe, "config": config, "seeds": [], "per_seed": []}


def measured(name: str, seed: int, split: Split) -> dict:
    """Return an arm's figures on a split, and the accuracy of each attribute there."""
    logits, truth = answers(f"{name}-{seed}", split), split.targets.cpu().numpy()
    each = metrics.per_attribute(logits, truth)["accuracy"].to_dict()
    return {split.name: metrics.scores(logits, truth), f"{split.name}_per_attribute": each}


def summarise(arm: dict):
    """Write the means over the seeds into `arm`, and the standard deviation of the accuracy."""
    rows = arm["per_seed"]
    arm["seeds"] = [row["seed"] for row in rows]
    arm["seconds_per_epoch"] = statistics.median(row["seconds_per_epoch"] for row in rows)
    for split in ("valid", "test"):
        if not all(split in row for row in rows):
            continue
        for name in REPORTED:
            arm[f"{split}_{name}"] = statistics.mean(row[split][name] for row in rows)
        if len(rows) > 1:
            arm[f"{split}_mean_accuracy_std"] = statistics.stdev(row[split]["mean_accuracy"] for row in rows)
        each = [row[f"{split}_per_attribute"] for row in rows]
        arm[f"{split}_per_attribute"] = {name: statistics.mean(one[name] for one in each) for name in each[0]}


def open_test(arm: dict, test: Split) -> bool:
    """Measure an arm on test if it has all seeds and was not measured there yet; return whether it was."""
    if "test_opened" in arm or not set(SEEDS) <= set(arm["seeds"]):
        print(f"{arm['arm']}: test was opened {arm.get('test_opened', 'never, as seeds are missing')}; not now")
        return False
    arm["test_opened"] = datetime.now(UTC).isoformat(timespec="seconds")
    for row in arm["per_seed"]:
        row |= measured(arm["arm"], row["seed"], test)
    summarise(arm)
    return True


def compare(arm: dict, arms: dict[str, dict], valid: Split):
    """Write into `arm` what it gained on valid over the arm that it is one step from, over the seeds of both.

    The checkpoints are not in git: where one of them is not here, the difference that was measured stands.
    """
    over = arms.get(ARMS[arm["arm"]].over)
    seeds = set(over["seeds"]) & set(arm["seeds"]) if over else ()
    if any(not checkpoint(f"{one['arm']}-{seed}").exists() for seed in seeds for one in (arm, over)):
        print(f"{arm['arm']}: not compared anew, as trainings of it or of {over['arm']} are not in {FOLDER}")
    elif seeds:
        arm["gain"] = {"over": over["arm"]} | difference(arm, over, valid)


def difference(arm: dict, other: dict, split: Split) -> dict[str, dict]:
    """Return how much higher an arm's accuracy and loss are than another's, with 95 % intervals over persons.

    Each image counts with its mean over the seeds that both arms have, and both arms are resampled on the same
    persons. The intervals say how much of the difference the choice of images explains; seeds are not resampled.
    """
    seeds = [seed for seed in arm["seeds"] if seed in other["seeds"]]
    truth = split.targets.cpu().numpy()
    ours, theirs = (
        np.mean([per_image(answers(f"{one['arm']}-{seed}", split), truth) for seed in seeds], axis=0)
        for one in (arm, other)
    )
    return {"seeds": seeds} | paired(ours, theirs, split)


def paired(ours: np.ndarray, theirs: np.ndarray, split: Split) -> dict[str, dict]:
    """Return how much higher our accuracy and loss (`per_image`) are than theirs, with 95 % intervals over persons."""
    columns = np.column_stack([np.ones(len(ours)), ours - theirs])
    names = pd.Index(["mean_accuracy", "loss"])
    table = intervals(sums_by_person(columns, split.identities), lambda sums: sums[:, 1:] / sums[:, :1], names)
    return table.to_dict("index")


def per_image(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the share of right answers and the mean loss of each image (N, 2)."""
    right = metrics.predictions(logits) == truth
    return np.column_stack([right.mean(1), metrics.bce_losses(logits, truth).mean(1)])


if __name__ == "__main__":
    try:
        main()
    except StudyError as error:
        sys.exit(str(error))
