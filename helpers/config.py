"""What the study is about, where its folders are, and the parameters of one run, checked."""

import dataclasses
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from helpers.errors import StudyError

__all__ = ["ATTRIBUTES", "FACTORS", "META", "RECIPE", "SPLITS", "Config"]

ATTRIBUTES = ("Smiling", "Wearing_Hat", "Male", "Young", "Eyeglasses")
"""The five attributes, in the order of the network's outputs."""

SPLITS = ("train", "valid", "test")
"""The three splits, by CelebA's own names."""

IMAGE_SIZE = 64
MEAN = STD = 0.5  # pixels in [0, 1] become [-1, 1]; the same for all splits

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
# What runs produce lies beside the notebooks, or where CELEBA_STUDY_HOME says (a scratch disk, say).
HOME = Path(os.environ.get("CELEBA_STUDY_HOME") or ROOT).expanduser().resolve()
RUNS, FIGURES, CHECKPOINTS, DATA = (HOME / name for name in ("runs", "figures", "checkpoints", "data"))

# The compact network trained on a tenth of CelebA, which is kept in git: what answers where no other is named.
SHIPPED = ROOT / "checkpoints" / "compact-celeba-tenth.pt"

# CelebA's own file names, which the drawn faces take over
ATTRIBUTE_FILE = "list_attr_celeba.txt"
PARTITION_FILE = "list_eval_partition.txt"
IDENTITY_FILE = "identity_CelebA.txt"
IMAGE_FOLDER = "img_align_celeba"

RECIPE = {
    "optimizer": "adamw",
    "lr": 0.004,
    "weight_decay": 0.3,
    "batch_size": 128,
    "schedule": "one_cycle",
    "ema": 0.998,
    "mirror": True,
}
"""The recipe of the additional iteration (M8), with which benchmarks/accuracy.py trains the compact network.

The rate is the peak of the cycle, the decay that of AdamW; ema is per step, of batches of 128.
"""

FACTORS = ("lr", "weight_decay", "channels_block3", "dropout")
"""The hyper-parameters that the grid search varies."""

META = {"input_shape": (3, IMAGE_SIZE, IMAGE_SIZE), "num_classes": len(ATTRIBUTES), "attributes": ATTRIBUTES}
"""The task: the shape of an input image, the number of outputs, and the attributes that they answer."""


def _between(low: float, high: float):
    return (lambda value: math.isfinite(value) and low <= value <= high), f"between {low:g} and {high:g}"


def _one_of(*choices):
    return (lambda value: value in choices), "one of " + ", ".join(map(repr, choices))


