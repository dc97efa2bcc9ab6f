"""The study from end to end: notebooks in order through papermill, their parameters checked before anything runs."""

import ast
import contextlib
import difflib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import papermill
import yaml
from filelock import FileLock, Timeout

from helpers import progress
from helpers.cache import prepare
from helpers.celeba import DRAWN, open_dataset
from helpers.config import NOTEBOOKS, ROOT, RUNS, check_parameter
from helpers.devices import choose_device
from helpers.errors import StudyError
from helpers.export import to_html
from helpers.notebooks import ORDER, notebook_parameters
from helpers.pdf import to_pdf
from helpers.report import report_title
from helpers.runs import write_text

REPORT_FORMATS = ("html", "pdf")


@dataclass
class Study:
    """What is asked for: a profile, what changes it, and which of the notebooks to run."""

    profile: str
    run_name: str = ""
    data_root: str = ""
    device: str = ""
    allow_missing: bool = False
    only: str = ""
    start: str = ""
    settings: list[str] = field(default_factory=list)  # "06_final.max_epochs=30", or "seed=7" for all


def run_study(study: Study, language: str = "fr", author: str = "") -> Path:
    """Run the notebooks and the report; return the run's folder.

    Everything that can be checked beforehand is: names, types and ranges of the parameters, the device and
    the dataset. A notebook that fails stops the run, and keeps its traceback in the executed copy.
    """
    parameters = plan(study)
    run_name = check_parameter("run_name", study.run_name or study.profile)
    folder = RUNS / run_name
    with run_lock(folder):
        first = next(iter(parameters.values()))
        choose_device(first["device"])
        prepare(open_dataset(first["data_root"], first["allow_missing"]))
        journal = Journal(folder, study)
        for number, (notebook, values) in enumerate(parameters.items(), start=1):
            print(f"\n── {notebook} ({number}/{len(parameters)})", flush=True)
            with journal.timed(notebook):
                execute(notebook, values, folder)
    if not study.only:
        make_report(run_name, language=language, author=author)
    return folder


def plan(study: Study) -> dict[str, dict]:
    """Return the checked parameters of each notebook to run, in order."""
    profile = load_profile(study.profile)
    settings = parse_settings(study.settings)
    return {notebook: _parameters(notebook, study, profile, settings) for notebook in _chosen(study)}


def _chosen(study: Study) -> tuple[str, ...]:
    if study.only:
        return (known(study.only, ORDER, "notebook"),)
    if study.start:
        return ORDER[ORDER.index(known(study.start, ORDER, "notebook")) :]
    return ORDER


def _parameters(notebook: str, study: Study, profile: dict, settings: dict) -> dict:
    defaults = notebook_parameters(notebook)
    values = defaults | profile.get("all", {}) | profile.get(notebook, {})
    given = {"data_root": study.data_root, "device": study.device, "allow_missing": study.allow_missing}
    values |= {name: value for name, value in given.items() if value}
    values |= {name: value for name, value in settings.get("", {}).items() if name in defaults}
    values |= settings.get(notebook, {})
    values["run_name"] = study.run_name or study.profile
    if values["data_root"] not in ("", DRAWN):
        values["data_root"] = str(Path(values["data_root"]).expanduser().resolve())
    return check_parameters(notebook, values, defaults)


def check_parameters(notebook: str, values: dict, defaults: dict) -> dict:
    """Check names against the notebook's parameters, then types and ranges; None only where it is the default."""
    for name in values:
        known(name, defaults, f"parameter of {notebook}")
    try:
        return {
            name: None if value is None and defaults[name] is None else check_parameter(name, value)
            for name, value in values.items()
        }
    except StudyError as error:
        raise StudyError(f"{notebook}: {error}") from error


def load_profile(name: str) -> dict:
    """Return what a profile of notebooks/profiles.yaml sets, by notebook ("all" for every one)."""
    profiles = yaml.safe_load((NOTEBOOKS / "profiles.yaml").read_text(encoding="utf-8"))
    return profiles[known(name, profiles, "profile")]


