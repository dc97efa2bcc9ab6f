"""Plots: data in, Axes out; grids are made of them."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.config import ATTRIBUTES

SPLIT_COLOURS = {"train": "#3b6ea5", "valid": "#d98032", "test": "#5b9a68"}
INK, SOFT, ACCENT = "#222831", "#8a94a6", "#b03a48"


def use_style():
    """Set the study's look: quiet axes, readable sizes, the same in every notebook."""
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 9.5,
            "axes.titlesize": 10.5,
            "axes.titleweight": "bold",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": SOFT,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e4e7ec",
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "image.cmap": "viridis",
        }
    )


def show_images(images: np.ndarray, titles: list[str] | None = None, columns: int = 8, size: float = 1.25) -> Figure:
    """Show images (N, 3, H, W), uint8 or float in [0, 1], as a grid."""
    rows = -(-len(images) // columns)
    lines = max((title.count("\n") + 1 for title in titles or [""]), default=1) if titles else 0
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, rows * (size + 0.16 * lines)), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(np.transpose(np.asarray(image), (1, 2, 0)), interpolation="nearest")
        if titles:
            axis.set_title(titles[index], fontsize=7, fontweight="normal")
    return figure


def labels_in_words(targets: np.ndarray) -> str:
    """Return the positive attributes of one image (5,), one a line."""
    return "\n".join(name for name, positive in zip(ATTRIBUTES, targets, strict=True) if positive) or "none"


def plot_rates(rates: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Bars of positive rates, one group an attribute (rows), one bar a split (columns)."""
    ax = ax or plt.subplots(figsize=(7, 3.2))[1]
    width = 0.8 / len(rates.columns)
    for index, split in enumerate(rates.columns):
        positions = np.arange(len(rates)) + (index - (len(rates.columns) - 1) / 2) * width
        bars = ax.bar(positions, rates[split], width * 0.92, label=split, color=SPLIT_COLOURS[split])
        ax.bar_label(bars, [f"{100 * rate:.0f}" for rate in rates[split]], fontsize=7, padding=1)
    ax.set_xticks(range(len(rates)), rates.index)
    ax.set(ylim=(0, 1), ylabel="share of positives", title="Positive rates (percent above the bars)")
    ax.grid(axis="x", visible=False)
    ax.legend(ncols=len(rates.columns))
    return ax


def plot_matrix(table: pd.DataFrame, title: str, ax: Axes | None = None, digits: int = 2, diverging=False) -> Axes:
    """Heat-map of a table with its values written in the cells."""
    ax = ax or plt.subplots(figsize=(0.9 * len(table.columns) + 1.8, 0.5 * len(table) + 1.6))[1]
    values = table.to_numpy(float)
    limit = np.nanmax(np.abs(values)) if diverging else None
    image = ax.imshow(
        values,
        cmap="RdBu_r" if diverging else "viridis",
        vmin=-limit if diverging else None,
        vmax=limit,
        aspect="auto",
    )
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", color=ink, fontsize=8)
    ax.set_xticks(range(len(table.columns)), table.columns, rotation=30, ha="right")
    ax.set_yticks(range(len(table)), table.index)
    ax.set_title(title)
    ax.grid(visible=False)
    return ax


def plot_history(history: pd.DataFrame) -> Figure:
    """Learning curves: losses on the left, valid micro-F1 and accuracy on the right; the best epoch is marked."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    lines = {
        "train_loss": ("train (as trained on)", SPLIT_COLOURS["train"], ":"),
        "train_eval_loss": ("train (eval mode, no augmentation)", SPLIT_COLOURS["train"], "-"),
        "val_loss": ("valid", SPLIT_COLOURS["valid"], "-"),
    }
    for column, (label, colour, style) in lines.items():
        if column in history:
            axes[0].plot(history["epoch"], history[column], style, color=colour, label=label, marker="o", ms=3)
    best = history["epoch"][history["val_loss"].idxmin()]
    axes[0].axvline(best, color=SOFT, lw=1, ls="--", label=f"lowest valid loss: epoch {best}")
    axes[0].set(xlabel="epoch", title="Loss (binary cross-entropy)")
    axes[0].legend(fontsize=8)
    axes[1].plot(history["epoch"], history["val_f1"], color=ACCENT, marker="o", ms=3, label="micro-F1")
    axes[1].plot(history["epoch"], history["val_acc"], color=INK, marker="o", ms=3, label="mean accuracy")
    axes[1].set(xlabel="epoch", title="Valid metrics")
    axes[1].legend(fontsize=8)
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def plot_dynamics(answers: np.ndarray, targets: np.ndarray) -> Figure:
    """A fixed batch's probabilities (epochs, images, 5) against the epoch; solid green where the label is yes."""
    figure, axes = plt.subplots(1, len(ATTRIBUTES), figsize=(10, 2.3), sharey=True)
    epochs = np.arange(1, len(answers) + 1)
    for column, (attribute, axis) in enumerate(zip(ATTRIBUTES, axes, strict=True)):
        for image, positive in enumerate(targets[:, column]):
            look = (SPLIT_COLOURS["test"], "-") if positive else (ACCENT, ":")
            axis.plot(epochs, answers[:, image, column], look[1], color=look[0], lw=1.2, marker=".", ms=3)
        axis.set(title=attribute, xlabel="epoch", ylim=(-0.03, 1.03))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[0].set_ylabel("probability")
    handles = [plt.Line2D([], [], color=SPLIT_COLOURS["test"]), plt.Line2D([], [], color=ACCENT, ls=":")]
    figure.legend(handles, ["label yes", "label no"], loc="outside lower center", ncols=2, fontsize=8)
    return figure


