"""Many trainings in one process: nothing is left behind by any of them."""

import gc

import psutil
import pytest
import torch

from helpers.config import Config
from helpers.models.networks import build_for
from helpers.training.loop import KeepBest, fit

TRAININGS, WARM_UP = 200, 60


@pytest.mark.slow
def test_two_hundred_trainings_leave_no_memory_no_file_and_no_thread(splits, tmp_path):
    train, valid = splits["train"].subset(range(4)), splits["valid"].subset(range(2))
    process, used = psutil.Process(), []
    for number in range(TRAININGS):
        config = Config(max_epochs=1, batch_size=2, channels_block3=4, ema=0.9, dropout=0.1, seed=number)
        model = build_for(config, torch.device("cpu"))
        fit(model, train, valid, config, on_epoch=KeepBest(), resume=tmp_path / f"{number % 5}.pt")
        if number == WARM_UP:
            before = process.num_fds(), process.num_threads()
        if number >= WARM_UP:
            gc.collect()
            used.append(process.memory_info().rss)
    third = len(used) // 3
    first, last = (sorted(part)[third // 2] for part in (used[:third], used[-third:]))
    assert last < 1.05 * first, f"from {first / 1e6:.0f} to {last / 1e6:.0f} MB"
    assert (process.num_fds(), process.num_threads()) == before
