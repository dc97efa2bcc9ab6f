"""Does int8 pay? `python benchmarks/int8.py --data-root DIR [--json FILE]`

The published network is exported to ONNX in fp32 and in int8, with the ranges of its activations from train images or
from drawn faces. The accuracies on valid are compared, with intervals over persons, and the times for one image on one
core, in turns.
"""

import argparse
import json
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import onnxruntime
import torch
from accuracy import paired, per_image
from latency import measure

from helpers.config import SHIPPED
from helpers.data.batches import load_split
from helpers.data.celeba import open_dataset
from helpers.evaluation import metrics
from helpers.models.checkpoints import load_checkpoint
from helpers.models.onnx import CALIBRATED_ON, export_int8, export_onnx, onnx_logits
from helpers.system.devices import describe
from helpers.system.files import write_text


def session(path: Path) -> onnxruntime.InferenceSession:
    """Return a session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, help="a CelebA folder")
    parser.add_argument("--valid-images", type=int, default=0, help="0: all")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("int8.json"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dataset, cpu = open_dataset(options.data_root, allow_missing=True), torch.device("cpu")
    valid = load_split(dataset, "valid", cpu, options.valid_images)
    drawn = open_dataset("drawn")
    loaded, image = load_checkpoint(SHIPPED), torch.rand(1, 3, 64, 64).to(memory_format=torch.channels_last) * 2 - 1
    with tempfile.TemporaryDirectory() as folder:
        files = {"fp32": Path(folder, "fp32.onnx")}
        export_onnx(loaded, files["fp32"])
        for name, source in (("train images", dataset), ("drawn faces", drawn)):
            files[f"int8, {name}"] = Path(folder, f"{name}.onnx")
            images = load_split(source, "train", cpu, CALIBRATED_ON).images
            export_int8(loaded, files[f"int8, {name}"], images)
        sessions = {name: session(path) for name, path in files.items()}
        pixels = {"images": image.numpy()}
        sides = {("fp32", "torch"): lambda: loaded.model(image)}
        sides |= {(name, "onnxruntime"): lambda run=run: run.run(None, pixels) for name, run in sessions.items()}
        times = {side: statistics.quantiles(each, n=4) for side, each in measure(sides, options.repeats).items()}
        logits = {name: onnx_logits(run, valid.images) for name, run in sessions.items()}
        scored = {name: per_image(each, valid.targets.numpy()) for name, each in logits.items()}
        bytes_of = {name: path.stat().st_size for name, path in files.items()}
    rows = []
    for (name, library), (low, middle, high) in times.items():
        row = {"network": name, "library": library, "ms": middle, "quartiles": [low, high]}
        if library == "onnxruntime":
            row |= {"bytes": bytes_of[name], "valid": metrics.scores(logits[name], valid.targets.numpy())}
        if library == "onnxruntime" and name != "fp32":
            row["above_fp32"] = paired(scored[name], scored["fp32"], valid)
        rows.append(row)
        print(row)
    about = {"checkpoint": SHIPPED.name, "machine": describe(cpu), "calibrated_on": CALIBRATED_ON, "valid": len(valid)}
    about |= {"when": datetime.now(UTC).isoformat(timespec="seconds"), "repeats": options.repeats}
    write_text(options.json, json.dumps(about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
