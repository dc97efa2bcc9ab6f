"""Does speed cost accuracy? `python benchmarks/same_loss.py --data-root DIR [--json FILE]`, an hour on 2 cores.

The course's recipe (Adam 0.005, weight decay 1e-5, batch 64) for three epochs, several seeds, three ways: the
plain one, ours in fp32, ours in bf16. The valid losses must agree within the noise of the seeds. What is done is
read back from the JSON file and not run again.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import plain
import torch

from helpers.config import Config
from helpers.data.batches import Split, load_split
from helpers.data.celeba import Dataset, open_dataset
from helpers.evaluation import metrics
from helpers.models.networks import build_model
from helpers.system.devices import describe, keep_freed_memory
from helpers.training.loop import fit

CPU = torch.device("cpu")
CONFIG = Config(device="cpu", lr=0.005, weight_decay=1e-5, batch_size=64, max_epochs=3)
WAYS = ("plain", "fp32", "bf16")


def train_plainly(folder: Path, train: Split, valid: Split, seed: int) -> list[dict]:
    """Train the plain way; return train and valid loss of each epoch."""
    torch.manual_seed(seed)
    model = plain.PlainCNN()
    optimizer = torch.optim.Adam(model.parameters(), lr=CONFIG.lr, weight_decay=CONFIG.weight_decay)
    training = plain.loader(plain.FacesFolder(folder, train.names, train.targets, augmented=True))
    validation = plain.loader(plain.FacesFolder(folder, valid.names, valid.targets, augmented=False), shuffle=False)
    history = []
    for _ in range(CONFIG.max_epochs):
        train_loss = plain.train_epoch(model, optimizer, training)
        logits = plain.predict(model, validation).numpy()
        history.append({"train_loss": train_loss, "val_loss": metrics.bce_loss(logits, valid.targets.numpy())})
    return history


def train_ours(precision: str, train: Split, valid: Split, seed: int) -> list[dict]:
    """Train with `fit`; return train and valid loss of each epoch."""
    config = CONFIG.but(seed=seed, precision=precision)
    return fit(build_model(seed, CPU), train, valid, config)[["train_loss", "val_loss"]].to_dict("records")


def unpack(dataset: Dataset, folder: Path):
    """Write the image files out for the plain way, which cannot read a zip."""
    for name in dataset.annotations.index[dataset.annotations["split"] != "test"]:
        (folder / name).write_bytes(dataset.images.read(name))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, help="a CelebA folder")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("same_loss.json"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    options = parser.parse_args()
    keep_freed_memory()  # for all three: it changes the time, and no number
    dataset = open_dataset(options.data_root, allow_missing=True)
    train, valid = (load_split(dataset, name, CPU) for name in ("train", "valid"))
    sizes = {"train": len(train), "valid": len(valid)}
    kept = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else sizes | {"runs": []}
    if {name: kept[name] for name in sizes} != sizes:
        parser.error(f"{options.json} holds losses on other images. Name another file with --json.")
    runs = kept["runs"]
    with tempfile.TemporaryDirectory() as folder:
        unpack(dataset, Path(folder))
        for seed in options.seeds:
            for way in WAYS:
                if any(run["way"] == way and run["seed"] == seed for run in runs):
                    continue
                if way == "plain":
                    history = train_plainly(Path(folder), train, valid, seed)
                else:
                    history = train_ours(way, train, valid, seed)
                runs.append({"way": way, "seed": seed, "epochs": history, "machine": describe(CPU)})
                content = kept | {"runs": runs}
                options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for name in ("val_loss", "train_loss"):
        for way in WAYS:
            last = [run["epochs"][-1][name] for run in runs if run["way"] == way]
            spread = statistics.stdev(last) if len(last) > 1 else float("nan")
            result = f"{statistics.mean(last):.4f} ± {spread:.4f} ({len(last)} seeds)"
            print(f"{name} after {CONFIG.max_epochs} epochs, {way}: {result}")


if __name__ == "__main__":
    main()
