"""The device: what fp32 and bf16 mean on it."""

import pytest
import torch

from helpers.errors import StudyError
from helpers.system import devices

GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.mark.parametrize(
    ("device", "has_bf16", "asked", "used"),
    [
        (GPU, True, "auto", "bf16"),
        (GPU, False, "auto", "fp32"),
        (CPU, True, "auto", "fp32"),
        (GPU, True, "bf16", "bf16"),
        (CPU, False, "bf16", "bf16"),  # emulated on a CPU without it, which a benchmark may want
        (GPU, True, "fp32", "fp32"),
    ],
)
def test_the_precision_follows_the_device_unless_it_is_asked_for(monkeypatch, device, has_bf16, asked, used):
    monkeypatch.setattr(devices, "_gpu_has_bf16", lambda: has_bf16)
    assert devices.precision_used(device, asked) == used


def test_bf16_is_refused_on_a_gpu_that_emulates_it(monkeypatch):
    monkeypatch.setattr(devices, "_gpu_has_bf16", lambda: False)
    with pytest.raises(StudyError, match='Choose precision="auto"'):
        devices.autocast(GPU, "bf16")


def test_fp32_is_fp32_and_not_tf32_once_a_gpu_is_chosen(monkeypatch):
    monkeypatch.setattr(devices, "cuda_problem", lambda: "")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert devices.choose_device("cpu") == CPU and torch.backends.cudnn.allow_tf32
    assert devices.choose_device("auto") == GPU and not torch.backends.cudnn.allow_tf32
