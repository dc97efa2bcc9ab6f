"""The one validator of checkpoints: each field is checked, and what this version cannot use is refused.

A field that was read and ignored, such as another normalisation, would make every answer wrong without a word.
"""

import json

import torch
from torch import nn

from helpers.config import ATTRIBUTES, IMAGE_SIZE, MEAN, STD, Config, check_parameter
from helpers.errors import StudyError
from helpers.models.familiarity import channels
from helpers.models.networks import from_architecture

FORMAT = "celeba-study checkpoint 1"
FAMILY = FORMAT.rstrip("0123456789")
ANOTHER = "Name another file."
# What the programs of this version take for granted
GIVEN = {
    "attributes": list(ATTRIBUTES),
    "normalisation": {"mean": MEAN, "std": STD},
    "input_shape": [3, IMAGE_SIZE, IMAGE_SIZE],
    "thresholds": [0.5] * len(ATTRIBUTES),
}
KINDS = {"architecture": dict, "config": dict, "epoch": int, "metrics": dict, "trained_on": str, "versions": dict}
OPTIONAL = {"thresholds", "familiar"}  # the first in checkpoints of version 0.1, the second in published ones
FIELDS = {"format", "model", "familiar", *KINDS, *GIVEN}
TENSORS = {"model", "familiar"}
WRAPPERS = {"module", "_orig_mod"}  # what DataParallel and torch.compile put into the names of layers


class Unusable(Exception):
    """What is wrong with a checkpoint, as the rest of a sentence that its path begins, and what to do."""

    def __init__(self, what: str, do: str = ANOTHER):
        super().__init__(what)
        self.what, self.do = what, do


def validate(content) -> tuple[nn.Module, dict]:
    """Return the network of a checkpoint's content, in eval mode, and its other fields in plain types.

    Raises Unusable if a field is missing, unknown, of another type, or of a value that this version does not work with,
    and if a weight is not a finite number.
    """
    _check_format(content)
    if unknown := sorted(map(str, content.keys() - FIELDS)):
        raise Unusable(
            f"has fields that this version does not know: {', '.join(map(_short, unknown))}", "Update this project."
        )
    if missing := sorted(FIELDS - OPTIONAL - content.keys()):
        raise Unusable(f"lacks {', '.join(missing)}", f"Save it with this study's save_checkpoint. {ANOTHER}")
    fields = _plain({name: value for name, value in content.items() if name not in TENSORS})
    _check_fields(fields)
    model = _network(fields["architecture"])
    weights = _unwrapped(content["model"])
    _check_weights(weights, model)
    model.load_state_dict(weights)
    _check_answers(model.eval())
    if "familiar" in content:
        _check_familiar(content["familiar"], 2 * channels(model))
        fields["familiar"] = content["familiar"]
    return model, fields | {"model": weights}


def _check_format(content):
    stated = content.get("format") if isinstance(content, dict) else None
    if stated is None and isinstance(content, dict) and content and all(map(torch.is_tensor, content.values())):
        raise Unusable(
            "holds weights alone (a state_dict), and not what they are the weights of",
            "Load them into a network and save it with this study's save_checkpoint.",
        )
    if not isinstance(stated, str) or not stated.startswith(FAMILY):
        raise Unusable(f"is not a checkpoint of this study (its format is not '{FORMAT}')")
    if stated != FORMAT:
        raise Unusable(f"has the format {_short(stated)}, and this version reads '{FORMAT}'", "Update this project.")


def _plain(fields: dict) -> dict:
    """Return the fields as JSON would: lists for tuples, and no type beyond numbers, texts, lists and dictionaries."""
    try:
        return json.loads(json.dumps(fields))
    except (TypeError, ValueError, RecursionError) as error:
        raise Unusable(f"has a field that is not of plain types ({str(error)[:80]})") from error


