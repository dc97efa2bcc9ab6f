"""Facts computed from the results: margins, gaps, comparisons. The templates only word them."""

import math
from itertools import pairwise

from helpers.config import ATTRIBUTES, FACTORS
from helpers.data.official import OFFICIAL_COPIES, OFFICIAL_SIZES
from helpers.report.protocol import cuts, used_parameters
from helpers.training.grid_effects import alike_but_for, over_seeds

METRICS = ("mean_accuracy", "exact_match", "micro_f1", "macro_f1")
AT_START = ("loss at initialisation is near ln 2", "loss with the priors' bias is that of predicting the rates")
NORMAL = 1.96  # half-width of a normal 95 % interval in standard errors
FEW = 100  # positive images; with fewer, one image changes the recall by more than one percentage point


def gather(results: dict[str, dict | None], scorecard: list[dict], journal: dict) -> dict:
    """Return the facts for the templates by name; those of a notebook that has not run are None."""
    there = {name: result for name, result in results.items() if result}
    found = {
        "data": _data([result["data"] for result in there.values()]),
        "newest": max(there.values(), key=lambda result: result["written"]),
        "mixed_data": len({result["data"]["fingerprint"] for result in there.values()}) > 1,
        "commits": _by_commit(there),
        "cuts": cuts(there),
        "used": {name: used_parameters(name, result) for name, result in there.items()},
        "checks": scorecard,
        "passed": sum(check["passed"] is True for check in scorecard),
        "failed": [check for check in scorecard if check["passed"] is False],
        "unfinished": [name for name, row in journal.get("notebooks", {}).items() if row["status"] != "done"],
        "seconds": {name: _seconds(name, result, journal) for name, result in there.items()},
        "official": OFFICIAL_SIZES,
        "official_copies": OFFICIAL_COPIES,
    }
    sections = {
        "labels": ("01_data", labels),
        "model": ("02_baselines", model),
        "overfit": ("03_overfit", overfit),
        "grid": ("05_grid", grid),
        "training": ("06_final", training),
        "extra": ("06_final", extra),
        "test": ("07_test", test),
        "appendix": ("appendix", appendix),
    }
    found["linear"] = (
        linear(there["02_baselines"], there["06_final"]) if {"02_baselines", "06_final"} <= set(there) else None
    )
    return found | {name: fact(there[nb]) if nb in there else None for name, (nb, fact) in sections.items()}


def _seconds(notebook: str, result: dict, journal: dict) -> float:
    """Return the duration of a notebook: that of its whole execution where the journal has it."""
    return journal.get("notebooks", {}).get(notebook, {}).get("seconds", result["seconds"])


def _by_commit(results: dict[str, dict]) -> dict[str, list[str]]:
    """Return the notebooks that were executed with each state of the code."""
    commits: dict[str, list[str]] = {}
    for notebook, result in results.items():
        commits.setdefault(result["environment"]["git_commit"], []).append(notebook)
    return commits


def _data(described: list[dict]) -> dict:
    """Return the first notebook's data: drawn if any notebook's are; whole and official only if all notebooks' are."""
    return described[0] | {
        "drawn": any(data["drawn"] for data in described),
        "whole_celeba": all(data["whole_celeba"] for data in described),
        "official_splits": all(data["official_splits"] for data in described),
    }


# Section by section


def labels(result: dict) -> dict:
    """Return the rarest and the commonest attribute, and the strongest pair."""
    rates, correlation = result["rates"], result["correlation"]
    pairs = [(a, b) for i, a in enumerate(ATTRIBUTES) for b in ATTRIBUTES[i + 1 :]]
    strongest = max(pairs, key=lambda pair: abs(correlation[pair[0]][pair[1]] or 0))
    return {
        "rarest": min(rates["train"], key=rates["train"].get),
        "commonest": max(rates["train"], key=rates["train"].get),
        "pair": strongest,
        "pair_correlation": correlation[strongest[0]][strongest[1]],
        "pair_together": result["cooccurrence"][strongest[0]][strongest[1]],
    }


def model(result: dict) -> dict:
    """Return the baselines by name, the best one without images per metric, the layers and the checks."""
    table = {row["baseline"]: row for row in result["baselines"]}
    layers = result["layers"]
    blind = {name: row for name, row in table.items() if name != "logistic regression"}
    return {
        "table": table,
        "best_blind": {metric: max(blind, key=lambda name: blind[name][metric]) for metric in METRICS},
        "layers": [(name, shape, count or None, work or None) for name, shape, count, work in map(dict.values, layers)],
        "ln2": math.log(2),
        "passed": [check["passed"] is True for check in result["checks"] if check["name"] in AT_START],
    }


