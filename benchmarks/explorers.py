"""How long does an explorer take to answer a move? `python benchmarks/explorers.py [--json FILE] [--rows a,b]`

A move is the drawing of the figure and its compression to the PNG image that is sent to the browser. Tables have as
many rows as CelebA; the images are the drawn faces, and what a training gives is made up at random. One thread.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers.config import ATTRIBUTES, FACTORS, Config
from helpers.data.batches import Split
from helpers.data.celeba import open_dataset
from helpers.data.official import OFFICIAL_SIZES
from helpers.evaluation.metrics import best_constant
from helpers.models.checkpoints import Checkpoint
from helpers.models.networks import build_for
from helpers.plots.explorers import baselines, face_choice, faces, grid, lr_finder, overfit, own_face, test, training
from helpers.plots.explorers.explorer import png
from helpers.plots.style import use_style
from helpers.system.devices import describe
from helpers.system.files import write_text
from helpers.training.grid_effects import by_trial

TARGET = 200  # milliseconds
RATES = (0.48, 0.05, 0.42, 0.77, 0.07)  # about those of CelebA's train images

Moves = tuple[Callable, list[dict]]


def answers(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return made-up logits and labels (images, 5)."""
    rng = np.random.default_rng(0)
    targets = (rng.random((images, len(ATTRIBUTES))) < RATES).astype(np.float32)
    return rng.normal(2 * targets - 1, 2).astype(np.float32), targets


def losses(epochs: int) -> pd.DataFrame:
    """Return a made-up history."""
    falling = np.geomspace(0.7, 0.005, epochs)
    scores = {"val_loss": falling + 0.3, "val_acc": 1 - falling, "val_f1": 1 - falling}
    return pd.DataFrame({"epoch": range(1, epochs + 1), "train_loss": falling, "train_eval_loss": falling} | scores)


def as_many_as_celeba() -> faces.Faces:
    """Return the drawn faces, repeated until there are as many train and valid images as in CelebA."""
    drawn = faces.Faces.of(open_dataset("drawn"))
    table = pd.concat(
        [
            part.iloc[np.resize(np.arange(len(part)), OFFICIAL_SIZES[split])]
            for split, part in ((split, drawn.table[drawn.table["split"] == split]) for split in faces.SHOWN)
        ]
    )
    persons = np.arange(len(table)) // 20  # about as many images per person as in CelebA
    return faces.Faces(table.assign(identity=persons), drawn.pixels)


def pages() -> Moves:
    of, settings = as_many_as_celeba(), dict.fromkeys(ATTRIBUTES, faces.ANY)
    filters = ({}, {"Smiling": "yes"}, {"Smiling": "yes", "Male": "no"}, {"Eyeglasses": "yes", "Young": "no"})
    moves = [settings | wanted | {"split": split, "page": 3} for wanted in filters for split in faces.SHOWN]
    return partial(faces.draw_page, of), moves


def persons() -> Moves:
    of = as_many_as_celeba()
    divided = faces.divided_persons(of)
    moves = [{"among": among, "person": person} for among in ("Male", "Smiling") for person in (1, 50, 900)]
    return partial(faces.draw_person, of, divided), moves


def augmentation() -> Moves:
    of = faces.Faces.of(open_dataset("drawn"))
    values = {"flip": True, "degrees": 10, "brightness": 1.1, "contrast": 0.9, "saturation": 1.1}
    return partial(faces.draw_augmented, torch.from_numpy(of.images(of.table.iloc[:8]))), [
        values | {"hue": hue} for hue in (-0.1, 0, 0.05, 0.16)
    ]


def constants() -> Moves:
    truth = answers(OFFICIAL_SIZES["valid"])[1]
    best = {metric: best_constant(truth, metric) for metric in baselines.METRICS}
    bars = baselines.compared(truth, (truth.mean(0) > 0.5).astype(int), best)
    moves = [dict(zip(ATTRIBUTES, map(bool, each), strict=True)) for each in np.ndindex(*[2] * len(ATTRIBUTES))]
    return partial(baselines.draw_constant, bars), moves[::4]


def overfitted() -> Moves:
    epochs, rng = 100, np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 3, 64, 64), dtype=np.uint8)
    memory = overfit.Memory(images, answers(10)[1], rng.random((epochs, 10, len(ATTRIBUTES))), losses(epochs))
    return partial(overfit.draw_epoch, memory), [{"epoch": epoch} for epoch in (1, 20, 50, 100)]


def sweep() -> Moves:
    steps, rng = 200, np.random.default_rng(0)
    lrs, mean = np.geomspace(1e-6, 1, steps), np.linspace(0.7, 0.3, steps)
    first = pd.DataFrame({"lr": lrs, "loss": mean + rng.normal(0, 0.05, steps)})
    band = pd.DataFrame({"lr": lrs, "mean": mean, "low": mean - 0.05, "high": mean + 0.05})
    rules = {"valley": 1e-3, "steep": 2e-3, "minimum": 1e-2, "slide": 0.05}
    sweeps = lr_finder.Sweeps(first, band, rules, (1e-4, 1e-2), 3)
    return partial(lr_finder.draw_lr, sweeps), [{"step": step} for step in (1, 80, 120, 200)]


