"""Damaged checkpoints: a network that answers with numbers, or one message; never another exception.

FUZZ_INPUTS sets the number of inputs, for a long run by hand (with pytest -s, their outcomes are printed).
"""

import io
import zipfile
from collections import Counter

import pytest
import torch
from data.test_fuzzed_images import BYTES, fuzzed
from hypothesis import given
from hypothesis import strategies as st

from helpers.config import Config
from helpers.errors import StudyError
from helpers.models.checkpoints import load_checkpoint, save_checkpoint
from helpers.models.networks import build_model

CONFIG = Config(channels_block3=1)
ODD = [
    None,
    True,
    -1,
    0,
    2**70,
    0.5,
    float("nan"),
    "",
    "\0",
    "x" * 300,
    [],
    [0.5] * 5,
    {},
    {"type": []},
    {1: 2},
    (1, 2),
]
ODD += [torch.tensor(1), torch.ones(5), torch.tensor(float("nan")), torch.ones(5, dtype=torch.complex64)]
ODD += [torch.ones(2, 2).to_sparse(), torch.empty(3, device="meta"), {"mean": 0.5, "std": float("inf")}]
VALUES = st.one_of(
    st.sampled_from(ODD),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
    st.recursive(st.booleans(), st.lists, max_leaves=9),
)
OUTCOMES = Counter()


@pytest.fixture(scope="module", autouse=True)
def told():
    yield
    print(OUTCOMES.total(), "inputs:", OUTCOMES.most_common())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "best.pt"
    save_checkpoint(path, build_model(0, torch.device("cpu"), 1), CONFIG, 1, {"val_loss": 0.1}, "drawn faces")
    return path


def changed_fields(data, content: dict) -> bytes:
    """Return the checkpoint with a field, a part of one, or a weight, removed or replaced."""
    where = data.draw(st.sampled_from([content, content["model"], content["config"], content["architecture"]]))
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.one_of(st.sampled_from(sorted(where)), st.text(max_size=5)) if where else st.text())
        if data.draw(st.booleans()):
            where.pop(name, None)
        else:
            where[name] = data.draw(VALUES)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def changed_bytes(data, whole: bytes) -> bytes:
    """Return the file with some bytes changed, or its end cut."""
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 5))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(BYTES)
    return bytes(changed[: data.draw(st.one_of(st.just(len(changed)), st.integers(0, len(changed))))])


def changed_pickle(data, whole: bytes) -> bytes:
    """Return the file with bytes of its pickle changed, and checksums that agree with them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info, changed_bytes(data, content) if info.filename.endswith("data.pkl") else content)
    return buffer.getvalue()


def check_one(data, whole, path):
    match data.draw(st.sampled_from(["fields", "bytes", "pickle"])):
        case "fields":
            content = changed_fields(data, torch.load(whole, weights_only=True))
        case "bytes":
            content = changed_bytes(data, whole.read_bytes())
        case _:
            content = changed_pickle(data, whole.read_bytes())
    path.write_bytes(content)
    try:
        loaded = load_checkpoint(path)
        assert loaded.model(torch.zeros(1, 3, 64, 64)).isfinite().all()
        OUTCOMES["loaded"] += 1
    except StudyError as error:
        said = str(error).removeprefix(str(path))
        assert "\n" not in said and "Weights only" not in said
        OUTCOMES[said[:40]] += 1


@fuzzed(30)
@given(data=st.data())
def test_some_damaged_checkpoints_load_or_give_one_message(data, whole, tmp_path):
    check_one(data, whole, tmp_path / "best.pt")


@pytest.mark.slow
@fuzzed(1000)
@given(data=st.data())
def test_many_damaged_checkpoints_load_or_give_one_message(data, whole, tmp_path):
    check_one(data, whole, tmp_path / "best.pt")
