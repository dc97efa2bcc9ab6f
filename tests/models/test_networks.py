"""The networks: their layers counted, and built again from what a checkpoint says of them."""

import pytest
import torch

from helpers.config import Config
from helpers.models.compact import PLANS
from helpers.models.networks import architecture, build_for, count_parameters, from_architecture, layer_table

CPU = torch.device("cpu")


@pytest.mark.parametrize("arch", ["course", *PLANS])
def test_the_table_of_layers_counts_every_parameter_once(arch):
    model = build_for(Config(arch=arch), CPU)
    table = layer_table(model)
    assert table["parameters"].sum() == count_parameters(model)
    assert table.iloc[-1]["layer"] == "Linear" and table.iloc[-1]["output"] == "(5,)"


@pytest.mark.parametrize("arch", ["course", *PLANS])
def test_a_described_network_is_built_again_with_the_same_weights(arch):
    config = Config(arch=arch, dropout=0.1, mirror=True)
    model = build_for(config, CPU).eval()
    again = from_architecture(architecture(config)).eval()
    again.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert torch.allclose(model(images), again(images), atol=1e-5)
