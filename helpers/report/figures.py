"""The report's figures, drawn from the saved results of a run in the language of the report."""

import base64
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers import plots
from helpers.config import ATTRIBUTES, FACTORS
from helpers.evaluation.gradcam import alikeness
from helpers.evaluation.groups import ENOUGH
from helpers.plots.evaluation import plot_summary
from helpers.plots.style import STYLE
from helpers.plots.words import Words
from helpers.report.wording import typeset
from helpers.training.grid_effects import curves_by_factor

CENTIMETRES = 2.54  # in an inch
MEMORISED = 0.01  # train loss in the check of 03_overfit
SUMMARY = ("mean_accuracy", "exact_match", "micro_f1")
INTERVALS = ("accuracy", "f1", "auroc", "average_precision")


class Source(NamedTuple):
    """What the figures are drawn from: results and arrays by notebook, the words and the alt texts of a language."""

    results: Mapping[str, Mapping]
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    words: Words
    alts: Mapping[str, str]

    def table(self, notebook: str, *keys: str) -> pd.DataFrame:
        """Return a table of a notebook's results, which is a list of rows."""
        value = self.results[notebook]
        for key in keys:
            value = value[key]
        return pd.DataFrame(value)


class Picture(NamedTuple):
    """A drawn figure: a data URI for the `src` of an image, its alt text, and the width at which it is printed."""

    src: str
    alt: str
    centimetres: float


class Drawing(NamedTuple):
    """How a figure is drawn, the notebook whose results or arrays it shows, and whether it is a picture of images."""

    draw: Callable[[Source], tuple[Figure, dict[str, str]]]
    notebook: str
    arrays: tuple[str, ...] = ()
    images: bool = False


def source(folder: Path, results: Mapping[str, Mapping | None], language: str, words: Mapping) -> Source:
    """Return what the figures of a run need: its results, the arrays in `folder`/results, and the language's words."""
    written = {notebook: result for notebook, result in results.items() if result}
    arrays = {notebook: _load(folder / "results" / f"{notebook}.npz") for notebook in written}
    figures = words["figures"]
    steps = {f"step {arm}": text for arm, text in words["steps"].items()}
    texts = {**steps, **words["baselines"], **figures["labels"]}
    spoken, alts = ({key: typeset(text, language) for key, text in part.items()} for part in (texts, figures["alt"]))
    return Source(written, arrays, Words(language, spoken), alts)


def _load(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    with np.load(path) as saved:
        return dict(saved)


def is_ready(name: str, source: Source) -> bool:
    """Return whether the run has the results and the arrays of a figure."""
    needed = FIGURES[name]
    return needed.notebook in source.results and set(needed.arrays) <= set(source.arrays.get(needed.notebook, {}))


def draw(name: str, source: Source) -> tuple[Figure, str]:
    """Return a figure and its alt text, which says with numbers what the figure shows."""
    with plt.rc_context(STYLE):
        figure, values = FIGURES[name].draw(source)
        source.words.localise(figure)
        figure.draw_without_rendering()  # the layout of the second drawing takes the first one's ticks into account
        return figure, source.alts[name].format(**values)


def picture(name: str, source: Source) -> Picture | None:
    """Draw a figure as SVG, or as PNG at 200 dpi if it shows images.

    Return None if the results or arrays that it needs are missing: its notebook has to be run (again).
    """
    if not is_ready(name, source):
        return None
    kind = "png" if FIGURES[name].images else "svg"
    with plt.ioff(), plt.rc_context(STYLE):
        try:
            figure, alt = draw(name, source)
        except KeyError:  # written by a version of the notebook that did not measure this
            plt.close()
            return None
        try:
            buffer = io.BytesIO()
            plain = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
            figure.savefig(buffer, format=kind, facecolor="white", metadata=plain)
        finally:
            plt.close(figure)
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:{mime};base64,{encoded}", alt, round(figure.get_figwidth() * CENTIMETRES, 2))


# The figures. Each function returns the figure and the values of its alt text.


def summary(source: Source):
    test = source.results["07_test"]
    table = source.table("07_test", "intervals").set_index(["of", "metric"])
    rows = {m: {**table.loc[("overall", m)].to_dict(), "majority": test["majority"][m]} for m in SUMMARY}
    number = source.words.number
    values = {
        f"{metric}_{part}": number(row[part], 3)
        for metric, row in rows.items()
        for part in ("value", "low", "high", "majority")
    }
    return plot_summary(rows, source.words), values


def positive_rates(source: Source):
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


def cooccurrence(source: Source):
    w = source.words
    together, correlation = (source.table("01_data", key) for key in ("cooccurrence", "correlation"))
    figure, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 2.6), sharey=True)
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


def augmentation(source: Source):
    arrays, w = source.arrays["01_data"], source.words
    images = np.concatenate([arrays["before"][:8], arrays["after"][:8]])
    titles = [plots.labels_in_words(labels, w) for labels in arrays["labels"][:8]]
    figure = plots.show_images(images, titles + [""] * len(titles), columns=8)
    return figure, {"images": w.number(len(titles), 0)}


