"""Explorers of notebook 01: faces by their attributes, the faces of one person, and the augmentation by hand."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from ipywidgets import BoundedIntText, Checkbox, Dropdown, FloatSlider

from helpers.config import ATTRIBUTES
from helpers.data.augmentation import HUE, JITTER, MAX_DEGREES, Draws, augment
from helpers.data.cache import load_images
from helpers.data.celeba import Dataset
from helpers.data.labels import minority_by_person
from helpers.plots.explorers.explorer import View, explore
from helpers.plots.explorers.mosaic import draw_mosaic, mosaic_height, new_figure, note
from helpers.plots.words import ENGLISH

SHOWN = ("train", "valid")  # the images of test are not shown before 07
COLUMNS, ROWS = 8, 2
PER_PAGE = COLUMNS * ROWS
MOST = 5 * COLUMNS  # images of one person that are shown
LINES = len(ATTRIBUTES)
HEIGHT = mosaic_height(COLUMNS, ROWS, LINES)
ANY, YES, NO = "any", "yes", "no"
EVERYBODY = "(everybody)"
NARROW = {"layout": {"width": "max-content"}}


@dataclass(frozen=True)
class Faces:
    """The train and valid images: their annotations, and `pixels` (N, 3, 64, 64) with the `row` of each of them."""

    table: pd.DataFrame
    pixels: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset) -> "Faces":
        """Return the train and valid images of a dataset; those of test are left out here."""
        columns = [name for name in ("split", "identity", *ATTRIBUTES) if name in dataset.annotations]
        table = dataset.annotations[columns].assign(row=np.arange(len(dataset.annotations)))
        return cls(table[table["split"].isin(SHOWN)], load_images(dataset))

    def images(self, table: pd.DataFrame) -> np.ndarray:
        """Return the images (n, 3, 64, 64) of some rows of the table."""
        return np.asarray(self.pixels[table["row"].to_numpy()])


def browse_faces(dataset: Dataset):
    """Show the train or valid faces that have, or do not have, chosen attributes, page by page."""
    faces = Faces.of(dataset)
    choices = {name: Dropdown(options=[ANY, YES, NO], description=ENGLISH.name(name), **NARROW) for name in ATTRIBUTES}
    split = Dropdown(options=SHOWN, description="split", **NARROW)
    page = BoundedIntText(1, min=1, description="page", **NARROW)
    explore(partial(draw_page, faces), split=split, **choices, page=page)


def draw_page(faces: Faces, split: str, page: int, **wanted: str) -> View:
    """Draw a page of the faces of a split; `wanted` has "any", "yes" or "no" for each attribute."""
    table = faces.table[faces.table["split"] == split]
    asked = {name: answer == YES for name, answer in wanted.items() if answer != ANY}
    matching = np.logical_and.reduce([np.full(len(table), True), *(table[name] == yes for name, yes in asked.items())])
    found = table[matching]
    what = " and ".join(f"{ENGLISH.name(name)}{'' if yes else ' (no)'}" for name, yes in asked.items())
    described = f"with {what}" if asked else "whatever their attributes"
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(page, pages)
    says = f"{len(found):,} of {len(table):,} {split} images ({len(found) / max(1, len(table)):.1%}), {described}."
    if len(asked) > 1:
        alone = [(table[name] == yes).mean() for name, yes in asked.items()]
        says += f" If these attributes were independent, there would be about {len(table) * np.prod(alone):,.0f}."
    if not len(found):
        return View(note(f"No {split} image {described}.", HEIGHT), says, limits={"page": 1})
    here = found.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    figure = new_figure(HEIGHT)
    draw_mosaic(figure, faces.images(here), [_positives(row) for _, row in here.iterrows()], COLUMNS, ROWS, LINES)
    return View(figure, f"{says} This is page {page:,} of {pages:,}.", limits={"page": pages})


def _positives(row: pd.Series) -> list[str]:
    return [ENGLISH.name(name) for name in ATTRIBUTES if row[name]] or [ENGLISH("none")]


# One person


def browse_persons(dataset: Dataset):
    """Show all train or valid images of one person, and mark the labels on which they are divided."""
    faces = Faces.of(dataset)
    divided = divided_persons(faces)
    if not divided:
        explore(lambda: View(note("This copy has no identity file.", 0.6), "Nobody knows here who is on which image."))
        return
    options = [(ENGLISH.name(name), name) for name in divided]
    which = Dropdown(options=options, description="divided on", value=_first_choice(divided), **NARROW)
    person = BoundedIntText(1, min=1, description="person", **NARROW)
    explore(partial(draw_person, faces, divided), among=which, person=person)


def divided_persons(faces: Faces) -> dict[str, np.ndarray]:
    """Return the identities whose images disagree, by attribute, and all with two images or more; {} if unknown."""
    if "identity" not in faces.table:
        return {}
    minority = minority_by_person(faces.table)
    return {name: minority.index[minority[name] > 0].to_numpy() for name in ATTRIBUTES} | {
        EVERYBODY: minority.index.to_numpy()
    }


def _first_choice(divided: dict[str, np.ndarray]) -> str:
    """Return Male, the attribute on which nobody should be divided; everybody, if nobody is."""
    return "Male" if len(divided["Male"]) else EVERYBODY


def draw_person(faces: Faces, divided: dict[str, np.ndarray], among: str, person: int) -> View:
    """Draw the images of a person: the `person`-th, from 1, of those who are divided on the attribute `among`."""
    people = divided[among]
    if not len(people):
        nobody = f"No person in {' and '.join(SHOWN)} has images that disagree on {ENGLISH.name(among)}."
        return View(note(nobody, HEIGHT), nobody, limits={"person": 1})
    person = min(person, len(people))
    images = faces.table[faces.table["identity"] == people[person - 1]]
    yes = images[list(ATTRIBUTES)].sum()
    split = {name: yes[name] < len(images) / 2 for name in ATTRIBUTES if 0 < yes[name] < len(images)}
    shown = images.iloc[:MOST]
    captions = [_labels(row, split) for _, row in shown.iterrows()]
    rows, lines = -(-len(shown) // COLUMNS), max(map(len, captions))
    figure = new_figure(mosaic_height(COLUMNS, rows, lines))
    strong = {_written(name, rarer) for name, rarer in split.items() if 2 * yes[name] != len(images)}
    draw_mosaic(figure, faces.images(shown), captions, COLUMNS, rows, lines, strong)
    counts = ", ".join(f"{ENGLISH.name(name)} ({yes[name]} yes, {len(images) - yes[name]} no)" for name in split)
    says = f"Person {person:,} of {len(people):,}: {len(images)} images (identity {people[person - 1]})."
    says += f" The first {MOST} are shown." if len(images) > MOST else ""
    says += (
        f" They disagree on {counts}; the rarer label is bold, if there is one."
        if split
        else " They agree on all five attributes."
    )
    return View(figure, says, limits={"person": len(people)})


def _labels(row: pd.Series, split: Collection[str]) -> list[str]:
    """Return the attributes of an image; those on which its person is divided are named even where they are absent."""
    named = [_written(name, bool(row[name])) for name in ATTRIBUTES if row[name] or name in split]
    return named or [ENGLISH("none")]


def _written(name: str, yes: bool) -> str:
    return ENGLISH.name(name) if yes else f"{ENGLISH.name(name)}: no"


# The augmentation


def try_augmentation(images: torch.Tensor):
    """Show up to eight images, uint8 (N, 3, 64, 64), before and after changes by hand, with the study's own `augment`.

    The sliders go further than the random values of a training do, and the text says where.
    """
    start = {"brightness": 1.1, "contrast": 0.9, "saturation": 1.1}
    controls = {name: _slider(name, 1 - 3 * JITTER, 1 + 3 * JITTER, value, 0.05) for name, value in start.items()}
    explore(
        partial(draw_augmented, images[:COLUMNS].cpu()),
        flip=Checkbox(True, description="mirror", indent=False, layout={"width": "90px"}),
        degrees=_slider("rotation (°)", -3 * MAX_DEGREES, 3 * MAX_DEGREES, 10, 1, ".0f"),
        **controls,
        hue=_slider("hue", -0.16, 0.16, 0.05, 0.01),  # the formula of the hue holds up to a sixth
    )


def _slider(name: str, low: float, high: float, value: float, step: float, shown: str = ".2f") -> FloatSlider:
    looks = {"description": name, "readout_format": shown, "layout": {"width": "300px"}}
    return FloatSlider(value, min=low, max=high, step=step, **looks)


def draw_augmented(images: torch.Tensor, flip: bool, **values: float) -> View:
    """Draw images before and after an augmentation with the same values (fields of `Draws`) for each of them."""
    after = (255 * augmented(images, flip, **values)).round().to(torch.uint8)
    empty = np.full((COLUMNS - len(images), *images.shape[1:]), 255, np.uint8)
    tiles = np.concatenate([images.numpy(), empty, after.numpy(), empty])
    captions = [caption for row in (["before"], ["after"]) for caption in (row, *[[]] * (COLUMNS - 1))]
    figure = new_figure(mosaic_height(COLUMNS, ROWS, 1))
    draw_mosaic(figure, tiles, captions, COLUMNS, ROWS, 1)
    return View(figure, f"{_in_words(flip, values)} {_beyond(values)}")


def augmented(images: torch.Tensor, flip: bool, **values: float) -> torch.Tensor:
    """Return images, uint8 (N, 3, 64, 64), augmented as a training does, all with the same values: float in [0, 1]."""
    same = {name: torch.full((len(images),), float(value)) for name, value in values.items()}
    draws = Draws(flip=torch.full((len(images),), flip), **same, order=[0, 1, 2, 3])
    return augment(images.to(torch.float32).div_(255), draws)


def _in_words(flip: bool, values: dict[str, float]) -> str:
    factors = ", ".join(f"{name} × {values[name]:.2f}" for name in ("brightness", "contrast", "saturation"))
    mirrored = "Mirrored" if flip else "Not mirrored"
    turned = f"rotated by {values['degrees']:+.0f}°, hue turned by {values['hue']:+.2f} of the circle"
    return f"{mirrored}, {turned}, {factors}."


def _beyond(values: dict[str, float]) -> str:
    """Say which values a training never draws."""
    spread = {"degrees": (0, MAX_DEGREES, "±15°"), "hue": (0, HUE, "±0.1")}
    spread |= dict.fromkeys(("brightness", "contrast", "saturation"), (1, JITTER, "0.8 to 1.2"))
    beyond = [
        f"{name} ({usual})"
        for name, (centre, most, usual) in spread.items()
        if abs(values[name] - centre) > most + 1e-9
    ]
    if not beyond:
        return "A training may draw each of these values."
    return f"Outside of what a training draws: {', '.join(beyond)}."
