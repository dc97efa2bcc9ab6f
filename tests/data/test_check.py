"""`data check`: the exit status and the finding of each fault that a copy can have."""

import hashlib
import json
import os
import shutil
import zipfile

import copies
import pytest
from PIL import Image, ImageFile
from typer.testing import CliRunner

from helpers.__main__ import app
from helpers.cli import doctor
from helpers.data import check as datacheck
from helpers.data.celeba import Dataset, find_layout, open_dataset, positives
from helpers.data.check import check_files, examine
from helpers.data.official import OFFICIAL_COPIES, OFFICIAL_FILES


def check(root, *options):
    """Return status, text and JSON of `data check`."""
    json_path = root.parent / "check.json"
    result = CliRunner().invoke(app, ["data", "check", str(root), "--json", str(json_path), *options])
    return result.exit_code, result.stdout, json.loads(json_path.read_text())


def images(root):
    return sorted((root / copies.IMAGES).iterdir())


def cut_short(root):
    path = images(root)[5]
    path.write_bytes(path.read_bytes()[:1500])


def not_an_image(root):
    images(root)[5].write_text("hello")


def a_web_page_for_an_image(root):
    images(root)[5].write_text("<html>quota</html>")


def of_another_size(root):
    Image.open(images(root)[5]).resize((64, 64)).save(images(root)[5])


def grey(root):
    Image.open(images(root)[5]).convert("L").save(images(root)[5])


def one_missing(root):
    images(root)[5].unlink()


def without_identities(root):
    (root / copies.IDENT).unlink()


def a_person_in_two_splits(root):
    lines = (root / copies.IDENT).read_text().splitlines()
    splits = copies.rows_of(root)[2]
    train, test = (next(i for i, line in enumerate(lines) if splits[line.split()[0]] == s) for s in "02")
    lines[test] = f"{lines[test].split()[0]} {lines[train].split()[1]}"
    (root / copies.IDENT).write_text("\r\n".join(lines) + "\r\n")


def a_test_image_in_train(root):
    splits = copies.rows_of(root)[2]
    train, test = (next(path for path in images(root) if splits[path.name] == s) for s in "02")
    train.write_bytes(test.read_bytes())


def no_validation(root):
    text = (root / copies.PART).read_text().replace(" 1\n", " 0\n")
    (root / copies.PART).write_text(text)


def a_web_page_for_attributes(root):
    (root / copies.ATTR).write_text("<!DOCTYPE html><title>Quota exceeded</title>")


def images_alone(root):
    for name in (copies.ATTR, copies.PART, copies.IDENT):
        (root / name).unlink()


