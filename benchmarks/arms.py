"""The networks and recipes that accuracy.py compares, and how they are trained."""

import contextlib
import dataclasses
import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from ideas import (
    IDEAS,
    AllAttributes,
    answers_to_all,
    augment_affine,
    augmented_views,
    batches_of_views,
    draw_affine,
    only_the_five,
    with_all_targets,
)
from torch import nn

from helpers.config import CHECKPOINTS, RECIPE, Config
from helpers.data.batches import Split
from helpers.data.celeba import Dataset, open_dataset
from helpers.errors import StudyError
from helpers.evaluation.metrics import probabilities
from helpers.models.checkpoints import load_checkpoint, save_checkpoint
from helpers.models.networks import Mirrored, build_for
from helpers.system.files import write_text
from helpers.system.records import file_digest
from helpers.training import loop
from helpers.training.loop import KeepBest, evaluate, fit, predict_logits
from helpers.training.trials import Job

FOLDER = CHECKPOINTS / "accuracy"
SEEDS = (42, 43, 44)  # teachers are of all of them, and so are the arms for which test is opened


@dataclass(frozen=True)
class Arm:
    """A network and a recipe.

    `over` names the arm that it is one step from, and is compared with; `adds` says that step in words. With
    `teachers`, an arm's name, the mean answer of that arm's networks takes the place of the labels
    (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, at temperature 1). `ideas`: see ideas.py.
    """

    config: Config
    adds: str
    over: str = ""
    teachers: str = ""
    ideas: tuple[str, ...] = ()

    @property
    def all_attributes(self) -> bool:
        return "all attributes" in self.ideas


COURSE = Config(lr=0.005, weight_decay=1e-5, batch_size=64, max_epochs=20)  # the course's recipe exactly
EMA = 0.998  # decay per step
SETTLED = COURSE.but(**RECIPE).but(weight_decay=0.05, mirror=False)
AVERAGED = SETTLED.but(ema=EMA)
COMPACT = AVERAGED.but(mirror=True, arch="compact")
DECAYED = COMPACT.but(weight_decay=RECIPE["weight_decay"])
FINE = DECAYED.but(arch="fine", weight_decay=0.05, dropout=0.2)
TEACHER_SEEDS = (42, 43)  # of the teachers that answer views
VIEWS = 12  # augmented copies of the training images that the teachers answer, 0.65 GB each for a third of CelebA
ARMS = {
    "course": Arm(COURSE, "the course's network and recipe"),
    "course_adamw_one_cycle": Arm(SETTLED, "AdamW, one cycle, batches of 128", over="course"),
    "course_ema": Arm(AVERAGED, "EMA (0.998 per step)", over="course_adamw_one_cycle"),
    "course_mirror": Arm(AVERAGED.but(mirror=True), "predictions averaged with the mirror image", over="course_ema"),
    "compact_network": Arm(COMPACT, "the compact network", over="course_mirror"),
    "compact_course_recipe": Arm(COURSE.but(arch="compact"), "back to the course's recipe", over="compact_network"),
    "compact_decay": Arm(DECAYED, "six times the weight decay", over="compact_network"),
    "compact_unaveraged": Arm(DECAYED.but(ema=0.0), "without EMA", over="compact_decay"),
    "compact_mild": Arm(
        DECAYED, "rotation ±5°, jitter 0.1, hue 0.02", over="compact_decay", ideas=("mild augmentation",)
    ),
    "compact_mixup": Arm(DECAYED, "mixup", over="compact_decay", ideas=("mixup",)),
    "compact_attributes": Arm(DECAYED, "trained on all 40 attributes", over="compact_decay", ideas=("all attributes",)),
    "compact_distilled": Arm(DECAYED, "distilled from three teachers", over="compact_decay", teachers="compact_decay"),
    "compact_taught": Arm(
        DECAYED,
        "distilled from three teachers, mild augmentation",
        over="compact_decay",
        teachers="compact_decay",
        ideas=("mild augmentation",),
    ),
    "compact": Arm(
        DECAYED,
        "distilled for all 40 attributes, mild augmentation",
        over="compact_taught",
        teachers="compact_attributes",
        ideas=("all attributes", "mild augmentation"),
    ),
    # From here on trained on a third of CelebA
    "compact_affine": Arm(
        DECAYED,
        "rotation ±15°, scale and shift ±8 %, bilinear, no hue",
        over="compact_decay",
        ideas=("affine augmentation",),
    ),
    "fine": Arm(FINE, "a stem at full resolution, dropout 0.2", over="compact_affine", ideas=("affine augmentation",)),
    "fine_attributes": Arm(
        FINE, "trained on all 40 attributes", over="fine", ideas=("all attributes", "affine augmentation")
    ),
    "fine_deep": Arm(
        FINE.but(arch="fine_deep"),
        "narrower stages, two blocks in two of them",
        over="fine_attributes",
        ideas=("all attributes", "affine augmentation"),
    ),
    "teacher": Arm(
        FINE.but(arch="teacher", mirror=False, max_epochs=24),
        "4.0 million parameters",
        ideas=("all attributes", "affine augmentation"),
    ),
    "fine_taught": Arm(
        FINE.but(arch="fine_deep", dropout=0.0, max_epochs=36),
        "distilled from two teachers on augmented images, 36 epochs, no dropout",
        over="fine_deep",
        teachers="teacher",
        ideas=("all attributes", "views"),
    ),
}


