"""Explorers of 07_test: the threshold of an attribute, and the mistakes of a network."""

import functools
import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.config import ATTRIBUTES
from helpers.data.batches import Split
from helpers.evaluation.metrics import bce_losses, confusion_counts, f1, predictions, probabilities, ratio
from helpers.plots.evaluation import plot_counts
from helpers.plots.explorers.explorer import View, explore
from helpers.plots.explorers.mosaic import draw_mosaic, mosaic_height, new_figure, note
from helpers.plots.style import ACCENT, INK, SPLIT_COLOURS
from helpers.plots.words import ENGLISH

MOST_POINTS = 400  # of a curve: more cannot be seen
ROWS, COLUMNS = 2, 6  # of faces on a page
PAGE = ROWS * COLUMNS
ALL = "all"
KINDS = ("false positive", "false negative")

Curves = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # recall, precision, false and true positive rate


def move_threshold(logits: np.ndarray, targets: np.ndarray):
    """Move the threshold of one attribute: its confusion counts, and its place on the two curves.

    The logits and targets (N, 5) are those of valid. Test is not shown beside it, on purpose: whoever moves a threshold
    and looks at test chooses on test.
    """
    from ipywidgets import Dropdown, FloatSlider

    curves = functools.cache(lambda attribute: curves_of(logits, targets, attribute))

    def draw(attribute: str, threshold: float) -> View:
        return view_threshold(logits, targets, curves(attribute), attribute, threshold)

    between = {"min": 0.01, "max": 0.99, "step": 0.01}
    names = [(ENGLISH.name(name), name) for name in ATTRIBUTES]
    attribute = Dropdown(options=names, value="Wearing_Hat", description="attribute")
    explore(
        draw,
        attribute=attribute,
        threshold=FloatSlider(0.3, **between, description="threshold", layout={"width": "400px"}),
    )


def curves_of(logits: np.ndarray, targets: np.ndarray, attribute: str) -> Curves | None:
    """Return the precision-recall curve and the ROC curve of an attribute; None where they are not defined."""
    from sklearn import metrics  # takes a second to import

    column = ATTRIBUTES.index(attribute)
    truth, scores = np.asarray(targets)[:, column], np.asarray(logits)[:, column]
    if len(np.unique(truth)) < 2 or not np.isfinite(scores).all():
        return None
    precision, recall, _ = metrics.precision_recall_curve(truth, scores, drop_intermediate=True)
    false, true, _ = metrics.roc_curve(truth, scores)
    return *_thinned(recall, precision), *_thinned(false, true)


