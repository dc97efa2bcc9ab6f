"""How long does one image take on one core, with each network? `python benchmarks/latency.py [--json FILE]`

Untrained weights (the time does not depend on them), fp32, one thread; the sides take turns, in torch and in
onnxruntime, and each figure is a median with its quartiles. int8.py measures the published network in int8.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from helpers.config import Config
from helpers.models.checkpoints import load_checkpoint, save_checkpoint
from helpers.models.networks import build_for, count_parameters, forward_flop
from helpers.models.onnx import export_onnx
from helpers.system.devices import describe
from helpers.system.files import write_text

NETWORKS = {
    "course": Config(),
    "compact": Config(arch="compact"),
    "compact, mirror images averaged": Config(arch="compact", mirror=True),
    "fine_deep, mirror images averaged": Config(arch="fine_deep", mirror=True),  # the published network
}


def sides(folder: Path) -> dict[tuple[str, str], Callable]:
    """Return, by network and library, a function that answers one image."""
    image, found = torch.rand(1, 3, 64, 64).to(memory_format=torch.channels_last) * 2 - 1, {}  # as `predict` has it
    one_thread = onnxruntime.SessionOptions()
    one_thread.intra_op_num_threads = 1
    for number, (name, config) in enumerate(NETWORKS.items()):
        path = folder / f"{number}.pt"
        save_checkpoint(path, build_for(config, torch.device("cpu")), config, 0, {}, "nothing")
        loaded = load_checkpoint(path)
        export_onnx(loaded, path.with_suffix(".onnx"))
        session = onnxruntime.InferenceSession(path.with_suffix(".onnx"), one_thread)
        pixels = {session.get_inputs()[0].name: image.numpy().astype(np.float32)}
        found[name, "torch"] = lambda model=loaded.model: model(image)
        found[name, "onnxruntime"] = lambda session=session, pixels=pixels: session.run(None, pixels)
    return found


@torch.inference_mode()
def measure(of: dict[tuple[str, str], Callable], repeats: int) -> dict[tuple[str, str], list[float]]:
    """Return the milliseconds of CPU time of each call, the sides taking turns; the first tenth only warms up.

    All work is done by the calling thread. Its CPU time is the time of a machine that does nothing else.
    """
    samples = {side: [] for side in of}
    for number in range(repeats + repeats // 10):
        for side, answer in of.items():
            started = time.thread_time()
            answer()
            if number >= repeats // 10:
                samples[side].append(1000 * (time.thread_time() - started))
    return samples


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("latency.json"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        samples = measure(sides(Path(folder)), options.repeats)
    rows = []
    for (network, library), times in samples.items():
        model = build_for(NETWORKS[network], torch.device("cpu"))
        low, _, high = statistics.quantiles(times, n=4)
        row = {"network": network, "library": library, "ms": statistics.median(times), "quartiles": [low, high]}
        rows.append(row | {"parameters": count_parameters(model), "mflop": forward_flop(model) / 1e6})
        print(f"{network:32s} {library:12s} {row['ms']:6.2f} ms ({low:.2f} to {high:.2f})")
    about = {"machine": describe(torch.device("cpu")), "when": datetime.now(UTC).isoformat(timespec="seconds")}
    write_text(options.json, json.dumps(about | {"repeats": options.repeats, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
