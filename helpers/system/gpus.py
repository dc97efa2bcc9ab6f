"""What the NVIDIA driver says about this machine's GPUs, and which build of torch runs on them."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

QUERY = ("--query-gpu=name,compute_cap,mig.mode.current,driver_version", "--format=csv,noheader")
OLDEST_DRIVER = (12, 0)  # the CUDA version of the oldest driver that runs the torch builds below
# The builds of torch, newest first: the compute capabilities of their kernels, the CUDA version that the driver needs,
# and the last release of torch with this build ("" where new releases have it). A driver runs all builds of its major
# version of CUDA and of earlier ones. From the support matrix in PyTorch's RELEASE.md, and from its issues 178665 (no
# CUDA 12.8 from torch 2.12 on) and 190385 (no CUDA 12.6 from torch 2.15 on).
BUILDS = (
    ("cu130", (7, 5), (12, 0), (13, 0), ""),
    ("cu126", (5, 0), (9, 0), (12, 0), "2.14"),
    ("cu128", (7, 5), (12, 0), (12, 0), "2.11"),
)


@dataclass(frozen=True)
class Gpu:
    """One GPU: its name, its compute capability, and whether it is divided into MIG instances."""

    name: str
    capability: tuple[int, int]
    mig: bool


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver: its version, the latest CUDA version that it runs, and the GPUs."""

    version: str
    cuda: tuple[int, int]
    gpus: tuple[Gpu, ...]


@cache
def nvidia_driver() -> Driver | None:
    """Return what nvidia-smi says, or None where there is no NVIDIA driver or it does not answer."""
    cuda = re.search(r"CUDA(?: UMD)? Version\s*:\s*(\d+)\.(\d+)", _nvidia_smi())
    rows = [line.split(", ") for line in _nvidia_smi(*QUERY).splitlines()]
    gpus = [row for row in rows if len(row) == 4 and re.fullmatch(r"\d+\.\d+", row[1])]
    if not cuda or not gpus:
        return None
    return Driver(
        gpus[0][3],
        (int(cuda[1]), int(cuda[2])),
        tuple(Gpu(name, _version(capability), mig == "Enabled") for name, capability, mig, _ in gpus),
    )


def _nvidia_smi(*arguments: str) -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def wheel_to_install(capability: tuple[int, int], cuda: tuple[int, int]) -> str:
    """Return a sentence that names the build of torch for a GPU and the CUDA version of its driver."""
    fitting = [build for build in BUILDS if build[1] <= capability and capability[0] <= build[2][0]]
    if not fitting:
        newer = capability > BUILDS[0][2]
        return "Install a newer torch." if newer else "No torch build of today supports this GPU."
    for build, _, _, needed, last in fitting:
        if needed <= cuda:
            release = f"torch {last} or older as" if last else "the torch wheel"
            return (
                f"Install {release} +{build} (CUDA {build[2:4]}.{build[4]}), with the torchvision of the same build; "
                "pytorch.org/get-started/previous-versions has the command."
            )
    return f"Update the NVIDIA driver to one for CUDA {OLDEST_DRIVER[0]} or later."
