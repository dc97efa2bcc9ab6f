"""Export of a checkpoint to ONNX, for programs without PyTorch, in fp32 or in int8."""

import copy
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from helpers.config import IMAGE_SIZE
from helpers.data.batches import normalise
from helpers.errors import StudyError
from helpers.models.checkpoints import Checkpoint
from helpers.system.files import WHEN_UNWRITABLE, write_bytes

TOLERANCE = 1e-3  # of logits; measured: below 1e-5
CALIBRATED_ON = 512  # images; benchmarks/int8.json has what was measured with so many
LEAST_AGREEMENT = 0.95  # of the answers in int8 with those in fp32
BATCH = 64


def export_onnx(checkpoint: Checkpoint, path: Path) -> float:
    """Write the network to `path` and return the largest difference between its logits and torch's.

    The network maps images (N, 3, 64, 64) in [-1, 1] to logits (N, 5). For the comparison, onnxruntime and torch
    each run once on random images. Raises StudyError, and leaves no file, if the logits differ or are not numbers, if a
    package is missing, or if the file cannot be written.
    """
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ImportError as error:
        raise StudyError(
            f"ONNX export needs the package {error.name}. Install it with pip install onnx onnxscript onnxruntime."
        ) from error
    model = copy.deepcopy(checkpoint.model).eval().to(memory_format=torch.contiguous_format)
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
        session = _session(partial)
        difference = _largest_difference(session, model, images)
        os.replace(partial, path)
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror or error}). {WHEN_UNWRITABLE}") from error
    finally:
        partial.unlink(missing_ok=True)
    return difference


def export_int8(checkpoint: Checkpoint, path: Path, images: torch.Tensor) -> float:
    """Write the network to `path` with 8-bit weights and activations; return the share of answers that stay the same.

    The ranges of the activations are those that occur on `images`, uint8 (N, 3, 64, 64), which should be train images;
    the share is of the 5 N answers about them. The input and the output are as in `export_onnx`, which raises the same
    errors. StudyError also if too few answers stay the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        exact, prepared, small = (Path(folder, f"{name}.onnx") for name in ("exact", "prepared", "small"))
        export_onnx(checkpoint, exact)
        _quantise(exact, prepared, small, images)
        answers = [onnx_logits(_session(file), images) > 0 for file in (exact, small)]
        agreement = float(np.mean(answers[0] == answers[1]))
        if agreement < LEAST_AGREEMENT:
            raise StudyError(
                f"The network was not exported: in int8, only {agreement:.1%} of its answers about {len(images):,} "
                "images are those of fp32. Name a --data-root whose images are like those it was trained on, or export "
                "it without --int8."
            )
        write_bytes(path, small.read_bytes())
    return agreement


def _quantise(source: Path, prepared: Path, path: Path, images: torch.Tensor):
    """Quantise an ONNX file statically (QDQ), with one scale per channel of the weights."""
    from onnxruntime import quantization

    quantization.shape_inference.quant_pre_process(source, prepared)
    quantization.quantize_static(
        prepared,
        path,
        _reader(images),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )


def _reader(images: torch.Tensor):
    """Return the images as the quantiser reads them: one batch per call, and None at the end."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        batches = iter(images.split(BATCH))

        def get_next(self) -> dict | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": normalise(batch).numpy()}

    return Reader()


def _session(path: Path):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def onnx_logits(session, images: torch.Tensor) -> np.ndarray:
    """Return the logits (N, 5) of a network in ONNX, in a session of onnxruntime, for images uint8 (N, 3, 64, 64)."""
    batches = (normalise(batch).numpy() for batch in images.split(BATCH))
    return np.concatenate([np.asarray(session.run(["logits"], {"images": batch})[0]) for batch in batches])


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
