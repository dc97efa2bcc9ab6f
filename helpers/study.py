"""The start of every notebook: one call that checks the parameters and opens the dataset and the run."""

import ast
import dataclasses
import json
from collections.abc import Collection
from typing import NamedTuple

import torch
import yaml

from helpers.config import NOTEBOOKS, Config, check_parameters, known
from helpers.data.celeba import Dataset, open_dataset
from helpers.run import Run
from helpers.scorecard import Checks
from helpers.system.devices import choose_device, set_seed
from helpers.system.progress import is_logged

__all__ = ["Session", "start"]

# The keys of each notebook's results, besides those that `Run.write` adds. The report and the tests read these.
RESULTS = {
    "01_data": (
        *("meta", "rates", "cooccurrence", "correlation", "identities", "identities_shared", "largest_shift"),
        *("labels_per_image", "no_label", "batch", "copies", "label_consistency", "findings"),
    ),
    "02_baselines": (
        *("baselines", "majority", "constants", "train_rates", "images", "linear_epochs", "parameters_count"),
        *("mult_adds", "layers", "initial_loss", "prior_loss", "prior_entropy"),
    ),
    "03_overfit": (
        *("images", "valid_images", "train_loss", "train_eval_loss", "wrong_labels", "first_epoch_below"),
        *("valid_loss_lowest", "valid_loss_highest_after", "valid_loss_last", "by_hand", "by_hand_difference"),
        *("capacity", "history"),
    ),
    "04_lr_finder": (
        *("chosen", "suggestions", "by_seed", "window", "steps", "range", "images", "last_lr", "diverged"),
    ),
    "05_grid": (
        *("best", "best_name", "trials", "trainings", "seeds", "seed_noise", "effects", "edges", "images"),
        *("suggested_lr", "trial_seconds", "trial_tflop"),
    ),
    "06_final": (
        *("chosen", "origin", "history", "best_epoch", "best", "checkpoint", "images", "extra", "seeds"),
        "images_per_second",
    ),
    "07_test": (
        *("checkpoint", "checkpoint_name", "checkpoint_epoch", "trained_on", "trained_seed", "overall", "whole_test"),
        *("persons", "openings", "intervals", "valid_interval", "majority", "above_majority", "per_attribute"),
        *("threshold_gains", "comparison", "groups", "gaps"),
    ),
    "appendix": ("calibration", "shortcuts", "likely_errors", "published"),
}
ORDER = tuple(RESULTS)


class Session(NamedTuple):
    """The objects that every notebook works with."""

    run: Run
    dataset: Dataset
    device: torch.device
    config: Config
    scorecard: Checks


def start(notebook: str, namespace: dict) -> Session:
    """Check the parameters of a notebook, choose the device, set the seed, and open the dataset and the run.

    `namespace` is the notebook's `globals()`, which contains its parameters; those that its profile sets are changed
    there. Under papermill, only a profile that is passed as a parameter counts, not the notebook's own. Parameters that
    are None are not set: the configuration then keeps the course's value. Raises StudyError if a parameter is wrong, or
    if the dataset or the device is missing.
    """
    from helpers.notebook import prepare  # half a second of matplotlib that the command line can do without
    from helpers.plots.style import use_style

    prepare()
    defaults = notebook_parameters(notebook)
    parameters = check_parameters(notebook, {name: namespace[name] for name in defaults}, defaults)
    passed = _passed_by_papermill(namespace)
    if is_logged() and "profile" not in passed:
        parameters["profile"] = ""
    if changes := set_by_profile(notebook, parameters, defaults, passed):
        print(f"Set by the profile {parameters['profile']}: {', '.join(f'{k} = {v!r}' for k, v in changes.items())}")
    parameters |= changes
    namespace.update(changes)
    fields = {field.name for field in dataclasses.fields(Config)}
    config = Config(**{name: value for name, value in parameters.items() if name in fields and value is not None})
    device = choose_device(config.device)
    set_seed(config.seed)
    use_style()
    dataset = open_dataset(config.data_root, config.allow_missing, config.drop_duplicates)
    run = Run(notebook, config, dataset, parameters, RESULTS[notebook])
    return Session(run, dataset, device, config, run.checks)


def set_by_profile(notebook: str, parameters: dict, defaults: dict, passed: Collection[str] = ()) -> dict:
    """Return the parameters that the notebook's profile sets, except those that the user has set.

    These have another value than in the notebook's cell, or were `passed` by papermill.
    """
    if not parameters["profile"]:
        return {}
    profile = load_profile(parameters["profile"])
    values = profile.get("all", {}) | profile.get(notebook, {})
    left = {name for name, value in parameters.items() if value == defaults[name]} - set(passed)
    return {name: value for name, value in values.items() if name in left and value != defaults[name]}


def _passed_by_papermill(namespace: dict) -> set[str]:
    """Return the names that papermill has set, in a cell of its own that begins with a comment."""
    cells = [cell for cell in namespace.get("In", []) if cell.startswith("# Parameters")]
    return {node.id for cell in cells for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Name)}


def load_profile(name: str) -> dict:
    """Return the parameters that a profile in notebooks/profiles.yaml sets, by notebook ("all" for every notebook)."""
    profiles = yaml.safe_load((NOTEBOOKS / "profiles.yaml").read_text(encoding="utf-8"))
    return profiles[known(name, profiles, "profile")]


def notebook_parameters(notebook: str) -> dict:
    """Return the names and default values in a notebook's `parameters` cell, in order."""
    content = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", []))
    assignments = ast.parse("".join(cell["source"])).body
    return {statement.targets[0].id: ast.literal_eval(statement.value) for statement in assignments}
