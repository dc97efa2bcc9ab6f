"""What the notebooks show: a value that is not defined is a dash and not a number."""

import numpy as np
import pandas as pd

from helpers import notebook


def test_a_value_that_is_not_defined_is_shown_as_a_dash(monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", lambda output: shown.append(output.data))
    notebook.show_table(pd.DataFrame({"images": [1200, 7], "f1": [0.51234, np.nan], "lr": [1e-5, np.nan]}))
    assert "<td>1,200</td>" in shown[0] and "<td>0.5123</td>" in shown[0] and "<td>1e-05</td>" in shown[0]
    assert shown[0].count("<td>—</td>") == 2 and "nan" not in shown[0].lower()
