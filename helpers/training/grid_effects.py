"""What a grid's trainings say: trials over their seeds, the noise of a seed, each factor's effect, and the edges."""

import math
import statistics

import numpy as np
import pandas as pd

from helpers.config import FACTORS

MEASURED = ("train_loss", "val_loss", "val_f1", "val_acc")


def by_trial(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return one row a trial, the best first: means over its seeds, `val_loss_std` and `val_f1_std`, and sums of cost.

    `trainings` has one row a trial and seed. A trial of which a seed diverged has no loss, and ranks last; one that
    lacks a seed which others have ranks behind those. Ties go to the smaller network. `history` is the first seed's.
    """
    trials = trainings.astype(dict.fromkeys(MEASURED, float)).groupby("name", sort=False)
    table = trials[[*FACTORS, "parameters", "max_epochs", "history"]].first()
    for name in MEASURED:
        table[name] = trials[name].agg(lambda values: values.mean(skipna=False))
    for name in ("val_loss", "val_f1"):
        table[f"{name}_std"] = trials[name].std()
    table["seeds"] = trials.size()
    table[["seconds", "tflop"]] = trials[["seconds", "tflop"]].sum()
    lacking = table["val_loss"].isna() | (table["seeds"] < table["seeds"].max())
    ranked = table.reset_index().assign(lacking=lacking.to_numpy())
    return ranked.sort_values(["lacking", "val_loss", "parameters"], ignore_index=True).drop(columns="lacking")


def best_trial(table: pd.DataFrame) -> dict:
    """Return the factors of the best of `by_trial`'s rows."""
    return {factor: table.iloc[0][factor].item() for factor in FACTORS}


def seed_noise(trainings: pd.DataFrame) -> float | None:
    """Return the standard deviation of the valid loss from seed to seed, pooled over the trials; None for one seed."""
    losses = trainings.astype({"val_loss": float}).dropna(subset="val_loss").groupby("name")["val_loss"]
    freedom = (losses.size() - 1).sum()
    if not freedom:
        return None
    squares = ((losses.size() - 1) * losses.var()).sum()  # NaN (one seed) counts as zero in the sum
    return math.sqrt(squares / freedom)


def over_seeds(rows: list[dict] | None) -> dict[str, tuple[float, float]] | None:
    """Return mean and standard deviation of each score over a training's seeds; None for fewer than two.

    `rows` are `loop.fit_seeds`', as 06_final writes them; a seed that diverged has no loss, and is left out.
    """
    rows = [row for row in rows or [] if row["loss"] is not None]
    if len(rows) < 2:
        return None
    columns = {name: [row[name] for row in rows] for name in rows[0] if name not in ("seed", "epoch")}
    return {name: (statistics.mean(values), statistics.stdev(values)) for name, values in columns.items()}


def factor_effects(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return, for each value of each factor, its valid loss, and its difference from the factor's first value.

    Columns: factor, value, best and mean (over the other factors, of the trials' means), trials, and, but for the
    first value, difference, its 95 % interval low and high, what that is over (n, of) and the verdict. The
    difference is the mean over pairs of trainings alike in all other factors and in the seed. With several seeds
    the interval is Student's over the seeds' mean differences, and the verdict "lower", "higher" or "within
    noise". There is none ("one seed") where there is one: its interval is over the pairs, and knows nothing of the
    noise of a seed; nor where pairs are missing because a training diverged ("some diverged").
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
    mean, reach, count = _interval(by_seed if several else differences)
    told = ("lower" if mean < 0 else "higher") if abs(mean) > reach else "within noise"
    verdict = "some diverged" if lost else told if several else "one seed"
    return {
        "difference": mean,
        "low": mean - reach,
        "high": mean + reach,
        "n": count,
        "of": "seeds" if several else "pairs",
        "verdict": verdict,
    }


def _interval(values: pd.Series) -> tuple[float, float, int]:
    """Return the mean, the reach of Student's 95 % interval on either side (NaN for fewer than two), and n."""
    from scipy import stats  # comes with scikit-learn

    count = len(values)
    reach = stats.t.ppf(0.975, count - 1) * values.std() / math.sqrt(count) if count > 1 else math.nan
    return float(values.mean()) if count else math.nan, float(reach), count


def edges(table: pd.DataFrame, best: dict) -> list[dict]:
    """Return the factors whose value in the `best` trial is the smallest or largest tried, with the next one to try.

    `next` is one step further of the same size as the last one: a ratio, but a difference for dropout. It is
    None where the value cannot be exceeded (no dropout, no weight decay).
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


def curves_by_factor(trials: list[dict], best: dict, factor: str) -> dict[str, pd.DataFrame]:
    """Return the histories of the best trial and of those that differ from it in `factor` alone, by its value."""
    return {
        f"{factor} {trial[factor]:g}": pd.DataFrame(trial["history"]) for trial in alike_but_for(factor, trials, best)
    }


def alike_but_for(factor: str, trials: list[dict], best: dict) -> list[dict]:
    """Return the best trial and those that differ from it in `factor` alone, ordered by its value."""
    others = [other for other in FACTORS if other != factor]
    alike = [trial for trial in trials if all(trial[other] == best[other] for other in others)]
    return sorted(alike, key=lambda trial: trial[factor])
