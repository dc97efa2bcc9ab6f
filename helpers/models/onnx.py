"""Export of a checkpoint to ONNX, for programs without PyTorch."""

import os
from pathlib import Path

import torch

from helpers.config import IMAGE_SIZE
from helpers.errors import StudyError
from helpers.models.checkpoints import Checkpoint
from helpers.system.files import WHEN_UNWRITABLE


def export_onnx(checkpoint: Checkpoint, path: Path) -> float:
    """Write the network to `path` and return the largest difference between its logits and torch's.

    The network maps images (N, 3, 64, 64) in [-1, 1] to logits (N, 5). For the comparison, onnxruntime and torch
    each run once on random images. Raises StudyError if a package is missing or the file cannot be written.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ImportError as error:
        raise StudyError(
            f'ONNX export needs the package {error.name}. Install it with pip install -e ".[onnx]".'
        ) from error
    model = checkpoint.model.eval().to(memory_format=torch.contiguous_format)
    images = torch.rand(3, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.onnx.export(
            model,
            (images[:2],),
            str(partial),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        session = onnxruntime.InferenceSession(str(partial), providers=["CPUExecutionProvider"])
        os.replace(partial, path)
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror or error}). {WHEN_UNWRITABLE}") from error
    (logits,) = session.run(None, {"images": images.numpy()})
    with torch.inference_mode():
        return float((torch.from_numpy(logits) - model(images)).abs().max())
