"""The control that chooses a face: a drawn one, a picture of the user's, or a photo from a webcam.

There is no webcam among Jupyter's own controls. Where the package ipywebrtc is installed, its webcam is offered.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from ipywidgets import FileUpload, HBox, IntSlider, ToggleButton
from PIL import Image
from traitlets import Any

from helpers.data.drawn.people import draw_person
from helpers.data.drawn.photos import draw_photo
from helpers.data.drawn.portrait import draw_face
from helpers.data.rgb import Unreadable, read_rgb

MOST_SIDE = 640  # pixels of a picture that are kept: enough for any crop of 64 x 64
RATES = {"male": 0.5, "young": 0.6, "smiling": 0.5, "hat": 0.3, "glasses": 0.3}  # of the faces drawn here


class Face(NamedTuple):
    """A picture with a face, or the reason why there is none."""

    image: Image.Image
    origin: str
    problem: str = ""


class FaceChoice(HBox):
    """The control that chooses the face: a slider for the drawn ones, a button for a picture, and perhaps a webcam."""

    value = Any()  # a Face; not among the traits that go to the browser

    def __init__(self, number: int):
        self.number = IntSlider(number, 0, 999, description="drawn face", continuous_update=False)
        self.upload = FileUpload(accept="image/*", description="your picture")
        self.webcam = ToggleButton(description="webcam", icon="camera")
        self.chosen = (self.number, self.upload, *([self.webcam] if find_spec("ipywebrtc") else []))
        super().__init__(self.chosen, layout={"flex_flow": "row wrap"})
        self.value = drawn_face(number)
        self.number.observe(self._draw, names="value")
        self.upload.observe(self._take_file, names="value")
        self.webcam.observe(self._switch, names="value")

    def _draw(self, change):
        self.value = drawn_face(change["new"])

    def _take_file(self, change):
        """Read an uploaded picture, and clear it from the button, whose content the browser could save."""
        if change["new"]:
            data = bytes(change["new"][0]["content"])
            self.upload.value = ()
            self.value = read_face(data, self.value)

    def _switch(self, change):
        """Show the webcam and its button while it is switched on; the browser asks for permission."""
        if not change["new"]:
            stream, recorder = self.children[len(self.chosen) :]
            for widget in (recorder.image, recorder, stream):  # the photo is forgotten, and the webcam switched off
                widget.close()
            self.children = self.chosen
            return
        cameras = import_module("ipywebrtc")
        stream = cameras.CameraStream.facing_user(audio=False)
        recorder = cameras.ImageRecorder(stream=stream, format="png")
        recorder.image.observe(self._take_photo, names="value")
        self.children = (*self.chosen, stream, recorder)

    def _take_photo(self, change):
        """Read the photo that was taken, and switch the webcam off."""
        self.webcam.value = False
        self.value = read_face(bytes(change["new"]), self.value)


def drawn_face(number: int) -> Face:
    """Return the drawn face with this number, which is not one of the dataset's."""
    rng = np.random.default_rng(np.random.SeedSequence([number, 3]))  # the dataset's have 0, 1 and 2 in this place
    is_so = {name: bool(rng.random() < rate) for name, rate in RATES.items()}
    person = draw_person(rng, is_so.pop("male"), is_so.pop("young"))
    return Face(draw_face(rng, person, draw_photo(rng, person, **is_so)), f"drawn face {number}")


def read_face(data: bytes, otherwise: Face) -> Face:
    """Decode a picture of any size and format; if that fails, return the face shown so far with the reason."""
    try:
        image = read_rgb(data, (MOST_SIDE, MOST_SIDE)).image
    except Unreadable as error:
        return otherwise._replace(problem=f"Your file is {error.what}, so the picture stays. {error.do} ")
    image.thumbnail((MOST_SIDE, MOST_SIDE))
    return Face(image, "your picture")
