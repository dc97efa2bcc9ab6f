"""The executed notebooks of a run as linked pages: their text, code and outputs."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers.config import HOME, ROOT
from helpers.errors import StudyError
from helpers.report.html import page_words, to_html
from helpers.study import ORDER
from helpers.system.records import read_record

INDEX = "index.html"


def export_notebooks(folder: Path, target: Path, language: str = "fr") -> Path:
    """Write one page per executed notebook of the run's `folder` into `target`, and an index; return the index.

    The notebooks are in English; the index is in `language`. Paths of this machine are shortened. Raises StudyError if
    no notebook of the run has been executed.
    """
    found = {name: folder / f"{name}.ipynb" for name in ORDER if (folder / f"{name}.ipynb").is_file()}
    if not found:
        raise StudyError(f"{folder} contains no executed notebook. Run them first: python -m helpers run …")
    places = _places(folder)
    texts = {name: _discreet(path.read_text(encoding="utf-8"), places) for name, path in found.items()}
    notebooks = {name: nbformat.reads(text, 4) for name, text in texts.items()}
    titles = {name: _title(notebook, name) for name, notebook in notebooks.items()}
    words = page_words(language)
    site = ((INDEX, words["notebooks"]), *((f"{name}.html", title) for name, title in titles.items()))
    for name, notebook in notebooks.items():
        to_html(notebook, target / f"{name}.html", title=titles[name], language="en", site=site)
    lines = [f"- [{title}]({name}.html)" for name, title in titles.items()]
    report = folder / "report.html"
    if report.is_file() and target.parent == folder:
        lines.append(f"- [{words['report']}](../{report.name})")
    index = new_notebook(cells=[new_markdown_cell(words["site"].format(run_name=folder.name)), *_list(lines)])
    return to_html(index, target / INDEX, title=f"{words['notebooks']} · {folder.name}", language=language, site=site)


def _list(lines: list[str]) -> list:
    return [new_markdown_cell("\n".join(lines))]


def _places(folder: Path) -> list[str]:
    """Return the folders that name this machine, longest first: the project's, the user's, and that of the dataset."""
    places = {str(HOME), str(ROOT), str(Path.home())}
    for path in (folder / "results").glob("0*.json"):
        data = read_record(path, strict=False).get("data")
        places |= {str(Path(data["root"]).parent)} if data else set()
    return sorted(places - {"/", "."}, key=len, reverse=True)


def _discreet(text: str, places: list[str]) -> str:
    """Return a notebook's text without the folders in `places`."""
    for place in places:
        text = text.replace(f"{place}/", "").replace(place, ".")
    return text


def _title(notebook: nbformat.NotebookNode, name: str) -> str:
    """Return a notebook's first heading, which is also removed if it begins its cell: the page has its own."""
    for cell in notebook.cells:
        heading, _, rest = cell.source.partition("\n")
        if cell.cell_type == "markdown" and heading.startswith("# "):
            cell.source = rest.strip()
            return heading[2:]
    return name
