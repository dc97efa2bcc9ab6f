"""The same seed on the same machine: the same bytes of every result file, apart from the times."""

import json
import re

import papermill
import pytest

from helpers.config import FIGURES, NOTEBOOKS, RUNS
from helpers.system.records import TIMES

pytestmark = pytest.mark.slow

PARAMETERS = {
    "02_baselines": {"max_epochs": 2, "probe_images": 24, "probe_epochs": 1},
    "04_lr_finder": {"sweep_steps": 20, "batch_size": 8, "seeds": [43]},
}


def without_times(text: str) -> str:
    """Return a file of results without the lines of times, and of the name of the run."""
    return re.sub(rf'^ *"({"|".join(TIMES - {"digest"})}|run_name)": .*\n', "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("notebook", PARAMETERS)
def test_a_notebook_executed_twice_writes_the_same_bytes_apart_from_times(notebook, drawn, tmp_path):
    texts, files = [], []
    for run_name in ("first", "second"):
        given = {"run_name": run_name, "data_root": "drawn", "device": "cpu"} | PARAMETERS[notebook]
        source = str(NOTEBOOKS / f"{notebook}.ipynb")
        papermill.execute_notebook(source, str(tmp_path / "out.ipynb"), given, progress_bar=False)
        results = RUNS / run_name / "results"
        content = json.loads((results / f"{notebook}.json").read_text())
        for place, key in ((content, "digest"), (content, "files"), (content["parameters"], "run_name")):
            del place[key]
        texts.append(without_times(json.dumps(content, indent=1)))
        made = [*results.glob("*.npz"), *(FIGURES / run_name).glob(f"{notebook}_*.png")]
        files.append({path.name: path.read_bytes() for path in sorted(made)})
    assert len(texts[0]) > 1000 and texts[0] == texts[1]
    assert files[0].keys() and files[0] == files[1]