_FREE = (lambda value: True), "anything"
_RUN_NAME = (
    (lambda value: re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", value) is not None),
    "letters, digits, '.', '_' and '-', beginning with a letter or a digit (at most 80)",
)

# name: (type, (test, what the test asks for)); a list means a list of values that each pass
RULES = {
    "run_name": (str, _RUN_NAME),
    "data_root": (str, _FREE),
    "allow_missing": (bool, _FREE),
    "drop_duplicates": (bool, _FREE),
    "device": (str, _one_of("auto", "cpu", "cuda")),
    "precision": (str, _one_of("auto", "fp32", "bf16")),
    "seed": (int, _between(0, 2**32 - 1)),
    "seeds": (list, _between(0, 2**32 - 1)),
    "max_epochs": (int, _between(1, 10_000)),
    "batch_size": (int, _between(2, 65_536)),
    "lr": (float, _between(1e-8, 10)),
    "weight_decay": (float, _between(0, 1)),
    "arch": (str, _one_of("course", "compact", "fine", "fine_deep", "teacher")),
    "mirror": (bool, _FREE),
    "channels_block3": (int, _between(1, 4096)),
    "dropout": (float, _between(0, 0.95)),
    "train_images": (int, _between(0, 10**7)),
    "valid_images": (int, _between(0, 10**7)),
    "grid_lr": (list, _between(1e-8, 10)),
    "grid_weight_decay": (list, _between(0, 1)),
    "grid_channels_block3": (list, _between(1, 4096)),
    "grid_dropout": (list, _between(0, 0.95)),
    "halving": (int, ((lambda value: value == 0 or 2 <= value <= 10), "0, or between 2 and 10")),
    "cells_at_once": (int, _between(0, 256)),
    "overfit_images": (int, _between(2, 10_000)),
    "probe_images": (int, _between(2, 10**7)),
    "probe_epochs": (int, _between(1, 10_000)),
    "sweep_steps": (int, _between(20, 100_000)),
    "first_lr": (float, _between(1e-12, 1)),
    "last_lr": (float, _between(1e-6, 1000)),
    "schedule": (str, _one_of("constant", "one_cycle")),
    "optimizer": (str, _one_of("adam", "adamw")),
    "ema": (float, _between(0, 0.99999)),
    "label_smoothing": (float, _between(0, 0.5)),
    "extra_epochs": (int, _between(1, 10_000)),
    "extra_lr": (float, _between(1e-8, 10)),
    "extra_arch": (str, _one_of("course", "compact")),
    "extra_batch_size": (int, _between(2, 65_536)),
    "checkpoint": (str, _FREE),
    "compare_with": (str, _FREE),
    "language": (str, _one_of("fr", "en")),
    "author": (str, _FREE),
}


def check_parameter(name: str, value):
    """Return `value` in the parameter's type, or raise StudyError with what it may be."""
    kind, (accepts, wanted) = RULES[name]
    if kind is list:
        return _check_list(name, value, accepts, wanted)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise StudyError(f"Parameter {name}={value!r} is a {type(value).__name__}; it must be {_a(kind)}.")
    if not accepts(value):
        raise StudyError(f"Parameter {name}={value!r} is out of range; it must be {wanted}.")
    return value


def _check_list(name: str, values, accepts, wanted: str) -> list:
    numbers = isinstance(values, list | tuple) and values
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise StudyError(f"Parameter {name}={values!r} must be a list of at least one number.")
    if not all(map(accepts, values)):
        raise StudyError(f"Parameter {name}={values!r} is out of range; each value must be {wanted}.")
    return list(values)


def _a(kind: type) -> str:
    names = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}
    return names[kind]


@dataclass(frozen=True)
class Config:
    """The parameters of one experiment; the defaults are the course's protocol.

    Every field is checked on construction; StudyError names the one that is wrong.
    """

    run_name: str = "study"
    data_root: str = ""  # a CelebA folder, or "drawn"; empty: $CELEBA_ROOT, else data/
    allow_missing: bool = False  # read a subset of the listed images
    drop_duplicates: bool = False  # leave train images out that are byte-identical to one of valid or test
    device: str = "auto"  # cuda where there is one
    precision: str = "auto"  # fp32 on CPU, bf16 autocast on GPU
    seed: int = 42
    max_epochs: int = 20
    batch_size: int = 64
    lr: float = 0.001
    weight_decay: float = 1e-5
    arch: str = "course"  # the network; "compact": helpers/models/compact.py
    mirror: bool = False  # answer with the mean over an image and its mirror image
    channels_block3: int = 256  # of the course's network
    dropout: float = 0.0
    schedule: str = "constant"  # of the learning rate
    optimizer: str = "adam"  # weight decay as an L2 term; "adamw": decoupled, and none on norms and biases
    ema: float = 0.0  # the moving average of the weights keeps so much a step; 0: no average
    label_smoothing: float = 0.0  # targets 0 and 1 are moved to half of it, and to 1 less half of it
    train_images: int = 0  # 0: all; otherwise a seeded random subset
    valid_images: int = 0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = check_parameter(field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    def but(self, **changes) -> "Config":
        """Return a copy with some parameters changed (and checked)."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict:
        """Return the parameters as plain types."""
        return dataclasses.asdict(self)
