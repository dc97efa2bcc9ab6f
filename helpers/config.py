"""The study's attributes, splits and folders, and the parameters of a run with their checks."""

import dataclasses
import difflib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.errors import StudyError

__all__ = ["ATTRIBUTES", "FACTORS", "META", "RECIPE", "SPLITS", "Config"]

ATTRIBUTES = ("Smiling", "Wearing_Hat", "Male", "Young", "Eyeglasses")
"""The five attributes, in the order of the network's outputs."""

SPLITS = ("train", "valid", "test")
"""The three splits, by CelebA's own names."""

IMAGE_SIZE = 64
MEAN = STD = 0.5  # pixels in [0, 1] become [-1, 1]; the same for all splits


def folder_named_by(variable: str) -> Path | None:
    """Return the folder that an environment variable names, or None.

    A relative one is made absolute, here and in the environment: the kernels that this process starts run in another
    folder and must find the same one.
    """
    named = os.environ.get(variable)
    if not named:
        return None
    folder = Path(named).expanduser().absolute()
    os.environ[variable] = str(folder)
    return folder


ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
# Runs write next to `helpers/`, or into the folder that CELEBA_STUDY_HOME names (on a scratch disk, for example).
HOME = (folder_named_by("CELEBA_STUDY_HOME") or ROOT).resolve()
RUNS, FIGURES, CHECKPOINTS, DATA = (HOME / name for name in ("runs", "figures", "checkpoints", "data"))

# A network trained on a third of CelebA. It is kept in git and is the default checkpoint for predictions.
SHIPPED = ROOT / "checkpoints" / "fine-celeba-third.pt"

# CelebA's own file names; the drawn faces use them too
ATTRIBUTE_FILE = "list_attr_celeba.txt"
PARTITION_FILE = "list_eval_partition.txt"
IDENTITY_FILE = "identity_CelebA.txt"
IMAGE_FOLDER = "img_align_celeba"
DRAWN_MARK = "drawn.json"  # written last: a folder that has it holds a complete set of drawn faces

RECIPE = {
    "optimizer": "adamw",
    "lr": 0.004,
    "weight_decay": 0.3,
    "batch_size": 128,
    "schedule": "one_cycle",
    "mirror": True,
}
"""The training recipe of M8, the same as that of the arm `compact_unaveraged` in benchmarks/arms.py.

`lr` is the peak of the one-cycle schedule, and `weight_decay` is decoupled (AdamW). The recipe has no dropout, no label
smoothing and no EMA.
"""

FACTORS = ("lr", "weight_decay", "channels_block3", "dropout")
"""The hyper-parameters that the grid search varies."""

META = {"input_shape": (3, IMAGE_SIZE, IMAGE_SIZE), "num_classes": len(ATTRIBUTES), "attributes": ATTRIBUTES}
"""The task: the shape of an input image, the number of outputs, and the attributes that they predict."""


def _between(low: float, high: float):
    return (lambda value: math.isfinite(value) and low <= value <= high), f"between {low:g} and {high:g}"


def _one_of(*choices):
    return (lambda value: value in choices), "one of " + ", ".join(map(repr, choices))


