"""Make the report of a run from its results, and export it as files to hand in."""

import sys
from pathlib import Path

from helpers.cli.pipeline import execute
from helpers.config import RUNS, check_parameters
from helpers.errors import StudyError
from helpers.report.html import page_words, to_html
from helpers.report.pdf import to_pdf
from helpers.report.sections import report_title
from helpers.study import notebook_parameters

REPORT_FORMATS = ("html", "pdf")


def make_report(
    run_name: str,
    formats: tuple[str, ...] = REPORT_FORMATS,
    language: str = "fr",
    author: str = "",
    course: str = "",
    repository: str = "",
) -> list[Path]:
    """Execute the report notebook on the run's results, export it, and return the files; StudyError without results."""
    values = {"run_name": run_name, "language": language}
    values |= {"author": author, "course": course, "repository": repository}
    values = check_parameters("report", values, notebook_parameters("report"))
    folder = RUNS / run_name
    if not (folder / "results").is_dir():
        raise StudyError(f"There is no run {run_name!r}: {folder} contains no results. Run the notebooks first.")
    execute("report", values, folder)
    return export(folder, formats, language, author)


def export(folder: Path, formats: tuple[str, ...], language: str, author: str) -> list[Path]:
    words = page_words(language)
    html = to_html(
        folder / "report.ipynb",
        folder / "report.html",
        title=report_title(folder.name, language),
        language=language,
        author=author,
        subject=words["subject"].format(run_name=folder.name),
        keywords=tuple(words["keywords"]),
        foot=folder.name,
    )
    print(f"Report: {html}")
    if "pdf" not in formats:
        return [html]
    try:
        engine = to_pdf(html, folder / "report.pdf")
    except StudyError as error:
        print(f"No PDF: {error}", file=sys.stderr)
        return [html]
    print(f"Report: {folder / 'report.pdf'} (printed by {engine})")
    return [html, folder / "report.pdf"]
