"""The Jupyter kernels that execute the notebooks: in the right Python, and started before they are needed."""

import os
import shutil
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from helpers.config import ROOT
from helpers.errors import StudyError
from helpers.system import progress

KERNEL = "python3"

# What a kernel imports while it waits: what takes long and most notebooks need. PyTorch imports torch._dynamo, which
# takes as long as torch itself, when the first optimizer is made. No name is left in the notebook's namespace.
IMPORTED = ("helpers.study", "helpers.notebook", "matplotlib.pyplot", "torch._dynamo", "torch.utils.tensorboard")


class Kernels:
    """A kernel for each notebook, which is started while the notebook before it is executed.

    A notebook's imports take seconds on one core; so they are done by the time that its turn comes. At the end of the
    context, the kernel that still waits is shut down.
    """

    def __init__(self):
        self.waiting: AsyncKernelManager | None = None

    def __enter__(self) -> "Kernels":
        return self

    def __exit__(self, *error):
        if self.waiting:
            stop_kernel(self.waiting)

    def start(self) -> AsyncKernelManager:
        """Return the kernel that waits; start one if there is none or if it died."""
        if self.waiting is None or not run_sync(self.waiting.is_alive)():
            self.waiting = start_kernel()
        return self.waiting

    def take(self, last: bool = False) -> AsyncKernelManager:
        """Return a kernel for the next notebook, and start the one after it unless this is the `last` notebook."""
        taken = self.start()
        self.waiting = None if last else start_kernel()
        return taken


def start_kernel() -> AsyncKernelManager:
    """Start a kernel that imports IMPORTED and then waits for a notebook; it prints lines instead of progress bars."""
    manager = AsyncKernelManager(kernel_name=KERNEL)
    modules = ", ".join(IMPORTED)
    imports = f"import {modules}; del {', '.join({name.partition('.')[0] for name in IMPORTED})}"
    arguments = ["--log-level=40", f"--IPKernelApp.exec_lines={imports}"]  # 40 hides the kernel's warning about TCP
    environment = os.environ | {progress.PLAIN: "1"}
    run_sync(manager.start_kernel)(extra_arguments=arguments, cwd=str(ROOT), env=environment)
    return manager


def stop_kernel(manager: AsyncKernelManager):
    """Ask a kernel to end, and end it if it does not within a second; one that has ended already is left alone."""
    if run_sync(manager.is_alive)():
        run_sync(manager.shutdown_kernel)()


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
