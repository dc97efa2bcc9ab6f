"""Convert an executed notebook into one self-contained HTML file, for the screen and for print."""

import copy
import re
from pathlib import Path

import nbformat
import yaml
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from traitlets.config import Config

from helpers.config import check_parameter
from helpers.errors import StudyError
from helpers.plots.explorers.saving import WIDGET
from helpers.report.fonts import font_css
from helpers.report.formulas import typeset
from helpers.report.page import finish
from helpers.system.files import write_text

TEMPLATES = Path(__file__).parent / "templates"


def to_html(
    notebook: Path | nbformat.NotebookNode,
    target: Path,
    *,
    title: str,
    language: str = "fr",
    author: str = "",
    subject: str = "",
    keywords: tuple[str, ...] = (),
    foot: str = "",
    site: tuple[tuple[str, str], ...] = (),
) -> Path:
    """Write a notebook as one HTML file that needs no network and no script; return `target`.

    Cells tagged `remove-cell` are removed; of cells tagged `hide-input` only the outputs are shown. Local images are
    read from the notebook's folder (from that of `target` for a NotebookNode) and embedded. If the notebook's first
    heading is an h1, `title` replaces it. `author`, `subject` and `keywords` describe the file, and its PDF; `foot` is
    printed at the foot of every page. `site` has the address and the title of each page of a site that this one is
    part of. Raises StudyError for an unreadable notebook or a missing image.
    """
    target = Path(target)
    folder = target.parent if isinstance(notebook, nbformat.NotebookNode) else Path(notebook).parent
    words = page_words(language)
    nb = _read(notebook)
    _tag_injected_parameters(nb)
    _remove_widgets(nb)
    about = {"title": title, "author": author, "subject": subject, "keywords": ", ".join(keywords)}
    report = about | {"foot": _css_string(foot), "words": words, "fonts": font_css(), "site": site, "here": target.name}
    html, _ = _exporter(language).from_notebook_node(nb, resources={"report": report})
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, finish(html, folder, words))
    return target


def _remove_widgets(nb: nbformat.NotebookNode):
    """Remove the widgets, which need a kernel; a notebook that `run` has executed has figures in their places."""
    nb.metadata.pop("widgets", None)
    for cell in nb.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]


def _css_string(text: str) -> str:
    """Return a text as a string of CSS, which cannot end early: its quotes, backslashes and tags are escaped."""
    return '"' + re.sub(r'["\\<\n]', lambda found: f"\\{ord(found[0]):x} ", text) + '"'


def page_words(language: str) -> dict:
    """Return what a page says beside the text of the report, in French or English; StudyError for another language."""
    check_parameter("language", language)
    return yaml.safe_load((TEMPLATES / "report" / "export.yaml").read_text(encoding="utf-8"))[language]


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
