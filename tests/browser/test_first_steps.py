"""What a newcomer does in JupyterLab besides running everything: a mistake, and a training that is stopped."""

import json

import pytest
from playwright.sync_api import expect

from .lab import NOTE, Notebook

pytestmark = pytest.mark.browser
TOO_MANY = 500  # epochs


@pytest.fixture
def open_copy(chromium, server):
    """Return a function that opens a copy of a notebook with other parameters."""
    opened = []

    def open_it(name: str, copy: str, **parameters) -> Notebook:
        server.change(name, parameters, copy)
        opened.append(Notebook(chromium, server, copy))
        return opened[-1]

    yield open_it
    for notebook in opened:
        notebook.shut_down()
        notebook.close()


def test_without_a_dataset_run_all_ends_in_a_short_note_that_says_what_to_set(open_copy):
    notebook = open_copy("01_data", "no_dataset", profile="", data_root="")
    notebook.run_all()
    notebook.picture("whole")
    outputs = [output for cell in notebook.cells() for output in cell["outputs"]]
    (note,) = [output for output in outputs if output["output_type"] != "stream"]
    assert NOTE in note["data"]["text/html"] and not [o for o in outputs if o["output_type"] == "error"]
    shown = notebook.page.get_by_role("alert")
    expect(shown).to_be_visible()
    assert 'data_root = "drawn"' in shown.inner_text() and "Traceback" not in shown.inner_text()
    assert len(shown.inner_text().splitlines()) < 15, shown.inner_text()


def test_the_stop_button_ends_a_training_after_the_epoch_and_the_best_epoch_is_kept(open_copy, server):
    few = {"train_images": 64, "valid_images": 24, "batch_size": 16, "extra_batch_size": 16, "extra_epochs": 1}
    own = {"profile": "", "data_root": "drawn", "run_name": "stopped"}
    notebook = open_copy("06_final", "stopped", **own, **few, max_epochs=TOO_MANY)
    notebook.command("notebook:run-all-cells")
    stop = notebook.page.get_by_role("button", name="Stop after this epoch")
    stop.wait_for()
    notebook.page.locator("figcaption", has_text="Epoch").first.wait_for()
    stop.scroll_into_view_if_needed()
    notebook.page.screenshot(path=notebook.path("training"))
    stop.click()
    notebook.wait(notebook.done)
    notebook.picture("whole")
    expect(notebook.page.get_by_text("It was stopped.")).to_be_visible()
    results = json.loads((server.home / "runs" / "stopped" / "results" / "06_final.json").read_text(encoding="utf-8"))
    losses = [row["val_loss"] for row in results["history"]]
    assert 1 <= len(losses) < TOO_MANY and results["best_epoch"] == 1 + losses.index(min(losses))
    assert (server.home / "checkpoints" / "stopped" / "best.pt").is_file()
