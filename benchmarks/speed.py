"""How fast, against the plain way: `python benchmarks/speed.py [--json FILE] [--figure FILE]`.

Each row is measured in turn, plain and ours one right after the other, several times over, each side in a
process of its own (the allocator's settings are the process's). The ratio is that of the medians. Runs on
CPU; on drawn faces, or on those of --data-root. benchmarks/gpu.py does the same for a GPU.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import peers
import sides
import torch

from helpers.system.devices import describe


@dataclass(frozen=True)
class Row:
    """A line of the table: what is measured, in which unit, on which two sides, and how often."""

    name: str
    unit: str
    plain: Callable[[], float] | None
    ours: Callable[[], float]
    against: str = "plain"
    most: int | None = None  # samples, where one takes long; such a one needs no warm-up

    def taken_in(self, repeat: int) -> bool:
        """Say whether to take a sample in a repeat; repeat 0 warms up."""
        return self.most is None or 0 < repeat <= self.most

    @property
    def fast_is_high(self) -> bool:
        return self.unit == "images/s"


LIGHTNING, FASTAI = f"Lightning {peers.version('lightning')}", f"fastai {peers.version('fastai')}"
ROWS = [
    Row("input_batches", "images/s", sides.plain_input, sides.our_input),
    # The same again: the exact jitter passes the target of a cheaper one, so there is no cheaper one.
    Row("input_batches_fast", "images/s", sides.plain_input, sides.our_input),
    Row("train_step_cpu", "images/s", sides.plain_step, sides.our_step),
    Row("epoch_cpu", "images/s", sides.plain_epoch, sides.our_epoch_bf16),
    Row("epoch_cpu_fp32", "images/s", sides.plain_epoch, sides.our_epoch_fp32),
    Row("epoch_cpu_lightning", "images/s", sides.lightning_epoch, sides.our_epoch_bf16, LIGHTNING, most=2),
    Row("epoch_cpu_fastai", "images/s", sides.fastai_epoch, sides.our_epoch_bf16, FASTAI, most=2),
    Row("trainer_overhead", "ms a step", sides.plain_overhead, sides.our_overhead),
    Row("trainer_overhead_lightning", "ms a step", sides.lightning_overhead, sides.our_overhead, LIGHTNING),
    Row("trainer_overhead_fastai", "ms a step", sides.fastai_overhead, sides.our_overhead, FASTAI),
    Row("cache_build", "images/s", sides.plain_decode, sides.our_decode),
    Row("evaluation", "images/s", sides.plain_evaluation, sides.our_evaluation),
    Row("identity_bootstrap", "s", None, sides.our_bootstrap, most=3),
    Row("identity_bootstrap_rankings", "s", None, sides.our_bootstrap_of_rankings, most=3),
    Row("demo", "s", None, sides.demo, most=1),
]


def silence():
    """Keep the bars and warnings of the measured processes off the terminal."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open for the process's life)


