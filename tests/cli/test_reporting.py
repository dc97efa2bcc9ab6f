"""The report as a command: what is told before anything is executed, and which files are written."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from typer.testing import CliRunner

from helpers.__main__ import app
from helpers.cli import reporting
from helpers.errors import StudyError

ABOUT = {"title": "Titre", "language": "fr"}


@pytest.fixture
def notebook():
    return new_notebook(cells=[new_code_cell(outputs=[new_output("display_data", {"text/markdown": "## A"})])])


def test_a_report_of_a_run_that_is_not_there_is_told():
    with pytest.raises(StudyError, match="There is no run 'nowhere'"):
        reporting.make_report("nowhere")
    with pytest.raises(StudyError, match="There is no run 'nowhere'"):
        reporting.export_site("nowhere")


def test_an_option_that_the_report_does_not_have_is_told():
    with pytest.raises(StudyError, match="Did you mean 'author'"):
        reporting.make_report("nowhere", {"autor": "me"})


def test_each_format_is_written_and_no_other(notebook, tmp_path):
    (written,) = reporting.export(notebook, tmp_path / "report", ("md",), ABOUT)
    assert written.name == "report.md" and [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_format_that_cannot_be_made_is_told_and_the_others_stay(notebook, tmp_path, monkeypatch, capsys):
    def fail(*paths):
        raise StudyError("no browser")

    monkeypatch.setattr(reporting, "to_pdf", fail)
    files = reporting.export(notebook, tmp_path / "report", ("html", "pdf"), ABOUT)
    assert [path.name for path in files] == ["report.html"] and "No pdf: no browser" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (["one"], ("make_report", "one")),
        (["one", "--notebooks"], ("export_site", "one")),
        (["--compare", "one", "two", "three"], ("compare", ["one", "two", "three"])),
    ],
)
def test_the_command_line_says_what_is_exported(monkeypatch, words, called):
    calls = []
    for name in ("make_report", "export_site", "compare"):
        monkeypatch.setattr(reporting, name, lambda first, *more, name=name, **options: calls.append((name, first)))
    result = CliRunner().invoke(app, ["report", *words])
    assert result.exit_code == 0 and calls == [called]


@pytest.mark.parametrize("words", [[], ["one", "two"], ["one", "--format", "odt"]])
def test_a_report_of_nothing_of_two_runs_or_in_an_unknown_format_is_refused(words):
    assert isinstance(CliRunner().invoke(app, ["report", *words]).exception, StudyError)
