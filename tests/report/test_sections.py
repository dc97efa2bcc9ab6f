"""The report: its numbers come from the results, its words follow them, in two languages."""

import json
import re
from collections import Counter

import pytest

from helpers.config import NOTEBOOKS
from helpers.errors import StudyError
from helpers.report import figures, sections, wording
from helpers.report.sections import SECTIONS, TEMPLATES, load_report, render, report_title
from helpers.study import ORDER
from helpers.system.records import write_record

from .made_up import SPECIFIC, attribute_row

LANGUAGES = ("fr", "en")
NARROW, NBSP = "\u202f", "\u00a0"
RAW = re.compile(r"\bnan\b|\bNone\b|Undefined|{{|}}|{%|%}|\d[.,]\d{6}")  # what no reader should see


def set_all(study, changes: dict):
    """Set values by "notebook path"; a path without a notebook is one of every notebook's data."""
    for place, value in changes.items():
        notebook, _, path = place.rpartition(" ")
        if notebook:
            study.change(notebook, path, value)
        else:
            study.everywhere(**{path: value})


def words(text: str) -> Counter:
    """Return the words of a text, without its numbers and whether its nouns are in the plural."""
    return Counter(word.removesuffix("s") for word in re.findall(r"[^\W\d_]+", text))


def marks(text: str) -> tuple[int, ...]:
    """Return how many marks of each kind a text has, which are for the same things in both languages."""
    return tuple(text.count(mark) for mark in ("**", "<div", "<code>", "<span", "<a ", "<figure", "\n- ", "\n| "))


# Numbers and typography


