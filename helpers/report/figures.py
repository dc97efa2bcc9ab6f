"""The report's figures, drawn from the saved results of a run in the language of the report."""

import base64
import io
from collections.abc import Callable
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from helpers.plots.style import use_style
from helpers.report import figures_evaluation, figures_training
from helpers.report.figure_source import Drawn, Source, source

__all__ = ["FIGURES", "Picture", "Source", "draw", "is_ready", "picture", "source"]

CENTIMETRES = 2.54  # in an inch


class Picture(NamedTuple):
    """A drawn figure: a data URI for the `src` of an image, its alt text, and the width at which it is printed."""

    src: str
    alt: str
    centimetres: float


class Drawing(NamedTuple):
    """How a figure is drawn, the notebook whose results or arrays it shows, and whether it is a picture of images."""

    draw: Callable[[Source], Drawn]
    notebook: str
    arrays: tuple[str, ...] = ()
    images: bool = False


def is_ready(name: str, source: Source) -> bool:
    """Return whether the run has the results and the arrays of a figure; empty arrays have nothing to show."""
    needed, saved = FIGURES[name], source.arrays.get(FIGURES[name].notebook, {})
    return needed.notebook in source.results and all(len(saved.get(array, ())) for array in needed.arrays)


def draw(name: str, source: Source) -> tuple[Figure, str]:
    """Return a figure and its alt text, which says with numbers what the figure shows."""
    with plt.rc_context():
        use_style()
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
    with plt.ioff(), plt.rc_context():
        use_style()
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


FIGURES = {
    "summary": Drawing(figures_evaluation.summary, "07_test"),
    "positive_rates": Drawing(figures_training.positive_rates, "01_data"),
    "cooccurrence": Drawing(figures_training.cooccurrence, "01_data"),
    "augmentation": Drawing(figures_training.augmentation, "01_data", ("before", "after", "labels"), images=True),
    "baselines": Drawing(figures_training.baselines, "02_baselines"),
    "overfit_losses": Drawing(figures_training.overfit_losses, "03_overfit"),
    "memorised": Drawing(figures_training.memorised, "03_overfit", ("images", "probabilities", "labels"), images=True),
    "sweep": Drawing(figures_training.sweep, "04_lr_finder", ("lr", "loss", "band_lr", "mean", "low", "high")),
    "heatmap": Drawing(figures_training.heatmap, "05_grid"),
    "parallel": Drawing(figures_training.parallel, "05_grid"),
    "differences": Drawing(figures_training.differences, "05_grid"),
    "grid_curves": Drawing(figures_training.grid_curves, "05_grid"),
    "curves": Drawing(figures_training.curves, "06_final"),
    "dynamics": Drawing(figures_training.dynamics, "06_final", ("answers", "labels")),
    "extra": Drawing(figures_training.extra, "06_final"),
    "steps": Drawing(figures_training.steps, "06_final"),
    "scaling": Drawing(figures_training.scaling, "06_final"),
    "confusion": Drawing(figures_evaluation.confusion, "07_test"),
    "intervals": Drawing(figures_evaluation.intervals, "07_test"),
    "worst_mistakes": Drawing(figures_evaluation.worst_mistakes, "07_test", ("worst_images",), images=True),
    "groups": Drawing(figures_evaluation.groups, "07_test"),
    "reliability": Drawing(figures_evaluation.reliability, "appendix"),
    "gradcam": Drawing(figures_evaluation.gradcam, "appendix", ("map_images", "maps", "control"), images=True),
    "doubted_labels": Drawing(figures_evaluation.doubted_labels, "appendix", ("doubted_images",), images=True),
}
"""The figures by name. A figure is drawn by `picture`, once its notebook has run."""
