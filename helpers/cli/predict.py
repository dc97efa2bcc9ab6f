"""Predictions for images of one's own: any size and mode, from files and folders."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers.config import ATTRIBUTES
from helpers.data.batches import Split
from helpers.data.decoding import decode
from helpers.errors import StudyError
from helpers.evaluation import metrics
from helpers.models.checkpoints import Checkpoint
from helpers.training.loop import predict_logits

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def find_images(paths: list[Path]) -> list[Path]:
    """Return the image files named, and those in the folders named, at any depth.

    Raises StudyError for a path that does not exist, and where there is no image at all.
    """
    found = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise StudyError(f"There is no image or folder {path}.")
    if not found:
        raise StudyError(f"No image ({', '.join(sorted(IMAGE_SUFFIXES))}) in {', '.join(map(str, paths))}.")
    return found


def predict_images(checkpoint: Checkpoint, paths: list[Path], device: torch.device) -> tuple[pd.DataFrame, list[str]]:
    """Return a table of the answers and the complaints about files that could not be read.

    Columns: image, one probability an attribute, and one 0/1 decision `<attribute>_pred` at the
    checkpoint's thresholds. The network knows faces cropped and aligned as CelebA's are.
    """
    names, images, complaints = [], [], []
    for path in paths:
        try:
            images.append(decode(path.read_bytes(), str(path)))
            names.append(str(path))
        except StudyError as error:
            complaints.append(str(error))
        except OSError as error:
            complaints.append(f"{path} cannot be read ({error.strerror}).")
    if not images:
        raise StudyError("None of the images could be read:\n  " + "\n  ".join(complaints))
    pixels = torch.from_numpy(np.stack(images)).to(device)
    split = Split("own", pixels, torch.zeros(len(names), len(ATTRIBUTES)), names, None)
    logits = predict_logits(checkpoint.model.to(device), split)
    answers = pd.DataFrame(metrics.probabilities(logits), columns=list(ATTRIBUTES))
    answers.insert(0, "image", names)
    decisions = metrics.predictions(logits)
    return answers.join(pd.DataFrame(decisions, columns=[f"{name}_pred" for name in ATTRIBUTES])), complaints
