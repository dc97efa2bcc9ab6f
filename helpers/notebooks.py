"""The notebooks as files: their order, and the parameters they declare."""

import ast
import json

from helpers.config import NOTEBOOKS

ORDER = ("01_data", "02_baselines", "03_overfit", "04_lr_finder", "05_grid", "06_final", "07_test")


def notebook_parameters(notebook: str) -> dict:
    """Return the names and defaults in the notebook's `parameters` cell, in order."""
    content = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", []))
    assignments = ast.parse("".join(cell["source"])).body
    return {statement.targets[0].id: ast.literal_eval(statement.value) for statement in assignments}
