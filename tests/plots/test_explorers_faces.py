"""The explorers of the data: who is counted is who is shown, test is never shown, and augmentation is training's."""

import dataclasses

import numpy as np
import pytest
import torch

from helpers.config import ATTRIBUTES
from helpers.data.augmentation import draw_augmentation
from helpers.data.batches import _augmented_part, normalise
from helpers.data.labels import label_consistency
from helpers.plots.explorers import faces as explorer
from helpers.plots.explorers.faces import (
    PER_PAGE,
    Faces,
    augmented,
    divided_persons,
    draw_augmented,
    draw_page,
    draw_person,
)
from helpers.plots.explorers.mosaic import PITCH

ANYTHING = dict.fromkeys(ATTRIBUTES, "any")
UNCHANGED = {"flip": False, "degrees": 0, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0}


@pytest.fixture(scope="module")
def faces(dataset):
    return Faces.of(dataset)


def shown(view, columns=8):
    """Return the tiles of a view's mosaic, (N, 3, 64, 64), those that are white everywhere left out."""
    (image,) = view.figure.axes[0].images
    sheet = np.asarray(image.get_array())
    gap, rows = (PITCH - 64) // 2, len({text.get_position()[1] for text in view.figure.axes[0].texts}) or 1
    down = sheet.shape[0] // rows
    tiles = [
        sheet[row * down + gap : row * down + gap + 64, column * PITCH + gap : column * PITCH + gap + 64]
        for row in range(rows)
        for column in range(columns)
    ]
    return [tile.transpose(2, 0, 1) for tile in tiles if (tile != 255).any()]


def captions(view):
    return [text.get_text() for text in view.figure.axes[0].texts]


def test_no_face_of_test_can_be_shown(faces, dataset):
    assert set(faces.table["split"]) == {"train", "valid"}
    of_test = set(dataset.annotations.index[dataset.annotations["split"] == "test"])
    assert of_test and not of_test & set(faces.table.index)
    for split in ("train", "valid"):
        for page in (1, 2, 10**6):
            view = draw_page(faces, split, page, **ANYTHING)
            for tile in shown(view):
                matches = (faces.pixels == tile).all((1, 2, 3))
                assert matches.any()
                assert set(dataset.annotations["split"][matches]) <= {split}


