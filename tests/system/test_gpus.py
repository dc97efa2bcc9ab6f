"""GPU machines that cannot train, or that have several GPUs: what doctor says, and the wheel that it names.

None of these machines was at hand. Each is what nvidia-smi prints there (its header and its CSV) and what torch
answers. The driver, the two A100 and the MIG mode of "old driver" were recorded in nvitop's pull request 8; the others
were put together from the names, compute capabilities and driver versions that NVIDIA documents.
"""

from dataclasses import dataclass, field

import pytest
import torch

from helpers.cli.doctor import report_lines
from helpers.errors import StudyError
from helpers.system import gpus
from helpers.system.devices import choose_device, cuda_problem
from helpers.system.gpus import nvidia_driver, wheel_to_install

CU132 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@dataclass(frozen=True)
class Machine:
    """nvidia-smi's header and CSV; the build of torch; and what torch sees: names and compute capabilities."""

    header: str
    csv: str
    cuda: str | None = "13.2"
    archs: list[str] = field(default_factory=lambda: CU132)
    seen: tuple[tuple[str, tuple[int, int]], ...] = ()


OLD, NEW = (
    f"| NVIDIA-SMI {version}    Driver Version: {version}    CUDA Version: {cuda}     |"
    for version, cuda in (("510.47.03", "11.6"), ("580.95.05", "13.0"))
)
TWELVE = "| NVIDIA-SMI 550.54.15              Driver Version: 550.54.15      CUDA Version: 12.4     |"
H100, T4 = "NVIDIA H100 80GB HBM3", "Tesla T4"
MACHINES = {
    "Pascal": Machine(
        TWELVE,
        "NVIDIA GeForce GTX 1080, 6.1, [N/A], 550.54.15",
        "12.8",
        CU132,
        (("NVIDIA GeForce GTX 1080", (6, 1)),),
    ),
    "Pascal and Ada": Machine(
        NEW,
        "NVIDIA GeForce GTX 1080, 6.1, [N/A], 580.95.05\nNVIDIA GeForce RTX 4090, 8.9, [N/A], 580.95.05",
        seen=(("NVIDIA GeForce GTX 1080", (6, 1)), ("NVIDIA GeForce RTX 4090", (8, 9))),
    ),
    "old driver": Machine(
        OLD, "NVIDIA A100-SXM4-80GB, 8.0, Disabled, 510.47.03\nNVIDIA A100-SXM4-80GB, 8.0, Enabled, 510.47.03"
    ),
    "driver for CUDA 12": Machine(TWELVE, f"{H100}, 9.0, Disabled, 550.54.15"),
    "driver for CUDA 12, Volta": Machine(TWELVE, "Tesla V100-SXM2-16GB, 7.0, [N/A], 550.54.15"),
    "torch for the CPU": Machine(NEW, f"{T4}, 7.5, [N/A], 580.95.05", None),
    "MIG without an instance": Machine(NEW, f"{H100}, 9.0, Enabled, 580.95.05"),
    "one MIG instance": Machine(NEW, f"{H100}, 9.0, Enabled, 580.95.05", seen=((f"{H100} MIG 1g.10gb", (9, 0)),)),
    "two GPUs": Machine(NEW, f"{T4}, 7.5, [N/A], 580.95.05\n" * 2, seen=((T4, (7, 5)), (T4, (7, 5)))),
    "no driver": Machine("", ""),
    "broken driver": Machine("Failed to initialize NVML: Driver/library version mismatch", ""),
}


