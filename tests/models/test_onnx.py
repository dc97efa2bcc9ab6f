"""The export to ONNX is compared with torch, and a comparison with NaN fails."""

import pytest
import torch

from helpers.errors import StudyError
from helpers.models.checkpoints import Checkpoint
from helpers.models.networks import build_model
from helpers.models.onnx import export_onnx


@pytest.mark.slow
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_gives_no_numbers_is_not_exported(value, tmp_path):
    model = build_model(0, torch.device("cpu"), 8).eval()
    with torch.no_grad():
        model.head.weight[0, 0] = value
    (tmp_path / "network.onnx").write_bytes(b"an earlier export")
    with pytest.raises(StudyError, match=r"was not exported: .* by nan"):
        export_onnx(Checkpoint(model, {}), tmp_path / "network.onnx")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"an earlier export"]
