"""Drawn faces: a small dataset that anyone may use, with CelebA's file formats and positive rates.

The attributes are chosen first, by quota, so that the rates hold even for few images; then each face is drawn with its
attributes. Some labels are wrong on purpose, as many positives as negatives: 1.48 % of all labels with the rates below.
Even a perfect model therefore reaches a mean accuracy of about 0.985, never 1.
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTE_FILE, ATTRIBUTES, DRAWN_MARK, IDENTITY_FILE, IMAGE_FOLDER, PARTITION_FILE
from helpers.data.drawn.people import Person, Photo, draw_person
from helpers.data.drawn.photos import draw_photo
from helpers.data.drawn.portrait import draw_face
from helpers.data.official import CELEBA_ATTRIBUTES
from helpers.errors import StudyError
from helpers.system.progress import bar
from helpers.system.workers import cores, in_order

VERSION = 2  # of the drawing: to be increased when the same seed gives other files
# The positive rates of CelebA's official train split.
RATES = {"Smiling": 0.4797, "Wearing_Hat": 0.0494, "Male": 0.4194, "Young": 0.7789, "Eyeglasses": 0.0646}
YOUNG_MEN = 0.65  # the share of the young among men, lower than among women
SPLIT_SHARES = (0.8, 0.1, 0.1)  # train, valid, test
IMAGES_PER_PERSON = 20
LABEL_NOISE = 0.03  # share of wrong labels in an attribute's rarer class; as many in the other class are wrong
FEWEST, MOST = 60, 200_000
IN_PROCESS = 400  # below this many faces, starting workers costs more than it saves
CHUNK = 100  # faces per task of a worker


def draw_dataset(root: Path, count: int = 2400, seed: int = 0, progress: bool = True) -> None:
    """Draw `count` faces into `root`, in CelebA's file layout.

    A complete dataset with the same count and seed is kept; one with others is replaced. A killed call leaves `root`
    unchanged. Raises StudyError if the count is out of range, if `root` holds files that are not drawn faces, or if it
    cannot be written.
    """
    root = Path(root)
    if not FEWEST <= count <= MOST:
        raise StudyError(f"{count} faces cannot be drawn. Choose a count from {FEWEST} to {MOST}.")
    settings = {"drawn": True, "count": count, "seed": seed, "version": VERSION, "label_noise": LABEL_NOISE}
    if _found_settings(root) == settings:
        return
    fresh = None
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
        _write_dataset(fresh, settings, progress)
        if _found_settings(root) != settings:  # else another process has drawn them meanwhile, and may read them now
            _put_in_place(fresh, root)
    except OSError as error:
        raise StudyError(
            f"The faces cannot be drawn into {root} ({error.strerror or error}). Free some space, or name another "
            "folder (data draw --root DIR, or CELEBA_STUDY_HOME)."
        ) from error
    finally:
        if fresh:
            shutil.rmtree(fresh, ignore_errors=True)


def _found_settings(root: Path) -> dict | None:
    """Return the settings that `root` was drawn with, or None if it is empty; raise StudyError for other files."""
    if not root.exists():
        return None
    try:
        return json.loads((root / DRAWN_MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if root.is_dir() and not any(root.iterdir()):
            return None
    raise StudyError(f"{root} holds files that are not drawn faces. Name an empty folder, or move the files.")


def _put_in_place(fresh: Path, root: Path) -> None:
    """Rename the folder `fresh` to `root`; drawn faces in `root` are replaced, other files stay."""
    fresh.chmod(0o755)  # only their owner may open the folders of mkdtemp
    if root.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{root.name}-old-", dir=root.parent))
        for path in root.iterdir():
            ours = (fresh / path.name).exists()
            path.rename((old if ours else fresh) / path.name)
        root.rmdir()
        shutil.rmtree(old, ignore_errors=True)
    fresh.rename(root)


def _write_dataset(folder: Path, settings: dict, progress: bool) -> None:
    plan = plan_faces(settings["count"], settings["seed"])
    (folder / IMAGE_FOLDER).mkdir()
    attributes = _draw_all(folder / IMAGE_FOLDER, plan, settings["seed"], progress)
    attributes[list(ATTRIBUTES)] = plan[[f"label_{name}" for name in ATTRIBUTES]].to_numpy()
    _write_text(folder / ATTRIBUTE_FILE, _attribute_lines(plan.index, attributes))
    splits = (f"{name} {split}\r\n" for name, split in plan["split"].items())
    _write_text(folder / PARTITION_FILE, splits)
    people = (f"{name} {identity}\r\n" for name, identity in plan["identity"].items())
    _write_text(folder / IDENTITY_FILE, people)
    _write_text(folder / DRAWN_MARK, [json.dumps(settings) + "\n"])


def _write_text(path: Path, lines) -> None:
    path.write_bytes("".join(lines).encode("ascii"))  # bytes, so that Windows does not change the line ends


def _attribute_lines(names, attributes: pd.DataFrame):
    yield f"{len(names)}\n"
    yield " ".join(CELEBA_ATTRIBUTES) + " \n"
    signs = np.where(attributes[list(CELEBA_ATTRIBUTES)].to_numpy(bool), " 1", "-1")
    for name, row in zip(names, signs, strict=True):
        yield f"{name} {' '.join(row)}\n"


def plan_faces(count: int, seed: int) -> pd.DataFrame:
    """Return the person and the attributes of each image, before anything is drawn.

    One row per image, indexed by file name: split (0, 1, 2), identity, the five attributes as they will be drawn, and
    `label_` + attribute as they will be labelled (bool).
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    splits = [_plan_split(rng, size) for size in _quota(count, SPLIT_SHARES)]
    plan = pd.concat(splits, keys=range(len(splits)), names=["split"]).reset_index("split")
    people = pd.factorize(pd.MultiIndex.from_frame(plan[["split", "person"]]))[0]
    plan["identity"] = rng.permutation(people.max() + 1)[people] + 1
    plan.index = [f"{number:06d}.jpg" for number in range(1, count + 1)]
    return plan.drop(columns="person")


