"""Copies of CelebA as people have them: each is recognised, and read as what it was made from."""

import shutil
import subprocess
import sys
import zipfile

import copies
import numpy as np
import pandas as pd
import pytest

from helpers.config import ATTRIBUTES, ROOT, SPLITS
from helpers.data import cache
from helpers.data import parquet as parquet_files
from helpers.data.celeba import find_layout, open_dataset
from helpers.data.images import ImageZip
from helpers.data.official import OFFICIAL_SIZES, official_splits
from helpers.errors import StudyError


@pytest.fixture(params=copies.LAYOUTS, ids=lambda build: build.__name__)
def layout(request, copy):
    """A copy in one of the layouts, and what it is called."""
    request.param(copy)
    return copy, *copies.LAYOUTS[request.param]


def content(dataset, name):
    """Return what an image is, whatever its name: its bytes, split and labels."""
    row = dataset.annotations.loc[name]
    return dataset.images.read(name), row["split"], *row[list(ATTRIBUTES)]


def test_each_layout_is_recognised_and_read_as_the_original(layout, dataset):
    root, name, named, identities = layout
    found = open_dataset(str(root))
    assert found.layout.name == name and found.split_sizes == dataset.split_sizes
    assert ("identity" in found.annotations) == identities
    if named:
        both = found.annotations.reindex(dataset.annotations.index)
        columns = [*(["identity"] if identities else []), *ATTRIBUTES]
        assert (both[columns] == dataset.annotations[columns]).all(axis=None)
        assert (both["split"].astype(str) == dataset.annotations["split"].astype(str)).all()
    originals = sorted(content(dataset, name) for name in dataset.annotations.index)
    assert sorted(content(found, name) for name in found.annotations.index) == originals


@pytest.mark.parametrize("change", copies.FORMS, ids=lambda change: change.__name__)
def test_each_form_in_which_people_have_the_files_is_read_as_the_original(change, copy, dataset):
    change(copy)
    found = open_dataset(str(copy))
    table = found.annotations.reindex(dataset.annotations.index)
    columns = [*(["identity"] if "identity" in table else []), *ATTRIBUTES]
    assert len(found.annotations) == 300 == len(found.images.stamps) and (
        table[columns] == dataset.annotations[columns]
    ).all(axis=None)
    assert (table["split"].astype(str) == dataset.annotations["split"].astype(str)).all()
    assert all(found.images.read(name) == dataset.images.read(name) for name in table.index[::7])


def test_each_layout_gives_the_same_cache(layout, dataset):
    root, _, named, _ = layout
    found = open_dataset(str(root))
    images, originals = cache.load_images(found, progress=False), cache.load_images(dataset, progress=False)
    if named:
        originals = originals[dataset.annotations.index.get_indexer(found.annotations.index)]
        assert (images == originals).all()
    else:  # the splits one after the other, each in its order
        rows = np.concatenate([np.flatnonzero(dataset.annotations["split"] == split) for split in SPLITS])
        assert (images == originals[rows]).all()


