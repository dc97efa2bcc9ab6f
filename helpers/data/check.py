"""Compare a copy of CelebA with the official dataset."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from helpers.config import SPLITS
from helpers.data import labels
from helpers.data.celeba import Dataset, positives, split_sizes
from helpers.data.layouts import Layout
from helpers.data.official import IMAGE_SHAPE, OFFICIAL_COPIES, OFFICIAL_FILES, OFFICIAL_SIZES
from helpers.system.files import beginning, file_md5, stand_in

WHOLE = sum(OFFICIAL_SIZES.values())
STATUS = {"note": 0, "remark": 1, "fault": 2}  # the most severe one is the exit status
NAMED = 5  # files that a finding names
MOST_NAMED = 1000  # missing files that the JSON names


@dataclass(frozen=True)
class Finding:
    """One finding about the data: its severity, what it is, and what to do. A "note" is a fact about CelebA itself."""

    severity: str
    what: str
    do: str


def check_files(layout: Layout) -> Iterator[dict]:
    """Yield name, path, size in bytes and comparison with the official file for each file, also if it is missing."""
    for name, path in layout.files.items():
        if path is None:
            yield {"name": name, "path": name, "size": None, "md5": "missing"}
        else:
            place = path.relative_to(layout.root).as_posix()
            yield {
                "name": name,
                "path": place,
                "size": path.stat().st_size,
                "md5": "drawn" if layout.drawn else compare(name, path),
            }


def compare(name: str, path: Path) -> str:
    """Return in words how a file compares with the official file of the same name, by MD5."""
    if stand_in(beginning(path)):
        return "a web page, or a Git LFS pointer"
    if name not in OFFICIAL_FILES:
        return "no official checksum"
    official, size = OFFICIAL_FILES[name]
    if path.suffix == ".zip":
        same = path.stat().st_size == size and file_md5(path) == official
        return "official" if same else "different"
    if file_md5(path) == official:
        return "official"
    # The official files have CR LF line endings; git and `unzip -a` change them to LF.
    windows = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    same = hashlib.md5(windows).hexdigest() == official
    return "official but for line endings" if same else "different"


def examine(dataset: Dataset) -> dict:
    """Read every image, compare the dataset with the official one, and return facts and `findings` as plain types."""
    facts, annotations = dataset.facts, dataset.annotations
    whole = facts[facts["problem"] == ""]
    kinds = (whole["width"].astype(str) + "x" + whole["height"].astype(str) + " " + whole["mode"]).value_counts()
    unreadable = {name: problem for name, problem in facts["problem"].items() if problem}
    found = {
        "source": dataset.source,
        "splits": dataset.split_sizes,
        "official_splits": dataset.has_official_splits,
        "positives": positives(dataset.annotations),
        "images": {
            "listed": dataset.listed,
            "present": len(annotations),
            "unlisted": len(dataset.images.stamps) - len(annotations),
            "missing": list(dataset.missing[:MOST_NAMED]),
            "kinds": kinds.to_dict(),
            "unreadable": unreadable,
        },
        "copies": labels.copies(facts["digest"], annotations["split"]),
        "people": _people(dataset),
    }
    return found | {"findings": [asdict(finding) for finding in _findings(dataset, found)]}


def _people(dataset: Dataset) -> dict | None:
    """Return the number of people per split and in two splits, and the consistency of their labels; None if unknown."""
    if "identity" not in dataset.annotations:
        return None
    placed = dataset.annotations.dropna(subset="split")
    splits = placed.groupby("identity")["split"].nunique()
    consistency = labels.label_consistency(placed)
    return {
        "by_split": {split: int(placed["identity"][placed["split"] == split].nunique()) for split in SPLITS},
        "in_two_splits": int((splits > 1).sum()),
        "consistency": {name: {k: int(v) for k, v in row.items()} for name, row in consistency.iterrows()},
    }


def about_files(files: Iterable[dict]) -> Iterator[Finding]:
    """Yield a finding per annotation file that differs from the official one; archives are judged by their images."""
    for file in files:
        if file["md5"] == "different" and not file["name"].endswith(".zip"):
            yield Finding(
                "remark",
                f"{file['name']} is not the official file: it may have other labels, splits or identities.",
                "Fetch the official one, unless you know why it differs.",
            )


def _findings(dataset: Dataset, found: dict) -> Iterator[Finding]:
    if dataset.drawn:
        yield Finding(
            "remark",
            "these are drawn faces: results on them say nothing about CelebA.",
            "Nothing, if that is intended.",
        )
    yield from _about_images(dataset, found)
    yield from _about_splits(dataset, found)
    if found["people"] is None:
        yield Finding(
            "remark",
            "no identities: people in several splits cannot be found, and intervals are over images, not people.",
            "Add identity_CelebA.txt from the official source.",
        )


def _some(names: list[str]) -> str:
    """Return the first names, and an ellipsis where there are more."""
    return ", ".join([*names[:NAMED], "…"] if len(names) > NAMED else names)


def _about_images(dataset: Dataset, found: dict) -> Iterator[Finding]:
    images = found["images"]
    if images["unreadable"]:
        some = _some([f"{name}: {problem}" for name, problem in images["unreadable"].items()])
        yield Finding(
            "fault",
            f"{len(images['unreadable']):,} images cannot be read: {some}.",
            "Replace them, or delete them and run with --allow-missing.",
        )
    if dataset.is_subset:
        some = _some(images["missing"])
        yield Finding(
            "remark",
            f"a subset: {images['present']:,} of {images['listed']:,} listed images are present (missing: {some}).",
            "Complete the download if you want all of them; otherwise the results are for a subset (--allow-missing).",
        )
    elif not dataset.drawn and images["listed"] < WHOLE:
        yield Finding(
            "remark",
            f"a part of CelebA: the copy lists {images['listed']:,} of its {WHOLE:,} images.",
            "Complete the download if you want all of it; otherwise the results are for a part of CelebA.",
        )
    if images["unlisted"]:
        yield Finding(
            "note",
            f"{images['unlisted']:,} images are there that the annotations do not list; they are not used.",
            "Nothing, if you chose a subset. Otherwise fetch the annotations again.",
        )
    usual = f"{IMAGE_SHAPE} RGB"
    odd = {kind: count for kind, count in images["kinds"].items() if kind != usual}
    if odd:
        some = ", ".join(f"{count:,} of {kind}" for kind, count in list(odd.items())[:NAMED])
        yield Finding(
            "remark",
            f"{sum(odd.values()):,} images are not aligned and cropped as CelebA's {usual}: {some}.",
            "They are resized like the others; use img_align_celeba if you want the usual images.",
        )


def _about_splits(dataset: Dataset, found: dict) -> Iterator[Finding]:
    sizes = ", ".join(f"{split} {count:,}" for split, count in found["splits"].items())
    if not dataset.drawn and not dataset.has_official_splits:
        yield Finding(
            "remark",
            f"the splits are not known to be the official ones ({sizes}): do not compare results with published ones.",
            "Use list_eval_partition.txt for the official splits.",
        )
    empty = [split for split, count in found["splits"].items() if not count]
    if empty:
        yield Finding("fault", f"no image in {' and '.join(empty)}.", "The study needs all three splits: add images.")
    for attribute, counts in found["positives"].items():
        alike = [split for split in SPLITS if counts[split] in (0, found["splits"][split]) and split not in empty]
        if alike:
            which = "; ".join(f"{split}: {counts[split]:,} of {found['splits'][split]:,} images" for split in alike)
            yield Finding(
                "remark",
                f"{attribute} is the same for all images of a split ({which}): its F1, its AUC and the checks that "
                "need both values are undefined there.",
                "Use a larger copy, or read the figures of the other attributes only.",
            )
    if not dataset.drawn and split_sizes(dataset.table) == OFFICIAL_SIZES and not dataset.has_official_labels:
        yield Finding(
            "remark",
            "the labels are not the official ones: the numbers of positives differ.",
            "Fetch the annotations again.",
        )
    if found["people"] and found["people"]["in_two_splits"]:
        yield Finding(
            "remark",
            f"{found['people']['in_two_splits']:,} people are in more than one split: test scores may be too high.",
            "Use the official splits, which keep people apart.",
        )
    crossing = {pair: n for pair, n in found["copies"].items() if "/" in pair and n}
    if crossing:
        listed = labels.copies(dataset.facts["digest"], dataset.table["split"])  # before duplicates were dropped
        known = dataset.is_whole_celeba and listed == OFFICIAL_COPIES
        pairs = ", ".join(f"{count} {pair}" for pair, count in crossing.items())
        drop = "Run with -p drop_duplicates=True to drop those of train. "
        yield Finding(
            "note" if known else "remark",
            f"byte-identical images in two splits: {pairs}" + (", as in the official CelebA." if known else "."),
            (drop if any("train" in pair for pair in crossing) else "") + "Images of valid and test are never dropped.",
        )
