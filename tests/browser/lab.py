"""JupyterLab as a person uses it: a server of its own, and notebooks that are opened, run and saved in a browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Locator, Page

from helpers.config import NOTEBOOKS, ROOT

TOKEN = "tests"
LOADING, RUNNING = 120, 900  # seconds at most
SCREEN = {"width": 1280, "height": 900}
PICTURES = ROOT / "tests" / "browser" / "screenshots"  # git ignores it

# The page's own model of the notebook says more than what is drawn of it: cells out of sight are not drawn.
CELLS = """() => jupyterapp.shell.currentWidget.content.widgets.map(cell => ({
  type: cell.model.type,
  source: cell.model.sharedModel.getSource(),
  count: cell.model.executionCount ?? null,
  outputs: cell.model.outputs ? cell.model.outputs.toJSON() : [],
}))"""
NOTE = "This cell stopped."  # where the user has made a mistake
STATUS = "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status"


class Server:
    """A JupyterLab server with copies of the notebooks, whose results go to a folder of their own."""

    def __init__(self, folder: Path):
        self.notebooks, self.home = folder / "notebooks", folder / "home"
        shutil.copytree(NOTEBOOKS, self.notebooks, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        self.home.mkdir()

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log = (folder / "server.log").open("w+")
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
            *(f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"),
            f"--ServerApp.root_dir={self.notebooks}",
        ]
        installed = folder / "config"  # what `make setup` copies into .venv
        installed.mkdir()
        shutil.copy(NOTEBOOKS / "jupyter_server_config.json", installed)
        folders = ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")
        own = {name: str(folder / name.lower()) for name in (*folders, "IPYTHONDIR")}
        own |= {
            "CELEBA_STUDY_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "JUPYTER_CONFIG_PATH": str(installed),
        }
        self._settings = folder / "jupyterlab_settings_dir"
        self._set("apputils-extension/notification", fetchNews="false", checkForUpdates=False)
        self._set("notebook-extension/tracker", windowingMode="none")  # what is out of sight can be looked at too
        self._process = subprocess.Popen(command, env=os.environ | own, stdout=self._log, stderr=subprocess.STDOUT)

    def _set(self, plugin: str, **values):
        path = self._settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    def wait(self):
        """Wait until the server answers."""
        for _ in range(10 * LOADING):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, self.log()
            time.sleep(0.1)
        raise TimeoutError(self.log())

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()[-3000:]

    def close(self):
        """End the server and every process that it started."""
        family = [*psutil.Process(self._process.pid).children(recursive=True)]
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for process in psutil.wait_procs(family, timeout=3)[1]:
            process.kill()
        self._log.close()

    def change(self, name: str, parameters: dict, copy: str):
        """Save a copy of a notebook with other values in its parameters cell."""
        content = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
        cell = next(cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", []))
        lines = "".join(cell["source"]).splitlines()
        known = [line.partition(" = ")[0] for line in lines]
        for parameter, value in parameters.items():
            lines[known.index(parameter)] = f"{parameter} = {value!r}"
        cell["source"] = "\n".join(lines)
        (self.notebooks / f"{copy}.ipynb").write_text(json.dumps(content), encoding="utf-8")


class Notebook:
    """A notebook that is open in a tab of the browser."""

    def __init__(self, browser: Browser, server: Server, name: str):
        self.server, self.name = server, name
        self.page: Page = browser.new_page(viewport=SCREEN)
        self.page.set_default_timeout(1000 * LOADING)
        self._open()

    def _open(self):
        """Open the notebook, in a workspace where no other one is open, without the file browser beside it."""
        address = f"http://127.0.0.1:{self.server.port}/lab/workspaces/{self.name}/tree/{self.name}.ipynb"
        self.page.goto(f"{address}?reset&token={TOKEN}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.evaluate("() => jupyterapp.shell.collapseLeft()")
        self.page.wait_for_function(f"({STATUS})() === 'idle'")

    def open_again(self):
        """Close the tab and open the notebook from its file, which starts a kernel that has run nothing."""
        self.page.goto("about:blank")
        self._open()
        self.wait(lambda: not self.page.get_by_text("Loading widget").count(), LOADING)

    def path(self, what: str) -> Path:
        """Return the path of a picture for people who look at what was tested."""
        PICTURES.mkdir(exist_ok=True)
        return PICTURES / f"{self.name}-{what}.png"

    def picture(self, what: str):
        """Take a picture of the whole notebook, from its title to its last cell."""
        panel = "document.querySelector('.jp-Notebook .jp-WindowedPanel-outer')"
        height = self.page.evaluate(f"() => {panel}.scrollHeight")
        self.page.set_viewport_size(SCREEN | {"height": height + 200})
        self.page.evaluate(f"() => {{ {panel}.scrollTop = 0; }}")
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=self.path(what))
        self.page.set_viewport_size(SCREEN)

    def dark_picture(self):
        """Take a picture of the whole notebook in JupyterLab's dark theme."""
        self._change_theme("Dark")
        self.picture("dark")
        self._change_theme("Light")  # the theme would stay for the next notebook

    def _change_theme(self, name: str):
        self.command("apputils:change-theme", theme=f"JupyterLab {name}")
        theme = f'[data-jp-theme-light="{str(name == "Light").lower()}"]'
        self.page.wait_for_selector(theme, state="attached")

    def explorers(self) -> list[Locator]:
        """Return the explorers that the notebook shows."""
        has = self.page.locator("figure figcaption")
        return (
            self.page.locator(".jp-OutputArea-output.jupyter-widgets, .jp-OutputArea-output:has(.jupyter-widgets)")
            .filter(has=has)
            .all()
        )

    def command(self, command: str, **arguments):
        """Execute a command of JupyterLab without waiting for its end."""
        self.page.evaluate("([id, args]) => { jupyterapp.commands.execute(id, args); }", [command, arguments])

    def cells(self) -> list[dict]:
        """Return the type, the source, the execution count and the outputs of every cell."""
        return self.page.evaluate(CELLS)

    def run_all(self):
        """Run all cells, and wait until they are done or one has failed."""
        self.command("notebook:run-all-cells")
        self.wait(self.done)

    def done(self) -> bool:
        cells = [cell for cell in self.cells() if cell["type"] == "code" and cell["source"].strip()]
        outputs = [output for cell in cells for output in cell["outputs"]]
        failed = any(output["output_type"] == "error" or NOTE in str(output.get("data")) for output in outputs)
        return (failed or all(cell["count"] for cell in cells)) and self.page.evaluate(STATUS) == "idle"

    def wait(self, condition, seconds: float = RUNNING):
        """Wait until `condition()` holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{self.name}: {condition.__name__} not after {seconds} seconds"
            self.page.wait_for_timeout(250)

    def save(self) -> dict:
        """Save the notebook and return the file's content."""
        path = self.server.notebooks / f"{self.name}.ipynb"
        before = path.stat().st_mtime_ns
        self.command("docmanager:save")
        self.wait(lambda: path.stat().st_mtime_ns != before and not self._is_dirty(), LOADING)
        return json.loads(path.read_text(encoding="utf-8"))

    def _is_dirty(self) -> bool:
        return self.page.evaluate("() => jupyterapp.shell.currentWidget.context.model.dirty")

    def shut_down(self):
        """End the kernel."""
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def close(self):
        self.page.close()
