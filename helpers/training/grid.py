"""The course's grid: cells, each trained once a seed, one after the other or side by side; none is run twice."""

import contextlib
import hashlib
import itertools
import json
import math
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch

from helpers.config import FACTORS, Config
from helpers.data.batches import Split
from helpers.errors import StudyError
from helpers.models.networks import build_model, count_parameters, forward_flop
from helpers.system.devices import choose_device
from helpers.system.files import append_json, read_jsons
from helpers.system.progress import bar, line
from helpers.training.grid_effects import by_cell
from helpers.training.loop import fit

ATTEMPTS = 2  # at a cell that fails, before the others' results are returned without it
BACKWARD_TOO = 3  # a training step's work in forward passes: the backward pass is about two (Kaplan et al., 2020)
MEMORY_OF_A_CELL = 1.5e9  # bytes: torch itself, and a batch of 64 in fp32
WORTH_A_START = 20_000  # images to train on in all: two minutes on two cores


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


# One cell, and several at a time


def cell_name(config: Config) -> str:
    """Return the cell's name, as a folder: lr0.001_wd1e-05_ch192_do0.2."""
    return f"lr{config.lr:g}_wd{config.weight_decay:g}_ch{config.channels_block3}_do{config.dropout:g}"


def run_cell(cell: Config, train: Split, valid: Split) -> dict:
    """Train one cell; return its factors, its last epoch's figures and its history, fit for JSON."""
    model = build_model(cell.seed, choose_device(cell.device), cell.channels_block3, cell.dropout)
    history = fit(model, train, valid, cell, label=cell_name(cell))
    last = history.iloc[-1]
    # A diverged cell is done, and ranks last; JSON has no NaN.
    finite = math.isfinite(last["train_loss"]) and math.isfinite(last["val_loss"])
    return {
        "name": cell_name(cell),
        "seed": cell.seed,
        "max_epochs": cell.max_epochs,
        **{factor: getattr(cell, factor) for factor in FACTORS},
        "parameters": count_parameters(model),
        "train_loss": float(last["train_loss"]) if finite else None,
        "val_loss": float(last["val_loss"]) if finite else None,
        "val_f1": float(last["val_f1"]),
        "val_acc": float(last["val_acc"]),
        "seconds": float(history["seconds"].sum()),
        "tflop": BACKWARD_TOO * forward_flop(model) * len(train) * len(history) / 1e12,
        "history": json.loads(history.to_json(orient="records")),
    }


def try_cell(cell: Config, train: Split, valid: Split) -> dict:
    """Return `run_cell`'s result; where the training fails, {"error": why}, so that the other cells go on."""
    try:
        return run_cell(cell, train, valid)
    except StudyError:
        raise
    except Exception as error:  # of any kind: out of memory, a CUDA error, a bug that one cell alone shows
        return {"error": f"{type(error).__name__}: {error}"}


def how_many_at_once(cells: list[Config], images: int, device: torch.device) -> int:
    """Return how many cells to train at a time on `images` each: on CPU one a core, as far as memory goes.

    Two cores train two networks of one thread each faster than one of two threads after the other, but
    starting the processes takes seconds (benchmarks/README.md). On a GPU: one.
    """
    if device.type == "cuda" or sum(cell.max_epochs for cell in cells) * images < WORTH_A_START:
        return 1
    import psutil  # not on a bare GPU node

    room = int(psutil.virtual_memory().available / MEMORY_OF_A_CELL)
    return max(1, min(torch.get_num_threads(), len(cells), room))


def one_by_one(cells: list[Config], train: Split, valid: Split) -> Iterator[tuple[Config, dict]]:
    """Yield each cell and its result (`try_cell`), in order."""
    for cell in cells:
        yield cell, try_cell(cell, train, valid)


def side_by_side(cells: list[Config], train: Split, valid: Split, at_once: int) -> Iterator[tuple[Config, dict]]:
    """Yield each cell and its result as they come, `at_once` cells being trained at a time, each in a process.

    The threads are shared out among the processes, and the images mapped from one file. When the iteration
    ends early (an error, an interrupt) or this process dies, so do the others.
    """
    context = get_context("spawn")  # a fork would copy torch's threads and CUDA's state half-way
    theirs, ours = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder, ours:
        file = Path(folder) / "splits.pt"
        torch.save([(split.to("cpu"), split.images.device) for split in (train, valid)], file)
        threads = max(1, torch.get_num_threads() // at_once)
        pool = ProcessPoolExecutor(at_once, context, _start_worker, (file, train.device, threads, theirs))
        try:
            futures = {pool.submit(_work, cell): cell for cell in cells}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise StudyError(
                f"A process that trained a cell was killed, most likely for want of memory ({at_once} cells at "
                "once). The cells that are done are kept: run this again with a smaller cells_at_once."
            ) from error
        except BaseException:
            ours.close()  # do not wait for cells half-way
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(file: Path, device: torch.device, threads: int, parent):
    """Load the splits once a process, speak to nobody, and leave when the parent does."""
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open for the process's life)
    torch.set_num_threads(threads)
    for split, place in torch.load(file, mmap=True, weights_only=False):
        _splits.append(split.to(device, place))  # images too large for the GPU stay out of it here as well


_splits: list[Split] = []  # of a worker: train and valid


def _leave_with(parent):
    """Wait until the parent closes its end of the pipe, or dies."""
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    os._exit(1)


def _work(cell: Config) -> dict:
    return try_cell(cell, *_splits)
