"""The device that a run computes on: its choice, its name and its settings."""

import contextlib
import ctypes
import os
import platform
import random
from functools import cache

import numpy as np
import torch

from helpers.errors import StudyError
from helpers.system.gpus import Driver, nvidia_driver, wheel_to_install


def choose_device(name: str = "auto") -> torch.device:
    """Return the torch device; "auto" is CUDA if this torch build has kernels for the GPU, else the CPU.

    On CUDA, TF32 is switched off for this process, so that fp32 means fp32. Raises StudyError if "cuda" is asked for
    and cannot be used, and for any other name, such as "mps".
    """
    if name not in ("auto", "cpu", "cuda"):
        raise StudyError(
            f'device="{name}" is not one of auto, cpu and cuda. Apple\'s GPU (mps) is not used: choose cpu.'
        )
    problem = cuda_problem()
    if name == "cuda" and problem:
        raise StudyError(f'device="cuda" cannot be used: {problem} Choose device="cpu", or device="auto".')
    if name == "cpu" or problem:
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False  # so that fp32 means fp32; bf16 is the fast choice
    return torch.device("cuda")


def cuda_problem() -> str:
    """Return sentences that say why CUDA cannot be used and what to install, or an empty string if it can."""
    if torch.version.cuda is None or not torch.cuda.is_available():
        return _no_cuda(torch.version.cuda, nvidia_driver())
    usable = [_has_kernels(torch.cuda.get_device_capability(number)) for number in range(torch.cuda.device_count())]
    if usable[0]:
        return ""
    capability, driver = torch.cuda.get_device_capability(0), nvidia_driver()
    advice = f" {wheel_to_install(capability, driver.cuda)}" if driver else ""
    if any(usable):
        number = usable.index(True)
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")  # torch counts those that are visible
        chosen = seen[number] if len(seen) > number else number
        advice = f" It has kernels for {torch.cuda.get_device_name(number)}: set CUDA_VISIBLE_DEVICES={chosen}."
    name = torch.cuda.get_device_name(0)
    return f"this torch build has no kernels for {name} (compute capability {_dotted(capability)}).{advice}"


def _has_kernels(capability: tuple[int, int]) -> bool:
    """Return whether this torch build has kernels for a GPU; they also run on later GPUs of the same major version."""
    built_for = [tuple(divmod(int(arch.split("_")[1].rstrip("af")), 10)) for arch in torch.cuda.get_arch_list()]
    return not built_for or any(major == capability[0] and minor <= capability[1] for major, minor in built_for)


def _no_cuda(built_for: str | None, driver: Driver | None) -> str:
    """Return why torch, built for a version of CUDA or for none, finds no CUDA device."""
    if driver is None:
        return (
            "no CUDA device was found (no NVIDIA GPU, or no driver for it)."
            if built_for
            else "this torch build has no CUDA support."
        )
    gpu = driver.gpus[0]
    advice = wheel_to_install(gpu.capability, driver.cuda)
    if built_for is None:
        return f"this torch build has no CUDA support, but there is a GPU, {gpu.name}. {advice}"
    if driver.cuda[0] < int(built_for.partition(".")[0]):
        return (
            f"the NVIDIA driver {driver.version} runs CUDA up to {_dotted(driver.cuda)}, but this torch build is for "
            f"CUDA {built_for}. {advice}"
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden == "":
        return f"CUDA_VISIBLE_DEVICES is empty, which hides {gpu.name} and all others. Unset it to use them."
    if hidden:
        return f"CUDA_VISIBLE_DEVICES={hidden} names no GPU or MIG instance that is here. Correct or unset it."
    if all(each.mig for each in driver.gpus):
        return f"{gpu.name} is in MIG mode without an instance. Ask its administrator for one (nvidia-smi mig -cgi)."
    return f"the driver sees {gpu.name}, but CUDA does not start. Restart the machine, or install the driver again."


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def describe(device: torch.device) -> str:
    """Return the name of the device, and of a CPU the number of threads."""
    return device_name(device) + ("" if device.type == "cuda" else f", {torch.get_num_threads()} threads")


def device_name(device: torch.device) -> str:
    """Return the name of the GPU or the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()


def cpu_has_bf16() -> bool | None:
    """Return whether the CPU has bf16 instructions (AVX-512 BF16 or AMX), or None if that is unknown."""
    flags = _cpu_info("flags").split()
    return bool({"avx512_bf16", "amx_bf16"} & set(flags)) if flags else None


def _cpu_name() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_info(field: str) -> str:
    """Return a field of the first CPU in Linux's /proc/cpuinfo, or an empty string on other systems."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return ""


def autocast(device: torch.device, precision: str):
    """Return the autocast context for `precision`, as `precision_used` understands it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision_used(device, precision) == "bf16")


def precision_used(device: torch.device, precision: str) -> str:
    """Return "bf16" or "fp32"; for "auto", bf16 on a GPU with bf16 instructions, else fp32.

    Raises StudyError if bf16 is asked for on a GPU without it, which is many times slower there.
    """
    if precision == "bf16" and device.type == "cuda" and not _gpu_has_bf16():
        raise StudyError('This GPU computes bf16 only by emulation, which is very slow. Choose precision="auto".')
    if precision != "auto":
        return precision
    return "bf16" if device.type == "cuda" and _gpu_has_bf16() else "fp32"


@cache
def _gpu_has_bf16() -> bool:
    """Return whether the GPU has bf16 instructions; GPUs before Ampere emulate them slowly."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def set_seed(seed: int):
    """Seed the random generators of Python, NumPy and torch (CUDA included)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def rng_kept():
    """Restore the state of every random generator at the end of the block."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    python, legacy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)


@cache
def keep_freed_memory():
    """Tell glibc to keep freed memory instead of returning it to the kernel after every step.

    A training step frees hundreds of megabytes of activations, and the next step allocates them again. Mapping this
    memory again costs up to 245,000 page faults per step, 25 to 40 % of the time on CPU. `M_MMAP_MAX=0` takes large
    blocks from the heap, and a large `M_TRIM_THRESHOLD` keeps the heap (mallopt(3)). Without glibc, this does nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(m_mmap_max, 0)
    libc.mallopt(m_trim_threshold, 2**31 - 1)
