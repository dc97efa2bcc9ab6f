"""Predictions for your own images, of any size and mode, from files and folders."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers.config import ATTRIBUTES
from helpers.data.batches import Split
from helpers.data.decoding import decode
from helpers.data.rgb import suffixes
from helpers.errors import StudyError
from helpers.evaluation import metrics
from helpers.models.checkpoints import Checkpoint
from helpers.models.familiarity import distances
from helpers.training.loop import predict_logits

NAMED = 5  # files that a message names
MOST_BYTES = 2**30  # of a file: any image that is read is smaller
# A cell that begins so is a formula for spreadsheets, which they compute when the file is opened (OWASP, "CSV
# Injection"); the last four are the wide forms of East Asian keyboards.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def find_images(paths: list[Path]) -> tuple[list[Path], list[str]]:
    """Return the images among `paths` and in its folders at any depth, and messages about what is left out.

    A file that is named is always among them; one in a folder is, if its name ends as an image's. Hidden files and
    folders are not looked at, and links to folders not followed. Raises StudyError if there is no image at all.
    """
    found, problems = [], []
    for path in paths:
        if path.is_dir():
            images, others = _in_folder(path, problems)
            found += images
            problems += _about_others(others)
        elif path.is_file():
            found.append(path)
        else:
            problems.append(f"There is no image or folder {in_line(path)}. Check the path.")
    if not found:
        where = ", ".join(map(in_line, paths))
        raise StudyError("\n  ".join([f"There is no image in {where}. Name other files or folders.", *problems]))
    return list(dict.fromkeys(found)), problems


def _in_folder(folder: Path, problems: list[str]) -> tuple[list[Path], list[Path]]:
    """Return the images and the other files of a folder, in order; add what cannot be read to `problems`."""

    def unreadable(error: OSError):
        problems.append(f"The folder {in_line(error.filename)} cannot be read ({error.strerror}).")

    images, others = [], []
    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        problems += [f"The link {in_line(Path(place, f))} is not followed." for f in folders if _is_link(place, f)]
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            (images if path.suffix.lower() in suffixes() and path.is_file() else others).append(path)
    return images, others


def _is_link(place: str, name: str) -> bool:
    return os.path.islink(os.path.join(place, name))


def _about_others(others: list[Path]) -> list[str]:
    """Return a message about the files of a folder that are not read, or none."""
    if not others:
        return []
    kinds = Counter(in_line(path.suffix.lower()) or "without ending" for path in others).most_common(NAMED)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
    names = ", ".join(in_line(path.name) for path in others[:NAMED]) + (", …" if len(others) > NAMED else "")
    hint = " Convert HEIC photos to JPEG." if any(path.suffix.lower() in (".heic", ".heif") for path in others) else ""
    return [f"{len(others):,} files whose names do not end as an image's ({counts}): {names}.{hint}"]


def predict_images(checkpoint: Checkpoint, paths: list[Path], device: torch.device) -> tuple[pd.DataFrame, list[str]]:
    """Return a table of predictions, and one message per file that has none.

    Columns: image, one probability per attribute, and one 0/1 prediction `<attribute>_pred` per attribute at 0.5. The
    network expects faces that are cropped and aligned like CelebA's. If the checkpoint has statistics of its training
    images, the column `unfamiliar` is 1 where an image does not look like them. Raises StudyError if no image can be
    read.
    """
    names, images, problems = [], [], []
    for path in paths:
        try:
            images.append(decode(_read(path), in_line(path)))
            names.append(in_text(path))
        except StudyError as error:
            problems.append(str(error))
    if not images:
        raise StudyError("None of the images could be read:\n  " + "\n  ".join(problems))
    pixels = torch.from_numpy(np.stack(images)).to(device)
    targets = torch.zeros(len(names), len(ATTRIBUTES), device=device)  # not known; a split's device is theirs
    split = Split("own", pixels, targets, names, None)
    logits = predict_logits(checkpoint.model.to(device), split)
    table = pd.DataFrame(metrics.probabilities(logits), columns=list(ATTRIBUTES))
    table.insert(0, "image", names)
    predictions = metrics.predictions(logits)
    table = table.join(pd.DataFrame(predictions, columns=[f"{name}_pred" for name in ATTRIBUTES]))
    if familiar := checkpoint.content.get("familiar"):
        far = distances(checkpoint.model, familiar, pixels) > familiar["limit"]
        table["unfamiliar"] = far.astype(np.uint8)
    answered = np.isfinite(logits).all(1)
    problems += [f"The network gives no finite answer for {in_line(name)}." for name in table["image"][~answered]]
    return table[answered].reset_index(drop=True), problems


def about_unfamiliar(table: pd.DataFrame, checkpoint: Checkpoint) -> str:
    """Return a sentence about the images that do not look like those that the network was trained on, or nothing."""
    if "unfamiliar" not in table or not table["unfamiliar"].any():
        return ""
    names = [in_line(name) for name in table["image"][table["unfamiliar"] == 1]]
    some = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
    return (
        f"{len(names):,} of {len(table):,} images do not look like those that the network was trained on "
        f"({checkpoint.content['trained_on']}), and its answers about them may mean nothing: {some}."
    )


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise StudyError(f"{in_line(path)} has more than {MOST_BYTES / 1e9:.1f} GB. Reduce its size.")
        return path.read_bytes()
    except OSError as error:
        raise StudyError(f"{in_line(path)} cannot be read ({error.strerror or error}). Check the file.") from error


# Names and tables as text


def in_text(path: Path | str) -> str:
    r"""Return a path in valid Unicode; bytes of a name that are not UTF-8 become \xe9 and the like."""
    return os.fsencode(path).decode(errors="backslashreplace")


def in_line(path: Path | str) -> str:
    r"""Return a path for a message: on one line, and without codes that control the terminal (\n, \x1b)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in in_text(path))


def as_csv(table: pd.DataFrame) -> str:
    """Return the predictions as CSV; a name that a spreadsheet would take for a formula begins with an apostrophe."""
    safe = ["'" + name if name.startswith(FORMULA) else name for name in table["image"]]
    return table.assign(image=safe).to_csv(index=False, float_format="%.4f", lineterminator="\n")


def as_text(table: pd.DataFrame) -> str:
    """Return the predictions as a table to read in a terminal: yes or no, and the probability of yes."""
    rows = [["image", *ATTRIBUTES, ""]]
    for _, row in table.iterrows():
        answers = [f"{'yes' if row[f'{name}_pred'] else 'no':3s} {row[name]:4.0%}" for name in ATTRIBUTES]
        note = ["unfamiliar"] if row.get("unfamiliar") else [""]
        rows.append([in_line(row["image"]), *answers, *note])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)
