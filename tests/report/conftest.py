"""What the tests of the report share: a run, made up, whose templates are compiled once and not for every report."""

from functools import cache, partial

import jinja2
import pytest

from helpers.report import sections

from .made_up import Study

WORDS = cache(sections._words)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> jinja2.BytecodeCache:
    return jinja2.FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def study(tmp_path, monkeypatch, compiled) -> Study:
    monkeypatch.setattr(jinja2, "Environment", partial(jinja2.Environment, bytecode_cache=compiled))
    monkeypatch.setattr(sections, "_words", WORDS)
    return Study(tmp_path, monkeypatch)
