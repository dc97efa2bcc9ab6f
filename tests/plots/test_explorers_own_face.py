"""The explorer of own faces: it crops as CelebA does, tells what it cannot read, and writes nothing to disk."""

import builtins
import io
import os
import sys
from types import ModuleType, SimpleNamespace

import ipywidgets
import numpy as np
import pytest
import torch
from ipywidgets import Box
from PIL import Image

from helpers.config import ATTRIBUTES, Config
from helpers.data.decoding import decode
from helpers.data.drawn.canvas import HEIGHT, WIDTH
from helpers.data.rgb import GREY
from helpers.evaluation.metrics import probabilities
from helpers.models.checkpoints import Checkpoint
from helpers.models.networks import build_for
from helpers.plots.explorers import face_choice, own_face
from helpers.plots.explorers.face_choice import Face, FaceChoice, drawn_face, read_face
from helpers.plots.explorers.own_face import crop, frame, view_face


def a_png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def upload(faces: FaceChoice, data: bytes):
    """Do what the browser does when a picture was chosen."""
    facts = {"name": "me.png", "type": "image/png", "size": len(data), "last_modified": 0}
    faces.upload.set_state({"value": [facts | {"content": memoryview(data)}]})


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    model = build_for(Config(arch="compact", seed=3), torch.device("cpu")).eval()
    return Checkpoint(model, {"trained_on": "drawn faces"})


def test_a_picture_of_celebas_size_is_taken_whole_and_as_the_dataset_takes_it():
    image = drawn_face(3).image
    box = frame(image.size, 50, 50, 1)
    assert image.size == (WIDTH, HEIGHT) and box == (0, 0, WIDTH, HEIGHT)
    assert np.array_equal(crop(image, box), decode(a_png(image), "here"))


@pytest.mark.parametrize("size", [(640, 480), (300, 640), (178, 218)])
@pytest.mark.parametrize("zoom", [0.5, 1, 3.3])
def test_the_frame_has_the_shape_of_celebas_images_and_the_largest_one_fits(size, zoom):
    left, top, right, bottom = frame(size, 50, 50, zoom)
    assert (right - left) / (bottom - top) == pytest.approx(WIDTH / HEIGHT)
    inside = left >= -1e-9 and top >= -1e-9 and right <= size[0] + 1e-9 and bottom <= size[1] + 1e-9
    assert inside == (zoom >= 1)


