"""How fast on a GPU: `python benchmarks/gpu.py [--json FILE] [--protocol] [--profile]`. Needs no Jupyter.

Random pixels of CelebA's full size: the speed does not depend on what they show. `--protocol` adds the course's
whole protocol (24 cells x 3 epochs, 20 final epochs, every evaluation), cells in turn and side by side.
`--device cpu --images 512` tries the script without a GPU.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a GPU node may not have the study installed

from helpers.config import Config
from helpers.data.batches import Split, training_batches
from helpers.models.networks import build_model
from helpers.system.devices import choose_device, describe
from helpers.training.grid import grid_cells, run_grid
from helpers.training.loop import fit, predict_logits
from helpers.training.optim import build_optimizer, build_step, train_step

TRAIN, VALID, TEST = 162_770, 19_867, 19_962  # CelebA's official sizes
BATCHES = (64, 256, 512, 1024)
PRECISIONS = ("bf16", "tf32", "fp32")
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


def training_rows(train: Split, few: Split, device: torch.device) -> list[dict]:
    """Time whole epochs of `fit`, input and augmentation included; the first of two records the step."""
    rows = []
    for precision in PRECISIONS:
        for batch_size in BATCHES if device.type == "cuda" else BATCHES[:1]:
            config = Config(device=device.type, precision=set_precision(precision), batch_size=batch_size, max_epochs=2)
            history = fit(build_model(0, device), train, few, config)
            speed = history["images_per_second"].iloc[-1]
            rows.append({"name": f"train {precision} batch {batch_size}", "value": speed, "unit": "images/s"})
            rows[-1]["peak_gb"] = peak_memory(device)
    return rows


def part_rows(train: Split, test: Split, device: torch.device) -> list[dict]:
    """Time the parts: input alone, the step alone (eager, recorded, compiled), evaluation."""
    precision = set_precision("bf16")
    generator = torch.Generator().manual_seed(0)

    def read():
        for _ in training_batches(train, 512, generator):
            pass

    read()
    rows = [{"name": "input alone", "value": len(train) / seconds(read, device), "unit": "images/s"}]
    on_gpu = device.type == "cuda"
    count = 50 if on_gpu else 1
    for batch_size in (64, 512) if on_gpu else (64,):
        images, targets = next(training_batches(train, batch_size, generator))
        for kind in ("eager", "recorded", "compiled") if on_gpu else ("eager",):
            model = build_model(0, device)
            optimizer = build_optimizer(model, Config())
            if kind == "recorded":
                step = build_step(model, optimizer, Config(precision=precision))
            else:
                forward = torch.compile(model) if kind == "compiled" else model
                step = lambda i, t, f=forward, o=optimizer: train_step(f, o, i, t, Config(precision=precision))  # noqa: E731
            try:
                for _ in range(6):
                    step(images, targets)
                took = seconds(lambda s=step, i=images, t=targets: [s(i, t) for _ in range(count)], device)
            except Exception as error:
                print(f"{kind}: {type(error).__name__}, left out: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            value = count * batch_size / took
            rows.append({"name": f"step {kind}, batch {batch_size}", "value": value, "unit": "images/s"})
    model = build_model(0, device)
    predict_logits(model, test, precision)
    took = seconds(lambda: predict_logits(model, test, precision), device)
    return [*rows, {"name": "evaluation", "value": len(test) / took, "unit": "images/s"}]


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
    per_image = {"FLOP an image": flops.get_total_flops() / 64, "bytes an image": moved.total / 64}
    rows = [{"name": name, "value": value, "unit": name.split()[0]} for name, value in per_image.items()]
    for name, (peak, bandwidth) in PEAKS.items():
        if name in describe(device):
            arithmetic, memory = (v * images / p for v, p in zip(per_image.values(), (peak, bandwidth), strict=True))
            rows.append({"name": "floor of an epoch, arithmetic", "value": arithmetic, "unit": "s"})
            rows.append({"name": "floor of an epoch, memory", "value": memory, "unit": "s"})
    return rows


def protocol_rows(train: Split, valid: Split, test: Split, device: torch.device, at_once: int) -> list[dict]:
    """Time the course's whole protocol at its batch of 64, the cells in turn or `at_once` side by side."""
    config = Config(device=device.type, lr=0.005, max_epochs=3, precision=set_precision("bf16"))
    cells = grid_cells(config, [0.001, 0.005], [1e-5, 1e-4], [192, 256], [0.0, 0.2, 0.4])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grid.jsonl"
        grid = seconds(lambda: run_grid(cells, train, valid, path, "pixels", at_once=at_once), device)
    model = build_model(0, device)
    final = seconds(lambda: fit(model, train, valid, config.but(max_epochs=20)), device)
    last = seconds(lambda: [predict_logits(model, split) for split in (valid, test)], device)
    how = "in turn" if at_once == 1 else f"{at_once} at once"
    return [
        {"name": f"grid, cells {how}", "value": grid, "unit": "s"},
        {"name": "final training", "value": final, "unit": "s"},
        {"name": f"whole protocol, cells {how}", "value": grid + final + last, "unit": "s"},
        {"name": f"peak memory of this process, cells {how}", "value": peak_memory(device), "unit": "GB"},
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
    parser.add_argument("--protocol", action="store_true", help="the course's whole protocol too: minutes")
    parser.add_argument("--at-once", type=int, default=4, help="cells side by side in the protocol's second run")
    parser.add_argument("--profile", action="store_true", help="print where a step's time goes")
    options = parser.parse_args()
    device = choose_device(options.device)
    share = options.images / TRAIN
    train = pixels("train", options.images, device)
    valid, test = (pixels(name, max(2, int(n * share)), device) for name, n in (("valid", VALID), ("test", TEST)))
    peak_memory(device)
    rows = floors(device, len(train)) + part_rows(train, test, device)
    rows += training_rows(train, valid.subset(range(2)), device)
    if options.protocol:
        for at_once in (1, options.at_once):
            rows += protocol_rows(train, valid, test, device, at_once)
    machine = f"{describe(device)}, torch {torch.__version__}"
    print(f"{machine}; random pixels, {len(train):,} training images")
    for row in rows:
        memory = f"   peak {row['peak_gb']:.1f} GB" if row.get("peak_gb") else ""
        print(f"{row['name']:<44}{row['value']:>18,.4g} {row['unit']}{memory}")
    if options.profile:
        print(profile(train, device))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
