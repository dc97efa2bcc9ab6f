"""The time of a step's parts: complete, and taken without touching the model or the random generators."""

import pytest
import torch

from helpers.batches import chunk_size
from helpers.config import Config
from helpers.models import build_model
from helpers.timing import PARTS, time_of_parts

CPU = torch.device("cpu")


def test_the_parts_make_up_a_step_and_the_model_and_the_seeds_are_left_alone(splits):
    model = build_model(0, CPU, 8, dropout=0.5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    table = time_of_parts(model, splits["train"].subset(range(20)), Config(batch_size=8, device="cpu"), steps=3)
    assert tuple(table["part"]) == PARTS and (table["milliseconds"] > 0).all()
    assert table["share"].sum() == pytest.approx(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("batch_size", [64, 100, 1024, 10_000])
def test_chunks_hold_whole_batches(batch_size):
    assert chunk_size(CPU, batch_size) == batch_size
    assert chunk_size(torch.device("cuda"), batch_size) % batch_size == 0
