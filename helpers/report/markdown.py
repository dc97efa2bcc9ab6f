"""The report as one Markdown file for those who edit by hand, with its figures as files in a folder beside it."""

import base64
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup

from helpers.errors import StudyError
from helpers.system.files import write_text

FIGURE = re.compile(r"<figure.*?</figure>", re.DOTALL)
LIST = re.compile(r"<dl.*?</dl>", re.DOTALL)
# HTML of the templates, and what stands for it in Markdown; the code of `…` and ``` is left alone
PLAIN = (
    (r"<h([1-6])[^>]*>(.*?)</h\1>", lambda found: f"{'#' * int(found[1])} {found[2]}"),
    (r"<code[^>]*>(.*?)</code>", r"`\1`"),
    (r"<strong[^>]*>(.*?)</strong>", r"**\1**"),
    (r"<(?:em|mark)[^>]*>(.*?)</(?:em|mark)>", r"*\1*"),
    (r"</?(?:div|p|span|a|br|sup|sub)\b[^>]*>", ""),
    (r"&lt;", "<"),
    (r"&gt;", ">"),
    (r"&quot;", '"'),
    (r"&amp;", "&"),
    (r"[ \t]+\n", "\n"),
    (r"\n{3,}", "\n\n"),
)
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def to_markdown(notebook: Path | nbformat.NotebookNode, target: Path, title: str) -> Path:
    """Write the Markdown that an executed notebook shows as one file, and its figures into a folder beside it.

    `title` heads the file, unless its text has a title of its own. The folder is named after the file: report.md has
    its figures in report_figures/. Older figures there are removed.
    """
    nb = notebook if isinstance(notebook, nbformat.NotebookNode) else nbformat.read(notebook, as_version=4)
    shown = [output.get("data", {}).get("text/markdown", "") for cell in nb.cells for output in cell.get("outputs", [])]
    folder = target.with_name(f"{target.stem}_figures")
    shutil.rmtree(folder, ignore_errors=True)
    text = "\n\n".join("".join(part) for part in shown if part)
    text = FIGURE.sub(lambda found: _figure(found[0], folder), text)
    text = LIST.sub(lambda found: _list(found[0]), text)
    text = _plain(text).strip()
    write_text(target, (text if re.search("^# ", text, re.MULTILINE) else f"# {title}\n\n{text}") + "\n")
    return target


def _plain(text: str) -> str:
    parts = CODE.split(text)
    for n in range(0, len(parts), 2):
        for pattern, replacement in PLAIN:
            parts[n] = re.sub(pattern, replacement, parts[n], flags=re.DOTALL)
    return "".join(parts)


def _figure(html: str, folder: Path) -> str:
    """Save the image of a figure and return the figure in Markdown: the image, then its caption."""
    figure = BeautifulSoup(html, "html.parser").figure
    caption = figure.figcaption.decode_contents() if figure.figcaption else ""
    image = figure.img
    if image is None or not str(image["src"]).startswith("data:"):
        return f"\n{figure.get_text()}\n"
    kind, _, encoded = str(image["src"]).partition(";base64,")
    name = f"{figure.get('id') or 'figure'}{'.svg' if 'svg' in kind else '.' + kind.rpartition('/')[2]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(base64.b64decode(encoded))
    return f"\n![{image.get('alt', '')}]({folder.name}/{name})\n\n{caption}\n"


def _list(html: str) -> str:
    terms = BeautifulSoup(html, "html.parser").dl
    pairs = zip(terms.find_all("dt"), terms.find_all("dd"), strict=True)
    return "\n".join(f"- **{term.get_text()}**: {told.decode_contents()}" for term, told in pairs)


def to_docx(markdown: Path, target: Path) -> Path:
    """Convert the Markdown report to Word with pandoc; StudyError if pandoc is not installed or fails."""
    pandoc = shutil.which("pandoc")
    if pandoc is None:
        raise StudyError(f"No {target.name}: pandoc is not installed. Install it, or edit {markdown.name} by hand.")
    command = [pandoc, markdown.name, "--from", "gfm", "--output", str(target.resolve())]
    done = subprocess.run(command, cwd=markdown.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudyError(f"pandoc could not write {target} ({done.stderr.strip()[-300:]}).")
    return target
