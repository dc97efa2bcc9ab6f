"""Checkpoints: plain types that load with weights_only=True, written whole or not at all."""

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

FORMAT = "celeba-study checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: the model in eval mode on the CPU, and all that was saved with it."""

    model: nn.Module
    content: dict


def save_checkpoint(path: Path, model: nn.Module, config: Config, epoch: int, metrics: dict, source: str):
    """Write `model` with what is needed to use it and to know where it comes from.

    `source` says what it was trained on. Raises StudyError when the folder cannot be written.
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
    except (OSError, RuntimeError) as error:  # torch.save tells a full disk by a RuntimeError
        partial.unlink(missing_ok=True)
        raise StudyError(
            f"The checkpoint {path} cannot be written ({error}). What was there before is untouched; "
            "free some space or make the folder writable."
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint of this study; StudyError when it is missing, truncated, or of something else."""
    if not path.is_file():
        raise StudyError(f"There is no checkpoint {path}. Train one with 06_final, or name another.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n")[0][:120]
        raise StudyError(f"{path} is truncated or not a torch checkpoint ({reason}).") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StudyError(f"{path} is not a checkpoint of this study (no format '{FORMAT}' in it).")
    if content["attributes"] != list(ATTRIBUTES):
        raise StudyError(f"{path} answers {content['attributes']}, but this study asks for {list(ATTRIBUTES)}.")
    try:
        model = from_architecture(content["architecture"])
    except (KeyError, TypeError) as error:
        raise StudyError(f"{path} is of a network that this study does not know: {content['architecture']}.") from error
    try:
        model.load_state_dict(content["model"])
    except RuntimeError as error:
        described = content["architecture"]
        raise StudyError(f"{path} holds weights of another shape than its architecture {described}.") from error
    return Checkpoint(model.eval().to(memory_format=torch.channels_last), content)
