"""The catalogue of checks: every text of a check has its French form, with its numbers and plurals."""

import ast
import json
import re

import pytest

from helpers.config import NOTEBOOKS, ROOT
from helpers.report import sections, wording
from helpers.report.facts import METRICS
from helpers.report.protocol import NOT_PROTOCOL
from helpers.report.published import measured_steps
from helpers.scorecard import Check
from helpers.study import ORDER, notebook_parameters

NARROW, NBSP = "\u202f", "\u00a0"
BARE = re.compile(r"[(]?{[^{}]*}[)]?")  # a number or a name alone is the same text in every language
TEXTS = ("name", "expected", "measured")


def sources() -> list[ast.Module]:
    """Return the code of helpers/checks.py and of each notebook."""
    notebooks = [json.loads(path.read_text("utf-8"))["cells"] for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    code = ["\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code") for cells in notebooks]
    return [ast.parse(text) for text in [(ROOT / "helpers" / "checks.py").read_text("utf-8"), *code]]


def called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


class Templates:
    """The string constants that reach the texts of a check, in `Check(...)`, `expect(...)` and the probes' names."""

    def __init__(self, modules: list[ast.Module]):
        self.modules = modules
        self.calls = [(module, node) for module in modules for node in ast.walk(module) if isinstance(node, ast.Call)]
        self.found = set()
        for module, call in self.calls:
            if called(call) in ("Check", "expect"):
                given = dict(zip(TEXTS, call.args, strict=False)) | {k.arg: k.value for k in call.keywords}
                for text in TEXTS:
                    self.found |= self.strings(given[text], self.scope(module, call))

    def scope(self, module: ast.Module, call: ast.Call) -> ast.AST:
        """Return the innermost function around a call, or its module."""
        around = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef) and call in ast.walk(node)]
        return around[-1] if around else module

    def strings(self, node: ast.AST, scope: ast.AST) -> set[str]:
        if isinstance(node, ast.Constant):
            return {node.value}
        if isinstance(node, ast.IfExp):
            return self.strings(node.body, scope) | self.strings(node.orelse, scope)
        assert isinstance(node, ast.Name), f"{ast.unparse(node)} is no template: write it as a string with fields"
        return self.assigned(node.id, scope) | self.argument(node.id, scope)

    def assigned(self, name: str, scope: ast.AST) -> set[str]:
        found = set()
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                pairs = zip(node.targets[0].elts, getattr(node.value, "elts", []), strict=False)
            elif isinstance(node, ast.Assign):
                pairs = [(node.targets[0], node.value)]
            elif isinstance(node, ast.For) and "controls" in ast.unparse(node.iter):  # the keys of a dictionary
                table = next(n.value for n in ast.walk(scope) if isinstance(n, ast.Assign) and "controls" in target(n))
                pairs = [(node.target.elts[0], key) for key in table.keys]
            else:
                continue
            for left, right in pairs:
                if isinstance(left, ast.Name) and left.id == name:
                    found |= self.strings(right, scope)
        return found

    def argument(self, name: str, scope: ast.AST) -> set[str]:
        """Return what the calls of a function give for one of its parameters, and its default value."""
        names = [parameter.arg for parameter in scope.args.args] if isinstance(scope, ast.FunctionDef) else []
        if name not in names or scope.name in ("expect", "__init__"):
            return set()
        place = names.index(name)
        after = place - (len(names) - len(scope.args.defaults))
        found = self.strings(scope.args.defaults[after], scope) if after >= 0 else set()
        for module, call in self.calls:
            if called(call) == scope.name and len(call.args) > place:
                found |= self.strings(call.args[place], self.scope(module, call))
        return found


def target(node: ast.Assign) -> str:
    return ast.unparse(node.targets[0])


def test_every_text_of_a_check_is_in_the_french_catalogue_and_no_entry_is_unused():
    used = {text for text in Templates(sources()).found if not BARE.fullmatch(text)}
    french, english = (set(sections._words(language)["checks"]) for language in ("fr", "en"))
    assert len(used) > 60
    assert used == french
    assert english <= used


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_translation_has_the_fields_of_its_template(language):
    for template, own in sections._words(language)["checks"].items():
        for text in own if isinstance(own, list) else [own]:
            assert sorted(re.findall(r"{.*?}", text)) == sorted(re.findall(r"{.*?}", template))


@pytest.mark.parametrize(
    ("text", "values", "french", "english"),
    [
        ("{wrong} wrong of {total}", {"wrong": 0, "total": 12345}, f"0 fausse sur 12{NARROW}345", "0 wrong of 12,345"),
        ("{wrong} wrong of {total}", {"wrong": 2, "total": 9}, "2 fausses sur 9", "2 wrong of 9"),
        ("{crossing:,} copies", {"crossing": 1}, "1 copie", "1 copy"),
        ("{low:.2f} to {high:.2f}", {"low": -1.0, "high": 0.987}, "de −1,00 à 0,99", "−1.00 to 0.99"),
        ("{by:.1e}", {"by": 7.2e-8}, f"7,2{NBSP}×{NBSP}10⁻⁸", f"7.2{NBSP}×{NBSP}10⁻⁸"),
        ("train loss < 0.01", {}, "perte d'entraînement &lt; 0,01", "train loss &lt; 0.01"),
        ("{number} still: {still}", {"number": 1, "still": ["head.bias"]}, *["1 immobile : ", "1 still: "]),
        ("{losses:.4f}", {"losses": [0.25, None]}, "0,2500 ; NaN", "0.2500, NaN"),
        ("{here}", {"here": "drawn faces"}, "visages dessinés", "drawn faces"),
    ],
)
def test_a_check_is_told_in_both_languages(text, values, french, english):
    check = vars(Check("", "", text, False, values=values))
    for language, expected in (("fr", french), ("en", english)):
        said = wording.filters(language)["told"](check, "measured", sections._words(language))
        assert said == expected + "<code>head.bias</code>" * ("still" in values)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_measured_step_has_a_name_in_the_catalogue(language):
    assert set(sections._words(language)["steps"]) == set(measured_steps().index)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_parameter_of_the_notebooks_that_may_differ_has_a_name_in_the_catalogue(language):
    names = {name for notebook in ORDER for name in notebook_parameters(notebook)}
    assert set(sections._words(language)["parameters"]) == names - NOT_PROTOCOL - {"allow_unfinished", "precision"}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_word_that_the_results_may_hold_is_in_the_catalogue(language):
    words = sections._words(language)
    constants = {f"best constant for {metric}" for metric in METRICS}
    named = {"majority class", "uniform random", "always positive", "logistic regression"}
    assert set(words["baselines"]) == constants | named
    assert set(words["verdicts"]) == {"lower", "higher", "not shown", "one seed", "some diverged"}
    assert set(words["step_verdicts"]) == {"improves", "worsens", "both", "not shown", "one seed"}
    assert {*METRICS, "loss", "auroc", "average_precision", "brier", "ece", "f1", "accuracy"} == set(words["metrics"])
