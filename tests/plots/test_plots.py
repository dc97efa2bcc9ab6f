"""The figures show the numbers that they are given, and mark what their text says that they mark."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from helpers import plots
from helpers.config import ATTRIBUTES
from helpers.plots.evaluation import wilson
from helpers.plots.words import Words

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
    for axis, (_, row) in zip(figure.axes, counts.iterrows(), strict=False):
        cells = {text.get_position(): int(text.get_text().split()[0]) for text in axis.texts}
        right, down = (sorted({position[i] for position in cells}) for i in (0, 1))
        found = [[cells[x, y] for x in right] for y in down]
        assert found == [[row["tn"], row["fp"]], [row["fn"], row["tp"]]], found


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


def test_the_bars_stand_in_the_order_of_the_table_with_their_values():
    table = pd.DataFrame({"mean_accuracy": [0.7, 0.9], "micro_f1": [0.5, 0.4]}, index=["first", "second"])
    figure = plots.plot_bars(table)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["first", "second"]
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the first row is at the top
    assert [bar.get_width() for bar in left.patches] == [0.7, 0.9]
    assert [text.get_text() for text in right.texts] == ["0.500", "0.400"]


def a_grid() -> pd.DataFrame:
    rows = [
        {
            "lr": lr,
            "weight_decay": 1e-5,
            "channels_block3": 256,
            "dropout": dropout,
            "val_loss": 0.3 + lr - dropout / 10,
        }
        for lr in (0.001, 0.005)
        for dropout in (0.0, 0.4)
    ]
    return pd.DataFrame(rows).sort_values("val_loss", ignore_index=True)


def test_the_heat_map_frames_the_best_trial():
    axis = plots.plot_grid(a_grid())
    (frame,) = axis.patches
    assert frame.get_xy() == (1, 0)  # dropout 0.4 in the columns, lr 0.001 in the rows
    shown = {text.get_text(): text.get_position() for text in axis.texts}
    assert shown["0.2610"] == (1.5, 0.5)


def test_the_parallel_coordinates_have_a_line_per_trial_and_a_key_for_its_colour():
    axis = plots.plot_parallel(a_grid())
    assert len(axis.lines) == 4 and axis.get_legend().get_texts()[0].get_text() == "best trial: 0.2610"
    (key,) = [other for other in axis.figure.axes if other is not axis]
    assert key.get_ylabel() == "valid loss (nats)" and key.get_ylim() == pytest.approx((0.261, 0.305))


def test_the_band_of_a_curve_is_the_range_over_its_seeds():
    history = pd.DataFrame({"epoch": [1, 2], "val_loss": [0.5, 0.4], "val_loss_low": [0.4, 0.3]})
    axis = plots.plot_curves({"a": history.assign(val_loss_high=[0.7, 0.45])}, "")
    heights = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == 0.3 and heights.max() == 0.7


def test_an_effect_is_named_with_the_values_that_are_compared_and_its_verdict():
    effects = pd.DataFrame(
        [
            {"factor": "lr", "value": 0.001},
            {"factor": "lr", "value": 0.005, "difference": -0.1, "low": -0.15, "high": -0.05, "verdict": "lower"},
        ]
    )
    axis = plots.plot_differences(effects)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["lr: 0.005 against 0.001"]
    assert [text.get_text() for text in axis.texts] == ["lower"]


def test_a_curve_is_dashed_beyond_the_last_measurement_and_ends_in_an_open_circle():
    measured = [{"network": "fine", "images": n, "measured": 100 / n} for n in (1000, 2000, 4000)]
    fitted = [
        {"network": "fine", "images": n, "fitted": 90 / n, "low": 80 / n, "high": 99 / n} for n in (1000, 4000, 8000)
    ]
    rows = [row | {"metric": metric} for row in measured + fitted for metric in ("error", "loss")]
    axis = plots.plot_scaling(pd.DataFrame(rows)).axes[0]
    points, line, beyond, forecast = axis.lines
    assert list(points.get_xdata()) == [1000, 2000, 4000] and list(points.get_ydata()) == [0.1, 0.05, 0.025]
    assert list(line.get_xdata()) == [1000, 4000] and line.get_linestyle() == "-"
    assert list(beyond.get_xdata()) == [4000, 8000] and beyond.get_linestyle() == "--"
    assert (list(forecast.get_xdata()), forecast.get_markerfacecolor()) == ([8000], "white")


def test_the_interval_of_a_rate_is_wilsons():
    low, high = wilson(np.array([0.0, 0.5]), np.array([10.0, 10.0]))
    assert low == pytest.approx([0, 0.2366], abs=1e-4) and high == pytest.approx([0.2775, 0.7634], abs=1e-4)


@pytest.mark.parametrize(
    "language, texts",
    [("en", ["1,234.50", "−0.10", "83.1%", "0.005", "4.1 × 10⁻⁴", "10⁻⁵"]),
     ("fr", ["1\u202f234,50", "−0,10", "83,1\u00a0%", "0,005", "4,1 × 10⁻⁴", "10⁻⁵"])],
)  # fmt: skip
def test_numbers_are_written_as_the_language_writes_them(language, texts):
    words = Words(language)
    numbers = [words.number(1234.5), words.number(-0.1), words.percent(0.831, 1)]
    assert [*numbers, words.small(0.005), words.small(0.00041), words.small(1e-5)] == texts


def test_the_axes_of_a_localised_figure_have_the_marks_of_the_language():
    figure, axis = plt.subplots()
    axis.plot([0, 1], [0.592400001, 0.592550001])
    Words("fr").localise(figure)
    figure.canvas.draw()
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels and all("," in label and "." not in label and label.startswith("0,592") for label in labels)
