"""Where a result comes from: versions, device, commit and user."""

import getpass
import hashlib
import platform
import re
import shlex
import socket
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import torch

from helpers.config import ROOT
from helpers.system.devices import device_name, precision_used

HELPERS = Path(__file__).resolve().parent.parent


def environment(device: torch.device, precision: str) -> dict:
    """Return what a result was computed with: versions, device, precision ("fp32" or "bf16") and git commit."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": device_name(device),
        "device_type": device.type,
        "threads": None if device.type == "cuda" else torch.get_num_threads(),
        "precision": precision_used(device, precision),
        "git_commit": _git_commit(),
    }


def _git_commit() -> str:
    """Return the commit, with "+" where files differ from it; empty outside a git checkout."""

    def git(*arguments) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if commit and git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.TimeoutExpired):
        return ""


def now() -> str:
    """Return the time as an ISO 8601 stamp in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def in_shell(words: Iterable[str]) -> str:
    """Return a command as one types it in a shell: words with blanks or other signs are in double quotes if possible.

    Single quotes, which `shlex.quote` sets, mean nothing to Windows.
    """
    plain, special = re.compile(r"[\w@%+=:,./\\…-]+"), re.compile(r'["$`!]')
    return " ".join(
        word if plain.fullmatch(word) else shlex.quote(word) if special.search(word) else f'"{word}"' for word in words
    )


def user() -> str:
    """Return who runs this, as user@machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


@cache
def code_digest(parts: Iterable[str]) -> str:
    """Return a digest of the Python code of some rooms or files of `helpers`, as 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        path = HELPERS / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(HELPERS).as_posix()}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
