"""Checks of this machine and of a dataset, printed in words."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil
import torch
import torchvision

from helpers.cli.kernels import KERNEL, kernel_problem
from helpers.config import ATTRIBUTES, DATA, DRAWN_MARK, HOME, SPLITS
from helpers.data.celeba import DRAWN, Dataset, cache_folder, find_layout, open_dataset
from helpers.data.check import STATUS, Finding, about_files, check_files, examine
from helpers.data.official import OFFICIAL_POSITIVES, OFFICIAL_SIZES
from helpers.errors import StudyError
from helpers.report.pdf import find_browser
from helpers.system.devices import cpu_has_bf16, cuda_problem, describe
from helpers.system.gpus import nvidia_driver

GIGABYTE = 2**30
VERDICTS = ("sound", "usable, with remarks", "NOT USABLE")
LISTED = 8  # the most files of a dataset that are printed
BF16 = {
    True: "in hardware: precision=bf16 trains about twice as fast as fp32, the default",
    False: "not in hardware: keep fp32, the default",
    None: "unknown: fp32 is the default",
}


def report_lines(data_root: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each thing that a run will use."""
    yield "python", f"{platform.python_version()} ({sys.executable})"
    yield "torch", f"{torch.__version__}, torchvision {torchvision.__version__}"
    yield "CUDA", torch.version.cuda or "not supported by this torch build"
    yield "GPU", _gpu_line(cuda_problem())
    if torch.backends.mps.is_available():
        yield "Apple GPU", "present, but not used: the study computes on CUDA or on the CPU"
    yield "CPU", f"{describe(torch.device('cpu'))}, {os.cpu_count()} cores"
    yield "bf16 on CPU", BF16[cpu_has_bf16()]
    memory = psutil.virtual_memory()
    yield "memory", f"{memory.available / GIGABYTE:.1f} GB free of {memory.total / GIGABYTE:.1f}"
    yield "Jupyter kernel", kernel_problem() or f"{KERNEL}, in this Python"
    yield "PDF printer", find_browser() or "no browser found: WeasyPrint will be tried"
    dataset, line = _dataset(data_root)
    yield "dataset", line
    yield "drawn faces", _drawn_line()
    yield from _disk_lines(dataset)


def _gpu_line(problem: str) -> str:
    """Say which GPU a training uses, and what to know where there are several, or parts of one."""
    if problem:
        return f"none usable: {problem}"
    text = f"{describe(torch.device('cuda'))}, kernels present"
    if (count := torch.cuda.device_count()) > 1:
        text += f"; {count} GPUs: a training uses the first that CUDA_VISIBLE_DEVICES names, workers=ray uses all"
    driver = nvidia_driver()
    if driver and any(gpu.mig for gpu in driver.gpus):
        text += "; MIG mode: a training uses one instance, which CUDA_VISIBLE_DEVICES=MIG-… chooses (nvidia-smi -L)"
    return text


def _dataset(data_root: str) -> tuple[Dataset | None, str]:
    try:
        dataset = open_dataset(data_root, allow_missing=True)
    except StudyError as error:
        return None, f"not found. {error}"
    subset = f" of {dataset.listed:,} listed (needs --allow-missing)" if dataset.is_subset else ""
    return dataset, f"{dataset.source}, {len(dataset.annotations):,} images{subset}, {dataset.root}"


def _drawn_line() -> str:
    folder = DATA / DRAWN
    if (folder / DRAWN_MARK).is_file():
        return f"ready in {folder} (--data-root {DRAWN})"
    return f"not drawn yet; --data-root {DRAWN} draws them into {folder} in a few seconds"


def _disk_lines(dataset: Dataset | None) -> Iterator[tuple[str, str]]:
    """Yield the free space of each disk that a run writes to or reads from, with what it holds there."""
    used = {"results": HOME} | ({"data": dataset.root, "cache": dataset.cache_folder} if dataset else {"data": DATA})
    places: dict[int, list[str]] = {}
    for name, folder in used.items():
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        places.setdefault(there.stat().st_dev, []).extend([name, str(there)])
    for named in places.values():
        disk = shutil.disk_usage(named[1])
        what = ", ".join(f"{name} in {folder}" for name, folder in zip(named[::2], named[1::2], strict=True))
        yield "disk", f"{disk.free / GIGABYTE:.1f} GB free of {disk.total / GIGABYTE:.1f} ({what})"


