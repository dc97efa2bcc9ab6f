"""Print an HTML report to PDF with a browser of the Chromium family, or else with WeasyPrint."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bs4 import BeautifulSoup

from helpers.errors import StudyError
from helpers.report.floats import float_down
from helpers.report.paper import describe, for_print, page_numbers

MOST_MOVES = 8  # of figures, each of which takes another print of one to three seconds
MOST_PRINTS = MOST_MOVES + 3  # the numbers themselves may move a heading to another page
TIMEOUT = 120  # seconds; a report takes two or three
NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "msedge"),
)
UNIX_PLACES = (
    *("/snap/bin/chromium", "/opt/google/chrome/chrome", "/opt/microsoft/msedge/msedge"),
    *(
        f"{home}/Applications/{name}.app/Contents/MacOS/{name}"
        for home in ("", "~")
        for name in ("Google Chrome", "Chromium", "Microsoft Edge")
    ),
)
WINDOWS_FOLDERS = ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData")
WINDOWS_PLACES = (
    *("Google/Chrome/Application/chrome.exe", "Chromium/Application/chrome.exe"),
    "Microsoft/Edge/Application/msedge.exe",
)


def to_pdf(html: Path, target: Path) -> str:
    """Print `html` to the PDF `target` and return the name of the engine, such as "chromium" or "WeasyPrint".

    Raises StudyError, which says what to install, if no engine works; an older `target` is then left unchanged.
    """
    html, target = Path(html).resolve(), Path(target).resolve()
    if not html.is_file():
        raise StudyError(f"There is no {html} to print. First export the notebook to HTML.")
    target.parent.mkdir(parents=True, exist_ok=True)
    page = BeautifulSoup(html.read_text(encoding="utf-8"), "html.parser")
    # Beside the target: a snap's Chromium cannot write to /tmp, and os.replace stays on one disk.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="pdf-", ignore_cleanup_errors=True) as folder:
        printed, failures = Path(folder) / "printed.pdf", []
        for engine in (_by_browser, _by_weasyprint):
            name, failure = _print(engine, page, printed)
            if not failure:
                describe(printed, page)
                os.replace(printed, target)
                return name
            failures.append(f"{name}: {failure}")
    raise StudyError(
        f"No PDF was made of {html} ({'; '.join(failures)}). You can open the HTML file in any browser and "
        "print it to PDF. Or install Chromium, Chrome or Edge (Debian: apt-get install chromium; set CHROME_PATH "
        "if it is in an unusual folder), or WeasyPrint and Pango (Debian: apt-get install libpangoft2-1.0-0)."
    )


def _print(engine, page: BeautifulSoup, printed: Path) -> tuple[str, str]:
    """Print until no figure leaves a page half empty and the contents have the right page numbers.

    Both are only known from a print before. Returns the engine's name and why it failed ("" if it did not).
    """
    source, numbers = printed.with_suffix(".html"), {}
    for attempt in range(MOST_PRINTS):
        source.write_text(for_print(page, numbers), encoding="utf-8")
        name, failure = engine(source, printed)
        if failure or not _is_pdf(printed):
            return name, failure or "it wrote no PDF"
        found = page_numbers(printed)
        moved = engine is _by_browser and attempt < MOST_MOVES and float_down(page, printed)
        if not moved and (found == numbers or not page.select(".page")):
            break
        numbers = found
    return name, ""


def find_browser() -> str | None:
    """Return the path of Chromium, Chrome or Edge, or None; $CHROME_PATH takes precedence."""
    windows = [
        Path(os.environ[name]) / place for name in WINDOWS_FOLDERS if name in os.environ for place in WINDOWS_PLACES
    ]
    places = [Path(place).expanduser() for place in UNIX_PLACES] + windows
    candidates = [os.environ.get("CHROME_PATH", ""), *NAMES, *map(str, places)]
    return next(filter(None, map(shutil.which, candidates)), None)


def _by_browser(html: Path, printed: Path) -> tuple[str, str]:
    """Print with a browser; return its name and why it failed ("" if it reports success)."""
    browser = find_browser()
    if browser is None:
        return "Chromium, Chrome, Edge", "not found"
    name = Path(browser).stem
    command = [
        *(browser, "--headless", "--disable-gpu", f"--user-data-dir={printed.parent / 'profile'}"),
        *(
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
        ),
        *("--no-pdf-header-footer", "--generate-pdf-document-outline", f"--print-to-pdf={printed}"),
        *(
            ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        ),  # Chromium's sandbox does not work for root
        html.as_uri(),
    ]
    try:
        # The output is not captured: a child of the browser could keep the pipe open after the time-out.
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT).returncode
    except subprocess.TimeoutExpired:
        return name, f"no result after {TIMEOUT} s"
    except OSError as error:
        return name, str(error)
    return name, f"exit status {code}" if code else ""


def _by_weasyprint(html: Path, printed: Path) -> tuple[str, str]:
    try:
        from weasyprint import CSS, HTML

        # WeasyPrint ignores `overflow-wrap` in highlighted code and would cut long lines; it does not know `max()`,
        # and puts the dots of the contents elsewhere.
        own = CSS(
            string="pre { word-break: break-all } code, pre { font-size: 0.82em } .page::before { display: none }"
        )
        HTML(filename=str(html)).write_pdf(str(printed), stylesheets=[own], pdf_tags=True)
    except (ImportError, OSError) as error:  # OSError: Pango, a system library, is missing
        return "WeasyPrint", str(error).splitlines()[0]
    return "WeasyPrint", ""


def _is_pdf(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:4] == b"%PDF"