def _quota(total: int, shares) -> np.ndarray:
    """Return whole numbers that sum to `total` in the proportions `shares` (largest remainder method)."""
    exact = total * np.asarray(shares) / np.sum(shares)
    parts = np.floor(exact).astype(int)
    parts[np.argsort(parts - exact, kind="stable")[: total - parts.sum()]] += 1
    return parts


def _plan_split(rng: np.random.Generator, size: int) -> pd.DataFrame:
    """Return `size` images in random order, in which each attribute has its rate."""
    split = _cast(rng, size)
    men, old = split["Male"], ~split["Young"]
    # Relative odds: women smile more; men wear more hats and glasses, and older people more glasses.
    odds = {
        "Smiling": np.where(men, 1.0, 1.6),
        "Wearing_Hat": np.where(men, 2.7, 1.0),
        "Eyeglasses": np.where(men, 5.0, 1.0) * np.where(old, 3.0, 1.0),
    }
    for name, weights in odds.items():
        split[name] = _choose(rng, weights, round(RATES[name] * size))
    for name in ATTRIBUTES:
        split[f"label_{name}"] = mislabel(rng, split[name].to_numpy())
    return split.iloc[rng.permutation(size)]


def _cast(rng: np.random.Generator, size: int) -> pd.DataFrame:
    """Return `size` images with person (a number), Male and Young; about twenty images per person."""
    men = round(RATES["Male"] * size)
    young_men = round(YOUNG_MEN * men)
    young_women = round(RATES["Young"] * size) - young_men
    groups = {
        (True, True): young_men,
        (True, False): men - young_men,
        (False, True): young_women,
        (False, False): size - men - young_women,
    }
    rows, person = [], 0
    for (male, young), images in groups.items():
        people = max(1, round(images / IMAGES_PER_PERSON))
        for part in rng.multinomial(images, rng.dirichlet(np.full(people, 12.0))):
            rows += [(person, male, young)] * part
            person += 1
    return pd.DataFrame(rows, columns=["person", "Male", "Young"])


def _choose(rng: np.random.Generator, odds: np.ndarray, count: int) -> np.ndarray:
    """Return a mask with exactly `count` true values, drawn with weights `odds` (Efraimidis and Spirakis, 2006)."""
    keys = np.log(rng.random(len(odds))) / odds
    mask = np.zeros(len(odds), bool)
    mask[np.argsort(-keys)[:count]] = True
    return mask