def plot_curves(curves: dict[str, pd.DataFrame], title: str, column: str = "val_loss", ax: Axes | None = None) -> Axes:
    """One curve of `column` against the epoch for each named history."""
    ax = ax or plt.subplots(figsize=(5, 3))[1]
    colours = plt.cm.viridis(np.linspace(0.05, 0.85, len(curves)))
    for (label, history), colour in zip(curves.items(), colours, strict=True):
        ax.plot(history["epoch"], history[column], color=colour, marker="o", ms=3, label=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set(xlabel="epoch", ylabel=column.replace("val_", "valid "), title=title)
    ax.margins(x=0.08)
    ax.legend(fontsize=8)
    return ax


def plot_sweeps(sweeps: dict[int, pd.DataFrame], band: pd.DataFrame, marks: dict[str, float], window) -> Axes:
    """Range tests of several seeds: the smoothed loss of each, their band and mean, suggestions and window."""
    ax = plt.subplots(figsize=(8, 3.6))[1]
    first = next(iter(sweeps.values()))
    ax.plot(first["lr"], first["loss"], color=SOFT, lw=0.6, alpha=0.6, label="each batch (first seed)")
    if len(sweeps) > 1:
        ax.fill_between(band["lr"], band["low"], band["high"], color=INK, alpha=0.15, lw=0, label="range of the seeds")
    ax.plot(band["lr"], band["mean"], color=INK, lw=2, label=f"smoothed, mean of {len(sweeps)}")
    ax.axvspan(*window, color=SPLIT_COLOURS["test"], alpha=0.12, label=f"falls: {window[0]:.1e} to {window[1]:.1e}")
    looks = zip((ACCENT, *SPLIT_COLOURS.values()), ("--", "-.", ":", (0, (1, 1))), strict=True)
    for (name, lr), (colour, style) in zip(marks.items(), looks, strict=False):
        if np.isfinite(lr):
            ax.axvline(lr, color=colour, lw=1.6, ls=style, label=f"{name}: {lr:.1e}")
    low, high = band["mean"].min(), band["mean"].max()
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss (nats)", title="Learning-rate range test")
    ax.set_ylim(low - 0.1, min(high * 1.1, 4 * low) + 0.05)
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_grid(table: pd.DataFrame, value: str = "val_loss") -> Axes:
    """The whole grid as one heat-map: lr and weight decay down, channels and dropout across."""
    pivot = table.pivot(index=["lr", "weight_decay"], columns=["channels_block3", "dropout"], values=value)
    pivot = pivot.sort_index(axis=0).sort_index(axis=1)
    pivot.index = [f"lr {lr:g}, wd {decay:g}" for lr, decay in pivot.index]
    pivot.columns = [f"{channels} ch, dropout {dropout:g}" for channels, dropout in pivot.columns]
    return plot_matrix(pivot, f"Grid: {value.replace('val_', 'valid ')}", digits=4)


def plot_parallel(table: pd.DataFrame, factors: tuple[str, ...], value: str = "val_loss") -> Axes:
    """Parallel coordinates: one line a cell through its factors to its valid loss; the best in red."""
    ax = plt.subplots(figsize=(8, 3.4))[1]
    columns = [*factors, value]
    ranked = table.sort_values(value, ascending=False, na_position="first")
    scaled = pd.DataFrame({name: _spread(ranked[name], as_levels=name in factors) for name in columns})
    for position, (_, row) in enumerate(scaled.iterrows()):
        best = position == len(scaled) - 1
        shade = plt.cm.viridis(0.9 * (1 - position / max(len(scaled) - 1, 1)))
        ax.plot(
            range(len(columns)),
            row,
            color=ACCENT if best else shade,
            lw=2.5 if best else 0.9,
            zorder=2 + best,
        )
    for position, name in enumerate(columns):
        levels = sorted(table[name].unique()) if name in factors else [table[name].min(), table[name].max()]
        heights = _spread(pd.Series(levels), as_levels=name in factors)
        for level, height in zip(levels, heights, strict=True):
            text = f"{level:g}" if name in factors else f"{level:.4f}"
            ax.text(
                position + 0.03,
                height,
                text,
                fontsize=8,
                va="center",
                bbox={"fc": "white", "ec": "none", "pad": 1},
            )
    ax.set_xticks(range(len(columns)), columns)
    ax.set(yticks=[], title="Every cell of the grid; the best in red")
    ax.spines["left"].set_visible(False)
    return ax


def _spread(values: pd.Series, as_levels: bool) -> pd.Series:
    """Map values to [0, 1]: a factor's levels evenly, a measurement linearly."""
    numbers = values.rank(method="dense") if as_levels else values
    span = numbers.max() - numbers.min()
    return (numbers - numbers.min()) / span if span else numbers * 0 + 0.5


def plot_isolation(effects: pd.DataFrame, noise: float | None) -> Figure:
    """For each factor, the best and the mean valid loss of the cells with each value, and the noise of a seed.

    `effects` is `effects.factor_effects`'; `noise` the standard deviation that chance gives a cell's mean over its
    seeds, None where it is unknown.
    """
    factors = list(dict.fromkeys(effects["factor"]))
    figure, axes = plt.subplots(1, len(factors), figsize=(2.4 * len(factors), 3), sharey=True, squeeze=False)
    for axis, factor in zip(axes[0], factors, strict=True):
        rows = effects[effects["factor"] == factor]
        positions = range(len(rows))
        if noise is not None:
            lowest = rows["best"].min()
            axis.axhspan(
                lowest - noise, lowest + noise, color=ACCENT, alpha=0.12, lw=0, label="best ± noise of its mean"
            )
        axis.plot(positions, rows["mean"], "s:", color=SOFT, label="mean of the cells")
        axis.plot(positions, rows["best"], "o-", color=ACCENT, label="best of the rest")
        axis.set_xticks(positions, [f"{value:g}" for value in rows["value"]])
        axis.set_title(factor)
        axis.margins(x=0.25)
    axes[0][0].set_ylabel("valid loss (nats)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def plot_differences(effects: pd.DataFrame) -> Axes:
    """Each value's effect on the valid loss, against its factor's first value, with its 95 % interval."""
    rows = effects.dropna(subset="difference").iloc[::-1]
    ax = plt.subplots(figsize=(7, 0.4 * len(rows) + 1.2))[1]
    for position, row in enumerate(rows.itertuples()):
        colour = ACCENT if row.verdict in ("lower", "higher") else SOFT
        ax.plot([row.low, row.high], [position] * 2, color=colour, lw=2)
        ax.plot(row.difference, position, "o", color=colour)
        ax.annotate(row.verdict, (1.01, position), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    ax.axvline(0, color=INK, lw=1)
    ax.set_yticks(range(len(rows)), [f"{row.factor} {row.value:g}" for row in rows.itertuples()])
    ax.set(
        xlabel="difference of valid loss from the factor's first value (95 % interval)", ylim=(-0.6, len(rows) - 0.4)
    )
    ax.grid(axis="y", visible=False)
    return ax


def plot_steps(steps: pd.DataFrame) -> Figure:
    """What each step brought (`published.measured_steps`): accuracy in points, and loss, with their intervals."""
    steps = steps.dropna(subset="gain").iloc[::-1]
    colours = {"pays": SPLIT_COLOURS["train"], "costs": ACCENT, "mixed": INK, "not beyond chance": SOFT}
    sides = (("gain", 100, "gain in accuracy (points)"), ("change", 1, "change of the loss (lower is better)"))
    figure, axes = plt.subplots(1, 2, figsize=(9, 0.8 + 0.42 * len(steps)), sharey=True)
    for axis, (name, scale, title) in zip(axes, sides, strict=True):
        axis.axvline(0, color=SOFT, lw=1)
        for position, (_, row) in enumerate(steps.iterrows()):
            colour = colours[row["verdict"]]
            axis.plot([scale * row[f"{name}_low"], scale * row[f"{name}_high"]], [position] * 2, color=colour, lw=3)
            axis.plot(scale * row[name], position, "o", color=INK, ms=4)
        axis.set(xlabel=title, ylim=(-0.6, len(steps) - 0.4))
    names = [f"{row.adds} ({row.compared} seed{'s' * (row.compared > 1)})" for row in steps.itertuples()]
    axes[0].set_yticks(range(len(steps)), names)
    return figure


def plot_bars(table: pd.DataFrame, title: str) -> Axes:
    """Horizontal bars, one group a row of the table and one bar a column."""
    ax = table.iloc[::-1].plot.barh(figsize=(7.5, 0.55 * len(table) + 1.2), width=0.8, colormap="viridis")
    ax.set(xlim=(0, 1), title=title, ylabel="")
    ax.grid(axis="y", visible=False)
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_confusion(counts: pd.DataFrame) -> Figure:
    """The 2x2 confusion counts of each attribute, shaded by the share within the true class."""
    figure, axes = plt.subplots(1, len(counts), figsize=(1.9 * len(counts), 2.3))
    for axis, (attribute, row) in zip(np.atleast_1d(axes), counts.iterrows(), strict=True):
        matrix = np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]], float)
        shares = matrix / matrix.sum(1, keepdims=True).clip(min=1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (i, j), count in np.ndenumerate(matrix):
            ink = "white" if shares[i, j] > 0.55 else INK
            axis.text(
                j,
                i,
                f"{count:,.0f}\n{100 * shares[i, j]:.1f} %",
                ha="center",
                va="center",
                fontsize=8,
                color=ink,
            )
        axis.set_xticks([0, 1], ["no", "yes"])
        axis.set_yticks([0, 1], ["no", "yes"])
        axis.set(title=attribute, xlabel="answered")
        axis.grid(visible=False)
    np.atleast_1d(axes)[0].set_ylabel("true")
    return figure


def plot_intervals(table: pd.DataFrame, columns: tuple[str, ...]) -> Figure:
    """Each attribute's metrics with their intervals: over persons (thick), and over images (thin) where given.

    `table` is indexed by (of, metric), with value, low, high and, where there are persons, image_low and image_high.
    """
    figure, axes = plt.subplots(1, len(columns), figsize=(2.6 * len(columns), 2.7), sharey=True)
    for axis, metric in zip(axes, columns, strict=True):
        for position, attribute in enumerate(reversed(ATTRIBUTES)):
            row = table.loc[(attribute, metric)]
            if "image_low" in table:
                axis.plot([row["image_low"], row["image_high"]], [position - 0.18] * 2, color=SOFT, lw=1.2)
            axis.plot([row["low"], row["high"]], [position] * 2, color=SPLIT_COLOURS["train"], lw=3, alpha=0.6)
            axis.plot(row["value"], position, "o", color=INK, ms=4)
        axis.set(title=metric.replace("_", " "), xlabel="fraction", ylim=(-0.5, len(ATTRIBUTES) - 0.5))
        axis.set_yticks(range(len(ATTRIBUTES)), reversed(ATTRIBUTES))
        axis.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def plot_reliability(before: pd.DataFrame, after: pd.DataFrame) -> Figure:
    """Reliability diagrams: share of positives against the answer, as trained and scaled; larger: more images."""
    figure, axes = plt.subplots(1, len(ATTRIBUTES), figsize=(10.5, 2.6), sharey=True)
    looks = {"as trained": (before, SPLIT_COLOURS["train"], "o-"), "scaled": (after, SPLIT_COLOURS["valid"], "s:")}
    for attribute, axis in zip(ATTRIBUTES, axes, strict=True):
        axis.plot([0, 1], [0, 1], color=SOFT, lw=1, ls="--")
        for name, (table, colour, style) in looks.items():
            rows = table[table["attribute"] == attribute]
            axis.plot(rows["probability"], rows["rate"], style[1:], color=colour, lw=1, alpha=0.7)
            sizes = 4 + 60 * np.sqrt(rows["images"] / rows["images"].sum())
            axis.scatter(rows["probability"], rows["rate"], sizes, color=colour, marker=style[0], label=name)
        axis.set(title=attribute, xlabel="mean answer", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes[0].set_ylabel("share of positives")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return figure


def plot_slices(table: pd.DataFrame, fewest: int) -> Figure:
    """True and false positive rate of each attribute by group, with intervals; those of few images are hollow."""
    groups = list(dict.fromkeys(table.index.get_level_values("group")))
    figure, axes = plt.subplots(2, len(ATTRIBUTES), figsize=(10.5, 5), sharey=True)
    for (row, rate), (column, attribute) in itertools.product(enumerate(("tpr", "fpr")), enumerate(ATTRIBUTES)):
        axis = axes[row][column]
        for position, group in enumerate(reversed(groups)):
            each = table.loc[(group, rate, attribute)]
            if not each["images"]:
                continue
            colour = SOFT if each["images"] < fewest else SPLIT_COLOURS["train"]
            axis.plot([each["low"], each["high"]], [position] * 2, color=colour, lw=2.5, alpha=0.6)
            hollow = {"mfc": "white"} if each["images"] < fewest else {}
            axis.plot(each["value"], position, "o", color=colour, ms=4, **hollow)
        axis.set_title(attribute if row == 0 else "")
        axis.set_xlabel("true positive rate" if rate == "tpr" else "false positive rate", fontsize=8)
        axis.set_yticks(range(len(groups)), reversed(groups))
        axis.set_ylim(-0.6, len(groups) - 0.4)
        axis.set_xlim(-0.03, 1.03 if rate == "tpr" else max(0.1, axis.get_xlim()[1]))
        axis.xaxis.set_major_locator(MaxNLocator(3))
    return figure


def plot_maps(images: np.ndarray, maps: np.ndarray, control: np.ndarray, titles: list[str], columns: int = 4) -> Figure:
    """Triples of an image (3, H, W), its Grad-CAM map, and the map with randomised weights; a title each."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, 3 * columns, figsize=(10.5, 1.15 * rows + 0.3), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (image, *overlays) in enumerate(zip(images, maps, control, strict=True)):
        row, first = index // columns, 3 * (index % columns)
        pixels = np.transpose(image, (1, 2, 0))
        for axis, overlay in zip(axes[row][first : first + 3], (None, *overlays), strict=True):
            axis.imshow(pixels)
            if overlay is not None:
                axis.imshow(overlay, cmap="inferno", alpha=0.55, vmin=0, vmax=1)
        axes[row][first + 1].set_title(titles[index], fontsize=6.5, fontweight="normal")
    return figure
