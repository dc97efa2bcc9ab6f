"""How does the error fall with the number of training images? `python benchmarks/scaling.py --data-root DIR`

The course's network and recipe, and `fine` (arms.py), are trained for 20 epochs on nested random subsets of the train
images. The epoch is that with the lowest loss on 2,000 valid images, from the tenth epoch on, and is then measured on
all of valid. The images are drawn one by one and not by person. A training that is done is kept in the JSON file and
not repeated, and one that was interrupted continues, so that this may be stopped and started at will, on a CPU or a
GPU. forecast.py fits a curve to the results.

Every training serves two names, one with the moving average of its weights (EMA), which only looks on, and one without.
"""

import argparse
import json
from pathlib import Path

import torch
from accuracy import kept, paired, per_image
from arms import ARMS, EMA, IDEAS, Look, of_code

from helpers.config import CHECKPOINTS, Config
from helpers.data.batches import Split, load_split
from helpers.data.celeba import open_dataset
from helpers.evaluation import metrics
from helpers.models.networks import Mirrored, build_for
from helpers.system.devices import choose_device, describe
from helpers.system.files import write_text
from helpers.system.records import plain
from helpers.training.loop import fit, predict_logits

FOLDER = CHECKPOINTS / "scaling"
SIZES = (2_000, 4_000, 8_000, 16_000, 32_000, 53_289)
NETWORKS = {  # what one training serves: each name with what it predicts with
    "course": {"course": ARMS["course"].config, "course_averaged": ARMS["course"].config.but(ema=EMA)},
    "fine": {"fine": ARMS["fine"].config, "fine_unaveraged": ARMS["fine"].config.but(ema=0.0)},
}
FIRST = 10  # no earlier epoch is measured: with few training images, measuring takes longer than training
WATCHED = 2_000  # valid images on which an epoch is chosen, and train images that are measured without augmentation
IN_PASSING = 64  # valid images that `fit` itself measures after each epoch, for its messages


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, help="a CelebA folder")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--precision", default="auto", help="fp32 or bf16; auto: bf16 on a GPU alone")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("scaling-third.json"))
    options = parser.parse_args(arguments)
    dataset, device = open_dataset(options.data_root, allow_missing=True), choose_device()
    train, valid = (load_split(dataset, name, device) for name in ("train", "valid"))
    if max(options.sizes) > len(train):
        parser.error(f"there are {len(train):,} train images: choose --sizes up to that")
    FOLDER.mkdir(parents=True, exist_ok=True)
    jobs = [(seed, size, name) for seed in options.seeds for size in options.sizes for name in options.networks]
    for seed, size, name in jobs:
        content = kept(options.json, dataset.split_sizes) or {"trainings": []}
        rows = content["trainings"]
        if any((row["network"], row["images"], row["seed"]) == (name, size, seed) for row in rows):
            continue
        made_on = {"machine": describe(device), "torch": torch.__version__, "precision": options.precision}
        rows += [row | made_on for row in train_on(name, size, seed, train, valid, options.precision)]
        compare(rows, valid)
        rows.sort(key=lambda row: (row["network"], row["images"], row["seed"]))
        content = {"split_sizes": dataset.split_sizes, "trainings": rows, "curves": []}  # they are forecast.py's
        write_text(options.json, json.dumps(plain(content), indent=1) + "\n")


class LateLook(Look):
    """A `Look` that measures from epoch FIRST on."""

    def __call__(self, row: dict, average: torch.nn.Module):
        if row["epoch"] >= FIRST:
            super().__call__(row, average)


def subset(train: Split, size: int, seed: int) -> Split:
    """Return the first `size` images of the split in an order drawn from `seed`, so that larger subsets hold these."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    return train.subset(order[:size].sort().values)


def train_on(name: str, size: int, seed: int, train: Split, valid: Split, precision: str) -> list[dict]:
    """Train a network on `size` images, and return the row of each name that the training serves."""
    images = subset(train, size, seed)
    configs = {one: config.but(seed=seed, precision=precision) for one, config in NETWORKS[name].items()}
    config = configs[name].but(mirror=False, ema=max(each.ema for each in configs.values()))
    model = build_for(config, train.device)
    # An epoch is chosen without the mirror image, which halves the time that measuring takes.
    plainly = {one: each.but(mirror=False) for one, each in configs.items()}
    look = LateLook(model, plainly, subset(valid, min(WATCHED, len(valid)), 0))
    label, state = f"{name} on {size:,} images, seed {seed}", FOLDER / f"{name}-{size}-{seed}-{of_code()}.state"
    with IDEAS[", ".join(ARMS[name].ideas)]():
        few = subset(valid, min(IN_PASSING, len(valid)), 0)
        history = fit(model, images, few, config, on_epoch=look, label=label, resume=state)
    rows = []
    for one, each in configs.items():
        epoch = look.best[one].row["epoch"]
        look.best[one].restore(model)
        torch.save(model.state_dict(), weights(one, size, seed))
        row = {"network": one, "images": size, "persons": persons(images), "seed": seed, "epochs": config.max_epochs}
        row |= {"epoch": epoch, "seconds_per_epoch": history["seconds"].median()}
        rows.append(row | measured(model, each, images, valid))
    state.unlink(missing_ok=True)
    return rows


def weights(name: str, size: int, seed: int) -> Path:
    """Return where the weights of a training are."""
    return FOLDER / f"{name}-{size}-{seed}.pt"


def compare(rows: list[dict], valid: Split):
    """Write into the rows of a training's second name how it differs from the first one on valid, over persons.

    Where the weights of one of the two are not here, the row stays as it is.
    """
    for configs in NETWORKS.values():
        first, second = configs
        for row in rows:
            paths = {name: weights(name, row["images"], row["seed"]) for name in configs}
            if row["network"] != second or "difference" in row or not all(path.exists() for path in paths.values()):
                continue
            scores = {}
            for name, config in configs.items():
                model = build_for(config.but(mirror=False), valid.device)
                model.load_state_dict(torch.load(paths[name], map_location=valid.device, weights_only=True))
                logits = predict_logits(Mirrored(model) if config.mirror else model, valid, "fp32")
                scores[name] = per_image(logits, valid.targets.cpu().numpy())
            row["difference"] = paired(scores[second], scores[first], valid)


def persons(split: Split) -> int | None:
    """Return how many persons the images of a split show, where that is known."""
    return None if split.identities is None else len(set(split.identities.tolist()))


def measured(model: torch.nn.Module, config: Config, images: Split, valid: Split) -> dict:
    """Return the scores on valid, and on training images as they are, in fp32 as the network predicts."""
    network = Mirrored(model) if config.mirror else model
    few = subset(images, min(WATCHED, len(images)), 0)
    found = {}
    for where, split in (("valid", valid), ("train", few)):
        logits, truth = predict_logits(network, split, "fp32"), split.targets.cpu().numpy()
        found[where] = metrics.scores(logits, truth)
        found[f"{where}_per_attribute"] = metrics.per_attribute(logits, truth)["accuracy"].to_dict()
    return found


if __name__ == "__main__":
    main()
