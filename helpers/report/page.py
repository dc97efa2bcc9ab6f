"""The finished page: contents, permalinks, embedded images, tables and figures that fit a small screen."""

import base64
import copy
import mimetypes
import re
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote

from bs4 import BeautifulSoup

from helpers.errors import StudyError

HEADING = re.compile("^h[1-6]$")
LISTED = ("h2", "h3", "h4")
ROOMY = 75  # characters in a table's longest row; longer ones fit on an A4 page only in a small font
SHORT = 15  # rows; a table of at most this many moves to the next page as a whole
NUMBER = re.compile(r"[-+−]?\d[\d\s.,]*(e[-+]?\d+)?\s*%?(\s*±.*)?|nan|none|-?inf|[-—–]?", re.IGNORECASE)


def finish(html: str, folder: Path, words: dict) -> str:
    """Return a page of nbconvert as it is handed in; images are read from `folder`, `words` are from export.yaml.

    Raises StudyError for a missing image.
    """
    page = BeautifulSoup(html, "html.parser")
    for element in page.select("script, link, style[scoped]"):  # pandas' scoped style would override ours
        element.decompose()
    _place_title(page)
    _name_headings(page)
    _add_contents(page)
    for heading in page.main.find_all(LISTED):
        heading.append(_link(page, str(heading["id"]), "permalink", words["permalink"]))
    for image in page.find_all("img"):
        _embed(image, folder, words["no_alt"])
    for table in page.find_all("table"):
        _set_table(table)
        _wrap(page, table, "div", {"class": "scroll", "role": "group", "tabindex": "0"} | _label(table, words))
    for number, figure in enumerate(page.select("figure"), start=1):
        _let_enlarge(page, figure, number, words)
    return str(page)


def _place_title(page: BeautifulSoup):
    """Put the report's own title page before the contents, in place of the plain title; remove a second h1."""
    own = page.main.select_one(".title-page")
    if own is not None:
        page.select_one(".title-block").replace_with(own.extract())
        own.name = "header"
        return
    first = page.main.find(HEADING)
    if first is not None and first.name == "h1":
        first.decompose()


def _name_headings(page: BeautifulSoup):
    """Give each heading a unique id, Jupyter's if it is free, so that [text](#Its-title) works."""
    headings = page.main.find_all(HEADING)
    taken: set = {str(element["id"]) for element in page.find_all(id=True) if not HEADING.match(element.name)}
    for heading in headings:
        wanted = heading.get("id") or re.sub(r"\s+", "-", heading.get_text().strip()) or "section"
        name, copies = wanted, 1
        while name in taken:
            copies += 1
            name = f"{wanted}-{copies}"
        taken.add(name)
        heading["id"] = name


# Contents


def _add_contents(page: BeautifulSoup):
    """List the headings of three depths as links; the page number is filled in for print."""
    contents, headings = page.find(id="contents"), page.main.find_all(LISTED)
    if sum(heading.name == "h2" for heading in headings) < 2:
        (contents.details if contents.find(class_="site") else contents).decompose()
        return
    above = [(1, contents.details)]  # the entries that contain the next one, each with the depth of its heading
    for heading in headings:
        depth = int(heading.name[1])
        while above[-1][0] >= depth:
            above.pop()
        entry = page.new_tag("li")
        entry.append(_entry(page, heading))
        _list_of(page, above[-1][1]).append(entry)
        above.append((depth, entry))


def _list_of(page: BeautifulSoup, parent):
    found = parent.find("ol", recursive=False)
    return found if found is not None else parent.append(page.new_tag("ol"))


def _entry(page: BeautifulSoup, heading):
    title = page.new_tag("span")
    title.extend(copy.copy(part) for part in list(heading.contents))
    link = page.new_tag("a", href=_address(str(heading["id"])))
    link.append(title)
    link.append(page.new_tag("span", attrs={"class": "page"}))
    return link


def _link(page: BeautifulSoup, target: str, kind: str, label: str):
    return page.new_tag("a", href=_address(target), attrs={"class": kind, "aria-label": label})


def _address(target: str) -> str:
    return f"#{quote(target)}"


# Figures and tables


def _label(table, words: dict) -> dict[str, str]:
    """Return the attribute that names a table: the numbered caption before it, if there is one."""
    before = table.find_previous_sibling()
    if before is not None and "caption" in before.get("class", []) and before.get("id"):
        return {"aria-labelledby": str(before["id"])}
    return {"aria-label": words["table"]}


def _wrap(page: BeautifulSoup, element, name: str, attributes: dict):
    return element.wrap(page.new_tag(name, attrs=attributes))


def _let_enlarge(page: BeautifulSoup, figure, number: int, words: dict):
    """Make the picture of a figure a link that shows it as large as the screen, without a script."""
    picture = figure.find(["img", "svg"])
    if picture is None:
        return
    name = f"large-{number}"
    figure["id"] = figure.get("id") or f"figure-{number}"
    link = _wrap(page, picture, "a", {"href": f"#{name}", "class": "open", "title": words["enlarge"]})
    box = _wrap(page, link, "div", {"class": "large", "id": name})
    close = _link(page, str(figure["id"]), "close", words["close"])
    close.string = "×"
    box.append(close)


def _embed(image, folder: Path, no_alt: str):
    """Replace a local image by a data URI; StudyError if the file does not exist."""
    alt = str(image.get("alt", ""))
    if not alt or alt.startswith("No description has been provided"):  # nbconvert's text, always in English
        image["alt"] = no_alt
    source = str(image.get("src", ""))
    if source.startswith("data:"):
        return
    path = folder / unquote(source)
    if not path.is_file():
        raise StudyError(
            f"The report shows the image {source!r}, which is not in {folder}. Create it first "
            "(images are read from that folder, never from the network)."
        )
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    image["src"] = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _set_table(table):
    """Mark columns of words, which are aligned left, and tables that are wide or short."""
    rows = [row.find_all("td") for row in table.select("tbody tr")]
    columns = max(map(len, rows), default=0)
    heads = [row.find_all("th")[-columns:] for row in table.select("thead tr")]
    wordy = {j for row in rows for j, cell in enumerate(row) if not NUMBER.fullmatch(cell.get_text(strip=True))}
    for row in rows + heads:
        for cell in (row[j] for j in wordy if j < len(row)):
            cell["class"] = [*cell.get("class", []), "words"]
    longest = max((len(row.get_text(" ", strip=True)) for row in table.find_all("tr")), default=0)
    wide = columns > 5 and longest > ROOMY
    kinds = ["wide"] * wide + ["short"] * (len(rows) <= SHORT)
    table["class"] = [*table.get("class", []), *kinds]
    for head in table.find_all("th"):
        if not head.get_text(strip=True):
            head.name = "td"  # a screen reader would announce an empty head
    _let_names_break(table, wide)


def _let_names_break(table, wide: bool):
    """Allow line breaks in names after an underscore; in the heads of wide tables, always break there."""
    for name in table.find_all(string=re.compile("_")):
        after = "_<br>" if wide and name.find_parent("thead") else "_<wbr>"
        name.replace_with(BeautifulSoup(escape(name).replace("_", after), "html.parser"))