_FREE = (lambda value: True), "anything"
_RUN_NAME = (
    (lambda value: re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", value) is not None),
    "letters, digits, '.', '_' and '-', beginning with a letter or a digit (at most 80)",
)

# Parameters that describe the data and the machine; all others are hyper-parameters
_SHARED = (
    *("run_name", "data_root", "allow_missing", "drop_duplicates", "device", "precision", "seed"),
    *("train_images", "valid_images"),
)


def _parameter(default, rule=_FREE):
    return dataclasses.field(default=default, metadata={"rule": rule})


@dataclass(frozen=True)
class Config:
    """The parameters of one experiment; the defaults are the course's protocol.

    Each field has a type, a default and a range. They are checked on construction: a wrong value raises StudyError,
    which names the parameter.
    """

    run_name: str = _parameter("study", _RUN_NAME)
    data_root: str = _parameter("")  # a CelebA folder, or "drawn"; "": $CELEBA_ROOT, or else data/
    allow_missing: bool = _parameter(False)  # accept a copy of which some listed images are missing
    drop_duplicates: bool = _parameter(False)  # drop train images that are byte-identical to one of valid or test
    device: str = _parameter("auto", _one_of("auto", "cpu", "cuda"))  # auto: cuda if there is a GPU
    precision: str = _parameter("auto", _one_of("auto", "fp32", "bf16"))  # auto: fp32 on a CPU, bf16 on a GPU
    seed: int = _parameter(42, _between(0, 2**32 - 1))
    max_epochs: int = _parameter(20, _between(1, 10_000))
    batch_size: int = _parameter(64, _between(2, 65_536))
    lr: float = _parameter(0.005, _between(1e-8, 10))
    weight_decay: float = _parameter(1e-5, _between(0, 1))
    arch: str = _parameter("course", _one_of("course", "compact", "fine", "fine_deep", "teacher"))  # the network
    mirror: bool = _parameter(False)  # test-time augmentation: average the logits of an image and its mirror
    channels_block3: int = _parameter(256, _between(1, 4096))  # of the course's network only
    dropout: float = _parameter(0.0, _between(0, 0.95))
    schedule: str = _parameter("constant", _one_of("constant", "one_cycle"))  # of the learning rate
    optimizer: str = _parameter("adam", _one_of("adam", "adamw"))  # adamw: decoupled decay, of weights only
    ema: float = _parameter(0.0, _between(0, 0.99999))  # EMA decay per step; 0 disables it
    label_smoothing: float = _parameter(0.0, _between(0, 0.5))  # with s, targets are s/2 and 1 - s/2
    train_images: int = _parameter(0, _between(0, 10**7))  # 0: all; else a random subset that depends on the seed
    valid_images: int = _parameter(0, _between(0, 10**7))

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = check_parameter(field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    def but(self, **changes) -> "Config":
        """Return a copy with some parameters changed; they are checked too."""
        return dataclasses.replace(self, **changes)

    def with_recipe(self, **changes) -> "Config":
        """Return a Config with RECIPE, and with this experiment's data, seed and device.

        All other parameters have the course's values, whatever they are in this Config: the ablation was measured
        without dropout, so it is repeated without dropout. `changes` take precedence.
        """
        return Config(**{name: getattr(self, name) for name in _SHARED} | RECIPE | changes)

    def to_dict(self) -> dict:
        """Return the parameters as a dictionary of plain types."""
        return dataclasses.asdict(self)


# name: (type, (test, description of the range)) per notebook parameter; in a list, each value must pass the test.
# The parameters below belong to notebooks only; the fields of Config are added to them.
RULES = {
    "profile": (str, _one_of("", "demo", "quick", "full")),
    "seeds": (list, _between(0, 2**32 - 1)),
    "grid_lr": (list, _between(1e-8, 10)),
    "grid_weight_decay": (list, _between(0, 1)),
    "grid_channels_block3": (list, _between(1, 4096)),
    "grid_dropout": (list, _between(0, 0.95)),
    "workers": (str, _one_of("none", "ray")),
    "gpus_per_trial": (float, _between(0, 1)),
    "overfit_images": (int, _between(2, 10_000)),
    "probe_images": (int, _between(2, 10**7)),
    "probe_epochs": (int, _between(1, 10_000)),
    "sweep_steps": (int, _between(20, 100_000)),
    "first_lr": (float, _between(1e-12, 1)),
    "last_lr": (float, _between(1e-6, 1000)),
    "extra_epochs": (int, _between(1, 10_000)),
    "extra_lr": (float, _between(1e-8, 10)),
    "extra_arch": (str, _one_of("course", "compact", "fine", "fine_deep")),
    "extra_batch_size": (int, _between(2, 65_536)),
    "checkpoint": (str, _FREE),
    "compare_with": (str, _FREE),
    "allow_unfinished": (bool, _FREE),
    "language": (str, _one_of("fr", "en")),
    "author": (str, _FREE),
    "course": (str, _FREE),
    "repository": (str, _FREE),
}
RULES |= {field.name: (field.type, field.metadata["rule"]) for field in dataclasses.fields(Config)}


def check_parameter(name: str, value) -> Any:
    """Return `value` converted to the parameter's type; StudyError states the type or range if it is wrong."""
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


def check_parameters(notebook: str, values: dict, defaults: dict) -> dict:
    """Check the names, types and ranges of a notebook's parameters and return them converted.

    `defaults` are the parameters of its `parameters` cell; None is accepted only if it is the default.
    """
    for name in values:
        known(name, defaults, f"parameter of {notebook}")
    try:
        return {
            name: None if value is None and defaults[name] is None else check_parameter(name, value)
            for name, value in values.items()
        }
    except StudyError as error:
        raise StudyError(f"{notebook}: {error}") from error


def known(name: str, names, what: str) -> str:
    """Return `name` if it is among `names`; otherwise raise StudyError, which suggests the most similar name."""
    if name in names:
        return name
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Choose one of: {', '.join(names)}."
    raise StudyError(f"There is no {what} {name!r}. {hint}")