def measure(rows: list[Row], repeats: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return the samples of each row, plain and ours, taken in turn; the first of each warms up and is dropped."""
    pools: dict[str, ProcessPoolExecutor] = {}

    def sample(side: str, function: Callable[[], float]) -> float:
        if side not in pools:
            pools[side] = ProcessPoolExecutor(1, get_context("spawn"), silence)
        return pools[side].submit(function).result()

    samples = {row.name: ([], []) for row in rows}
    for repeat in range(repeats + 1):
        for row in rows:
            if not row.taken_in(repeat):
                continue
            pair = (sample(row.against, row.plain) if row.plain else None, sample("ours", row.ours))
            for kept, value in zip(samples[row.name], pair, strict=True):
                if value is not None and repeat:
                    kept.append(value)
        print(f"repeat {repeat} of {repeats} done" + (" (warm-up)" if repeat == 0 else ""), file=sys.stderr)
    for pool in pools.values():
        pool.shutdown()
    return samples


def summarise(row: Row, plain_samples: list[float], our_samples: list[float]) -> dict:
    """Return a row of the JSON: medians, their ratio (above 1 is faster), and the ratio's spread over the repeats."""
    result = {"name": row.name, "unit": row.unit, "against": row.against if row.plain else None}
    result |= {"samples_plain": plain_samples, "samples_ours": our_samples}
    result |= {"plain": None, "ours": statistics.median(our_samples), "ratio": None, "spread": None}
    if plain_samples:
        result["plain"] = statistics.median(plain_samples)

        def ratio(theirs: float, ours: float) -> float:
            return ours / theirs if row.fast_is_high else theirs / ours

        each = [ratio(*pair) for pair in zip(plain_samples, our_samples, strict=True)]
        result |= {"ratio": ratio(result["plain"], result["ours"]), "spread": [min(each), max(each)]}
    return result


def as_table(rows: list[dict]) -> str:
    """Return the results as a Markdown table."""

    def figure(value: float | None) -> str:
        return "" if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"

    lines = ["| name | against | plain | ours | unit | ratio | its spread |", "|---|---|--:|--:|---|--:|--:|"]
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        spread = "" if row["spread"] is None else "{:.2f} to {:.2f}".format(*row["spread"])
        trials = [row["against"] or "", figure(row["plain"]), figure(row["ours"]), row["unit"], ratio, spread]
        lines.append(f"| `{row['name']}` | " + " | ".join(trials) + " |")
    return "\n".join(lines)


def draw(rows: list[dict], machine: str, path: Path):
    """Draw the images a second of a whole training epoch, ours beside the others'."""
    import matplotlib.pyplot as plt

    by_name = {row["name"]: row for row in rows}
    bars = {"plain PyTorch": by_name["epoch_cpu"]["plain"]}
    for name in ("epoch_cpu_fastai", "epoch_cpu_lightning"):
        if name in by_name:
            bars[by_name[name]["against"]] = by_name[name]["plain"]
    bars |= {"this study, fp32": by_name["epoch_cpu_fp32"]["ours"], "this study, bf16": by_name["epoch_cpu"]["ours"]}
    figure, axes = plt.subplots(figsize=(7, 2.4))
    colours = ["#2a6f97" if name.startswith("this") else "#b8b8b8" for name in bars]
    drawn = axes.barh(list(bars), list(bars.values()), color=colours)
    axes.bar_label(drawn, fmt="{:.0f}", padding=4)
    axes.invert_yaxis()
    axes.set(xlabel="training images a second, input included", title=f"One epoch on {machine}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    figure.savefig(path, dpi=150, bbox_inches="tight", facecolor="white")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--figure", type=Path, help="draw images a second there (PNG)")
    parser.add_argument("--data-root", default="drawn", help="a CelebA folder; drawn faces without")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", help="only these, by name, with commas between")
    options = parser.parse_args()
    installed = {LIGHTNING: peers.version("lightning"), FASTAI: peers.version("fastai")}
    rows = [row for row in ROWS if installed.get(row.against, True)]
    if options.rows:
        rows = [row for row in rows if row.name in options.rows.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"BENCHMARK_DATA": options.data_root, "BENCHMARK_JPEGS": folder}
        for name in sides.names():
            (Path(folder) / name).write_bytes(sides.dataset().images.read(name))
        sides.train_split()  # builds the cache where there is none
        samples = measure(rows, options.repeats)
    results = [summarise(row, *samples[row.name]) for row in rows]
    machine = f"{describe(sides.CPU)}, torch {torch.__version__}, Python {platform.python_version()}"
    content = {"machine": machine, "data": sides.dataset().source, "repeats": options.repeats, "rows": results}
    print(
        f"{machine}; {sides.dataset().source}; medians of {options.repeats} (long rows: fewer)\n\n{as_table(results)}"
    )
    if options.json:
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.figure:
        draw(results, describe(sides.CPU), options.figure)


if __name__ == "__main__":
    main()
