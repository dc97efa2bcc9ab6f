"""What a report needs for print beyond the HTML: page numbers in its contents, and a description in the PDF."""

import logging
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup
from pypdf import PdfReader, PdfWriter
from pypdf.errors import PyPdfError
from pypdf.generic import NameObject, TextStringObject


def for_print(page: BeautifulSoup, numbers: dict[str, int]) -> str:
    """Return the HTML to print: without what only a screen needs, and with the page number of each contents entry.

    `numbers` has the page of each target, by its id. The `page` is changed.
    """
    for element in page.select(".skip, .permalink, .close"):
        element.decompose()
    for link in page.select("a.open"):
        link.unwrap()
    for number in page.select("a > .page"):
        number.string = str(numbers.get(unquote(str(number.parent["href"]))[1:], ""))
    return str(page)


def read(pdf: Path) -> PdfReader:
    """Open a PDF, without pypdf's remarks on how browsers write them."""
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    return PdfReader(pdf)


def page_numbers(pdf: Path) -> dict[str, int]:
    """Return the page, from 1, of each link target in a PDF, by the id that it has in the HTML; {} if unreadable."""
    try:
        reader = read(pdf)
        pages = {name: reader.get_destination_page_number(place) for name, place in reader.named_destinations.items()}
    except PyPdfError:
        return {}
    return {unquote(name.removeprefix("/")): page + 1 for name, page in pages.items() if page is not None}


def describe(pdf: Path, page: BeautifulSoup):
    """Write into a PDF what its HTML says of itself: title, author, subject, keywords, language."""
    writer = PdfWriter(clone_from=read(pdf))
    texts = {meta["name"]: str(meta["content"]) for meta in page.find_all("meta", attrs={"name": True})}
    names = {"/Author": "author", "/Subject": "description", "/Keywords": "keywords"}
    writer.add_metadata({key: texts[name] for key, name in names.items() if name in texts})
    writer.add_metadata({"/Title": page.title.get_text(), "/Creator": "celeba-study"})
    writer.root_object[NameObject("/Lang")] = TextStringObject(page.html["lang"])
    writer.page_mode = "/UseOutlines"
    writer.write(pdf)