def baselines(source: Source):
    w = source.words
    table = source.table("02_baselines", "baselines").set_index("baseline")
    best = table.idxmax()
    values = {f"{metric}_best": w.name(best[metric]) for metric in table}
    values |= {metric: w.number(table[metric].max(), 3) for metric in table}
    majority = table.loc["majority class", "mean_accuracy"]
    return plots.plot_bars(table, w), values | {"majority": w.number(majority, 3)}


def overfit_losses(source: Source):
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


def memorised(source: Source):
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


def sweep(source: Source):
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


def heatmap(source: Source):
    w, trials = source.words, source.table("05_grid", "trials")
    return plots.plot_grid(trials, words=w).figure, _of_grid(trials, w)


def parallel(source: Source):
    w, trials = source.words, source.table("05_grid", "trials")
    return plots.plot_parallel(trials, words=w).figure, _of_grid(trials, w)


def _of_grid(trials: pd.DataFrame, w: Words) -> dict[str, str]:
    losses = trials["val_loss"].astype(float)
    best = ", ".join(f"{w.name(factor)} {w.small(trials.iloc[0][factor])}" for factor in FACTORS)
    ends = {"lowest": w.number(losses.min(), 4), "highest": w.number(losses.max(), 4)}
    return ends | {"trials": w.number(len(trials), 0), "best": best}


def differences(source: Source):
    w, effects = source.words, source.table("05_grid", "effects")
    numeric = ["difference", "low", "high"]
    effects[numeric] = effects[numeric].astype(float)
    rows = effects.dropna(subset="verdict")
    told = [
        f"{w.name(row.factor)} {w.small(row.value)} {w.number(row.difference, 4, signed=True)}"
        for row in rows[rows["verdict"].isin(["lower", "higher"])].itertuples()
    ]
    values = {
        "count": w.number(len(rows), 0),
        "beyond": w.number(len(told), 0),
        "list": f" ({', '.join(told)})" if told else "",
    }
    return plots.plot_differences(effects, w).figure, values


def grid_curves(source: Source):
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


def curves(source: Source):
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


def dynamics(source: Source):
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


def extra(source: Source):
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
        losses = history["val_loss"].astype(float)
        values |= {
            name: w.number(losses.min(), 4),
            f"{name}_epoch": w.number(history.loc[losses.idxmin(), "epoch"], 0),
        }
    return plots.plot_curves(histories, "", words=w).figure, values


def steps(source: Source):
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
        "pays": w.number((measured["verdict"] == "pays").sum(), 0),
    }
    return plots.plot_steps(table, w), values


def confusion(source: Source):
    w = source.words
    table = source.table("07_test", "per_attribute", "test").set_index("attribute")
    wrong = (table["fp"] + table["fn"]) / table[["tp", "fp", "fn", "tn"]].sum(axis=1)
    values = {
        "most": w.name(str(wrong.idxmax())),
        "most_share": w.percent(wrong.max(), 1),
        "fewest": w.name(str(wrong.idxmin())),
        "fewest_share": w.percent(wrong.min(), 1),
        "images": w.number(table[["tp", "fp", "fn", "tn"]].sum(axis=1).max(), 0),
    }
    return plots.plot_confusion(table, w), values


def intervals(source: Source):
    w = source.words
    table = source.table("07_test", "intervals").set_index(["of", "metric"])
    numeric = table.columns.intersection(["value", "low", "high", "image_low", "image_high"])
    table[numeric] = table[numeric].astype(float)
    scores = table.loc[list(ATTRIBUTES)].xs("f1", level="metric")
    values = {}
    for end, row in (("lowest", scores["value"].idxmin()), ("highest", scores["value"].idxmax())):
        values |= {
            end: w.name(row),
            **{f"{end}_{k}": w.number(scores.loc[row, k], 3) for k in ("value", "low", "high")},
        }
    return plots.plot_intervals(table, INTERVALS, w), values


def worst_mistakes(source: Source):
    figure = _by_attribute(source, "07_test", "worst")
    arrays = source.arrays["07_test"]
    surprise = np.abs(arrays["worst_predicted"] - arrays["worst_labels"])
    number = source.words.number
    return figure, {
        "images": number(len(surprise), 0),
        "least": number(surprise.min(), 2),
        "most": number(surprise.max(), 2),
    }


def doubted_labels(source: Source):
    result, number = source.results["appendix"], source.words.number
    shown = len(source.arrays["appendix"]["doubted_images"])
    values = {"images": number(shown, 0), "doubted": number(result["likely_errors"]["count"], 0)}
    return _by_attribute(source, "appendix", "doubted"), values


