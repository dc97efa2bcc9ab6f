"""A saved notebook has figures where widgets were, and nothing else of it changes."""

import json

from ipywidgets import HTML
from jupyter_server.services.contents.manager import ContentsManager
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.config import NOTEBOOKS
from helpers.plots.explorers import explorer
from helpers.plots.explorers.explorer import View
from helpers.plots.explorers.saving import WIDGET, without_widgets

SERVER = json.loads((NOTEBOOKS / "jupyter_server_config.json").read_text(encoding="utf-8"))["ContentsManager"]


def saved(*outputs, **metadata):
    notebook = new_notebook(
        cells=[new_markdown_cell("# A"), new_code_cell("x", outputs=list(outputs))], metadata=metadata
    )
    model = {"type": "notebook", "content": notebook}
    ContentsManager(pre_save_hook=SERVER["pre_save_hook"]).pre_save_hook(model=model, path="a", contents_manager=None)
    return notebook


def shown(**data):
    return new_output("display_data", {kind.replace("_", "/"): value for kind, value in data.items()})


def test_an_explorer_leaves_its_figure_and_the_state_of_widgets_is_not_saved():
    explorer = shown(text_html="<figure></figure>", text_plain="a sentence")
    explorer["data"][WIDGET] = {"model_id": "1"}
    explorer["metadata"] = {"tags": 1}
    notebook = saved(explorer, widgets={"state": "of a picture"}, language_info={"name": "python"})
    (output,) = notebook.cells[1].outputs
    assert output["data"] == {"text/html": "<figure></figure>", "text/plain": "a sentence"}
    assert output["metadata"] == {"tags": 1} and notebook.metadata == {"language_info": {"name": "python"}}


def test_a_widget_that_leaves_only_its_name_is_left_out_and_all_else_stays():
    training = shown(text_plain="VBox(children=…)")
    training["data"][WIDGET] = {"model_id": "1"}
    others = [new_output("stream", text="a"), shown(text_plain="1"), new_output("error", ename="E", evalue="e")]
    assert saved(training, *others).cells[1].outputs == others


def test_what_is_no_notebook_is_saved_as_it_is():
    for model in ({"type": "file", "content": "a"}, {"type": "notebook"}):
        before = dict(model)
        without_widgets(model)
        assert model == before


def test_what_is_left_of_an_explorer_has_the_figure_of_its_start_and_its_sentence(monkeypatch):
    displayed = {}
    monkeypatch.setattr(explorer, "is_watched", lambda: True)
    monkeypatch.setattr(explorer, "display", lambda data, **_: displayed.update(data))
    control = HTML("drawn")
    explorer.explore(lambda face: View(Figure((1, 1)), f"a {face} face"), face=control)
    control.value = "private"
    (output,) = saved(new_output("display_data", dict(displayed))).cells[1].outputs
    assert (
        "a drawn face</figcaption>" in output["data"]["text/html"] and "data:image/png" in output["data"]["text/html"]
    )
    assert "private" not in json.dumps(output)
