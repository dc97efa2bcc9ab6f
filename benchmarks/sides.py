"""What benchmarks/speed.py measures: each function takes one sample, the plain way's, a peer's or ours."""

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import peers
import plain
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.functional import pil_to_tensor

from helpers.config import ROOT, Config
from helpers.data.batches import Split, load_split, normalise, training_batches
from helpers.data.celeba import open_dataset
from helpers.data.decoding import decode
from helpers.evaluation.bootstrap import bootstrap_ranking, bootstrap_scores
from helpers.models.networks import build_model
from helpers.system.devices import keep_freed_memory
from helpers.training.loop import fit, predict_logits
from helpers.training.optim import build_optimizer, train_step

CPU = torch.device("cpu")
EPOCH_IMAGES = 768  # in a training epoch that is measured: 12 batches
CONFIG = Config(device="cpu", lr=0.005, max_epochs=1)
BF16 = CONFIG.but(precision="bf16")


# What the processes measure with, loaded once in each; speed.py names the data in the environment.


@cache
def dataset():
    return open_dataset(os.environ["BENCHMARK_DATA"], allow_missing=True)


@cache
def names() -> list[str]:
    """The first training images' file names; --data-root may be a zip, so the files are written out for PIL."""
    annotations = dataset().annotations
    return list(annotations.index[annotations["split"] == "train"][:EPOCH_IMAGES])


@cache
def train_split() -> Split:
    return load_split(dataset(), "train", CPU).subset(range(len(names())))


@cache
def jpeg_loader(augmented: bool):
    targets = train_split().targets
    faces = plain.FacesFolder(Path(os.environ["BENCHMARK_JPEGS"]), names(), targets, augmented)
    return plain.loader(faces, shuffle=augmented)


@cache
def plain_model():
    torch.manual_seed(0)
    model = plain.PlainCNN()
    return model, torch.optim.Adam(model.parameters(), lr=CONFIG.lr, weight_decay=CONFIG.weight_decay)


@cache
def our_model(precision: str):
    model = build_model(0, CPU)
    return model, build_optimizer(model, CONFIG)


@cache
def one_batch():
    generator = torch.Generator().manual_seed(0)
    return next(training_batches(train_split(), 64, generator))


def timed(function: Callable) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


# The samples: in images/s, or as the function's name says.


def plain_input() -> float:
    return len(names()) / timed(lambda: [None for _ in jpeg_loader(True)])


def our_input(epochs: int = 4) -> float:
    generator = torch.Generator()

    def read():
        for _ in range(epochs):
            for _ in training_batches(train_split(), 64, generator):
                pass

    return epochs * len(names()) / timed(read)


def plain_step(steps: int = 4) -> float:
    model, optimizer = plain_model()
    images, targets = one_batch()
    batches = [(images.contiguous(), targets)] * steps
    return 64 * steps / timed(lambda: plain.train_epoch(model, optimizer, batches))


def our_step(steps: int = 8) -> float:
    keep_freed_memory()
    model, optimizer = our_model("bf16")
    batch = one_batch()
    return 64 * steps / timed(lambda: [train_step(model, optimizer, *batch, BF16) for _ in range(steps)])


def plain_epoch() -> float:
    return len(names()) / timed(lambda: plain.train_epoch(*plain_model(), jpeg_loader(True)))


def lightning_epoch() -> float:
    return len(names()) / peers.lightning_epoch(plain_model()[0], jpeg_loader(True))


def fastai_epoch() -> float:
    return len(names()) / peers.fastai_epoch(plain_model()[0], jpeg_loader(True))


def our_epoch(precision: str) -> float:
    few = train_split().subset(range(2))  # the validation is not timed
    history = fit(our_model(precision)[0], train_split(), few, CONFIG.but(precision=precision))
    return history["images_per_second"].item()


def our_epoch_bf16() -> float:
    return our_epoch("bf16")


def our_epoch_fp32() -> float:
    return our_epoch("fp32")


TINY_STEPS = 300


def tiny_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))


@cache
def tiny_split() -> Split:
    count = 64 * TINY_STEPS
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)
    return Split("train", images, torch.ones(count, 5), [""] * count, None)


@cache
def tiny_batches():
    """Batches that are ready: what is left is the trainer."""
    batches = zip(tiny_split().images.split(64), tiny_split().targets.split(64), strict=True)
    return [(normalise(images).contiguous(), targets) for images, targets in batches]


def plain_overhead() -> float:
    model = tiny_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=CONFIG.lr, weight_decay=CONFIG.weight_decay)
    return 1000 * timed(lambda: plain.train_epoch(model, optimizer, tiny_batches())) / TINY_STEPS


def lightning_overhead() -> float:
    ready = torch.utils.data.DataLoader(tiny_batches(), batch_size=None)
    return 1000 * peers.lightning_epoch(tiny_model(), ready) / TINY_STEPS


def fastai_overhead() -> float:
    ready = torch.utils.data.DataLoader(tiny_batches(), batch_size=None)
    return 1000 * peers.fastai_epoch(tiny_model(), ready) / TINY_STEPS


def our_overhead() -> float:
    """`fit` with all that it does each step, drawing, gathering and normalising its batches included."""
    few = tiny_split().subset(range(2))
    return 1000 * fit(tiny_model(), tiny_split(), few, CONFIG, augmented=False)["seconds"].item() / TINY_STEPS


@cache
def files() -> list[bytes]:
    return [dataset().images.read(name) for name in names()[:400]]


def plain_decode() -> float:
    def one(data: bytes):
        return pil_to_tensor(Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))

    return len(files()) / timed(lambda: [one(data) for data in files()])


def our_decode() -> float:
    return len(files()) / timed(lambda: [decode(data, "benchmark") for data in files()])


def plain_evaluation() -> float:
    return len(names()) / timed(lambda: plain.predict(plain_model()[0], jpeg_loader(False)))


def our_evaluation() -> float:
    keep_freed_memory()
    return len(names()) / timed(lambda: predict_logits(our_model("fp32")[0], train_split()))


def a_test_split():
    """Return logits, targets and identities of as many images and people as CelebA's test split has."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(19_962, 5, generator=generator).numpy()
    targets = (torch.rand(19_962, 5, generator=generator) < 0.4).float().numpy()
    identities = torch.randint(0, 1_000, (19_962,), generator=generator).numpy()
    return logits, targets, identities


def our_bootstrap() -> float:
    split = a_test_split()
    return timed(lambda: bootstrap_scores(*split, seed=0))


def our_bootstrap_of_rankings() -> float:
    split = a_test_split()
    return timed(lambda: bootstrap_ranking(*split, seed=0))


def demo() -> float:
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CELEBA")}
        environment["CELEBA_STUDY_HOME"] = folder
        return timed(lambda: subprocess.run(["make", "demo"], cwd=ROOT, check=True, env=environment, stdout=sys.stderr))