def check_data(data_root: str, json_path: Path | None = None) -> int:
    """Print what a dataset holds and write it as JSON; return 0 if it is sound, 1 if usable with remarks, else 2.

    The JSON is written to `json_path` or, if that is None, beside the dataset's cache.
    """
    found = {"root": data_root, "layout": None, "files": [], "findings": []}
    folder = Path(data_root) if data_root else None
    try:
        layout = find_layout(data_root)
        folder = layout.root
        print(f"{layout.root} has this layout: {layout.name}.")
        found |= {"root": str(layout.root), "layout": layout.name, "files": list(check_files(layout))}
        _print_files(found["files"])
        found |= examine(open_dataset(data_root, allow_missing=True))
        found["findings"][:0] = [asdict(finding) for finding in about_files(found["files"])]
        _print_counts(found)
    except StudyError as error:
        what, _, do = str(error).partition("\n")
        found["findings"] = [asdict(Finding("fault", what, do or "Correct this, then check again."))]
    found["status"] = max((STATUS[finding["severity"]] for finding in found["findings"]), default=0)
    _print_findings(found)
    if json_path is None and folder and folder.is_dir():
        json_path = cache_folder(folder) / f"check-{folder.resolve().name}.json"
    if json_path:
        _write(json_path, found)
    return found["status"]


def _print_files(files: list[dict]):
    width = max(len(file["path"]) for file in files[:LISTED])
    for file in files[:LISTED]:
        size = "" if file["size"] is None else f"{file['size']:,} bytes"
        print(f"  {file['path']:{width}s} {size:>20s}   {file['md5']}")
    if len(files) > LISTED:
        print(f"  … and {len(files) - LISTED} more")


def _print_counts(found: dict):
    drawn = found["source"] == "drawn faces"
    print(f"\n{'':12s}" + "".join(f"{split:>22s}" for split in SPLITS) + ("" if drawn else "   (here / official)"))
    rows = {"images": (found["splits"], OFFICIAL_SIZES)}
    rows |= {name: (found["positives"][name], OFFICIAL_POSITIVES[name]) for name in ATTRIBUTES}
    for name, (counts, official) in rows.items():
        shown = [f"{counts[split]:,}" + ("" if drawn else f" / {official[split]:,}") for split in SPLITS]
        print(f"{name:12s}" + "".join(f"{text:>22s}" for text in shown))
    images = found["images"]
    kinds = ", ".join(f"{count:,} of {kind}" for kind, count in list(images["kinds"].items())[:3])
    unreadable = len(images["unreadable"]) or "none"
    print(f"\nimages      {images['present']:,} of {images['listed']:,} listed: {kinds}; {unreadable} unreadable")
    copies = ", ".join(f"{count} {pair}" for pair, count in found["copies"].items() if "/" in pair)
    print(f"copies      {found['copies']['extra']} byte-identical to another; in two splits: {copies}")
    if found["people"]:
        people = found["people"]
        by_split = ", ".join(f"{split} {count:,}" for split, count in people["by_split"].items())
        print(f"people      {by_split}; in two splits: {people['in_two_splits'] or 'nobody'}")
        male = people["consistency"]["Male"]
        print(f"labels      {male['divided']:,} of {male['people']:,} people have images with and without Male")


def _print_findings(found: dict):
    print()
    for finding in found["findings"]:
        print(f"{finding['severity']}: {finding['what']}\n        → {finding['do']}")
    print(VERDICTS[found["status"]])


def _write(path: Path, found: dict):
    """Write the check as JSON; a failure is printed and does not change the verdict."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"Written to {path}")
    except OSError as error:
        print(f"The check could not be written to {path} ({error.strerror}); name another file with --json.")
