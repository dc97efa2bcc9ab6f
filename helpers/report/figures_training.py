"""The report's figures of the data, the grid search and the trainings.

Each function is named as its figure is in `figures.FIGURES`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import plots
from helpers.config import ATTRIBUTES, FACTORS
from helpers.plots.words import Words
from helpers.report.figure_source import Drawn, Source
from helpers.training.grid_effects import curves_by_factor

MEMORISED = 0.01  # train loss in the check of 03_overfit


def positive_rates(source: Source) -> Drawn:
    rates = source.table("01_data", "rates").loc[list(ATTRIBUTES)]
    w, train = source.words, rates["train"]
    shift = source.results["01_data"]["largest_shift"]
    values = {
        "rarest": w.name(str(train.idxmin())),
        "lowest": w.percent(train.min(), 1),
        "commonest": w.name(str(train.idxmax())),
        "highest": w.percent(train.max(), 1),
        "attribute": w.name(shift["attribute"]),
        "split": shift["split"],
        "shift": w.number(shift["points"], 2, signed=True),
    }
    return plots.plot_rates(rates, words=w).figure, values


def cooccurrence(source: Source) -> Drawn:
    w = source.words
    together, correlation = (source.table("01_data", key) for key in ("cooccurrence", "correlation"))
    figure, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 2.2), sharey=True)
    plots.plot_matrix(100 * together, w("Images with both (%)"), axes[0], digits=1, words=w)
    plots.plot_matrix(correlation.astype(float), w("Correlation (phi)"), axes[1], diverging=True, words=w)
    pairs = correlation.astype(float).where(np.triu(np.ones(correlation.shape, bool), k=1)).stack()
    one, other = pairs.abs().idxmax() if len(pairs) else ATTRIBUTES[:2]
    values = {
        "one": w.name(one),
        "other": w.name(other),
        "correlation": w.number(correlation.astype(float).loc[one, other], 2, signed=True),
        "together": w.percent(together.loc[one, other], 1),
    }
    return figure, values


def augmentation(source: Source) -> Drawn:
    arrays, w = source.arrays["01_data"], source.words
    images = np.concatenate([arrays["before"][:8], arrays["after"][:8]])
    titles = [plots.labels_in_words(labels, w) for labels in arrays["labels"][:8]]
    figure = plots.show_images(images, titles + [""] * len(titles), columns=8)
    return figure, {"images": w.number(len(titles), 0)}


def baselines(source: Source) -> Drawn:
    w = source.words
    table = source.table("02_baselines", "baselines").set_index("baseline")
    best = table.idxmax()
    values = {f"{metric}_best": w.name(best[metric]) for metric in table}
    values |= {metric: w.number(table[metric].max(), 3) for metric in table}
    majority = table.loc["majority class", "mean_accuracy"]
    return plots.plot_bars(table, w), values | {"majority": w.number(majority, 3)}


def overfit_losses(source: Source) -> Drawn:
    result, w = source.results["03_overfit"], source.words
    history = source.table("03_overfit", "history")
    lowest = history.loc[history["val_loss"].astype(float).idxmin()]
    values = {
        "images": w.number(result["images"], 0),
        "first": w.number(history["train_loss"].iloc[0], 2),
        "last": w.number(result["train_loss"], 4),
        "epochs": w.number(len(history), 0),
        "lowest": w.number(lowest["val_loss"], 2),
        "epoch": w.number(lowest["epoch"], 0),
        "end": w.number(result["valid_loss_last"], 2),
    }
    return plots.plot_losses(history, MEMORISED, w).figure, values


def memorised(source: Source) -> Drawn:
    arrays, w = source.arrays["03_overfit"], source.words
    titles = [
        "\n".join(
            f"{w.name(a)} {w.number(p, 2)} ({int(label)})" for a, p, label in zip(ATTRIBUTES, row, labels, strict=True)
        )
        for row, labels in zip(arrays["probabilities"], arrays["labels"], strict=True)
    ]
    furthest = np.abs(arrays["probabilities"] - arrays["labels"]).max()
    figure = plots.show_images(arrays["images"], titles, columns=5)
    return figure, {"images": w.number(len(titles), 0), "furthest": w.number(furthest, 2)}


def sweep(source: Source) -> Drawn:
    result, arrays, w = source.results["04_lr_finder"], source.arrays["04_lr_finder"], source.words
    first = pd.DataFrame({name: arrays[name] for name in ("lr", "loss")})
    band = pd.DataFrame({"lr": arrays["band_lr"], **{name: arrays[name] for name in ("mean", "low", "high")}})
    figure = plots.plot_sweeps(first, band, result["suggestions"], result["window"], len(result["by_seed"]), w).figure
    lowest = band.loc[band["mean"].idxmin()]
    values = {
        "start": w.small(result["window"][0]),
        "end": w.small(result["window"][1]),
        "from": w.number(band["mean"].iloc[0], 2),
        "lowest": w.number(lowest["mean"], 2),
        "lr": w.small(lowest["lr"]),
        "chosen": w.small(result["chosen"]["lr"]),
        "seeds": w.number(len(result["by_seed"]), 0),
    }
    return figure, values


def heatmap(source: Source) -> Drawn:
    w, trials = source.words, source.table("05_grid", "trials")
    return plots.plot_grid(trials, words=w).figure, _of_grid(trials, w)


def parallel(source: Source) -> Drawn:
    w, trials = source.words, source.table("05_grid", "trials")
    return plots.plot_parallel(trials, words=w).figure, _of_grid(trials, w)


def _of_grid(trials: pd.DataFrame, w: Words) -> dict[str, str]:
    losses = trials["val_loss"].astype(float)
    best = ", ".join(f"{w.name(factor)} = {w.small(trials.iloc[0][factor])}" for factor in FACTORS)
    ends = {"lowest": w.number(losses.min(), 4), "highest": w.number(losses.max(), 4)}
    return ends | {"trials": w.number(len(trials), 0), "best": best}


def differences(source: Source) -> Drawn:
    w, effects = source.words, source.table("05_grid", "effects")
    numeric = ["difference", "low", "high"]
    effects[numeric] = effects[numeric].astype(float)
    rows = effects.dropna(subset="verdict")
    told = [
        w(
            "{name} = {value}: {change}",
            name=w.name(row.factor),
            value=w.small(row.value),
            change=w.number(row.difference, 4, True),
        )
        for row in rows[rows["verdict"].isin(["lower", "higher"])].itertuples()
    ]
    values = {
        "count": w.number(len(rows), 0),
        "beyond": w.number(len(told), 0),
        "list": f" ({', '.join(told)})" if told else "",
    }
    return plots.plot_differences(effects, w).figure, values


def grid_curves(source: Source) -> Drawn:
    grid, w = source.results["05_grid"], source.words
    curves = {factor: curves_by_factor(grid["trials"], grid["best"], factor) for factor in FACTORS}
    best = pd.DataFrame(grid["trials"][0]["history"])
    values = {
        "epochs": w.number(len(best), 0),
        "first": w.number(best["val_loss"].iloc[0], 4),
        "last": w.number(best["val_loss"].iloc[-1], 4),
        "seeds": w.number(len(grid["seeds"]), 0),
    }
    return plots.plot_factor_curves(curves, w), values


def curves(source: Source) -> Drawn:
    w, history = source.words, source.table("06_final", "history")
    best = history.loc[history["val_loss"].astype(float).idxmin()]
    column = "train_eval_loss" if "train_eval_loss" in history else "train_loss"
    values = {
        "first": w.number(history[column].iloc[0], 2),
        "last": w.number(history[column].iloc[-1], 2),
        "lowest": w.number(best["val_loss"], 4),
        "epoch": w.number(best["epoch"], 0),
        "epochs": w.number(len(history), 0),
        "accuracy": w.number(best["val_acc"], 4),
        "f1": w.number(best["val_f1"], 4),
    }
    return plots.plot_history(history, w), values


def dynamics(source: Source) -> Drawn:
    arrays, w = source.arrays["06_final"], source.words
    answers, labels = arrays["answers"], arrays["labels"].astype(bool)
    right = ((answers[[0, -1]] >= 0.5) == labels).mean((1, 2))
    values = {
        "images": w.number(len(labels), 0),
        "first": w.percent(right[0], 0),
        "last": w.percent(right[1], 0),
        "epochs": w.number(len(answers), 0),
    }
    return plots.plot_dynamics(answers, labels, w), values


def extra(source: Source) -> Drawn:
    result, w = source.results["06_final"], source.words
    settings, other = result["parameters"], result["extra"]
    histories = {
        w("final: {arch}, lr {lr}", arch=w.name(settings["arch"]), lr=w.small(settings["lr"])): source.table(
            "06_final", "history"
        ),
        w("extra: {arch}, lr {lr}", arch=w.name(other["arch"]), lr=w.small(other["lr"])): source.table(
            "06_final", "extra", "history"
        ),
    }
    values = {}
    for name, history in zip(("final", "extra"), histories.values(), strict=True):
        losses = history["val_loss"].astype(float).dropna()  # none, if the training diverged in its first epoch
        values |= {
            name: w.number(losses.min(), 4) if len(losses) else "–",
            f"{name}_epoch": w.number(history.loc[losses.idxmin(), "epoch"], 0) if len(losses) else "–",
        }
    return plots.plot_curves(histories, "", words=w).figure, values


def steps(source: Source) -> Drawn:
    w, table = source.words, source.table("06_final", "extra", "steps").set_index("arm")
    numeric = [f"{name}{end}" for name in ("gain", "change") for end in ("", "_low", "_high")]
    table[numeric] = table[numeric].astype(float)
    table["adds"] = [w.texts.get(f"step {arm}", adds) for arm, adds in table["adds"].items()]
    measured = table.dropna(subset="gain")
    best = measured["gain"].idxmax()
    values = {
        "steps": w.number(len(measured), 0),
        "best": measured.loc[best, "adds"],
        "gain": w.number(100 * measured.loc[best, "gain"], 2, signed=True),
        "improving": w.number((measured["verdict"] == "improves").sum(), 0),
    }
    return plots.plot_steps(table, w), values


def scaling(source: Source) -> Drawn:
    w, table = source.words, source.table("06_final", "extra", "scaling")
    numeric = ["images", "measured", "fitted", "low", "high"]
    table[numeric] = table[numeric].astype(float)
    errors = table[table["metric"] == "error"].dropna(subset="measured").groupby("network", sort=False)["measured"]
    values = {
        "networks": w.number(len(errors), 0),
        "fewest": w.number(table["images"].min(), 0),
        "most": w.number(table.dropna(subset="measured")["images"].max(), 0),
        "list": ", ".join(
            w("{name}: {first} to {last}", name=w.name(name), first=w.number(of.max(), 3), last=w.number(of.min(), 3))
            for name, of in errors
        ),
    }
    return plots.plot_scaling(table, w), values
