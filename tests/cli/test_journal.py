"""The journal of a run: a notebook is done only as long as nothing that its result depends on has changed."""

import json

import pytest

from helpers.cli import journal as journals
from helpers.cli.journal import Journal, describe_data, inputs_of
from helpers.config import HOME, RUNS
from helpers.data.celeba import open_dataset
from helpers.system.records import Files, read_record, write_record

INPUTS = {"parameters": {"seed": 1, "lr": 0.1}, "data": "a", "notebook": "b", "code": "c"}


@pytest.fixture
def folder():
    folder = RUNS / "journal"
    (folder / "results").mkdir(parents=True, exist_ok=True)
    return folder


def execute(folder, notebook: str, value: int, reads=(), makes=()):
    """Do as a notebook that writes results, and return its journal, read anew."""
    files = Files()
    for path in reads:
        files.read(path)
    for path in makes:
        path.write_bytes(b"%d" % value)
        files.made(path)
    with Journal(folder, "demo").timed(notebook, INPUTS):
        write_record(folder / "results" / f"{notebook}.json", {"value": value, "files": files.digests()})
    return Journal(folder, "demo")


def test_a_notebook_is_done_once_it_was_executed(folder):
    assert Journal(folder, "demo").why_execute("02_baselines", INPUTS) == "is not done"
    assert execute(folder, "02_baselines", 1).why_execute("02_baselines", INPUTS) == ""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"parameters": {"seed": 2, "lr": 0.1}}, "the parameter seed"),
        ({"parameters": {"seed": 1, "lr": 0.1, "new": 3}}, "the parameter new"),
        ({"data": "other"}, "data"),
        ({"notebook": "other", "code": "other"}, "notebook, code"),
    ],
)
def test_a_changed_input_is_named(folder, changes, told):
    journal = execute(folder, "01_data", 1)
    assert journal.why_execute("01_data", INPUTS | changes) == f"depends on what has changed: {told}"


def test_new_results_of_a_predecessor_make_a_notebook_run_again_and_the_same_ones_do_not(folder):
    execute(folder, "04_lr_finder", 1)
    before = folder / "results" / "04_lr_finder.json"
    execute(folder, "05_grid", 1, reads=[before])
    assert execute(folder, "04_lr_finder", 1).why_execute("05_grid", INPUTS) == ""
    told = execute(folder, "04_lr_finder", 2).why_execute("05_grid", INPUTS)
    assert told == "depends on what has changed: runs/journal/results/04_lr_finder.json"


def test_results_that_were_not_there_before_count_as_changed(folder):
    (folder / "results" / "05_grid.json").unlink(missing_ok=True)
    execute(folder, "06_final", 1, reads=[folder / "results" / "05_grid.json"])
    assert "05_grid.json" in execute(folder, "05_grid", 1).why_execute("06_final", INPUTS)


@pytest.mark.parametrize("damage", ["removed", "changed", "cut"])
def test_a_file_that_was_removed_or_damaged_is_made_again(folder, damage):
    made = folder / "best.pt"
    execute(folder, "06_final", 1, makes=[made])
    path = made if damage != "cut" else folder / "results" / "06_final.json"
    content = path.read_bytes()
    path.unlink() if damage == "removed" else path.write_bytes(content[:-9] or b"-")
    told = Journal(folder, "demo").why_execute("06_final", INPUTS)
    assert told == f"depends on what has changed: {path.relative_to(HOME)}"


def test_a_failed_and_an_interrupted_notebook_are_not_done(folder):
    for error, told in ((ValueError(), "is not done"), (KeyboardInterrupt(), "was interrupted")):
        with pytest.raises(type(error)), Journal(folder, "demo").timed("03_overfit", INPUTS):
            raise error
        assert Journal(folder, "demo").why_execute("03_overfit", INPUTS) == told


def test_a_notebook_whose_runner_was_killed_is_not_done(folder):
    execute(folder, "03_overfit", 1)
    execution = Journal(folder, "demo").timed("03_overfit", INPUTS)
    with execution:
        assert Journal(folder, "demo").why_execute("03_overfit", INPUTS) == "was interrupted"


def test_a_damaged_journal_is_kept_aside_and_everything_is_executed(folder, capsys):
    execute(folder, "01_data", 1)
    content = (folder / "run.json").read_text()
    for cut in range(0, len(content) - 1, 97):
        (folder / "run.json").write_text(content[:cut])
        assert Journal(folder, "demo").why_execute("01_data", INPUTS) == "is not done"
        assert (folder / "run.json.damaged").read_text() == content[:cut]
    assert "run.json.damaged" in capsys.readouterr().out
    assert read_record(folder / "results" / "01_data.json")["value"] == 1


@pytest.mark.parametrize("wrong", ["[]", "7", '{"notebooks": []}', '{"notebooks": {"01_data": 3}}', "changed"])
def test_a_journal_of_another_form_or_with_a_changed_value_is_not_believed(folder, wrong):
    execute(folder, "01_data", 1)
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2') if wrong == "changed" else wrong)
    inputs = INPUTS | {"parameters": {"seed": 2, "lr": 0.1}}
    assert Journal(folder, "demo").why_execute("01_data", inputs) == "is not done"


def test_the_code_of_the_report_counts_only_for_notebooks_that_use_it(monkeypatch):
    used = {}
    monkeypatch.setattr(journals, "code_digest", lambda rooms: used.setdefault("rooms", rooms) and "digest")
    inputs_of("05_grid", {}, "data")
    assert {"training", "data", "plots", "config.py"} <= set(used["rooms"]) and "report" not in used["rooms"]
    used.clear()
    inputs_of("06_final", {}, "data")
    assert "report" in used["rooms"] and "cli" not in used["rooms"]


def test_another_label_is_other_data(copy):
    before = describe_data(open_dataset(str(copy)))
    attributes = copy / "list_attr_celeba.txt"
    lines = attributes.read_text().splitlines()
    first = lines[2].split()
    lines[2] = " ".join([first[0], *("1" if value == "-1" else "-1" for value in first[1:])])
    attributes.write_text("\n".join(lines) + "\n")
    assert describe_data(open_dataset(str(copy))) != before


def test_the_journal_names_no_folder_of_the_machine(folder):
    execute(folder, "01_data", 1, makes=[folder / "figure.png"])
    assert str(HOME) not in json.dumps(json.loads((folder / "run.json").read_text())["notebooks"])
