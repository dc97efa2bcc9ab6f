"""Turn an executed notebook into one self-contained HTML file, made for reading and for print."""

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
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from traitlets.config import Config

from helpers.errors import StudyError

TEMPLATES = Path(__file__).parent / "templates"
VIEW, STATE = (f"application/vnd.jupyter.widget-{part}+json" for part in ("view", "state"))
WORDS = {
    "fr": {"contents": "Sommaire", "no_alt": "Figure sans description", "no_state": "Élément interactif"},
    "en": {"contents": "Contents", "no_alt": "Figure without description", "no_state": "Interactive element"},
}
MANY_COLUMNS = 8  # beyond, a table gets the small type that still fits an A4 page
NUMBER = re.compile(r"[-+−]?\d[\d\s.,]*(e[-+]?\d+)?\s*%?(\s*±.*)?|nan|none|-?inf|[-—–]?", re.IGNORECASE)


def to_html(
    notebook: Path | nbformat.NotebookNode,
    target: Path,
    *,
    title: str,
    language: str = "fr",
    author: str = "",
) -> Path:
    """Write one self-contained HTML file: no network, no script.

    Cells tagged `remove-cell` vanish; `hide-input` keeps the outputs alone. Local images are looked for
    beside the notebook (beside `target` for a NotebookNode) and embedded. The notebook's first heading
    gives way to `title` where it is an h1. StudyError for an unreadable notebook or a missing image.
    """
    target = Path(target)
    folder = target.parent if isinstance(notebook, nbformat.NotebookNode) else Path(notebook).parent
    words = WORDS.get(language, WORDS["en"])
    nb = _read(notebook)
    _tag_injected_parameters(nb)
    _freeze_widgets(nb, words["no_state"])
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
    """Give papermill's cell the tags of the parameters it overrides: hidden together or shown together."""
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
        *(
            "text/html",
            "text/markdown",
            "image/svg+xml",
            "image/png",
            "image/jpeg",
            "text/latex",
            "text/plain",
        )
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


# Markdown and formulas


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


