"""The executed notebooks as linked pages."""

import json
from urllib.parse import urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.config import ROOT
from helpers.errors import StudyError
from helpers.report.site import export_notebooks


@pytest.fixture
def folder(tmp_path):
    for name, title in (("01_data", "# 01 · Data"), ("05_grid", "# 05 · Grid")):
        output = new_output("stream", text=f"Results: {ROOT}/runs/x, from /mnt/of ada/celeba\n")
        cells = [new_markdown_cell(f"{title}\n\nWhy."), new_markdown_cell("## A"), new_markdown_cell("## B")]
        nbformat.write(
            new_notebook(cells=[*cells, new_code_cell("x = 1", outputs=[output])]), tmp_path / f"{name}.ipynb"
        )
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "01_data.json").write_text(json.dumps({"data": {"root": "/mnt/of ada/celeba"}}))
    return tmp_path


def test_every_page_links_to_every_other_and_says_which_it_is(folder):
    index = export_notebooks(folder, folder / "notebooks", "fr")
    pages = sorted(path.name for path in index.parent.glob("*.html"))
    assert pages == ["01_data.html", "05_grid.html", "index.html"]
    for name in pages:
        soup = BeautifulSoup((index.parent / name).read_text(encoding="utf-8"), "html.parser")
        assert sorted(link["href"] for link in soup.select("nav .site a")) == pages
        assert soup.select_one("nav [aria-current]")["href"] == name
        assert not [link for link in soup.find_all(href=True) if urlsplit(link["href"]).scheme]
    assert soup.html["lang"] == "fr"


def test_a_page_has_the_code_and_one_title_and_no_path_of_this_machine(folder):
    export_notebooks(folder, folder / "notebooks")
    soup = BeautifulSoup((folder / "notebooks" / "05_grid.html").read_text(encoding="utf-8"), "html.parser")
    assert [title.get_text() for title in soup.find_all("h1")] == ["05 · Grid"]
    assert (
        "x = 1" in soup.get_text() and "Results: runs/x, from celeba" in soup.get_text() and str(ROOT) not in str(soup)
    )
    assert soup.html["lang"] == "en" and "Why." in soup.main.get_text()


def test_a_run_without_executed_notebooks_is_told(tmp_path):
    with pytest.raises(StudyError, match="no executed notebook"):
        export_notebooks(tmp_path, tmp_path / "notebooks")
