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
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import peers
import plain
import torch
from torch import nn

from helpers.batches import Split, load_split, normalise, training_batches
from helpers.bootstrap import bootstrap_scores
from helpers.cache import decode
from helpers.celeba import open_dataset
from helpers.config import ROOT, Config
from helpers.devices import describe, keep_freed_memory
from helpers.grid import grid_cells, run_grid
from helpers.models import build_model
from helpers.steps import build_optimizer, train_step
from helpers.training import fit, predict_logits

CPU = torch.device("cpu")
EPOCH_IMAGES = 768  # in a training epoch that is measured: 12 batches
CONFIG = Config(device="cpu", lr=0.005, max_epochs=1)


# What the processes measure with. Loaded once in each.


@cache
def dataset():
    return open_dataset(os.environ["BENCHMARK_DATA"], allow_missing=True)


@cache
def names() -> list[str]:
    """The first training images' file names; --data-root may be a zip, so the files are written out for PIL."""
    annotations = dataset().annotations
    return list(annotations.index[annotations["split"] == "train"][:EPOCH_IMAGES])


@cache
def train_split() -> Split:
    return load_split(dataset(), "train", CPU).subset(range(len(names())))


@cache
def jpeg_loader(augmented: bool):
    targets = train_split().targets
    faces = plain.FacesFolder(Path(os.environ["BENCHMARK_JPEGS"]), names(), targets, augmented)
    return plain.loader(faces, shuffle=augmented)


@cache
def plain_model():
    torch.manual_seed(0)
    model = plain.PlainCNN()
    return model, torch.optim.Adam(model.parameters(), lr=CONFIG.lr, weight_decay=CONFIG.weight_decay)


@cache
def our_model(precision: str):
    model = build_model(0, CPU)
    return model, build_optimizer(model, CONFIG)


@cache
def one_batch():
    generator = torch.Generator().manual_seed(0)
    return next(training_batches(train_split(), 64, generator))


def timed(function: Callable) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


# The rows' two sides: each returns one sample.


def plain_input() -> float:
    return len(names()) / timed(lambda: [None for _ in jpeg_loader(True)])


def our_input() -> float:
    generator = torch.Generator()
    return len(names()) / timed(lambda: [None for _ in training_batches(train_split(), 64, generator)])


def plain_step(steps: int = 4) -> float:
    model, optimizer = plain_model()
    images, targets = one_batch()
    batches = [(images.contiguous(), targets)] * steps
    return 64 * steps / timed(lambda: plain.train_epoch(model, optimizer, batches))


def our_step(steps: int = 8) -> float:
    keep_freed_memory()
    model, optimizer = our_model("bf16")
    batch = one_batch()
    return 64 * steps / timed(lambda: [train_step(model, optimizer, *batch, "bf16") for _ in range(steps)])


def plain_epoch() -> float:
    return len(names()) / timed(lambda: plain.train_epoch(*plain_model(), jpeg_loader(True)))


def lightning_epoch() -> float:
    return len(names()) / peers.lightning_epoch(plain_model()[0], jpeg_loader(True))


def fastai_epoch() -> float:
    return len(names()) / peers.fastai_epoch(plain_model()[0], jpeg_loader(True))


def our_epoch(precision: str) -> float:
    few = train_split().subset(range(2))  # the validation is not timed
    history = fit(our_model(precision)[0], train_split(), few, CONFIG.but(precision=precision))
    return history["images_per_second"].item()


def our_epoch_bf16() -> float:
    return our_epoch("bf16")


def our_epoch_fp32() -> float:
    return our_epoch("fp32")


TINY_STEPS = 300


def tiny_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))


@cache
def tiny_split() -> Split:
    count = 64 * TINY_STEPS
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)
    return Split("train", images, torch.ones(count, 5), [""] * count, None)


@cache
def tiny_batches():
    """Batches that are ready: what is left is the trainer."""
    batches = zip(tiny_split().images.split(64), tiny_split().targets.split(64), strict=True)
    return [(normalise(images).contiguous(), targets) for images, targets in batches]


