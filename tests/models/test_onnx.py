"""The export to ONNX is compared with torch, and a comparison with NaN fails."""

import numpy as np
import onnxruntime
import pytest
import torch

from helpers.config import SHIPPED
from helpers.data.batches import normalise
from helpers.errors import StudyError
from helpers.models import onnx
from helpers.models.checkpoints import Checkpoint, load_checkpoint
from helpers.models.networks import build_model
from helpers.models.onnx import export_int8, export_onnx


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


@pytest.mark.slow
def test_in_int8_the_shipped_network_answers_nearly_as_in_fp32_and_is_half_as_large(splits, tmp_path):
    images = splits["train"].images[:64]
    agreement = export_int8(load_checkpoint(SHIPPED), tmp_path / "small.onnx", images)
    assert agreement > 0.95 and SHIPPED.stat().st_size / 2 < (tmp_path / "small.onnx").stat().st_size < 800_000
    session = onnxruntime.InferenceSession(str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {"images": normalise(images).numpy()})
    with torch.no_grad():
        logits = load_checkpoint(SHIPPED).model(normalise(images)).numpy()
    assert 0 < np.abs(answers - logits).mean() < 0.5  # it is another network, and a near one


@pytest.mark.slow
def test_a_network_that_int8_would_change_is_not_exported(splits, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "_quantise", lambda source, prepared, path, images: export_onnx(other, path))
    other = Checkpoint(build_model(1, torch.device("cpu"), 8).eval(), {})
    with pytest.raises(StudyError, match=r"in int8, only .* are those of fp32"):
        export_int8(load_checkpoint(SHIPPED), tmp_path / "small.onnx", splits["train"].images[:64])
    assert not any(tmp_path.iterdir())
