"""How would the error go on with more training images? `python benchmarks/forecast.py`

Reads the trainings that scaling.py kept and fits a power law with an offset to each network's error on valid:
floor + scale n^-exponent (Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017). Keeps the curves
in the same JSON file, for 06_final and the report, draws the figure, and writes the tables between the marks in
README.md and benchmarks/README.md.
"""

import json
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from helpers.config import ROOT
from helpers.data.official import OFFICIAL_SIZES
from helpers.plots import plot_scaling
from helpers.plots.style import use_style
from helpers.report.published import measured_scaling
from helpers.system.files import write_text
from helpers.system.records import plain

RESULTS = Path(__file__).with_name("scaling-third.json")
FIGURE = ROOT / "figures" / "readme" / "scaling.png"
PAGES = {"scaling": ROOT / "benchmarks" / "README.md", "forecast": ROOT / "README.md"}  # by the mark of each part
ALL = OFFICIAL_SIZES["train"]
NETWORKS = {"course": "the course's network and recipe", "fine": "`fine`"}
AVERAGES = {
    "course_averaged": "the course's, with EMA, against without",
    "fine_unaveraged": "`fine` without EMA, against with",
}
METRICS: dict[str, Callable[[dict], float]] = {
    "error": lambda row: 1 - row["valid"]["mean_accuracy"],
    "loss": lambda row: row["valid"]["loss"],
}
RESAMPLES = 1_000
EXPONENTS = np.geomspace(0.02, 3, 500)
DRAWN = 40  # points of a curve
FEWEST = 4  # sizes: three parameters pass through any three points


@dataclass(frozen=True)
class Fit:
    """A fitted curve: its parameters (floor, scale, exponent), and those of the resamples (R, 3)."""

    parameters: np.ndarray
    resampled: np.ndarray

    def at(self, images) -> np.ndarray:
        """Return the curve at these numbers of images."""
        return curve(np.asarray(images, float), *self.parameters)

    def interval(self, images) -> np.ndarray:
        """Return the 95 % interval of the curve at these numbers of images, as two rows."""
        curves = [curve(np.asarray(images, float), *each) for each in self.resampled]
        return np.quantile(curves, (0.025, 0.975), axis=0)

    def bounds(self, index: int) -> np.ndarray:
        """Return the 95 % interval of one of the parameters."""
        return np.quantile(self.resampled[:, index], (0.025, 0.975))


def curve(images: np.ndarray, floor: float, scale: float, exponent: float) -> np.ndarray:
    """Return floor + scale (images / 1,000)^-exponent."""
    return floor + scale * (images / 1000) ** -exponent


def fit(images: np.ndarray, errors: np.ndarray, offset: bool = True, seed: int = 0) -> Fit:
    """Fit the curve by least squares of the relative errors, or, without `offset`, one whose floor is 0.

    The uncertainty is a bootstrap of the residuals, each training (a size and a seed) being one point. With few points
    it is too narrow, for two reasons. Residuals of a fit are smaller than the noise: they are scaled for the number of
    parameters. And the size of the noise is itself uncertain: they are scaled by Student's factor for 95 % too.
    """
    found = least_squares(images, errors[None], offset)
    fitted, freedom = curve(images, *found[0]), len(errors) - 2 - offset
    student = stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    residuals = np.log(errors / fitted) * np.sqrt(len(errors) / freedom) * student
    drawn = np.random.default_rng(seed).choice(residuals, (RESAMPLES, len(errors)))
    return Fit(found[0], least_squares(images, fitted * np.exp(drawn), offset))


def least_squares(images: np.ndarray, errors: np.ndarray, offset: bool) -> np.ndarray:
    """Return floor, scale and exponent (R, 3) of the curves through errors (R, N).

    For each exponent of a grid, floor and scale follow from the linear least squares of curve / error = 1. The best
    exponent is taken. So the search always ends, and a floor is never below 0.
    """
    power, one = (images / 1000) ** -EXPONENTS[:, None], 1 / errors  # (E, N), (R, N)
    uu, u1 = (one**2).sum(1)[:, None], one.sum(1)[:, None]  # (R, 1)
    uv, vv, v1 = one**2 @ power.T, one**2 @ (power**2).T, one @ power.T  # (R, E)
    floor = (u1 * vv - uv * v1) / (uu * vv - uv**2)
    floor = np.maximum(floor, 0) if offset else np.zeros_like(vv)
    scale = (v1 - floor * uv) / vv
    cost = uu * floor**2 + vv * scale**2 + 2 * (uv * floor * scale - u1 * floor - v1 * scale)
    best = cost.argmin(1)
    rows = np.arange(len(errors))
    return np.column_stack([floor[rows, best], scale[rows, best], EXPONENTS[best]])


def trainings(path: Path = RESULTS) -> list[dict]:
    """Return the rows of the trainings that were made."""
    return json.loads(path.read_text(encoding="utf-8"))["trainings"]


