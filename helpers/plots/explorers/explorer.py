"""What all explorers share: controls above a figure that follows them, or the figure alone."""

import base64
import html
import io
import traceback
from collections.abc import Callable, Mapping
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from helpers.system.progress import is_watched

RESOLUTION = 110  # dots per inch on the screen: a figure as wide as a page has about 740 pixels


class View(NamedTuple):
    """What an explorer shows for one setting of its controls.

    `says` is a sentence or two with the numbers to notice. It stands below the figure, and is its text for those who
    cannot see it. The table, if there is one, stands below that. `limits` has, by the names of controls, the highest
    value that makes sense now: the last page of what was selected, for example.
    """

    figure: Figure
    says: str
    table: pd.DataFrame | None = None
    limits: Mapping[str, int] = {}


def explore(draw: Callable[..., View], **controls):
    """Show `draw(**values)` below the controls, ipywidgets by the names of its arguments, and again at each change.

    Where nobody can move the controls, show the view of their first values, without them.
    """
    view = draw(**{name: control.value for name, control in controls.items()})
    picture = png(view.figure)
    if is_watched():
        _show_controls(draw, controls, view, picture)
    else:
        show_still(view, picture)


def show_still(view: View, picture: bytes | None = None):
    """Show a view as an image with its text, and its table."""
    encoded = base64.b64encode(picture or png(view.figure)).decode()
    display({"image/png": encoded, "text/plain": view.says}, metadata={"image/png": {"alt": view.says}}, raw=True)
    display(Markdown(view.says))
    if view.table is not None:
        display(view.table)


def _show_controls(draw: Callable[..., View], controls: dict, view: View, picture: bytes):
    from ipywidgets import HTML, Box, Layout, VBox

    shown = HTML(as_html(view, picture))

    def follow(change):
        try:
            moved = draw(**{name: control.value for name, control in controls.items()})
            _limit(controls, moved.limits)
            shown.value = as_html(moved, png(moved.figure))
        except Exception:  # otherwise Jupyter hides it in its log, and the figure seems to be stuck
            shown.value = f"<pre>{html.escape(traceback.format_exc())}</pre>"

    _limit(controls, view.limits)
    for control in controls.values():
        control.observe(follow, names="value")
        if control.has_trait("style") and control.style.has_trait("description_width"):
            control.style.description_width = "initial"  # as long as the text; JupyterLab cuts it off otherwise
    row = Box(list(controls.values()), layout=Layout(flex_flow="row wrap", align_items="center", grid_gap="0 1em"))
    explorer = VBox([row, shown])
    # What a program shows that knows no widgets, and what is left in a saved notebook (saving.py)
    fallback = {"text/html": as_html(view, picture), "text/plain": view.says}
    widget = {
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2,
            "version_minor": 0,
            "model_id": explorer.model_id,
        }
    }
    display(widget | fallback, raw=True)


def _limit(controls: dict, limits: Mapping[str, int]):
    """Set the highest value of some controls; a control above it moves to it, and is drawn before this returns."""
    for name, highest in limits.items():
        controls[name].max = highest


def as_html(view: View, picture: bytes) -> str:
    """Return the figure, its text and its table as HTML."""
    says = html.escape(view.says)
    rows = view.table
    table = "" if rows is None else rows.to_html(border=0, index=not isinstance(rows.index, pd.RangeIndex))
    table = table.replace("<table", '<table style="border-spacing: 1em 0.2em"', 1)
    source = base64.b64encode(picture).decode()
    return (
        f'<figure style="margin: 0"><img src="data:image/png;base64,{source}" alt="{says}" style="max-width: 100%">'
        f'<figcaption style="line-height: 1.4">{says}</figcaption></figure>{table}'
    )


def png(figure: Figure, **options) -> bytes:
    """Return the figure as a PNG image, and close it so that the notebook does not show it a second time."""
    content = io.BytesIO()
    # The image stays on this machine: it is compressed as little as possible, which is faster.
    figure.savefig(content, dpi=RESOLUTION, facecolor="white", pil_kwargs={"compress_level": 1}, **options)
    plt.close(figure)
    return content.getvalue()