@pytest.mark.parametrize(
    ("name", "value", "options", "french", "english"),
    [
        ("n", 0.14864, (), "0,1486", "0.1486"),
        ("n", None, (), "—", "—"),
        ("count", 202599, (), f"202{NARROW}599", "202,599"),
        ("signed", -0.0485, (), "−0,0485", "−0.0485"),
        ("signed", 0.0485, (2,), "+0,05", "+0.05"),
        ("signed", -0.00001, (), "0,0000", "0.0000"),
        ("percent", 0.9403, (), f"94,0{NBSP}%", "94.0%"),
        ("points", 0.0094, (), f"+0,94{NBSP}point", f"+0.94{NBSP}points"),
        ("points", -0.0294, (), f"−2,94{NBSP}points", f"−2.94{NBSP}points"),
        ("plural", 1, ("époque", "époques"), f"1{NBSP}époque", f"1{NBSP}époque"),
        ("plural", 0, ("x", "xs"), f"0{NBSP}x", f"0{NBSP}xs"),
        ("small", 0.005, (), "0,005", "0.005"),
        ("small", 1e-5, (), "10⁻⁵", "10⁻⁵"),
        ("small", 4.06e-4, (), f"4,1{NBSP}×{NBSP}10⁻⁴", f"4.1{NBSP}×{NBSP}10⁻⁴"),
        ("small", 256.0, (), "256", "256"),
        ("power", 0.0, (), "0", "0"),
        ("duration", 12.34, (), f"12,3{NBSP}s", f"12.3{NBSP}s"),
        ("duration", 3845, (), f"1{NBSP}h{NBSP}04{NBSP}min", f"1{NBSP}h{NBSP}04{NBSP}min"),
        (
            "date",
            "2026-08-01T15:57:11+02:00",
            (),
            f"1er{NBSP}août 2026 à 13{NBSP}h{NBSP}57 UTC",
            f"1{NBSP}August 2026, 13:57 UTC",
        ),
        ("ordinal", 1, (), "1<sup>re</sup>", "1"),
        ("ordinal", 12, (), "12<sup>e</sup>", "12"),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(name, value, options, french, english):
    assert wording.filters("fr")[name](value, *options) == french
    assert wording.filters("en")[name](value, *options) == english


def test_typography_leaves_code_and_tags_alone():
    text = "l'eau : `a : b` <img alt=\"l'a : b\"> 3 % ; non ?\n```text\n-p x ? y\n```"
    assert wording.typeset(text, "fr") == (
        f'l’eau{NBSP}: `a : b` <img alt="l\'a : b"> 3{NBSP}%{NARROW}; non{NARROW}?\n```text\n-p x ? y\n```'
    )
    assert wording.typeset('"so" it\'s', "en") == "“so” it’s"


# Every number comes from the results


NAMED = re.compile(
    r"\b[DM]\d+\b|\b0[1-7]_\w+|\b\w*[fF]1\b|\bln 2\b|channels_block3|h[23]\b|^### (?:\d+|A)\.\d+", re.MULTILINE
)
EXPRESSION = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("??/*.j2")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_number_is_typed_by_hand(path):
    words = NAMED.sub("", EXPRESSION.sub("", path.read_text(encoding="utf-8")))
    assert not re.findall(r".{0,30}\d.{0,30}", words)


def test_no_measure_hides_in_a_template_s_strings():
    for path in TEMPLATES.glob("??/*.j2"):
        strings = re.findall(r'"[^"]*"', " ".join(EXPRESSION.findall(path.read_text(encoding="utf-8"))))
        hidden = [text for text in strings if re.search(r"\d", NAMED.sub("", text)) and ".j2" not in text]
        assert not hidden, path


CHANGED_RESULTS = [
    ("annex", "01_data", "rates.train.Young", 0.12345, lambda f, x: f["percent"](x, 2)),
    ("data", "01_data", "largest_shift.points", 3.21, lambda f, x: f["points"](x / 100)),
    ("data", "01_data", "identities.test", 4321, lambda f, x: f["count"](x)),
    ("annex", "02_baselines", "baselines.0.mean_accuracy", 0.6543, lambda f, x: f["n"](x)),
    ("model", "02_baselines", "initial_loss", 0.7219, lambda f, x: f["n"](x, 3)),
    ("model", "02_baselines", "parameters_count", 987654, lambda f, x: f["count"](x)),
    ("overfit", "03_overfit", "train_loss", 0.00876, lambda f, x: f["n"](x)),
    ("overfit", "03_overfit", "first_epoch_below", 77, lambda f, x: f["count"](x)),
    ("lr_finder", "04_lr_finder", "suggestions.steep", 6.6e-4, lambda f, x: f["power"](x)),
    ("grid", "05_grid", "trials.0.val_loss", 0.2019, lambda f, x: f["n"](x)),
    ("grid", "05_grid", "edges.0.next", 0.0003, lambda f, x: f["small"](x)),
    ("training", "06_final", "best.val_loss", 0.2121, lambda f, x: f["n"](x)),
    ("annex", "06_final", "history.2.val_f1", 0.8888, lambda f, x: f["n"](x)),
    ("comparisons", "05_grid", "trials.1.val_loss", 0.2777, lambda f, x: f["n"](x - 0.21)),
    ("extra", "06_final", "extra.best.val_loss", 0.1717, lambda f, x: f["n"](x)),
    ("annex", "06_final", "extra.steps.1.accuracy", 0.0777, lambda f, x: f["n"](x)),
    ("annex", "06_final", "extra.scaling.1.images", 32123, lambda f, x: f["count"](x)),
    ("annex", "06_final", "extra.scaling.2.fitted", 0.0444, lambda f, x: f["n"](1 - x)),
    ("extra", "06_final", "extra.differences.0.low", 0.0066, lambda f, x: f["signed"](x)),
    ("extra", "06_final", "extra.costs.1.parameters", 111222, lambda f, x: f["count"](x)),
    ("test", "07_test", "overall.test.micro_f1", 0.8765, lambda f, x: f["n"](x)),
    ("title", "07_test", "intervals.1.low", 0.8119, lambda f, x: f["percent"](x)),
    ("test", "07_test", "majority.mean_accuracy", 0.7019, lambda f, x: f["n"](x)),
    ("test", "07_test", "per_attribute.test.4.recall", 0.4321, lambda f, x: f["n"](x, 3)),
    ("annex", "07_test", "checks.0.values.found", 7777, lambda f, x: f["count"](x)),
    ("annex", "06_final", "parameters.batch_size", 96, lambda f, x: f["code"](f"batch_size={x}")),
]


@pytest.mark.parametrize(
    ("section", "notebook", "path", "value", "shown"),
    CHANGED_RESULTS,
    ids=[f"{section}-{path}" for section, _, path, *_ in CHANGED_RESULTS],
)
def test_a_changed_result_is_shown_in_both_languages(study, section, notebook, path, value, shown):
    before = {language: study.text(section, language=language) for language in LANGUAGES}
    study.change(notebook, path, value)
    for language in LANGUAGES:
        number, after = shown(wording.filters(language), value), study.text(section, language=language)
        assert number not in before[language] and number in after


# The words follow the facts

SEVERAL = {"05_grid seeds": [42, 43, 44], "05_grid seed_noise": 0.0123, "05_grid effects.1.verdict": "not shown"}
ALL_DIVERGED = {f"05_grid trials.{place}.val_loss": None for place in range(5)}
ONE_VALUE = {"05_grid trials": SPECIFIC["05_grid"]["trials"][:1], "05_grid effects": [], "05_grid edges": []}
EXTRA_DIVERGED = {"06_final extra.best": {"val_loss": None}, "06_final extra.differences": None}
SCORES = {"loss": 0.2, "mean_accuracy": 0.93, "micro_f1": 0.9, "macro_f1": 0.8, "exact_match": 0.7}
SEEDS = [{"seed": seed, "epoch": 3} | {name: x + seed / 1000 for name, x in SCORES.items()} for seed in (1, 2, 3)]
DRAWN = {"drawn": True, "whole_celeba": False, "source": "drawn faces"}
PART = {"whole_celeba": False, "images": 19052}
OTHER_SPLITS = {"whole_celeba": False, "official_splits": False}
NEVER = {"07_test per_attribute.test.0.tp": 0, "07_test per_attribute.test.0.fp": 0}
WITHOUT_PEOPLE = {
    "07_test persons": None,
    "07_test intervals": [
        {name: value for name, value in row.items() if not name.startswith("image_")}
        for row in SPECIFIC["07_test"]["intervals"]
    ],
}
NO_GAIN = {"07_test above_majority.0.low": -0.01}
LESS = {"low": -0.03, "high": -0.01}
BRANCHES = {
    "title": [
        {"06_final best.val_acc": 0.7},
        NO_GAIN,
        {"07_test above_majority.0.low": -0.2, "07_test above_majority.0.high": -0.1},
        {"07_test comparison": None},
        {"07_test comparison.differences.0.low": 0.001},
        {"07_test checks.0.passed": False},
        {"07_test persons": None},
        {"07_test parameters.checkpoint": "another/best.pt"},
        {"07_test parameters.compare_with": "another/extra_best.pt"},
        {"01_data identities_shared": 3},
        DRAWN,
    ],
    "general": [
        {"07_test data.fingerprint": "ffff"},
        {"05_grid parameters.max_epochs": 1},
        DRAWN,
        PART,
        OTHER_SPLITS,
    ],
    "data": [
        {"01_data identities": None},
        {"01_data identities_shared": 3},
        {"01_data largest_shift.errors": 3.4},
        {"01_data largest_shift.errors": None},
        {"01_data label_consistency.Male.divided": 0},
        {"01_data copies.extra": 0},
        {"01_data label_consistency": None},
        {"01_data checks.0.passed": False},
        {"left_out": 35},
        DRAWN,
        PART,
        OTHER_SPLITS,
    ],
    "model": [
        {"02_baselines baselines.2.mean_accuracy": 0.8},
        {"02_baselines checks.0.passed": False},
        {"02_baselines checks.1.passed": False},
        PART,
    ],
    "overfit": [
        {"03_overfit wrong_labels": 3},
        {"03_overfit first_epoch_below": None},
        {"03_overfit valid_loss_last": 0.6},
        {"03_overfit valid_loss_last": 1.7},
        {"03_overfit capacity.losses": [0.3, 0.4]},
    ],
    "lr_finder": [
        {"04_lr_finder suggestions.valley": 0.5},
        {"04_lr_finder diverged": False},
        {"04_lr_finder checks.0.passed": False},
        {"04_lr_finder chosen.lr": 0.5},
        {"04_lr_finder chosen.lr": 1e-5},
    ],
    "grid": [
        {"05_grid best.dropout": 0.4},
        {"05_grid best.dropout": 0.0},
        {"05_grid edges": []},
        ONE_VALUE,
        {"05_grid trials.1.val_f1": 0.99},
        {"05_grid trials.3.val_loss": 0.3},
        ALL_DIVERGED,
        SEVERAL,
        (SEVERAL, {"05_grid effects.1.verdict": "lower"}),
        (SEVERAL | {"05_grid effects.1.verdict": "lower"}, {"05_grid effects.1.verdict": "higher"}),
    ],
    "training": [
        {"06_final best_epoch": 3},
        {"06_final best.train_eval_loss": 0.9},
        {"06_final best.val_acc": 0.7},
        {"06_final history.2.val_loss": 0.1},
        {"06_final history.2.train_eval_loss": 0.9},
        {"06_final images.valid": 500},
        {"06_final origin.lr": "by hand"},
        {"06_final seeds": SEEDS},
        ({"06_final seeds": SEEDS}, {"06_final seeds": [*SEEDS[:2], {"seed": 3, "epoch": 1, "loss": None}]}),
        {"06_final parameters.seed": 7, "06_final images.valid": 500, "02_baselines images.valid": 500},
    ],
    "comparisons": [SEVERAL, ONE_VALUE, {"05_grid trials.2.val_loss": None}, ALL_DIVERGED],
    "extra": [
        {"06_final extra.max_epochs": 4},
        {"06_final extra.differences.0.low": -0.1},
        {f"06_final extra.differences.0.{end}": value for end, value in LESS.items()},
        {"06_final extra.arch": "course"},
        {"06_final parameters.arch": "compact"},
        {"06_final extra.recipe.mirror": False},
        EXTRA_DIVERGED,
    ],
    "test": [
        {"07_test openings": 2 * SPECIFIC["07_test"]["openings"]},
        NO_GAIN,
        {"07_test above_majority.0.low": -0.2, "07_test above_majority.0.high": -0.1},
        {"07_test overall.test.mean_accuracy": 0.5},
        {"07_test overall.test.mean_accuracy": 0.99},
        {"07_test per_attribute.test.0.accuracy": 0.1},
        {f"07_test per_attribute.test.{place}.accuracy": 0.1 for place in range(5)},
        {"07_test comparison": None},
        {"07_test comparison.name": "best.pt"},
        {"07_test parameters.compare_with": "another/extra_best.pt"},
        {"07_test comparison.differences.0.low": 0.001},
        {f"07_test comparison.differences.0.{end}": value for end, value in LESS.items()},
        {"07_test threshold_gains.1.low": -0.01},
        {f"07_test threshold_gains.1.{end}": value for end, value in LESS.items()},
        {"07_test gaps.0.enough": False},
        {"appendix shortcuts.0.low": -0.01},
        {f"appendix shortcuts.{place}.low": -0.01 for place in range(5)},
        {"appendix likely_errors.count": 0},
        NEVER,
        WITHOUT_PEOPLE,
        DRAWN,
        PART,
    ],
    "limits": [
        {"05_grid checks.0.passed": False},
        {"05_grid checks.0.passed": None},
        {"05_grid checks.1.passed": False},
        {"05_grid trials.3.val_loss": 0.3},
        {"06_final best.val_acc": 0.7},
        {"06_final best_epoch": 3},
        {"06_final seeds": SEEDS},
        {"06_final extra.best": {"val_loss": None}, "06_final extra.differences": None},
        {"01_data identities": None},
        ALL_DIVERGED,
        SEVERAL,
        NEVER,
        DRAWN,
        PART,
        OTHER_SPLITS,
        {"07_test environment.git_commit": "def"},
        ({"07_test environment.git_commit": "def"}, {"07_test environment.git_commit": "def+"}),
    ],
    "annex": [
        {"06_final extra.steps.1.verdict": "worsens"},
        {"06_final extra.scaling.2.fitted": None},
        {"07_test whole_test": False},
        {"07_test comparison": None},
        {"appendix likely_errors.count": 0},
        {"05_grid checks.0.passed": False},
        SEVERAL,
        WITHOUT_PEOPLE,
    ],
    "index": [
        {"01_data identities": None, "official_splits": False},
        {"03_overfit wrong_labels": 3},
        {"01_data identities_shared": 3, "official_splits": False},
        SEVERAL,
        ONE_VALUE,
        EXTRA_DIVERGED,
        DRAWN,
        OTHER_SPLITS,
    ],
}
EVERY_BRANCH = [
    pytest.param(section, *(case if isinstance(case, tuple) else ({}, case)), id=f"{section}-{number}")
    for section, cases in BRANCHES.items()
    for number, case in enumerate(cases)
]


@pytest.mark.parametrize(("section", "given", "changes"), EVERY_BRANCH)
def test_other_facts_have_other_words_in_both_languages(study, section, given, changes):
    set_all(study, given)
    before = {language: study.text(section, language=language) for language in LANGUAGES}
    set_all(study, changes)
    after = {language: study.text(section, language=language) for language in LANGUAGES}
    for language in LANGUAGES:
        assert words(before[language]) != words(after[language])
        assert not RAW.search(after[language])
    french, english = (
        [now - then for now, then in zip(marks(after[language]), marks(before[language]), strict=True)]
        for language in LANGUAGES
    )
    assert french == english


@pytest.mark.parametrize(
    ("section", "changes", "sentence"),
    [
        ("test", NO_GAIN, "**Rien ne montre que le réseau dépasse la classe majoritaire**"),
        ("extra", {"06_final extra.differences.0.low": -0.1}, "Les exactitudes ne se distinguent pas."),
        ("test", {"07_test openings": 2 * SPECIFIC["07_test"]["openings"]}, "**dans cette étude il l’a été 2 fois**"),
        ("annex", {"07_test whole_test": False}, "la ligne de cette étude ne se compare pas aux autres."),
        ("test", PART, "ils **ne se comparent pas**"),
        ("grid", SEVERAL, "Cette grille ne démontre l’effet d’aucune valeur, ce qui ne prouve pas"),
    ],
)
def test_what_a_result_does_not_show_is_said_to_a_french_reader(study, section, changes, sentence):
    assert sentence not in study.text(section).replace(NBSP, " ")
    set_all(study, changes)
    assert sentence in study.text(section).replace(NBSP, " ")


def test_one_seed_allows_no_verdict(study):
    assert "ne permettent aucun verdict" in study.text("grid")
    set_all(study, SEVERAL)
    assert "ne permettent aucun verdict" not in study.text("grid")


@pytest.mark.parametrize("language", LANGUAGES)
def test_splits_that_are_not_the_official_ones_are_never_called_official(study, language):
    named = {
        "fr": ("ce sont les ensembles officiels", "dont rien ne dit qu’ils sont les officiels", "Une partie de CelebA")
    }
    named["en"] = ("these are the official splits", "not known to be the official ones", "Part of CelebA")
    official, other, part = named[language]
    assert official in study.text("data", language=language)
    study.everywhere(whole_celeba=False, official_splits=False)
    for section in ("data", "general"):
        text = study.text(section, language=language)
        assert official not in text and other in text
    limits = study.text("limits", language=language)
    assert part not in limits and {"fr": "D’autres ensembles que", "en": "Other splits than"}[language] in limits


# What is missing


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notebook", ORDER)
def test_a_missing_notebook_leaves_a_warning_in_its_sections(study, notebook, language):
    del study.results[notebook]
    report = study.report(language)
    for section, needed in SECTIONS.items():
        text = render(report, section)
        shown = notebook in needed or (notebook, section) in {("appendix", "test"), ("07_test", "title")}
        assert ('<div class="warning">' in text and f"--only {notebook}`" in text) == shown
    assert f"--only {notebook}</code>" in render(report, "general")


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_notebook_alone_makes_a_report(study, language):
    study.results = {"04_lr_finder": study.results["04_lr_finder"]}
    study.journal = {}
    text = study.text(language=language)
    assert text.count('<div class="warning">') == 9 and '<h3 id="M4">' in text


def test_an_absent_run_is_an_error_that_says_what_to_do(study):
    with pytest.raises(StudyError, match=r"no run 'elsewhere'.*--run-name elsewhere"):
        load_report("elsewhere")
    with pytest.raises(StudyError, match="run_name"):
        load_report("../study")


def test_a_damaged_results_file_is_named(study):
    study.report()
    (study.folder / "results" / "05_grid.json").write_text('{"trials": [', encoding="utf-8")
    with pytest.raises(StudyError, match=r"05_grid\.json cannot be read.*Run 05_grid again"):
        load_report("study")


def test_results_that_were_changed_after_a_notebook_wrote_them_are_refused(study):
    study.report()
    path = study.folder / "results" / "05_grid.json"
    write_record(path, study.results["05_grid"])
    load_report("study")
    path.write_text(path.read_text().replace('"val_loss": 0.', '"val_loss": 1.'), encoding="utf-8")
    with pytest.raises(StudyError, match=r"05_grid\.json was changed or damaged.*Run 05_grid again"):
        load_report("study")


def test_a_damaged_journal_is_named_with_what_to_do(study):
    study.report()
    (study.folder / "run.json").write_text('{"notebooks": {', encoding="utf-8")
    with pytest.raises(StudyError, match=r"run\.json was damaged\. Delete it"):
        load_report("study")


def test_results_of_another_version_are_an_error_that_says_so(study):
    del study.results["03_overfit"]["wrong_labels"]
    with pytest.raises(StudyError, match=r"wrong_labels.*Run the notebooks again"):
        study.text("overfit")
    study.results["03_overfit"]["wrong_labels"] = 0
    del study.results["05_grid"]["trials"]
    with pytest.raises(StudyError, match=r"trials.*Run the notebooks again"):
        study.report()


def test_a_missing_figure_is_said_in_its_place(study, monkeypatch):
    monkeypatch.setattr(figures, "picture", lambda name, source: None)
    text = study.text("data").replace(NBSP, " ")
    assert "<img" not in text and text.count("<em>Figure absente : exécuter de nouveau le carnet 01_data.</em>") == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_has_no_value_is_a_dash(study, language):
    study.change("07_test", "per_attribute.test.1.auroc", None)
    study.change("06_final", "extra.best", {"val_loss": None})
    text = study.text(language=language)
    auroc = next(
        line for line in text.splitlines() if re.match(r"\| (chapeau|Wearing Hat) \|", line) and line.count("|") == 11
    )
    assert auroc.split("|")[9].strip() == "—"
    diverged = next(line for line in text.splitlines() if line.startswith("| 4 |"))
    assert diverged.split("|")[6].strip() == "—"
    assert not RAW.search(text)


# Drawn faces, and what was cut


@pytest.mark.parametrize("language", LANGUAGES)
def test_drawn_faces_are_said_to_be_drawn(study, language):
    mark = "visages dessinés" if language == "fr" else "drawn faces"
    real = study.text("title", "general", "data", "test", language=language)
    assert "drawn-banner" not in real and mark not in real.lower() and mark not in report_title("study", language)
    study.everywhere(drawn=True, whole_celeba=False, source="drawn faces")
    drawn = study.text(language=language)
    assert drawn.count("drawn-banner") == 1
    assert mark in report_title("study", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_full_protocol_has_no_box_of_cuts(study, language):
    assert '<div class="cut">' not in study.text("general", language=language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_box_of_cuts_lists_what_differs(study, language):
    names, f = sections._words(language)["parameters"], wording.filters(language)
    set_all(study, PART | {"split_sizes": {"train": 15979, "valid": 2044, "test": 1029}})
    study.change("05_grid", "parameters.max_epochs", 1)
    study.change("06_final", "parameters.valid_images", 500)
    box = study.text("general", language=language).partition('<div class="cut">')[2].partition("</div>")[0]
    assert f["count"](19052) in box and f["count"](202599) in box and 'href="#table-cuts"' in box
    table = study.text("annex", language=language).partition('id="table-cuts"')[2].partition("<p ")[0]
    (first, second) = re.findall(r"<code>(\w+)</code> \| (.*?) \(<code>.*?\) \| (.*?) \| (.*?) \|", table)
    assert first == ("05_grid", wording.typeset(names["max_epochs"], language), "3", "1")
    notebook, name, protocol, here = second
    assert (notebook, name, here) == ("06_final", wording.typeset(names["valid_images"], language), "500")
    assert protocol.isalpha()  # all of them


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_spread_over_seeds_is_shown(study, language):
    study.change("06_final", "seeds", SEEDS)
    n = wording.filters(language)["n"]
    assert f"{n(0.932)} ± {n(0.001)}" in study.text("training", language=language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_limits_name_attributes_with_few_positives(study, language):
    named = {"fr": f"- «{NBSP}lunettes{NBSP}»", "en": "- “Eyeglasses”"}[language]
    assert named not in study.text("limits", language=language)
    study.change("07_test", "per_attribute.test.4", attribute_row("Eyeglasses", 20, 5, 30, 974))
    text = study.text("limits", language=language)
    assert named in text and f"50{NBSP}" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_grid_whose_every_trial_diverged_says_so_and_shows_no_figure_of_it(study, language):
    for place in range(5):
        study.change("05_grid", f"trials.{place}.val_loss", None)
    text = study.text(language=language)
    told = {"fr": "Aucun essai ne finit sur une perte finie", "en": "No trial ends with a finite loss"}[language]
    assert told in text and not RAW.search(text)
    assert not re.search('id="figure-(heatmap|parallel|differences|grid_curves)"', text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_doubted_label_is_told_as_none(study, language):
    study.change("appendix", "likely_errors.count", 0)
    text = study.text(language=language)
    told = {"fr": "ne met en doute aucune des", "en": "doubts none of the"}[language]
    assert told in text and 'id="figure-doubted_labels"' not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failed_check_is_a_fault_and_a_remark_is_not(study, language):
    study.change("05_grid", "checks.1.passed", False)
    text = study.text("limits", language=language)
    assert 'class="remark"' in text and 'class="fa' not in text  # no fault, no failure
    study.change("05_grid", "checks.0.passed", False)
    text = study.text("limits", language=language)
    assert text.count('<div class="fault">') == text.count('<span class="fail">') == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_check_that_does_not_apply_neither_passed_nor_failed(study, language):
    study.change("05_grid", "checks.0.passed", None)
    limits, annex = (study.text(section, language=language) for section in ("limits", "annex"))
    assert "15" in limits and 'id="table-diary"' not in limits
    assert sections._words(language)["results"]["beside"] in annex


# Two languages


def test_both_languages_have_the_same_sections_and_words():
    def keys(value):
        return {key: keys(item) for key, item in value.items()} if isinstance(value, dict) else None

    french, english = (sections._words(language) for language in LANGUAGES)
    for words_ in (french, english):  # the notebooks' own words are English
        words_ |= {"checks": None, "figures": words_["figures"] | {"labels": None}}
    assert keys(french) == keys(english)
    assert ["title", *french["sections"]] == list(SECTIONS)
    files = [sorted(path.name for path in (TEMPLATES / language).iterdir()) for language in LANGUAGES]
    assert files[0] == files[1] and len(files[0]) == len(SECTIONS) + 1  # and the words


@pytest.mark.parametrize("name", sorted(path.name for path in (TEMPLATES / "fr").glob("*.j2")))
def test_both_languages_show_the_same_things(name):
    def placeholders(language: str) -> list[str]:
        text = " ".join(EXPRESSION.findall((TEMPLATES / language / name).read_text(encoding="utf-8")))
        return sorted(re.findall(r"\b[a-zA-Z_]+(?:\.\w+|\[\d+\])+|(?<=figure\()\"\w+\"", text))

    assert placeholders("fr") == placeholders("en")


@pytest.mark.parametrize("name", sorted(path.name for path in (TEMPLATES / "fr").glob("*.j2")))
def test_both_languages_choose_their_words_on_the_same_conditions(name):
    def conditions(language: str) -> list[str]:
        found = []
        for code in EXPRESSION.findall((TEMPLATES / language / name).read_text(encoding="utf-8")):
            code = re.sub(r'"([^"]*)"', lambda text: text[0] if text[1].isidentifier() else '""', code)
            found += re.findall(r"\bif (.+?)(?= else\b| *[+-]?[%}]})", code)
        return sorted(found)

    assert conditions("fr") == conditions("en")


# Figures and tables


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_and_tables_are_numbered_in_order_and_each_is_cited(study, language):
    study.change("05_grid", "checks.0.passed", False)  # a table of its own
    study.change("05_grid", "parameters.max_epochs", 1)
    text, words = study.text(language=language), sections._words(language)
    assert set(re.findall(r"<a href=\"#((?:figure|table)-\w+)\">", text)) == set(
        re.findall(r'id="((?:figure|table)-\w+)"', text)
    )
    for kind in ("figure", "table"):
        placed = re.findall(rf'id="{kind}-(\w+)".*?<strong>{words[kind]} (\d+)\.', text)
        assert [int(number) for _, number in placed] == list(range(1, len(placed) + 1)) and len(placed) > 20
        cited = re.findall(rf'<a href="#{kind}-(\w+)">{words["cited_as"][kind]}{NBSP}(\d+)</a>', text)
        assert set(cited) == set(placed)


def test_every_figure_that_can_be_drawn_is_in_the_report(study):
    shown = re.findall(r'<figure id="figure-(\w+)"', study.text())
    assert sorted(shown) == sorted(figures.FIGURES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_of_the_index_lead_to_the_questions(study, language):
    text = study.text(language=language)
    ids = set(re.findall(r' id="([\w-]+)"', text))
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= ids and len(ids) > 60


@pytest.mark.parametrize("language", LANGUAGES)
def test_sections_are_numbered_as_in_the_course(study, language):
    text = study.text(language=language, author="Ada <Lovelace>")
    assert re.findall(r"^## (\d+)\. \w", text, re.MULTILINE) == [str(n) for n in range(13)]
    labels = re.findall(r'<h[34] id="([DM]\d+)">\1 · ', text)
    assert labels == [f"D{n}" for n in range(1, 12)] + [f"M{n}" for n in range(10)]
    assert "Ada &lt;Lovelace&gt;" in text


def test_the_notebook_shows_every_section_in_order():
    notebook = json.loads((NOTEBOOKS / "report.ipynb").read_text("utf-8"))
    shown = [re.findall(r'show_section\(document, "(\w+)"\)', "".join(cell["source"])) for cell in notebook["cells"]]
    assert [name for names in shown for name in names] == list(SECTIONS)