def overfit(result: dict) -> dict:
    """Return whether the images were memorised, the losses by hand and by `fit`, and how the valid loss changed."""
    by_fit = [row["train_loss"] for row in result["history"]]
    return {
        "memorised": result["wrong_labels"] == 0 and result["first_epoch_below"] is not None,
        "first": list(zip(result["by_hand"], by_fit, strict=False)),
        "rose": result["valid_loss_last"] > result["valid_loss_lowest"],
        "ratio": result["valid_loss_last"] / result["valid_loss_lowest"],
        "fell_again": result["valid_loss_last"] < 0.9 * result["valid_loss_highest_after"]["loss"],
    }


def grid(result: dict) -> dict:
    """Return the values of the grid's factors, the margin of the best trial, its edges and the effects."""
    trials = result["trials"]
    finished = [trial for trial in trials if trial["val_loss"] is not None]
    losses = sorted(trial["val_loss"] for trial in finished)
    steps = [second - first for first, second in pairwise(losses)]
    return {
        "levels": {factor: levels(trials, factor) for factor in FACTORS},
        "edges": {factor: _edge(levels(trials, factor), result["best"][factor]) for factor in FACTORS},
        "top": finished[0] if finished else None,
        "margin": steps[0] if steps else None,
        "range": losses[-1] - losses[0] if steps else None,
        "diverged": [trial for trial in trials if trial["val_loss"] is None],
        "reference": next((trial for trial in trials if all(trial[f] == result["best"][f] for f in FACTORS)), None),
        "best_f1": max(trials, key=lambda trial: trial["val_f1"] or 0),
        "next": {edge["factor"]: edge["next"] for edge in result["edges"]},
        "varied": any(len(levels(trials, factor)) > 1 for factor in FACTORS),
        "beyond_noise": [row for row in result["effects"] if row["verdict"] in ("lower", "higher")],
        "not_shown": [row for row in result["effects"] if row["verdict"] == "not shown"],
        "undecided": [row for row in result["effects"] if row["verdict"] == "some diverged"],
        "several_seeds": len(result["seeds"]) > 1,
        "neighbours": {factor: alike_but_for(factor, trials, result["best"]) for factor in FACTORS},
    }


def levels(trials: list[dict], factor: str) -> list:
    """Return a factor's values in the grid in ascending order."""
    return sorted({trial[factor] for trial in trials})


def _edge(values: list, best) -> str:
    """Return where the best value is: "fixed" (there is only one value), "lowest", "highest" or "inside"."""
    if len(values) == 1:
        return "fixed"
    return {values[0]: "lowest", values[-1]: "highest"}.get(best, "inside")


def training(result: dict) -> dict:
    """Return facts about the final training: gap between train and valid, epochs after the best one, time."""
    history, best = result["history"], result["best"]
    last = history[-1]
    losses = [row["val_loss"] for row in history if row["val_loss"] is not None]
    steps = [second - first for first, second in pairwise(losses)]
    rise = _less(last["val_loss"], best["val_loss"])
    return {
        "spread": over_seeds(result["seeds"]),
        "seeds": [row["seed"] for row in result["seeds"] or [] if row["loss"] is not None],
        "diverged_seeds": [row["seed"] for row in result["seeds"] or [] if row["loss"] is None],
        "gap": _less(best["val_loss"], best["train_eval_loss"]),
        "last": last,
        "last_gap": _less(last["val_loss"], last["train_eval_loss"]),
        "rise": rise,
        "best_is_last": result["best_epoch"] == last["epoch"],
        "later": len(history) - result["best_epoch"],
        "rises": [step for step in steps if step > 0],
        "seconds": sum(row["seconds"] for row in history),
    }


def linear(baselines: dict, final: dict) -> dict:
    """Return logistic regression on raw pixels and the gain of the final training's best epoch, both on valid."""
    row = next(row for row in baselines["baselines"] if row["baseline"] == "logistic regression")
    count = final["images"]["valid"]
    whole = count == final["data"]["split_sizes"]["valid"]
    same_seed = baselines["parameters"]["seed"] == final["parameters"]["seed"]  # it chooses a part of the images
    return {
        "accuracy": row["mean_accuracy"],
        "gain": final["best"]["val_acc"] - row["mean_accuracy"],
        "gain_f1": final["best"]["val_f1"] - row["micro_f1"],
        "same_images": baselines["images"]["valid"] == count and (whole or same_seed),
    }


def extra(result: dict) -> dict:
    """Return the gain of the additional iteration over the final training, its cost, and the benchmarks' results."""
    final, other = result["best"], result["extra"]
    return {
        "gain": _less(final["val_loss"], other["best"]["val_loss"]),
        "same_epochs": other["max_epochs"] == result["parameters"]["max_epochs"],
        "differences": _with_sides({row["metric"]: row for row in other["differences"] or []}),
        "costs": {row["index"]: row for row in other["costs"]},
        "steps": [step | _bounds(step, "gain") | _bounds(step, "change") for step in other["steps"]],
        "scaling": _scaling(other["scaling"]),
    }


