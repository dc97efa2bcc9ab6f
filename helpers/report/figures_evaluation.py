"""The report's figures of the evaluation on test.

Each function is named as its figure is in `figures.FIGURES`.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers import plots
from helpers.config import ATTRIBUTES
from helpers.evaluation.gradcam import alikeness
from helpers.evaluation.groups import ENOUGH
from helpers.plots.evaluation import plot_summary
from helpers.plots.words import Words
from helpers.report.figure_source import Drawn, Source

SUMMARY = ("mean_accuracy", "exact_match", "micro_f1")
INTERVALS = ("accuracy", "f1", "auroc", "average_precision")


def summary(source: Source) -> Drawn:
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


def confusion(source: Source) -> Drawn:
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


def intervals(source: Source) -> Drawn:
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


def worst_mistakes(source: Source) -> Drawn:
    figure = _by_attribute(source, "07_test", "worst")
    arrays = source.arrays["07_test"]
    surprise = np.abs(arrays["worst_predicted"] - arrays["worst_labels"])
    number = source.words.number
    return figure, {
        "images": number(len(surprise), 0),
        "least": number(surprise.min(), 2),
        "most": number(surprise.max(), 2),
    }


def doubted_labels(source: Source) -> Drawn:
    result, number = source.results["appendix"], source.words.number
    shown = len(source.arrays["appendix"]["doubted_images"])
    values = {"images": number(shown, 0), "doubted": number(result["likely_errors"]["count"], 0)}
    return _by_attribute(source, "appendix", "doubted"), values


def _by_attribute(source: Source, notebook: str, kind: str) -> Figure:
    """Show images with label and prediction, one column per attribute; a place without an image stays empty."""
    arrays, w = source.arrays[notebook], source.words
    columns = [np.flatnonzero(arrays[f"{kind}_attributes"] == a) for a in range(len(ATTRIBUTES))]
    places = [(line, a) for line in range(max(map(len, columns))) for a in range(len(ATTRIBUTES))]
    images = np.full((len(places), 3, 64, 64), 255, np.uint8)
    titles = [f"{w.name(ATTRIBUTES[a])}\n" if line == 0 else "" for line, a in places]
    for number, (line, a) in enumerate(places):
        if line < len(columns[a]):
            index = columns[a][line]
            images[number] = arrays[f"{kind}_images"][index]
            titles[number] += seen(*(float(arrays[f"{kind}_{name}"][index]) for name in ("labels", "predicted")), w)
        elif line == 0:
            titles[number] += w("no image")
    return plots.show_images(images, titles, columns=len(ATTRIBUTES), width=4.3)


def seen(label: float, probability: float, w: Words) -> str:
    """Return what an image is labelled and what was predicted, in two lines."""
    return w("label {label}\npredicted {probability}", label=w.number(label, 0), probability=w.number(probability, 2))


def groups(source: Source) -> Drawn:
    w = source.words
    table = source.table("07_test", "groups").set_index(["group", "rate", "attribute"])
    table[["value", "low", "high"]] = table[["value", "low", "high"]].astype(float)
    gap = next((gap for gap in source.results["07_test"]["gaps"] if gap["enough"]), None)
    told = w("none with enough images of enough people")
    if gap:
        told = w(
            "{rate} of {attribute} in the group {group}: {gap}",
            rate=w.name(gap["rate"]),
            attribute=w.name(gap["attribute"]),
            group=w.name(gap["group"]),
            gap=w.number(gap["value"], 3, signed=True),
        )
    return plots.plot_slices(table, ENOUGH, w), {"gap": told, "groups": w.number(table.index.levels[0].size, 0)}


def reliability(source: Source) -> Drawn:
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


def gradcam(source: Source) -> Drawn:
    arrays, w = source.arrays["appendix"], source.words
    maps, control = (arrays[name] / 255 for name in ("maps", "control"))
    titles = [
        w("label {label}, predicted {probability}", label=w.number(label, 0), probability=w.number(probability, 2))
        for label, probability in zip(arrays["map_labels"], arrays["map_predicted"], strict=True)
    ]
    figure = plots.plot_maps(arrays["map_images"], maps, control, arrays["map_attributes"].tolist(), titles, w)
    alike = alikeness(maps, control)
    return figure, {"images": w.number(len(maps), 0), "alike": "–" if np.isnan(alike) else w.number(alike, 2)}
