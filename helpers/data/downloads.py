"""One file from the web: continued where it was cut off, checked, and refused when it is a page about a quota."""

import contextlib
import email.utils
import importlib
import time
from pathlib import Path

from helpers.errors import StudyError
from helpers.system.files import file_md5, is_html

TIMEOUT = 30  # seconds without a byte, after which the connection is made anew
RETRIES = 6  # connections made anew, within one attempt
ATTEMPTS = 4  # when the server asks to wait (429) or is in trouble (5xx)
LONGEST_WAIT = 60  # seconds; a server that asks for more is left alone
QUOTA = (
    "answers with a web page instead of the file (a download quota, or a page to sign in). Try again in a day, or take "
    "another source"
)


def download(path: Path, md5: str = "", url: str = "", drive_id: str = "") -> Path:
    """Download `url`, or a file of Google Drive, to `path` unless it is there; what arrived before is continued.

    Raises StudyError where the server refuses or sends something else; a part of the file is kept then, as
    path + eight letters + ".part". `md5` is checked where it is given.
    """
    name = url or f"Google Drive's {path.name}"
    if path.is_file() and (not md5 or file_md5(path) == md5):
        return path
    path.unlink(missing_ok=True)
    if _take_whole_part(path, md5):
        return path
    for attempt in range(ATTEMPTS):
        if _has_arrived(path, url, drive_id, name, last=attempt == ATTEMPTS - 1):
            break
    if is_html(path):
        path.unlink()
        raise StudyError(f"{name} {QUOTA}.")
    if md5 and file_md5(path) != md5:
        path.unlink()
        raise StudyError(f"{name} arrived, but is not the official file (its md5 differs). It was deleted.")
    return path


def in_short(error: Exception) -> str:
    """Return the beginning of an exception's first line: those of network clients go on for a page."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= 160 else line[:160] + " …"


def _has_arrived(path: Path, url: str, drive_id: str, name: str, last: bool) -> bool:
    """Make one attempt; False where another is worth it. gdown continues a part, also of any other server."""
    gdown, requests = client("gdown"), client("requests")
    try:
        gdown.download(
            **({"url": url} if url else {"id": drive_id}),
            output=str(path),
            resume=True,
            retries=RETRIES,
            timeout=TIMEOUT,
            use_cookies=False,
        )
    except requests.HTTPError as error:
        _wait_or_refuse(error.response, name, last)
        return False
    except gdown.exceptions.FileURLRetrievalError as error:
        raise StudyError(f"{name} {QUOTA}.") from error
    except (gdown.exceptions.DownloadError, requests.RequestException) as error:
        if not last and "byte range" in str(error):
            _give_up_part(path, url, name)
            return False
        raise StudyError(
            f"{name} could not be downloaded ({in_short(error)}). What has arrived is kept; try again."
        ) from error
    return True


def client(name: str):
    """Import a source's own client; StudyError says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise StudyError(f'Downloading takes {name}, which is not installed: pip install -e ".[fetch]".') from error


def _wait_or_refuse(response, name: str, last: bool):
    """Wait as the server asks, or raise StudyError where waiting will not help."""
    status = response.status_code
    if status != 429 and status < 500:
        reason = {403: "access is refused", 404: "there is no such file"}.get(status, response.reason)
        raise StudyError(f"{name}: {reason} (HTTP {status}).")
    seconds = _retry_after(response)
    if last or seconds > LONGEST_WAIT:
        raise StudyError(f"{name}: the server asks to come back later (HTTP {status}). Try again, or another source.")
    print(f"HTTP {status}: waiting {seconds:.0f} s")
    time.sleep(seconds)


def _retry_after(response) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3)."""
    asked = response.headers.get("Retry-After", "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(asked))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    return 5.0


def _parts(path: Path) -> list[Path]:
    """Return gdown's parts of a file, the largest first."""
    return sorted(path.parent.glob(f"{path.name}????????.part"), key=lambda part: -part.stat().st_size)


def _take_whole_part(path: Path, md5: str) -> bool:
    """Keep the largest part alone; where it is the whole file (a call was killed at its very end), take it."""
    largest, *others = _parts(path) or [None]
    for part in others:  # two calls at once left them, and gdown would not choose
        part.unlink()
    if largest and md5 and file_md5(largest) == md5:
        largest.rename(path)
        return True
    return False


def _give_up_part(path: Path, url: str, name: str):
    """Delete a part that the server will not continue, unless it is because it sends a page instead."""
    requests = client("requests")
    if url:  # (gdown knows Google Drive's pages)
        with requests.get(url, stream=True, timeout=TIMEOUT) as response:
            if "text/html" in response.headers.get("Content-Type", ""):
                raise StudyError(f"{name} {QUOTA}. What has arrived of the file is kept.")
    for part in _parts(path):
        part.unlink()
