"""Progress: what moves for a person who watches, in a terminal or in Jupyter, and plain lines for a log."""

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from tqdm.std import tqdm

PLAIN = "CELEBA_STUDY_PLAIN"  # set by the pipeline for the kernels it starts, and by trainings on Ray


@cache
def is_watched() -> bool:
    """Return whether a person watches the output in a notebook: then it may move, and have controls.

    The programs that people use (JupyterLab, VS Code, Colab) say with each cell which one it is, or have a module of
    their own in the kernel. Those that run a whole notebook (papermill, nbconvert) do not.
    """
    kernel = _kernel()
    if kernel is None or os.environ.get(PLAIN):
        return False
    return "cellId" in kernel.get_parent("shell").get("metadata", {}) or "google.colab" in sys.modules


def is_logged() -> bool:
    """Return whether the output goes to a log: the pipeline, papermill or a script runs this process."""
    return bool(os.environ.get(PLAIN)) or (_kernel() is not None and not is_watched())


def _kernel() -> Any:
    """Return the Jupyter kernel that this process is, or None."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython(), "kernel", None) if ipython else None


class Shown:
    """What is shown of a training; here, nothing. `stopped` becomes true if the user asks to end it after the epoch."""

    stopped = False

    def __enter__(self) -> "Shown":
        return self

    def __exit__(self, *error):
        """End what is shown."""

    def begin(self, rows: list[dict]):
        """Show the epochs that were trained before, if the training continues."""

    def after_step(self):
        """Show that one more step is done."""

    def after_epoch(self, row: dict):
        """Show the row of an epoch."""


class InTerminal(Shown):
    """A bar with the epochs of a training."""

    def __init__(self, label: str, epochs: int, steps: int, can_continue: bool):
        self.bar = bar(None, total=epochs, desc=label, unit="epochs")

    def __exit__(self, *error):
        self.bar.close()

    def begin(self, rows: list[dict]):
        self.bar.update(len(rows))

    def after_epoch(self, row: dict):
        self.bar.update()


_bars: type = tqdm
_trainings: Callable[..., Shown] = InTerminal


def show_with(bars: type, trainings: Callable[..., Shown]):
    """Show progress with a subclass of tqdm, and trainings with a Shown: helpers.notebook does so in Jupyter."""
    global _bars, _trainings
    _bars, _trainings = bars, trainings


def bar(iterable, disable: bool = False, **options) -> Any:
    """Wrap `iterable` in a progress bar (tqdm) for a notebook or a terminal; a log shows nothing."""
    return _bars(iterable, disable=disable or is_logged(), leave=False, mininterval=0.5, **options)


def training(label: str, epochs: int, steps: int, can_continue: bool) -> Shown:
    """Return what shows a training of so many epochs, with so many steps each; a log shows nothing here.

    `can_continue`: the training's state is saved, so that the same call continues it if it ends early.
    """
    return Shown() if is_logged() else _trainings(label, epochs, steps, can_continue)


def line(text: str):
    """Print a line if the output goes to a log, where no bar is shown."""
    if is_logged():
        print(text, flush=True)
