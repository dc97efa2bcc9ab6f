"""The notebooks' form: one parameters cell of plain literals, prose between the code, no outputs."""

import ast
import itertools
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml

from helpers.config import NOTEBOOKS, RULES, check_parameter, check_parameters
from helpers.study import ORDER, notebook_parameters

ALL = (*ORDER, "report")


@pytest.fixture(params=ALL)
def notebook(request):
    content = nbformat.read(NOTEBOOKS / f"{request.param}.ipynb", as_version=4)
    content.metadata["name_for_tests"] = request.param
    return content


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_folder_holds_these_notebooks_and_no_others():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(ALL)


def test_the_kernel_is_python3(notebook):
    assert notebook.metadata.kernelspec.name == "python3"


def test_no_outputs_and_no_counts_are_kept(notebook):
    assert all(not cell.outputs and cell.execution_count is None for cell in code(notebook))


def test_there_is_one_parameters_cell_of_plain_literals_each_explained(notebook):
    cells = [cell for cell in code(notebook) if "parameters" in cell.metadata.get("tags", [])]
    assert len(cells) == 1
    lines = cells[0].source.splitlines()
    assert all(re.fullmatch(r"\w+ = .+  # .+", line) for line in lines)
    for statement in ast.parse(cells[0].source).body:
        ast.literal_eval(statement.value)


def test_every_default_is_a_valid_value(notebook):
    for name, value in notebook_parameters(notebook.metadata["name_for_tests"]).items():
        assert name in RULES
        if value is not None:
            check_parameter(name, value)


def test_there_are_never_three_code_cells_in_a_row(notebook):
    kinds = "".join("c" if cell.cell_type == "code" else "m" for cell in notebook.cells)
    assert "ccc" not in kinds


def test_cells_are_short_and_hold_no_class(notebook):
    for cell in code(notebook):
        tree = ast.parse(cell.source)
        long = 30 if "parameters" in cell.metadata.get("tags", []) else 22  # a list needs no taking in
        assert len(cell.source.splitlines()) <= long, cell.source
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 10, cell.source


def test_a_notebook_begins_with_its_title_and_question(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", ORDER)
def test_the_first_cell_asks_and_says_what_is_needed_left_and_how_long_it_takes(name):
    text = read(name).cells[0].source
    question, _, facts = text.partition("**Needs**")
    assert "?" in question and re.search(r"\*\*Leaves\*\*.+\*\*Takes\*\*.+ demo", facts, re.DOTALL), text


@pytest.mark.parametrize("name", ORDER)
def test_a_notebook_ends_with_tasks_to_try(name):
    cells = read(name).cells
    headings = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    assert [line for line in headings if line.startswith("## ")][-1] == "## Try it"
    assert cells[-1].cell_type == "markdown" and re.findall(r"(?m)^\d\. ", cells[-1].source) in (
        ["1. ", "2. "],
        ["1. ", "2. ", "3. "],
    )


@pytest.mark.parametrize("name", ORDER)
def test_a_notebook_begins_in_one_call_with_its_own_name(name):
    starts = [cell.source for cell in code(read(name)) if "study.start(" in cell.source]
    begins = f'run, dataset, device, config, scorecard = study.start("{name}", globals())'
    assert len(starts) == 1 and starts[0].splitlines()[0] == begins


@pytest.mark.parametrize("name", ORDER)
def test_a_figure_or_a_table_is_followed_by_what_to_notice(name):
    assert sum("*What to notice:*" in cell.source for cell in read(name).cells if cell.cell_type == "markdown") >= 2


KEPT = {"device", "config", "figure", "titles", "alt"}  # resolved or refined, or made anew for each picture


def assigned(source):
    """Return the names that a cell assigns at its top level, also in its branches and loops."""
    tree = ast.parse(source)
    inner = [node for node in ast.walk(tree) if isinstance(node, ast.comprehension | ast.FunctionDef | ast.For)]
    own = {id(name) for node in inner for name in ast.walk(getattr(node, "target", node))}
    stored = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return {node.id for node in stored if id(node) not in own}


@pytest.mark.parametrize("name", ORDER)
def test_no_cell_gives_a_name_of_another_cell_to_something_else(name):
    cells = [assigned(cell.source) for cell in code(read(name))]
    twice = {each for index, names in enumerate(cells) for later in cells[index + 1 :] for each in names & later}
    assert twice <= KEPT, twice


def test_only_07_opens_the_test_splits_images():
    for name in ORDER:
        content = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        text = "\n".join(cell.source for cell in code(content))
        assert "load_split" not in text
        assert set(re.findall(r"\.load\((.*?)\)", text)) <= {'"train"', '"valid"'}
        assert ("open_test(" in text) == (name == "07_test")  # which writes it down
        assert (".tested(" in text) == (name == "appendix")  # which predicts nothing


def test_profiles_name_parameters_that_exist_with_values_in_range():
    profiles = yaml.safe_load((NOTEBOOKS / "profiles.yaml").read_text(encoding="utf-8"))
    assert set(profiles) == {"full", "quick", "demo"}
    for profile in profiles.values():
        for notebook, values in profile.items():
            for each in ORDER if notebook == "all" else [notebook]:
                check_parameters(each, values, notebook_parameters(each))


def test_the_full_profile_is_the_courses_protocol():
    assert yaml.safe_load((NOTEBOOKS / "profiles.yaml").read_text(encoding="utf-8"))["full"] == {}
    grid, final = notebook_parameters("05_grid"), notebook_parameters("06_final")
    assert (grid["grid_lr"], grid["grid_weight_decay"]) == ([0.001, 0.005], [1e-5, 1e-4])
    assert (grid["grid_channels_block3"], grid["grid_dropout"]) == ([192, 256], [0.0, 0.2, 0.4])
    assert grid["max_epochs"] == 3 and final["max_epochs"] == 20 and grid["batch_size"] == final["batch_size"] == 64
    assert grid["train_images"] == final["train_images"] == grid["valid_images"] == final["valid_images"] == 0


def test_every_figure_is_shown_with_a_sentence_that_says_what_it_shows(notebook):
    for cell in code(notebook):
        for call in (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)):
            if getattr(call.func, "attr", "") in ("save_figure", "show_figure"):
                assert "alt" in {keyword.arg for keyword in call.keywords}, cell.source
        for alt in re.findall(r'alt = ?f?"([^"]+)"', cell.source):
            assert len(alt) > 30 and alt.endswith("."), alt


