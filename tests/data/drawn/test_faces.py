"""The drawn faces are a CelebA in small: its files, its rates, its splits by person, and always the same."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers.config import ATTRIBUTES
from helpers.data.drawn import faces
from helpers.data.drawn.people import draw_person
from helpers.data.drawn.photos import draw_photo
from helpers.data.drawn.portrait import draw_face, eye_positions
from helpers.errors import StudyError

COUNT = 60


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces") / "drawn"
    faces.draw_dataset(root, COUNT, seed=3, progress=False)
    return root


def _contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_attribute_file_has_celebas_count_line_header_and_signs(drawn):
    text = (drawn / "list_attr_celeba.txt").read_bytes().decode()
    count, header, *rows = text.split("\n")[:-1]
    assert count == str(COUNT) and "\r" not in text
    assert header == " ".join(faces.CELEBA_ATTRIBUTES) + " " and header.startswith("5_o_Clock_Shadow Arched")
    assert len(faces.CELEBA_ATTRIBUTES) == 40 == len(set(faces.CELEBA_ATTRIBUTES))
    assert len(rows) == COUNT and rows[0].startswith("000001.jpg ")
    for row in rows:
        signs = row[len("000001.jpg") :]
        assert len(signs) == 3 * 40 and {signs[i : i + 3] for i in range(0, 120, 3)} <= {"  1", " -1"}


@pytest.mark.parametrize(
    ("name", "allowed"), [("list_eval_partition.txt", "012"), ("identity_CelebA.txt", "0123456789")]
)
def test_partition_and_identity_files_end_their_lines_as_celeba_does(drawn, name, allowed):
    lines = (drawn / name).read_bytes().decode().split("\r\n")
    assert lines.pop() == "" and len(lines) == COUNT
    for number, line in enumerate(lines, start=1):
        image, value = line.split(" ")
        assert image == f"{number:06d}.jpg" and set(value) <= set(allowed)


def test_images_are_rgb_jpegs_of_celebas_size_and_one_a_row(drawn):
    paths = sorted((drawn / "img_align_celeba").iterdir())
    assert [path.name for path in paths] == [f"{number:06d}.jpg" for number in range(1, COUNT + 1)]
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (178, 218))


def test_labels_in_the_file_are_the_plans(drawn):
    plan = faces.plan_faces(COUNT, seed=3)
    rows = (drawn / "list_attr_celeba.txt").read_text().splitlines()[2:]
    for name in ATTRIBUTES:
        column = 1 + faces.CELEBA_ATTRIBUTES.index(name)
        told = [int(row.split()[column]) == 1 for row in rows]
        assert told == plan[f"label_{name}"].tolist()


def test_rates_are_celebas_on_every_split_even_for_few_faces():
    for seed in range(4):
        plan = faces.plan_faces(600, seed)
        for name, rate in faces.RATES.items():
            assert plan[f"label_{name}"].mean() == pytest.approx(rate, abs=0.004)
            for _, rows in plan.groupby("split"):
                assert rows[f"label_{name}"].mean() == pytest.approx(rate, abs=0.5 / len(rows) + 1e-9)


def test_attributes_occur_together_as_in_life():
    plan = faces.plan_faces(6000, seed=0)
    men, old = plan["Male"], ~plan["Young"]
    assert plan["Smiling"][~men].mean() > plan["Smiling"][men].mean() + 0.05
    assert plan["Wearing_Hat"][men].mean() > 1.5 * plan["Wearing_Hat"][~men].mean()
    assert plan["Eyeglasses"][men].mean() > 2 * plan["Eyeglasses"][~men].mean()
    assert plan["Eyeglasses"][old].mean() > 1.5 * plan["Eyeglasses"][~old].mean()
    assert plan["Young"][~men].mean() > plan["Young"][men].mean() + 0.1


def test_no_person_is_in_two_splits_and_each_keeps_sex_and_age():
    plan = faces.plan_faces(3200, seed=5)
    people = plan.groupby("identity")
    assert (people[["split", "Male", "Young"]].nunique() == 1).all(axis=None)
    assert plan["split"].value_counts(normalize=True).sort_index().tolist() == pytest.approx([0.8, 0.1, 0.1])
    assert people.size().mean() == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_label_noise_flips_as_many_positives_as_negatives(seed):
    for _, split in faces.plan_faces(3200, seed).groupby("split"):
        for name in ATTRIBUTES:
            truth, label = split[name], split[f"label_{name}"]
            wrong = faces.LABEL_NOISE * min(truth.sum(), (~truth).sum())
            assert (truth & ~label).sum() == (~truth & label).sum() == pytest.approx(wrong, abs=0.5)


def test_same_seed_same_bytes_and_other_seed_other_faces(drawn, tmp_path):
    faces.draw_dataset(tmp_path / "again", COUNT, seed=3, progress=False)
    faces.draw_dataset(tmp_path / "other", COUNT, seed=4, progress=False)
    assert _contents(tmp_path / "again") == _contents(drawn)
    images = [path for path in _contents(drawn) if path.suffix == ".jpg"]
    assert all((tmp_path / "other" / path).read_bytes() != (drawn / path).read_bytes() for path in images)


@pytest.mark.slow
def test_workers_draw_the_same_bytes_as_one_process(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(faces, "IN_PROCESS", 1)
    monkeypatch.setattr(faces, "CHUNK", 30)
    faces.draw_dataset(tmp_path / "parallel", COUNT, seed=3, progress=False)
    assert _contents(tmp_path / "parallel") == _contents(drawn)


def test_eyes_are_where_celeba_aligns_them():
    eyes = []
    for number in range(400):
        rng = np.random.default_rng(number)
        person = draw_person(rng, male=number % 2 == 0, young=True)
        eyes.append(eye_positions(draw_photo(rng, person, smiling=False, hat=False, glasses=False)))
    assert np.mean(eyes, axis=0) == pytest.approx(np.array([[69, 111], [108, 111]]), abs=0.6)
    assert (np.std(eyes, axis=0) > 1).all() and (np.std(eyes, axis=0) < 4).all()


WORN = {
    "Smiling": {"smiling": True, "mouth": "teeth", "smile": 5.0},
    "Wearing_Hat": {"hat": "beanie"},
    "Eyeglasses": {"glasses": "round"},
}


@pytest.mark.parametrize("name", WORN)
def test_each_attribute_of_the_photo_is_told_and_shows_on_the_picture(name):
    rng = np.random.default_rng(1)
    person = draw_person(rng, male=True, young=True)
    plain = draw_photo(rng, person, smiling=False, hat=False, glasses=False)
    worn = dataclasses.replace(plain, **WORN[name])
    assert not faces.all_attributes(person, plain)[name] and faces.all_attributes(person, worn)[name]
    before, after = (np.asarray(draw_face(np.random.default_rng(2), person, photo), int) for photo in (plain, worn))
    assert abs(before - after).mean() > 0.3  # of 255, over the whole picture


def test_all_drawn_attributes_agree_with_what_was_asked():
    names = {"smiling": "Smiling", "hat": "Wearing_Hat", "glasses": "Eyeglasses"}
    for number in range(320):
        rng = np.random.default_rng(number)
        male, young, *worn = (bool(number & bit) for bit in (1, 2, 4, 8, 16))
        person = draw_person(rng, male, young)
        asked = dict(zip(names, worn, strict=True))
        told = faces.all_attributes(person, draw_photo(rng, person, **asked))
        assert tuple(told) == faces.CELEBA_ATTRIBUTES
        assert (told["Male"], told["Young"]) == (male, young)
        assert {key: told[name] for key, name in names.items()} == asked


def test_a_whole_dataset_is_not_drawn_again_but_one_of_other_settings_is(tmp_path):
    root = tmp_path / "drawn"
    faces.draw_dataset(root, COUNT, seed=0, progress=False)
    mine = root / "notes.md"
    mine.write_text("kept")
    (root / "img_align_celeba/000001.jpg").write_bytes(b"touched")
    faces.draw_dataset(root, COUNT, seed=0, progress=False)
    assert (root / "img_align_celeba/000001.jpg").read_bytes() == b"touched"
    faces.draw_dataset(root, COUNT + 1, seed=0, progress=False)
    assert (root / "img_align_celeba/000001.jpg").read_bytes() != b"touched"
    assert json.loads((root / "drawn.json").read_text())["count"] == COUNT + 1
    assert mine.read_text() == "kept" and [path.name for path in tmp_path.iterdir()] == ["drawn"]


@pytest.mark.parametrize("foreign", ["photo.jpg", "drawn.json"])
def test_a_folder_that_is_not_ours_is_refused_and_left_alone(tmp_path, foreign):
    (tmp_path / foreign).write_text("mine")
    with pytest.raises(StudyError, match="not drawn faces"):
        faces.draw_dataset(tmp_path, COUNT, progress=False)
    assert _contents(tmp_path).popitem()[1] == b"mine" and len(list(tmp_path.iterdir())) == 1


def test_a_broken_off_drawing_leaves_nothing_behind(tmp_path, monkeypatch):
    def stop(task):
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "_draw_chunk", stop)
    with pytest.raises(KeyboardInterrupt):
        faces.draw_dataset(tmp_path / "drawn", COUNT, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_faces_that_another_process_has_drawn_meanwhile_stay(tmp_path, monkeypatch):
    root, write = tmp_path / "drawn", faces._write_dataset

    def as_another_does(folder, settings, progress):
        if not root.exists():
            root.mkdir()
            write(root, settings, False)
            (root / "cache").mkdir()
        write(folder, settings, progress)

    monkeypatch.setattr(faces, "_write_dataset", as_another_does)
    faces.draw_dataset(root, COUNT, progress=False)
    assert (root / "cache").is_dir() and [path.name for path in tmp_path.iterdir()] == ["drawn"]


@pytest.mark.parametrize("count", [-1, 0, 59, 200_001])
def test_a_count_out_of_range_is_refused(tmp_path, count):
    with pytest.raises(StudyError, match="60 to 200000"):
        faces.draw_dataset(tmp_path / "drawn", count)
    assert list(tmp_path.iterdir()) == []


def test_drawing_needs_neither_torch_nor_jupyter():
    code = "import sys, helpers.data.drawn.faces; sys.exit(bool({'torch', 'IPython', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
