"""The notebooks: their order, the parameters they declare, and what they show in words and tables."""

import ast
import json

import pandas as pd
from IPython.display import HTML, Markdown, display

from helpers.config import NOTEBOOKS

__all__ = ["say", "show_table"]

ORDER = ("01_data", "02_baselines", "03_overfit", "04_lr_finder", "05_grid", "06_final", "07_test")
RATES = ("lr", "weight_decay", "valley", "steep", "minimum", "slide")  # columns that span orders of magnitude


def notebook_parameters(notebook: str) -> dict:
    """Return the names and defaults in the notebook's `parameters` cell, in order."""
    content = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", []))
    assignments = ast.parse("".join(cell["source"])).body
    return {statement.targets[0].id: ast.literal_eval(statement.value) for statement in assignments}


def say(markdown: str):
    """Show an answer, its numbers filled in from what was measured."""
    display(Markdown(markdown))


def show_table(table: pd.DataFrame, digits: int = 4, hide: tuple[str, ...] = ()):
    """Show a table with thousands separators for counts and `digits` decimals for fractions."""
    shown = table.drop(columns=list(hide))
    small = [name for name in RATES if name in shown]
    shown = shown.assign(**{name: shown[name].map("{:.3g}".format) for name in small})
    formats = dict.fromkeys(shown.select_dtypes("integer").columns, "{:,}".format)
    number = f"{{:.{digits}f}}".format
    html = shown.to_html(
        formatters=formats, float_format=number, border=0, index=not isinstance(shown.index, pd.RangeIndex)
    )
    display(HTML(html))
