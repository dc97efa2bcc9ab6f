"""Where the time of a training step goes: `python benchmarks/parts.py [--data-root DIR] [--arch compact]`."""

import argparse
import copy
import itertools
import time

import pandas as pd
import torch
from torch import nn

from helpers.config import Config
from helpers.data.batches import Split, chunk_size, endless_batches, load_split
from helpers.data.celeba import open_dataset
from helpers.models.networks import build_for
from helpers.system.devices import choose_device, describe, keep_freed_memory, rng_kept
from helpers.training.optim import batch_loss, build_optimizer

PARTS = ("input", "forward", "backward", "optimizer")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", default="drawn", help='a CelebA folder, or "drawn"')
    parser.add_argument("--arch", default="course")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    device = choose_device()
    config = Config(arch=options.arch, batch_size=options.batch_size, precision=options.precision)
    train = load_split(open_dataset(options.data_root, allow_missing=True), "train", device)
    print(f"{describe(device)}, batches of {config.batch_size}")
    print(time_of_parts(build_for(config, device), train, config).to_string(index=False))


def time_of_parts(model: nn.Module, train: Split, config: Config, steps: int = 10) -> pd.DataFrame:
    """Return part, milliseconds (the mean over `steps` training steps or more) and share of each of PARTS.

    A copy of the model is trained, and the random generators are left as they were. Each part waits for the
    device to finish, and on a GPU no step is recorded: there the parts are what they cost by themselves, and
    `fit` is faster than their sum.
    """
    keep_freed_memory()
    with rng_kept():
        model = copy.deepcopy(model).train()
        optimizer = build_optimizer(model, config)
        batches = endless_batches(train, config.batch_size, torch.Generator().manual_seed(config.seed))
        # A chunk's first batch pays for all of it: whole chunks are counted, after one that warms up.
        per_chunk = chunk_size(train.device, config.batch_size) // config.batch_size
        warm_up, counted = max(2, per_chunk), -(-steps // per_chunk) * per_chunk
        times = [_timed_step(model, optimizer, batches, config) for _ in range(warm_up + counted)]
    table = pd.DataFrame(times[warm_up:], columns=PARTS).mean().rename_axis("part").reset_index(name="milliseconds")
    return table.assign(share=table["milliseconds"] / table["milliseconds"].sum())


def _timed_step(model: nn.Module, optimizer, batches, config: Config) -> list[float]:
    """Do one training step; return the milliseconds of each part."""
    clock = [_now()]
    images, targets = next(batches)
    clock.append(_now())
    loss = batch_loss(model, images, targets, config)
    clock.append(_now())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clock.append(_now())
    optimizer.step()
    clock.append(_now())
    return [1000 * (after - before) for before, after in itertools.pairwise(clock)]


def _now() -> float:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
