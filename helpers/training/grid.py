"""The grid search: every trial is trained once per seed, one at a time or in parallel; finished trials are kept."""

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
from filelock import FileLock, Timeout

from helpers.config import FACTORS, Config
from helpers.data.batches import Split
from helpers.errors import StudyError
from helpers.models.networks import build_for, count_parameters, forward_flop
from helpers.system.devices import choose_device
from helpers.system.files import append_json, read_jsons
from helpers.system.progress import bar, line
from helpers.system.provenance import code_digest
from helpers.system.records import record_digest
from helpers.training.loop import fit
from helpers.training.state import ROOMS, settings

ATTEMPTS = 2  # per trial, before it is left out of the results
BACKWARD_TOO = 3  # cost of a training step in forward passes; the backward pass costs about two (Kaplan et al., 2020)
MEMORY_PER_TRIAL = 1.5e9  # bytes: PyTorch itself, and a batch of 64 images in fp32
WORTH_A_START = 20_000  # images trained on in total from which processes pay off: two minutes on two cores


def grid_trials(config: Config, lr, weight_decay, channels_block3, dropout, seeds=()) -> list[Config]:
    """Return one Config per combination of the factors' values and seeds (default: the seed of `config`)."""
    product = itertools.product(lr, weight_decay, channels_block3, dropout)
    trials = [config.but(**dict(zip(FACTORS, values, strict=True))) for values in product]
    return [trial.but(seed=seed) for trial in trials for seed in dict.fromkeys(seeds or [config.seed])]


def run_grid(
    trials: list[Config],
    train: Split,
    valid: Split,
    path: Path,
    data: str,
    recorder: Callable[[str], Callable | None] = lambda name: None,
    at_once: int = 1,
    resume: Callable[[str], Path | None] = lambda name: None,
) -> pd.DataFrame:
    """Train every trial that is not yet in `path`, `at_once` trials at a time; return one row per finished trial.

    `path` is a JSONL file with one line per finished or failed trial. `data` is the dataset's fingerprint: a trial on
    other data, or trained by other code, is another trial. `resume(name)` returns the file in which the state of a
    trial is kept until it is finished, as for `fit`. A trial that fails is tried again after the others. If it fails
    again, it is missing from the table and the next call tries it again. `recorder(name)` returns a function that is
    called with every row of a finished trial's history, or None. Raises StudyError if every trial failed, if a process
    was killed, or if another process is training this grid.
    """
    with _only_one(path):
        return _run_grid(trials, train, valid, path, data, recorder, at_once, resume)


@contextlib.contextmanager
def _only_one(path: Path):
    """Lock a grid's file; StudyError if another process has locked it. The lock ends with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{path}.lock", timeout=0):
            yield
    except Timeout as error:
        raise StudyError(f"Another process is training the grid in {path}. Wait until it ends, or stop it.") from error


def _run_grid(trials, train, valid, path, data, recorder, at_once, resume) -> pd.DataFrame:
    done = read_trials(path)
    left = [trial for trial in trials if _key(trial, data) not in done]
    finished, one_seed = len(trials) - len(left), len({trial.seed for trial in trials}) == 1
    for _attempt in range(ATTEMPTS):
        failed, several = [], min(at_once, len(left))
        jobs = [(trial, resume(run_name(trial))) for trial in left]
        results = side_by_side(jobs, train, valid, several) if several > 1 else one_by_one(jobs, train, valid)
        for trial, result in bar(results, total=len(left), desc="grid", unit="trials"):
            if "error" in result:
                failed.append(trial)
                append_json(path, {"failed": run_name(trial), **result})
                line(f"trial {run_name(trial)} failed: {result['error']}")
                continue
            key, finished = _key(trial, data), finished + 1
            done[key] = {"key": key, **result}
            append_json(path, done[key] | {"digest": record_digest(done[key])})
            if state := resume(run_name(trial)):
                state.unlink(missing_ok=True)
            if record := recorder(trial_name(trial) if one_seed else run_name(trial)):
                for row in result["history"]:
                    record(row)
            line(f"trial {finished}/{len(trials)} {run_name(trial)}: {_in_words(result)}")
        if not (left := failed):
            break
    if len(left) == len(trials):
        raise StudyError(f"Every trial of the grid failed, {ATTEMPTS} times each. The errors are in {path}.")
    rows = [done[_key(trial, data)] for trial in trials if _key(trial, data) in done]
    return pd.DataFrame(rows).drop(columns=["key"])


def run_name(trial: Config) -> str:
    """Return the name of one training: the trial's name and the seed."""
    return f"{trial_name(trial)}_seed{trial.seed}"


def _in_words(result: dict) -> str:
    loss = "diverged" if result["val_loss"] is None else f"valid loss {result['val_loss']:.4f}"
    return f"{loss}, micro-F1 {result['val_f1']:.4f} ({result['seconds']:.0f} s)"


def _key(trial: Config, data: str) -> str:
    """Return a hash of the trial's parameters, the data and the code; names and places do not count."""
    return hashlib.sha256(json.dumps([settings(trial), data, code_digest(ROOMS)], sort_keys=True).encode()).hexdigest()[
        :16
    ]


