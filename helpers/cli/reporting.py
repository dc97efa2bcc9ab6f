"""Make the report of a run from its results, and export it as files to hand in."""

import sys
from functools import partial
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers.cli.kernels import Kernels, start_kernel
from helpers.cli.pipeline import execute
from helpers.config import RUNS, check_parameters
from helpers.errors import Interrupted, StudyError
from helpers.report.comparison import compare_runs
from helpers.report.html import page_words, to_html
from helpers.report.markdown import to_docx, to_markdown
from helpers.report.model_card import write_model_card
from helpers.report.pdf import to_pdf
from helpers.report.sections import report_title
from helpers.report.site import export_notebooks
from helpers.study import notebook_parameters

REPORT_FORMATS = ("html", "pdf", "md", "docx")
HANDED_IN = ("html", "pdf")  # the formats unless others are asked for


def make_report(
    run_name: str,
    options: dict[str, str] | None = None,
    formats: tuple[str, ...] = HANDED_IN,
    kernels: Kernels | None = None,
) -> list[Path]:
    """Execute the report notebook on the run's results, export it, and return the files; StudyError without results.

    `options` are parameters of the report notebook: language, author … The model card is written first.
    """
    defaults = notebook_parameters("report")
    values = check_parameters("report", {"run_name": run_name} | (options or {}), defaults)
    folder = RUNS / run_name
    if not (folder / "results").is_dir():
        raise StudyError(f"There is no run {run_name!r}: {folder} contains no results. Run the notebooks first.")
    language = values.get("language", defaults["language"])
    if (folder / "results" / "07_test.json").is_file():
        _write_card(folder, language)
    kernel = kernels.take(last=True) if kernels else start_kernel()
    if stopped := execute("report", values, folder, kernel):
        raise Interrupted(stopped, "The report was interrupted. Run the same command again.")
    words = page_words(language)
    about = {
        "title": report_title(run_name, language),
        "language": language,
        "author": values.get("author", ""),
        "subject": words["subject"].format(run_name=run_name),
        "keywords": tuple(words["keywords"]),
        "foot": run_name,
    }
    return export(folder / "report.ipynb", folder / "report", formats, about)


def _write_card(folder: Path, language: str):
    """Write the model card; without the checkpoint there is none, which is told and does not stop the report."""
    try:
        print(f"Model card: {write_model_card(folder, language)}")
    except StudyError as error:
        print(f"No model card: {error}", file=sys.stderr)


def compare(run_names: list[str], formats: tuple[str, ...] = HANDED_IN, language: str = "fr") -> list[Path]:
    """Set runs side by side in a short report beside that of the first, and return the files."""
    words = page_words(language)
    text = compare_runs(run_names, language)
    title = words["comparison"].format(runs=words["and"].join(run_names))
    output = new_output("display_data", {"text/markdown": text})
    notebook = new_notebook(cells=[new_code_cell(outputs=[output], metadata={"tags": ["hide-input"]})])
    about = {"title": title, "language": language, "subject": title, "foot": title}
    return export(notebook, RUNS / run_names[0] / f"compare-{'-'.join(run_names[1:])}", formats, about)


def export_site(run_name: str, language: str = "fr") -> Path:
    """Write the executed notebooks of a run as linked pages in runs/NAME/notebooks, and return the index."""
    folder = RUNS / run_name
    if not folder.is_dir():
        raise StudyError(f"There is no run {run_name!r}: {folder} does not exist. Run the notebooks first.")
    index = export_notebooks(folder, folder / "notebooks", language)
    print(f"Notebooks: {index}")
    return index


def export(notebook: Path | NotebookNode, stem: Path, formats: tuple[str, ...], about: dict) -> list[Path]:
    """Export an executed notebook as `stem`.html, .pdf, .md or .docx, and return the files that were written.

    A format that this machine cannot make is left out, with a message.
    """
    # Not with_suffix: a run's name may have a dot.
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in REPORT_FORMATS}
    html, markdown = paths["html"], paths["md"]
    if {"html", "pdf"} & set(formats):
        to_html(notebook, html, **about)
    if {"md", "docx"} & set(formats):
        to_markdown(notebook, markdown, about["title"])
    files = [path for path in (html, markdown) if path.is_file() and path.suffix[1:] in formats]
    for kind, convert in {"pdf": partial(to_pdf, html), "docx": partial(to_docx, markdown)}.items():
        try:
            if kind in formats:
                convert(paths[kind])
                files.append(paths[kind])
        except StudyError as error:
            print(f"No {kind}: {error}", file=sys.stderr)
    for path in files:
        print(f"Report: {path}")
    return files
