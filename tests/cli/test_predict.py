"""predict: what is read, what is left out and said, names of every kind, and output wherever it goes."""

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cli.test_cli import call
from helpers.cli import predict
from helpers.cli.predict import as_csv, as_text, find_images, in_line, in_text, predict_images
from helpers.config import ATTRIBUTES, ROOT, Config
from helpers.errors import StudyError
from helpers.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from helpers.models.networks import build_model

CPU = torch.device("cpu")
NOT_UTF8 = os.fsdecode(b"caf\xe9.png")
KINDS = {
    ".jfif": "JPEG",
    ".JPE": "JPEG",
    ".mpo": "MPO",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".tga": "TGA",
    ".pbm": "PPM",
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    save_checkpoint(path, build_model(0, CPU, 8), Config(channels_block3=8), 1, {}, "drawn faces")
    return path


def picture(path, kind="PNG"):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 30, 3), np.uint8)
    Image.fromarray(pixels).convert("1" if kind == "PPM" else "RGB").save(path, kind)
    return path


def test_every_kind_of_image_in_a_folder_is_read_whatever_its_ending(checkpoint, tmp_path):
    for suffix, kind in KINDS.items():
        picture(tmp_path / f"photo{suffix}", kind)
    result = call("predict", "--checkpoint", checkpoint, tmp_path)
    assert result.exit_code == 0 and not result.stderr
    assert len(pd.read_csv(io.StringIO(result.stdout))) == len(KINDS)


def test_what_is_left_out_of_a_folder_is_counted_named_and_in_the_exit_status(checkpoint, tmp_path):
    picture(tmp_path / "a.png")
    for name in ("IMG_1.heic", "IMG_2.HEIC", "notes.txt", "without", ".hidden.png"):
        (tmp_path / name).write_bytes(b"no image")
    result = call("predict", "--checkpoint", checkpoint, tmp_path)
    assert result.exit_code == 1 and len(pd.read_csv(io.StringIO(result.stdout))) == 1
    assert "4 files whose names do not end as an image's (2 .heic, 1 .txt, 1 without ending)" in result.stderr
    assert "IMG_1.heic, IMG_2.HEIC, notes.txt, without. Convert HEIC photos to JPEG" in result.stderr
    assert "hidden" not in result.stderr


def test_folders_that_cannot_be_read_and_links_to_folders_are_named(tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    (tmp_path / "more").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "more")
    scandir = os.scandir

    def deny(path):
        if os.path.basename(path) == "more":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    images, problems = find_images([tmp_path])
    assert images == [tmp_path / "a.png"] and len(problems) == 2
    assert f"The link {tmp_path / 'link'} is not followed" in problems[0] and "Permission denied" in problems[1]


@pytest.mark.parametrize("fault", ["missing", "broken", "directory that goes", "too large", "pipe"])
def test_one_bad_file_does_not_lose_the_batch(fault, checkpoint, tmp_path, monkeypatch):
    good, bad = picture(tmp_path / "good.png"), tmp_path / "bad.png"
    if fault == "broken":
        bad.write_bytes(good.read_bytes()[:70])
    elif fault == "too large":
        monkeypatch.setattr(predict, "MOST_BYTES", 10**6)
        picture(bad)
        os.truncate(bad, 10**6 + 1)
    elif fault == "pipe":
        os.mkfifo(bad)  # reading it would never end
    elif fault == "directory that goes":
        bad.mkdir()
        (bad / "x.png").symlink_to("nowhere")
    result = call("predict", "--checkpoint", checkpoint, bad, good)
    assert result.exit_code == 1 and "Left out: " in result.stderr and "Traceback" not in result.stderr
    assert pd.read_csv(io.StringIO(result.stdout))["image"].tolist() == [str(good)]


def test_no_image_at_all_is_told_with_what_was_left_out(tmp_path):
    (tmp_path / "IMG_1.heic").write_bytes(b"")
    with pytest.raises(StudyError, match=r"There is no image in (?s:.*)1 files whose names do not end .*HEIC"):
        find_images([tmp_path])


def test_the_images_are_answered_on_the_device_that_was_asked_for(tmp_path, monkeypatch):
    devices = []

    def predict_logits(model, split):
        devices.extend([split.device.type, split.images.device.type])
        return np.zeros((1, 5))

    monkeypatch.setattr(predict, "predict_logits", predict_logits)
    Image.new("L", (9, 9), 0).save(tmp_path / "black.png")
    predict_images(Checkpoint(torch.nn.Flatten(), {}), [tmp_path / "black.png"], torch.device("meta"))
    assert devices == ["meta", "meta"]


