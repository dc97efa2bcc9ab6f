"""Figures that float: what they may pass, how far, and what stays with what."""

import pytest
from bs4 import BeautifulSoup

from helpers.report import pdf
from helpers.report.floats import _move, float_down
from helpers.report.html import to_html

from .made_up import DRAWING
from .measure import measure

FIGURE = '<figure id="f"></figure>'
TABLE = '<p class="caption" id="t"></p><div class="scroll"><table><tr></tr></table></div>'
TEXT = "<p>" + "word " * 60 + "</p>"  # estimated at 22.5 mm: four lines and a gap


def moved(name: str, html: str, room: float) -> list[str]:
    """Return the names, ids or classes of the blocks after the move of one of them."""
    page = BeautifulSoup(f'<div class="output_markdown">{html}</div>', "html.parser")
    _move(page.find(id=name), room)
    return [
        str(block.get("id") or " ".join(block.get("class", [])) or block.name)
        for section in page.select(".output_markdown")
        for block in section.find_all(recursive=False)
    ]


@pytest.mark.parametrize(
    ("room", "order"), [(100, ["p", "p", "f", "h3"]), (25, ["p", "f", "p", "h3"]), (10, ["f", "p", "p", "h3"])]
)
def test_a_figure_passes_as_much_text_as_there_is_room_and_leaves_no_heading_behind(room, order):
    assert moved("f", FIGURE + TEXT + TEXT + "<h3>A</h3>", room) == order


def test_a_figure_passes_a_table_but_no_other_figure():
    assert moved("f", FIGURE + TABLE + '<figure id="g"></figure>' + TEXT, 200) == ["t", "scroll", "f", "g", "p"]


def test_a_table_keeps_its_caption_and_passes_no_other_table():
    other = TABLE.replace('"t"', '"u"')
    assert moved("t", TABLE + TEXT + other + TEXT, 200) == ["p", "t", "scroll", "u", "scroll", "p"]


@pytest.mark.parametrize(("room", "order"), [(80, ["f", "h2", "p"]), (120, ["h2", "p", "f"])])
def test_a_figure_leaves_its_section_only_if_a_third_of_the_page_stayed_empty(room, order):
    assert moved("f", f'{FIGURE}</div><div class="output_markdown"><h2>B</h2>{TEXT}', room) == order


@pytest.mark.slow
@pytest.mark.skipif(pdf.find_browser() is None, reason="no Chromium, Chrome or Edge here")
def test_a_page_that_a_figure_would_leave_half_empty_is_filled(tmp_path):
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    figure = DRAWING.replace(">", ' style="width:17cm;height:14cm">')
    paragraph = f"<p>{'Some words that fill a line. ' * 20}</p>"
    lines = [paragraph] * 3
    text = "\n\n".join(["## A", *lines, "See [it](#f).", f'<figure id="f">{figure}</figure>', *lines, "## B", *lines])
    output = new_output("display_data", {"text/markdown": text})
    notebook = new_notebook(cells=[new_code_cell(outputs=[output], metadata={"tags": ["hide-input"]})])
    html = to_html(notebook, tmp_path / "report.html", title="x", language="en")
    page, printed = BeautifulSoup(html.read_text(encoding="utf-8"), "html.parser"), tmp_path / "printed.pdf"
    pdf._by_browser(html, printed)
    assert max(measure(printed).empty[:-1]) > 1 / 3 and float_down(page, printed)
    pdf.to_pdf(html, tmp_path / "report.pdf")
    assert max(measure(tmp_path / "report.pdf").empty[:-1]) < 1 / 3
