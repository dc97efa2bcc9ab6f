"""An interrupted training continues with the same result, bit for bit, and never from another training's state."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from helpers.config import Config
from helpers.errors import OutOfMemory, StudyError
from helpers.models.networks import build_for
from helpers.training import loop, state
from helpers.training.loop import KeepBest, fit

STEPS = 3  # per epoch: 20 images in batches of 8
TIMES = ["seconds", "images_per_second"]
PLAIN = {"max_epochs": 3, "batch_size": 8, "channels_block3": 8, "device": "cpu", "dropout": 0.3}
RECIPES = {
    "the course's": {},
    "M8's": {"optimizer": "adamw", "schedule": "one_cycle", "ema": 0.9, "label_smoothing": 0.1, "arch": "compact"},
}


@pytest.fixture(scope="module")
def few(splits):
    return splits["train"].subset(range(20))


@pytest.fixture(scope="module")
def valid(splits):
    return splits["valid"].subset(range(12))


def config(recipe: str = "the course's", **changes) -> Config:
    return Config(**PLAIN | RECIPES[recipe] | changes)


def train(few, valid, settings: Config, file: Path | None = None):
    """Train once; return the weights, the history without times, and the best epoch's row."""
    model, best = build_for(settings, torch.device("cpu")), KeepBest()
    history = fit(model, few, valid, settings, measure_on=few, on_epoch=best, resume=file)
    row = {name: value for name, value in best.row.items() if name not in TIMES}
    return {"model": model.state_dict(), "best": best.weights}, history.drop(columns=TIMES), row


def assert_same(first, second):
    for name, weights in first[0].items():
        assert all(torch.equal(tensor, second[0][name][key]) for key, tensor in weights.items()), name
    assert first[1].equals(second[1]) and first[2] == second[2]


@pytest.fixture(scope="module", params=RECIPES)
def uninterrupted(request, few, valid):
    return request.param, train(few, valid, config(request.param))


def interrupt_before_step(monkeypatch, number: int, kind: signal.Signals = signal.SIGINT):
    """Send this process a signal when the training begins its step `number`, counted from 1 over all epochs."""
    build, count = loop.build_step, iter(range(1, 10**6))

    def build_step(*given):
        step = build(*given)

        def interrupted(*batch):
            if next(count) == number:
                signal.raise_signal(kind)
            return step(*batch)

        return interrupted

    monkeypatch.setattr(loop, "build_step", build_step)


@pytest.mark.parametrize("step", [1, 2, STEPS, STEPS + 1, 3 * STEPS])
def test_a_training_interrupted_at_any_step_ends_with_the_same_bits(
    uninterrupted, few, valid, tmp_path, monkeypatch, step
):
    recipe, expected = uninterrupted
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        interrupt_before_step(patched, step)
        train(few, valid, config(recipe), tmp_path / "a.pt")
    torch.rand(step)  # the program that continues has drawn other numbers
    assert_same(train(few, valid, config(recipe), tmp_path / "a.pt"), expected)


def test_several_interruptions_change_nothing_either(few, valid, tmp_path, monkeypatch):
    expected = train(few, valid, config())
    for _ in range(3 * STEPS - 1):  # each time, one step more is done
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            interrupt_before_step(patched, 1)
            train(few, valid, config(), tmp_path / "a.pt")
    assert_same(train(few, valid, config(), tmp_path / "a.pt"), expected)