def _thinned(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.unique(np.linspace(0, len(one) - 1, MOST_POINTS).astype(int))
    return one[rows], other[rows]


def at_threshold(logits: np.ndarray, targets: np.ndarray, attribute: str, threshold: float) -> pd.Series:
    """Return the counts tp, fp, fn, tn of an attribute at a threshold, and what is computed from them."""
    counts = confusion_counts(predictions(logits, threshold), targets).loc[attribute]
    tp, fp, fn, tn = counts[["tp", "fp", "fn", "tn"]]
    rates = {"precision": ratio(tp, tp + fp), "recall": ratio(tp, tp + fn), "f1": f1(tp, fp, fn)}
    rates |= {"accuracy": ratio(tp + tn, len(targets)), "false_positive_rate": ratio(fp, fp + tn)}
    return pd.concat([pd.Series(rates, dtype=float), counts.astype(float)])


def view_threshold(
    logits: np.ndarray, targets: np.ndarray, curves: Curves | None, attribute: str, threshold: float
) -> View:
    """Return the view of one attribute at a threshold, beside what the usual threshold of 0.5 gives."""
    here, usual = (at_threshold(logits, targets, attribute, value) for value in (threshold, 0.5))
    figure = new_figure(2.5)
    places = {"left": 0.06, "right": 0.99, "bottom": 0.29, "top": 0.9, "wspace": 0.38}
    counts, *axes = figure.subplots(1, 3, gridspec_kw=places)
    plot_counts(counts, here, ENGLISH.name(attribute))
    counts.invert_yaxis()
    counts.set_ylabel("true")
    sides = (("recall", "precision"), ("false_positive_rate", "recall"))
    titles = ("Precision and recall", "ROC")
    for number, (axis, names, title) in enumerate(zip(axes, sides, titles, strict=True)):
        if curves:
            axis.plot(*curves[2 * number : 2 * number + 2], color=SPLIT_COLOURS["valid"])
        _mark(axis, usual[list(names)], here[list(names)], threshold)
        labels = [ENGLISH.name(name) for name in names]
        axis.set(title=title, xlabel=labels[0], ylabel=labels[1], xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axes[1].set_ylabel("true positive rate")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower right", ncols=2)
    table = pd.DataFrame({f"at {threshold:.2f}": here, "at 0.50": usual}).T.rename(columns=ENGLISH.name)
    return View(figure, _about_threshold(attribute, threshold, here, usual, len(targets)), _readable(table))


def _mark(axis: Axes, usual: pd.Series, here: pd.Series, threshold: float):
    axis.plot(*usual, "o", mfc="white", mec=INK, ms=6, label="threshold 0.50, the usual one")
    axis.plot(*here, "o", color=ACCENT, ms=7, label=f"threshold {threshold:.2f}")


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    counts = ["tp", "fp", "fn", "tn"]
    rates = {name: table[name].map(_rate) for name in table if name not in counts}
    return pd.DataFrame(rates | {name: table[name].map("{:,.0f}".format) for name in counts})


def _about_threshold(attribute: str, threshold: float, here: pd.Series, usual: pd.Series, images: int) -> str:
    found, positives, called = here["tp"], here["tp"] + here["fn"], here["tp"] + here["fp"]
    return (
        f"{ENGLISH.name(attribute)} at a threshold of {threshold:.2f}, on {images:,} valid images: {found:,.0f} of the "
        f"{positives:,.0f} that have it are found (recall {_rate(here['recall'])}), and {found:,.0f} of the "
        f"{called:,.0f} positive predictions are right (precision {_rate(here['precision'])}). F1 {_rate(here['f1'])} "
        f"(at 0.50: {_rate(usual['f1'])}), accuracy {here['accuracy']:.4f} (at 0.50: {usual['accuracy']:.4f})."
    )


def _rate(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.4f}"


# Mistakes


def browse_mistakes(split: Split, logits: np.ndarray):
    """Browse the mistakes of a network on a split, the largest loss first, a page of faces at a time."""
    from ipywidgets import Dropdown, IntSlider

    found = mistakes(logits, split.targets.cpu().numpy())
    attributes = [(ALL, ALL), *((ENGLISH.name(name), name) for name in ATTRIBUTES)]
    explore(
        lambda attribute, kind, page: view_mistakes(split, found, attribute, kind, page),
        attribute=Dropdown(options=attributes, description="attribute"),
        kind=Dropdown(options=[ALL, *KINDS], description="kind"),
        page=IntSlider(1, 1, max(1, math.ceil(len(found) / PAGE)), description="page"),
    )


def mistakes(logits: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Return the wrong predictions at 0.5, the largest loss first: row, attribute, kind, probability (of yes), loss."""
    wrong = predictions(logits) != (np.asarray(targets) >= 0.5)
    rows, columns = np.nonzero(wrong)
    found = {
        "row": rows,
        "attribute": np.array(ATTRIBUTES)[columns],
        "kind": np.where(np.asarray(targets)[wrong] >= 0.5, KINDS[1], KINDS[0]),
        "probability": probabilities(logits)[wrong],
        "loss": bce_losses(logits, targets)[wrong],
    }
    return pd.DataFrame(found).sort_values("loss", ascending=False, kind="stable", ignore_index=True)


def view_mistakes(split: Split, found: pd.DataFrame, attribute: str, kind: str, page: int) -> View:
    """Return one page of the mistakes (of `mistakes`) of an attribute and a kind, or of "all"."""
    kept = found[found["attribute"].isin([attribute] if attribute != ALL else ATTRIBUTES)]
    kept = kept[kept["kind"].isin([kind] if kind != ALL else KINDS)]
    if not len(kept):
        says = f"There is no {_kind_in_words(attribute, kind, 1)} among {len(split):,} images."
        return View(note(says, 1), says, limits={"page": 1})
    pages = math.ceil(len(kept) / PAGE)
    page = min(page, pages)
    first = (page - 1) * PAGE
    shown = kept.iloc[first : first + PAGE]
    says = (
        f"Page {page} of {pages}: {first + 1:,} to {first + len(shown):,} of {len(kept):,} "
        f"{_kind_in_words(attribute, kind, len(kept))} among {len(split):,} images; on this page the loss falls from "
        f"{shown['loss'].iloc[0]:.2f} to {shown['loss'].iloc[-1]:.2f}."
    )
    return View(_faces(split, shown), says, limits={"page": pages})


def _kind_in_words(attribute: str, kind: str, count: int) -> str:
    what = ("mistake" if kind == ALL else kind) + ("" if count == 1 else "s")
    return what if attribute == ALL else f"{what} for {ENGLISH.name(attribute)}"


def _faces(split: Split, shown: pd.DataFrame) -> Figure:
    """Return the faces of a page, each with the attribute, its label and the network's probability below it."""
    images = split.subset(shown["row"].to_numpy()).images.cpu().numpy()
    captions = []
    for row in shown.itertuples():
        label = "yes" if row.kind == KINDS[1] else "no"
        captions.append([ENGLISH.name(row.attribute), f"label {label}, network {row.probability:.2f}"])
    figure = new_figure(mosaic_height(COLUMNS, ROWS, 2))
    draw_mosaic(figure, images, captions, COLUMNS, ROWS, 2)
    return figure