def parse_settings(settings: list[str]) -> dict[str, dict]:
    """Return {notebook: {parameter: value}} from "notebook.parameter=value"; "" for those of every notebook."""
    parsed: dict[str, dict] = {}
    for setting in settings:
        target, equals, text = setting.partition("=")
        if not equals:
            raise StudyError(f"-p {setting}: write -p NOTEBOOK.PARAMETER=VALUE, as in -p 06_final.max_epochs=30.")
        notebook, _, name = target.strip().rpartition(".")
        if notebook:
            known(notebook, ORDER, "notebook")
        else:
            known(name, {p for each in ORDER for p in notebook_parameters(each)}, "parameter")
        parsed.setdefault(notebook, {})[name] = _literal(text.strip())
    return parsed


def _literal(text: str):
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def known(name: str, names, what: str) -> str:
    """Return `name` if it is among `names`; otherwise StudyError with the nearest ones."""
    if name in names:
        return name
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names)}."
    raise StudyError(f"There is no {what} {name!r}. {hint}")


@contextlib.contextmanager
def run_lock(folder: Path):
    """Hold the run's folder; a second run of the same name is refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StudyError(
            f"A run named {folder.name!r} is going on. Wait for it, or give this one another --run-name."
        ) from error
    except OSError as error:
        raise StudyError(f"The run folder {folder} cannot be written ({error.strerror or error}).") from error
    try:
        yield
    finally:
        lock.release()


def execute(notebook: str, parameters: dict, folder: Path):
    """Execute one notebook into the run's folder; what it prints is shown, and kept in logs/."""
    (folder / "logs").mkdir(exist_ok=True)
    executed = folder / f"{notebook}.ipynb"
    with open(folder / "logs" / f"{notebook}.log", "w", encoding="utf-8") as log, _plain_progress():
        try:
            papermill.execute_notebook(
                str(NOTEBOOKS / f"{notebook}.ipynb"),
                str(executed),
                parameters=parameters,
                kernel_name="python3",
                cwd=str(ROOT),
                progress_bar=False,
                stdout_file=_Tee(sys.stdout, log),
                stderr_file=log,
                extra_arguments=["--log-level=40"],  # hides the kernel's warning about TCP
            )
        except papermill.PapermillExecutionError as error:
            raise StudyError(
                f"{notebook} failed: {error.ename}: {error.evalue}\n"
                f"The executed copy keeps the traceback: {executed}\n"
                f"Put it right, then go on with the same command and --from {notebook}."
            ) from error


class _Tee:
    """A text stream that writes to two."""

    def __init__(self, *streams):
        self.streams = streams

    def write(self, text: str):
        for stream in self.streams:
            stream.write(text)

    def flush(self):
        for stream in self.streams:
            stream.flush()


@contextlib.contextmanager
def _plain_progress():
    """Tell the kernels started here that nobody watches their bars, and to run the drawing off-screen."""
    kept = dict(os.environ)
    os.environ |= {progress.PLAIN: "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


class Journal:
    """runs/<run_name>/run.json: the commands, and what became of each notebook."""

    def __init__(self, folder: Path, study: Study):
        self.path = folder / "run.json"
        kept = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}
        command = "python -m helpers " + " ".join(sys.argv[1:])
        self.content = {
            "profile": study.profile,
            "commands": [*kept.get("commands", []), {"command": command, "started": _now()}],
            "notebooks": kept.get("notebooks", {}),
        }

    @contextlib.contextmanager
    def timed(self, notebook: str):
        started = time.perf_counter()
        status = "failed"
        try:
            yield
            status = "done"
        finally:
            seconds = round(time.perf_counter() - started, 1)
            self.content["notebooks"][notebook] = {"status": status, "seconds": seconds, "ended": _now()}
            write_text(self.path, json.dumps(self.content, indent=1, ensure_ascii=False))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def make_report(
    run_name: str, formats: tuple[str, ...] = REPORT_FORMATS, language: str = "fr", author: str = ""
) -> list[Path]:
    """Execute the report notebook on the run's results and export it; return the files written."""
    values = {"run_name": run_name, "language": language, "author": author}
    values = check_parameters("report", values, notebook_parameters("report"))
    folder = RUNS / run_name
    if not (folder / "results").is_dir():
        raise StudyError(f"There is no run {run_name!r}: {folder} holds no results. Run the notebooks first.")
    execute("report", values, folder)
    return _export(folder, formats, language, author)


def _export(folder: Path, formats: tuple[str, ...], language: str, author: str) -> list[Path]:
    title = report_title(folder.name, language)
    html = to_html(folder / "report.ipynb", folder / "report.html", title=title, language=language, author=author)
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
