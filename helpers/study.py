"""The start of every notebook: one call that checks the parameters and opens the dataset and the run."""

import ast
import dataclasses
import json
from collections.abc import Mapping
from typing import NamedTuple

import torch

from helpers.checks import Checks
from helpers.config import NOTEBOOKS, Config, check_parameters
from helpers.data.celeba import Dataset, open_dataset
from helpers.plots.style import use_style
from helpers.run import RESULTS, Run
from helpers.system.devices import choose_device, set_seed

__all__ = ["Session", "start"]

ORDER = tuple(RESULTS)


class Session(NamedTuple):
    """The objects that every notebook works with."""

    run: Run
    dataset: Dataset
    device: torch.device
    config: Config
    scorecard: Checks


def start(notebook: str, namespace: Mapping) -> Session:
    """Check the parameters of a notebook, choose the device, set the seed, and open the dataset and the run.

    `namespace` is the notebook's `globals()`, which contains its parameters. Parameters that are None are not set: the
    configuration then keeps the course's value. Raises StudyError if a parameter is wrong, or if the dataset or the
    device is missing.
    """
    defaults = notebook_parameters(notebook)
    parameters = check_parameters(notebook, {name: namespace[name] for name in defaults}, defaults)
    fields = {field.name for field in dataclasses.fields(Config)}
    config = Config(**{name: value for name, value in parameters.items() if name in fields and value is not None})
    device = choose_device(config.device)
    set_seed(config.seed)
    use_style()
    dataset = open_dataset(config.data_root, config.allow_missing, config.drop_duplicates)
    run = Run(notebook, config, dataset, parameters)
    return Session(run, dataset, device, config, run.checks)


def notebook_parameters(notebook: str) -> dict:
    """Return the names and default values in a notebook's `parameters` cell, in order."""
    content = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", []))
    assignments = ast.parse("".join(cell["source"])).body
    return {statement.targets[0].id: ast.literal_eval(statement.value) for statement in assignments}
