"""Work in progress in a notebook: one output that is updated in place, and a training that ends when it is asked to."""

import math

import pytest
import torch

from helpers.config import Config
from helpers.models.networks import build_for
from helpers.plots.explorers import live
from helpers.system import progress
from helpers.training.loop import KeepBest, fit


class Output:
    """Stands for a cell of a notebook: what each `display` shows, after all updates."""

    def __init__(self):
        self.shown = []

    def display(self, content, display_id=None):
        self.shown.append(content)
        return Handle(self, len(self.shown) - 1)


class Handle:
    def __init__(self, output, place):
        self.output, self.place = output, place

    def update(self, content):
        self.output.shown[self.place] = content


@pytest.fixture
def output(monkeypatch):
    """A notebook that a person watches, where progress is shown from the first moment."""
    cell = Output()
    monkeypatch.setattr(live, "display", cell.display)
    monkeypatch.setattr(live, "DELAY", -1.0)
    monkeypatch.setattr(progress, "is_logged", lambda: False)
    monkeypatch.setattr(live, "REFRESH", 0.0)
    monkeypatch.setattr(progress, "_bars", live.Bar)
    monkeypatch.setattr(progress, "_trainings", live.Training)
    return cell


def row(epoch, loss=0.5):
    scores = {"train_loss": loss, "val_loss": loss, "val_f1": 0.5, "val_acc": 0.5}
    return {"epoch": epoch, "lr": 0.1, "seconds": 1.0, **scores}


def test_a_bar_is_one_output_that_ends_as_a_line_with_its_time(output):
    for _ in progress.bar(range(200), desc="grid", unit="trials"):
        pass
    assert len(output.shown) == 1 and "grid: 200 trials in 1 s" in output.shown[0].data
    assert "progress" not in output.shown[0].data


def test_what_is_done_at_once_shows_no_bar(output, monkeypatch):
    monkeypatch.setattr(live, "DELAY", 60.0)
    list(progress.bar(range(200), desc="quick", unit="steps"))
    assert not output.shown


def test_a_training_within_a_bar_adds_no_output(output):
    bar = progress.bar(range(2), desc="grid", unit="trials")
    for _ in bar:
        with progress.training("lr0.1", 2, 1, can_continue=False) as shown:
            shown.after_step()
            shown.after_epoch(row(1))
            assert "lr0.1, epoch 2" in output.shown[0].data
    assert len(output.shown) == 1 and live.Bar.current is None


def test_a_training_is_one_output_with_its_curves_and_ends_without_widgets(output):
    with progress.training("final", 3, 2, can_continue=True) as shown:
        for epoch in (1, 2, 3):
            shown.after_step()
            shown.after_epoch(row(epoch, 0.9 - 0.1 * epoch))
        assert "epoch 3 of 3" in shown.text.value and shown.text.value.count("<img") == 1
    (left,) = output.shown
    assert "final: 3 of 3 epochs" in left.data and "lowest valid loss 0.6000 at epoch 3" in left.data
    assert left.data.count("<img") == 1 and "run this cell again" not in left.data


def test_a_training_that_continues_counts_its_earlier_epochs_and_not_their_time(output, monkeypatch):
    with progress.training("final", 4, 10, can_continue=True) as shown:
        shown.begin([row(1), row(2)])
        shown.started = 90
        monkeypatch.setattr(live.time, "perf_counter", lambda: 100)
        for _ in range(10):
            shown.after_step()
        shown.after_epoch(row(3))
        assert "epoch 4 of 4 · about 10 s left" in shown.text.value and 'value="30" max="40"' in shown.text.value


def test_the_stop_button_ends_a_training_after_the_epoch_and_the_best_one_is_kept(output, splits, monkeypatch):
    few = splits["train"].subset(range(16))
    config, best, shown = Config(max_epochs=6, batch_size=8, channels_block3=8), KeepBest(), []

    def show(*arguments, **options):
        shown.append(live.Training(*arguments, **options))
        return shown[0]

    def press_in_epoch_2(row, model):
        best(row, model)
        if row["epoch"] == 2:
            shown[0].button.click()

    monkeypatch.setattr(progress, "_trainings", show)
    model = build_for(config, torch.device("cpu"))
    history = fit(model, few, few, config, on_epoch=press_in_epoch_2)
    assert history["epoch"].tolist() == [1, 2]
    assert best.row["epoch"] == history.loc[history["val_loss"].idxmin(), "epoch"]
    assert "2 of 6 epochs" in output.shown[0].data and "It was stopped." in output.shown[0].data


def test_a_training_that_an_error_ends_says_so_and_how_to_continue(output):
    with pytest.raises(KeyboardInterrupt), progress.training("final", 3, 1, can_continue=True) as shown:
        shown.after_step()
        shown.after_epoch(row(1))
        raise KeyboardInterrupt
    assert "It was interrupted. To continue, run this cell again." in output.shown[0].data


def test_a_diverged_training_is_shown_without_an_error(output):
    with progress.training("final", 3, 1, can_continue=False) as shown:
        shown.after_epoch(row(1, math.nan))
    assert "final: 1 of 3 epochs" in output.shown[0].data


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "1 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_a_duration_is_said_as_a_person_says_it(seconds, said):
    assert live._duration(seconds) == said