def points(rows: list[dict], network: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of images and the errors of a network's trainings."""
    of = [row for row in rows if row["network"] == network]
    return np.array([row["images"] for row in of], float), np.array([METRICS[metric](row) for row in of])


def fits(rows: list[dict]) -> dict[tuple[str, str], tuple[Fit, Fit]]:
    """Return, by network and metric, the fits with and without an offset, where there are enough sizes."""
    found = {}
    for network in NETWORKS:
        for metric in METRICS:
            images, errors = points(rows, network, metric)
            if len(set(images)) >= FEWEST:
                found[network, metric] = fit(images, errors), fit(images, errors, offset=False)
    return found


# What is written


def measured_table(rows: list[dict]) -> str:
    """Return the means over the seeds as Markdown: one row per number of images."""
    lines = [
        "| train images | persons | seeds | course: accuracy | loss | train loss | `fine`: accuracy | loss "
        "| train loss |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for size in sorted({row["images"] for row in rows}):
        of = {name: [r for r in rows if (r["network"], r["images"]) == (name, size)] for name in NETWORKS}
        first = next(row for row in rows if row["images"] == size)
        seeds = "/".join(str(len(each)) for each in of.values())
        cells = [f"{size:,}", f"{first['persons']:,}" if first["persons"] else "", seeds]
        for name in NETWORKS:
            wanted = (("valid", "mean_accuracy"), ("valid", "loss"), ("train", "loss"))
            cells += [_mean(of.get(name, []), *each) for each in wanted]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ema_table(rows: list[dict]) -> str:
    """Return how each training differs with, or without, the moving average of its weights: Markdown, a row each."""
    lines = [
        "| training | train images | accuracy | loss | accuracy, difference (points) | loss, difference |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        if "difference" in row:
            cells = [AVERAGES[row["network"]], f"{row['images']:,}"]
            cells += [f"{row['valid'][metric]:.4f}" for metric in ("mean_accuracy", "loss")]
            for metric, scale, digits in (("mean_accuracy", 100, 2), ("loss", 1, 4)):
                value, low, high = (scale * row["difference"][metric][end] for end in ("value", "low", "high"))
                cells.append(f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(rows: list[dict], split: str, metric: str) -> str:
    values = [row[split][metric] for row in rows if split in row]
    return f"{statistics.mean(values):.4f}" if values else ""


def fit_table(found: dict[tuple[str, str], tuple[Fit, Fit]]) -> str:
    """Return the fits as Markdown: one row per network and metric."""
    lines = [
        f"| network | fitted to | floor | exponent | forecast for {ALL:,} images | the same without a floor |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for (network, metric), (ours, floorless) in found.items():
        (floor, _, exponent), (low, high) = ours.parameters, ours.bounds(0)
        steep, flat = ours.bounds(2)[::-1]
        cells = [NETWORKS[network], "1 − accuracy" if metric == "error" else "loss"]
        cells += [f"{floor:.3f} ({low:.3f} to {high:.3f})", f"{exponent:.2f} ({flat:.2f} to {steep:.2f})"]
        cells += [_forecast(each) for each in (ours, floorless)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _forecast(of: Fit) -> str:
    low, high = of.interval([ALL])[:, 0]
    return f"{of.at([ALL])[0]:.4f} ({low:.4f} to {high:.4f})"


def parts(rows: list[dict]) -> dict[str, str]:
    """Return what is written between the marks, by mark."""
    found = fits(rows)
    if not found:
        sizes = len({row["images"] for row in rows})
        none = f"measured at {sizes} of 6 sizes so far. A curve needs {FEWEST}, so nothing is forecast yet."
        told = (
            f"How the error falls with the number of training images [is studied](benchmarks/README.md#scaling): {none}"
        )
        return {"scaling": f"{measured_table(rows)}\n\nThe error was {none}", "forecast": told}
    accuracy = [
        f"{1 - ours.at([ALL])[0]:.3f} ({1 - high:.3f} to {1 - low:.3f}) for {NETWORKS[network]}"
        for (network, metric), (ours, _) in found.items()
        if metric == "error"
        for low, high in [ours.interval([ALL])[:, 0]]
    ]
    told = [
        f"**Forecast** of the accuracy on valid with all {ALL:,} training images, from subsets of 53,289: "
        f"{'; '.join(accuracy)}. [How it was made](benchmarks/README.md#scaling), and how far it can be trusted.",
        f"![The error against the number of training images](figures/readme/{FIGURE.name})",
        "*Measured on 6,674 valid images (filled), fitted (line) and forecast (dashed), with 95 % intervals.*",
    ]
    tables = [measured_table(rows), fit_table(found)]
    tables += [ema_table(rows)] if any("difference" in row for row in rows) else []
    return {"scaling": "\n\n".join(tables), "forecast": "\n\n".join(told)}


def between_marks(text: str, mark: str, content: str) -> str:
    """Return a page's text with `content` between its marks."""
    begin, end = f"<!-- {mark}: written by benchmarks/forecast.py -->", f"<!-- end of {mark} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"The page has no part between {begin} and {end}.")
    return pattern.sub(lambda _: f"{begin}\n\n{content}\n\n{end}", text)


def curves(rows: list[dict]) -> list[dict]:
    """Return the fitted curves with their intervals, from the fewest images measured to all of CelebA, as rows."""
    drawn = []
    for (network, metric), (ours, _) in fits(rows).items():
        measured = points(rows, network, metric)[0]
        images = np.union1d(np.geomspace(measured.min(), ALL, DRAWN).round(), measured)
        each = zip(images, ours.at(images), *ours.interval(images), strict=True)
        names = ("images", "fitted", "low", "high")
        drawn += [{"network": network, "metric": metric} | dict(zip(names, values, strict=True)) for values in each]
    return drawn


def main():
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = content["trainings"]
    write_text(RESULTS, json.dumps(plain(content | {"curves": curves(rows)}), indent=1) + "\n")
    for mark, part in parts(rows).items():
        page = PAGES[mark]
        write_text(page, between_marks(page.read_text(encoding="utf-8"), mark, part))
        print(part)
    if fits(rows):
        use_style()
        plot_scaling(measured_scaling(RESULTS)).savefig(FIGURE, metadata={"Software": None})


if __name__ == "__main__":
    main()
