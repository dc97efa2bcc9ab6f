"""Labels that are likely to be errors: planted ones are found, and what is sound is left alone."""

import warnings

import numpy as np

from helpers.config import ATTRIBUTES
from helpers.evaluation import label_errors


def good_network(images: int = 3000, seed: int = 0):
    """Labels without a fault, and the answers of a network that is nearly always right and sure of it."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((images, 5)) < [0.5, 0.1, 0.4, 0.8, 0.1]).astype(int)
    return 1 / (1 + np.exp(-np.where(truth, 6, -6) - rng.normal(0, 2, truth.shape))), truth


def test_planted_errors_are_at_the_top_of_the_list_and_most_are_found():
    probabilities, truth = good_network()
    wrong = np.random.default_rng(1).choice(len(truth), 60, replace=False)
    planted = {(row, ATTRIBUTES[place % 5]) for place, row in enumerate(wrong)}
    truth[wrong, np.arange(60) % 5] ^= 1
    table = label_errors.likely_errors(probabilities, truth)
    found = list(zip(table["image"], table["attribute"], strict=True))
    assert len(planted.intersection(found)) > 0.7 * len(planted)
    assert set(found[:30]) <= planted
    assert (table["probability"] - table["label"]).abs().is_monotonic_decreasing
    for row in table.itertuples():
        column = ATTRIBUTES.index(row.attribute)
        assert (row.label, row.probability) == (truth[row.image, column], probabilities[row.image, column])


def test_a_doubt_needs_the_answer_that_is_usual_where_the_opposite_label_is():
    # Worked by hand: where the label is yes, the mean answer is 0.8 (0.9, 0.9, 0.6), so 0.85 is doubted and 0.7 is not.
    yes, label = np.array([0.9, 0.9, 0.6, 0.85, 0.7, 0.1]), np.array([1, 1, 1, 0, 0, 0])
    table = label_errors.likely_errors(*(np.repeat(column[:, None], 5, axis=1) for column in (yes, label)))
    assert sorted(table["attribute"]) == sorted(ATTRIBUTES)
    assert table.drop(columns="attribute").drop_duplicates().to_dict("records") == [
        {"image": 3, "label": 0, "probability": 0.85}
    ]


def test_nothing_is_doubted_where_sure_answers_agree_with_the_labels():
    _, truth = good_network()
    table = label_errors.likely_errors(np.where(truth, 0.97, 0.02), truth)
    assert table.empty and list(table) == ["image", "attribute", "label", "probability"]


def test_an_attribute_whose_labels_are_all_alike_is_left_out():
    probabilities, truth = good_network()
    truth[:40] ^= 1
    truth[:, 0], truth[:, 1] = 1, 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(label_errors.likely_errors(probabilities, truth)["attribute"]) == set(ATTRIBUTES[2:])
        table = label_errors.likely_errors(probabilities, np.ones_like(truth))
    assert table.empty and list(table) == ["image", "attribute", "label", "probability"]
