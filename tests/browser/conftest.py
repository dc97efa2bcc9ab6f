"""What the tests in a browser share: one JupyterLab, one Chromium, and each notebook, which is run once."""

import pytest
from playwright.sync_api import sync_playwright

from helpers.data.drawn.faces import draw_dataset
from helpers.report.pdf import find_browser

from .lab import Server

FACES = 300


@pytest.fixture(scope="session")
def chromium():
    """The browser that is installed; skip where there is none (`.ci/run` refuses to begin without one)."""
    if find_browser() is None:
        pytest.skip("no Chromium, Chrome or Edge here: make browser installs one on Debian")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("lab"))
    try:
        # The 2,400 faces of the demo take a minute to draw.
        draw_dataset(server.home / "data" / "drawn", FACES, seed=1, progress=False)
        server.wait()
        yield server
    finally:
        server.close()
