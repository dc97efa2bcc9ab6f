"""What a notebook shows: sentences with measured numbers, tables, conclusions, progress, and notes about mistakes."""

import html

import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.display import HTML, Markdown, display

from helpers.errors import StudyError
from helpers.plots.explorers import live
from helpers.scorecard import Checks
from helpers.system import progress

__all__ = ["conclude", "say", "show_table"]

# Columns that need no four decimals, and how they are written
COARSE = {
    **{"seconds": "{:,.1f}", "seconds per epoch": "{:,.1f}", "images_per_second": "{:,.0f}"},
    **{"tflop": "{:,.2f}", "dropout": "{:g}"},
}
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
    coarse = {name: form for name, form in COARSE.items() if name in shown}
    shown = shown.assign(**{name: shown[name].map(form.format, na_action="ignore") for name, form in coarse.items()})
    formats = dict.fromkeys(shown.select_dtypes("integer").columns, "{:,}".format)
    number = f"{{:.{digits}f}}".format
    rows = shown.to_html(
        formatters=formats, float_format=number, na_rep="—", border=0, index=not isinstance(shown.index, pd.RangeIndex)
    )
    display(HTML(rows))


def prepare():
    """Show mistakes of the user as a note, and progress in place, if a person watches this notebook in Jupyter."""
    if progress.is_watched():
        progress.show_with(live.Bar, live.Training)
        get_ipython().set_custom_exc((StudyError,), _show_mistake)


def _show_mistake(shell, kind, error: StudyError, traceback, tb_offset=None):
    """Show a StudyError as its message alone. IPython calls this; the cells after the failed one are not run."""
    note = "border-left: 0.3em solid #D55E00; padding: 0.3em 1em; white-space: pre-wrap; line-height: 1.4"
    display(HTML(f'<div role="alert" style="{note}"><b>This cell stopped.</b> {html.escape(str(error))}</div>'))