def plain_overhead() -> float:
    model = tiny_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=CONFIG.lr, weight_decay=CONFIG.weight_decay)
    return 1000 * timed(lambda: plain.train_epoch(model, optimizer, tiny_batches())) / TINY_STEPS


def lightning_overhead() -> float:
    ready = torch.utils.data.DataLoader(tiny_batches(), batch_size=None)
    return 1000 * peers.lightning_epoch(tiny_model(), ready) / TINY_STEPS


def fastai_overhead() -> float:
    ready = torch.utils.data.DataLoader(tiny_batches(), batch_size=None)
    return 1000 * peers.fastai_epoch(tiny_model(), ready) / TINY_STEPS


def our_overhead() -> float:
    """`fit` with all that it does each step, drawing, gathering and normalising its batches included."""
    few = tiny_split().subset(range(2))
    return 1000 * fit(tiny_model(), tiny_split(), few, CONFIG, augmented=False)["seconds"].item() / TINY_STEPS


@cache
def files() -> list[bytes]:
    return [dataset().images.read(name) for name in names()[:400]]


def plain_decode() -> float:
    import io

    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    def one(data: bytes):
        return pil_to_tensor(Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))

    return len(files()) / timed(lambda: [one(data) for data in files()])


def our_decode() -> float:
    torch.set_num_threads(1)
    try:
        return len(files()) / timed(lambda: [decode(data, "benchmark") for data in files()])
    finally:
        torch.set_num_threads(os.cpu_count())


def plain_evaluation() -> float:
    return len(names()) / timed(lambda: plain.predict(plain_model()[0], jpeg_loader(False)))


def our_evaluation() -> float:
    keep_freed_memory()
    return len(names()) / timed(lambda: predict_logits(our_model("fp32")[0], train_split()))


def grid(at_once: int, precision: str) -> float:
    few = train_split().subset(range(64))
    cells = grid_cells(CONFIG.but(precision=precision), [0.001, 0.005], [1e-5], [256], [0.0, 0.2])
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_grid(cells, train_split(), few, Path(folder) / "grid.jsonl", "benchmark", at_once=at_once)
        return len(cells) * len(names()) / (time.perf_counter() - started)


def grid_in_turn() -> float:
    return grid(1, "bf16")


def grid_side_by_side() -> float:
    return grid(os.cpu_count(), "bf16")


def our_bootstrap() -> float:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(19_962, 5, generator=generator).numpy()
    targets = (torch.rand(19_962, 5, generator=generator) < 0.4).float().numpy()
    identities = torch.randint(0, 1_000, (19_962,), generator=generator).numpy()
    return timed(lambda: bootstrap_scores(logits, targets, identities, seed=0))


def demo() -> float:
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CELEBA")}
        environment["CELEBA_STUDY_HOME"] = folder
        return timed(lambda: subprocess.run(["make", "demo"], cwd=ROOT, check=True, env=environment, stdout=sys.stderr))


@dataclass(frozen=True)
class Row:
    """A line of the table: what is measured, in which unit, on which two sides, and how often."""

    name: str
    unit: str
    plain: Callable[[], float] | None
    ours: Callable[[], float]
    against: str = "plain"
    once: bool = False
    most: int = 99  # repeats: the peers' epochs are long

    @property
    def fast_is_high(self) -> bool:
        return self.unit == "images/s"