@pytest.mark.parametrize("wanted", [{}, {"Smiling": "yes"}, {"Smiling": "no", "Male": "yes"}, {"Eyeglasses": "yes"}])
def test_the_pages_show_the_images_with_these_attributes_in_order_and_each_once(faces, dataset, wanted):
    table = dataset.annotations[dataset.annotations["split"] == "train"]
    expected = table
    for name, answer in wanted.items():
        expected = expected[expected[name] == (answer == "yes")]
    rows = dataset.annotations.index.get_indexer(expected.index)
    first = draw_page(faces, "train", 1, **ANYTHING | wanted)
    pages = first.limits["page"]
    assert pages == -(-len(expected) // PER_PAGE)
    assert first.says.startswith(f"{len(expected):,} of {len(table):,} train images")
    tiles = [
        tile for page in range(1, pages + 1) for tile in shown(draw_page(faces, "train", page, **ANYTHING | wanted))
    ]
    assert np.array_equal(tiles, faces.pixels[rows])


def test_the_labels_below_a_face_are_its_own(faces):
    view = draw_page(faces, "valid", 1, **ANYTHING)
    here = faces.table[faces.table["split"] == "valid"].iloc[:PER_PAGE]
    for text, (_, row) in zip(captions(view), here.iterrows(), strict=True):
        assert text.split("\n") == ([name.replace("_", " ") for name in ATTRIBUTES if row[name]] or ["none"])


def test_a_page_after_the_last_one_is_the_last_one(faces):
    last = draw_page(faces, "valid", 1, **ANYTHING).limits["page"]
    assert captions(draw_page(faces, "valid", last + 5, **ANYTHING)) == captions(
        draw_page(faces, "valid", last, **ANYTHING)
    )


def test_a_combination_that_nobody_has_says_so(faces):
    table = faces.table.copy()
    table.loc[table["Wearing_Hat"] == 1, "Eyeglasses"] = 0
    wanted = ANYTHING | {"Wearing_Hat": "yes", "Eyeglasses": "yes"}
    view = draw_page(Faces(table, faces.pixels), "train", 3, **wanted)
    assert view.says.startswith("0 of ") and view.limits == {"page": 1}
    assert view.figure.texts[0].get_text() == "No train image with Wearing Hat and Eyeglasses."


def test_the_number_for_independent_attributes_follows_from_the_product_of_their_rates(faces):
    train = faces.table[faces.table["split"] == "train"]
    product = train["Smiling"].mean() * (1 - train["Male"].mean())
    view = draw_page(faces, "train", 1, **ANYTHING | {"Smiling": "yes", "Male": "no"})
    assert f"If these attributes were independent, there would be about {len(train) * product:,.0f}." in view.says


def test_the_divided_persons_are_those_of_the_notebooks_table(faces):
    consistency = label_consistency(faces.table)
    divided = divided_persons(faces)
    assert {name: len(divided[name]) for name in ATTRIBUTES} == consistency["divided"].to_dict()
    assert len(divided[explorer.EVERYBODY]) == consistency["people"].iloc[0]


def test_a_person_is_shown_with_all_images_and_the_rarer_label_is_bold(faces):
    divided = divided_persons(faces)
    person = int(divided["Smiling"][0])
    theirs = faces.table[faces.table["identity"] == person]
    view = draw_person(faces, divided, "Smiling", 1)
    assert f"{len(theirs)} images (identity {person})" in view.says
    assert len(shown(view)) == len(theirs)
    rarer = "Smiling" if theirs["Smiling"].mean() < 0.5 else "Smiling: no"
    bold = "\n".join(text.get_text() for text in view.figure.axes[0].texts if text.get_fontweight() == "bold")
    yes, no = int(theirs["Smiling"].sum()), int((1 - theirs["Smiling"]).sum())
    assert bold.split("\n").count(rarer) == (min(yes, no) if yes != no else 0)


def test_nobody_divided_says_so(faces):
    view = draw_person(faces, {"Male": np.array([], int)}, "Male", 1)
    assert "No person" in view.says and "Male" in view.says


def test_without_identities_the_explorer_of_persons_says_so(dataset, monkeypatch):
    views = []
    monkeypatch.setattr(explorer, "explore", lambda draw, **controls: views.append(draw()))
    explorer.browse_persons(dataclasses.replace(dataset, annotations=dataset.annotations.drop(columns="identity")))
    assert [text.get_text() for text in views[0].figure.texts] == ["This copy has no identity file."]


# The augmentation


def test_the_augmentation_by_hand_is_that_of_a_training_bit_for_bit(faces):
    images = torch.from_numpy(faces.images(faces.table.iloc[:6]))
    seed = next(s for s in range(1000) if draw_augmentation(6, torch.Generator().manual_seed(s)).order == [0, 1, 2, 3])
    draws = draw_augmentation(6, torch.Generator().manual_seed(seed))
    in_training = _augmented_part(images, torch.Generator().manual_seed(seed))
    for index in range(len(images)):
        values = {name: getattr(draws, name)[index].item() for name in UNCHANGED}
        by_hand = augmented(images[index : index + 1], **values)
        assert torch.equal(normalise(by_hand)[0], in_training[index])


def test_the_lower_row_is_the_augmented_upper_row(faces):
    images = torch.from_numpy(faces.images(faces.table.iloc[:5]))
    values = UNCHANGED | {"flip": True, "brightness": 0.8}
    tiles = augmented(images, **values)
    sheet = np.asarray(draw_augmented(images, **values).figure.axes[0].images[0].get_array())
    gap = (PITCH - 64) // 2
    row = sheet[sheet.shape[0] // 2 + gap :][:64]
    for index, tile in enumerate(tiles):
        drawn = row[:, index * PITCH + gap : index * PITCH + gap + 64].transpose(2, 0, 1)
        assert np.array_equal(drawn, (255 * tile).round().numpy())
        assert np.abs(drawn - 0.8 * images[index].flip(-1).numpy()).max() <= 1


def test_the_text_names_the_values_that_no_training_draws(faces):
    images = torch.from_numpy(faces.images(faces.table.iloc[:1]))
    inside = UNCHANGED | {"degrees": -15, "brightness": 1.2, "contrast": 0.8, "hue": 0.1}
    assert "may draw each" in draw_augmented(images, **inside).says
    assert draw_augmented(images, **inside | {"degrees": 16, "hue": -0.11}).says.endswith("degrees (±15°), hue (±0.1).")
