"""Damaged results, logs and settings: an answer or a StudyError; never another exception.

FUZZ_INPUTS sets the number of inputs, for a long run by hand.
"""

import json
import re

import numpy as np
import pytest
from data.test_fuzzed_images import BYTES, fuzzed
from hypothesis import given
from hypothesis import strategies as st

from helpers.cli.journal import Journal
from helpers.cli.planning import Study, plan
from helpers.errors import StudyError
from helpers.scorecard import read_scorecard, verdict
from helpers.study import ORDER, notebook_parameters
from helpers.system.files import append_json, read_jsons
from helpers.system.records import read_arrays, read_record, record_digest, write_arrays, write_record
from helpers.training.results import read_finished

CHECK = {"name": "a", "expected": "1", "measured": "{x}", "passed": False, "severity": "fault", "notebook": "01_data"}
CONTENT = {
    "checks": [CHECK | {"values": {"x": 2}}],
    "files": {"read": {}, "made": {}},
    "commands": [{"command": "run", "started": ""}],
    "notebooks": {"01_data": {"status": "done", "inputs": {"parameters": {}}, "read": {}, "made": {}}},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda part: st.lists(part) | st.dictionaries(st.text(max_size=5), part),
    max_leaves=8,
)
KNOWN = sorted({name for notebook in ORDER for name in notebook_parameters(notebook)})
ODD = ["1e999", "-0", "[" * 300, "(" * 300, "9" * 5000, "{}", "None", "0x", "1_0", "'\\0'"]
VALUES = st.text(max_size=8) | JSON.map(repr) | st.sampled_from(ODD)


def damaged(data, whole: bytes) -> bytes:
    """Return a file with bytes changed and its end cut, or other JSON, or anything."""
    match data.draw(st.sampled_from(["bytes", "bytes", "json", "any"])):
        case "json":
            return json.dumps(data.draw(JSON)).encode()
        case "any":
            return data.draw(st.binary(max_size=60))
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(BYTES)
    return bytes(changed[: data.draw(st.just(len(changed)) | st.integers(0, len(changed)))])


def read_all(folder):
    """Read a damaged file as each of its readers would; a value that was changed is never an answer."""
    verdict(read_scorecard(folder / "checks.json"), ORDER)
    Journal(folder, "demo").why_execute("01_data", {"parameters": {}, "data": "", "notebook": "", "code": ""})
    assert all(isinstance(record, dict) for record in read_jsons(folder / "log.jsonl"))
    assert all(trial == {"key": "k", "val_loss": 0.25} for trial in read_finished(folder / "log.jsonl").values())
    for read, name in ((read_record, "checks.json"), (read_arrays, "a.npz")):
        try:
            found = read(folder / name)
            assert found["checks"] == CONTENT["checks"] if read is read_record else found["a"].tolist() == [1, 2, 3]
        except StudyError as error:
            assert re.search(r"Run .* again", str(error))


def check_one(data, folder):
    write_record(folder / "checks.json", CONTENT)
    write_record(folder / "run.json", CONTENT)
    (folder / "log.jsonl").unlink(missing_ok=True)
    trial = {"key": "k", "val_loss": 0.25}
    append_json(folder / "log.jsonl", trial | {"digest": record_digest(trial)})
    write_arrays(folder / "a.npz", a=np.array([1, 2, 3]))
    for name in ("checks.json", "run.json", "log.jsonl", "a.npz"):
        (folder / name).write_bytes(damaged(data, (folder / name).read_bytes()))
    read_all(folder)


@pytest.mark.parametrize("inputs", [100, pytest.param(1500, marks=pytest.mark.slow)])
def test_damaged_results_are_read_as_they_were_or_refused_in_words(inputs, tmp_path):
    fuzzed(inputs)(given(data=st.data())(lambda data: check_one(data, tmp_path)))()


@pytest.mark.parametrize("inputs", [100, pytest.param(1500, marks=pytest.mark.slow)])
def test_settings_of_any_form_are_taken_or_refused_in_words(inputs):
    names = st.sampled_from(KNOWN) | st.text(max_size=5)
    setting = st.tuples(st.sampled_from([f"{notebook}." for notebook in ORDER] + ["", ".", "x."]), names, VALUES)

    def check(parts):
        try:
            plan(Study("demo", settings=["{}{}={}".format(*parts)]))
        except StudyError as error:
            assert "Error" not in str(error)

    fuzzed(inputs)(given(setting)(check))()