def read_trials(path: Path) -> dict[str, dict]:
    """Return the finished trials by key, without failed ones and without those whose line was damaged or changed."""
    trials = {}
    for trial in read_jsons(path):
        digest = trial.pop("digest", None)
        if "key" in trial and digest == record_digest(trial):
            trials[trial["key"]] = trial
    return trials


# One trial, and several at a time


def trial_name(config: Config) -> str:
    """Return the trial's name, which is also that of its folder, such as lr0.001_wd1e-05_ch192_do0.2."""
    return f"lr{config.lr:g}_wd{config.weight_decay:g}_ch{config.channels_block3}_do{config.dropout:g}"


def run_trial(trial: Config, train: Split, valid: Split, resume: Path | None = None) -> dict:
    """Train one trial; return its factors, the scores of its last epoch and its history, all fit for JSON."""
    model = build_for(trial, choose_device(trial.device))
    history = fit(model, train, valid, trial, label=trial_name(trial), resume=resume)
    last = history.iloc[-1]
    # A diverged trial counts as finished and ranks last. Its losses are None, since JSON has no NaN.
    finite = math.isfinite(last["train_loss"]) and math.isfinite(last["val_loss"])
    return {
        "name": trial_name(trial),
        "seed": trial.seed,
        "max_epochs": trial.max_epochs,
        **{factor: getattr(trial, factor) for factor in FACTORS},
        "parameters": count_parameters(model),
        "train_loss": float(last["train_loss"]) if finite else None,
        "val_loss": float(last["val_loss"]) if finite else None,
        "val_f1": float(last["val_f1"]),
        "val_acc": float(last["val_acc"]),
        "seconds": float(history["seconds"].sum()),
        "tflop": BACKWARD_TOO * forward_flop(model) * len(train) * len(history) / 1e12,
        "history": json.loads(history.to_json(orient="records")),
    }


def try_trial(trial: Config, train: Split, valid: Split, resume: Path | None = None) -> dict:
    """Return `run_trial`'s result, or {"error": message} if the training fails, so that the other trials continue."""
    try:
        return run_trial(trial, train, valid, resume)
    except StudyError:
        raise
    except Exception as error:  # any kind: out of memory, a CUDA error, a bug that only one trial shows
        return {"error": f"{type(error).__name__}: {error}"}


def how_many_at_once(trials: list[Config], images: int, device: torch.device) -> int:
    """Return how many trials to train at a time, with `images` training images each.

    On a CPU: one per core, if there is memory for them. Two networks with one thread each train faster than two
    networks one after the other with two threads, but starting the processes takes seconds (benchmarks/README.md), so
    a small grid is trained one trial at a time. On a GPU: one.
    """
    if device.type == "cuda" or sum(trial.max_epochs for trial in trials) * images < WORTH_A_START:
        return 1
    import psutil  # may be missing on a GPU node

    room = int(psutil.virtual_memory().available / MEMORY_PER_TRIAL)
    return max(1, min(torch.get_num_threads(), len(trials), room))


Job = tuple[Config, Path | None]  # a trial, and the file for its state


def one_by_one(jobs: list[Job], train: Split, valid: Split) -> Iterator[tuple[Config, dict]]:
    """Yield each trial and its result from `try_trial`, in order."""
    for trial, resume in jobs:
        yield trial, try_trial(trial, train, valid, resume)


def side_by_side(jobs: list[Job], train: Split, valid: Split, at_once: int) -> Iterator[tuple[Config, dict]]:
    """Yield each trial and its result as soon as it is finished, with `at_once` trials in parallel processes.

    The CPU threads are divided among the processes, which map the images from one file. The processes end if the
    iteration ends early (an error or an interrupt) or if this process dies. Raises StudyError if one was killed.
    """
    context = get_context("spawn")  # a fork would copy PyTorch's threads and CUDA's state incompletely
    theirs, ours = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder, ours:
        file = Path(folder) / "splits.pt"
        torch.save([(split.to("cpu"), split.images.device) for split in (train, valid)], file)
        threads = max(1, torch.get_num_threads() // at_once)
        pool = ProcessPoolExecutor(at_once, context, _start_worker, (file, train.device, threads, theirs))
        try:
            futures = {pool.submit(_work, *job): job[0] for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise StudyError(
                f"A process that trained a trial was killed, probably because memory ran out ({at_once} trials at "
                "once). The finished trials are kept: run this again with a smaller trials_at_once."
            ) from error
        except BaseException:
            ours.close()  # ends the processes, so that unfinished trials are not waited for
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(file: Path, device: torch.device, threads: int, parent):
    """Load the splits once per process, discard all output, and end the process when the parent ends."""
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    torch.set_num_threads(threads)
    for split, place in torch.load(file, mmap=True, weights_only=False):
        _splits.append(split.to(device, place))  # images that did not fit on the GPU stay on the CPU here too


_splits: list[Split] = []  # train and valid, in a worker process


def _leave_with(parent):
    """Wait until the parent closes its end of the pipe or dies; then end this process."""
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    os._exit(1)


def _work(trial: Config, resume: Path | None) -> dict:
    return try_trial(trial, *_splits, resume)