def trained_alike(names: list[str]) -> list[list[str]]:
    """Group the arms that one training serves: the average of the weights and the mirror image only look on."""
    groups: dict[Arm, list[str]] = {}
    for name in names:
        arm = ARMS[name]
        key = dataclasses.replace(arm, adds="", over="", config=arm.config.but(ema=0.0, mirror=False))
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def job(names: list[str], seed: int, precision: str, root: Path) -> Job:
    """Return the training of `train_together`, for `run_trials`."""
    return Job(partial(train_together, names, seed, precision, root), FOLDER / f"{'+'.join(names)}-{seed}.state")


def of_code(*files: Path) -> str:
    """Return a digest of these two modules and of further files that a training depends on: part of its state's name.

    So an interrupted training does not continue with other arms, ideas or teachers. `fit` itself knows the rest.
    """
    here = Path(__file__).parent
    digests = [file_digest(path) for path in (here / "arms.py", here / "ideas.py", *sorted(files))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:8]


def claim_folder(dataset: Dataset):
    """Let FOLDER hold trainings on this dataset alone; StudyError if it holds some on another one.

    A file is named after its arm and seed.
    """
    note = FOLDER / "dataset.txt"
    if note.exists() and note.read_text(encoding="utf-8") != dataset.fingerprint:
        raise StudyError(
            f"{FOLDER} holds trainings on other images. Move it away, or name a folder by CELEBA_STUDY_HOME."
        )
    write_text(note, dataset.fingerprint)


def train_together(
    names: list[str], seed: int, precision: str, root: Path, train: Split, valid: Split, resume: Path | None
) -> dict[str, dict]:
    """Train once for arms of one group; save each one's best checkpoint, and return its row: epoch and seconds.

    `root` is the dataset's folder; it is opened here, since a dataset with its open files cannot go to a worker.
    """
    dataset = open_dataset(str(root), allow_missing=True)
    arms = {name: ARMS[name] for name in names}
    first = next(iter(arms.values()))
    configs = {name: arm.config.but(seed=seed, precision=precision) for name, arm in arms.items()}
    config = configs[names[0]].but(ema=max(one.ema for one in configs.values()), mirror=False)
    model = build_for(config, train.device)
    look = Look(model, configs, valid)
    if resume:
        teachers = FOLDER.glob(f"{first.teachers}-*.pt") if first.teachers else ()
        resume = resume.with_name(f"{resume.stem}-{of_code(*teachers)}.state")
    if first.all_attributes:
        model.head, train = AllAttributes(model.head), with_all_targets(train, dataset)
    watches = "views" in first.ideas
    taught = teach(train, first) if first.teachers and not watches else train
    with contextlib.ExitStack() as changes:
        if watches:
            views = views_of(first, train, precision)
            changes.enter_context(patch.object(loop, "training_batches", batches_of_views(views, lambda: look.epochs)))
        for idea in first.ideas:
            changes.enter_context(IDEAS[idea]())
        label = f"{'+'.join(names)} seed {seed}"
        history = fit(model, taught, valid, config, on_epoch=look, label=label, resume=resume)
    spent = {"seconds_per_epoch": history["seconds"].median(), "threads": torch.get_num_threads()}
    rows = {}
    for name, one in configs.items():
        trained = Mirrored(model) if one.mirror else model
        trained.load_state_dict(look.best[name].weights)
        for old in FOLDER.glob(f"{name}-{seed}-*.npy"):
            old.unlink()
        network, row = build_for(one, train.device), look.best[name].row
        network.load_state_dict(only_the_five(trained.state_dict()))
        save_checkpoint(checkpoint(f"{name}-{seed}"), network, one, row["epoch"], row, dataset.source)
        if first.all_attributes:
            torch.save(trained.state_dict(), all_weights(f"{name}-{seed}"))
            if not watches:
                np.save(all_answers(f"{name}-{seed}"), answers_to_all(trained, model.head, train))
        rows[name] = {"seed": seed, "epoch": row["epoch"]} | spent
    if resume:
        resume.unlink(missing_ok=True)
    return rows


