"""Measures of a printed report: pages, words, tables, fonts, text sizes, outline, and how empty each page is.

`python -m tests.report.measure FILE.pdf` prints them for any PDF.
"""

import ctypes
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pypdf
import pypdfium2
import pypdfium2.raw as pdfium

MM = 72 / 25.4  # points
TOP, FOOT = 15 * MM, 20 * MM  # margins that are not counted as paper: the foot holds the page number
DPI = 36
NEARLY_WHITE = 245
SECTION = 2  # its depth in the outline, below the title
NEAR_TOP = 40 * MM  # a heading this near to the edge of the paper begins its page


@dataclass(frozen=True)
class Measures:
    """What was measured in a PDF. `empty` has one share per page, and `ends` the pages (from 0) that end a section."""

    pages: int
    words: int
    tables: int
    figures: int
    smallest: float  # points
    not_embedded: set[str]
    outline: list[tuple[int, str, int]]  # depth from 1, title, page from 0
    empty: list[float]
    ends: set[int]
    tagged: bool
    language: str
    metadata: dict

    @property
    def too_empty(self) -> dict[int, float]:
        """The pages (from 1) that are more than a third empty and do not end a section, with their empty share."""
        return {n + 1: share for n, share in enumerate(self.empty) if share > 1 / 3 and n not in self.ends}

    def __str__(self):
        depth = max((depth for depth, _, _ in self.outline), default=0)
        shares = " ".join(f"{share:.0%}" for share in self.empty)
        return (
            f"{self.pages} pages, {self.words} words, {self.tables} tables, {self.figures} figures, smallest text "
            f"{self.smallest:.1f} pt, {len(self.outline)} outline entries {depth} deep, fonts not embedded: "
            f"{', '.join(sorted(self.not_embedded)) or 'none'}, tagged: {self.tagged}, language {self.language!r}\n"
            f"empty: {np.mean(self.empty):.0%} on average; per page {shares}"
        )


def measure(path: Path) -> Measures:
    """Measure a PDF."""
    reader, document = pypdf.PdfReader(path), pypdfium2.PdfDocument(path)
    root: dict = reader.trailer["/Root"]
    kinds = list(_kinds(root.get("/StructTreeRoot")))
    outline, starts = _outline(reader)
    texts = [page.get_textpage() for page in document]
    return Measures(
        pages=len(document),
        words=sum(len(text.get_text_bounded().split()) for text in texts),
        tables=kinds.count("/Table"),
        figures=kinds.count("/Figure"),
        smallest=min((size for text in texts for size in _sizes(text)), default=math.inf),
        not_embedded={name for page in reader.pages for name in _not_embedded(page)},
        outline=outline,
        empty=[_empty(page) for page in document],
        ends={page - 1 for page in starts} | {0, len(document) - 1},  # page 0 is the title page
        tagged=bool(root.get("/MarkInfo", {}).get("/Marked")) and "/StructTreeRoot" in root,
        language=str(root.get("/Lang", "")),
        metadata=dict(reader.metadata or {}),
    )


def _kinds(element, depth: int = 0):
    """Yield the kind of each structure element below `element`, such as "/Table"."""
    if isinstance(element, pypdf.generic.IndirectObject):
        element = element.get_object()
    if isinstance(element, list):
        for child in element:
            yield from _kinds(child, depth)
    elif isinstance(element, dict):
        if "/S" in element:
            yield str(element["/S"])
        if "/K" in element:
            yield from _kinds(element["/K"], depth + 1)


def _outline(reader: pypdf.PdfReader) -> tuple[list[tuple[int, str, int]], set[int]]:
    """Return the outline, and the pages (from 0) on top of which the heading of a section stands."""
    entries, tops = [], set()

    def walk(items, depth: int):
        for item in items:
            if isinstance(item, list):
                walk(item, depth + 1)
                continue
            page = reader.get_destination_page_number(item)
            entries.append((depth, str(item.title), page))
            height = float(reader.pages[page].mediabox.height)
            if depth == SECTION and height - float(item.top if item.top is not None else height) < NEAR_TOP:
                tops.add(page)

    walk(reader.outline, 1)
    return entries, tops


def _sizes(text: pypdfium2.PdfTextPage):
    """Yield the printed size of each visible character, in points."""
    matrix = pdfium.FS_MATRIX()
    for n in range(text.count_chars()):
        if chr(pdfium.FPDFText_GetUnicode(text, n)).isspace() or pdfium.FPDFText_IsGenerated(text, n):
            continue
        pdfium.FPDFText_GetMatrix(text, n, ctypes.byref(matrix))
        yield pdfium.FPDFText_GetFontSize(text, n) * math.hypot(matrix.c, matrix.d)


def _not_embedded(page) -> set[str]:
    """Return the names of the page's fonts whose glyphs are not in the file; those of type 3 always are."""
    missing, todo = set(), [page.get("/Resources")]
    while todo:
        resources = todo.pop()
        resources = resources.get_object() if resources is not None else {}
        for font in resources.get("/Font", {}).values():
            font = font.get_object()
            font = font.get("/DescendantFonts", [font])[0].get_object()
            descriptor = font.get("/FontDescriptor", {})
            if font["/Subtype"] != "/Type3" and not any(key.startswith("/FontFile") for key in descriptor.get_object()):
                missing.add(str(font.get("/BaseFont")))
        todo += [form.get_object().get("/Resources") for form in resources.get("/XObject", {}).values()]
    return missing


def _empty(page: pypdfium2.PdfPage) -> float:
    """Return the share of a page's height, without its margins, that is white below its last content."""
    pixels = page.render(scale=DPI / 72, grayscale=True).to_numpy().squeeze()
    top, foot = round(TOP * DPI / 72), len(pixels) - round(FOOT * DPI / 72)
    inked = np.flatnonzero((pixels[top:foot] < NEARLY_WHITE).any(axis=1))
    return 1 - (inked[-1] + 1) / (foot - top) if len(inked) else 1.0


if __name__ == "__main__":
    print(measure(Path(sys.argv[1])))
