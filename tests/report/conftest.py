"""What the tests of the report share: a run, made up, whose templates are compiled once and not for every report."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import jinja2
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers.report import figures, sections
from helpers.report.html import page_words, to_html

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


@pytest.fixture
def exported(study, tmp_path, monkeypatch) -> Callable[[str], Path]:
    """A function that exports the report of the made-up study in a language as HTML, and returns the file."""

    monkeypatch.setattr(figures, "picture", PICTURE)

    def export(language: str) -> Path:
        report, words = study.report(language, author="Camille Exemple"), page_words(language)
        notebook = new_notebook(cells=[new_markdown_cell(sections.render(report, name)) for name in sections.SECTIONS])
        about = {"author": "Camille Exemple", "subject": words["subject"].format(run_name="study"), "foot": "study"}
        title = sections.report_title("study", language)
        keywords = tuple(words["keywords"])
        return to_html(notebook, tmp_path / "report.html", title=title, language=language, keywords=keywords, **about)

    return export
