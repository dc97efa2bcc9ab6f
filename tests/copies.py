"""Small copies of CelebA in the layouts that people have, made from the drawn faces' official-style files."""

import csv
import shutil
import zipfile
from pathlib import Path

import numpy as np

ATTR, PART, IDENT, IMAGES = (
    "list_attr_celeba.txt",
    "list_eval_partition.txt",
    "identity_CelebA.txt",
    "img_align_celeba",
)


def rows_of(root: Path) -> tuple[list[str], list[list[str]], dict[str, str], dict[str, str]]:
    """Return the attribute names, the rows, and split and identity by image, as the files have them."""
    lines = (root / ATTR).read_text().splitlines()
    columns = [dict(line.split() for line in (root / name).read_text().splitlines()) for name in (PART, IDENT)]
    return lines[1].split(), [line.split() for line in lines[2:]], *columns


def zip_images(folder: Path, archive: Path, method: int = zipfile.ZIP_STORED):
    with zipfile.ZipFile(archive, "w", method) as file:
        for path in sorted(folder.iterdir()):
            file.write(path, f"{IMAGES}/{path.name}")
    shutil.rmtree(folder)


def torchvisions(root: Path):
    """The files as they are, one level down."""
    inner = root / "celeba"
    inner.mkdir()
    for name in (ATTR, PART, IDENT, IMAGES):
        shutil.move(root / name, inner / name)


def official(root: Path):
    for folder in ("Anno", "Eval", "Img"):
        (root / folder).mkdir()
    shutil.move(root / ATTR, root / "Anno")
    shutil.move(root / IDENT, root / "Anno")
    shutil.move(root / PART, root / "Eval")
    shutil.move(root / IMAGES, root / "Img")


def official_zip(root: Path):
    official(root)
    zip_images(root / "Img" / IMAGES, root / "Img" / f"{IMAGES}.zip")


def deflated_zip(root: Path):
    zip_images(root / IMAGES, root / f"{IMAGES}.zip", zipfile.ZIP_DEFLATED)


def _kaggle(root: Path, image: str, partition: list[str], newline: str = "\n", numbered: bool = False):
    names, rows, splits, _ = rows_of(root)
    number = lambda index: [index] if numbered else []  # noqa: E731
    blank = [""] if numbered else []
    with open(root / "list_attr_celeba.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator=newline)
        writer.writerow([*blank, image, *names])
        writer.writerows([*number(i), *row] for i, row in enumerate(rows))
    with open(root / "list_eval_partition.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator=newline)
        writer.writerow([*blank, *partition])
        writer.writerows([*number(i), *row] for i, row in enumerate(splits.items()))
    for name in (ATTR, PART, IDENT):
        (root / name).unlink()
    shutil.move(root / IMAGES, root / "inner")
    (root / IMAGES).mkdir()
    shutil.move(root / "inner", root / IMAGES / IMAGES)


def kaggle(root: Path):
    _kaggle(root, "image_id", ["image_id", "partition"])


def kaggle_with_id(root: Path):
    _kaggle(root, "image_id", ["id", "partition"], "\r\n")


def kaggle_with_a_blank_header(root: Path):
    _kaggle(root, "", ["", "partition"])


def kaggle_with_row_numbers(root: Path):
    _kaggle(root, "image_id", ["image_id", "partition"], numbered=True)


def _lists(root: Path, folder: Path, zero: str):
    _, rows, splits, _ = rows_of(root)
    for code, split in enumerate(("train", "val", "test")):
        chosen = [
            [name, *(zero if v == "-1" else v for v in values)] for name, *values in rows if splits[name] == str(code)
        ]
        text = "".join(" ".join(row) + " \n" for row in chosen)
        (folder / f"{split}_attr_list.txt").write_text(text)
    for name in (ATTR, PART, IDENT):
        (root / name).unlink()


def lists(root: Path):
    _lists(root, root, "0")


def lists_in_a_folder(root: Path):
    (root / "annotations").mkdir()
    _lists(root, root / "annotations", "-1")


def _parquet(root: Path, valid: str, of: dict, folder: str, identity: bool, paths: bool):
    import pyarrow as pa
    from pyarrow import parquet

    names, rows, splits, people = rows_of(root)
    (root / folder).mkdir()
    for code, split in enumerate(("train", valid, "test")):
        chosen = [row for row in rows if splits[row[0]] == str(code)]
        images = [
            {"bytes": (root / IMAGES / name).read_bytes(), "path": name if paths else None} for name, *_ in chosen
        ]
        labels = np.array([values for _, *values in chosen], int)
        columns = {"image": images}
        if identity:
            columns["celeb_id"] = [int(people[name]) for name, *_ in chosen]
        columns |= {name: [of[v] for v in labels[:, i].tolist()] for i, name in enumerate(names)}
        half = len(chosen) // 2 if split == "train" else len(chosen)
        for number, part in enumerate(p for p in (slice(0, half), slice(half, None)) if chosen[p]):
            table = pa.table({name: values[part] for name, values in columns.items()})
            parquet.write_table(table, root / folder / f"{split}-{number:05d}-of-00002.parquet", row_group_size=20)
    for name in (ATTR, PART, IDENT):
        (root / name).unlink()
    shutil.rmtree(root / IMAGES)


def parquet_with_booleans(root: Path):
    """As flwrlabs/celeba."""
    _parquet(root, "valid", {1: True, -1: False}, "img_align+identity+attr", identity=True, paths=True)


def parquet_with_integers(root: Path):
    """As tpremoli/CelebA-attrs."""
    _parquet(root, "validation", {1: 1, -1: -1}, "data", identity=False, paths=False)


LAYOUTS = {  # builder -> what the layout is called, whether it has names and identities
    torchvisions: ("torchvision's", True, True),
    official: ("the authors'", True, True),
    official_zip: ("the authors'", True, True),
    deflated_zip: ("torchvision's", True, True),
    kaggle: ("Kaggle's", True, False),
    kaggle_with_id: ("Kaggle's", True, False),
    kaggle_with_a_blank_header: ("Kaggle's", True, False),
    kaggle_with_row_numbers: ("Kaggle's", True, False),
    lists: ("one list per split", True, False),
    lists_in_a_folder: ("one list per split", True, False),
    parquet_with_booleans: ("Hugging Face's parquet", True, True),
    parquet_with_integers: ("Hugging Face's parquet", False, False),
}