def _scaling(rows: list[dict]) -> dict:
    """Return what `published.measured_scaling` says of the accuracy: the fewest and the most training images measured,
    those of the forecast, and the forecast of each network with its interval.
    """
    errors = [row for row in rows if row["metric"] == "error"]
    measured = [row["images"] for row in errors if row["measured"] is not None]
    last = {row["network"]: row for row in errors if row["fitted"] is not None}  # of each curve, the last row
    return {
        "images": (min(measured), max(measured)),
        "all": max((row["images"] for row in last.values()), default=None),
        "forecasts": {
            network: {"value": 1 - row["fitted"], "low": 1 - row["high"], "high": 1 - row["low"]}
            for network, row in last.items()
        },
    }


def _bounds(step: dict, name: str) -> dict:
    """Return `name`, `name`_low and `name`_high of a step as one value with its interval, or None without a value."""
    value, low, high = (step[f"{name}{end}"] for end in ("", "_low", "_high"))
    return {name: None if value is None else {"value": value, "low": low, "high": high}}


def test(result: dict) -> dict:
    """Return test compared with valid and with the majority class, overall and per attribute."""
    valid, scores = result["overall"]["valid"], result["overall"]["test"]
    rows = _by_attribute(result)
    ranked = [row for row in rows if row["f1"] is not None] or rows
    gap = scores["mean_accuracy"] - valid["mean_accuracy"]
    table = _nested(result["intervals"], "of", "metric")
    both = table["overall"]["mean_accuracy"], result["valid_interval"]
    widths = [row["high"] - row["low"] for row in both if row["low"] is not None]
    error = math.hypot(*widths) / (2 * NORMAL) if len(widths) == 2 else None
    above = {row["metric"]: row for row in result["above_majority"]}
    compared = _nested(result["comparison"]["differences"], "of", "metric")["overall"] if result["comparison"] else None
    return {
        "beats": _side(above["mean_accuracy"]),
        "above": above["mean_accuracy"],
        "gap": {metric: _less(scores[metric], valid[metric]) for metric in ("loss", *METRICS)},
        "gap_errors": abs(gap) / error if error else None,
        "gain": {metric: above[metric]["value"] for metric in METRICS},
        "rows": rows,
        "weakest": min(ranked, key=lambda row: row["f1"] or 0),
        "strongest": max(ranked, key=lambda row: row["f1"] or 0),
        "beaten": [row["attribute"] for row in rows if row["accuracy"] > row["majority_accuracy"]],
        "never": [row["attribute"] for row in rows if row["tp"] + row["fp"] == 0],
        "few": [row for row in rows if row["positives"] < FEW],
        "intervals": table,
        "groups": _nested([row for row in result["groups"] if row["rate"] == "accuracy"], "group", "attribute"),
        "goals": [row for row in result["threshold_gains"] if row["of"] == "overall"],
        "additional": bool(result["comparison"])
        and not result["parameters"]["compare_with"],  # 06's additional network
        "differences": compared and _with_sides(compared),
        "largest_gap": next((gap for gap in result["gaps"] if gap["enough"]), None),
    }


def _side(difference: dict) -> str:
    """Return where an interval is: "above" zero, "below" it, "around" it, or "none" if there is no interval."""
    low, high = difference["low"], difference["high"]
    if low is None or high is None:
        return "none"
    return "above" if low > 0 else "below" if high < 0 else "around"


def _with_sides(differences: dict[str, dict]) -> dict[str, dict]:
    """Return the differences by metric, each with its `side` of zero."""
    return {metric: row | {"side": _side(row)} for metric, row in differences.items()}


def appendix(result: dict) -> dict:
    """Return the attributes whose logits depend on the other labels beyond chance, strongest first."""
    beyond = [row for row in result["shortcuts"] if (row["low"] or 0) > 0]
    return {"leaning": sorted(beyond, key=lambda row: -row["beyond_its_label"]), "of": len(result["shortcuts"])}


def _nested(rows: list[dict], outer: str, inner: str) -> dict[str, dict[str, dict]]:
    """Return a table's rows as [value of `outer`][value of `inner`]."""
    table: dict[str, dict[str, dict]] = {}
    for row in rows:
        table.setdefault(row[outer], {})[row[inner]] = row
    return table


def _by_attribute(result: dict) -> list[dict]:
    """Return the test's rows per attribute, with the number of positives and the F1 on valid added."""
    valid = {row["attribute"]: row["f1"] for row in result["per_attribute"]["valid"]}
    rows = []
    for row in result["per_attribute"]["test"]:
        rows.append(row | {"positives": row["tp"] + row["fn"], "valid_f1": valid[row["attribute"]]})
    return rows


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def batches_times_size(images: int, batch_size: int) -> int:
    """Return the number of batches times the batch size, which counts a partly filled last batch as full."""
    return math.ceil(images / batch_size) * batch_size