@pytest.mark.slow
def test_a_large_row_group_is_not_read_whole(tmp_path):
    """30 MB of images in one row group: a process that reads its last and its first one grows by a few MB."""
    import pyarrow
    from pyarrow import parquet

    images = [{"bytes": np.random.default_rng(i).bytes(10_000), "path": None} for i in range(3000)]
    columns = {"image": images} | {name: [True] * len(images) for name in ATTRIBUTES}
    for split in SPLITS:
        parquet.write_table(pyarrow.table(columns), tmp_path / f"{split}.parquet", row_group_size=len(images))
    code = (
        "import sys, psutil\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from helpers.data.celeba import open_dataset\n"
        f"images = open_dataset({str(tmp_path)!r}).images\n"
        "images.read('valid-000000')\n"
        "before = psutil.Process().memory_info().rss\n"
        "print(sum(images.read(f'train-{i:06d}')[0] for i in (2999, 0, 1, 1500)))\n"
        "print(psutil.Process().memory_info().rss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    total, grown = map(int, done.stdout.split())
    assert total == sum(images[i]["bytes"][0] for i in (2999, 0, 1, 1500))
    assert grown < 10e6


def test_images_of_a_parquet_file_are_read_in_any_order(copy, dataset):
    copies.parquet_with_booleans(copy)
    found = open_dataset(str(copy)).images
    for name in np.random.default_rng(0).permutation(dataset.annotations.index)[:60]:
        assert found.read(name) == dataset.images.read(name)


def test_after_a_read_error_no_row_of_a_parquet_file_has_another_row_s_image(copy, monkeypatch):
    copies.parquet_with_booleans(copy)
    found = open_dataset(str(copy))
    images, names = found.images, list(found.annotations.index[found.annotations["split"] == "train"])
    right = {name: images.read(name) for name in names}
    parquet_files._streams.clear()
    advance, calls = parquet_files._Stream.advance, []

    def fail_once(stream):
        calls.append(stream)
        if len(calls) == 2:
            stream._batches = iter(())
        advance(stream)

    monkeypatch.setattr(parquet_files._Stream, "advance", fail_once)
    refused = 0
    for name in names:
        try:
            assert images.read(name) == right[name], name
        except StudyError:
            refused += 1
    assert refused == 1


def test_a_parquet_file_may_hold_images_as_plain_bytes(copy, dataset):
    copies.parquet_with_booleans(copy)
    from pyarrow import parquet

    for path in copy.rglob("*.parquet"):
        table = parquet.read_table(path)
        plain = table.column("image").combine_chunks().field("bytes")
        parquet.write_table(table.set_column(0, "image", plain), path)
    found = open_dataset(str(copy))
    assert found.images.read("train-000000") == dataset.images.read(
        dataset.annotations.index[dataset.annotations["split"] == "train"][0]
    )


def test_of_an_unzipped_part_and_the_whole_zip_the_zip_is_read(copy):
    with zipfile.ZipFile(copy / "img_align_celeba.zip", "w") as file:
        for path in (copy / "img_align_celeba").iterdir():
            file.write(path, path.name)
    assert not isinstance(open_dataset(str(copy)).images, ImageZip)
    next((copy / "img_align_celeba").iterdir()).unlink()
    assert isinstance(open_dataset(str(copy)).images, ImageZip)


@pytest.mark.parametrize("rubbish", [b"<html>quota</html>", b"PK\x03\x04 cut off"])
def test_a_broken_zip_beside_all_the_images_does_not_matter(copy, rubbish):
    (copy / "img_align_celeba.zip").write_bytes(rubbish)
    assert len(open_dataset(str(copy)).annotations) == 300


def test_of_files_with_one_name_in_a_zip_those_of_celebas_folder_count(copy, dataset):
    with zipfile.ZipFile(copy / "img_align_celeba.zip", "w") as file:
        for path in sorted((copy / "img_align_celeba").iterdir()):
            file.write(path, f"img_align_celeba\\{path.name}")
            file.writestr(f"thumbs/{path.name}", b"small")
            file.writestr(f"__MACOSX/img_align_celeba/{path.name}", b"fork")
    shutil.rmtree(copy / "img_align_celeba")
    found = open_dataset(str(copy))
    assert all(found.images.read(n) == dataset.images.read(n) for n in found.annotations.index[::30])


def test_a_copy_beside_parquet_files_in_a_deeper_folder_is_the_one_that_is_read(copy, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(copy, data / "celeba")
    shutil.copytree(copy, data / "other" / "deep")
    copies.parquet_with_booleans(data / "other" / "deep")
    assert find_layout(str(data)).root == data / "celeba"


def test_two_datasets_in_one_folder_have_to_be_chosen_from(copy, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(copy, both / "one")
    shutil.copytree(copy, both / "two")
    with pytest.raises(StudyError, match="several datasets: one, two"):
        open_dataset(str(both))
    assert find_layout(str(both / "two")).root == both / "two"


def test_drawn_faces_beside_nothing_else_are_not_taken_for_celeba(drawn):
    with pytest.raises(StudyError, match="has no annotations"):
        open_dataset(str(drawn.parent))


def test_drawn_faces_in_a_folder_below_are_no_images_of_celeba(drawn, copy):
    """They have the names of CelebA's images, and would be taken for those that a part of CelebA lacks."""
    for name in ("list_attr_celeba.txt", "img_align_celeba"):
        assert (copy / name).exists()
    shutil.copytree(drawn, copy / "drawn")
    gone = sorted((copy / "img_align_celeba").iterdir())[:20]
    for path in gone:
        path.unlink()
    found = open_dataset(str(copy), allow_missing=True)
    assert not found.drawn and len(found.annotations) == len(list((copy / "img_align_celeba").iterdir()))
    shutil.rmtree(copy / "img_align_celeba")
    with pytest.raises(StudyError):
        open_dataset(str(copy), allow_missing=True)


def images_alone(root):
    for name in (copies.ATTR, copies.PART, copies.IDENT):
        (root / name).unlink()


def images_alone_in_a_zip(root):
    images_alone(root)
    copies.zip_images(root / copies.IMAGES, root / "img_align_celeba.zip")


def images_alone_in_parquet(root):
    copies.parquet_with_booleans(root)
    from pyarrow import parquet

    for path in root.rglob("*.parquet"):
        parquet.write_table(parquet.read_table(path, columns=["image"]), path)


def a_dialog(root):
    """CelebA-Dialog: files of the same names, five attributes from 0 to 5."""
    copies.lists(root)
    (root / "train_attr_list.txt").write_text("000001.jpg 5 0 3 0 4\n")


def a_list_missing(root):
    copies.lists(root)
    (root / "val_attr_list.txt").unlink()


def a_list_with_a_column_too_many(root):
    copies.lists(root)
    path = root / "val_attr_list.txt"
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([first, *(line + " 1" for line in others)]) + "\n")


def a_partition_with_blanks(root):
    copies.kaggle(root)
    path = root / "list_eval_partition.csv"
    path.write_text(path.read_text().replace(",0\n", ",\n", 3))


def a_person_unknown_in_parquet(root):
    copies.parquet_with_booleans(root)
    import pyarrow
    from pyarrow import parquet

    path = next(root.rglob("test-*.parquet"))
    table = parquet.read_table(path)
    people = pyarrow.array([None, *table.column("celeb_id").to_pylist()[1:]])
    parquet.write_table(table.set_column(1, "celeb_id", people), path)


def one_image_in_two_lists(root):
    copies.lists(root)
    first = (root / "train_attr_list.txt").read_text().splitlines()[0]
    with open(root / "val_attr_list.txt", "a") as file:
        file.write(first + "\n")


def a_csv_of_something_else(root):
    copies.kaggle(root)
    (root / "list_attr_celeba.csv").write_text("a,b\n1,2\n")


def a_csv_that_is_a_web_page(root):
    copies.kaggle(root)
    (root / "list_eval_partition.csv").write_text("<!doctype html>")


def a_csv_without_an_attribute(root):
    copies.kaggle(root)
    path = root / "list_attr_celeba.csv"
    path.write_text(path.read_text().replace("Smiling", "Laughing"))


def without_the_partition_csv(root):
    copies.kaggle(root)
    (root / "list_eval_partition.csv").unlink()


def a_parquet_file_cut_short(root):
    copies.parquet_with_booleans(root)
    path = next(root.rglob("test-*.parquet"))
    path.write_bytes(path.read_bytes()[:-100])


def a_parquet_file_of_no_split(root):
    copies.parquet_with_booleans(root)
    path = next(root.rglob("test-*.parquet"))
    path.rename(path.with_name("extra.parquet"))


def a_parquet_file_missing(root):
    copies.parquet_with_booleans(root)
    next(root.rglob("train-00001-of-00002.parquet")).unlink()


def a_parquet_file_twice(root):
    copies.parquet_with_booleans(root)
    path = next(root.rglob("test-*.parquet"))
    shutil.copy(path, path.with_name("test-copy.parquet"))


def a_parquet_file_that_is_a_pointer(root):
    copies.parquet_with_booleans(root)
    for path in root.rglob("*.parquet"):
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def an_archive_cut_short(root):
    copies.kaggles_archive(root)
    path = root / "archive.zip"
    path.write_bytes(path.read_bytes()[:-1000])


def parquet_in_two_configurations(root):
    copies.parquet_with_booleans(root)
    shutil.copytree(root / "img_align+identity+attr", root / "other")


REFUSED = {
    images_alone: "images only, without attributes",
    images_alone_in_a_zip: "images only, without attributes",
    images_alone_in_parquet: "images only, without attributes",
    a_dialog: "6 columns and no line of titles; without titles it must have an image name and CelebA's 40 attr",
    a_list_missing: "no val_attr_list.txt",
    one_image_in_two_lists: "more than once",
    a_list_with_a_column_too_many: "val_attr_list.txt has 42 columns and no line of titles",
    a_partition_with_blanks: r"list_eval_partition.csv, line 2 .000001.jpg.: the split is missing",
    a_person_unknown_in_parquet: r"test-00000-of-00001.parquet, line 1: identity is missing",
    a_csv_of_something_else: "'1' is not the name of an image",
    a_csv_that_is_a_web_page: "list_eval_partition.csv is a web page",
    a_csv_without_an_attribute: "no column for Smiling",
    without_the_partition_csv: "list_eval_partition.txt is missing",
    a_parquet_file_cut_short: "not a readable parquet file",
    a_parquet_file_of_no_split: "not named after a split",
    a_parquet_file_missing: "lacks 1 of its 2 files: train-00001-of-00002.parquet",
    a_parquet_file_twice: "there more than once: in .*test-00000-of-00001.parquet, .*test-copy.parquet",
    a_parquet_file_that_is_a_pointer: r"\.parquet is a Git LFS pointer.*git lfs pull",
    an_archive_cut_short: "archive.zip is not a readable zip",
    parquet_in_two_configurations: "several datasets",
}


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_a_copy_that_cannot_be_used_is_refused_for_what_it_is(spoil, copy):
    spoil(copy)
    with pytest.raises(StudyError, match=REFUSED[spoil]):
        open_dataset(str(copy))


def test_a_byte_order_mark_is_no_part_of_a_file(copy, dataset):
    for name in (copies.ATTR, copies.PART, copies.IDENT):
        (copy / name).write_bytes(b"\xef\xbb\xbf" + (copy / name).read_bytes())
    assert open_dataset(str(copy)).annotations.equals(dataset.annotations)


def test_without_pyarrow_a_parquet_copy_says_what_to_install(copy, monkeypatch):
    copies.parquet_with_booleans(copy)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StudyError, match=r"pip install pyarrow"):
        open_dataset(str(copy))


def test_the_official_splits_are_known_by_the_images_numbers():
    edges = {"000001.jpg": "train", "162770.jpg": "train", "162771.jpg": "valid", "182637.jpg": "valid"}
    edges |= {"182638.jpg": "test", "202599.png": "test"}
    assert official_splits(pd.Index(edges)).to_dict() == edges
    assert official_splits(pd.Index(["000000.jpg", "202600.jpg", "1.jpg", "train-000001"])).isna().all()
    assert sum(OFFICIAL_SIZES.values()) == 202_599


def test_only_the_official_splits_are_called_official(copy):
    names = open_dataset(str(copy)).annotations.index
    numbers = np.linspace(1, 202_599, len(names)).astype(int)
    renamed = dict(zip(names, (f"{n:06d}.jpg" for n in numbers), strict=True))
    for name in (copies.ATTR, copies.IDENT):
        text = (copy / name).read_text()
        (copy / name).write_text(_rename(text, renamed))
    splits = official_splits(pd.Index(renamed.values()))
    (copy / copies.PART).write_text("".join(f"{n} {SPLITS.index(s)}\r\n" for n, s in splits.items()))
    for old, new in sorted(renamed.items(), reverse=True):
        (copy / copies.IMAGES / old).rename(copy / copies.IMAGES / new)
    assert open_dataset(str(copy)).has_official_splits and not open_dataset(str(copy)).is_whole_celeba
    lines = (copy / copies.PART).read_text().splitlines()
    (copy / copies.PART).write_text("\n".join([lines[0].replace(" 0", " 1"), *lines[1:]]) + "\n")
    assert not open_dataset(str(copy)).has_official_splits


def _rename(text, renamed):
    lines = [line.split(" ", 1) for line in text.splitlines()]
    return "\n".join(" ".join([renamed.get(first, first), *rest]) for first, *rest in lines) + "\n"
