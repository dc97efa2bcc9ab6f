"""Checkpoints of plain types, which load with weights_only=True, written as a whole or not at all."""

import io
import pickle
import platform
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from helpers.config import ATTRIBUTES, IMAGE_SIZE, MEAN, STD, Config
from helpers.errors import StudyError
from helpers.models.networks import architecture
from helpers.models.validation import ANOTHER, FORMAT, Unusable, validate
from helpers.system.files import is_lfs_pointer, is_web_page, write_bytes

MOST_BYTES = 10**9  # the largest network of this study has 20 MB
AGAIN = "Copy or train it again."


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: the model in eval mode on the CPU, and everything that was saved with it."""

    model: nn.Module
    content: dict


def save_checkpoint(path: Path, model: nn.Module, config: Config, epoch: int, metrics: dict, source: str):
    """Save `model` with everything that is needed to use it and to know its origin.

    `source` names the data that it was trained on. Raises StudyError if the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "model": {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()},
        "architecture": architecture(config),
        "config": config.to_dict(),
        "attributes": list(ATTRIBUTES),
        "normalisation": {"mean": MEAN, "std": STD},
        "input_shape": [3, IMAGE_SIZE, IMAGE_SIZE],
        "epoch": epoch,
        "metrics": {name: float(value) for name, value in metrics.items()},
        "trained_on": source,
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__)},
    }
    buffer = io.BytesIO()  # on a full disk, torch.save itself raises an error that does not say so
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint of this study; raise StudyError if it is missing, damaged, not of this study, or not usable."""
    try:
        model, fields = validate(_unpacked(_read(path)))
    except Unusable as error:
        raise StudyError(f"{path} {error.what}. {error.do}") from error
    return Checkpoint(model.to(memory_format=torch.channels_last), fields)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise StudyError(f"There is no checkpoint {path}. Train one with 06_final, or name another file.")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Unusable(f"has more than {MOST_BYTES / 1e9:.0f} GB, so it is not a checkpoint of this study")
        return path.read_bytes()
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror or error})", "Check the file and its permissions.") from error


def _unpacked(data: bytes):
    """Return what torch.save packed, after its checksums were verified, which torch.load does not do."""
    if not data.startswith(b"PK\x03\x04"):
        raise _no_checkpoint(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
                raise ValueError("it unpacks to more than a checkpoint of this study")
            damaged = archive.testzip()
    except Exception as error:
        what = "is truncated" if str(error) == "File is not a zip file" else f"is damaged ({error})"
        raise Unusable(what, AGAIN) from error
    if damaged:
        raise Unusable(f"is damaged (wrong checksum of {damaged})", AGAIN)
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise Unusable(
            "holds Python objects (such as a whole network), which are not loaded, since they could run code",
            f"Save the network with this study's save_checkpoint. {ANOTHER}",
        ) from error
    except Exception as error:  # torch.load raises whatever comes over it
        raise Unusable("is a zip, but not one that torch.save wrote") from error


def _no_checkpoint(data: bytes) -> Unusable:
    """Return what a file is that does not begin as torch.save begins."""
    if not data:
        return Unusable("is empty", AGAIN)
    if is_lfs_pointer(data):
        return Unusable("is a Git LFS pointer and not the checkpoint itself", "Fetch it with `git lfs pull`.")
    if is_web_page(data[:256]):
        return Unusable("is a web page saved under the name of a checkpoint", "Delete it and download the file again.")
    return Unusable("is not a PyTorch checkpoint")