def test_an_answer_that_is_no_number_is_left_out_and_named(tmp_path):
    class Overflow(torch.nn.Module):
        def forward(self, images):
            bright = images.mean((1, 2, 3)) > 0
            return (
                torch.where(bright, torch.inf, 0.0)[:, None].expand(-1, 5).contiguous()
                - torch.where(bright, torch.inf, 0.0)[:, None]
            )

    for name, shade in (("black", 0), ("white", 255)):
        Image.new("L", (9, 9), shade).save(tmp_path / f"{name}.png")
    table, problems = predict_images(Checkpoint(Overflow(), {}), sorted(tmp_path.iterdir()), CPU)
    assert len(table) == 1 and table["image"][0].endswith("black.png")
    assert problems == [f"The network gives no finite answer for {tmp_path / 'white.png'}."]


# Names

NAMES = ["=cmd().png", "+1.png", "-2.png", "@SUM(A1).png", "<b>bold & co.png", 'quo"te.png', "a,b;c.png", "é日本.png"]
HARD_NAMES = [NOT_UTF8, "new\nline.png", "tab\t.png", "\x1b[31mred.png", "\u202egnp.exe.png"]  # some not on Windows


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_of_every_kind_are_answered_and_written(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in NAMES + HARD_NAMES:
        picture(name)
    result = call("predict", "--checkpoint", checkpoint, ".", "--csv", tmp_path / "out" / "table.csv")
    assert result.exit_code == 0
    with open(tmp_path / "out" / "table.csv", encoding="utf-8", newline="") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    expected = {("'" if name[0] in "=+-@" else "") + in_text(name) for name in NAMES + HARD_NAMES}
    assert set(names) == expected and r"caf\xe9.png" in names
    assert not any(name.startswith(("=", "+", "-", "@")) for name in names)


def test_a_message_is_one_line_without_codes_for_the_terminal():
    shown = [in_line(name) for name in HARD_NAMES]
    assert shown[:3] == [r"caf\xe9.png", r"new\nline.png", r"tab\t.png"]
    assert shown[3:] == [r"\x1b[31mred.png", r"\u202egnp.exe.png"] and in_line("é 日本.png") == "é 日本.png"


def test_a_terminal_gets_a_table_to_read_and_a_pipe_gets_csv(checkpoint, tmp_path):
    paths = [picture(tmp_path / "a.png"), picture(tmp_path / "longer\nname.png")]
    table, _ = predict_images(load_checkpoint(checkpoint), paths, CPU)
    lines = as_text(table).splitlines()
    assert len(lines) == 3 and lines[0].split() == ["image", *ATTRIBUTES] and r"longer\nname.png" in lines[2]
    for name in ATTRIBUTES:  # every answer begins where its column does
        assert lines[1][lines[0].index(name) :].split()[0] == ("yes" if table[f"{name}_pred"][0] else "no")
    assert as_csv(table).startswith("image,Smiling,") and len(pd.read_csv(io.StringIO(as_csv(table)))) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_in_a_terminal_the_table_is_printed(checkpoint, tmp_path):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "helpers", "predict", "--checkpoint", checkpoint, picture(tmp_path / "a.png")]
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, cwd=ROOT, check=True)
    assert os.read(ours, 4096).decode().split()[:3] == ["image", "Smiling", "Wearing_Hat"]


# Consoles


def in_cp1252(*arguments) -> subprocess.CompletedProcess:
    """Run a command as in a pipe on Windows, which has few characters."""
    command = [sys.executable, "-m", "helpers", *map(str, arguments)]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=environment, check=False)


@pytest.mark.slow
def test_predict_into_a_windows_pipe_escapes_what_it_lacks(checkpoint, tmp_path):
    done = in_cp1252("predict", "--checkpoint", checkpoint, picture(tmp_path / "日本.png"), tmp_path / "無.png")
    assert done.returncode == 1 and rb"\u65e5\u672c.png,0." in done.stdout and rb"\u7121.png" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_data_check_into_a_windows_pipe_keeps_its_exit_status(copy):
    there = copy.rename(copy.with_name("données 日本"))
    done = in_cp1252("data", "check", there)
    assert done.returncode == 1 and rb"\u65e5" in done.stdout and b"Traceback" not in done.stderr


def test_the_messages_of_a_run_can_be_printed_into_any_pipe(monkeypatch):
    from helpers import __main__

    narrow = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    monkeypatch.setattr(sys, "argv", ["helpers", "--help"])
    with pytest.raises(SystemExit) as left:
        __main__.main()
    print("é 日本 ✓", file=narrow, flush=True)
    assert left.value.code == 0 and narrow.buffer.getvalue().endswith(
        rb"\xe9 \u65e5\u672c \u2713" + os.linesep.encode()
    )
