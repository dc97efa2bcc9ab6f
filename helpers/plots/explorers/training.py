"""Explorers of 06_final: the predictions for a few faces epoch by epoch, and two trainings side by side."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from helpers.config import ATTRIBUTES, IMAGE_SIZE
from helpers.plots.explorers.explorer import View, explore
from helpers.plots.explorers.mosaic import compose, new_figure
from helpers.plots.style import ACCENT, DASHES, LINES, SHADES, SMALLEST, SOFT, SPLIT_COLOURS
from helpers.plots.training import whole_epochs
from helpers.plots.words import ENGLISH

GAP = 4  # pixels between two faces
NAMES = ("run_name", "data_root", "device")  # parameters that change no result; the data are compared themselves


class Training(NamedTuple):
    """A training: its history, one row per epoch, its parameters, and the fingerprint of its dataset."""

    history: pd.DataFrame
    parameters: dict
    data: str


def step_predictions(images: np.ndarray, targets: np.ndarray, answers: np.ndarray, history: pd.DataFrame):
    """Step through the epochs of a training: its predictions for some faces, and its losses.

    `images` are uint8 (B, 3, 64, 64), `targets` (B, 5), `answers` the probabilities (epochs, B, 5) after each epoch.
    """
    from ipywidgets import IntSlider

    best = int(history["epoch"][history["val_loss"].astype(float).idxmin()])
    slider = IntSlider(best, 1, len(answers), description="epoch", layout={"width": "600px"})
    explore(lambda epoch: view_epoch(images, targets, answers, history, epoch), epoch=slider)


def view_epoch(images: np.ndarray, targets: np.ndarray, answers: np.ndarray, history: pd.DataFrame, epoch: int) -> View:
    """Return the view of the predictions after `epoch` (from 1), beside the labels and the losses."""
    figure = new_figure(4.3)
    upper = {"left": 0.125, "right": 0.99, "bottom": 0.43, "top": 0.99, "hspace": 0.02}
    faces, table = figure.subplots(2, 1, height_ratios=(1, 1.4), gridspec_kw=upper)
    curves = figure.add_axes((0.125, 0.1, 0.62, 0.22))
    probability, label = answers[epoch - 1], np.asarray(targets) >= 0.5
    wrong = (probability >= 0.5) != label
    _show_row(faces, images)
    _plot_answers(table, probability, label, wrong)
    _mark_epoch(curves, history, epoch)
    return View(figure, _about_epoch(history, epoch, len(answers), wrong))


def _show_row(axis: Axes, images: np.ndarray):
    """Show the images side by side as one picture, each above its column, since many Axes are slow."""
    place = IMAGE_SIZE + GAP
    corners = [(index * place + GAP // 2, 0) for index in range(len(images))]
    row = compose(images, corners, len(images) * place, IMAGE_SIZE)
    axis.imshow(row, extent=(0, len(images), 0, 1), aspect="auto", interpolation="nearest")
    axis.set_axis_off()


def _plot_answers(axis: Axes, probability: np.ndarray, label: np.ndarray, wrong: np.ndarray):
    """Plot the probabilities (B, 5) with the labels, one column per image; those on the wrong side are framed."""
    axis.pcolormesh(probability.T, cmap=SHADES, vmin=0, vmax=1, edgecolor="white", linewidth=1)
    for (image, attribute), value in np.ndenumerate(probability):
        text = f"{value:.2f} {'yes' if label[image, attribute] else 'no'}"
        weight = "bold" if label[image, attribute] else "normal"
        axis.text(image + 0.5, attribute + 0.5, text, ha="center", va="center", fontsize=SMALLEST, fontweight=weight)
        if wrong[image, attribute]:
            box = (image + 0.03, attribute + 0.06)
            axis.add_patch(Rectangle(box, 0.94, 0.88, fill=False, ec=ACCENT, lw=1.8))
    axis.set_yticks(np.arange(len(ATTRIBUTES)) + 0.5, [ENGLISH.name(name) for name in ATTRIBUTES])
    axis.set_xticks([])
    axis.set_ylim(len(ATTRIBUTES), 0)
    axis.set_xlabel("probability of yes, and the label; framed where the network is wrong", labelpad=3)
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def _mark_epoch(axis: Axes, history: pd.DataFrame, epoch: int):
    """Plot the losses, with a line and a point at one epoch."""
    columns = {"train_eval_loss": ("train, eval mode", "train"), "val_loss": ("valid", "valid")}
    for column, (name, split) in columns.items():
        values = history[column].astype(float)
        axis.plot(history["epoch"], values, color=SPLIT_COLOURS[split], marker=".", label=name)
        axis.plot(epoch, values.iloc[epoch - 1], "o", color=SPLIT_COLOURS[split], ms=7)
    axis.axvline(epoch, color=SOFT, lw=1, ls="--", label=f"epoch {epoch}")
    whole_epochs(axis, ENGLISH)
    axis.set_ylabel("loss (nats)")
    axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))


def _about_epoch(history: pd.DataFrame, epoch: int, epochs: int, wrong: np.ndarray) -> str:
    loss = history["val_loss"].iloc[epoch - 1]
    by_attribute = {ENGLISH.name(name): int(count) for name, count in zip(ATTRIBUTES, wrong.sum(0), strict=True)}
    where = ", ".join(f"{name} {count}" for name, count in by_attribute.items() if count)
    return (
        f"After epoch {epoch} of {epochs}, {wrong.size - wrong.sum()} of {wrong.size} answers about these {len(wrong)} "
        f"faces are right{f' (wrong: {where})' if where else ''}; the loss on all of valid is {loss:.4f}."
    )


# Two trainings


def compare_trainings(own: dict[str, tuple[pd.DataFrame, dict]], elsewhere: dict[str, dict], data: str):
    """Compare this run's first training with another one: their curves, and the parameters in which they differ.

    `own` has the history and the parameters of each training of this run by its name, and `data` the fingerprint of its
    dataset. `elsewhere` has the results of 06_final in other runs (`Run.elsewhere`).
    """
    from ipywidgets import Dropdown

    trainings = {name: Training(history, parameters, data) for name, (history, parameters) in own.items()}
    for name, results in elsewhere.items():
        history = pd.DataFrame(results["history"])
        trainings[f"run {name}"] = Training(history, results["parameters"], results["data"]["fingerprint"])
    first, *others = trainings
    if not others:
        raise ValueError("There is no training to compare with.")

    def draw(other: str) -> View:
        return view_two({name: trainings[name] for name in (first, other)})

    explore(draw, other=Dropdown(options=others, description="compare with"))


def view_two(trainings: dict[str, Training]) -> View:
    """Return the curves of two named trainings on valid, and the table of the parameters in which they differ."""
    figure = new_figure(2.7)
    places = {"left": 0.09, "right": 0.99, "bottom": 0.29, "top": 0.91, "wspace": 0.25}
    panels = {"val_loss": ("Valid loss", "loss (nats)"), "val_acc": ("Accuracy on valid", "mean accuracy (fraction)")}
    axes = figure.subplots(1, 2, gridspec_kw=places)
    for axis, (column, (title, unit)) in zip(axes, panels.items(), strict=True):
        for (label, training), colour, dash in zip(trainings.items(), LINES, DASHES, strict=False):
            values = training.history[column].astype(float)
            axis.plot(training.history["epoch"], values, dash, color=colour, marker="o", label=label)
        axis.set(title=title, ylabel=unit)
        whole_epochs(axis, ENGLISH)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=2)
    return View(figure, _about_two(*trainings.items()), differences(trainings))


def _about_two(one: tuple[str, Training], other: tuple[str, Training]) -> str:
    lowest, parts = [], []
    for name, training in (one, other):
        losses = training.history["val_loss"].astype(float)
        best = training.history.iloc[int(np.nan_to_num(losses, nan=np.inf).argmin())]
        lowest.append(losses.min())
        told = f"{losses.min():.4f} (accuracy {best['val_acc']:.4f}, epoch {best['epoch']:.0f})"
        parts.append(f"{name} {'none, it diverged' if losses.isna().all() else told}")
    alike = _measured_on(one[1]) == _measured_on(other[1])
    note = "" if alike else " They were measured on different images, so compare them with care."
    gap = lowest[1] - lowest[0]
    told = "" if np.isnan(gap) else f", a difference of {gap:+.4f}"
    return f"Lowest valid loss: {' and '.join(parts)}{told}.{note}"


def _measured_on(training: Training) -> tuple:
    """Return what determines the valid images: the dataset and, of a random subset, its size and seed."""
    limit = training.parameters.get("valid_images")
    return training.data, limit, training.parameters.get("seed") if limit else None


def differences(trainings: dict[str, Training]) -> pd.DataFrame:
    """Return the parameters in which trainings differ, one row each, and one column per training."""
    known = list(next(iter(trainings.values())).parameters)
    rows = {}
    hidden: set[str] = set(NAMES)
    if any(each.parameters.get("arch", "course") != "course" for each in trainings.values()):
        hidden.add("channels_block3")  # which only the course's network has
    for name in (*(name for name in known if name not in hidden), "data"):
        values = [(each.parameters | {"data": each.data}).get(name, "not known") for each in trainings.values()]
        if values[0] != values[1]:
            rows[name] = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(trainings)).rename_axis(
        "parameter", axis="columns"
    )
