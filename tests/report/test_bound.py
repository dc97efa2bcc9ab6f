"""The report is bound to its results: it changes with them, keeps to one language, and names no user and no machine."""

import copy
import re

import pytest

from helpers.errors import StudyError
from helpers.report import figures, sections, wording
from helpers.report.sections import SECTIONS, TEMPLATES, render
from helpers.study import ORDER

from .conftest import PICTURE
from .made_up import put

LANGUAGES = ("fr", "en")
# Results that the report does not show, or shows only for one notebook; tests of their own are named.
HIDDEN = re.compile(
    r"^(notebook|written|seconds)$|^(parameters|data|environment)\."  # see test_sections.py
    r"|\.(name|of|metric|group|rate|attribute|factor|index|arm|side|when|who|severity|result|kind)$"  # names of rows
    r"|^(openings|trainings|train_rates|majority\..*|constants|linear_epochs)\."
    r"|^history\.\d\.(lr|epoch|seconds|val_f1|val_acc|train_eval_loss)$|^by_hand\."
    r"|^(best\.(lr|dropout|epoch|train_loss|seconds)|best_name|checkpoint|range\.\d|suggested_lr|edges\.0\.best)$"
    r"|^trials\.\d\.(lr|weight_decay|channels_block3|dropout|val_acc|parameters|max_epochs|seeds)$"
    r"|^effects\.(0\.(value|verdict)|\d\.(best|mean|trials|n))$"
    r"|^extra\.(recipe\.(optimizer|lr|batch_size|schedule)|best\.(epoch|train_loss)|steps\.\d\.(adds|over|verdict|compared))$"
    r"|^(intervals|comparison\.differences|threshold_gains)\.\d\.image_|^intervals\.0\.value$|^valid_interval\."
    r"|^per_attribute\.valid\.\d\.(precision|recall|(majority_)?accuracy|auroc|average_precision|positive_rate|[tf][pn])$"
    r"|^above_majority\.1\."
    r"|^calibration\.table\.\d\.loss|^meta\.attributes|^layers\.1\.(layer|output)$|\.said_yes$|^published\.1\.source$"
)


def leaves(value, path: str = ""):
    """Yield each value of the results with its path, of lists the first two items."""
    items = enumerate(value[:2]) if isinstance(value, list) else value.items() if isinstance(value, dict) else None
    if items is None:
        yield path, value
        return
    for key, item in items:
        if "." not in str(key):
            yield from leaves(item, f"{path}.{key}" if path else str(key))


def other(value):
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else 2 * value + 7 if isinstance(value, int) else 0.73 * value + 0.0113


def drawn(study, notebook: str) -> list:
    """Return the figures of a notebook as they are drawn from its results."""
    source = figures.source(study.folder, study.results, "fr", sections._words("fr"))
    names = [name for name, figure in figures.FIGURES.items() if figure.notebook == notebook and not figure.arrays]
    return [PICTURE(name, source) for name in names]


def text(study) -> str:
    """Return the report, or the error that says that it cannot be made of these results."""
    try:
        return study.text()
    except StudyError as error:
        return str(error)


def unseen(study, notebook: str, step: int) -> list[str]:
    """Return the paths of the results, one in `step`, that can change without a change in the report."""
    sound, before, pictures = study.results[notebook], study.text(), None
    shown = [(path, value) for path, value in leaves(sound) if value is not None and not HIDDEN.search(path)]
    missed = []
    for path, value in shown[::step]:
        study.results[notebook] = copy.deepcopy(sound)
        put(study.results[notebook], path, other(value))
        if text(study) == before:
            after = drawn(study, notebook)
            study.results[notebook] = sound
            pictures = pictures or drawn(study, notebook)
            if after == pictures:
                missed.append(path)
    return missed


@pytest.mark.parametrize("notebook", ORDER)
def test_a_result_cannot_change_without_a_change_in_the_report(study, notebook):
    assert not unseen(study, notebook, step=23)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", ORDER)
