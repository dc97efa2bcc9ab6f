"""The plan of a run: profiles, settings and notebooks, whose names and values are checked before anything starts."""

import ast
from dataclasses import dataclass, field
from pathlib import Path

from helpers.config import CHECKPOINTS, check_parameters, known
from helpers.data.celeba import DRAWN
from helpers.errors import StudyError
from helpers.study import ORDER, load_profile, notebook_parameters


@dataclass
class Study:
    """The options of one run: a profile, the changes to it, and the notebooks to run."""

    profile: str
    run_name: str = ""
    data_root: str = ""
    device: str = ""
    allow_missing: bool = False
    only: str = ""
    start: str = ""
    fresh: bool = False  # execute every notebook and train everything again
    settings: list[str] = field(default_factory=list)  # "06_final.max_epochs=30", or "seed=7" for all notebooks


def plan(study: Study) -> dict[str, dict]:
    """Return the parameters of each notebook to run, in order; StudyError if a name or a value is wrong."""
    profile = load_profile(study.profile)
    notebooks = chosen(study)
    settings = parse_settings(study.settings)
    _refuse_unused(settings, notebooks)
    planned = {notebook: _parameters(notebook, study, profile, settings) for notebook in notebooks}
    _resolve_checkpoints(planned)
    return planned


def _refuse_unused(settings: dict[str, dict], notebooks: tuple[str, ...]):
    """Raise StudyError if a setting would have no effect: its notebook does not run, or an option decides instead."""
    known_here = {name for notebook in notebooks for name in notebook_parameters(notebook)}
    for notebook, values in settings.items():
        for name in values:
            setting = f"-p {notebook}.{name}" if notebook else f"-p {name}"
            if name in ("run_name", "profile"):
                option = f"--{name.replace('_', '-')}"
                raise StudyError(f"{setting}: one {name} holds for the whole run. Give it with {option}.")
            if notebook and notebook not in notebooks:
                raise StudyError(
                    f"{setting}: {notebook} is not run (only {', '.join(notebooks)}), so this has no effect."
                )
            if not notebook and name not in known_here:
                raise StudyError(f"{setting}: no notebook that is run has this parameter, so this has no effect.")


def _resolve_checkpoints(planned: dict[str, dict]):
    """Make the paths of checkpoints absolute; StudyError if a file does not exist and this run does not make it."""
    for notebook, values in planned.items():
        for name in ("checkpoint", "compare_with"):
            if not values.get(name):
                continue
            path = _absolute(values[name])
            made = "06_final" in planned and path.parent == CHECKPOINTS / values["run_name"]
            if not (path.is_file() or made):
                raise StudyError(f"{notebook}.{name}: there is no checkpoint {path}. Correct the path.")
            values[name] = str(path)


def chosen(study: Study) -> tuple[str, ...]:
    """Return the notebooks to run, in order; StudyError if there is none of the name that was given."""
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
    values |= {"run_name": study.run_name or study.profile, "profile": ""}  # all values are given here
    values = check_parameters(notebook, values, defaults)
    if values["data_root"] not in ("", DRAWN):
        values["data_root"] = str(_absolute(values["data_root"]))
    return values


def _absolute(text: str) -> Path:
    try:
        path = Path(text).expanduser().resolve()
        path.exists()
        return path
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, ~ of an unknown user, a zero byte
        raise StudyError(f"{text!r} is not a path that can be used ({error}). Correct it.") from error


def parse_settings(settings: list[str]) -> dict[str, dict]:
    """Return {notebook: {parameter: value}} from "notebook.parameter=value"; the notebook "" stands for all of them."""
    parsed: dict[str, dict] = {}
    for setting in settings:
        target, equals, text = setting.partition("=")
        if not equals:
            raise StudyError(f"-p {setting}: write -p NOTEBOOK.PARAMETER=VALUE, for example -p 06_final.max_epochs=30.")
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
