"""What the tests of the report share: a run, made up, whose templates are compiled once and not for every report."""

from functools import cache, partial

import jinja2
import pytest

from helpers.report import figures, sections

from .made_up import Study

WORDS, PICTURE = cache(sections._words), figures.picture


def placeholder(name: str, source: figures.Source) -> figures.Picture | None:
    """Stand for a figure, which takes a tenth of a second to draw."""
    written = figures.FIGURES[name].notebook in source.results
    return figures.Picture("data:image/png;base64,", name, 17) if written else None


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> jinja2.BytecodeCache:
    return jinja2.FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def study(tmp_path, monkeypatch, compiled) -> Study:
    monkeypatch.setattr(jinja2, "Environment", partial(jinja2.Environment, bytecode_cache=compiled))
    monkeypatch.setattr(sections, "_words", WORDS)
    monkeypatch.setattr(figures, "picture", placeholder)
    return Study(tmp_path, monkeypatch)
