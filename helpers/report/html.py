"""Convert an executed notebook into one self-contained HTML file, for the screen and for print."""

import base64
import copy
import mimetypes
import os
import re
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from traitlets.config import Config

from helpers.errors import StudyError
from helpers.report.stills import freeze_widgets, typeset

TEMPLATES = Path(__file__).parent / "templates"
WORDS = {
    "fr": {
        "contents": "Sommaire",
        "no_alt": "Figure sans description",
        "no_state": "élément interactif, état non enregistré",
    },
    "en": {
        "contents": "Contents",
        "no_alt": "Figure without description",
        "no_state": "interactive element, state not saved",
    },
}
HEADING = re.compile("^h[1-6]$")
ROOMY = 75  # characters in a table's longest row; longer ones fit on an A4 page only in a small font
SHORT = 15  # rows; a table of at most this many moves to the next page as a whole
NUMBER = re.compile(r"[-+−]?\d[\d\s.,]*(e[-+]?\d+)?\s*%?(\s*±.*)?|nan|none|-?inf|[-—–]?", re.IGNORECASE)


def to_html(
    notebook: Path | nbformat.NotebookNode,
    target: Path,
    *,
    title: str,
    language: str = "fr",
    author: str = "",
) -> Path:
    """Write a notebook as one HTML file that needs no network and no script; return `target`.

    Cells tagged `remove-cell` are removed; of cells tagged `hide-input` only the outputs are shown. Local images are
    read from the notebook's folder (from that of `target` for a NotebookNode) and embedded. If the notebook's first
    heading is an h1, `title` replaces it. Raises StudyError for an unreadable notebook or a missing image.
    """
    target = Path(target)
    folder = target.parent if isinstance(notebook, nbformat.NotebookNode) else Path(notebook).parent
    words = WORDS.get(language, WORDS["en"])
    nb = _read(notebook)
    _tag_injected_parameters(nb)
    freeze_widgets(nb, words["no_state"])
    report = {"title": title, "author": author, "contents": words["contents"]}
    html, _ = _exporter(language).from_notebook_node(nb, resources={"report": report})
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    partial.write_text(_finished(html, folder, words["no_alt"]), encoding="utf-8")
    os.replace(partial, target)
    return target


def _read(notebook: Path | nbformat.NotebookNode) -> nbformat.NotebookNode:
    if isinstance(notebook, nbformat.NotebookNode):
        return copy.deepcopy(notebook)
    try:
        return nbformat.read(notebook, as_version=4)
    except FileNotFoundError:
        raise StudyError(f"There is no notebook {notebook} to export; run it first.") from None
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise StudyError(f"{notebook} is not a readable notebook ({error}); run it again.") from error


def _tag_injected_parameters(nb: nbformat.NotebookNode) -> None:
    """Copy the tags of the `parameters` cell to papermill's cell, so that both are hidden or shown."""
    tags = []
    for cell in nb.cells:
        own = cell.metadata.get("tags", [])
        if "parameters" in own:
            tags = own
        elif "injected-parameters" in own:
            cell.metadata["tags"] = [*own, *tags]


def _exporter(language: str) -> HTMLExporter:
    config = Config()
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_cell_tags = {"remove-cell"}
    config.TagRemovePreprocessor.remove_input_tags = {"hide-input"}
    config.CoalesceStreamsPreprocessor.enabled = True
    config.NbConvertBase.display_data_priority = [
        *("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/latex"),
        *("application/javascript", "text/plain"),  # the template shows nothing for a script
    ]
    return HTMLExporter(
        config=config,
        template_name="report",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        language_code=language,
        filters={"markdown2html": _markdown},
    )


# Markdown


class _Renderer(IPythonRenderer):
    def inline_math(self, body):
        return typeset(body)

    def block_math(self, body):
        tall = typeset(body.replace(r"\frac", r"\dfrac"))
        return f'<span class="display-math">{tall}</span>'

    def latex_environment(self, name, body):
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


@pass_context
def _markdown(context, source: str) -> str:
    attachments = context.get("cell", {}).get("attachments", {})
    renderer = _Renderer(escape=False, attachments=attachments, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


# The finished page


def _finished(html: str, folder: Path, no_alt: str) -> str:
    page = BeautifulSoup(html, "html.parser")
    for element in page.select("script, link, style[scoped]"):  # pandas' scoped style would override ours
        element.decompose()
    first = page.main.find(HEADING)
    if first is not None and first.name == "h1":
        first.decompose()
    _name_headings(page)
    _add_contents(page)
    for image in page.find_all("img"):
        _embed(image, folder, no_alt)
    for table in page.find_all("table"):
        _set_table(table)
    return str(page)


def _name_headings(page: BeautifulSoup) -> None:
    """Give each heading a unique id, Jupyter's if it is free, so that [text](#Its-title) works."""
    headings = page.main.find_all(HEADING)
    taken: set = {str(element["id"]) for element in page.find_all(id=True) if not HEADING.match(element.name)}
    for heading in headings:
        wanted = heading.get("id") or re.sub(r"\s+", "-", heading.get_text().strip()) or "section"
        name, copies = wanted, 1
        while name in taken:
            copies += 1
            name = f"{wanted}-{copies}"
        taken.add(name)
        heading["id"] = name


def _add_contents(page: BeautifulSoup) -> None:
    contents, headings = page.find(id="contents"), page.main.find_all("h2")
    if len(headings) < 2:
        contents.decompose()
        return
    entries = page.new_tag("ol")
    for heading in headings:
        link = page.new_tag("a", href=f"#{quote(str(heading['id']))}")
        link.extend(copy.copy(part) for part in list(heading.contents))
        entry = page.new_tag("li")
        entry.append(link)
        entries.append(entry)
    contents.append(entries)


def _embed(image, folder: Path, no_alt: str) -> None:
    """Replace a local image by a data URI; StudyError if the file does not exist."""
    if image.get("alt", "").startswith("No description has been provided"):  # nbconvert's text, always in English
        image["alt"] = no_alt
    source = image.get("src", "")
    if source.startswith("data:"):
        return
    path = folder / unquote(source)
    if not path.is_file():
        raise StudyError(
            f"The report shows the image {source!r}, which is not in {folder}. Create it first "
            "(images are read from that folder, never from the network)."
        )
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    image["src"] = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _set_table(table) -> None:
    """Mark columns of words, which are aligned left, and tables that are wide or short."""
    rows = [row.find_all("td") for row in table.select("tbody tr")]
    columns = max(map(len, rows), default=0)
    heads = [row.find_all("th")[-columns:] for row in table.select("thead tr")]
    wordy = {j for row in rows for j, cell in enumerate(row) if not NUMBER.fullmatch(cell.get_text(strip=True))}
    for row in rows + heads:
        for cell in (row[j] for j in wordy if j < len(row)):
            cell["class"] = [*cell.get("class", []), "words"]
    longest = max((len(row.get_text(" ", strip=True)) for row in table.find_all("tr")), default=0)
    wide = columns > 5 and longest > ROOMY
    kinds = ["wide"] * wide + ["short"] * (len(rows) <= SHORT)
    table["class"] = [*table.get("class", []), *kinds]
    _let_names_break(table, wide)


def _let_names_break(table, wide: bool) -> None:
    """Allow line breaks in names after an underscore; in the heads of wide tables, always break there."""
    for name in table.find_all(string=re.compile("_")):
        after = "_<br>" if wide and name.find_parent("thead") else "_<wbr>"
        name.replace_with(BeautifulSoup(escape(name).replace("_", after), "html.parser"))