@pytest.fixture
def machine(request, monkeypatch):
    """Make nvidia-smi and torch answer as on a recorded machine."""
    recorded = MACHINES[request.param]
    monkeypatch.setattr(gpus, "_nvidia_smi", lambda *arguments: recorded.csv if arguments else recorded.header)
    monkeypatch.setattr(torch.version, "cuda", recorded.cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    answers = {
        "is_available": lambda: bool(recorded.seen),
        "device_count": lambda: len(recorded.seen),
        "get_device_name": lambda device=0: recorded.seen[getattr(device, "index", device) or 0][0],
        "get_device_capability": lambda device=0: recorded.seen[device][1],
        "get_arch_list": lambda: recorded.archs,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    nvidia_driver.cache_clear()
    yield recorded
    nvidia_driver.cache_clear()


def on(*names):
    return pytest.mark.parametrize("machine", names, indirect=True)


UNUSABLE = {
    "Pascal": r"no kernels for NVIDIA GeForce GTX 1080 \(compute capability 6\.1\)\. Install torch 2\.14 or older as ",
    "Pascal and Ada": r"no kernels for NVIDIA GeForce GTX 1080 .* NVIDIA GeForce RTX 4090: set CUDA_VISIBLE_DEVICES=1",
    "old driver": r"driver 510\.47\.03 runs CUDA up to 11\.6, but .* for CUDA 13\.2\. Update the NVIDIA driver to one",
    "driver for CUDA 12": r"runs CUDA up to 12\.4, but .* for CUDA 13\.2\. Install torch 2\.14 or older as \+cu126 ",
    "driver for CUDA 12, Volta": r"up to 12\.4, but .*\. Install torch 2\.14 or older as \+cu126 \(CUDA 12\.6\)",
    "torch for the CPU": r"no CUDA support, but there is a GPU, Tesla T4\. Install the torch wheel \+cu130 ",
    "MIG without an instance": r"NVIDIA H100 80GB HBM3 is in MIG mode without an instance",
    "no driver": r"no CUDA device was found \(no NVIDIA GPU, or no driver for it\)",
    "broken driver": r"no CUDA device was found",
}


@pytest.mark.parametrize(("machine", "message"), UNUSABLE.items(), indirect=["machine"])
def test_a_gpu_that_cannot_be_used_is_explained_and_the_cpu_is_taken(machine, message, drawn):
    with pytest.raises(StudyError, match=f'device="cuda" cannot be used: .*{message}'):
        choose_device("cuda")
    assert choose_device("auto") == torch.device("cpu")
    assert dict(report_lines("drawn"))["GPU"] == f"none usable: {cuda_problem()}"


@on("two GPUs")
def test_of_several_gpus_doctor_says_which_one_a_training_uses(machine, drawn):
    line = dict(report_lines("drawn"))["GPU"]
    assert line.startswith("Tesla T4, kernels present; 2 GPUs: a training uses the first") and "workers=ray" in line


@on("one MIG instance")
def test_of_a_gpu_in_mig_mode_doctor_says_that_one_instance_is_used(machine, drawn):
    assert "MIG 1g.10gb, kernels present; MIG mode: a training uses one" in dict(report_lines("drawn"))["GPU"]


@on("two GPUs")
def test_gpus_that_are_hidden_are_told(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cuda_problem().startswith("CUDA_VISIBLE_DEVICES=7 names no GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cuda_problem().startswith("CUDA_VISIBLE_DEVICES is empty, which hides Tesla T4")


@pytest.mark.parametrize(
    ("capability", "cuda", "named"),
    [
        ((9, 0), (13, 0), "+cu130"),
        ((12, 0), (12, 9), "torch 2.11 or older as +cu128"),  # CUDA 12.6 has no Blackwell
        ((8, 6), (12, 2), "torch 2.14 or older as +cu126"),
        ((7, 0), (13, 0), "torch 2.14 or older as +cu126"),  # CUDA 13 has no Volta, and a driver for it runs CUDA 12
        ((6, 1), (13, 0), "torch 2.14 or older as +cu126"),
        ((8, 9), (11, 4), "Update the NVIDIA driver"),
        ((3, 7), (11, 4), "No torch build"),
        ((14, 0), (14, 0), "a newer torch"),
    ],
)
def test_the_wheel_suits_the_gpu_and_the_driver(capability, cuda, named):
    assert named in wheel_to_install(capability, cuda)
