"""Every notebook as a newcomer meets it in JupyterLab: it runs to its end, its explorers move, and it can be kept.

Each notebook is opened and run once, in the order of the study, and the tests use it one after the other: the last one
closes it and opens it again. Pictures of what was seen are in tests/browser/screenshots/ (not in git).
"""

import json

import pytest

from helpers.config import ROOT
from helpers.plots.explorers.saving import WIDGET
from helpers.study import ORDER

from .lab import Notebook

pytestmark = pytest.mark.browser
SHOWN = 10_000  # milliseconds until an explorer has answered, on a busy machine
MOST_OUTPUTS = 50  # of a cell: JupyterLab hides the others behind a button
PICTURE = "image/png"


@pytest.fixture(scope="module", params=[*ORDER, "report"])
def notebook(request, chromium, server):
    """A notebook after *Run All* with its parameters as they stand, in a cold kernel."""
    opened = Notebook(chromium, server, request.param)
    try:
        opened.run_all()
        yield opened
    finally:
        opened.shut_down()
        opened.close()


def test_run_all_ends_with_every_cell_done_and_no_error_and_nothing_on_stderr(notebook):
    notebook.picture("whole")
    for cell in notebook.cells():
        for output in cell["outputs"]:
            assert output["output_type"] != "error", "\n".join(output["traceback"])
            assert output.get("name") != "stderr", output["text"]
        assert len(cell["outputs"]) <= MOST_OUTPUTS, cell["source"]
        assert cell["count"] or cell["type"] != "code" or not cell["source"].strip(), cell["source"]


def test_every_picture_says_what_it_shows(notebook):
    outputs = [output for cell in notebook.cells() for output in cell["outputs"] if PICTURE in output.get("data", {})]
    for output in outputs:
        assert len(output["metadata"].get(PICTURE, {}).get("alt", "")) > 30, output["data"]["text/plain"]
    for picture in notebook.page.locator(".jp-RenderedHTMLCommon img, .jupyter-widgets img").all():
        assert picture.get_attribute("alt")


def test_every_control_of_an_explorer_changes_what_it_shows(notebook):
    for number, explorer in enumerate(notebook.explorers()):
        explorer.scroll_into_view_if_needed()
        sentences = {shown(explorer)[1]}
        for control in [control for kind in CONTROLS for control in explorer.locator(kind).all()]:
            before = shown(explorer)
            ways = (changes(explorer, before) for _ in moves(control))
            name = control.evaluate("e => e.closest('.jupyter-widgets').innerText")
            assert next(ways, True) or any(ways), f"{notebook.name}, explorer {number}: {name}"
            sentences.add(shown(explorer)[1])
        assert len(sentences) > 1, sentences
        assert not explorer.locator("pre").count(), explorer.locator("pre").inner_text()
        explorer.screenshot(path=notebook.path(f"explorer-{number}"))


CONTROLS = (
    ".widget-upload",
    "input[type=number]",
    ".noUi-handle",
    "select",
    "input[type=checkbox]",
    ".widget-toggle-button",
)
FACE = ROOT / "figures" / "readme" / "faces.jpg"  # drawn ones


def shown(explorer) -> tuple[str, str]:
    """Return the picture of an explorer and the sentence below it."""
    picture = explorer.locator("figure img")
    return picture.get_attribute("src"), explorer.locator("figcaption").inner_text()


def changes(explorer, before: tuple[str, str]) -> bool:
    """Return whether an explorer shows another picture than before, within the time that it may take."""
    for _ in range(SHOWN // 100):
        if shown(explorer)[0] != before[0]:
            return True
        explorer.page.wait_for_timeout(100)
    return False


def moves(control):
    """Move a control in one way after another, with the keyboard or the mouse as a person does."""
    kind = control.evaluate("e => e.matches('input, select, button') ? e.type : 'slider'")
    if control.evaluate("e => e.matches('.widget-upload')"):
        with control.page.expect_file_chooser() as chooser:
            control.click()
        chooser.value.set_files(FACE)
        yield
    elif kind in ("checkbox", "submit", "button"):
        control.click()
        yield
    elif kind == "select-one":
        chosen = control.evaluate("e => e.selectedIndex")
        for index in set(range(control.locator("option").count())) - {chosen}:
            control.select_option(index=index)
            yield
    elif kind == "slider" or control.get_attribute("min") != control.get_attribute("max"):
        for key in ("ArrowUp", "ArrowDown", "PageUp", "PageDown"):
            control.press(key)
            yield


def test_saved_closed_and_opened_again_it_shows_figures_in_the_places_of_its_explorers(notebook):
    before, explorers = [outputs_of(cell) for cell in notebook.cells()], len(notebook.explorers())
    pictures = [shown(explorer)[0] for explorer in notebook.explorers() if explorer.locator(".widget-upload").count()]
    saved = json.dumps(notebook.save())
    assert WIDGET not in saved
    assert not [picture for picture in pictures if picture in saved]  # one may be the reader's own
    notebook.shut_down()
    notebook.open_again()
    notebook.picture("reopened")
    assert [outputs_of(cell) for cell in notebook.cells()] == before
    assert "Error displaying widget" not in notebook.page.locator(".jp-Notebook").inner_text()
    assert notebook.page.locator("figure img").count() >= explorers
    broken = notebook.page.evaluate("() => [...document.images].filter(e => e.complete && !e.naturalWidth).length")
    assert not broken
    notebook.dark_picture()


def outputs_of(cell: dict) -> list[dict]:
    """Return what the outputs of a cell show, by type, without the numbers of widgets."""
    return [
        {kind: shown for kind, shown in output.get("data", {"text": output.get("text")}).items() if kind != WIDGET}
        for output in cell["outputs"]
    ]
