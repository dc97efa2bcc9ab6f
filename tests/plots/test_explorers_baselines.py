"""The explorer of constants: its bars are the metrics of the evaluation, for every constant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from helpers.config import ATTRIBUTES
from helpers.evaluation.metrics import best_constant, decision_scores
from helpers.plots.explorers.baselines import METRICS, compared, draw_constant, score

answers = st.lists(st.booleans(), min_size=5, max_size=5)
targets = st.integers(1, 40).flatmap(lambda n: arrays.arrays(np.uint8, (n, 5), elements=st.integers(0, 1)))


def boxes(constant):
    return dict(zip(ATTRIBUTES, map(bool, constant), strict=True))


@settings(max_examples=30, deadline=None)
@given(answers, targets)
def test_no_constant_is_better_than_the_best_and_each_has_the_metrics_of_the_evaluation(constant, truth):
    scores = score(np.array(constant, int), truth)
    assert scores == pytest.approx(decision_scores(np.array([constant] * len(truth)), truth), nan_ok=True)
    for metric in METRICS[:2]:
        assert scores[metric] <= score(best_constant(truth, metric), truth)[metric]


@pytest.mark.parametrize("constant", [(0, 0, 0, 0, 0), (1, 0, 1, 1, 0), (1, 1, 1, 1, 1)])
def test_the_bars_and_the_marks_are_the_metrics_of_the_constants(constant):
    truth = np.random.default_rng(1).random((100, 5)) < [0.5, 0.05, 0.4, 0.8, 0.1]
    majority, best = np.array([1, 0, 0, 1, 0]), {metric: best_constant(truth, metric) for metric in METRICS}
    axis = draw_constant(compared(truth, majority, best), **boxes(constant)).figure.axes[0]
    of_mine, of_majority = score(np.array(constant), truth), score(majority, truth)
    assert [bar.get_width() for bar in axis.patches] == [of_mine[metric] for metric in METRICS]
    marks = [line.get_xdata()[0] for line in axis.lines]
    assert marks[:4] == [of_majority[metric] for metric in METRICS]
    assert marks[4:] == [score(best[metric], truth)[metric] for metric in METRICS]


def test_a_metric_that_is_not_defined_says_so():
    nobody = np.zeros((4, 5), int)
    bars = compared(nobody, nobody[0], dict.fromkeys(METRICS, nobody[0]))
    labels = [text.get_text() for text in draw_constant(bars, **boxes(nobody[0])).figure.axes[0].texts]
    assert labels == ["1.000", "1.000", "not defined", "not defined"]


@pytest.mark.parametrize("metric", METRICS)
def test_the_text_says_of_the_best_constant_that_it_is_the_best(metric):
    truth = np.random.default_rng(0).random((200, 5)) < [0.5, 0.05, 0.4, 0.8, 0.1]
    best = {name: best_constant(truth, name) for name in METRICS}
    bars = compared(truth, (truth.mean(0) > 0.5).astype(int), best)
    says = draw_constant(bars, **boxes(best[metric])).says
    mine, _, _ = says.partition("The best ")
    assert metric.replace("_", " ") in mine.partition("It is the best")[2]
    none_of_them = next(c for c in np.ndindex(*[2] * 5) if not any(np.array_equal(c, each) for each in best.values()))
    assert "for none of the four metrics" in draw_constant(bars, **boxes(none_of_them)).says
