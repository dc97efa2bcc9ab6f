"""What this machine and this dataset are good for, in words."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator

import psutil
import torch
import torchvision

from helpers.celeba import OFFICIAL_SIZES, Dataset, open_dataset
from helpers.config import ATTRIBUTES, ROOT
from helpers.devices import cpu_has_bf16, cuda_problem, describe
from helpers.errors import StudyError
from helpers.pdf import find_browser

# Positives in CelebA's official splits (list_attr_celeba.txt, md5 75e246fa4810816ffd6ee81facbd244c)
OFFICIAL_POSITIVES = {
    "Smiling": {"train": 78080, "valid": 9602, "test": 9987},
    "Wearing_Hat": {"train": 8039, "valid": 940, "test": 839},
    "Male": {"train": 68261, "valid": 8458, "test": 7715},
    "Young": {"train": 126788, "valid": 14832, "test": 15114},
    "Eyeglasses": {"train": 10521, "valid": 1383, "test": 1289},
}
GIGABYTE = 2**30
BF16 = {
    True: "in hardware: precision=bf16 trains about twice as fast as fp32, the default",
    False: "not in hardware: keep to fp32, the default",
    None: "unknown: fp32 is the default",
}


def report_lines(data_root: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each thing that a run will use."""
    yield "python", f"{platform.python_version()} ({sys.executable})"
    yield "torch", f"{torch.__version__}, torchvision {torchvision.__version__}"
    yield "CUDA", torch.version.cuda or "this torch is built without it"
    problem = cuda_problem()
    yield (
        "GPU",
        f"none usable: {problem}" if problem else f"{describe(torch.device('cuda'))}, kernels present",
    )
    yield "CPU", f"{describe(torch.device('cpu'))}, {os.cpu_count()} cores"
    yield "bf16 on CPU", BF16[cpu_has_bf16()]
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(ROOT)
    yield "memory", f"{memory.available / GIGABYTE:.1f} GB free of {memory.total / GIGABYTE:.1f}"
    yield "disk", f"{disk.free / GIGABYTE:.0f} GB free of {disk.total / GIGABYTE:.0f} at {ROOT}"
    yield "PDF printer", find_browser() or "no browser found: WeasyPrint will be tried"
    yield "dataset", _dataset_line(data_root)


def _dataset_line(data_root: str) -> str:
    try:
        dataset = open_dataset(data_root, allow_missing=True)
    except StudyError as error:
        return f"not found. {error}"
    subset = f" of {dataset.listed:,} listed (needs --allow-missing)" if dataset.is_subset else ""
    return f"{dataset.source}, {len(dataset.annotations):,} images{subset}, {dataset.root}"


def check_dataset(data_root: str) -> int:
    """Print what a dataset holds; return 0 if it is sound, 1 if usable with remarks, 2 if not usable."""
    try:
        dataset = open_dataset(data_root, allow_missing=True)
    except StudyError as error:
        print(f"NOT USABLE: {error}")
        return 2
    print(f"{dataset.source}: {dataset.root}")
    _print_counts(dataset)
    remarks = list(_remarks(dataset))
    for remark in remarks:
        print(f"remark: {remark}")
    print("usable, with remarks" if remarks else "sound")
    return 1 if remarks else 0


def _print_counts(dataset: Dataset):
    labels = dataset.annotations.groupby("split", observed=False)[list(ATTRIBUTES)].sum()
    print(f"{'':12s}" + "".join(f"{split:>20s}" for split in labels.index))
    rows = {"images": (dataset.split_sizes, OFFICIAL_SIZES)}
    rows |= {name: (labels[name].to_dict(), OFFICIAL_POSITIVES[name]) for name in ATTRIBUTES}
    for name, (counts, official) in rows.items():
        shown = [f"{counts[s]:,}" + ("" if dataset.drawn else f" / {official[s]:,}") for s in labels.index]
        print(f"{name:12s}" + "".join(f"{text:>20s}" for text in shown))


def _remarks(dataset: Dataset) -> Iterator[str]:
    if dataset.drawn:
        yield "these are drawn faces: results on them say nothing about CelebA."
    if dataset.is_subset:
        yield (
            f"{len(dataset.annotations):,} of {dataset.listed:,} listed images are here: "
            "runs need --allow-missing, and their results are a subset's."
        )
    if not dataset.drawn and not dataset.is_subset and not dataset.is_whole_celeba:
        yield f"the splits are not the official ones: {dataset.split_sizes}."
    if "identity" not in dataset.annotations:
        yield "no identity_CelebA.txt: whether people cross splits cannot be checked. Add it from the same source."
