"""Predictions for your own images, of any size and mode, from files and folders."""

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
    """Return the image files in `paths`, and those in its folders at any depth.

    Raises StudyError for a path that does not exist, and if there is no image at all.
    """
    found = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise StudyError(f"There is no image or folder {path}. Check the path.")
    if not found:
        endings = ", ".join(sorted(IMAGE_SUFFIXES))
        raise StudyError(f"There is no image ({endings}) in {', '.join(map(str, paths))}. Name other files or folders.")
    return found


def predict_images(checkpoint: Checkpoint, paths: list[Path], device: torch.device) -> tuple[pd.DataFrame, list[str]]:
    """Return a table of predictions, and one message per file that could not be read.

    Columns: image, one probability per attribute, and one 0/1 prediction `<attribute>_pred` per attribute at the
    checkpoint's thresholds. The network expects faces that are cropped and aligned like CelebA's. Raises StudyError if
    no image can be read.
    """
    names, images, problems = [], [], []
    for path in paths:
        try:
            images.append(decode(path.read_bytes(), str(path)))
            names.append(str(path))
        except StudyError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path} cannot be read ({error.strerror}).")
    if not images:
        raise StudyError("None of the images could be read:\n  " + "\n  ".join(problems))
    pixels = torch.from_numpy(np.stack(images)).to(device)
    split = Split("own", pixels, torch.zeros(len(names), len(ATTRIBUTES)), names, None)
    logits = predict_logits(checkpoint.model.to(device), split)
    table = pd.DataFrame(metrics.probabilities(logits), columns=list(ATTRIBUTES))
    table.insert(0, "image", names)
    predictions = metrics.predictions(logits)
    return table.join(pd.DataFrame(predictions, columns=[f"{name}_pred" for name in ATTRIBUTES])), problems
