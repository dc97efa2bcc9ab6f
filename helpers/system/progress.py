"""Progress: a bar for a person who watches, plain lines for a log."""

import contextlib
import os
from functools import cache

from tqdm.auto import tqdm

PLAIN = "CELEBA_STUDY_PLAIN"  # set by the pipeline for the kernels it starts


@cache
def is_logged() -> bool:
    """Say whether the output goes to a log: under the pipeline or papermill."""
    if os.environ.get(PLAIN):
        return True
    try:
        import psutil  # comes with Jupyter's kernel; without it there is no papermill either
    except ImportError:
        return False
    with contextlib.suppress(psutil.Error, AttributeError):
        return any("papermill" in part for part in psutil.Process().parent().cmdline())
    return False


def bar(iterable, **options):
    """Wrap `iterable` in a progress bar, notebook or terminal; in a log it shows nothing."""
    return tqdm(iterable, disable=is_logged(), leave=False, mininterval=0.5, **options)


def line(text: str):
    """Print a line to a log, where no bar is seen."""
    if is_logged():
        print(text, flush=True)
