"""Training steps in fp32 on a CPU: `python benchmarks/cpu.py [--repeats 7] [--compile] [--beside 2] [--json FILE]`.

Each way has a process of its own, whose environment and threads it chooses. The ways take turns. Besides the images per
second, the CPU time per image is measured: it hardly depends on what else runs on the machine. `--beside 2` keeps two
other processes computing all the time.
"""

import argparse
import contextlib
import json
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from helpers.config import Config
from helpers.data.batches import normalise
from helpers.models.networks import build_for
from helpers.system.devices import describe, keep_freed_memory
from helpers.training.optim import build_optimizer, train_step

CPU = torch.device("cpu")
IMAGES = 256  # per sample, rounded up to whole batches
OURS = "threads that wait soon sleep"
THREADS = {
    OURS: {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"},
    "threads that wait sleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
    "PyTorch's default": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


@dataclass(frozen=True)
class Way:
    """How training steps are done: the first way of each network is what the others are compared with."""

    arch: str
    batch_size: int = 64
    threads: str = OURS
    channels_last: bool = True
    compiled: bool = False

    def __str__(self) -> str:
        layout = "channels last" if self.channels_last else "NCHW"
        words = [self.arch, f"batches of {self.batch_size}", layout, self.threads]
        return ", ".join([*words, "compiled"] if self.compiled else words)


class Sampler:
    """In a process of its own: a network, its optimizer and a batch that is ready."""

    def __init__(self, way: Way):
        keep_freed_memory()
        layout = torch.channels_last if way.channels_last else torch.contiguous_format
        self.config = Config(arch=way.arch, batch_size=way.batch_size, precision="fp32", device="cpu")
        network = build_for(self.config, CPU).train().to(memory_format=layout)
        self.optimizer = build_optimizer(network, self.config)
        self.model = torch.compile(network) if way.compiled else network
        images = torch.randint(0, 256, (way.batch_size, 3, 64, 64), dtype=torch.uint8)
        self.batch = normalise(images).contiguous(memory_format=layout), torch.rand(way.batch_size, 5).round()

    def sample(self, images: int) -> tuple[float, float]:
        """Return the images per second and the milliseconds of CPU time per image."""
        steps = -(-images // self.config.batch_size)
        wall, spent = time.perf_counter(), time.process_time()
        for _ in range(steps):
            train_step(self.model, self.optimizer, *self.batch, self.config)
        done = steps * self.config.batch_size
        return done / (time.perf_counter() - wall), 1000 * (time.process_time() - spent) / done


def start(way: Way):
    """Make the sampler of this process, and warm it up."""
    global sampler
    sampler = Sampler(way)
    sampler.sample(3 * way.batch_size)


def take(images: int) -> tuple[float, float]:
    """Take a sample in this process."""
    return sampler.sample(images)


def started(way: Way) -> ProcessPoolExecutor:
    """Start the process of a way; PyTorch reads the environment when it is imported there."""
    before = dict(os.environ)
    os.environ |= THREADS[way.threads]
    pool = ProcessPoolExecutor(1, get_context("spawn"), start, (way,))
    pool.submit(take, 1).result()
    os.environ.clear()
    os.environ |= before
    return pool


@contextlib.contextmanager
def others(count: int):
    """Keep `count` other processes computing."""
    processes = [get_context("spawn").Process(target=compute, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def compute():
    while True:
        pass


def measure(ways: list[Way], repeats: int, images: int) -> list[dict]:
    """Return the medians of each way; their ratios are to the first one."""
    pools = [started(way) for way in ways]
    samples = [[pool.submit(take, images).result() for pool in pools] for _ in range(repeats)]
    medians = [tuple(map(statistics.median, zip(*taken, strict=True))) for taken in zip(*samples, strict=True)]
    for pool in pools:
        pool.shutdown()
    first_speed, first_cost = medians[0]
    return [
        {"way": str(way), "images_per_second": speed, "ratio": speed / first_speed}
        | {"cpu_ms_per_image": cost, "cpu_ratio": first_cost / cost}
        for way, (speed, cost) in zip(ways, medians, strict=True)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, default=IMAGES, help="per sample")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes")
    parser.add_argument("--beside", type=int, default=0, help="other processes that compute meanwhile")
    parser.add_argument("--json", type=Path, help="add the results to this file")
    options = parser.parse_args()
    machine, rows = f"{describe(CPU)}, torch {torch.__version__}", []
    print(f"{machine}, medians of {options.repeats}, {options.beside} other processes\n")
    print("| way | images/s | ratio | CPU ms per image | ratio |\n|---|--:|--:|--:|--:|")
    for arch in ("course", "compact"):
        ways = [Way(arch), *(Way(arch, threads=threads) for threads in list(THREADS)[1:])]
        ways += [Way(arch, batch_size=size) for size in (16, 128, 256)] + [Way(arch, channels_last=False)]
        ways += [Way(arch, compiled=True)] if options.compile else []
        with others(options.beside):
            found = measure(ways, options.repeats, options.images)
        for row in found:
            way, *figures = row.values()
            print(f"| {way} | {{:.0f}} | {{:.2f}} | {{:.2f}} | {{:.2f}} |".format(*figures))
        rows += found
    if options.json:
        runs = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else []
        runs.append({"machine": machine, "others": options.beside, "repeats": options.repeats, "rows": rows})
        options.json.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
