"""Analysis of a grid search: means over the seeds, noise from seed to seed, effects of the factors, and edges."""

import math
import statistics

import numpy as np
import pandas as pd

from helpers.config import FACTORS

MEASURED = ("train_loss", "val_loss", "val_f1", "val_acc")


def by_trial(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return one row per trial, best first: means over its seeds, their standard deviations, and the total cost.

    `trainings` has one row per trial and seed. Trials that lack a seed rank behind complete ones, and trials with a
    diverged seed, which have no mean loss, rank last. Ties go to the smaller network. `history` is the
    mean over the seeds, epoch by epoch, as every other figure of the row is, with the range of the valid loss
    (val_loss_low, val_loss_high).
    """
    trials = trainings.astype(dict.fromkeys(MEASURED, float)).groupby("name", sort=False)
    table = trials[[*FACTORS, "parameters", "max_epochs"]].first()
    table["history"] = trials["history"].agg(_mean_history)
    for name in MEASURED:
        table[name] = trials[name].agg(lambda values: values.mean(skipna=False))
    for name in ("val_loss", "val_f1"):
        table[f"{name}_std"] = trials[name].std()
    table["seeds"] = trials.size()
    table[["seconds", "tflop"]] = trials[["seconds", "tflop"]].sum()
    lacking = table["val_loss"].isna() | (table["seeds"] < table["seeds"].max())
    ranked = table.reset_index().assign(lacking=lacking.to_numpy())
    return ranked.sort_values(["lacking", "val_loss", "parameters"], ignore_index=True).drop(columns="lacking")


def _mean_history(histories: pd.Series) -> list[dict]:
    """Return the mean over the seeds of each epoch that all of them have; NaN where a seed has none (it diverged)."""
    rows = pd.concat([pd.DataFrame(history, dtype=float) for history in histories])
    if not len(rows):
        return []
    epochs = rows.groupby("epoch")
    mean, losses = epochs.agg(lambda values: values.mean(skipna=False)), epochs["val_loss"]
    mean = mean.assign(val_loss_low=losses.min(), val_loss_high=losses.max())
    return mean[epochs.size() == len(histories)].reset_index().to_dict("records")


def best_trial(table: pd.DataFrame) -> dict:
    """Return the factors of the best trial, which is the first row of a `by_trial` table."""
    return {factor: table.iloc[0][factor].item() for factor in FACTORS}


def seed_noise(trainings: pd.DataFrame) -> float | None:
    """Return the pooled standard deviation of the valid loss over the seeds of each trial; None for one seed."""
    losses = trainings.astype({"val_loss": float}).dropna(subset="val_loss").groupby("name")["val_loss"]
    freedom = (losses.size() - 1).sum()
    if not freedom:
        return None
    squares = ((losses.size() - 1) * losses.var()).sum()  # NaN (one seed) counts as zero in the sum
    return math.sqrt(squares / freedom)


def over_seeds(rows: list[dict] | None) -> dict[str, tuple[float, float]] | None:
    """Return the mean and the standard deviation of each score over a training's seeds; None for fewer than two.

    `rows` are those of `loop.fit_seeds`, as 06_final writes them; a diverged seed has no loss and is left out.
    """
    rows = [row for row in rows or [] if row["loss"] is not None]
    if len(rows) < 2:
        return None
    columns = {name: [row[name] for row in rows] for name in rows[0] if name not in ("seed", "epoch")}
    return {name: (statistics.mean(values), statistics.stdev(values)) for name, values in columns.items()}


def factor_effects(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return the valid loss of each value of each factor, and its difference from the factor's lowest value.

    Columns: factor, value, best and mean (of the trials' mean losses, over the other factors), trials. Except for the
    lowest value: difference, its 95 % interval (low, high), the sample of the interval (n, of) and verdict.

    The difference is the mean over pairs of trainings that agree in the seed and all other factors. With several
    seeds, the interval is Student's t over the mean difference of each seed (trials of one seed that differ little have
    nearly the same noise, so they do not count as independent), and the verdict is "lower", "higher" or
    "not shown". With one seed, the interval is over the pairs, which does not include the noise from seed to seed,
    so the verdict is "one seed". It is "some diverged" if pairs are missing because a training diverged.
    """
    table = by_trial(trainings)
    rows = []
    for factor in FACTORS:
        values = sorted(table[factor].unique())
        for value in values:
            losses = table.loc[table[factor] == value, "val_loss"]
            row = {"factor": factor, "value": value, "best": losses.min(), "mean": losses.mean(), "trials": len(losses)}
            rows.append(row | ({} if value == values[0] else _difference(trainings, factor, value, values[0])))
    columns = ["factor", "value", "best", "mean", "trials", "difference", "low", "high", "n", "of", "verdict"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _difference(trainings: pd.DataFrame, factor: str, value, reference) -> dict:
    alike = [*(other for other in FACTORS if other != factor), "seed"]
    losses = trainings.astype({"val_loss": float}).set_index([*alike, factor])["val_loss"].unstack(factor)
    differences = losses[value] - losses[reference]
    lost, differences = bool(differences.isna().any()), differences.dropna()
    by_seed = differences.groupby("seed").mean()
    several = trainings["seed"].nunique() > 1
    mean, reach, count = student_interval(by_seed if several else differences)
    told = ("lower" if mean < 0 else "higher") if abs(mean) > reach else "not shown"
    verdict = "some diverged" if lost else told if several else "one seed"
    return {
        "difference": mean,
        "low": mean - reach,
        "high": mean + reach,
        "n": count,
        "of": "seeds" if several else "pairs",
        "verdict": verdict,
    }


def student_interval(values: pd.Series) -> tuple[float, float, int]:
    """Return the mean, the half-width of Student's 95 % interval (NaN for fewer than two values), and n."""
    from scipy import stats  # a dependency of scikit-learn

    count = len(values)
    reach = stats.t.ppf(0.975, count - 1) * values.std() / math.sqrt(count) if count > 1 else math.nan
    return float(values.mean()) if count else math.nan, float(reach), count


def edges(table: pd.DataFrame, best: dict) -> list[dict]:
    """Return the factors whose value in the `best` trial is the smallest or the largest one tried.

    Each row has factor, best, side ("smallest" or "largest") and `next`, the value to try next. It is one step
    further, as large as the last step of the grid: a ratio, or a difference for dropout. It is None if the best value
    is 0, which cannot be lowered.
    """
    found = []
    for factor in FACTORS:
        values = sorted(table[factor].unique())
        if len(values) > 1 and best[factor] in (values[0], values[-1]):
            lowest = best[factor] == values[0]
            neighbour = values[1] if lowest else values[-2]
            step = {"factor": factor, "best": best[factor], "side": "smallest" if lowest else "largest"}
            found.append(step | {"next": _one_further(factor, best[factor], float(neighbour))})
    return found


def _one_further(factor: str, best: float, neighbour: float) -> float | None:
    if best == 0:
        return None
    if factor == "dropout":
        return round(float(np.clip(2 * best - neighbour, 0, 0.9)), 3)
    further = best * best / neighbour if neighbour else best * 10
    return int(8 * round(further / 8)) if factor == "channels_block3" else float(f"{further:.2g}")


def curves_by_factor(trials: list[dict], best: dict, factor: str) -> dict[float, pd.DataFrame]:
    """Return the histories of the best trial and of those that differ from it only in `factor`, by its value."""
    return {trial[factor]: pd.DataFrame(trial["history"]) for trial in alike_but_for(factor, trials, best)}


def alike_but_for(factor: str, trials: list[dict], best: dict) -> list[dict]:
    """Return the best trial and those that differ from it only in `factor`, ordered by its value."""
    others = [other for other in FACTORS if other != factor]
    alike = [trial for trial in trials if all(trial[other] == best[other] for other in others)]
    return sorted(alike, key=lambda trial: trial[factor])
