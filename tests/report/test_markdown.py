"""The report in one Markdown file: no HTML is left in it, and its figures are files beside it."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers.errors import StudyError
from helpers.report import markdown
from helpers.report.markdown import to_docx, to_markdown

from .made_up import DRAWING

SOURCE = f"""
<div class="title-page">

# Titre

<dl class="cover"><dt>Cours</dt><dd><mark>à remplir</mark></dd></dl>

</div>

<h3 id="D1">D1 · La <code>lr</code> ?</h3>

Voir la <a href="#figure-a">figure 1</a> : 1 &lt; 2, <span class="pass">réussi</span>, `<div>`.

<figure id="figure-a">{DRAWING}<figcaption><strong>Figure 1.</strong> Une <code>chute</code>.</figcaption></figure>

<p class="caption" id="table-b"><strong>Tableau 1.</strong> Des lots.</p>

| a | b |
|---|--:|
| x | 1 |
"""


@pytest.fixture
def written(tmp_path):
    output = new_output("display_data", {"text/markdown": SOURCE})
    notebook = new_notebook(cells=[new_code_cell("show()", outputs=[output])])
    return to_markdown(notebook, tmp_path / "report.md", "Autre titre")


def test_the_file_is_markdown_alone(written):
    text = written.read_text(encoding="utf-8")
    assert not re.findall("<[^>]+>", text.replace("`<div>`", "")) and "show()" not in text
    lines = text.splitlines()
    assert lines[0] == "# Titre" and "### D1 · La `lr` ?" in lines and "- **Cours**: *à remplir*" in lines
    assert "Voir la figure 1 : 1 < 2, réussi, `<div>`." in lines
    assert "**Tableau 1.** Des lots." in lines and "| x | 1 |" in lines


def test_figures_are_files_beside_it_with_their_alternative_text(written):
    text = written.read_text(encoding="utf-8")
    assert "![A line that falls.](report_figures/figure-a.svg)\n\n**Figure 1.** Une `chute`." in text
    assert (written.parent / "report_figures" / "figure-a.svg").read_text().startswith("<svg")


def test_a_text_without_a_title_is_given_one(tmp_path):
    notebook = new_notebook(cells=[new_code_cell(outputs=[new_output("display_data", {"text/markdown": "## A"})])])
    assert to_markdown(notebook, tmp_path / "x.md", "Titre").read_text(encoding="utf-8") == "# Titre\n\n## A\n"


def test_without_pandoc_word_is_refused_with_the_remedy(written, monkeypatch):
    monkeypatch.setattr(markdown.shutil, "which", lambda name: None)
    with pytest.raises(StudyError, match="pandoc is not installed"):
        to_docx(written, written.with_suffix(".docx"))
