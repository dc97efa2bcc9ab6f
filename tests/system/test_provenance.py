"""Where a result comes from: the digest of the code changes with the code, and a command can be typed again."""

import shlex

import pytest

from helpers.system import provenance


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """A small `helpers`, and a function that returns the digest of its room and its file."""
    monkeypatch.setattr(provenance, "HELPERS", tmp_path)
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "one.py").write_text("1")
    (tmp_path / "file.py").write_text("2")

    def digest() -> str:
        provenance.code_digest.cache_clear()
        return provenance.code_digest(("room", "file.py"))

    yield tmp_path, digest
    provenance.code_digest.cache_clear()


def test_the_digest_of_the_code_changes_with_every_line_and_name_of_it(rooms):
    folder, digest = rooms
    seen = [digest()]
    (folder / "room" / "one.py").write_text("one")
    seen.append(digest())
    (folder / "room" / "two.py").write_text("")
    seen.append(digest())
    (folder / "room" / "two.py").rename(folder / "room" / "three.py")
    seen.append(digest())
    (folder / "file.py").write_text("two")
    seen.append(digest())
    assert len(set(seen)) == 5 and digest() == seen[-1]
    (folder / "another.py").write_text("of no room")
    (folder / "room" / "notes.txt").write_text("no code")
    assert digest() == seen[-1]


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["run", "--profile=demo", "-p", "lr=1e-5"], "run --profile=demo -p lr=1e-5"),
        (["-p", "grid_lr=[0.1, 1]", "--author", "Zoé L."], '-p "grid_lr=[0.1, 1]" --author "Zoé L."'),
        (["--author", 'the "$HOME"'], "--author 'the \"$HOME\"'"),
        (["--course", ""], '--course ""'),
    ],
)
def test_a_command_is_written_as_one_types_it(words, typed):
    assert provenance.in_shell(words) == typed and shlex.split(typed) == words
