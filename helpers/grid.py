"""The course's grid: cells, each trained alone and once a seed; a cell that is done is not run again."""

import hashlib
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from helpers.batches import Split
from helpers.cells import FACTORS, cell_name, one_by_one, side_by_side
from helpers.config import Config
from helpers.effects import by_cell
from helpers.errors import StudyError
from helpers.files import append_json, read_jsons
from helpers.progress import bar, line

ATTEMPTS = 2  # at a cell that fails, before the others' results are returned without it


def grid_cells(config: Config, lr, weight_decay, channels_block3, dropout, seeds=()) -> list[Config]:
    """Return one Config a combination of the factors' values and a seed (the config's own if none is given)."""
    product = itertools.product(lr, weight_decay, channels_block3, dropout)
    cells = [config.but(**dict(zip(FACTORS, values, strict=True))) for values in product]
    return [cell.but(seed=seed) for cell in cells for seed in dict.fromkeys(seeds or [config.seed])]


def run_grid(
    cells: list[Config],
    train: Split,
    valid: Split,
    path: Path,
    data: str,
    recorder: Callable[[str], Callable | None] = lambda name: None,
    at_once: int = 1,
) -> pd.DataFrame:
    """Train every cell that `path` does not hold yet, `at_once` of them at a time; return a row each.

    `path` is a JSONL file, one finished cell a line; `data` names the images (a dataset's fingerprint), so
    that a cell of other data is another cell. A cell that fails is tried again after the others; one that
    fails again is written down as failed, is not in the table, and is tried anew by the next call.
    `recorder(cell's name)` gives a function that takes the rows of a finished cell's history one by one.
    """
    done = read_cells(path)
    left = [cell for cell in cells if _key(cell, data) not in done]
    finished, one_seed = len(cells) - len(left), len({cell.seed for cell in cells}) == 1
    for _attempt in range(ATTEMPTS):
        failed, several = [], min(at_once, len(left))
        results = side_by_side(left, train, valid, several) if several > 1 else one_by_one(left, train, valid)
        for cell, result in bar(results, total=len(left), desc="grid", unit="cell"):
            if "error" in result:
                failed.append(cell)
                append_json(path, {"failed": run_name(cell), **result})
                line(f"cell {run_name(cell)} failed: {result['error']}")
                continue
            key, finished = _key(cell, data), finished + 1
            done[key] = {"key": key, **result}
            append_json(path, done[key])
            if record := recorder(cell_name(cell) if one_seed else run_name(cell)):
                for row in result["history"]:
                    record(row)
            line(f"cell {finished}/{len(cells)} {run_name(cell)}: {_in_words(result)}")
        if not (left := failed):
            break
    if len(left) == len(cells):
        raise StudyError(f"Every cell of the grid failed, {ATTEMPTS} times each; {path} says why.")
    rows = [done[_key(cell, data)] for cell in cells if _key(cell, data) in done]
    return pd.DataFrame(rows).drop(columns=["key"])


def run_rungs(cells: list[Config], epochs: list[int], run: Callable[[list[Config]], pd.DataFrame], keep: int):
    """Yield the trainings of successive halving: all cells for `epochs[0]`, the best `1 / keep` for the next, ….

    Each rung trains anew, so that a schedule has its full length. Jamieson and Talwalkar, "Non-stochastic best
    arm identification and hyperparameter optimization" (2016).
    """
    for rung, budget in enumerate(epochs, start=1):
        trainings = run([cell.but(max_epochs=budget) for cell in cells])
        yield trainings
        if rung < len(epochs):
            best = set(by_cell(trainings)["name"].head(math.ceil(trainings["name"].nunique() / keep)))
            cells = [cell for cell in cells if cell_name(cell) in best]


def halving_epochs(max_epochs: int, keep: int) -> list[int]:
    """Return the epochs of each rung, the last `max_epochs`, each a `keep`-th of the next; `keep` 0: one rung."""
    epochs = [max_epochs]
    while keep and epochs[0] // keep:
        epochs.insert(0, epochs[0] // keep)
    return epochs


def run_name(cell: Config) -> str:
    """Return the name of one training: its cell's, and the seed."""
    return f"{cell_name(cell)}_seed{cell.seed}"


def _in_words(result: dict) -> str:
    loss = "diverged" if result["val_loss"] is None else f"valid loss {result['val_loss']:.4f}"
    return f"{loss}, micro-F1 {result['val_f1']:.4f} ({result['seconds']:.0f} s)"


def _key(cell: Config, data: str) -> str:
    """Return what makes a cell's result its own: its parameters but for names, and the data."""
    settings = {k: v for k, v in cell.to_dict().items() if k not in ("run_name", "data_root", "allow_missing")}
    return hashlib.sha256(json.dumps([settings, data], sort_keys=True).encode()).hexdigest()[:16]


def read_cells(path: Path) -> dict[str, dict]:
    """Return the finished cells by key; failed ones are none of them."""
    return {cell["key"]: cell for cell in read_jsons(path) if "key" in cell}