def test_every_notebook_has_one_title_and_no_heading_skips_a_level(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    levels = [len(marks) for marks in re.findall(r"(?m)^(#+) ", text)]
    assert levels[0] == 1 and set(levels[1:]) <= {2, 3}
    assert all(later <= level + 1 for level, later in itertools.pairwise(levels))


def test_the_first_cell_is_the_same_in_every_notebook():
    firsts = {code(read(name))[0].source for name in ALL}
    assert len(firsts) == 1 and "import helpers.study" in firsts.pop()


def first_cell(folder):
    """Run the first cell in IPython in `folder`, without what is installed, and return what it shows."""
    source = code(read("01_data"))[0].source
    program = f"from IPython.core.interactiveshell import InteractiveShell as S; S().run_cell({source!r})"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # -S leaves out the study's own installation; the packages are found by the path
    packages = os.pathsep.join(path for path in sys.path if "site-packages" in path)
    command = [sys.executable, "-S", "-c", program]
    found = subprocess.run(
        command, cwd=folder, env=variables | {"PYTHONPATH": packages}, capture_output=True, text=True
    )
    return found.stdout + found.stderr


@pytest.mark.parametrize("folder", [NOTEBOOKS, NOTEBOOKS.parent])
def test_the_first_cell_finds_the_study_from_the_project_and_from_its_notebooks(folder):
    assert first_cell(folder) == ""


def test_without_the_study_the_first_cell_says_the_one_command_and_shows_no_traceback(tmp_path):
    shown = first_cell(tmp_path)
    assert "No module named 'helpers'" in shown and "!git clone" in shown and "pip install -e" in shown
    assert "Traceback" not in shown and len(shown.splitlines()) <= 4, shown


def test_without_a_package_the_first_cell_says_the_one_command(tmp_path):
    shutil.copytree(NOTEBOOKS.parent / "helpers", tmp_path / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")\n")
    shown = first_cell(tmp_path)
    assert "No module named 'torch'" in shown and f'%pip install -e "{tmp_path}"' in shown
    assert "Traceback" not in shown and len(shown.splitlines()) <= 4, shown
