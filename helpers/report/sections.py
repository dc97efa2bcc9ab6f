"""The report: the results of a run in Markdown, section by section, in French or English."""

from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path

import jinja2

from helpers.config import ATTRIBUTES, CHECKPOINTS, FIGURES, IMAGE_SIZE, MEAN, META, RUNS, STD, check_parameter
from helpers.data import augmentation
from helpers.errors import StudyError
from helpers.evaluation.groups import ENOUGH
from helpers.models.networks import COURSE_PARAMETERS
from helpers.notebook import say
from helpers.report import figures
from helpers.report.facts import batches_times_size, gather
from helpers.report.numbering import Numbering
from helpers.report.protocol import step_command
from helpers.report.wording import NBSP, catalogue, templates, typeset
from helpers.run import OPTIMIZERS, SCORECARD, TEST_LOG, read_results
from helpers.scorecard import read_scorecard
from helpers.study import ORDER
from helpers.system.records import read_record

TEMPLATES = Path(__file__).parent / "templates" / "report"
# The sections in order, and the notebooks whose results each of them needs. Those from "general" to "references" are
# numbered from 0, as in the course.
SECTIONS = {
    "title": (),
    "general": (),
    "data": ("01_data",),
    "model": ("02_baselines",),
    "overfit": ("03_overfit",),
    "lr_finder": ("04_lr_finder",),
    "grid": ("05_grid",),
    "training": ("06_final",),
    "comparisons": ("05_grid",),
    "extra": ("06_final",),
    "test": ("07_test",),
    "limits": (),
    "reproducibility": (),
    "references": (),
    "index": (),
    "annex": (),
}
UNNUMBERED = ("title", "index", "annex")
# What the course's report states for all of CelebA; shown next to this run's results for comparison.
COURSE = {
    "test": {"loss": 0.1486, "mean_accuracy": 0.9403, "micro_f1": 0.9165},
    "parameters": COURSE_PARAMETERS,
    "lr_window": (1e-4, 1e-2),
    "initial_loss": (0.3, 0.4),  # stated in the course's report, but impossible
    "majority": 0.78,  # stated as the baseline, but it is the rate of Young alone
}
# For all of CelebA: the mean accuracy of the majority class, and the entropy of the train rates in nats.
CELEBA = {"majority": {"valid": 0.744, "test": 0.753}, "prior_entropy": 0.467}
CONSTANTS = {
    "ATTRIBUTES": ATTRIBUTES,
    "META": META,
    "IMAGE_SIZE": IMAGE_SIZE,
    "MEAN": MEAN,
    "STD": STD,
    "DEGREES": augmentation.MAX_DEGREES,
    "JITTER": augmentation.JITTER,
    "HUE": augmentation.HUE,
    "COURSE": COURSE,
    "CELEBA": CELEBA,
    "SURE": 0.95,  # level of all confidence intervals
    "ENOUGH": ENOUGH,
    "MEMORISED": 0.01,  # train loss in the check of 03_overfit
    "OPTIMIZERS": OPTIMIZERS,
    "HABIT": 0.5,  # the usual decision threshold
    "TERA": "10¹²",
}


@dataclass(frozen=True)
class Report:
    """The results of a run, and the language and templates of its report."""

    run_name: str
    language: str
    results: dict[str, dict | None]  # by notebook; None if it has not run
    environment: jinja2.Environment = field(repr=False)


def load_report(
    run_name: str, language: str = "fr", author: str = "", course: str = "", repository: str = ""
) -> Report:
    """Read a run's results; StudyError if there are none, or if a file is damaged or from another version.

    `author`, `course` and `repository` (an address) are shown on the title page.
    """
    cover = {"author": author, "course": course, "repository": repository}
    for name, value in {"run_name": run_name, "language": language, **cover}.items():
        check_parameter(name, value)
    folder = RUNS / run_name
    results = _results(folder)
    if not any(results.values()):
        raise StudyError(
            f"There is no run {run_name!r}: {folder} contains no results. Run the notebooks first: "
            f"python -m helpers run --profile demo --run-name {run_name}"
        )
    try:
        environment = _environment(run_name, language, results)
    except (KeyError, TypeError) as error:
        raise StudyError(_other_version(run_name, repr(error))) from error
    environment.globals["cover"] = {name: escape(value, quote=False) for name, value in cover.items()}
    report = Report(run_name, language, results, environment)
    for name in SECTIONS:  # counts the figures and tables, so that every sentence can cite them
        render(report, name)
    environment.globals["numbering"].counting = False
    return report


def report_title(run_name: str, language: str = "fr") -> str:
    """Return the report's title, which states whether the images are CelebA or drawn faces."""
    titles = _words(language)["title"]
    results = _results(RUNS / run_name).values()
    return titles["drawn" if any(result["data"]["drawn"] for result in results if result) else "celeba"]


def show_section(report: Report, name: str):
    """Show one section of the report."""
    say(render(report, name))


