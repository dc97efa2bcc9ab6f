"""The report as a file to hand in: one HTML that needs nothing else."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.errors import StudyError
from helpers.plots.explorers.saving import WIDGET
from helpers.report.formulas import typeset
from helpers.report.html import page_words, to_html

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364600000000600023081d02f0000000049454e44ae426082"
)
TABLE = (
    '<table border="1" class="dataframe"><thead><tr><th></th><th>valid_loss</th><th>model</th></tr></thead>'
    "<tbody><tr><th>0</th><td>0.25 ± 0.01</td><td>cnn</td></tr></tbody></table>"
)
OUTSIDE = re.compile(r"@import|url\(\s*['\"]?(?!data:)")


def code(source: str, *tags: str, **mimes: str):
    data = {mime.replace("_", "/", 1): content for mime, content in mimes.items()}
    outputs = [new_output("display_data", data)] if data else []
    return new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


def view(key: str):
    return new_code_cell(outputs=[new_output("display_data", {WIDGET: {"model_id": key}, "text/plain": "repr"})])


def page(folder: Path, *cells, metadata: dict | None = None, **options) -> BeautifulSoup:
    notebook = new_notebook(cells=list(cells), metadata=metadata or {})
    html = to_html(notebook, folder / "report.html", **{"title": "Étude"} | options)
    return BeautifulSoup(html.read_text(encoding="utf-8"), "html.parser")


def test_nothing_is_loaded_from_outside_the_file(tmp_path):
    (tmp_path / "face.png").write_bytes(PIXEL)
    hostile = '<script src="https://cdn.example/x.js"></script><link rel="stylesheet" href="https://cdn.example/x">'
    soup = page(
        tmp_path,
        new_markdown_cell("![a face](face.png) <img src='./face.png'> [link](https://example.org) $x^2$"),
        code("x", text_html=hostile + TABLE),
        code("y", **{"application_javascript": "fetch('https://cdn.example')"}),
        code("z", text_html="<div id='w'></div>", image_png="iVBORw0KGgo="),
        view("gone"),
    )
    assert not soup.select("script, link, iframe, object, embed")
    for element in soup.find_all(src=True) + soup.find_all(srcset=True) + soup.find_all(poster=True):
        assert element["src"].startswith("data:"), element
    assert {element.name for element in soup.find_all(href=True)} <= {"a"}
    assert not any(OUTSIDE.search(style.get_text()) for style in soup.find_all("style"))
    assert not any(OUTSIDE.search(element["style"]) for element in soup.find_all(style=True))
    assert "default-src 'none'" in soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert soup.find("a", href="https://example.org")


def test_hidden_inputs_removed_cells_and_prompts_are_not_in_the_file(tmp_path):
    hidden = code("HIDDEN = 1", "hide-input", text_plain="SHOWN")
    soup = page(tmp_path, hidden, code("REMOVED", "remove-cell", text_plain="GONE"), code("KEPT"))
    assert "SHOWN" in str(soup) and "KEPT" in str(soup)
    assert not [word for word in ("HIDDEN", "REMOVED", "GONE") if word in str(soup)]
    assert not soup.select(".prompt")


@pytest.mark.parametrize(("tag", "shown"), [("hide-input", False), ("other", True)])
def test_injected_parameters_are_hidden_with_the_parameters_they_override(tmp_path, tag, shown):
    soup = page(tmp_path, code("seed = 1", "parameters", tag), code("seed = 77", "injected-parameters"))
    assert ("77" in soup.get_text()) is shown


def test_streams_are_joined_overwritten_lines_go_and_ansi_becomes_colour(tmp_path):
    texts = ["10%\r", "100%\n", "\x1b[31mred\x1b[0m\n"]
    soup = page(tmp_path, new_code_cell(outputs=[new_output("stream", text=text) for text in texts]))
    (stream,) = soup.select(".output_stdout")
    assert stream.get_text().split() == ["100%", "red"]
    assert stream.select_one(".ansi-red-fg").get_text() == "red"


def test_widgets_and_their_state_are_left_out(tmp_path):
    state = {"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"value": "A PRIVATE PICTURE"}}}}
    soup = page(tmp_path, view("chosen"), code("x", text_plain="KEPT"), metadata=state)
    assert "KEPT" in str(soup) and "repr" not in str(soup) and "PRIVATE" not in str(soup)


def test_headings_have_ids_of_their_own_and_the_contents_lead_to_them(tmp_path):
    headings = "## Résultats\n\n## Résultats\n\n## contents\n\n### Détail d’un `essai`\n"
    soup = page(tmp_path, new_markdown_cell(headings))
    ids = [element["id"] for element in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert soup.h3["id"] == "Détail-d’un-essai"  # Jupyter's own, so that its links work here
    links = soup.select("nav#contents a")
    assert [unquote(link["href"]) for link in links] == [
        "#Résultats",
        "#Résultats-2",
        "#contents-2",
        f"#{soup.h3['id']}",
    ]
    assert all(soup.main.find(id=unquote(link["href"])[1:]) for link in links)
    assert [link.get_text() for link in soup.select("nav#contents ol ol a")] == ["Détail d’un essai"]
    assert [link["href"] for link in soup.select("main .permalink")] == [link["href"] for link in links]


def test_a_page_without_parts_has_no_contents(tmp_path):
    assert not page(tmp_path, new_markdown_cell("## Seule\n\n### Détail\n")).find("nav")


def test_the_given_title_replaces_the_notebook_s_and_the_language_is_said(tmp_path):
    soup = page(tmp_path, new_markdown_cell("# Old\n\nText"), title="A < B", author="É. <x>", language="en")
    assert soup.html["lang"] == "en"
    assert soup.title.get_text() == "A < B"
    assert [heading.get_text() for heading in soup.find_all("h1")] == ["A < B"]
    assert soup.select_one(".author").get_text() == "É. <x>"
    assert page(tmp_path, new_markdown_cell("x")).html["lang"] == "fr"


def test_the_report_s_own_title_page_takes_the_place_of_the_plain_title(tmp_path):
    own = '<header class="title-page">\n\n# Mien\n\n</header>'
    soup = page(tmp_path, new_markdown_cell(own), new_markdown_cell("## A\n\n## B"), title="Titre")
    assert [heading.get_text() for heading in soup.find_all("h1")] == ["Mien"]
    assert soup.select_one(".title-page + nav") and not soup.select_one(".title-block") and soup.title.string == "Titre"


def test_the_fonts_are_in_the_file(tmp_path):
    style = page(tmp_path, new_markdown_cell("x")).find("style").get_text()
    assert {"Report Serif", "Report Sans", "Report Mono"} <= set(re.findall('font-family: "(.*?)"', style))
    assert all(source.startswith("data:font/woff2") for source in re.findall(r"src: url\((.*?)\)", style))


def test_what_describes_the_file_is_in_its_head(tmp_path):
    soup = page(tmp_path, new_markdown_cell("x"), subject="Sujet", keywords=("un", "deux"), foot='un "nom"')
    said = {meta.get("name"): meta["content"] for meta in soup.find_all("meta", content=True)}
    assert said["description"] == "Sujet" and said["keywords"] == "un, deux"
    assert r'content: "un \22 nom\22 "' in soup.find_all("style")[-1].get_text()


def test_both_languages_say_the_same_things_around_the_report():
    french, english = page_words("fr"), page_words("en")
    assert french.keys() == english.keys() and all(french.values()) and all(english.values())


def test_a_figure_is_a_link_to_itself_and_keeps_its_anchor(tmp_path):
    pictures = '<figure id="fig-1"><img src="face.png" alt="un visage"><figcaption>F</figcaption></figure>'
    (tmp_path / "face.png").write_bytes(PIXEL)
    soup = page(tmp_path, new_markdown_cell(pictures + "\n\n" + pictures.replace("fig-1", "fig-2")))
    for number, figure in enumerate(soup.find_all("figure"), start=1):
        box = figure.select_one(".large")
        assert figure["id"] == f"fig-{number}" and figure.img["alt"] == "un visage"
        assert box.select_one("a.open")["href"] == f"#{box['id']}"
        assert box.select_one("a.close")["href"] == f"#fig-{number}"


def test_formulas_become_drawings_that_keep_their_source(tmp_path):
    soup = page(tmp_path, new_markdown_cell("Le taux $\\eta$, 5 \\$.\n\n$$\\frac{a < b}{2}$$"))
    assert [svg["aria-label"] for svg in soup.select("svg.math")] == [r"\eta", r"\dfrac{a < b}{2}"]
    assert all(svg.path["d"].startswith("M") for svg in soup.select("svg.math"))
    assert "5 $." in soup.main.get_text()


@pytest.mark.parametrize("formula", [r"\begin{aligned} a &= b \end{aligned}", r"\lVert w \rVert", r"\frac{"])
def test_a_formula_that_cannot_be_set_stays_as_code(formula):
    soup = BeautifulSoup(typeset(formula), "html.parser")
    assert soup.find("code").get_text() == formula


@pytest.mark.parametrize("source", ["absent.png", "https://example.org/face.png"])
def test_an_image_that_is_not_there_is_told(tmp_path, source):
    with pytest.raises(StudyError, match=f"{re.escape(source)}.*Create it first"):
        page(tmp_path, new_markdown_cell(f"![a face]({source})"))
    assert not list(tmp_path.iterdir())


def test_images_are_found_beside_the_notebook_and_keep_their_alternative_text(tmp_path):
    import nbformat

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "un visage.png").write_bytes(PIXEL)
    nbformat.write(new_notebook(cells=[new_markdown_cell("![visage](un%20visage.png)")]), folder / "report.ipynb")
    html = to_html(folder / "report.ipynb", tmp_path / "elsewhere" / "report.html", title="x")
    image = BeautifulSoup(html.read_text(encoding="utf-8"), "html.parser").find("img")
    assert image["alt"] == "visage"
    assert image["src"].startswith("data:image/png;base64,iVBOR")


def test_table_columns_of_words_are_told_from_numbers_and_names_may_break(tmp_path):
    soup = page(tmp_path, code("df", text_html="<style scoped>td {color: red}</style>" + TABLE))
    assert {cell.get_text() for cell in soup.select(".words")} == {"cnn", "model"}
    assert soup.select_one("thead th wbr") and not soup.find("style", scoped=True)
    assert soup.select_one(".scroll[tabindex] > table")
    assert [cell.get_text() for cell in soup.select("thead td")] == [""]  # no head that says nothing


@pytest.mark.parametrize("content", [None, "{not json"])
def test_a_notebook_that_cannot_be_read_is_told(tmp_path, content):
    path = tmp_path / "report.ipynb"
    if content:
        path.write_text(content)
    with pytest.raises(StudyError, match="run it"):
        to_html(path, tmp_path / "report.html", title="x")
