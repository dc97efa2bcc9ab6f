"""What JupyterLab saves of a notebook: figures instead of widgets, which end with the kernel.

Without this, a notebook that is opened again says "Error displaying widget: model not found" in their places. What a
widget shows is not saved: a picture that a reader has chosen stays in the memory of the kernel.
"""

WIDGET = "application/vnd.jupyter.widget-view+json"


def without_widgets(model: dict, **_):
    """Take the widgets out of a notebook before it is saved: a pre-save hook of Jupyter Server, which changes `model`.

    An explorer leaves the figure that it shows at the start. The notebook in the browser keeps its widgets.
    """
    if model["type"] != "notebook" or not model.get("content"):
        return
    notebook = model["content"]
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [kept for output in cell["outputs"] if (kept := _still(output))]


def _still(output: dict) -> dict | None:
    """Return an output without its widget; None if only the widget's name would be left."""
    data = output.get("data", {})
    if WIDGET not in data:
        return output
    others = {kind: shown for kind, shown in data.items() if kind != WIDGET}
    return None if set(others) <= {"text/plain"} else {**output, "data": others}
