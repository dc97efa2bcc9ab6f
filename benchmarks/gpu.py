"""How fast on a GPU: `python benchmarks/gpu.py [--json FILE] [--only steps] [--protocol] [--profile]`, without Jupyter.

Random pixels of CelebA's full size: the speed does not depend on what they show. `--protocol` adds the course's
whole protocol (24 trials x 3 epochs, 20 final epochs, every evaluation).
`--device cpu --images 512` tries the script without a GPU.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a GPU node may not have the study installed

from helpers.config import Config
from helpers.data.batches import Split, training_batches
from helpers.models.networks import build_model
from helpers.system.devices import choose_device, describe
from helpers.training.grid import grid_trials, run_grid
from helpers.training.loop import fit, predict_logits
from helpers.training.optim import RecordedStep, build_optimizer, train_step

TRAIN, VALID, TEST = 162_770, 19_867, 19_962  # CelebA's official sizes
BATCHES = (64, 256, 512, 1024)
PARTS = ("bounds", "parts", "epochs", "steps")
PRECISIONS = ("bf16", "tf32", "fp32")
ARCHES = ("course", "compact")
COMPILED = {("course", 64), ("course", 512), ("compact", 512)}  # compiling takes half a minute each


@dataclass(frozen=True)
class Way:
    """A way to do a training step: each field is one change to plain PyTorch."""

    precision: str = "bf16"
    channels_last: bool = True
    compiled: bool = False  # by torch.compile, which fuses normalisation, pooling and ReLU
    recorded: bool = False  # as a CUDA graph
    chosen: bool = False  # cuDNN chooses its kernels by trial
    padded: bool = False  # the first convolution has 8 input channels, of which 5 are zero
    biases: bool = True  # of convolutions before a batch normalisation; without: they stay as they are
    ours: bool = True  # the study's optimizer, one fused kernel; without: Adam's default kernels


STEPS = {
    "plain": Way("tf32", channels_last=False, ours=False),  # what one writes first
    "eager bf16": Way(channels_last=False),
    "eager bf16, channels last": Way(),
    "compiled bf16": Way(compiled=True),
    "recorded bf16, channels last": Way(recorded=True),  # the study's
    "recorded bf16, channels last, kernels chosen by trial": Way(recorded=True, chosen=True),
    # Not tried yet. In the profile of a recorded step, the weight gradient of the first convolution took 19 % of the
    # time, batch normalisation 25 %, and the biases' gradients, which are zero but for rounding, 11 %.
    "recorded bf16, first convolution padded": Way(recorded=True, padded=True),
    "recorded bf16, no gradients of biases": Way(recorded=True, biases=False),
    "recorded bf16, padded, no gradients of biases": Way(recorded=True, padded=True, biases=False),
    "recorded and compiled bf16": Way(recorded=True, compiled=True),
    "recorded and compiled bf16, padded, no gradients of biases": Way(
        recorded=True, compiled=True, padded=True, biases=False
    ),
}
ON_A_CPU = ("plain", "eager bf16", "eager bf16, channels last")
# Dense peak and memory bandwidth of the SXM modules, from NVIDIA's data sheets: FLOP/s in bf16, bytes/s.
PEAKS = {"H200": (989e12, 4.8e12), "H100": (989e12, 3.35e12), "A100": (312e12, 2.0e12)}


def pixels(name: str, count: int, device: torch.device) -> Split:
    """Return a split of random pixels."""
    images = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, device=device)
    return Split(name, images, (torch.rand(count, 5, device=device) < 0.4).float(), [""] * count, None)


def set_precision(precision: str) -> str:
    """Allow TF32 or not; return the name that Config knows."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    return "bf16" if precision == "bf16" else "fp32"


