"""Checkpoints of plain types, which load with weights_only=True, written as a whole or not at all."""

import os
import pickle
import platform
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from helpers.config import ATTRIBUTES, IMAGE_SIZE, MEAN, STD, Config
from helpers.errors import StudyError
from helpers.models.networks import architecture, from_architecture
from helpers.system.files import WHEN_UNWRITABLE

FORMAT = "celeba-study checkpoint 1"


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
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # torch.save raises RuntimeError when the disk is full
        partial.unlink(missing_ok=True)
        raise StudyError(
            f"The checkpoint {path} cannot be written ({error}). What was there before is untouched. {WHEN_UNWRITABLE}"
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint of this study; raise StudyError if it is missing, truncated, or not of this study."""
    if not path.is_file():
        raise StudyError(f"There is no checkpoint {path}. Train one with 06_final, or name another file.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n")[0][:120]
        raise StudyError(
            f"{path} is truncated or not a torch checkpoint ({reason}). Copy or train it again."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StudyError(f"{path} is not a checkpoint of this study (its format is not '{FORMAT}'). Name another file.")
    if content["attributes"] != list(ATTRIBUTES):
        raise StudyError(
            f"{path} predicts the attributes {content['attributes']}, but this study needs {list(ATTRIBUTES)}. "
            "Name another file."
        )
    try:
        model = from_architecture(content["architecture"])
    except (KeyError, TypeError) as error:
        raise StudyError(
            f"{path} holds a network that this study does not know: {content['architecture']}. Name another file."
        ) from error
    try:
        model.load_state_dict(content["model"])
    except RuntimeError as error:
        described = content["architecture"]
        raise StudyError(
            f"{path} holds weights of another shape than its architecture {described}. Copy or train it again."
        ) from error
    return Checkpoint(model.eval().to(memory_format=torch.channels_last), content)