def render(report: Report, name: str) -> str:
    """Return one section as Markdown, or a warning that names the notebooks to run first."""
    if name not in SECTIONS:
        raise StudyError(f"There is no section {name!r} in the report. Choose one of: {', '.join(SECTIONS)}.")
    place = list(SECTIONS).index(name)
    number = None if name in UNNUMBERED else place - 1
    missing = [notebook for notebook in SECTIONS[name] if report.results[notebook] is None]
    heading = report.environment.globals["w"]["sections"].get(name)
    body = f"{report.language}/{name}.md.j2"
    try:
        text = report.environment.get_template("section.md.j2").render(
            number=number, heading=heading, missing=missing, body=body
        )
    except (jinja2.UndefinedError, KeyError) as error:
        raise StudyError(_other_version(report.run_name, error)) from error
    return typeset(text, report.language)


def _other_version(run_name: str, error) -> str:
    return (
        f"The results of run {run_name!r} lack a value that the report shows ({error}): they were written by another "
        "version of the notebooks. Run the notebooks again."
    )


def _environment(run_name: str, language: str, results: dict) -> jinja2.Environment:
    folder, words, numbering = RUNS / run_name, _words(language), Numbering()
    environment = templates(TEMPLATES, language)
    journal = _journal(folder / "run.json")
    facts = gather(results, read_scorecard(folder / "results" / SCORECARD), journal)
    source = figures.source(folder, results, language, words)
    environment.filters |= {
        "word": partial(_word, words),
        "quoted": lambda name: words["quoted"].format(_word(words, name)),
    }
    environment.globals |= CONSTANTS | {
        "run_name": run_name,
        "language": language,
        "w": words,
        "r": {notebook.partition("_")[2] or notebook: result for notebook, result in results.items()},
        "ran": {notebook: result for notebook, result in results.items() if result},
        "not_run": [notebook for notebook, result in results.items() if not result],
        "facts": facts,
        "journal": journal,
        "artefacts": _artefacts(run_name),
        "batches_times_size": batches_times_size,
        "command": partial(step_command, run_name, journal),
        "numbering": numbering,
        "figure": partial(_figure, numbering, source, words),
        "table": partial(_table, numbering, words),
        "fig": partial(_cite, numbering, words, "figure"),
        "tab": partial(_cite, numbering, words, "table"),
    }
    return environment


def _words(language: str) -> dict:
    return catalogue(check_parameter("language", language))


def _word(words: dict, name: str) -> str:
    """Return the name of an attribute or a hyper-parameter as the figures show it."""
    return words["figures"]["labels"].get(name, name.replace("_", " "))


def _figure(numbering: Numbering, source: figures.Source, words: dict, name: str, caption: str) -> str:
    """Return a numbered figure as HTML with the image embedded, or a warning if it cannot be drawn."""
    number = numbering.place("figure", name)
    if numbering.counting:
        return ""
    picture = figures.picture(name, source)
    caption = f"<strong>{words['figure']} {number}.</strong> {caption}."
    if picture is None:
        shown = f"<em>{words['no_figure'].format(notebook=figures.FIGURES[name].notebook)}</em>"
    else:
        width = f"width:{picture.centimetres:g}cm"
        shown = f'<img src="{picture.src}" alt="{escape(picture.alt)}" style="{width}">'
    return f'\n<figure id="figure-{name}">{shown}<figcaption>{caption}</figcaption></figure>\n'


def _table(numbering: Numbering, words: dict, name: str, caption: str) -> str:
    """Return the numbered caption of a table, which the table follows."""
    number = numbering.place("table", name)
    return f'\n<p class="caption" id="table-{name}"><strong>{words["table"]} {number}.</strong> {caption}.</p>\n'


def _cite(numbering: Numbering, words: dict, kind: str, name: str) -> str:
    """Return a link to a figure or a table by its number: figure 8."""
    return f'<a href="#{kind}-{name}">{words["cited_as"][kind]}{NBSP}{numbering.cite(kind, name)}</a>'


def _artefacts(run_name: str) -> dict[str, tuple[str, bool]]:
    """Return what the course asks to hand in: the path inside the project, and whether it is there."""
    paths = {
        "notebooks": (RUNS, "07_test.ipynb"),
        "results": (RUNS, f"results/{SCORECARD}"),
        "config": (RUNS, "config.yaml"),
        "tensorboard": (RUNS, "tensorboard"),
        "checkpoint": (CHECKPOINTS, "best.pt"),
        "figures": (FIGURES, ""),
        "log": (RUNS, TEST_LOG),
        "card": (RUNS, "MODEL_CARD.md"),
    }
    return {
        name: (f"{root.name}/{run_name}/{path}", (root / run_name / path).exists())
        for name, (root, path) in paths.items()
    }


def _results(folder: Path) -> dict[str, dict | None]:
    """Return the results of each notebook, None where it has not run; StudyError if a file was damaged or changed."""
    return {notebook: read_results(folder, notebook) for notebook in ORDER}


def _journal(path: Path) -> dict:
    """Return the run's journal; {} if there is none, as in a run whose notebooks were executed by hand."""
    try:
        return read_record(path, strict=False) if path.is_file() else {}
    except StudyError as error:
        raise StudyError(f"{path} was damaged. Delete it: the report can be made without it.") from error
