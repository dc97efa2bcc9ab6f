"""Download of one file: continued after an interruption, verified, and refused if it is a quota page."""

import contextlib
import email.utils
import importlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from helpers.errors import StudyError
from helpers.system.files import beginning, file_md5, stand_in

TIMEOUT = 30  # seconds without data, after which the client reconnects
PATIENCE = 300  # seconds without progress, after which the download is given up
RETRIES = 6  # reconnections within one attempt
ATTEMPTS = 4  # if the server asks to wait (429) or has a fault of its own (5xx)
LONGEST_WAIT = 60  # seconds; if the server asks for more, the download is given up
QUOTA = (
    "the server sent a web page instead of the file (a download quota or a sign-in page). Try again in a day, or use "
    "another source"
)


def download(path: Path, md5: str = "", url: str = "", drive_id: str = "") -> Path:
    """Download `url`, or a file on Google Drive, to `path` unless it is there; continue an interrupted download.

    `md5` is checked if it is given. Raises StudyError if the server refuses or sends something else; the part of the
    file that has arrived is then kept, as path + eight letters + ".part".
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
    if found := stand_in(beginning(path)):
        path.unlink()
        raise StudyError(f"{name}: {QUOTA if 'web page' in found else f'the server sent {found}'}.")
    if md5 and file_md5(path) != md5:
        path.unlink()
        raise StudyError(f"{name} is not the official file (its MD5 differs) and was deleted. Use another source.")
    return path


def in_short(error: Exception) -> str:
    """Return the start of the first line of an error; the errors of network clients can fill a page."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= 160 else line[:160] + " …"


def _has_arrived(path: Path, url: str, drive_id: str, name: str, last: bool) -> bool:
    """Make one attempt; return False if another is worthwhile. gdown continues partial files from any server."""
    gdown, requests = client("gdown"), client("requests")
    try:
        with _patience(path) as cancel:
            gdown.download(
                **({"url": url} if url else {"id": drive_id}),
                output=str(path),
                resume=True,
                retries=RETRIES,
                timeout=TIMEOUT,
                use_cookies=False,
                cancel=cancel,
            )
    except gdown.exceptions.DownloadCancelled as error:
        raise StudyError(
            f"{name} was given up: the server sent hardly anything for {PATIENCE:.0f} s. What has arrived is kept. Try "
            "again later, or use another source."
        ) from error
    except requests.HTTPError as error:
        _wait_or_refuse(error.response, name, last)
        return False
    except gdown.exceptions.FileURLRetrievalError as error:
        raise StudyError(f"{name}: {QUOTA}.") from error
    except (gdown.exceptions.DownloadError, requests.RequestException) as error:
        if not last and "byte range" in str(error):
            _give_up_part(path, url, name)
            return False
        raise StudyError(
            f"{name} could not be downloaded ({in_short(error)}). What has arrived is kept. Try again."
        ) from error
    return True


@contextlib.contextmanager
def _patience(path: Path) -> Iterator[threading.Event]:
    """Set the event when the partial file has not grown for PATIENCE seconds: a server may send a byte now and then."""
    cancel, arrived = threading.Event(), threading.Event()

    def watch():
        size, since = -1, time.monotonic()
        while not arrived.wait(PATIENCE / 10):
            now = size
            with contextlib.suppress(OSError):  # the part is renamed in this moment
                now = max((part.stat().st_size for part in _parts(path)), default=0)
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                cancel.set()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield cancel
    finally:
        arrived.set()
        watcher.join()


def client(name: str):
    """Import the client package of a source; raise StudyError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise StudyError(
            f'The download needs the package {name}, which is not installed. Run pip install -e ".[fetch]".'
        ) from error


def _wait_or_refuse(response, name: str, last: bool):
    """Wait as long as the server asks, or raise StudyError if waiting will not help."""
    status = response.status_code
    if status != 429 and status < 500:
        reason = {403: "access is refused", 404: "there is no such file"}.get(status, response.reason)
        raise StudyError(f"{name}: {reason} (HTTP {status}). Check the address, or use another source.")
    seconds = _retry_after(response)
    if last or seconds > LONGEST_WAIT:
        raise StudyError(
            f"{name}: the server asks to come back later (HTTP {status}). Try again later, or use another source."
        )
    print(f"The server asks to wait (HTTP {status}): {seconds:.0f} s")
    time.sleep(seconds)


def _retry_after(response) -> float:
    """Return the seconds to wait by the Retry-After header, a number or a date (RFC 9110, 10.2.3), else 5."""
    asked = response.headers.get("Retry-After", "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(asked))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    return 5.0


def _parts(path: Path) -> list[Path]:
    """Return the partial files that gdown left for `path`, largest first."""
    return sorted(path.parent.glob(f"{path.name}????????.part"), key=lambda part: -part.stat().st_size)


def _take_whole_part(path: Path, md5: str) -> bool:
    """Delete all partial files but the largest; if that one is complete, rename it to `path` and return True.

    A partial file is complete if a call was killed just before it renamed the file.
    """
    largest, *others = _parts(path) or [None]
    for part in others:  # two calls at once leave several, and gdown does not choose
        part.unlink()
    if largest and md5 and file_md5(largest) == md5:
        largest.rename(path)
        return True
    return False


def _give_up_part(path: Path, url: str, name: str):
    """Delete a partial file that the server will not continue; raise StudyError if it sends a web page instead."""
    requests = client("requests")
    if url:  # gdown itself recognises Google Drive's pages
        with requests.get(url, stream=True, timeout=TIMEOUT) as response:
            if "text/html" in response.headers.get("Content-Type", ""):
                raise StudyError(f"{name}: {QUOTA}. What has arrived of the file is kept.")
    for part in _parts(path):
        part.unlink()
