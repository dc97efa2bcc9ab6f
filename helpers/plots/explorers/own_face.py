"""Explorer of 07_test: what does a network say about a face of your own, and where does it look?

The face comes from a `FaceChoice`. A picture stays in the memory of the kernel: nothing is written to disk.
"""

import numpy as np
import torch
from ipywidgets import Dropdown, FloatSlider, IntSlider
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from helpers.config import ATTRIBUTES, IMAGE_SIZE, SHIPPED
from helpers.data.batches import Split
from helpers.data.drawn.canvas import EYE_X, EYES, HEIGHT, WIDTH
from helpers.data.rgb import GREY
from helpers.evaluation.gradcam import grad_cam
from helpers.evaluation.metrics import probabilities
from helpers.models.checkpoints import Checkpoint, load_checkpoint
from helpers.models.familiarity import distances
from helpers.plots.explorers.explorer import View, explore
from helpers.plots.explorers.face_choice import Face, FaceChoice
from helpers.plots.explorers.mosaic import new_figure
from helpers.plots.style import ACCENT, SMALLEST, SOFT, SPLIT_COLOURS
from helpers.plots.words import ENGLISH
from helpers.training.loop import predict_logits

# Of the picture, the crop, the map and the bars in the figure
PLACES = ((0.005, 0.03, 0.3, 0.86), (0.32, 0.2, 0.17, 0.69), (0.505, 0.2, 0.17, 0.69), (0.805, 0.2, 0.19, 0.69))


def try_face(checkpoints: dict[str, Checkpoint]):
    """Show what networks say about a drawn face or a picture of your own, cropped as CelebA's images are.

    The shipped network is added to the `checkpoints`. The picture is neither written to disk nor saved with the
    notebook.
    """
    networks = checkpoints | ({"the shipped network": load_checkpoint(SHIPPED)} if SHIPPED.is_file() else {})
    live = {"continuous_update": False}

    def draw(face: Face, network: str, attribute: str, **place: float) -> View:
        return view_face(networks[network], face, attribute, frame(face.image.size, **place))

    explore(
        draw,
        face=FaceChoice(1),
        network=Dropdown(options=list(networks), description="network"),
        attribute=Dropdown(options=ATTRIBUTES, description="Grad-CAM for", value="Smiling"),
        across=IntSlider(50, 0, 100, description="across (%)", **live),
        down=IntSlider(50, 0, 100, description="down (%)", **live),
        zoom=FloatSlider(1, min=0.5, max=6, step=0.05, description="zoom", **live),
    )


def frame(size: tuple[int, int], across: float, down: float, zoom: float) -> tuple[float, float, float, float]:
    """Return the crop (left, top, right, bottom) in pixels: of the shape of CelebA's images, 178 x 218.

    Its centre is at (`across`, `down`) per cent of the picture. With `zoom` 1, it is the largest that fits.
    """
    wide, high = size
    scale = min(wide / WIDTH, high / HEIGHT) / zoom
    x, y = wide * across / 100, high * down / 100
    return x - WIDTH * scale / 2, y - HEIGHT * scale / 2, x + WIDTH * scale / 2, y + HEIGHT * scale / 2


