"""The exported report in a real browser: nothing is fetched, nothing is out of reach, small screens and dark ones."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import sync_playwright

from helpers.report.html import to_html
from helpers.report.pdf import find_browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_browser() is None, reason="no Chromium, Chrome or Edge here")]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
MOST_BYTES = 5_000_000
LOADED = re.compile("^(file|data|about):")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield launched
        launched.close()


def opened(browser, html: Path, screen: dict = WIDE, scheme: str = "light"):
    """Return the page and the addresses that it asked for; everything but local files is refused."""
    context = browser.new_context(viewport=screen, color_scheme=scheme, offline=True)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.route(lambda address: not LOADED.match(address), lambda route: route.abort())
    page = context.new_page()
    page.goto(html.as_uri())
    return page, asked


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_report_asks_for_nothing_and_axe_finds_nothing(browser, exported, language):
    html = exported(language)
    assert html.stat().st_size < MOST_BYTES
    for screen in (WIDE, PHONE):
        for scheme in ("light", "dark"):
            page, asked = opened(browser, html, screen, scheme)
            assert (
                html.stat().st_size < MOST_BYTES
                and asked[0] == html.as_uri()
                and not [url for url in asked[1:] if not url.startswith("data:")]
            )
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            page.context.close()


def test_the_contents_stay_on_a_wide_screen_and_fold_on_a_phone(browser, exported):
    html = exported("fr")
    page, _ = opened(browser, html)
    last = page.locator("#contents a").last
    page.locator("main h2").last.scroll_into_view_if_needed()
    assert page.locator("#contents").bounding_box()["y"] == pytest.approx(0, abs=1) and last.is_visible()
    page, _ = opened(browser, html, PHONE)
    link = page.locator("#contents a").first
    assert not link.is_visible()
    page.locator("#contents summary").click()
    assert link.is_visible()


def test_on_a_phone_nothing_widens_the_page_and_a_table_scrolls_in_its_box(browser, tmp_path):
    columns = "".join(f"<th>a_long_column_{n}</th>" for n in range(12))
    row = "".join(f"<td>0.1234{n}</td>" for n in range(12))
    table = f"<table><thead><tr>{columns}</tr></thead><tbody><tr>{row}</tr></tbody></table>"
    cell = new_code_cell("x", outputs=[new_output("display_data", {"text/html": table})])
    html = to_html(new_notebook(cells=[new_markdown_cell("## A"), cell]), tmp_path / "x.html", title="x")
    page, _ = opened(browser, html, PHONE)
    box = page.locator(".scroll")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert box.evaluate("e => e.scrollWidth > e.clientWidth") and box.bounding_box()["width"] <= PHONE["width"]
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)  # the page's own rules forbid the scripts that other ways of waiting would add
    assert box.evaluate("e => e.scrollLeft") > 0


def test_a_figure_opens_large_and_closes_again(browser, exported):
    page, _ = opened(browser, exported("fr"), PHONE)
    picture = page.locator("figure img[src*=svg]").first
    before = picture.bounding_box()["width"]
    picture.click()
    assert picture.bounding_box()["width"] > 2 * before
    page.locator(".large:target .close").click()
    assert picture.bounding_box()["width"] == before


def test_a_link_of_the_contents_and_a_permalink_lead_to_their_heading(browser, exported):
    page, _ = opened(browser, exported("fr"))
    page.locator("#contents details > ol > li > a").nth(4).click()
    heading = page.locator("main h2").nth(4)
    assert 0 <= heading.bounding_box()["y"] < 100
    heading.hover()
    heading.locator(".permalink").click()
    assert page.evaluate("decodeURIComponent(location.hash.slice(1))") == heading.get_attribute("id")