class Look:
    """An `on_epoch` that keeps the best epoch of each arm of a group, measured as that arm predicts."""

    def __init__(self, model: nn.Module, configs: dict[str, Config], valid: Split):
        self.model, self.configs, self.valid, self.epochs = model, configs, valid, 0
        self.best = {name: KeepBest() for name in configs}

    def __call__(self, row: dict, average: nn.Module):
        self.epochs = row["epoch"]
        for name, config in self.configs.items():
            network = average if config.ema else self.model
            network = Mirrored(network) if config.mirror else network
            loss = evaluate(network, self.valid, config.precision)["loss"]
            self.best[name]({"epoch": row["epoch"], "val_loss": loss}, network)

    def state_dict(self) -> dict:
        """Return what is kept, for the file from which an interrupted training continues."""
        return {"epochs": self.epochs, "best": {name: best.state_dict() for name, best in self.best.items()}}

    def load_state_dict(self, state: dict):
        """Take over what an interrupted training had kept; {} stands for the start of a new training."""
        self.epochs = state.get("epochs", 0)
        for name, best in self.best.items():
            best.load_state_dict(state.get("best", {}).get(name, {}))


def teach(train: Split, arm: Arm) -> Split:
    """Return the split with its labels replaced by the mean answer of the networks of the arm's teachers."""
    trained = [f"{arm.teachers}-{seed}" for seed in SEEDS]
    where = all_answers if arm.all_attributes else checkpoint
    if missing := [where(one) for one in trained if not where(one).exists()]:
        raise StudyError(f"These teachers are missing: {missing}. Run accuracy.py --arms {arm.teachers} first.")
    given = [np.load(where(one)) if arm.all_attributes else answers(one, train) for one in trained]
    logits = np.mean(given, axis=0)
    taught = torch.tensor(probabilities(logits), dtype=torch.float32, device=train.device)
    return dataclasses.replace(train, targets=taught)


def views_of(arm: Arm, train: Split, precision: str) -> list[Split]:
    """Return `VIEWS` augmented copies of the split with the answers of the arm's teachers; made once and kept."""
    if arm.teachers not in _views:
        teachers = [full_network(arm.teachers, seed, train.device) for seed in TEACHER_SEEDS]
        _views[arm.teachers] = augmented_views(train, teachers, VIEWS, precision, augment_affine, draw_affine)
    return _views[arm.teachers]


_views: dict[str, list[Split]] = {}


def full_network(name: str, seed: int, device: torch.device) -> nn.Module:
    """Return a trained network of an arm that answers for all attributes, in eval mode."""
    path = all_weights(f"{name}-{seed}")
    if not path.exists():
        raise StudyError(f"The teacher {path} is missing. Run accuracy.py --arms {name} first.")
    model = build_for(ARMS[name].config.but(mirror=False), device)
    model.head = AllAttributes(model.head)
    model.head.asked_all = True
    model.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    return model.eval()


def answers(trained: str, split: Split) -> np.ndarray:
    """Return the logits (N, 5) of a training (an arm and a seed) on a split, in fp32; computed once and kept."""
    path = FOLDER / f"{trained}-{split.name}.npy"
    if not path.exists():
        np.save(path, predict_logits(load_checkpoint(checkpoint(trained)).model.to(split.device), split, "fp32"))
    return np.load(path)


def checkpoint(trained: str) -> Path:
    """Return where the checkpoint of a training lies."""
    return FOLDER / f"{trained}.pt"


def all_answers(trained: str) -> Path:
    """Return where the logits of a training for all attributes, on its training images, lie."""
    return FOLDER / f"{trained}-all.npy"


def all_weights(trained: str) -> Path:
    """Return where the weights of a training that answers for all attributes lie."""
    return FOLDER / f"{trained}-all.pt"
