"""How accurate is each network and recipe? `python benchmarks/accuracy.py --data-root DIR [--arms a,b] [--open-test]`

Every arm is trained with several seeds; a training that is done is not done again (its checkpoint and its line in
the JSON file are kept), so that this may be stopped and started at will, on a CPU or a GPU. An arm's figures are those
of its epoch with the lowest valid loss, as in 06_final. Choices are made on valid: test is opened by --open-test
alone, once an arm, when all its seeds are trained, and the JSON file says when.
"""

import argparse
import json
import statistics
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers import metrics
from helpers.batches import Split, load_split
from helpers.bootstrap import intervals, sums_by_person
from helpers.celeba import open_dataset
from helpers.checkpoints import load_checkpoint, save_checkpoint
from helpers.config import CHECKPOINTS, Config
from helpers.devices import choose_device, describe
from helpers.files import write_text
from helpers.models import build_for, count_parameters, forward_flop
from helpers.runs import plain
from helpers.training import KeepBest, evaluate, fit, predict_logits

COURSE = Config(lr=0.005, weight_decay=1e-5, batch_size=64, max_epochs=20)  # the course's recipe exactly
SETTLED = COURSE.but(optimizer="adamw", lr=0.004, weight_decay=0.05, batch_size=128, schedule="one_cycle")
# Each arm but the last is the one before it with one thing more.
ARMS = {
    "course": COURSE,
    "course_adamw_one_cycle": SETTLED,
    "course_ema": SETTLED.but(ema=0.998),
    "course_mirror": SETTLED.but(ema=0.998, mirror=True),
    "compact": SETTLED.but(ema=0.998, mirror=True, arch="compact"),
}
SEEDS = (42, 43, 44)


def train(arm: str, config: Config, splits: dict[str, Split], source: str, checkpoint: Path) -> dict:
    """Train an arm with one seed, keep its checkpoint, and return its figures on valid."""
    model, best = build_for(config, splits["train"].device), KeepBest()
    history = fit(model, splits["train"], splits["valid"], config, on_epoch=best, label=f"{arm} seed {config.seed}")
    best.restore(model)
    row = history.loc[history["val_loss"].idxmin()].to_dict()
    save_checkpoint(checkpoint, model, config, int(row["epoch"]), row, source)
    scores = evaluate(model, splits["valid"], config.precision)
    seconds = history["seconds"].median()
    return {"seed": config.seed, "epoch": int(row["epoch"]), "seconds_per_epoch": seconds, "valid": scores}


def measure_on_test(arm: dict, paths: list[Path], test: Split) -> np.ndarray:
    """Write an arm's figures on test into `arm`; return the share of answers right (images, 5), mean over its seeds."""
    truth, right = test.targets.cpu().numpy(), []
    for row, path in zip(arm["per_seed"], paths, strict=True):
        logits = predict_logits(load_checkpoint(path).model.to(test.device), test)
        row["test"] = metrics.scores(logits, truth)
        row["test_per_attribute"] = metrics.per_attribute(logits, truth)["accuracy"].to_dict()
        right.append(metrics.predictions(logits) == truth)
    return np.mean(right, axis=0)


def difference(right: np.ndarray, other: np.ndarray, identities: np.ndarray | None) -> dict:
    """Return how much more accurate one arm is than another, with its 95 % interval over persons."""
    per_image = np.column_stack([np.ones(len(right)), (right - other).mean(1)])
    index = pd.Index(["mean_accuracy"])
    table = intervals(sums_by_person(per_image, identities), lambda sums: sums[:, 1:] / sums[:, :1], index)
    return table.loc["mean_accuracy"].to_dict()


def summarise(arm: dict):
    """Write the means over the seeds into `arm`."""
    rows = arm["per_seed"]
    arm["seeds"] = [row["seed"] for row in rows]
    arm["seconds_per_epoch"] = statistics.median(row["seconds_per_epoch"] for row in rows)
    arm["valid_mean_accuracy"] = statistics.mean(row["valid"]["mean_accuracy"] for row in rows)
    if all("test" in row for row in rows):
        for name in ("mean_accuracy", "micro_f1", "loss"):
            arm[f"test_{name}"] = statistics.mean(row["test"][name] for row in rows)
        each = [row["test_per_attribute"] for row in rows]
        arm["test_per_attribute"] = {name: statistics.mean(one[name] for one in each) for name in each[0]}


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, help="a CelebA folder")
    parser.add_argument("--arms", default=",".join(ARMS), help="only these, with commas between")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--precision", default="auto", help="fp32 or bf16; auto: bf16 on a GPU alone")
    parser.add_argument("--open-test", action="store_true", help="measure on test what is trained with all seeds")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("accuracy.json"))
    options = parser.parse_args(arguments)
    dataset, device = open_dataset(options.data_root, allow_missing=True), choose_device()
    splits = {name: load_split(dataset, name, device) for name in ("train", "valid")}
    content = json.loads(options.json.read_text()) if options.json.exists() else {"arms": []}
    content |= {"machine": describe(device), "torch": torch.__version__, "split_sizes": dataset.split_sizes}
    arms = {arm["arm"]: arm for arm in content["arms"]}

    def keep():
        content["arms"] = [arms[name] for name in ARMS if name in arms]
        write_text(options.json, json.dumps(plain(content), indent=1) + "\n")

    chosen = options.arms.split(",")
    paths = {name: [CHECKPOINTS / "accuracy" / f"{name}-{seed}.pt" for seed in options.seeds] for name in chosen}
    for seed, name in ((seed, name) for seed in options.seeds for name in chosen):
        config = ARMS[name].but(seed=seed, precision=options.precision)
        model = build_for(config, torch.device("cpu"))
        counted = {"parameters": count_parameters(model), "mflop": forward_flop(model) / 1e6}
        arm = arms.setdefault(name, {"arm": name, **counted, "config": config.to_dict(), "per_seed": []})
        if any(row["seed"] == seed for row in arm["per_seed"]):
            continue
        path = paths[name][options.seeds.index(seed)]
        arm["per_seed"].append(train(name, config, splits, dataset.source, path))
        summarise(arm)
        keep()
    if options.open_test:
        open_test(arms, paths, load_split(dataset, "test", device))
        keep()
    for arm in arms.values():
        print({name: value for name, value in arm.items() if name not in ("per_seed", "config")})


def open_test(arms: dict[str, dict], paths: dict[str, list[Path]], test: Split):
    """Measure the arms on test that were not yet, and each one's difference from the course's recipe."""
    right = {}
    for name, files in paths.items():
        arm = arms[name]
        if "test_opened" in arm:
            print(f"{name}: test was opened {arm['test_opened']}; not again")
            continue
        arm["test_opened"] = datetime.now(UTC).isoformat(timespec="seconds")
        right[name] = measure_on_test(arm, files, test)
        summarise(arm)
        if "course" in right:
            arm["above_course"] = difference(right[name], right["course"], test.identities)


if __name__ == "__main__":
    main()