def trials() -> Moves:
    values = {
        "lr": (0.001, 0.005),
        "weight_decay": (1e-5, 1e-4),
        "channels_block3": (192, 256),
        "dropout": (0, 0.2, 0.4),
    }
    rng, rows = np.random.default_rng(0), []
    for number, chosen in enumerate(np.stack(np.meshgrid(*values.values()), -1).reshape(-1, len(FACTORS))):
        for seed in (42, 43, 44):
            history = losses(3).to_dict("records")
            scores = {"train_loss": 0.3, "val_loss": rng.uniform(0.3, 0.4), "val_f1": 0.7, "val_acc": 0.9}
            made = {"name": f"trial {number}", "seed": seed, "parameters": 1, "max_epochs": 3, "seconds": 1, "tflop": 1}
            rows.append(made | scores | dict(zip(FACTORS, chosen, strict=True)) | {"history": history})
    trainings, every = pd.DataFrame(rows), dict.fromkeys(FACTORS, grid.ALL)
    moves = [every | {"rank": rank} | wanted for rank in (1, 3) for wanted in ({}, {"lr": 0.001}, {"dropout": 0.4})]
    return partial(grid.view_trials, by_trial(trainings), trainings), moves


def predictions() -> Moves:
    rng = np.random.default_rng(0)
    images, answered = rng.integers(0, 256, (8, 3, 64, 64), dtype=np.uint8), rng.random((20, 8, len(ATTRIBUTES)))
    return partial(training.view_epoch, images, answers(8)[1], answered, losses(20)), [
        {"epoch": epoch} for epoch in (1, 10, 20)
    ]


def two_trainings() -> Moves:
    two = {lr: training.Training(losses(20), Config(lr=lr).to_dict(), "drawn") for lr in (0.001, 0.005)}
    return training.view_two, [{"trainings": {f"lr {lr}": each for lr, each in two.items()}}]


def threshold() -> Moves:
    logits, targets = answers(OFFICIAL_SIZES["valid"])
    curves = test.curves_of(logits, targets, "Smiling")  # drawn from once per attribute, not at every move
    draw = partial(test.view_threshold, logits, targets, curves, "Smiling")
    return draw, [{"threshold": value} for value in (0.1, 0.3, 0.5, 0.9)]


def worst() -> Moves:
    logits, targets = answers(OFFICIAL_SIZES["test"])
    images = torch.randint(0, 256, (64, 3, 64, 64), dtype=torch.uint8).repeat(len(targets) // 64 + 1, 1, 1, 1)
    split = Split("test", images[: len(targets)], torch.from_numpy(targets), [""] * len(targets), None)
    moves = [{"attribute": name, "kind": test.ALL, "page": page} for name in ("Male", test.ALL) for page in (1, 9)]
    return partial(test.view_mistakes, split, test.mistakes(logits, targets)), moves


def own() -> Moves:
    network = Checkpoint(build_for(Config(arch="compact"), torch.device("cpu")).eval(), {"trained_on": "nothing"})
    face = face_choice.drawn_face(1)
    boxes = [own_face.frame(face.image.size, 50, 50, zoom) for zoom in (0.8, 1, 1.5)]
    return partial(own_face.view_face, network, face, "Smiling"), [{"box": box} for box in boxes]


# Notebook, explorer: what makes the function that draws, and the values of its moves
ROWS: dict[tuple[str, str], Callable[[], Moves]] = {
    ("01", "browse_faces"): pages,
    ("01", "browse_persons"): persons,
    ("01", "try_augmentation"): augmentation,
    ("02", "try_constants"): constants,
    ("03", "step_epochs"): overfitted,
    ("04", "move_lr"): sweep,
    ("05", "filter_trials"): trials,
    ("06", "step_predictions"): predictions,
    ("06", "compare_trainings"): two_trainings,
    ("07", "move_threshold"): threshold,
    ("07", "browse_mistakes"): worst,
    ("07", "try_face"): own,
}


def measure(draw: Callable, moves: list[dict], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of a move, on the clock and on the processor; the first round only warms up."""
    clock, processor = [], []
    for number in range(rounds + 1):
        for values in moves:
            before = time.perf_counter(), time.process_time()
            png(draw(**values).figure)
            if number:
                clock.append(1000 * (time.perf_counter() - before[0]))
                processor.append(1000 * (time.process_time() - before[1]))
    low, _, high = statistics.quantiles(processor, n=4)
    medians = {"ms": statistics.median(clock), "processor_ms": statistics.median(processor)}
    return medians | {"processor_quartiles": [low, high], "moves": len(clock)}


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="names of explorers, separated by commas; empty: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("explorers.json"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    use_style()
    wanted, rows = options.rows.split(",") if options.rows else [name for _, name in ROWS], []
    if unknown := set(wanted) - {name for _, name in ROWS}:
        parser.error(f"there is no explorer {', '.join(unknown)}")
    if options.rows and options.json == parser.get_default("json"):
        parser.error("name a file with --json: explorers.json holds all explorers, measured on one machine at one time")
    for (notebook, name), prepare in ROWS.items():
        if name in wanted:
            rows.append({"notebook": notebook, "explorer": name} | measure(*prepare(), options.rounds))
            print(f"{notebook} {name:18s} {rows[-1]['processor_ms']:4.0f} ms, on the clock {rows[-1]['ms']:4.0f} ms")
    about = {"machine": describe(torch.device("cpu")), "when": datetime.now(UTC).isoformat(timespec="seconds")}
    write_text(options.json, json.dumps(about | {"target_ms": TARGET, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
