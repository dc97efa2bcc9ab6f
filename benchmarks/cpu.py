"""Training steps in fp32 on a CPU, done in several ways: `python benchmarks/cpu.py [--repeats 5] [--compile]`.

Each way has a process of its own, whose environment and threads it chooses. The ways take turns. Besides the images per
second, the CPU time per image is measured: it hardly depends on what else runs on the machine.
"""

import argparse
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from helpers.config import Config
from helpers.data.batches import normalise
from helpers.models.networks import build_for
from helpers.system.devices import describe, keep_freed_memory
from helpers.training.optim import build_optimizer, train_step

CPU = torch.device("cpu")
IMAGES = 256  # per sample, rounded up to whole batches
THREADS = {
    "waiting threads sleep": {"OMP_WAIT_POLICY": "PASSIVE"},
    "PyTorch's default": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


@dataclass(frozen=True)
class Way:
    """How training steps are done: the first way of each network is what the others are compared with."""

    arch: str
    batch_size: int = 64
    threads: str = "waiting threads sleep"
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=IMAGES, help="per sample")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes")
    options = parser.parse_args()
    print(f"{describe(CPU)}, torch {torch.__version__}, medians of {options.repeats}\n")
    print("| way | images/s | ratio | CPU ms per image | ratio |\n|---|--:|--:|--:|--:|")
    for arch in ("course", "compact"):
        ways = [Way(arch), Way(arch, threads="PyTorch's default"), Way(arch, threads="one thread")]
        ways += [Way(arch, batch_size=16), Way(arch, batch_size=256), Way(arch, channels_last=False)]
        ways += [Way(arch, compiled=True)] if options.compile else []
        pools = [started(way) for way in ways]
        samples = [[pool.submit(take, options.images).result() for pool in pools] for _ in range(options.repeats)]
        medians = [tuple(map(statistics.median, zip(*taken, strict=True))) for taken in zip(*samples, strict=True)]
        for way, (speed, cost) in zip(ways, medians, strict=True):
            print(f"| {way} | {speed:.0f} | {speed / medians[0][0]:.2f} | {cost:.2f} | {medians[0][1] / cost:.2f} |")
        for pool in pools:
            pool.shutdown()


if __name__ == "__main__":
    main()