def test_the_frame_moves_with_its_controls_and_shows_grey_outside_of_the_picture():
    image = Image.new("RGB", (178, 218), (255, 0, 0))
    left, top, right, bottom = frame(image.size, 0, 50, 1)
    assert (left, top) == (-89, 0) and (right, bottom) == (89, 218)
    cut = crop(image, (left, top, right, bottom))
    assert (cut[:, :, :31] == GREY).all() and (cut[0, :, 33:] == 255).all() and (cut[1, :, 33:] == 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_the_smallest_pictures_can_be_cropped(size):
    assert crop(Image.new("RGB", size), frame(size, 50, 50, 6)).shape == (3, 64, 64)


def test_the_bars_and_the_sentence_are_the_networks_answers(checkpoint):
    face = drawn_face(1)
    view = view_face(checkpoint, face, "Male", frame(face.image.size, 50, 50, 1))
    pixels = torch.from_numpy(crop(face.image, frame(face.image.size, 50, 50, 1)).copy())[None]
    expected = probabilities(checkpoint.model(pixels / 127.5 - 1).detach().numpy())[0]
    widths = [bar.get_width() for bar in view.figure.axes[3].patches]
    assert np.allclose(widths, expected, atol=1e-5)
    for name, value in zip(ATTRIBUTES, expected, strict=True):
        assert f"{name.replace('_', ' ')} {'yes' if value >= 0.5 else 'no'} ({value:.2f})" in view.says


def test_a_face_unlike_the_training_images_is_told(checkpoint, monkeypatch):
    known = Checkpoint(checkpoint.model, checkpoint.content | {"familiar": {"limit": 1.0}})
    face = drawn_face(1)
    for distance, told in ((0.9, False), (1.1, True)):
        monkeypatch.setattr(own_face, "distances", lambda *_, d=distance: np.array([d]))
        view = view_face(known, face, "Male", frame(face.image.size, 50, 50, 1))
        assert ("does not look like" in view.says) == told


# Uploads


def test_an_uploaded_picture_is_shown_and_leaves_the_button():
    faces, seen = FaceChoice(1), []
    faces.observe(lambda change: seen.append(change["new"]), names="value")
    upload(faces, a_png(Image.new("RGB", (400, 300), (10, 200, 30))))
    assert [face.origin for face in seen] == ["your picture"]  # drawn once, and not once more for the cleared button
    assert faces.value.image.size == (400, 300) and faces.upload.value == ()


@pytest.mark.parametrize("data", [b"", b"no picture", a_png(Image.new("RGB", (90, 90)))[:60], b"GIF89a"])
def test_a_broken_upload_is_a_sentence_and_the_face_stays(data, checkpoint):
    faces = FaceChoice(1)
    upload(faces, data)
    assert faces.value.image == drawn_face(1).image and faces.value.problem.startswith("Your file is ")
    view = view_face(checkpoint, faces.value, "Male", frame(faces.value.image.size, 50, 50, 1))
    assert view.says.startswith("Your file is ") and faces.upload.value == ()


def test_moving_the_slider_forgets_the_picture():
    faces = FaceChoice(1)
    upload(faces, a_png(Image.new("RGB", (400, 300))))
    faces.number.value = 2
    assert faces.value == drawn_face(2) and faces.value.problem == ""


def test_a_large_picture_is_reduced_and_turned_upright():
    sideways = Image.new("RGB", (3000, 2000))
    exif = Image.Exif()
    exif[274] = 6  # orientation: turn by a quarter
    content = io.BytesIO()
    sideways.save(content, "JPEG", exif=exif)
    image = read_face(content.getvalue(), drawn_face(1)).image
    assert max(image.size) <= face_choice.MOST_SIDE and image.height > image.width


def test_nothing_of_the_picture_is_written_to_disk_or_sent_to_the_browser(checkpoint, monkeypatch):
    written, real_open, real_os_open = [], builtins.open, os.open

    def watched(path, mode="r", *more, **options):
        if set(mode) & set("wax+"):
            written.append(path)
        return real_open(path, mode, *more, **options)

    def watched_os(path, flags, *more, **options):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(path)
        return real_os_open(path, flags, *more, **options)

    faces = FaceChoice(1)
    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr(io, "open", watched)
    monkeypatch.setattr(os, "open", watched_os)
    upload(faces, a_png(drawn_face(8).image.resize((356, 436))))
    view_face(checkpoint, faces.value, "Male", frame(faces.value.image.size, 50, 50, 1)).figure.savefig(io.BytesIO())
    assert faces.value.origin == "your picture" and not written
    assert "value" not in faces.get_state() and not faces.upload.get_state()["value"]


def test_a_webcam_is_offered_where_its_package_is_and_is_off_after_the_photo(monkeypatch):
    assert FaceChoice(1).webcam not in FaceChoice(1).children
    cameras = ModuleType("ipywebrtc")
    cameras.CameraStream = SimpleNamespace(facing_user=lambda audio: Box())
    cameras.ImageRecorder = lambda stream, format: Recorder(image=ipywidgets.Image())
    monkeypatch.setitem(sys.modules, "ipywebrtc", cameras)
    monkeypatch.setattr(face_choice, "find_spec", lambda name: name == "ipywebrtc")
    faces = FaceChoice(1)
    faces.webcam.value = True
    *_, stream, recorder = faces.children
    recorder.image.value = a_png(Image.new("RGB", (640, 480)))
    assert faces.value.image.size == (640, 480) and faces.value.origin == "your picture"
    assert faces.children == faces.chosen
    assert stream.comm is None and recorder.comm is None and recorder.image.comm is None


class Recorder(Box):
    """A stand-in for the recorder: a widget with the image that it takes."""

    def __init__(self, image: ipywidgets.Image):
        super().__init__()
        self.image = image


def test_the_drawn_faces_differ_and_are_the_same_each_time():
    assert drawn_face(4) == drawn_face(4) != drawn_face(5)
    assert isinstance(drawn_face(4), Face)