def _check_fields(fields: dict):
    for name, kind in KINDS.items():
        if type(fields[name]) is not kind:
            raise Unusable(f"has no valid {name} ({_short(fields[name])} is not of type {kind.__name__})")
    for name, given in GIVEN.items():
        if name in fields and fields[name] != given:
            told = f"states {name} {_short(fields[name])}"
            raise Unusable(f"{told}, but this version works with {given} and would answer wrongly")
    if fields["epoch"] < 0 or any(type(value) not in (int, float) for value in fields["metrics"].values()):
        raise Unusable("has no valid epoch or metrics")
    if any(type(fields["versions"].get(name)) is not str for name in ("python", "torch")):
        raise Unusable("does not state the versions of python and torch that it was made with")
    try:
        fields["config"] = Config(**fields["config"]).to_dict()  # with today's defaults for parameters that are newer
    except (StudyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise Unusable(f"has settings that this version does not know ({reason})") from error


def _network(architecture: dict) -> nn.Module:
    try:
        for name, value in architecture.items():
            if name != "type":
                check_parameter("arch" if name == "plan" else name, value)
        return from_architecture(architecture)
    except (KeyError, TypeError, StudyError) as error:
        raise Unusable(f"holds a network that this study does not know: {_short(architecture)}") from error


# Weights


def _unwrapped(weights) -> dict[str, torch.Tensor]:
    """Return the weights by the names that the bare network gives them."""
    if not isinstance(weights, dict) or not all(map(torch.is_tensor, weights.values())):
        raise Unusable("has weights that are not tensors by name")
    bare = {".".join(p for p in str(name).split(".") if p not in WRAPPERS): value for name, value in weights.items()}
    if len(bare) < len(weights):
        raise Unusable("has the weights of several networks")
    return bare


def _check_weights(weights: dict[str, torch.Tensor], model: nn.Module):
    own = model.state_dict()
    lacking, foreign = own.keys() - weights.keys(), weights.keys() - own.keys()
    if lacking or foreign:
        which = f"without {min(lacking)}" if lacking else f"with {_short(min(foreign))}"
        raise Unusable(f"holds weights of another network than its architecture states: {which}")
    for name, tensor in weights.items():
        try:
            _check_tensor(name, tensor, own[name])
        except (RuntimeError, TypeError) as error:  # sparse, quantised, nested, without storage
            raise Unusable(f"has weights that are no plain numbers in {name}") from error


def _check_tensor(name: str, tensor: torch.Tensor, own: torch.Tensor):
    if tensor.shape != own.shape:
        shapes = f"{name} has {tuple(tensor.shape)} and not {tuple(own.shape)}"
        raise Unusable(f"holds weights of another shape than its architecture states: {shapes}")
    if tensor.is_floating_point() != own.is_floating_point():
        raise Unusable(f"has weights of the type {tensor.dtype} in {name}")
    if not tensor.to(own.dtype).isfinite().all():
        layer = name.rpartition(".")[0]
        raise Unusable(f"has NaN or infinite weights in the layer {layer}", f"Train it again. {ANOTHER}")


@torch.inference_mode()
def _check_answers(model: nn.Module):
    """Refuse a network whose logits overflow, or whose normalisation has negative variances."""
    shades = torch.tensor([-1.0, 0.0, 1.0])[:, None, None, None]
    if not model(shades.expand(3, 3, IMAGE_SIZE, IMAGE_SIZE)).isfinite().all():
        raise Unusable("holds a network whose answers are not finite numbers", f"Train it again. {ANOTHER}")


def _check_familiar(familiar, size: int):
    """Refuse statistics of the training images (`familiarity.fit`) that are not of this network's size."""
    shapes = {"mean": (size,), "whiten": (size, size)}
    try:
        fits = familiar.keys() == {*shapes, "limit"} and 0 < familiar["limit"] < float("inf")
        for name, shape in shapes.items():
            tensor = familiar[name]
            fits = fits and tensor.shape == shape and tensor.dtype == torch.float32 and bool(tensor.isfinite().all())
    except (AttributeError, KeyError, TypeError, RuntimeError):
        fits = False
    if not fits:
        raise Unusable("has statistics of its training images (familiar) that do not fit its network")


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