def typeset(formula: str) -> str:
    """Return a TeX formula as an inline SVG, or as <code> where matplotlib's mathtext cannot set it."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser
    from matplotlib.textpath import TextPath

    formula = " ".join(formula.replace(r"\displaystyle", "").split())
    tex = f"${formula}$"
    font = FontProperties(size=100, math_fontfamily="stix")  # 100 units to the em
    try:
        width, height, depth, *_ = MathTextParser("path").parse(tex, dpi=72, prop=font)
        segments = TextPath((0, 0), tex, prop=font).iter_segments(simplify=False)
    except ValueError:
        return f'<code class="math">{escape(formula)}</code>'
    letters = {1: "M", 2: "L", 3: "Q", 4: "C"}
    path = "".join(
        letters[code] + " ".join(f"{number:.4g}" for number in points) if code in letters else "Z"
        for points, code in segments
    )
    return (
        f'<svg class="math" role="img" aria-label="{escape(formula)}" '
        f'viewBox="0 {depth - height:.4g} {width:.4g} {height:.4g}" '
        f'style="width:{width / 100:.2f}em;height:{height / 100:.2f}em;vertical-align:{-depth / 100:.2f}em">'
        f'<path transform="scale(1 -1)" d="{path}"/></svg>'
    )


# Widgets


def _freeze_widgets(nb: nbformat.NotebookNode, no_state: str) -> None:
    """Replace every widget view by static HTML of its last state; closed bars go."""
    models = nb.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for cell in nb.cells:
        for output in list(cell.get("outputs", [])):
            view = output.get("data", {}).get(VIEW)
            if view is None:
                continue
            html = _widget(view["model_id"], models) if models else f"<em>({no_state})</em>"
            output.data = {"text/html": html}
            if not html:
                cell.outputs.remove(output)


def _widget(reference: str, models: dict) -> str:
    model = models.get(reference.removeprefix("IPY_MODEL_"))
    if model is None or _is_hidden(model["state"], models):
        return ""
    name, state = model["model_name"].removesuffix("Model"), model["state"]
    if "children" in state:
        direction = "row" if name == "HBox" else "column"
        return f'<div class="widget-{direction}">{_all(_widget, state["children"], models)}</div>'
    if name == "Output":
        return _all(_widget_output, state.get("outputs", []), models)
    if name == "Image":
        return _image(state.get("format", "png"), model["buffers"][0]["data"])
    drawn = _bar(state) if name.endswith("Progress") else _value(name, state)
    return f'<div class="widget">{drawn}</div>' if drawn else ""


def _all(draw, items, models: dict) -> str:
    return "".join(draw(item, models) for item in items)


def _is_hidden(state: dict, models: dict) -> bool:
    layout = models.get(state.get("layout", "").removeprefix("IPY_MODEL_"), {}).get("state", {})
    return layout.get("visibility") == "hidden" or layout.get("display") == "none"


def _bar(state: dict) -> str:
    low, high = state.get("min", 0), state.get("max", 100)
    share = (state.get("value", 0) - low) / ((high - low) or 1)
    bar = f'<span class="bar {state.get("bar_style", "")}"><span style="width:{share:.0%}"></span></span>'
    return f"{escape(state.get('description') or '')} {bar}"


def _value(name: str, state: dict) -> str:
    """Return "description = value"; nothing for a button, which cannot be pressed on paper."""
    value = state.get("value")
    if "_options_labels" in state:
        chosen = state["index"] if isinstance(state["index"], list | tuple) else [state["index"]]
        value = ", ".join(state["_options_labels"][i] for i in chosen if i is not None)
    if value is None:
        return ""
    if name.startswith("HTML"):
        shown = value
    elif isinstance(value, list | tuple):
        shown = escape(" – ".join(f"{bound:.6g}" for bound in value))
    else:
        shown = escape(f"{value:.6g}" if isinstance(value, float) else str(value))
    return f"{escape(state['description'])} = {shown}" if state.get("description") else shown


def _widget_output(output: dict, models: dict) -> str:
    data = {mime: "".join(content) for mime, content in output.get("data", {}).items() if mime != VIEW}
    if VIEW in output.get("data", {}):
        return _widget(output["data"][VIEW]["model_id"], models)
    if "text/html" in data:
        return f'<div class="output_html">{data["text/html"]}</div>'
    if "image/png" in data:
        return _image("png", data["image/png"])
    text = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", []))
    return f'<div class="output_stream"><pre>{ansi2html("".join(text))}</pre></div>'


def _image(kind: str, encoded: str) -> str:
    return f'<div class="output_png"><img src="data:image/{kind};base64,{encoded}"></div>'


# The finished page


def _finished(html: str, folder: Path, no_alt: str) -> str:
    page = BeautifulSoup(html, "html.parser")
    for element in page.select("script, link, style[scoped]"):  # pandas' scoped style would outweigh ours
        element.decompose()
    first = page.main.find(re.compile("^h[1-6]$"))
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
    """Give each heading an id of its own, Jupyter's where it is free, so that [text](#Its-title) works."""
    taken = {element["id"] for element in page.find_all(id=True) if not element.name.startswith("h")}
    for heading in page.main.find_all(re.compile("^h[1-6]$")):
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
        link = page.new_tag("a", href=f"#{quote(heading['id'])}")
        link.extend(copy.copy(part) for part in list(heading.contents))
        entry = page.new_tag("li")
        entry.append(link)
        entries.append(entry)
    contents.append(entries)


def _embed(image, folder: Path, no_alt: str) -> None:
    """Turn a local image into a data URI; StudyError where the file is not there."""
    if image.get("alt", "").startswith("No description has been provided"):  # nbconvert's, in English
        image["alt"] = no_alt
    source = image.get("src", "")
    if source.startswith("data:"):
        return
    path = folder / unquote(source)
    if not path.is_file():
        raise StudyError(
            f"The report shows the image {source!r}, but there is no file {path}; draw it first."
        )
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    image["src"] = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _set_table(table) -> None:
    """Mark the columns of words, which read from the left, and the tables that need small type."""
    rows = [row.find_all("td") for row in table.select("tbody tr")]
    columns = max(map(len, rows), default=0)
    heads = [row.find_all("th")[-columns:] for row in table.select("thead tr")]
    wordy = {
        j for row in rows for j, cell in enumerate(row) if not NUMBER.fullmatch(cell.get_text(strip=True))
    }
    for row in rows + heads:
        for cell in (row[j] for j in wordy if j < len(row)):
            cell["class"] = [*cell.get("class", []), "words"]
    wide = columns > MANY_COLUMNS
    if wide:
        table["class"] = [*table.get("class", []), "wide"]
    for name in table.find_all(
        string=re.compile("_")
    ):  # long names may break after an underscore, heads must
        after = "_<br>" if wide and name.find_parent("thead") else "_<wbr>"
        name.replace_with(BeautifulSoup(escape(name).replace("_", after), "html.parser"))
