"""What a run differs in from the course's protocol, and the command that runs one of its notebooks again."""

from itertools import pairwise
from pathlib import Path

from helpers.report.wording import discreet
from helpers.study import notebook_parameters
from helpers.system.provenance import in_shell

NOT_PROTOCOL = {
    *("profile", "run_name", "data_root", "allow_missing", "device", "seed", "workers", "gpus_per_trial"),
    *("checkpoint", "compare_with"),
}
RUN_OPTIONS = ("--profile", "--data-root", "--run-name", "--device")  # of `run`, that every notebook needs


def cuts(results: dict[str, dict]) -> list[dict]:
    """Return one row per parameter that differs from the course's protocol.

    The protocol is the notebooks' default values, and the grid's best trial where the default is None.
    """
    rows = []
    for notebook, result in results.items():
        defaults, sizes = notebook_parameters(notebook), result["data"]["split_sizes"]
        for name, value in used_parameters(notebook, result).items():
            if name in NOT_PROTOCOL or (defaults[name] is None and result.get("origin", {}).get(name) == "grid's best"):
                continue
            here, protocol = (_images_used(name, number, sizes) for number in (value, defaults[name]))
            if here != protocol:
                rows.append({"notebook": notebook, "parameter": name, "protocol": protocol, "here": here})
    return rows


def used_parameters(notebook: str, result: dict) -> dict:
    """Return the values of the notebook's parameters, in the order of its `parameters` cell."""
    return {name: result["parameters"][name] for name in notebook_parameters(notebook)}


def _images_used(name: str, value, sizes: dict[str, int]):
    """Return the value; a number of images that takes the whole split becomes 0, which means all."""
    if name not in ("train_images", "valid_images"):
        return value
    return value if 0 < value < sizes[name.removesuffix("_images")] else 0


def step_command(run_name: str, journal: dict, notebook: str) -> str:
    """Return the command that runs one notebook of a run, as the run's last command did.

    Absolute paths are shortened. A run that was made by hand has no command; "full" is the course's profile.
    """
    by_hand = {"arguments": ["--profile", "full", "--run-name", run_name]}
    words, kept = _words((journal.get("commands") or [by_hand])[-1].get("arguments", [])), []
    for option, value in pairwise(words):
        name = value.partition("=")[0]
        concerns = name.startswith(f"{notebook}.") or name in notebook_parameters(notebook)
        if option in RUN_OPTIONS or (option in ("-p", "--parameter") and concerns):
            kept += [option, f"…/{Path(value).name}" if Path(value).is_absolute() else discreet(value)]
    flags = ["--allow-missing"] if "--allow-missing" in words else []
    return in_shell(["python", "-m", "helpers", "run", *kept, *flags, "--only", notebook])


def _words(arguments: list[str]) -> list[str]:
    """Return the arguments of a command, with options such as --profile=demo as two."""
    halves = [word.partition("=") if word.startswith("--") else (word, "", "") for word in arguments]
    return [half for option, sign, value in halves for half in ((option, value) if sign else (option,))]
