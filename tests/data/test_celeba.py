"""Reading CelebA's files: what is read, and what each fault in them is told as."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from helpers.config import ATTRIBUTES, DATA, ROOT
from helpers.data.celeba import find_layout, open_dataset
from helpers.data.images import ImageFolder
from helpers.errors import StudyError

ATTR, PART, IDENT = "list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt"


def edit(path, change):
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")


def zipped(root):
    """Put the images of `root` into img_align_celeba.zip, and take the folder away."""
    with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
        for path in sorted((root / "img_align_celeba").iterdir()):
            archive.write(path, f"img_align_celeba/{path.name}")
    shutil.rmtree(root / "img_align_celeba")


def test_a_folder_and_a_zip_read_alike(copy):
    folder = open_dataset(str(copy))
    first = folder.annotations.index[0]
    data = folder.images.read(first)
    zipped(copy)
    archive = open_dataset(str(copy))
    assert archive.annotations.equals(folder.annotations)
    assert archive.images.read(first) == data


def test_torchvisions_celeba_level_is_found(copy, tmp_path):
    outer = tmp_path / "outer"
    shutil.move(copy, outer / "celeba")
    assert find_layout(str(outer)).root == outer / "celeba"


def test_attributes_become_0_and_1_as_the_rows_say(copy):
    table = open_dataset(str(copy)).annotations
    names, row = (copy / ATTR).read_text().splitlines()[1:3]
    expected = {name: int(value == "1") for name, value in zip(names.split(), row.split()[1:], strict=True)}
    assert table.iloc[0][list(ATTRIBUTES)].to_dict() == {name: expected[name] for name in ATTRIBUTES}
    assert len(names.split()) == 40 and set(names.split()) <= set(table.columns)


def test_splits_are_the_partition_files(copy):
    rows = dict(line.split() for line in (copy / PART).read_text().splitlines())
    table = open_dataset(str(copy)).annotations
    assert {name: ("train", "valid", "test")[int(code)] for name, code in rows.items()} == table["split"].to_dict()


def test_the_identity_file_is_not_required(copy):
    (copy / IDENT).unlink()
    assert "identity" not in open_dataset(str(copy)).annotations


def test_landmarks_and_boxes_are_not_required(copy):
    assert not list(copy.glob("*bbox*")) and len(open_dataset(str(copy)).annotations)


def test_drawn_faces_are_known_as_drawn_and_others_are_not(dataset, copy):
    assert dataset.drawn and dataset.source == "drawn faces"
    assert not open_dataset(str(copy)).drawn


def test_missing_images_are_counted_and_the_first_five_named(copy):
    names = sorted(p.name for p in (copy / "img_align_celeba").iterdir())
    for name in names[:7]:
        (copy / "img_align_celeba" / name).unlink()
    with pytest.raises(StudyError, match=r"7 of 300 images") as caught:
        open_dataset(str(copy))
    assert all(name in str(caught.value) for name in names[:5]) and names[5] not in str(caught.value)
    assert "allow_missing" in str(caught.value)


def test_allow_missing_reads_what_is_there_and_says_how_many_of_how_many(copy):
    first = sorted((copy / "img_align_celeba").iterdir())[0]
    first.unlink()
    subset = open_dataset(str(copy), allow_missing=True)
    assert len(subset.annotations) == 299 and subset.listed == 300 and subset.is_subset
    assert first.name not in subset.annotations.index


def test_allow_missing_still_refuses_a_folder_without_any_image(copy):
    for path in (copy / "img_align_celeba").iterdir():
        path.unlink()
    with pytest.raises(StudyError, match="300 of 300"):
        open_dataset(str(copy), allow_missing=True)


def test_a_changed_image_changes_the_fingerprint(copy):
    before = open_dataset(str(copy)).fingerprint
    path = sorted((copy / "img_align_celeba").iterdir())[3]
    path.write_bytes(path.read_bytes() + b"\0")
    assert open_dataset(str(copy)).fingerprint != before


def test_a_file_that_could_not_be_read_once_is_read_again(copy, monkeypatch):
    read = ImageFolder.read

    def refused(images, name):
        if name == "000005.jpg":
            raise StudyError("permission denied")
        return read(images, name)

    with monkeypatch.context() as patched:
        patched.setattr(ImageFolder, "read", refused)
        assert open_dataset(str(copy)).facts["problem"]["000005.jpg"] == "permission denied"
    assert not open_dataset(str(copy)).facts["problem"].any()


@pytest.mark.parametrize("way", ['data_root = "drawn"', "--data-root", "data fetch"])
def test_without_data_the_ways_to_get_some_are_named(way, monkeypatch, tmp_path):
    monkeypatch.setattr("helpers.data.celeba.DATA", tmp_path / "data")
    with pytest.raises(StudyError, match="No dataset") as caught:
        find_layout("")
    assert way in str(caught.value)


def test_missing_data_never_falls_back_to_drawn_faces(drawn):
    assert (DATA / "drawn").is_dir()
    with pytest.raises(StudyError, match="No dataset"):
        open_dataset("")


def test_the_environment_names_the_data_root(copy, monkeypatch):
    monkeypatch.setenv("CELEBA_ROOT", str(copy))
    assert find_layout("").root == copy


def test_a_relative_data_root_is_made_absolute_where_it_is_read(copy, monkeypatch):
    """The kernels inherit the variable and run in another folder."""
    monkeypatch.chdir(copy.parent)
    monkeypatch.setenv("CELEBA_ROOT", copy.name)
    monkeypatch.setenv("CELEBA_CACHE", "cache")
    dataset = open_dataset("")
    assert dataset.root == copy and os.environ["CELEBA_ROOT"] == str(copy)
    assert dataset.cache_folder == copy.parent / "cache" and os.environ["CELEBA_CACHE"] == str(copy.parent / "cache")
    assert find_layout(copy.name).root == copy


def test_a_relative_home_is_one_folder_for_every_process(tmp_path):
    script = (
        "import os, subprocess, sys\n"
        "from helpers.config import RUNS\n"
        "code = 'from helpers.config import RUNS; print(RUNS)'\n"
        "print(RUNS, flush=True)\n"
        "subprocess.run([sys.executable, '-c', code], cwd='/', check=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CELEBA_STUDY_HOME": "mine"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == [str(tmp_path / "mine" / "runs")] * 2, done.stderr


def test_a_subset_may_stand_beside_the_full_partition_and_identity_files(copy, dataset):
    chosen = dataset.annotations.index[::3]
    edit(copy / ATTR, lambda lines: [lines[1], *(line for line in lines[2:] if line.split()[0] in chosen)])
    found = open_dataset(str(copy))
    assert list(found.annotations.index) == list(chosen) and found.listed == 100
    assert (found.annotations == dataset.annotations.loc[chosen]).all(axis=None)


@pytest.mark.parametrize("level", ["beside the files", "beside the folder", "among the images"])
def test_a_neighbour_that_cannot_be_read_does_not_matter(level, copy, monkeypatch):
    root = {"beside the files": copy, "beside the folder": copy.parent, "among the images": copy / "img_align_celeba"}
    closed = root[level] / "lost+found"
    closed.mkdir()

    def refusing(function):
        def call(path=".", *arguments, **options):
            if str(path).rstrip("/").endswith("lost+found"):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *arguments, **options)

        return call

    for name in ("scandir", "listdir"):  # root may read anything
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    monkeypatch.setattr(os, "access", lambda path, *_: not str(path).endswith("lost+found"))
    assert len(open_dataset(str(copy.parent)).annotations) == 300


def test_a_folder_of_images_that_cannot_be_read_is_named(copy, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("helpers.data.images.os.scandir", refuse)
    with pytest.raises(StudyError, match=r"img_align_celeba cannot be read \(Permission denied\)"):
        open_dataset(str(copy))


def absent(root):
    shutil.rmtree(root)


def emptied(root):
    shutil.rmtree(root)
    root.mkdir()


def without_attributes(root):
    (root / ATTR).unlink()


def without_partition(root):
    (root / PART).unlink()


def without_images(root):
    shutil.rmtree(root / "img_align_celeba")


def html_attributes(root):
    (root / ATTR).write_text("<!DOCTYPE html><html><body>Quota exceeded</body></html>")


def html_zip(root):
    without_images(root)
    (root / "img_align_celeba.zip").write_text("\n <html>Too many users have viewed this file</html>")


def pointer_zip(root):
    without_images(root)
    (root / "img_align_celeba.zip").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def pointer_attributes(root):
    (root / ATTR).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def two_files_for_an_image(root):
    first = root / "img_align_celeba" / "000001.jpg"
    first.rename(first.with_suffix(".png"))
    shutil.copy(root / "img_align_celeba" / "000002.jpg", first.with_suffix(".jpeg"))


def contradicting_partitions(root):
    edit(root / ATTR, lambda lines: [lines[1] + " partition", *(line + " 0" for line in lines[2:])])


def broken_zip(root):
    zipped(root)
    path = root / "img_align_celeba.zip"
    path.write_bytes(path.read_bytes()[:5000])


def row_lost(root):
    edit(root / ATTR, lambda lines: lines[:-1])


def row_twice(root):
    edit(root / PART, lambda lines: [*lines, lines[0]])


def partition_disagrees(root):
    edit(root / PART, lambda lines: [*lines[:-2], "999998.jpg 0", "999999.jpg 1"])


def identity_disagrees(root):
    edit(root / IDENT, lambda lines: lines[:-1])


def foreign_split(root):
    edit(root / PART, lambda lines: [lines[0].replace(" 0", " 7"), *lines[1:]])


def foreign_label(root):
    edit(root / ATTR, lambda lines: [*lines[:2], lines[2].replace("-1", " 5", 1), *lines[3:]])


def words_for_numbers(root):
    edit(root / PART, lambda lines: ["000001.jpg zero", *lines[1:]])


def another_file(root):
    (root / ATTR).write_text("image,label\n000001.jpg,1\n")


FAULTS = {
    absent: "does not exist",
    emptied: "is empty",
    without_attributes: "images only, without attributes",
    without_partition: "list_eval_partition.txt is missing",
    without_images: "annotations but no images",
    html_attributes: "list_attr_celeba.txt is a web page",
    html_zip: "img_align_celeba.zip is a web page",
    pointer_zip: r"img_align_celeba.zip is a Git LFS pointer.*git lfs pull",
    pointer_attributes: r"list_attr_celeba.txt is a Git LFS pointer.*git lfs pull",
    two_files_for_an_image: r"two files for the image 000001.jpg: 000001.(png|jpeg) and 000001.(png|jpeg)",
    contradicting_partitions: r"the split is train, but .*partition.txt says (valid|test); they differ for 60",
    broken_zip: "not a readable zip",
    row_lost: "announces 300 rows in its first line but has 299",
    row_twice: "000001.jpg more than once",
    partition_disagrees: "list_eval_partition.txt .300 images. lacks 2 of the 300 images",
    identity_disagrees: "lacks 1 of the 300 images that list_attr_celeba.txt lists: 000300.jpg",
    foreign_split: "must be 0, 1 or 2",
    foreign_label: r"list_attr_celeba.txt, line 3 .000001.jpg.: 5_o_Clock_Shadow has the value 5",
    words_for_numbers: r"list_eval_partition.txt, line 1 .000001.jpg.: the split is 'zero'",
    another_file: "has no column for Smiling",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_of_a_data_folder_is_told_for_what_it_is(fault, copy):
    fault(copy)
    with pytest.raises(StudyError, match=FAULTS[fault]):
        open_dataset(str(copy))
