"""Progress: a bar for a person who watches, plain lines for a log."""

import contextlib
import os
import sys
from functools import cache

from tqdm.auto import tqdm

PLAIN = "CELEBA_STUDY_PLAIN"  # set by the pipeline for the kernels it starts


@cache
def is_logged() -> bool:
    """Return whether the output goes to a log, because the pipeline or papermill runs this process."""
    if os.environ.get(PLAIN):
        return True
    try:
        import psutil  # comes with Jupyter's kernel, which papermill needs
    except ImportError:
        return False
    with contextlib.suppress(psutil.Error, AttributeError):
        return any("papermill" in part for part in psutil.Process().parent().cmdline())
    return False


def is_watched() -> bool:
    """Return whether a person watches the output in Jupyter: then it may move, and have controls."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel") and not is_logged()


def bar(iterable, **options):
    """Wrap `iterable` in a progress bar for a notebook or a terminal; a log shows nothing."""
    return tqdm(iterable, disable=is_logged(), leave=False, mininterval=0.5, **options)


def line(text: str):
    """Print a line if the output goes to a log, where no bar is shown."""
    if is_logged():
        print(text, flush=True)
