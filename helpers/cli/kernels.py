"""The Jupyter kernel that executes the notebooks: whether it runs in the Python that has the study's packages."""

import shutil
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from helpers.errors import StudyError

KERNEL = "python3"


def kernel_problem() -> str:
    """Return a sentence that says why the kernel `python3` would not run in this Python, or "" if it does.

    A kernel of this name that another environment installed for the user hides the one of this environment.
    """
    try:
        spec = KernelSpecManager().get_kernel_spec(KERNEL)
    except NoSuchKernel:
        return f"there is no Jupyter kernel {KERNEL}. Run {sys.executable} -m pip install ipykernel"
    program = spec.argv[0]
    if program in ("python", "python3", f"python3.{sys.version_info.minor}"):
        return ""  # jupyter_client puts the running Python in its place
    found = shutil.which(program)
    if found and Path(found).absolute().parent == Path(sys.executable).absolute().parent:
        return ""
    return (
        f"the Jupyter kernel {KERNEL} runs {program}{'' if found else ', which does not exist'}, but the study is "
        f"installed for {sys.executable}. Remove the kernel with jupyter kernelspec remove {KERNEL} (it is in "
        f"{spec.resource_dir})"
    )


def refuse_other_kernel():
    """Raise StudyError if the notebooks would not run in this Python."""
    if problem := kernel_problem():
        raise StudyError(f"The notebooks cannot be executed: {problem}.")