def test_an_interrupted_step_is_finished_and_not_done_again(few, valid, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        interrupt_before_step(patched, STEPS + 2)
        train(few, valid, config(), tmp_path / "a.pt")
    assert "interrupted in epoch 2" in capsys.readouterr().out
    done = []
    monkeypatch.setattr(loop, "build_step", lambda *given: lambda *batch: done.append(1) or torch.tensor(0.5))
    fit(build_for(config(), torch.device("cpu")), few, valid, config(), resume=tmp_path / "b.pt")
    assert len(done) == 3 * STEPS
    done.clear()
    fit(build_for(config(), torch.device("cpu")), few, valid, config(), measure_on=few, resume=tmp_path / "a.pt")
    assert len(done) == 3 * STEPS - (STEPS + 2)


def test_a_finished_training_is_not_done_again(few, valid, tmp_path, monkeypatch):
    expected = train(few, valid, config(), tmp_path / "a.pt")
    monkeypatch.setattr(loop, "_train_epoch", None)
    assert_same(train(few, valid, config(), tmp_path / "a.pt"), expected)


def test_a_diverged_training_stays_diverged(few, valid, tmp_path):
    settings = config(lr=10.0, weight_decay=1.0, max_epochs=12)
    model = build_for(settings, torch.device("cpu"))
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    assert len(fit(model, few, valid, settings, resume=tmp_path / "a.pt")) == 1
    assert len(fit(model, few, valid, settings, resume=tmp_path / "a.pt")) == 1


def test_a_divergence_names_its_step_its_learning_rate_and_the_epoch_before(few, valid, monkeypatch, capsys):
    losses = iter([0.6, 0.5, 0.5, 0.4, float("nan"), 0.4])
    monkeypatch.setattr(loop, "build_step", lambda *given: lambda *batch: torch.tensor(next(losses)))
    history = fit(build_for(config(), torch.device("cpu")), few, valid, config(lr=0.02), label="final")
    told = capsys.readouterr().out
    assert len(history) == 2 and "final: the train loss is not finite from step 2 of epoch 2 on (lr 0.02)" in told
    assert "The best epoch before it is 1." in told


def test_a_training_on_other_valid_images_or_without_augmentation_begins_anew(few, valid, tmp_path, capsys):
    def fitted(valid, resume=None, **options):
        return fit(build_for(config(), torch.device("cpu")), few, valid, config(), resume=resume, **options)

    others = valid.subset(range(len(valid) - 1))
    cases = [(others, {}, "the valid images"), (valid, {"measure_on": few}, "the measured images")]
    for images, options, reason in [*cases, (valid, {"augmented": False}, "the augmentation")]:
        fitted(valid, tmp_path / "a.pt")
        capsys.readouterr()
        again, anew = fitted(images, tmp_path / "a.pt", **options), fitted(images, **options)
        assert f"{reason} changed" in capsys.readouterr().out
        assert again.drop(columns=TIMES).equals(anew.drop(columns=TIMES))
        (tmp_path / "a.pt").unlink()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lr": 0.003}, "the setting lr changed"),
        ({"max_epochs": 4, "seed": 5}, "the setting seed, the setting max_epochs changed"),
    ],
)
def test_a_training_with_other_settings_begins_anew_and_says_so(few, valid, tmp_path, capsys, changes, reason):
    train(few, valid, config(), tmp_path / "a.pt")
    capsys.readouterr()
    assert_same(train(few, valid, config(**changes), tmp_path / "a.pt"), train(few, valid, config(**changes)))
    assert reason in capsys.readouterr().out


def test_a_training_on_other_images_or_with_other_code_begins_anew(few, valid, tmp_path, capsys, monkeypatch):
    train(few, valid, config(), tmp_path / "a.pt")
    other = few.subset(range(19, -1, -1))
    assert_same(train(other, valid, config(), tmp_path / "a.pt"), train(other, valid, config()))
    assert "the train images" in capsys.readouterr().out
    monkeypatch.setattr(state, "code_digest", lambda rooms: "other")
    train(other, valid, config(), tmp_path / "a.pt")
    assert "the code changed" in capsys.readouterr().out


