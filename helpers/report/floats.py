"""Figures and tables that would leave a page half empty are put after the text that follows, as TeX does with floats.

A browser cannot do that. So the report is printed, the empty end of every page is measured in the PDF, and the figure
that begins the next page is moved down in the HTML, past as much text as the empty end holds.
"""

import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pypdfium2
from bs4 import BeautifulSoup

from helpers.report.paper import read

ROOM, MOST_EMPTY = 1 / 4, 1 / 3  # of a page: the end that is worth filling, and the most that may stay empty
MARGINS = 16, 18  # mm above and below the text, as in print.css
HEIGHT, MM = 297, 72 / 25.4  # of A4 in mm; points in a mm
LEAD_IN = 60  # mm: a figure this near to the top of its page, after its lead-in and a heading, was moved there
CHARACTERS, LINE, ROW = 100, 5, 5.5  # in a line of text; mm of a line, and of a row of a table
DPI = 72  # what pypdfium2 renders by default


def float_down(page: BeautifulSoup, pdf: Path) -> bool:
    """Move one figure or table of the `page` down if its printed `pdf` has a page with much room; say whether."""
    places = _places(pdf)
    for number, empty in enumerate(_empty_ends(pdf)):
        if empty < ROOM * HEIGHT:
            continue
        following = sorted((top, name) for name, (on, top) in places.items() if on == number + 1 and top < LEAD_IN)
        moved = any(_move(page.find(id=name), empty) for _, name in following[:3])
        if moved:
            return True
    return False


def _move(element, room: float) -> bool:
    """Put a figure, or a table with its caption, after about `room` mm of what follows it; return whether it moved.

    It passes text, and a figure also passes tables, whose numbers are counted apart. It leaves its section only if the
    page would otherwise stay more than a third empty.
    """
    if element is None or not (element.name == "figure" or "caption" in element.get("class", [])):
        return False
    parts = [element] if element.name == "figure" else [element, element.find_next_sibling()]
    passed, last = 0.0, None
    for block in _following(parts[-1]):
        height = _height(block)
        if height is None or passed + height > room or (len(parts) > 1 and _is_table(block)):
            break
        if block.name == "h2" and room - passed < MOST_EMPTY * (HEIGHT - sum(MARGINS)):
            break
        passed += height
        if not re.match("h[1-6]$", block.name) and "caption" not in block.get("class", []):
            last = block  # a heading or a caption stays with what it heads
    if last is None:
        return False
    for part in reversed(parts):
        last.insert_after(part.extract())
    element["class"] = [*element.get("class", []), "floated"]
    return True


def _following(element):
    """Yield the blocks after an element, to the end of its section and then of the next one."""
    yield from element.find_next_siblings()
    section = element.find_parent(class_="output_markdown")
    following = section and section.find_next(class_="output_markdown")
    if following:
        yield from following.find_all(recursive=False)


def _is_table(block) -> bool:
    return bool({"scroll", "caption"} & set(block.get("class", [])))


def _height(block) -> float | None:
    """Estimate the printed height of a block in mm; None for what nothing passes, such as a figure."""
    if re.match("h[2-6]$", block.name):
        return (4 if block.name == "h2" else 2.5) * LINE
    if "scroll" in block.get("class", []):
        return ROW * len(block.find_all("tr")) + LINE
    if block.name not in ("p", "ul", "ol"):
        return None
    items = block.find_all("li") or [block]
    return sum(LINE * (1 + len(item.get_text()) // CHARACTERS) for item in items) + LINE / 2


def _places(pdf: Path) -> dict[str, tuple[int, float]]:
    """Return the page (from 0) and the distance from its top (mm) of each link target, by its id."""
    reader = read(pdf)
    places = {}
    for name, target in reader.named_destinations.items():
        number = reader.get_destination_page_number(target)
        if number is not None and target.top is not None:
            places[unquote(name.removeprefix("/"))] = number, HEIGHT - float(target.top) / MM
    return places


def _empty_ends(pdf: Path) -> list[float]:
    """Return the height in mm that is white at the end of the text of each page; 0 where a new part begins after it."""
    ends = []
    for page in pypdfium2.PdfDocument(pdf):
        pixels = page.render(grayscale=True).to_numpy().squeeze()
        top, foot = MARGINS[0] * DPI / 25.4, (HEIGHT - MARGINS[1]) * DPI / 25.4
        inked = np.flatnonzero((pixels[round(top) : round(foot)] < 245).any(axis=1))
        last = inked[-1] + 1 if len(inked) else 0
        ends.append((foot - top - last) * 25.4 / DPI)
    return ends
