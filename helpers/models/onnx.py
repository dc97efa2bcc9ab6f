"""Export of a checkpoint to ONNX, for programs without PyTorch."""

import os
from pathlib import Path

import torch

from helpers.config import IMAGE_SIZE
from helpers.errors import StudyError
from helpers.models.checkpoints import Checkpoint
from helpers.system.files import WHEN_UNWRITABLE

TOLERANCE = 1e-3  # of logits; measured: below 1e-5


def export_onnx(checkpoint: Checkpoint, path: Path) -> float:
    """Write the network to `path` and return the largest difference between its logits and torch's.

    The network maps images (N, 3, 64, 64) in [-1, 1] to logits (N, 5). For the comparison, onnxruntime and torch
    each run once on random images. Raises StudyError, and leaves no file, if the logits differ or are not numbers, if a
    package is missing, or if the file cannot be written.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ImportError as error:
        raise StudyError(
            f"ONNX export needs the package {error.name}. Install it with pip install onnx onnxscript onnxruntime."
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
        difference = _largest_difference(session, model, images)
        os.replace(partial, path)
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror or error}). {WHEN_UNWRITABLE}") from error
    finally:
        partial.unlink(missing_ok=True)
    return difference


@torch.inference_mode()
def _largest_difference(session, model: torch.nn.Module, images: torch.Tensor) -> float:
    (logits,) = session.run(None, {"images": images.numpy()})
    difference = float((torch.from_numpy(logits) - model(images)).abs().max())
    if not difference <= TOLERANCE:  # also false for NaN
        raise StudyError(
            f"The network was not exported: its logits in ONNX differ from torch's by {difference}, which is more than "
            f"{TOLERANCE}. If it is nan, the weights are not numbers: train it again. Otherwise, try other versions of "
            "onnx and onnxscript."
        )
    return difference
