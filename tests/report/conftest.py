"""What the tests of the report share: a run, made up."""

import pytest

from .made_up import Study


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    return Study(tmp_path, monkeypatch)
