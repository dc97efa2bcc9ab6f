"""Trials per minute in this process and on Ray: `python benchmarks/trials.py [--json FILE] [--repeats N]`.

The same trials of the course's network, on drawn faces, in fp32: one after the other in this process, with all its
threads; on one worker of Ray; and on two. The ways take turns, since other programs may use the machine, and each
sample has the load of the machine beside it. A worker has one thread.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch

from helpers.config import Config
from helpers.data.batches import load_split
from helpers.data.celeba import open_dataset
from helpers.system.devices import describe
from helpers.system.files import write_text
from helpers.training import ray_workers
from helpers.training.grid import grid_trials, run_grid

IMAGES, VALID, WORKERS = 512, 64, 2
CPU = torch.device("cpu")


def grid(workers: str, together: bool) -> float:
    """Return how many trials per minute are trained: all submitted `together`, or one after the other has ended."""
    config = Config(max_epochs=1, device="cpu")
    trials = grid_trials(config, [0.001, 0.005], [1e-5], [256], [0.0, 0.2])
    train, valid = (load_split(open_dataset("drawn"), name, CPU, count) for name, count in SIZES.items())
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for number, group in enumerate([trials] if together else [[trial] for trial in trials]):
            run_grid(group, train, valid, Path(folder) / f"{number}.jsonl", workers=workers)
        return 60 * len(trials) / (time.perf_counter() - started)


SIZES = {"train": IMAGES, "valid": VALID}
WAYS: dict[str, Callable[[], float]] = {
    "this process": lambda: grid("none", True),
    "one worker": lambda: grid("ray", False),
    "two workers": lambda: grid("ray", True),
}


def measure(repeats: int) -> list[dict]:
    """Return the samples of each way, taken in turn; the first turn warms up and is dropped."""
    rows = {name: {"way": name, "trials_per_minute": [], "load": []} for name in WAYS}
    for repeat in range(repeats + 1):
        for name, way in WAYS.items():
            load = os.getloadavg()[0]
            speed = way()
            if repeat:
                rows[name]["trials_per_minute"].append(round(speed, 2))
                rows[name]["load"].append(round(load, 1))
        print(f"repeat {repeat} of {repeats} done" + (" (warm-up)" if not repeat else ""), file=sys.stderr)
    return list(rows.values())


def add_ratios(rows: list[dict]):
    """Write into each row its median, and its ratio to one worker: of the medians, and over the repeats."""
    one = next(row for row in rows if row["way"] == "one worker")["trials_per_minute"]
    for row in rows:
        samples = row["trials_per_minute"]
        row["median"] = statistics.median(samples)
        row["ratio"] = round(row["median"] / statistics.median(one), 2)
        each = [ours / theirs for ours, theirs in zip(samples, one, strict=True)]
        row["range_of_the_ratio"] = [round(min(each), 2), round(max(each), 2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("trials.json"))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    started = time.perf_counter()
    with patch.object(ray_workers, "cores", lambda: WORKERS), ray_workers.connected(IMAGES * 3 * 64 * 64) as ray:
        start = time.perf_counter() - started
        rows = measure(options.repeats)
        version = ray.__version__
    add_ratios(rows)
    content = {"machine": describe(CPU), "torch": torch.__version__, "ray": version, "images": IMAGES, "trials": 4}
    content |= {"date": time.strftime("%Y-%m-%d"), "seconds_to_start_ray": round(start, 1), "rows": rows}
    write_text(options.json, json.dumps(content, indent=1) + "\n")
    for row in rows:
        print(f"{row['way']:14s}{row['median']:8.2f} trials per minute, ratio {row['ratio']}")


if __name__ == "__main__":
    main()
