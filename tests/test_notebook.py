"""What the notebooks show: a dash for a value that is not defined, and a note for a mistake of the user."""

import numpy as np
import pandas as pd
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from helpers import notebook
from helpers.errors import StudyError


def test_a_value_that_is_not_defined_is_shown_as_a_dash(monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", lambda output: shown.append(output.data))
    notebook.show_table(pd.DataFrame({"images": [1200, 7], "f1": [0.51234, np.nan], "lr": [1e-5, np.nan]}))
    assert "<td>1,200</td>" in shown[0] and "<td>0.5123</td>" in shown[0] and "<td>1e-05</td>" in shown[0]
    assert shown[0].count("<td>—</td>") == 2 and "nan" not in shown[0].lower()


def run_cells(monkeypatch, watched, *cells):
    """Return the notes, what is printed and the results of cells in IPython, after a notebook has prepared itself."""
    shell, notes = InteractiveShell(), []
    monkeypatch.setattr(notebook, "display", lambda note: notes.append(note.data))
    shell.user_ns["StudyError"] = StudyError
    monkeypatch.setattr(notebook, "get_ipython", lambda: shell)
    monkeypatch.setattr(notebook.progress, "is_watched", lambda: watched)
    monkeypatch.setattr(notebook.progress, "show_with", lambda *classes: None)
    notebook.prepare()
    with capture_output() as shown:
        results = [shell.run_cell(cell) for cell in cells]
    return notes, shown.stdout + shown.stderr, results


def test_a_mistake_of_the_user_is_a_note_without_a_traceback_and_the_cell_fails(monkeypatch):
    notes, printed, results = run_cells(monkeypatch, True, "raise StudyError('No <b> at /data.\\nDo this.')")
    assert len(notes) == 1 and "No &lt;b&gt; at /data.\nDo this." in notes[0]
    assert "Traceback" not in printed and not results[0].success


def test_other_errors_keep_their_traceback_and_so_does_a_mistake_in_a_log(monkeypatch):
    notes, printed, results = run_cells(monkeypatch, True, "1 / 0")
    assert not notes and "ZeroDivisionError" in printed and not results[0].success
    notes, printed, results = run_cells(monkeypatch, False, "raise StudyError('Do this.')")
    assert not notes and "Traceback" in printed and "Do this." in printed and not results[0].success