def wait(device: torch.device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(function, device: torch.device) -> float:
    """Return the seconds that `function` takes, the device's work included."""
    wait(device)
    started = time.perf_counter()
    function()
    wait(device)
    return time.perf_counter() - started


def peak_memory(device: torch.device) -> float:
    """Return the largest memory reserved since the last call, in GB, and begin anew.

    Reserved, not allocated: what a recorded step works in counts as allocated during the recording alone.
    """
    if device.type != "cuda":
        return 0.0
    peak = torch.cuda.max_memory_reserved() / 1e9
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return peak


def training_rows(train: Split, few: Split, device: torch.device) -> Iterator[dict]:
    """Time whole epochs of `fit`, input and augmentation included; the first of two records the step."""
    runs = [("course", "bf16", size) for size in BATCHES] + [("compact", "bf16", size) for size in (128, 512, 1024)]
    runs += [("course", precision, size) for precision in PRECISIONS[1:] for size in (64, 512)]
    for arch, precision, batch_size in runs if device.type == "cuda" else runs[:1]:
        config = Config(
            device=device.type, arch=arch, precision=set_precision(precision), batch_size=batch_size, max_epochs=2
        )
        history = fit(build_model(0, device, arch=arch), train, few, config)
        name = f"train {arch} {precision} batch {batch_size}"
        speed = {"name": name, "value": history["images_per_second"].iloc[-1], "unit": "images/s"}
        yield speed | {"peak_gb": peak_memory(device)}


def part_rows(train: Split, test: Split, device: torch.device) -> list[dict]:
    """Time input alone and evaluation alone."""
    precision = set_precision("bf16")
    generator = torch.Generator().manual_seed(0)

    def read():
        for _ in training_batches(train, 512, generator):
            pass

    read()
    rows = [{"name": "input alone", "value": len(train) / seconds(read, device), "unit": "images/s"}]
    for arch in ARCHES:
        model = build_model(0, device, arch=arch)
        predict_logits(model, test, precision)
        took = seconds(lambda m=model: predict_logits(m, test, precision), device)
        rows.append({"name": f"evaluation, {arch}", "value": len(test) / took, "unit": "images/s"})
    return rows


def step_rows(train: Split, device: torch.device, compiled: bool) -> Iterator[dict]:
    """Time training steps on a batch that is ready: plain PyTorch's, and each change that ours makes to it."""
    generator = torch.Generator().manual_seed(0)
    for arch in ARCHES:
        for batch_size in BATCHES if device.type == "cuda" else BATCHES[:1]:
            batch = next(training_batches(train, batch_size, generator))
            for name in STEPS if device.type == "cuda" else ON_A_CPU:
                way = STEPS[name]
                if way.compiled and not (compiled and (arch, batch_size) in COMPILED):
                    continue
                if not way.biases and arch == "compact":  # none of its convolutions has a bias
                    continue
                try:
                    value = len(batch[0]) / step_seconds(way, arch, batch, device)
                except Exception as error:
                    first = str(error).splitlines()[0] if str(error) else ""
                    print(f"{name}, {arch}: {type(error).__name__}, left out: {first}", file=sys.stderr)
                    continue
                yield {"name": f"step {name}, {arch}, batch {len(batch[0])}", "value": value, "unit": "images/s"}


def step_seconds(way: Way, arch: str, batch: tuple, device: torch.device) -> float:
    """Return the seconds per step, the median of five runs of 20 steps after a warm-up."""
    config = Config(precision=set_precision(way.precision))
    torch.backends.cudnn.benchmark = way.chosen
    model, (images, targets) = changed(build_model(0, device, arch=arch), way), batch
    if not way.channels_last:
        model, images = model.to(memory_format=torch.contiguous_format), images.contiguous()
    optimizer = build_optimizer(model, config) if way.ours else torch.optim.Adam(model.parameters(), lr=0.001)
    torch._dynamo.reset()  # a network that was compiled for another batch size would be compiled for any size
    step = partial(train_step, torch.compile(model) if way.compiled else model, optimizer, config=config)
    if way.recorded:
        step = RecordedStep(step, optimizer, len(images))
    for _ in range(8):
        step(images, targets)
    if way.recorded and step.graph is None:
        raise RuntimeError("the step could not be recorded")
    count = 20 if device.type == "cuda" else 1
    took = [seconds(lambda: [step(images, targets) for _ in range(count)], device) / count for _ in range(5)]
    torch.backends.cudnn.benchmark = False
    return statistics.median(took)


def changed(model: torch.nn.Module, way: Way) -> torch.nn.Module:
    """Return the model with the convolutions of this way; its function and its parameters stay the same."""
    convolutions = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    for convolution in convolutions:
        if way.padded and convolution.in_channels == 3:
            convolution.forward = partial(padded, convolution)
        if not way.biases and convolution.bias is not None:
            convolution.bias.requires_grad_(False)
    return model


def padded(convolution: torch.nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    """Return what the convolution of 3 channels returns, as one of 8 channels, which suits the kernels of a GPU."""
    kept = (
        torch.get_autocast_dtype(images.device.type) if torch.is_autocast_enabled(images.device.type) else images.dtype
    )
    sides = (each.to(kept) for each in (images, convolution.weight))
    images, weight = (torch.nn.functional.pad(each, (0, 0, 0, 0, 0, 5)) for each in sides)
    return torch.nn.functional.conv2d(images, weight, convolution.bias, convolution.stride, convolution.padding)


class BytesMoved(TorchDispatchMode):
    """Counts the bytes that every operation reads and writes, as if nothing stayed in a cache."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        views = any(r.alias_info is not None and not r.alias_info.is_write for r in function._schema.returns)
        if not views:
            tensors = torch.utils._pytree.tree_leaves((args, kwargs, result))
            self.total += sum(t.nbytes for t in tensors if isinstance(t, torch.Tensor))
        return result


def floors(device: torch.device, images: int) -> list[dict]:
    """Return the least seconds an epoch of `images` can take: by arithmetic, and by the bytes of an eager bf16 step."""
    model = build_model(0, device)
    optimizer = build_optimizer(model, Config())
    batch = torch.randn(64, 3, 64, 64, device=device).to(memory_format=torch.channels_last)
    targets = torch.ones(64, 5, device=device)
    train_step(model, optimizer, batch, targets, Config(precision="bf16"))
    with FlopCounterMode(display=False) as flops:
        train_step(model, optimizer, batch, targets, Config(precision="bf16"))
    with BytesMoved() as moved:
        train_step(model, optimizer, batch, targets, Config(precision="bf16"))
    per_image = {"FLOP per image": flops.get_total_flops() / 64, "bytes per image": moved.total / 64}
    rows = [{"name": name, "value": value, "unit": name.split()[0]} for name, value in per_image.items()]
    for name, (peak, bandwidth) in PEAKS.items():
        if name in describe(device):
            arithmetic, memory = (v * images / p for v, p in zip(per_image.values(), (peak, bandwidth), strict=True))
            rows.append({"name": "floor of an epoch, arithmetic", "value": arithmetic, "unit": "s"})
            rows.append({"name": "floor of an epoch, memory", "value": memory, "unit": "s"})
    return rows


def protocol_rows(train: Split, valid: Split, test: Split, device: torch.device) -> list[dict]:
    """Time the course's whole protocol at its batch of 64, one trial after the other."""
    config = Config(device=device.type, lr=0.005, max_epochs=3, precision=set_precision("bf16"))
    trials = grid_trials(config, [0.001, 0.005], [1e-5, 1e-4], [192, 256], [0.0, 0.2, 0.4])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grid.jsonl"
        grid = seconds(lambda: run_grid(trials, train, valid, path), device)
    model = build_model(0, device)
    final = seconds(lambda: fit(model, train, valid, config.but(max_epochs=20)), device)
    last = seconds(lambda: [predict_logits(model, split) for split in (valid, test)], device)
    return [
        {"name": "grid, 24 trials of 3 epochs", "value": grid, "unit": "s"},
        {"name": "final training, 20 epochs", "value": final, "unit": "s"},
        {"name": "whole protocol", "value": grid + final + last, "unit": "s"},
        {"name": "peak memory", "value": peak_memory(device), "unit": "GB"},
    ]


def profile(train: Split, device: torch.device, batch_size: int = 512) -> str:
    """Return where a bf16 step's time goes, as torch's profiler sees it."""
    model = build_model(0, device)
    optimizer = build_optimizer(model, Config())
    images, targets = next(training_batches(train, batch_size, torch.Generator()))
    for _ in range(3):
        train_step(model, optimizer, images, targets, Config(precision="bf16"))
    with torch.profiler.profile() as result:
        for _ in range(10):
            train_step(model, optimizer, images, targets, Config(precision="bf16"))
        wait(device)
    column = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    return result.key_averages().table(sort_by=column, row_limit=15, max_name_column_width=60)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--images", type=int, default=TRAIN, help="training images (CelebA's number)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to measure (all)")
    parser.add_argument("--protocol", action="store_true", help="the course's whole protocol too: minutes")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which takes minutes")
    parser.add_argument("--profile", action="store_true", help="print where a step's time goes")
    options = parser.parse_args()
    device = choose_device(options.device)
    share = options.images / TRAIN
    train = pixels("train", options.images, device)
    valid, test = (pixels(name, max(2, int(n * share)), device) for name, n in (("valid", VALID), ("test", TEST)))
    peak_memory(device)
    every = {
        "bounds": partial(floors, device, len(train)),
        "parts": partial(part_rows, train, test, device),
        "epochs": partial(training_rows, train, valid.subset(range(2)), device),
        "steps": partial(step_rows, train, device, not options.no_compile),
    }
    parts = [every[name] for name in options.only]
    if options.protocol:
        parts.append(partial(protocol_rows, train, valid, test, device))
    machine, rows = f"{describe(device)}, torch {torch.__version__}", []
    print(f"{machine}; random pixels, {len(train):,} training images")
    for row in chain.from_iterable(part() for part in parts):
        rows.append(row)
        memory = f"   peak {row['peak_gb']:.1f} GB" if row.get("peak_gb") else ""
        print(f"{row['name']:<80}{row['value']:>18,.4g} {row['unit']}{memory}", flush=True)
        if options.json:  # at every row: a machine on loan may stop the script
            content = json.dumps({"machine": machine, "rows": rows}, indent=1)
            options.json.write_text(content + "\n", encoding="utf-8")
    if options.profile:
        print(profile(train, device))


if __name__ == "__main__":
    main()
