"""The grid search: every trial is trained once per seed; finished trials are kept."""

import contextlib
import functools
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from helpers.config import FACTORS, Config
from helpers.data.batches import Split
from helpers.errors import StudyError
from helpers.models.networks import build_for, count_parameters, forward_flop
from helpers.system.files import append_json
from helpers.system.progress import bar, line
from helpers.training.loop import fit
from helpers.training.results import Finished, only_writer
from helpers.training.trials import Job, run_trials

ATTEMPTS = 2  # per trial, before it is left out of the results
BACKWARD_TOO = 3  # cost of a training step in forward passes; the backward pass costs about two (Kaplan et al., 2020)


def grid_trials(config: Config, lr, weight_decay, channels_block3, dropout, seeds=()) -> list[Config]:
    """Return one Config per combination of the factors' values and seeds (default: the seed of `config`).

    A value that is listed twice counts once.
    """
    product = itertools.product(*map(dict.fromkeys, (lr, weight_decay, channels_block3, dropout)))
    trials = [config.but(**dict(zip(FACTORS, values, strict=True))) for values in product]
    return [trial.but(seed=seed) for trial in trials for seed in dict.fromkeys(seeds or [config.seed])]


def run_grid(
    trials: list[Config],
    train: Split,
    valid: Split,
    path: Path,
    recorder: Callable[[str], Callable | None] = lambda name: None,
    resume: Callable[[str], Path | None] = lambda name: None,
    workers: str = "none",
    gpus_per_trial: float = 1.0,
) -> pd.DataFrame:
    """Train every trial that is not yet in `path`; return one row per finished trial.

    `path` is a JSONL file with one line per finished or failed trial; only this process writes to it. A trial on other
    images or labels, or trained by other code, is another trial. `resume(name)` returns the file in which the state of
    a trial is kept until it is finished, as for `fit`. `workers` and `gpus_per_trial` say
    where the trials are trained, as for `run_trials`. A trial that fails is tried again after the others. If it fails
    again, it is missing from the table and the next call tries it again. `recorder(name)` returns a function that is
    called with every row of a finished trial's history, or None. Raises StudyError if every trial failed, or if another
    process is training this grid.
    """
    with only_writer(path):
        return _run_grid(trials, train, valid, path, recorder, resume, workers, gpus_per_trial)


def _run_grid(trials, train, valid, path, recorder, resume, workers, gpus_per_trial) -> pd.DataFrame:
    done = Finished(path, train, valid, trials[0].device, workers)
    left = [trial for trial in trials if trial not in done]
    finished, one_seed = len(trials) - len(left), len({trial.seed for trial in trials}) == 1
    problem = ""
    for _attempt in range(ATTEMPTS):
        failed = []
        jobs = {trial: Job(functools.partial(run_trial, trial), resume(run_name(trial))) for trial in left}
        with contextlib.closing(run_trials(jobs, (train, valid), trials[0].device, workers, gpus_per_trial)) as results:
            for trial, result in bar(results, total=len(left), desc="grid", unit="trials"):
                if isinstance(result, Exception):
                    failed.append(trial)
                    problem = _keep_failure(path, trial, result)
                    continue
                finished += 1
                done.add(trial, result)
                if state := jobs[trial].resume:
                    state.unlink(missing_ok=True)
                if record := recorder(trial_name(trial) if one_seed else run_name(trial)):
                    for row in result["history"]:
                        record(row)
                line(f"training {finished}/{len(trials)} {run_name(trial)}: {_in_words(result)}")
        if not (left := failed):
            break
    if len(left) == len(trials):
        raise StudyError(
            f"Every trial of the grid failed, {ATTEMPTS} times each. The errors are in {path}. The last one: {problem}"
        )
    return pd.DataFrame([done[trial] for trial in trials if trial in done])


def _keep_failure(path: Path, trial: Config, error: Exception) -> str:
    """Write a failure into the grid's file and the log, and return it in words."""
    message = f"{type(error).__name__}: {error}"
    append_json(path, {"failed": run_name(trial), "error": message})
    line(f"trial {run_name(trial)} failed: {message}")
    return message


def run_name(trial: Config) -> str:
    """Return the name of one training: the trial's name and the seed."""
    return f"{trial_name(trial)}_seed{trial.seed}"


def _in_words(result: dict) -> str:
    loss = "diverged" if result["val_loss"] is None else f"valid loss {result['val_loss']:.4f}"
    return f"{loss}, micro-F1 {result['val_f1']:.4f} ({result['seconds']:.0f} s)"


def trial_name(config: Config) -> str:
    """Return the trial's name, which is also that of its folder, such as lr0.001_wd1e-05_ch192_do0.2."""
    return f"lr{config.lr:g}_wd{config.weight_decay:g}_ch{config.channels_block3}_do{config.dropout:g}"


def run_trial(trial: Config, train: Split, valid: Split, resume: Path | None = None) -> dict:
    """Train one trial; return its factors, the scores of its last epoch and its history, all fit for JSON."""
    model = build_for(trial, train.device)
    history = fit(model, train, valid, trial, label=run_name(trial), resume=resume)
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