def _by_attribute(source: Source, notebook: str, kind: str) -> Figure:
    """Show images with label and prediction, one column per attribute."""
    arrays, w = source.arrays[notebook], source.words
    columns = [np.flatnonzero(arrays[f"{kind}_attributes"] == a) for a in range(len(ATTRIBUTES))]
    deepest = max(map(len, columns))
    blank = np.full((3, 64, 64), 255, np.uint8)
    images, titles = [], []
    for place in range(deepest):
        for attribute, indices in enumerate(columns):
            name = f"{w.name(ATTRIBUTES[attribute])}\n" if place == 0 else ""
            index = indices[place] if place < len(indices) else None
            images.append(blank if index is None else arrays[f"{kind}_images"][index])
            titles.append(
                name
                + (
                    ""
                    if index is None
                    else seen(arrays[f"{kind}_labels"][index], arrays[f"{kind}_predicted"][index], w)
                )
            )
    return plots.show_images(np.stack(images), titles, columns=len(ATTRIBUTES))


def seen(label: float, probability: float, w: Words) -> str:
    """Return what an image is labelled and what was predicted, in two lines."""
    return w("label {label}\npredicted {probability}", label=w.number(label, 0), probability=w.number(probability, 2))


def groups(source: Source):
    w = source.words
    table = source.table("07_test", "groups").set_index(["group", "rate", "attribute"])
    table[["value", "low", "high"]] = table[["value", "low", "high"]].astype(float)
    gap = next((gap for gap in source.results["07_test"]["gaps"] if gap["enough"]), None)
    told = w("none with {n} images", n=ENOUGH)
    if gap:
        told = w(
            "{rate} of {attribute} in the group {group}: {gap}",
            rate=w.name(gap["rate"]),
            attribute=w.name(gap["attribute"]),
            group=w.name(gap["group"]),
            gap=w.number(gap["value"], 3, signed=True),
        )
    return plots.plot_slices(table, ENOUGH, w), {"gap": told, "groups": w.number(table.index.levels[0].size, 0)}


def reliability(source: Source):
    calibration, w = source.results["appendix"]["calibration"], source.words
    before, after = (pd.DataFrame(calibration[name]) for name in ("before", "after"))
    table = pd.DataFrame(calibration["table"]).set_index("attribute")
    worst = table["ece"].astype(float).idxmax()
    values = {
        "before": w.number(table["ece"].mean(), 3),
        "after": w.number(table["ece, scaled"].mean(), 3),
        "worst": w.name(str(worst)),
        "worst_ece": w.number(table.loc[worst, "ece"], 3),
    }
    return plots.plot_reliability(before, after, w), values


def gradcam(source: Source):
    arrays, w = source.arrays["appendix"], source.words
    maps, control = (arrays[name] / 255 for name in ("maps", "control"))
    titles = [
        w("label {label}, predicted {probability}", label=w.number(label, 0), probability=w.number(probability, 2))
        for label, probability in zip(arrays["map_labels"], arrays["map_predicted"], strict=True)
    ]
    figure = plots.plot_maps(arrays["map_images"], maps, control, arrays["map_attributes"].tolist(), titles, w)
    alike = alikeness(maps, control)
    return figure, {"images": w.number(len(maps), 0), "alike": "–" if np.isnan(alike) else w.number(alike, 2)}


FIGURES = {
    "summary": Drawing(summary, "07_test"),
    "positive_rates": Drawing(positive_rates, "01_data"),
    "cooccurrence": Drawing(cooccurrence, "01_data"),
    "augmentation": Drawing(augmentation, "01_data", ("before", "after", "labels"), images=True),
    "baselines": Drawing(baselines, "02_baselines"),
    "overfit_losses": Drawing(overfit_losses, "03_overfit"),
    "memorised": Drawing(memorised, "03_overfit", ("images", "probabilities", "labels"), images=True),
    "sweep": Drawing(sweep, "04_lr_finder", ("lr", "loss", "band_lr", "mean", "low", "high")),
    "heatmap": Drawing(heatmap, "05_grid"),
    "parallel": Drawing(parallel, "05_grid"),
    "differences": Drawing(differences, "05_grid"),
    "grid_curves": Drawing(grid_curves, "05_grid"),
    "curves": Drawing(curves, "06_final"),
    "dynamics": Drawing(dynamics, "06_final", ("answers", "labels")),
    "extra": Drawing(extra, "06_final"),
    "steps": Drawing(steps, "06_final"),
    "confusion": Drawing(confusion, "07_test"),
    "intervals": Drawing(intervals, "07_test"),
    "worst_mistakes": Drawing(worst_mistakes, "07_test", ("worst_images",), images=True),
    "groups": Drawing(groups, "07_test"),
    "reliability": Drawing(reliability, "appendix"),
    "gradcam": Drawing(gradcam, "appendix", ("map_images", "maps", "control"), images=True),
    "doubted_labels": Drawing(doubted_labels, "appendix", ("doubted_images",), images=True),
}
"""The figures by name. A figure is drawn by `picture`, once its notebook has run."""