def mislabel(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """Return `truth` (N,) bool with some labels flipped, as many positives as negatives, which keeps the rate."""
    positives, negatives = np.flatnonzero(truth), np.flatnonzero(~truth)
    wrong = round(LABEL_NOISE * min(len(positives), len(negatives)))
    label = truth.copy()
    label[rng.choice(positives, wrong, replace=False)] = False
    label[rng.choice(negatives, wrong, replace=False)] = True
    return label


def _draw_all(folder: Path, plan: pd.DataFrame, seed: int, progress: bool) -> pd.DataFrame:
    """Draw every face of the plan into `folder`; return the attributes as drawn, one row per image."""
    columns = ["identity", "Male", "Young", "Smiling", "Wearing_Hat", "Eyeglasses"]
    rows = list(enumerate(plan[columns].itertuples(index=False, name=None), start=1))
    tasks = [(folder, seed, rows[first : first + CHUNK]) for first in range(0, len(rows), CHUNK)]
    workers = min(cores(), len(tasks), 8) if len(rows) >= IN_PROCESS else 1
    drawn = []
    with bar(None, disable=not progress, total=len(rows), desc="drawing faces", unit="faces") as shown:
        for chunk in in_order(_draw_chunk, tasks, workers):
            drawn += chunk
            shown.update(len(chunk))
    return pd.DataFrame(drawn)


def _draw_chunk(task: tuple) -> list[dict[str, bool]]:
    """Draw and save some faces; return their 40 attributes."""
    folder, seed, rows = task
    attributes = []
    for number, (identity, male, young, *worn) in rows:
        person = draw_person(np.random.default_rng(np.random.SeedSequence([seed, 1, identity])), male, young)
        # One generator per face, so that its picture does not depend on the worker or the order.
        rng = np.random.default_rng(np.random.SeedSequence([seed, 2, number]))
        photo = draw_photo(rng, person, *worn)
        draw_face(rng, person, photo).save(folder / f"{number:06d}.jpg", quality=90)
        attributes.append(all_attributes(person, photo))
    return attributes


def all_attributes(person: Person, photo: Photo) -> dict[str, bool]:
    """Return CelebA's 40 attributes, as far as the drawing shows them, without label noise."""
    found = _hair_attributes(person, photo) | _face_attributes(person, photo) | _worn_attributes(person, photo)
    return {name: bool(found.get(name, False)) for name in CELEBA_ATTRIBUTES}


def _hair_attributes(person: Person, photo: Photo) -> dict:
    shown = not person.bald
    receding = shown and person.recede > 8
    return {
        "Bald": person.bald,
        "Bangs": shown and photo.fringe and not receding and not photo.hat,
        "Black_Hair": shown and person.hair_name == "black",
        "Blond_Hair": shown and "blond" in person.hair_name,
        "Brown_Hair": shown and "brown" in person.hair_name,
        "Gray_Hair": person.hair_name in ("gray", "white"),
        "Receding_Hairline": receding,
        "Straight_Hair": shown and photo.curl < 0.25,
        "Wavy_Hair": shown and 0.25 <= photo.curl < 0.7,
        "5_o_Clock_Shadow": photo.beard == "stubble",
        "Goatee": photo.beard == "goatee",
        "Mustache": photo.beard in ("moustache", "goatee"),
        "No_Beard": photo.beard in ("", "moustache"),
        "Sideburns": photo.beard == "full",
    }


def _face_attributes(person: Person, photo: Photo) -> dict:
    return {
        "Male": person.male,
        "Young": person.young,
        "Smiling": photo.smiling,
        "Mouth_Slightly_Open": photo.mouth != "closed",
        "High_Cheekbones": photo.smiling and photo.smile > 4,
        "Attractive": person.young and (photo.makeup > 0.3 or (person.male and person.jaw > 0.8)),
        "Bags_Under_Eyes": person.wrinkles > 0.3,
        "Arched_Eyebrows": person.brow_arch > 3.2,
        "Bushy_Eyebrows": person.brow > 5.1,
        "Big_Lips": person.lips > 5.2,
        "Big_Nose": person.nose_width > 10.6,
        "Pointy_Nose": person.nose_width < 8.6,
        "Chubby": person.face_width > 49.5,
        "Double_Chin": person.face_width > 49.5 and not person.young,
        "Narrow_Eyes": person.eye_height < 4.4,
        "Oval_Face": person.jaw < 0.74,
        "Pale_Skin": sum(person.skin) > 660,
    }


def _worn_attributes(person: Person, photo: Photo) -> dict:
    return {
        "Eyeglasses": photo.glasses != "",
        "Wearing_Hat": photo.hat != "",
        "Heavy_Makeup": photo.makeup > 0.55,
        "Rosy_Cheeks": photo.makeup > 0.7,
        "Wearing_Lipstick": photo.makeup > 0.4,
        "Wearing_Earrings": photo.earrings and not photo.hood,
        "Wearing_Necklace": photo.necklace and photo.clothes not in ("roll", "scarf"),
        "Wearing_Necktie": photo.necktie and photo.clothes == "shirt",
    }
