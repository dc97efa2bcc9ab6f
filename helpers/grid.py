"""The course's grid: cells, each trained alone from the same seed; a cell that is done is not run again."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from helpers.batches import Split
from helpers.cells import FACTORS, cell_name, one_by_one, side_by_side
from helpers.config import Config
from helpers.files import append_json, read_jsons
from helpers.progress import bar, line


def grid_cells(config: Config, lr, weight_decay, channels_block3, dropout) -> list[Config]:
    """Return one Config a combination of the factors' values, in a fixed order."""
    product = itertools.product(lr, weight_decay, channels_block3, dropout)
    return [config.but(**dict(zip(FACTORS, values, strict=True))) for values in product]


def run_grid(
    cells: list[Config],
    train: Split,
    valid: Split,
    path: Path,
    data: str,
    recorder: Callable[[str], Callable | None] = lambda name: None,
    at_once: int = 1,
) -> pd.DataFrame:
    """Train every cell that `path` does not hold yet, `at_once` of them at a time; return the grid as a table.

    `path` is a JSONL file, one finished cell a line; `data` names the images (a dataset's fingerprint), so
    that a cell of other data is another cell. `recorder(cell's name)` gives a function that takes the rows of
    a finished cell's history one by one.
    """
    done = read_cells(path)
    left = [cell for cell in cells if _key(cell, data) not in done]
    at_once = min(at_once, len(left))
    results = side_by_side(left, train, valid, at_once) if at_once > 1 else one_by_one(left, train, valid)
    finished = len(cells) - len(left)
    for cell, result in bar(results, total=len(left), desc="grid", unit="cell"):
        key, finished = _key(cell, data), finished + 1
        done[key] = {"key": key, **result}
        append_json(path, done[key])
        if record := recorder(cell_name(cell)):
            for row in result["history"]:
                record(row)
        line(f"cell {finished}/{len(cells)} {cell_name(cell)}: {_in_words(result)}")
    return _table(done[_key(cell, data)] for cell in cells)


def _in_words(result: dict) -> str:
    loss = "diverged" if result["val_loss"] is None else f"valid loss {result['val_loss']:.4f}"
    return f"{loss}, micro-F1 {result['val_f1']:.4f} ({result['seconds']:.0f} s)"


def _key(cell: Config, data: str) -> str:
    """Return what makes a cell's result its own: its parameters but for names, and the data."""
    settings = {k: v for k, v in cell.to_dict().items() if k not in ("run_name", "data_root", "allow_missing")}
    return hashlib.sha256(json.dumps([settings, data], sort_keys=True).encode()).hexdigest()[:16]


def read_cells(path: Path) -> dict[str, dict]:
    """Return the finished cells by key."""
    return {cell["key"]: cell for cell in read_jsons(path) if "key" in cell}


def _table(cells: Iterable[dict]) -> pd.DataFrame:
    table = pd.DataFrame(cells).drop(columns=["key"])
    return table.sort_values(["val_loss", "parameters"], na_position="last", ignore_index=True)


def best_cell(table: pd.DataFrame) -> dict:
    """Return the factors of the cell with the lowest valid loss, ties to the smaller network."""
    return {factor: table.iloc[0][factor].item() for factor in FACTORS}


def factor_effects(table: pd.DataFrame) -> pd.DataFrame:
    """Return, for each value of each factor, the best and the mean valid loss over the other factors."""
    effects = [
        table.groupby(factor)["val_loss"].agg(best="min", mean="mean", cells="count").reset_index(names="value")
        for factor in FACTORS
    ]
    return pd.concat(effects, keys=FACTORS, names=["factor", None]).reset_index("factor").reset_index(drop=True)


def curves_by_factor(cells: list[dict], best: dict, factor: str) -> dict[str, pd.DataFrame]:
    """Return the histories of the best cell and of those that differ from it in `factor` alone, by its value."""
    alike = [cell for cell in cells if all(cell[other] == best[other] for other in FACTORS if other != factor)]
    ordered = sorted(alike, key=lambda cell: cell[factor])
    return {f"{factor} {cell[factor]:g}": pd.DataFrame(cell["history"]) for cell in ordered}