FAULTS = {  # fault -> status, what is said
    cut_short: (2, r"1 images cannot be read: 000006.jpg: a corrupt or truncated image"),
    not_an_image: (2, "000006.jpg: not an image"),
    a_web_page_for_an_image: (2, "000006.jpg: not an image"),
    of_another_size: (1, "1 images are not aligned and cropped as CelebA's 178x218 RGB: 1 of 64x64 RGB"),
    grey: (1, "1 of 178x218 L"),
    one_missing: (1, "a subset: 299 of 300"),
    without_identities: (1, "no identities"),
    a_person_in_two_splits: (1, "1 people are in more than one split"),
    a_test_image_in_train: (1, "byte-identical images in two splits: 1 train/test"),
    no_validation: (2, "no image in valid"),
    a_web_page_for_attributes: (2, "list_attr_celeba.txt is a web page"),
    images_alone: (2, "images only, without attributes"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_has_its_status_and_is_told_with_what_to_do(fault, copy):
    status, text = FAULTS[fault]
    before, said, _ = check(copy)
    assert before == 1 and text not in said  # with remarks: the drawn faces' splits are not the official ones
    fault(copy)
    after, said, found = check(copy)
    assert after == status == found["status"]
    (finding,) = [finding for finding in found["findings"] if text in finding["what"]]
    assert finding["do"] and finding["do"] in said and finding["what"] in said


def test_a_truncated_image_is_found_also_where_pillow_was_told_to_accept_it(copy, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    cut_short(copy)
    assert check(copy)[0] == 2


def test_splits_that_are_not_official_are_remarked_and_never_called_official(copy):
    status, said, found = check(copy)
    assert status == 1 and not found["official_splits"]
    assert "not known to be the official ones" in said


def test_drawn_faces_are_usable_and_told_for_what_they_are(drawn):
    status, said, found = check(drawn)
    assert status == 1 and [finding["what"][:22] for finding in found["findings"]] == ["these are drawn faces:"]
    assert "official" not in said.partition("images")[2]


@pytest.mark.parametrize("build", copies.LAYOUTS, ids=lambda build: build.__name__)
def test_a_copy_of_each_layout_is_usable(build, copy):
    build(copy)
    status, said, found = check(copy)
    assert status == 1 and found["layout"] == copies.LAYOUTS[build][0] in said
    assert {"remark"} == {finding["severity"] for finding in found["findings"]}
    assert found["images"]["kinds"] == {"178x218 RGB": 300} and not found["images"]["unreadable"]


def as_official(monkeypatch, copy):
    """Take the copy's own annotation files for the official ones, which end their lines with CR LF."""
    for name in (copies.ATTR, copies.PART, copies.IDENT):
        data = (copy / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        (copy / name).write_bytes(data)
        monkeypatch.setitem(OFFICIAL_FILES, name, (hashlib.md5(data).hexdigest(), len(data)))


def verdicts(copy):
    return {file["name"]: file["md5"] for file in check_files(find_layout(str(copy)))}


def test_files_are_compared_with_the_official_ones_also_where_line_endings_differ(copy, monkeypatch):
    as_official(monkeypatch, copy)
    names = (copies.ATTR, copies.PART, copies.IDENT)
    assert verdicts(copy) == dict.fromkeys(names, "official")
    for name in names:
        (copy / name).write_bytes((copy / name).read_bytes().replace(b"\r\n", b"\n"))
    assert verdicts(copy) == dict.fromkeys(names, "official but for line endings")
    text = (copy / copies.ATTR).read_text()
    (copy / copies.ATTR).write_text(text.replace("-1", " 1", 1))
    (copy / copies.IDENT).unlink()
    assert verdicts(copy) == {copies.ATTR: "different", copies.PART: "official but for line endings"} | {
        copies.IDENT: "missing"
    }
    assert "list_attr_celeba.txt is not the official file" in check(copy)[1]


def test_the_archive_is_official_by_size_and_md5(copy, monkeypatch):
    copies.deflated_zip(copy)
    path = copy / "img_align_celeba.zip"
    assert verdicts(copy)[path.name] == "different"
    monkeypatch.setitem(OFFICIAL_FILES, path.name, (hashlib.md5(path.read_bytes()).hexdigest(), path.stat().st_size))
    assert verdicts(copy)[path.name] == "official"


def whole(monkeypatch, dataset):
    """Make the drawn copy the whole of an official CelebA: its splits, its positives and its files."""
    monkeypatch.setattr(Dataset, "has_official_splits", True)
    monkeypatch.setattr("helpers.data.celeba.OFFICIAL_SIZES", dataset.split_sizes)
    monkeypatch.setattr(datacheck, "OFFICIAL_SIZES", dataset.split_sizes)
    monkeypatch.setattr(datacheck, "WHOLE", len(dataset.annotations))
    monkeypatch.setattr("helpers.data.celeba.OFFICIAL_POSITIVES", positives(dataset.annotations))


def test_the_whole_official_celeba_is_sound(copy, monkeypatch):
    as_official(monkeypatch, copy)
    whole(monkeypatch, open_dataset(str(copy)))
    status, said, found = check(copy)
    assert status == 0 and not found["findings"] and "sound" in said


def test_the_copies_that_celeba_is_known_for_are_a_note_and_others_a_remark(copy, monkeypatch):
    as_official(monkeypatch, copy)
    a_test_image_in_train(copy)
    whole(monkeypatch, open_dataset(str(copy)))
    assert check(copy)[0] == 1
    known = {"extra": 1, "train/valid": 0, "train/test": 1, "valid/test": 0}
    monkeypatch.setattr(datacheck, "OFFICIAL_COPIES", known)
    status, said, found = check(copy)
    assert status == 0 and "as in the official CelebA" in said and found["findings"][0]["severity"] == "note"
    assert set(known) == set(OFFICIAL_COPIES) and sum(OFFICIAL_COPIES.values()) == 131 + 37


def test_other_labels_in_an_otherwise_official_copy_are_remarked(copy, monkeypatch):
    whole(monkeypatch, open_dataset(str(copy)))
    text = (copy / copies.ATTR).read_text()
    (copy / copies.ATTR).write_text(text.replace("-1", " 1"))
    assert "the labels are not the official ones" in check(copy)[1]


def test_what_was_found_about_the_images_is_kept_and_found_anew_when_one_changes(copy, monkeypatch):
    examine(open_dataset(str(copy)))
    monkeypatch.setattr("helpers.data.celeba.inspect", lambda *_: pytest.fail("looked at again"))
    examine(open_dataset(str(copy)))
    monkeypatch.undo()
    cut_short(copy)
    assert list(examine(open_dataset(str(copy)))["images"]["unreadable"]) == ["000006.jpg"]


def test_a_zip_that_is_damaged_after_a_check_is_read_anew(copy):
    copies.zip_images(copy / copies.IMAGES, copy / "img_align_celeba.zip")
    assert check(copy)[0] == 1
    dataset, path = open_dataset(str(copy)), copy / "img_align_celeba.zip"
    data = bytearray(path.read_bytes())
    data[data.index(dataset.images.read("000100.jpg")) + 500] ^= 0xFF
    path.write_bytes(data)
    status, said, _ = check(copy)
    assert status == 2 and "000100.jpg cannot be read (wrong checksum)" in said


def test_another_zip_with_the_same_list_is_read_anew(copy, monkeypatch, tmp_path):
    """The same names, sizes and CRCs in one cache folder, but packed in a way that cannot be read."""
    monkeypatch.setenv("CELEBA_CACHE", str(tmp_path / "cache"))
    other = tmp_path / "other"
    shutil.copytree(copy, other)
    copies.zip_images(copy / copies.IMAGES, copy / "img_align_celeba.zip")
    copies.zip_images(other / copies.IMAGES, other / "img_align_celeba.zip", zipfile.ZIP_BZIP2)
    assert open_dataset(str(copy)).fingerprint == open_dataset(str(other)).fingerprint
    assert check(copy)[0] == 1
    status, said, _ = check(other)
    assert status == 2 and "300 images cannot be read" in said and "compression method 12 is not supported" in said


def test_a_parquet_file_that_changes_is_read_anew(copy, monkeypatch):
    copies.parquet_with_booleans(copy)
    examine(open_dataset(str(copy)))
    os.utime(next(copy.rglob("test-*.parquet")), (1, 1))
    monkeypatch.setattr("helpers.data.celeba.inspect", lambda *_: pytest.fail("looked at again"))
    with pytest.raises(pytest.fail.Exception, match="looked at again"):
        examine(open_dataset(str(copy)))


def set_label(root, attribute, value, rows=slice(2, None)):
    """Set an attribute of some rows of the attribute file."""
    lines = [line.split() for line in (root / copies.ATTR).read_text().splitlines()]
    column = lines[1].index(attribute) + 1
    for fields in lines[rows]:
        fields[column] = value
    (root / copies.ATTR).write_text("\n".join(map(" ".join, lines)) + "\n")


def test_an_attribute_with_one_value_only_is_told_and_is_no_fault(copy):
    set_label(copy, "Male", "1")
    status, said, _ = check(copy)
    assert status == 1 and "Male is the same for all images of a split (train: 240 of 240 images; valid: " in said
    assert "fault" not in said and "nan" not in said


def test_an_empty_test_split_is_one_fault_and_no_traceback(copy):
    text = (copy / copies.PART).read_text().replace(" 2\n", " 0\n")
    (copy / copies.PART).write_text(text)
    status, said, found = check(copy)
    assert status == 2 and [f["what"] for f in found["findings"] if f["severity"] == "fault"] == ["no image in test."]
    assert "test: 0 of 0" not in said


def test_images_that_are_not_listed_are_counted(copy):
    lines = (copy / copies.ATTR).read_text().splitlines()
    (copy / copies.ATTR).write_text("\n".join(lines[1:-7]) + "\n")
    assert "7 images are there that the annotations do not list" in check(copy)[1]


def test_a_copy_that_lists_a_part_of_celeba_is_a_part_and_not_sound(copy, monkeypatch):
    as_official(monkeypatch, copy)
    whole(monkeypatch, open_dataset(str(copy)))
    monkeypatch.setattr(datacheck, "WHOLE", 202_599)
    status, said, _ = check(copy)
    assert status == 1 and "a part of CelebA: the copy lists 300 of its 202,599 images" in said


def test_missing_images_are_named(copy):
    one_missing(copy)
    _, said, found = check(copy)
    assert found["images"]["missing"] == ["000006.jpg"] and "missing: 000006.jpg" in said


def test_copies_in_valid_and_test_are_told_without_advice_that_does_not_help(copy):
    splits = copies.rows_of(copy)[2]
    valid, test = (next(path for path in images(copy) if splits[path.name] == s) for s in "12")
    valid.write_bytes(test.read_bytes())
    (finding,) = [f for f in check(copy)[2]["findings"] if "two splits: 1 valid/test" in f["what"]]
    assert "drop_duplicates" not in finding["do"] and "never dropped" in finding["do"]


def test_a_copy_that_is_not_recognised_has_its_json_too(tmp_path):
    Image.new("RGB", (178, 218)).save(tmp_path / "000001.jpg")
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path)])
    found = json.loads((tmp_path / "cache" / f"check-{tmp_path.name}.json").read_text())
    assert result.exit_code == found["status"] == 2
    assert "images only" in found["findings"][0]["what"] and "Four ways" in found["findings"][0]["do"]


def test_a_json_that_cannot_be_written_does_not_change_the_verdict(copy):
    result = CliRunner().invoke(app, ["data", "check", str(copy), "--json", "/dev/null/check.json"])
    assert result.exit_code == 1 and "could not be written" in result.stdout


def test_an_error_of_our_own_is_never_the_exit_status_of_a_usable_copy(copy, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda _: 1 / 0)
    assert CliRunner().invoke(app, ["data", "check", str(copy)]).exit_code == 2


def test_without_json_the_check_is_written_beside_the_cache(copy):
    result = CliRunner().invoke(app, ["data", "check", str(copy)])
    assert json.loads((copy / "cache" / f"check-{copy.name}.json").read_text())["status"] == result.exit_code == 1
    assert f"check-{copy.name}.json" in result.stdout.replace("\n", "")


def test_a_copy_named_by_the_environment_has_its_json_too(copy, monkeypatch):
    monkeypatch.setenv("CELEBA_ROOT", str(copy))
    assert CliRunner().invoke(app, ["data", "check"]).exit_code == 1
    assert (copy / "cache" / f"check-{copy.name}.json").is_file()


@pytest.mark.slow
def test_workers_find_what_one_process_finds(copy, monkeypatch):
    from helpers.data import decoding

    cut_short(copy)
    dataset = open_dataset(str(copy))
    names = list(dataset.annotations.index)
    alone = decoding.inspect(dataset.images, names)
    monkeypatch.setattr(decoding, "workers_for", lambda _: 2)
    monkeypatch.setattr(decoding, "PART", 40)
    assert (decoding.inspect(dataset.images, names) == alone).all() and (alone["problem"] != "").sum() == 1
