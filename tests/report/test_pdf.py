"""The report on paper: printed by whichever engine is there, with page numbers, an outline and a description."""

import os
import re
import sys
import time
from pathlib import Path

import pypdf
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers.errors import StudyError
from helpers.report import pdf
from helpers.report.html import to_html

from .measure import measure


def contents_of(path: Path) -> dict[str, int]:
    """Return the page numbers that the contents of a PDF name."""
    text = pypdf.PdfReader(path).pages[0].extract_text()
    return {title.strip(): int(page) for title, page in re.findall(r"(Partie \d)[\s.]*(\d+)", text)}


@pytest.fixture
def report(tmp_path) -> Path:
    cells = [new_markdown_cell(f"## Partie {n}\n\n<div style='break-after: page'>É</div>") for n in (1, 2)]
    return to_html(new_notebook(cells=cells), tmp_path / "mon rapport é.html", title="Étude")


@pytest.fixture
def no_browser(monkeypatch):
    monkeypatch.setattr(pdf, "find_browser", lambda: None)


def fake_browser(folder: Path, script: str) -> str:
    path = folder / "fake-chrome"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(pdf.find_browser() is None, reason="no Chromium, Chrome or Edge here")
def test_a_real_browser_prints_every_page_and_the_outline(report, tmp_path):
    target = tmp_path / "new" / "report.pdf"
    assert pdf.to_pdf(report, target) == Path(pdf.find_browser()).stem
    assert target.read_bytes().startswith(b"%PDF")
    found = measure(target)
    assert found.pages == 2
    assert [entry[1:] for entry in found.outline] == [("Étude", 0), ("Partie 1", 0), ("Partie 2", 1)]
    assert list(target.parent.iterdir()) == [target]  # no profile, no partial file left


@pytest.mark.skipif(pdf.find_browser() is None, reason="no Chromium, Chrome or Edge here")
def test_the_contents_name_the_pages_and_the_pdf_says_what_it_is(tmp_path):
    parts = "\n\n".join(f"## Partie {n}\n\n<div style='break-after: page'>É</div>" for n in range(1, 7))
    notebook = new_notebook(cells=[new_markdown_cell(parts)])
    about = {"title": "Étude", "language": "fr", "author": "É. N.", "subject": "Sujet", "keywords": ("un", "deux")}
    html = to_html(notebook, tmp_path / "report.html", foot="mon étude", **about)
    pdf.to_pdf(html, tmp_path / "report.pdf")
    found = measure(tmp_path / "report.pdf")
    assert contents_of(tmp_path / "report.pdf") == {f"Partie {n}": n for n in range(1, 7)}
    assert found.language == "fr" and found.tagged and not found.not_embedded
    wanted = {"/Title": "Étude", "/Author": "É. N.", "/Subject": "Sujet", "/Keywords": "un, deux"}
    assert wanted.items() <= found.metadata.items()
    pages = pypdf.PdfReader(tmp_path / "report.pdf").pages
    assert "mon étude" not in pages[0].extract_text() and all("mon étude" in page.extract_text() for page in pages[1:])


@pytest.mark.slow
def test_weasyprint_prints_where_there_is_no_browser(report, tmp_path, no_browser):
    _need_weasyprint()
    assert pdf.to_pdf(report, tmp_path / "report.pdf") == "WeasyPrint"
    found = measure(tmp_path / "report.pdf")
    assert found.pages == 2 and found.tagged and not found.not_embedded
    assert contents_of(tmp_path / "report.pdf") == {"Partie 1": 1, "Partie 2": 2}


WRITES_TEXT = 'for a; do case $a in --print-to-pdf=*) echo text >"${a#*=}";; esac; done'


@pytest.mark.skipif(os.name == "nt", reason="the fake browser is a shell script")
@pytest.mark.parametrize("script", ["exit 0", "exit 3", "exec sleep 30", WRITES_TEXT])
def test_a_browser_that_writes_no_pdf_is_noticed_and_weasyprint_prints(report, tmp_path, monkeypatch, script):
    def weasyprint(html: Path, printed: Path) -> tuple[str, str]:
        blank = pypdf.PdfWriter()
        blank.add_blank_page(595, 842)
        blank.write(printed)
        return "WeasyPrint", ""

    monkeypatch.setattr(pdf, "TIMEOUT", 1)
    monkeypatch.setattr(pdf, "_by_weasyprint", weasyprint)
    monkeypatch.setenv("CHROME_PATH", fake_browser(tmp_path, script))
    start = time.monotonic()
    assert pdf.to_pdf(report, tmp_path / "report.pdf") == "WeasyPrint"
    assert len(pypdf.PdfReader(tmp_path / "report.pdf").pages) == 1
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("error", ["ImportError('no weasyprint')", "OSError('cannot load library pango')"])
def test_with_neither_engine_the_remedies_are_named_and_an_older_pdf_stays(
    report, tmp_path, no_browser, monkeypatch, error
):
    (tmp_path / "weasyprint.py").write_text(f"raise {error}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    target = tmp_path / "report.pdf"
    target.write_bytes(b"%PDF-old")
    with pytest.raises(StudyError, match=r"(?s)pango|no weasyprint") as told:
        pdf.to_pdf(report, target)
    assert all(word in str(told.value) for word in (str(report), "apt-get install chromium", "CHROME_PATH", "Edge"))
    assert target.read_bytes() == b"%PDF-old"


def test_chrome_path_comes_first_and_a_wrong_one_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf, "UNIX_PLACES", ())
    monkeypatch.setenv("CHROME_PATH", str(tmp_path / "absent"))
    assert pdf.find_browser() is None
    if os.name == "posix":
        monkeypatch.setenv("CHROME_PATH", fake_browser(tmp_path, "exit 0"))
        assert pdf.find_browser() == str(tmp_path / "fake-chrome")


def test_printing_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StudyError, match="export the notebook to HTML"):
        pdf.to_pdf(tmp_path / "absent.html", tmp_path / "report.pdf")


def _need_weasyprint() -> None:
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"WeasyPrint does not load: {error}")


QUESTIONS = [f"D{n}" for n in range(1, 12)] + [f"M{n}" for n in range(10)]


@pytest.mark.slow
@pytest.mark.skipif(pdf.find_browser() is None, reason="no Chromium, Chrome or Edge here")
@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_report_is_typeset_as_promised(exported, tmp_path, language, capsys):
    html = exported(language)
    pdf.to_pdf(html, tmp_path / "report.pdf")
    found = measure(tmp_path / "report.pdf")
    with capsys.disabled():
        print(f"\nThe made-up report, {language}: {found}; HTML of {html.stat().st_size / 1e6:.2f} MB")
    assert found.pages <= 30 and not found.too_empty
    assert found.smallest >= 6.99 and not found.not_embedded
    titles = [title for _, title, _ in found.outline]
    assert all(any(title.startswith(f"{code} ") for title in titles) for code in QUESTIONS)
    assert found.tagged and found.language == language and found.tables > 5 and found.figures > 5
    assert all(found.metadata.get(key) for key in ("/Title", "/Subject", "/Keywords"))
    assert found.metadata["/Author"] == "Camille Exemple"
