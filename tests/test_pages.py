"""The pages are true of the repository: their links lead somewhere."""

import re

import pytest

from helpers.config import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "checkpoints/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    here, astray = ROOT / page, []
    for target, anchor in LINK.findall(here.read_text(encoding="utf-8")):
        path = (here.parent / target).resolve() if target else here
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            astray.append(f"{target}#{anchor}" if anchor else target)
    assert not astray