def test_no_result_can_change_without_a_change_in_the_report(study, notebook):
    assert not unseen(study, notebook, step=1)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("done", range(1, len(ORDER) + 1))
def test_the_report_can_be_made_after_each_notebook(study, done, language):
    study.results = {notebook: study.results[notebook] for notebook in ORDER[:done]}
    text = study.text(language=language)
    for notebook in ORDER[done:]:
        assert f"--only {notebook}</code>" in text
    for notebook in ORDER[:done]:
        assert f"--only {notebook}</code> ;" not in text
    assert "None" not in text and "Undefined" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_user_no_machine_and_no_folder_of_the_disk_is_named(study, language):
    for result in study.results.values():
        result["parameters"] |= {"data_root": "/home/ada/celeba", "checkpoint": "/home/ada/study/best.pt"}
    text = study.text(language=language)
    assert "celeba" in text and not re.search(r"ada\b|lovelace|/home|root@", text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("python -m helpers run --data-root /home/ada/celeba --profile demo", "--data-root …/celeba --profile"),
        ("--data-root=/tmp/x/celeba", "--data-root=…/celeba"),
        (r"--data-root C:\Users\ada\celeba", "--data-root …/celeba"),
        ("data_root=~/celeba/", "data_root=…/celeba"),
        ('--data-root "/mnt/my disk/celeba"', '"…/my'),
        ("-p 05_grid.seeds=[1,2] lr/2 a/b", "-p 05_grid.seeds=[1,2] lr/2 a/b"),
    ],
)
def test_folders_are_taken_out_of_commands(text, shown):
    said = wording.filters("en")["discreet"](text)
    assert shown in said and "ada" not in said and "/tmp" not in said


# One language

EXPRESSION = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)
QUOTED = re.compile(r"```.*?```|`[^`\n]*`|<code>.*?</code>|<[^<>]+>|\]\(#.*?\)", re.DOTALL)
LETTERS = re.compile(r"[^\W\d_]{2,}")
COMMON = {
    "fr": {"le", "la", "les", "des", "une", "dans", "pour", "avec", "perte", "exactitude", "est", "sont", "aucun"},
    "en": {"the", "of", "and", "with", "is", "are", "loss", "accuracy", "none", "wrong", "from", "by", "differ"},
}


def vocabulary(language: str) -> set[str]:
    """Return the words of a language's catalogue and templates."""
    texts = [path.read_text("utf-8") for path in (TEMPLATES / language).glob("*.j2")]
    strings = [s for code in EXPRESSION.findall(" ".join(texts)) for s in re.findall(r'"([^"]+)"', code)]
    english = list(sections._words("fr")["checks"]) if language == "en" else []  # what the notebooks print

    def values(entry) -> list[str]:
        items = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else None
        return [str(entry)] if items is None else [text for item in items for text in values(item)]

    said = [EXPRESSION.sub(" ", text) for text in texts] + strings + english + values(sections._words(language))
    return {word.lower() for word in LETTERS.findall(" ".join(said))}


def words(text: str) -> set[str]:
    return {word.lower() for word in LETTERS.findall(QUOTED.sub(" ", text))}


@pytest.mark.parametrize(("language", "foreign"), [("fr", "en"), ("en", "fr")])
def test_the_report_keeps_to_one_language(study, language, foreign):
    study.change("05_grid", "checks.0.passed", False)
    study.change("05_grid", "parameters.max_epochs", 1)
    study.everywhere(drawn=True, whole_celeba=False, source="drawn faces")
    for result in study.results.values():
        result["checks"][1]["name"] = "every image is whole"  # instead of one that no catalogue has
    report = study.report(language)
    text = "\n".join(render(report, name) for name in SECTIONS if name != "references")  # titles, as published
    intruders = (vocabulary(foreign) - vocabulary(language)) | COMMON[foreign]
    assert sorted(words(text) & intruders) == []