def crop(image: Image.Image, box: tuple[float, float, float, float]) -> np.ndarray:
    """Return the crop as a network gets it, uint8 (3, 64, 64); what lies outside of the picture is grey."""
    left, top, right, bottom = map(round, box)
    cut = Image.new("RGB", (max(1, right - left), max(1, bottom - top)), (GREY, GREY, GREY))
    cut.paste(image, (-left, -top))
    return np.asarray(cut.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def view_face(checkpoint: Checkpoint, face: Face, attribute: str, box: tuple[float, float, float, float]) -> View:
    """Return the view of a face in its frame, as the network sees it, with its probabilities and a Grad-CAM map."""
    device = next(checkpoint.model.parameters()).device
    pixels = torch.from_numpy(crop(face.image, box).copy())[None].to(device)
    split = Split("own", pixels, torch.zeros(1, len(ATTRIBUTES), device=device), ["own"], None)
    probability = probabilities(predict_logits(checkpoint.model, split))[0]
    heat = grad_cam(checkpoint.model, pixels, [ATTRIBUTES.index(attribute)])[0]
    figure = new_figure(2.7)
    picture, seen, lit, bars = (figure.add_axes(place) for place in PLACES)
    _show_frame(picture, face.image, box)
    _show_crop(seen, lit, pixels[0].cpu().numpy(), heat, attribute)
    _plot_probabilities(bars, probability)
    return View(figure, face.problem + _about(face, probability) + _about_likeness(checkpoint, pixels))


def _show_frame(axis: Axes, image: Image.Image, box: tuple[float, float, float, float]):
    """Show the picture with the frame of the crop, and where the eyes of CelebA's faces are in it."""
    left, top, right, bottom = box
    axis.imshow(np.asarray(image))
    axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, ec=ACCENT, lw=2))
    scale = (right - left) / WIDTH
    for side in (-EYE_X, EYE_X):
        x, y = left + (EYES[0] + side) * scale, top + EYES[1] * scale
        axis.plot(x, y, "+", ms=11, mew=3, color="white")
        axis.plot(x, y, "+", ms=10, mew=1.5, color=ACCENT)
    axis.set(xlim=(min(0, left), max(image.width, right)), ylim=(max(image.height, bottom), min(0, top)))
    axis.set_title("the picture and the crop")
    axis.set_axis_off()


def _show_crop(seen: Axes, lit: Axes, pixels: np.ndarray, heat: np.ndarray, attribute: str):
    """Show the 64 x 64 pixels in the proportions of the crop, and the Grad-CAM map over them."""
    looks = {"interpolation": "nearest", "extent": (0, WIDTH, HEIGHT, 0)}
    seen.imshow(pixels.transpose(1, 2, 0), **looks)
    seen.set_title("64 x 64 pixels")
    lit.imshow(0.55 + 0.45 * pixels.mean(0) / 255, cmap="gray", vmin=0, vmax=1, **looks)
    lit.imshow(heat, cmap="magma_r", alpha=0.65, vmin=0, vmax=1, **looks)
    lit.set_title(f"map: {ENGLISH.name(attribute)}")
    for axis in (seen, lit):
        axis.set_axis_off()


def _plot_probabilities(axis: Axes, probability: np.ndarray):
    colours = [SPLIT_COLOURS["test"] if value >= 0.5 else SOFT for value in probability]
    bars = axis.barh(range(len(ATTRIBUTES)), probability, 0.7, color=colours)
    axis.axvline(0.5, color=SOFT, lw=1, ls="--")
    box = {"fc": "white", "ec": "none", "pad": 0.5}  # over the line at 0.5
    axis.bar_label(bars, [f"{value:.2f}" for value in probability], padding=3, fontsize=SMALLEST, bbox=box)
    axis.set_yticks(range(len(ATTRIBUTES)), [ENGLISH.name(name) for name in ATTRIBUTES])
    axis.set(xlim=(0, 1.18), xticks=(0, 0.5, 1), xlabel="probability of yes")
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)


def _about(face: Face, probability: np.ndarray) -> str:
    answers = zip(ATTRIBUTES, probability, strict=True)
    told = ", ".join(f"{ENGLISH.name(name)} {'yes' if value >= 0.5 else 'no'} ({value:.2f})" for name, value in answers)
    return f"About {face.origin} the network says: {told}."


def _about_likeness(checkpoint: Checkpoint, pixels: torch.Tensor) -> str:
    familiar = checkpoint.content.get("familiar")
    if not familiar or distances(checkpoint.model, familiar, pixels)[0] <= familiar["limit"]:
        return ""
    return (
        f" The crop does not look like the images that this network was trained on "
        f"({checkpoint.content['trained_on']}): its answers may mean nothing."
    )
