"""What the notebooks show: sentences with measured numbers, tables, and conclusions that the checks allow."""

import pandas as pd
from IPython.display import HTML, Markdown, display

from helpers.checks import Checks

__all__ = ["conclude", "say", "show_table"]

RATES = ("lr", "weight_decay", "valley", "steep", "minimum", "slide")  # columns that span orders of magnitude


def say(markdown: str):
    """Show an answer, its numbers filled in from what was measured."""
    display(Markdown(markdown))


def conclude(checks: Checks, conclusion: str):
    """Show a conclusion where every check of the notebook passed; otherwise say which ones failed.

    A failed *remark* does not contradict the conclusion and is added to it; a *fault* takes its place.
    """
    say(checks.conclusion(conclusion))


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
