"""What is saved with a notebook: the figures of its explorers, but no picture of the user's."""

import json

import pytest
from ipywidgets import HTML, embed
from jupyter_server.services.contents.manager import ContentsManager
from matplotlib.figure import Figure

from helpers.config import NOTEBOOKS
from helpers.plots.explorers import explorer, saving
from helpers.plots.explorers.explorer import View
from helpers.plots.explorers.face_choice import Face, FaceChoice

SERVER = json.loads((NOTEBOOKS / "jupyter" / "server.json").read_text(encoding="utf-8"))["ContentsManager"]


def saved(*widgets) -> dict[str, str]:
    """Return what the server would save of some widgets, by their ids."""
    state = embed.dependency_state(widgets)
    content = {"metadata": {"widgets": {saving.STATE: {"state": state}}}, "cells": []}
    hook = ContentsManager(pre_save_hook=SERVER["pre_save_hook"]).pre_save_hook
    hook(model={"type": "notebook", "content": content}, path="07_test.ipynb", contents_manager=None)
    return {key: json.dumps(widget) for key, widget in state.items()}


@pytest.fixture
def shown(monkeypatch):
    """An explorer of a face; the fixture is its control and the widget that shows the figure."""
    made = []
    monkeypatch.setattr(explorer, "is_watched", lambda: True)
    monkeypatch.setattr(explorer, "display", lambda *_, **__: None)
    monkeypatch.setattr("ipywidgets.HTML", lambda value: made.append(HTML(value)) or made[-1])
    choice = FaceChoice(1)
    explorer.explore(lambda face: View(Figure((1, 1)), face.origin, private=face.private), face=choice)
    return choice, made[0]


def test_a_drawn_face_is_saved_and_a_picture_of_the_users_is_not(shown):
    choice, figure = shown
    assert "drawn face 1" in saved(figure)[figure.model_id]
    choice.value = Face(choice.value.image, "your picture", private=True)
    kept = saved(figure)[figure.model_id]
    assert "your picture" not in kept and "data:image/png" not in kept and "not saved" in kept
    choice.number.value = 2
    assert "drawn face 2" in saved(figure)[figure.model_id]


def test_the_bytes_of_a_file_or_a_photo_are_not_saved():
    state = {"a": {"model_name": "ImageModel", "state": {}, "buffers": [{"data": "iVBOR"}]}}
    content = {"metadata": {"widgets": {saving.STATE: {"state": state}}}}
    saving.without_own_pictures({"type": "notebook", "content": content})
    assert "iVBOR" not in json.dumps(content)


@pytest.mark.parametrize("model", [{"type": "file", "content": "x"}, {"type": "notebook", "content": None}])
def test_other_files_and_a_notebook_without_content_are_left_alone(model):
    saving.without_own_pictures(model)
    saving.without_own_pictures({"type": "notebook", "content": {"metadata": {}}})