LIGHTNING, FASTAI = f"Lightning {peers.version('lightning')}", f"fastai {peers.version('fastai')}"
ROWS = [
    Row("input_batches", "images/s", plain_input, our_input),
    Row("input_batches_fast", "images/s", plain_input, our_input),  # the exact jitter passes this row's target
    Row("train_step_cpu", "images/s", plain_step, our_step),
    Row("epoch_cpu", "images/s", plain_epoch, our_epoch_bf16),
    Row("epoch_cpu_fp32", "images/s", plain_epoch, our_epoch_fp32),
    Row("epoch_cpu_lightning", "images/s", lightning_epoch, our_epoch_bf16, LIGHTNING, most=3),
    Row("epoch_cpu_fastai", "images/s", fastai_epoch, our_epoch_bf16, FASTAI, most=3),
    Row("trainer_overhead", "ms a step", plain_overhead, our_overhead),
    Row("trainer_overhead_lightning", "ms a step", lightning_overhead, our_overhead, LIGHTNING),
    Row("trainer_overhead_fastai", "ms a step", fastai_overhead, our_overhead, FASTAI),
    Row("cache_build", "images/s", plain_decode, our_decode),
    Row("evaluation", "images/s", plain_evaluation, our_evaluation),
    Row("grid_side_by_side", "images/s", grid_in_turn, grid_side_by_side, "ours in turn", most=3),
    Row("identity_bootstrap", "s", None, our_bootstrap, once=True),
    Row("demo", "s", None, demo, once=True),
]


def silence():
    """Keep the bars and warnings of the measured processes off the terminal."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open for the process's life)


def measure(rows: list[Row], repeats: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return the samples of each row, plain and ours, taken in turn; the first of each warms up and is dropped."""
    sides: dict[str, ProcessPoolExecutor] = {}

    def sample(side: str, function: Callable[[], float]) -> float:
        if side not in sides:
            sides[side] = ProcessPoolExecutor(1, get_context("spawn"), silence)
        return sides[side].submit(function).result()

    samples = {row.name: ([], []) for row in rows}
    for repeat in range(repeats + 1):
        for row in rows:
            if repeat > row.most or (row.once and repeat != repeats):
                continue
            pair = (sample(row.against, row.plain) if row.plain else None, sample("ours", row.ours))
            for kept, value in zip(samples[row.name], pair, strict=True):
                if value is not None and (repeat or row.once):
                    kept.append(value)
        print(f"repeat {repeat} of {repeats} done" + (" (warm-up)" if repeat == 0 else ""), file=sys.stderr)
    for pool in sides.values():
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
    lines = ["| name | against | plain | ours | unit | ratio | its spread |", "|---|---|--:|--:|---|--:|--:|"]
    for row in rows:
        theirs = (
            "" if row["plain"] is None else f"{row['plain']:,.3g}" if row["plain"] < 100 else f"{row['plain']:,.0f}"
        )
        ours = f"{row['ours']:,.3g}" if row["ours"] < 100 else f"{row['ours']:,.0f}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        spread = "" if row["spread"] is None else "{:.2f} to {:.2f}".format(*row["spread"])
        lines.append(
            f"| `{row['name']}` | {row['against'] or ''} | {theirs} | {ours} | {row['unit']} | {ratio} | {spread} |"
        )
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
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rows", help="only these, by name, with commas between")
    options = parser.parse_args()
    installed = {LIGHTNING: peers.version("lightning"), FASTAI: peers.version("fastai")}
    rows = [row for row in ROWS if installed.get(row.against, True)]
    if options.rows:
        rows = [row for row in rows if row.name in options.rows.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"BENCHMARK_DATA": options.data_root, "BENCHMARK_JPEGS": folder}
        for name in names():
            (Path(folder) / name).write_bytes(dataset().images.read(name))
        train_split()  # builds the cache where there is none
        samples = measure(rows, options.repeats)
    results = [summarise(row, *samples[row.name]) for row in rows]
    machine = f"{describe(CPU)}, torch {torch.__version__}, Python {platform.python_version()}"
    content = {"machine": machine, "data": dataset().source, "repeats": options.repeats, "rows": results}
    print(f"{machine}; {dataset().source}; medians of {options.repeats}\n\n{as_table(results)}")
    if options.json:
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.figure:
        draw(results, describe(CPU), options.figure)


if __name__ == "__main__":
    main()
