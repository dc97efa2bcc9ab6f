"""What JupyterLab's server does before it saves a notebook: it leaves out the pictures that the user has given.

JupyterLab saves the state of the widgets with a notebook, so that its explorers show their figures when it is opened
again. The Makefile sets this function as the server's `pre_save_hook`.
"""

PRIVATE = "celeba-study-private"  # the class of a widget that shows a picture of the user's
STATE = "application/vnd.jupyter.widget-state+json"
PICTURES = ("FileUploadModel", "ImageModel")  # widgets that hold a file or a photo itself
NOT_SAVED = "<p>This showed a picture of yours, which is not saved with the notebook. Run the cell again.</p>"


def without_own_pictures(model: dict, **context):
    """Take the user's pictures out of the widgets of a notebook that is about to be saved."""
    if model["type"] != "notebook" or not model.get("content"):
        return
    widgets = model["content"]["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})
    for widget in widgets.values():
        if PRIVATE in widget["state"].get("_dom_classes", ()):
            widget["state"]["value"] = NOT_SAVED
        if widget["model_name"] in PICTURES:
            widget.pop("buffers", None)
