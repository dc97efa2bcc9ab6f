"""Make the README's tour: the notebooks on drawn faces in JupyterLab, and explorers that are moved.

`python docs/make_tour.py [NOTEBOOK…]` runs notebooks in a browser, each in about a minute, and writes
figures/readme/tour.webp.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, sync_playwright

from helpers.config import ROOT
from helpers.data.drawn.faces import draw_dataset
from helpers.report.pdf import find_browser

sys.path.insert(0, str(ROOT / "tests"))
from browser.lab import LOADING, Notebook, Server

TARGET = ROOT / "figures" / "readme" / "tour.webp"
FACES = 300
WIDTH = 960  # pixels
LONG, SHORT = 3500, 1200  # milliseconds that a picture is shown
EXPLORERS = {  # by notebook: the number of the explorer, the control, and the keys that are pressed one after the other
    "01_data": [(2, ".noUi-handle", 0, ["PageUp", "PageUp", "PageDown"]), (2, ".noUi-handle", 4, ["PageUp", "PageUp"])],
    "02_baselines": [(0, ".widget-toggle-button", 0, ["Space"]), (0, ".widget-toggle-button", 2, ["Space"])],
    "03_overfit": [(0, ".noUi-handle", 0, ["Home", "PageUp", "PageUp", "End"])],
    "04_lr_finder": [(0, ".noUi-handle", 0, ["PageUp", "PageUp"])],
    "05_grid": [(0, "select", 0, ["ArrowDown"]), (0, ".noUi-handle", 0, ["ArrowRight"])],
    "06_final": [(0, ".noUi-handle", 0, ["Home", "ArrowUp", "ArrowUp"])],
    "07_test": [(0, ".noUi-handle", 0, ["PageDown", "PageDown"]), (2, ".noUi-handle", 0, ["PageUp", "PageUp"])],
}


class Tour:
    """The pictures taken so far, and for how long each is shown."""

    def __init__(self):
        self.pictures: list[Image.Image] = []
        self.durations: list[int] = []

    def take(self, notebook: Notebook, duration: int):
        picture = Image.open(BytesIO(notebook.page.screenshot())).convert("RGB")
        self.pictures.append(picture.resize((WIDTH, WIDTH * picture.height // picture.width), Image.Resampling.LANCZOS))
        self.durations.append(duration)

    def save(self):
        first, *others = self.pictures
        options = {"duration": self.durations, "loop": 0, "quality": 75, "method": 6}
        first.save(TARGET, save_all=True, append_images=others, **options)
        seconds, size = sum(self.durations) / 1000, TARGET.stat().st_size / 1e6
        print(f"{TARGET}: {len(self.pictures)} pictures, {seconds:.0f} seconds, {size:.1f} MB")


def show_training(notebook: Notebook, tour: Tour):
    """Run a notebook, and take two pictures of its first training while it goes on."""
    notebook.command("notebook:run-all-cells")
    stop = notebook.page.get_by_role("button", name="Stop after this epoch")
    stop.wait_for()
    notebook.page.locator("figcaption", has_text="Epoch").first.wait_for()
    for _ in range(2):
        if stop.is_visible():
            centre(notebook.page.locator("progress").first)
            tour.take(notebook, SHORT)
            notebook.page.wait_for_timeout(3000)
    notebook.wait(notebook.done)


def move_explorers(notebook: Notebook, tour: Tour):
    """Take a picture of each explorer of EXPLORERS, and after each key that moves it."""
    explorers = notebook.explorers()
    for number, kind, which, keys in EXPLORERS[notebook.name]:
        explorer = explorers[number]
        centre(explorer)
        tour.take(notebook, SHORT)
        for key in keys:
            press(notebook, explorer, explorer.locator(kind).nth(which), key)
            tour.take(notebook, SHORT)
        tour.durations[-1] = LONG


def press(notebook: Notebook, explorer: Locator, control: Locator, key: str):
    """Press a key on a control of an explorer, and wait until the picture has changed."""
    picture = explorer.locator("figure img")
    before = picture.get_attribute("src")
    control.press(key)
    notebook.wait(lambda: picture.get_attribute("src") != before, LOADING)


def centre(shown: Locator):
    """Scroll until something is in the middle of the window."""
    shown.evaluate("e => e.scrollIntoView({block: 'center'})")
    shown.page.wait_for_timeout(300)


def main():
    tour = Tour()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        try:
            draw_dataset(server.home / "data" / "drawn", FACES, seed=1, progress=False)
            server.wait()
            browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
            for name in sys.argv[1:] or EXPLORERS:
                notebook = Notebook(browser, server, name)
                if name == "01_data":
                    tour.take(notebook, LONG)
                if name == "06_final":
                    show_training(notebook, tour)
                else:
                    notebook.run_all()
                move_explorers(notebook, tour)
                notebook.shut_down()
                notebook.close()
            browser.close()
        finally:
            server.close()
    tour.save()


if __name__ == "__main__":
    main()
