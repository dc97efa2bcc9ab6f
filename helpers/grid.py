"""The course's grid: cells, each trained alone from the same seed; a cell that is done is not run again."""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from helpers.batches import Split
from helpers.config import Config
from helpers.devices import choose_device
from helpers.models import build_model, count_parameters
from helpers.progress import line
from helpers.training import fit

FACTORS = ("lr", "weight_decay", "channels_block3", "dropout")


def grid_cells(config: Config, lr, weight_decay, channels_block3, dropout) -> list[Config]:
    """Return one Config a combination of the factors' values, in a fixed order."""
    product = itertools.product(lr, weight_decay, channels_block3, dropout)
    return [config.but(**dict(zip(FACTORS, values, strict=True))) for values in product]


def cell_name(config: Config) -> str:
    """Return the cell's name, as a folder: lr0.001_wd1e-05_ch192_do0.2."""
    return f"lr{config.lr:g}_wd{config.weight_decay:g}_ch{config.channels_block3}_do{config.dropout:g}"


def run_grid(
    cells: list[Config],
    train: Split,
    valid: Split,
    path: Path,
    data: str,
    recorder: Callable[[str], Callable | None] = lambda name: None,
) -> pd.DataFrame:
    """Train every cell that `path` does not hold yet, and return the whole grid as a table.

    `path` is a JSONL file, one finished cell a line; `data` names the images (a dataset's fingerprint), so
    that a cell of other data is another cell. `recorder(cell's name)` gives `fit` its `on_epoch`.
    """
    done = read_cells(path)
    for number, cell in enumerate(cells, start=1):
        key = _key(cell, data)
        if key in done:
            continue
        line(f"cell {number}/{len(cells)} {cell_name(cell)}")
        done[key] = {"key": key, **_run_cell(cell, train, valid, recorder(cell_name(cell)))}
        _append(path, done[key])
    return _table(done[_key(cell, data)] for cell in cells)


def _append(path: Path, cell: dict):
    """Add a line; one that a kill cut short before it stays a line of its own."""
    cut_short = path.exists() and not path.read_bytes().endswith(b"\n")
    with open(path, "a", encoding="utf-8") as file:
        file.write(("\n" if cut_short else "") + json.dumps(cell) + "\n")


def _run_cell(cell: Config, train: Split, valid: Split, on_epoch) -> dict:
    model = build_model(cell.seed, choose_device(cell.device), cell.channels_block3, cell.dropout)
    history = fit(model, train, valid, cell, on_epoch=on_epoch, label=cell_name(cell))
    last = history.iloc[-1]
    # A diverged cell is done, and ranks last; JSON has no NaN.
    finite = math.isfinite(last["train_loss"]) and math.isfinite(last["val_loss"])
    return {
        "name": cell_name(cell),
        **{factor: getattr(cell, factor) for factor in FACTORS},
        "parameters": count_parameters(model),
        "train_loss": float(last["train_loss"]) if finite else None,
        "val_loss": float(last["val_loss"]) if finite else None,
        "val_f1": float(last["val_f1"]),
        "val_acc": float(last["val_acc"]),
        "seconds": float(history["seconds"].sum()),
        "history": json.loads(history.to_json(orient="records")),
    }


def _key(cell: Config, data: str) -> str:
    """Return what makes a cell's result its own: its parameters but for names, and the data."""
    settings = {k: v for k, v in cell.to_dict().items() if k not in ("run_name", "data_root", "allow_missing")}
    return hashlib.sha256(json.dumps([settings, data], sort_keys=True).encode()).hexdigest()[:16]


def read_cells(path: Path) -> dict[str, dict]:
    """Return the finished cells by key; a last line cut short by a kill is left out."""
    cells = {}
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                cell = json.loads(text)
                cells[cell["key"]] = cell
            except (json.JSONDecodeError, KeyError):
                continue
    return cells


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
