"""Output of the notebooks: sentences with measured numbers, tables, and conclusions that depend on the checks."""

import pandas as pd
from IPython.display import HTML, Markdown, display

from helpers.checks import Checks

__all__ = ["conclude", "say", "show_table"]

RATES = ("lr", "weight_decay", "valley", "steep", "minimum", "slide")  # columns that span orders of magnitude


def say(markdown: str):
    """Show Markdown text in the notebook."""
    display(Markdown(markdown))


def conclude(checks: Checks, conclusion: str):
    """Show a conclusion if no check of severity "fault" failed; otherwise show the checks that failed.

    Failed checks of severity "remark" do not contradict the conclusion and are added to it.
    """
    say(checks.conclusion(conclusion))


def show_table(table: pd.DataFrame, digits: int = 4, hide: tuple[str, ...] = ()):
    """Show a table with thousands separators for counts and `digits` decimals for fractions."""
    shown = table.drop(columns=list(hide))
    small = [name for name in RATES if name in shown]
    shown = shown.assign(**{name: shown[name].map("{:.3g}".format, na_action="ignore") for name in small})
    formats = dict.fromkeys(shown.select_dtypes("integer").columns, "{:,}".format)
    number = f"{{:.{digits}f}}".format
    html = shown.to_html(
        formatters=formats, float_format=number, na_rep="—", border=0, index=not isinstance(shown.index, pd.RangeIndex)
    )
    display(HTML(html))