def test_a_damaged_state_is_noticed_and_not_used(few, valid, tmp_path, capsys):
    expected = train(few, valid, config(), tmp_path / "a.pt")
    content = bytearray((tmp_path / "a.pt").read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (bytes(content), bytes(content[:100]), b""):
        (tmp_path / "a.pt").write_bytes(damaged)
        assert_same(train(few, valid, config(), tmp_path / "a.pt"), expected)
        assert "its file is damaged" in capsys.readouterr().out


def test_a_disk_that_fills_up_is_told_and_the_last_state_stays(few, valid, tiny_disk, capsys):
    expected = train(few, valid, config())
    subprocess.run(["mount", "-o", "remount,size=8m", str(tiny_disk)], check=True)

    class FillTheDisk(KeepBest):
        def __call__(self, row, model):
            super().__call__(row, model)
            if row["epoch"] == 2:
                with contextlib.suppress(OSError), open(tiny_disk / "other", "wb", buffering=0) as file:
                    while file.write(bytes(2**12)):
                        pass

    with pytest.raises(StudyError, match=r"a.pt cannot be written \(No space left on device\). Free some space"):
        model = build_for(config(), torch.device("cpu"))
        fit(model, few, valid, config(), measure_on=few, on_epoch=FillTheDisk(), resume=tiny_disk / "a.pt")
    (tiny_disk / "other").unlink()
    assert [path.name for path in tiny_disk.iterdir()] == ["a.pt"]
    capsys.readouterr()
    assert_same(train(few, valid, config(), tiny_disk / "a.pt"), expected)
    assert "1 epochs and 0 steps were done before" in capsys.readouterr().out


def test_too_little_gpu_memory_names_a_batch_size_to_try(few, valid, monkeypatch):
    def no_memory(*batch):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(loop, "build_step", lambda *given: no_memory)
    with pytest.raises(OutOfMemory, match="Try batch_size = 4,"):
        fit(build_for(config(), torch.device("cpu")), few, valid, config())


PROGRAM = """
import os, random, signal, sys, time
import numpy as np
import torch
from helpers.config import Config
from helpers.errors import OutOfMemory, StudyError
from helpers.data.batches import load_split
from helpers.data.celeba import open_dataset
from helpers.models.networks import build_for
from helpers.run import Run
from helpers.training.loop import fit

torch.set_num_threads(1)  # threads would not survive the fork
begun, ready = os.pipe()


def train():
    config = Config(data_root=sys.argv[2], device="cpu", max_epochs=40, batch_size=8, dropout=0.2,
                    channels_block3=8, optimizer="adamw", schedule="one_cycle", ema=0.9)
    run = Run("06_final", config, open_dataset(sys.argv[2]), {}, ())
    train, valid = (run.load(split).subset(range(16)) for split in ("train", "valid"))
    follower = run.follow("best", config, valid.subset(range(4)), last=True)
    follower.log = lambda row: os.write(ready, b"!")
    run.tensorboard = lambda name: follower.log
    model = build_for(config, torch.device("cpu"))
    print("begins", flush=True)
    os.write(ready, b"!")
    history = fit(model, train, valid, config, on_epoch=follower, resume=run.resume("final"))
    history.drop(columns=["seconds", "images_per_second"]).to_csv(run.results / "history.csv")
    np.save(run.results / "predictions.npy", follower.predictions)


def child():
    process = os.fork()
    if not process:
        train()
        os._exit(0)
    return process


def status(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill(times, epoch):
    draw = random.Random(0)
    for _ in range(times):
        global begun, ready
        begun, ready = os.pipe()  # empty
        process = child()
        os.read(begun, 1)
        for _ in range(draw.randrange(3)):  # epochs that this process finishes
            os.read(begun, 1)
        time.sleep(draw.uniform(0, epoch))
        os.kill(process, signal.SIGKILL)
        print("killed" if status(process) == -signal.SIGKILL else "ended", flush=True)


kill(int(sys.argv[1]), 0.3)
train()
"""


def start(home: Path, drawn: Path, kills: int = 0) -> subprocess.Popen:
    """Start the training as a program of its own, which is first killed so many times."""
    command = [sys.executable, "-c", PROGRAM, str(kills), str(drawn)]
    environment = os.environ | {"CELEBA_STUDY_HOME": str(home)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def outcome(home: Path) -> dict[str, bytes]:
    """Return the bytes of every checkpoint and result."""
    files = [*(home / "checkpoints/study").glob("*.pt"), *(home / "runs/study/results").glob("history.csv")]
    return {file.name: file.read_bytes() for file in [*files, *(home / "runs/study/results").glob("*.npy")]}


@pytest.fixture(scope="module")
def whole(drawn, tmp_path_factory):
    """The files of a training without interruption."""
    home = tmp_path_factory.mktemp("whole")
    assert start(home, drawn).wait() == 0
    assert set(outcome(home)) == {"best.pt", "last.pt", "history.csv", "predictions.npy"}
    return outcome(home)


@pytest.mark.slow
def test_a_training_killed_at_twenty_random_moments_leaves_the_same_bytes(drawn, whole, tmp_path):
    told = start(tmp_path, drawn, kills=20).communicate()[0]
    assert told.count("killed\n") == 20 and told.count(" 0 steps were done before") > 10
    assert outcome(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_program_told_to_end_saves_its_step_and_goes_on_later_with_the_same_bytes(drawn, whole, tmp_path, kind):
    program = start(tmp_path, drawn)
    while not list(tmp_path.glob("runs/study/resume/*/final.pt")):
        assert program.poll() is None
        time.sleep(0.05)
    program.send_signal(kind)
    assert "The state is saved." in program.communicate()[0] and program.returncode == -kind
    assert "were done before" in start(tmp_path, drawn).communicate()[0]
    assert outcome(tmp_path) == whole
