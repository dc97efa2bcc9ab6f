"""The figures show the numbers that they are given, and mark what their text says that they mark."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from helpers import plots
from helpers.config import ATTRIBUTES

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_bars_of_the_rates_are_the_rates():
    rates = pd.DataFrame({"train": [0.1, 0.2, 0.3, 0.4, 0.5], "valid": [0.2] * 5}, index=list(ATTRIBUTES))
    axis = plots.plot_rates(rates)
    drawn = sorted(round(bar.get_height() or bar.get_width(), 6) for bar in axis.patches)
    shown = sorted(round(float(rate), 6) for rate in rates.to_numpy().ravel())
    assert np.allclose(drawn, shown) or np.allclose(drawn, 100 * np.array(shown))  # a fraction or a percentage


def test_the_curves_are_the_histories_and_are_named_in_the_legend():
    histories = {
        name: pd.DataFrame({"epoch": [1, 2, 3], "val_loss": losses})
        for name, losses in {"lr 0.001": [0.6, 0.5, 0.45], "lr 0.005": [0.5, 0.7, 0.4]}.items()
    }
    axis = plots.plot_curves(histories, "Valid loss")
    lines = {line.get_label(): line.get_ydata() for line in axis.lines}
    for name, history in histories.items():
        assert np.allclose(lines[name], history["val_loss"])
    assert [text.get_text() for text in axis.get_legend().get_texts()] == list(histories)


def test_the_confusion_shows_every_count():
    counts = pd.DataFrame(
        {"tp": range(1, 6), "fp": range(11, 16), "fn": range(21, 26), "tn": range(31, 36)}, index=list(ATTRIBUTES)
    )
    figure = plots.plot_confusion(counts)
    words = " ".join(text.get_text() for axis in figure.axes for text in axis.texts)
    numbers = {int(word) for word in words.replace(",", "").split() if word.isdigit()}
    assert set(counts.to_numpy().ravel().tolist()) <= numbers


def test_the_history_marks_the_epoch_with_the_lowest_valid_loss():
    history = pd.DataFrame(
        {"epoch": [1, 2, 3, 4], "train_loss": [0.6, 0.5, 0.4, 0.3], "val_loss": [0.6, 0.4, 0.5, 0.7]}
        | {"val_f1": [0.5, 0.6, 0.6, 0.6], "val_acc": [0.7, 0.8, 0.8, 0.8], "train_eval_loss": [0.6, 0.5, 0.4, 0.3]}
    )
    figure = plots.plot_history(history)
    marked = {
        float(x) for line in figure.axes[0].lines for x in np.atleast_1d(line.get_xdata()) if len(line.get_xdata()) < 4
    }
    assert 2.0 in marked and not marked & {1.0, 3.0, 4.0}


def test_the_images_are_shown_with_their_titles():
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64), dtype=np.uint8)
    figure = plots.show_images(images, ["one", "two", "three"], columns=2)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["one", "two", "three"]
    shown = next(axis for axis in figure.axes if axis.get_title() == "two").images[0].get_array()
    assert np.allclose(
        np.asarray(shown, float) / np.max(shown), images[1].transpose(1, 2, 0) / images[1].max(), atol=0.01
    )
