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
        parts = [part for part in (slice(0, half), slice(half, None)) if chosen[part]]
        for number, part in enumerate(parts):
            table = pa.table({name: values[part] for name, values in columns.items()})
            name = f"{split}-{number:05d}-of-{len(parts):05d}.parquet"
            parquet.write_table(table, root / folder / name, row_group_size=20)
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


# The same content in other forms, as spreadsheets, other systems and other tools leave it


def rewrite(path: Path, change, encoding: str = "utf-8"):
    """Change the fields of each line of an annotation file: `change` gets and returns a list of lists."""
    lines = [line.replace(",", " ").split() for line in path.read_text().splitlines()]
    path.write_bytes(("\n".join(change(lines)) + "\n").encode(encoding))


def _joined(separator: str):
    return lambda lines: [separator.join(fields) for fields in lines]


def saved_by_a_french_excel(root: Path):
    kaggle(root)
    for name in ("list_attr_celeba.csv", "list_eval_partition.csv"):
        rewrite(root / name, lambda lines: ["sep=;", *_joined(";")(lines)], "utf-8-sig")


def titles_in_lower_case(root: Path):
    kaggle(root)
    path = root / "list_attr_celeba.csv"
    rewrite(path, lambda lines: [",".join(lines[0]).lower(), *_joined(",")(lines[1:])])


def names_without_suffix(root: Path):
    for name in (ATTR, PART, IDENT):
        (root / name).write_text((root / name).read_text().replace(".jpg", ""))


def names_with_folders(root: Path):
    (root / PART).write_text((root / PART).read_text().replace("0", "img_align_celeba/0", 1))
    (root / ATTR).write_text((root / ATTR).read_text().replace("000001.jpg", "D:\\celeba\\000001.jpg"))


def without_the_count(root: Path):
    text = (root / ATTR).read_text()
    (root / ATTR).write_text(text.partition("\n")[2])


def a_blank_line_first(root: Path):
    for name in (ATTR, PART, IDENT):
        (root / name).write_text("\n\n" + (root / name).read_text() + "\n\n")


def a_partition_in_words(root: Path):
    kaggle(root)
    path = root / "list_eval_partition.csv"
    words = {"0": "train", "1": "Val", "2": "TEST"}
    rewrite(path, lambda lines: [f"{name},{words.get(split, split)}" for name, split in lines])


def a_partition_among_the_attributes(root: Path):
    kaggle(root)
    words = {"0": "train", "1": "valid", "2": "test"}
    splits = dict(line.split(",") for line in (root / "list_eval_partition.csv").read_text().splitlines())
    (root / "list_eval_partition.csv").unlink()
    path = root / "list_attr_celeba.csv"
    rewrite(path, lambda lines: [",".join([*fields, words.get(splits[fields[0]], "split")]) for fields in lines])


def a_csv_of_attributes_with_a_partition_in_text(root: Path):
    kaggle(root)
    columns = dict(line.split(",") for line in (root / "list_eval_partition.csv").read_text().splitlines())
    (root / "list_eval_partition.csv").unlink()
    (root / PART).write_text("\n".join(f"{name} {split}" for name, split in list(columns.items())[1:]))


def in_utf_16(root: Path):
    for name in (ATTR, PART, IDENT):
        (root / name).write_bytes((root / name).read_text().encode("utf-16"))


def in_quotation_marks(root: Path):
    kaggle(root)
    for name in ("list_attr_celeba.csv", "list_eval_partition.csv"):
        rewrite(root / name, lambda lines: [",".join(f'"{field}"' for field in fields) for fields in lines])


def truth_in_words(root: Path):
    kaggle(root)
    words = {"1": "TRUE", "-1": "FALSE"}
    path = root / "list_attr_celeba.csv"
    rewrite(path, lambda lines: [",".join(words.get(field, field) for field in fields) for fields in lines])


def a_column_twice_alike(root: Path):
    kaggle(root)
    path = root / "list_attr_celeba.csv"
    smiling = path.read_text().splitlines()[0].split(",").index("Smiling")
    rewrite(path, lambda lines: [",".join([*fields, fields[smiling]]) for fields in lines])


def image_suffixes_in_capitals(root: Path):
    for path in list((root / IMAGES).iterdir()):
        path.rename(path.with_suffix(".JPG"))


def images_as_png(root: Path):
    for path in list((root / IMAGES).iterdir()):
        path.rename(path.with_suffix(".png"))  # what is in it does not depend on the name
    (root / IMAGES).rename(root / "img_align_celeba_png")


def images_one_folder_deeper(root: Path):
    shutil.move(root / IMAGES, root / "inner")
    shutil.move(root / "inner", root / IMAGES / "celeba" / "jpg")


def images_in_folders_by_split(root: Path):
    splits = dict(line.split() for line in (root / PART).read_text().splitlines())
    for path in list((root / IMAGES).iterdir()):
        (root / IMAGES / splits[path.name]).mkdir(exist_ok=True)
        path.rename(root / IMAGES / splits[path.name] / path.name)


def litter_of_a_mac(root: Path):
    for path in [*root.iterdir(), *(root / IMAGES).iterdir()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X        ")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / ATTR).write_text("nothing")
    (root / "__MACOSX" / "000001.jpg").write_text("nothing")
    for name in (".DS_Store", "Thumbs.db"):
        (root / IMAGES / name).write_text("nothing")


def kaggles_archive(root: Path):
    kaggle(root)
    with zipfile.ZipFile(root / "archive.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".zip":
                file.write(path, path.relative_to(root))
                path.unlink()
    shutil.rmtree(root / IMAGES)


def parquet_in_folders_by_split(root: Path):
    _parquet(root, "validation", {1: 1, -1: 0}, "data", identity=True, paths=True)
    for path in sorted((root / "data").glob("*.parquet")):
        (root / path.name.split("-")[0]).mkdir(exist_ok=True)
        path.rename(root / path.name.split("-")[0] / path.name.replace(path.name.split("-")[0], "data"))
    (root / "data").rmdir()


def parquet_with_titles_in_lower_case(root: Path):
    from pyarrow import parquet

    parquet_with_booleans(root)
    for path in root.rglob("*.parquet"):
        table = parquet.read_table(path)
        parquet.write_table(table.rename_columns([name.lower() for name in table.column_names]), path)


def annotations_as_parquet(root: Path):
    import pandas as pd

    names, rows, splits, people = rows_of(root)
    table = pd.DataFrame([row[1:] for row in rows], columns=names).astype(int)
    table.insert(0, "image_id", [row[0] for row in rows])
    table.to_parquet(root / "list_attr_celeba.parquet")
    for stem, title, values in ((PART, "partition", splits), (IDENT, "identity", people)):
        columns = {"image_id": list(values), title: [int(value) for value in values.values()]}
        pd.DataFrame(columns).to_parquet((root / stem).with_suffix(".parquet"))
    for name in (ATTR, PART, IDENT):
        (root / name).unlink()


FORMS = (  # each is read as what it was made from
    *(saved_by_a_french_excel, titles_in_lower_case, names_without_suffix, names_with_folders, without_the_count),
    *(a_blank_line_first, a_partition_in_words, a_partition_among_the_attributes, in_utf_16, in_quotation_marks),
    *(a_csv_of_attributes_with_a_partition_in_text, truth_in_words, a_column_twice_alike, image_suffixes_in_capitals),
    *(images_as_png, images_one_folder_deeper, images_in_folders_by_split, litter_of_a_mac, kaggles_archive),
    *(parquet_in_folders_by_split, parquet_with_titles_in_lower_case, annotations_as_parquet),
)
