"""Do the pages look right in a real browser? Empty, full, with strange names, in the dark, on a phone, by keyboard."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from tests.browsing import DESK, PHONE, Browse
from tests.streams.console.shapes import SHAPES, Shape
from tests.streams.published import fleet

LOOKS = Path(__file__).with_name("looks.js").read_text()  # what is asked of a page in the browser


def asked(page: Page, question: str) -> Any:
    return page.evaluate(f"() => ({LOOKS}).{question}()")


def path_of(shape: Shape, page: str) -> str:
    if page == "overview":
        return "/"
    base = f"/models/{quote(shape.model or '', safe='')}"
    more = {"series": f"/series/{quote(shape.series, safe='')}", "versions": "/versions"}
    return base + more.get(page, "")


def drawn(page: Page) -> None:
    """Every picture is drawn, also those that nobody scrolled to yet."""
    page.evaluate("() => { dispatchEvent(new Event('beforeprint')); }")
    assert page.locator(".picture .plot:not(.js-plotly-plot)").count() == 0


@pytest.mark.parametrize("name", SHAPES)
def test_pages_fit_and_lack_nothing_whatever_is_known(browse: Browse, name: str) -> None:
    shape = SHAPES[name]
    served = browse.serve(shape.read(), **shape.more)
    page, hosts = browse.page(DESK), set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    for what in shape.pages:
        page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        page.goto(served.url + path_of(shape, what))
        page.wait_for_selector("#live[data-state=live]", state="attached")
        drawn(page)
        assert asked(page, "lacks") == [], what
        assert asked(page, "overflow") <= 0, what
        assert asked(page, "pale") == [], what
        browse.shot(page, f"{what}-{name}")
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert asked(page, "overflow") <= 0, f"{what} on a phone"
        if name in ("one", "long"):
            page.emulate_media(color_scheme="dark")
            drawn(page)
            assert asked(page, "pale") == [], f"{what} in the dark"
            browse.shot(page, f"{what}-{name}-phone-dark")
            page.emulate_media(color_scheme="light")
    assert hosts == {served.url.split("/")[2]}, "another host was asked for something"


def test_every_link_field_and_table_is_reached_by_the_tab_key(browse: Browse) -> None:
    served = browse.serve(fleet(models=2, features=3, days=1))
    page = browse.page()
    for path in ("/", "/models/churn/series/feature:income"):
        page.goto(served.url + path)
        drawn(page)
        wanted = asked(page, "number")
        seen = set()
        for step in range(2 * wanted):
            page.keyboard.press("Tab")
            place = page.evaluate("() => places.get(document.activeElement) ?? null")
            if place is None and step:
                break
            seen.add(place)
            outlined = page.evaluate(
                "() => getComputedStyle(document.activeElement).outlineStyle !== 'none'"
            )
            assert outlined, page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)")
        assert len(seen - {None}) == wanted


def test_the_skip_link_comes_first_and_leads_past_the_navigation(browse: Browse) -> None:
    served = browse.serve(fleet(models=2, features=3, days=1))
    page = browse.page()
    page.goto(served.url)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "content"


def test_without_scripts_pages_can_be_read_and_filtered(browse: Browse) -> None:
    served = browse.serve(fleet(models=4, features=3, days=1))
    page = browse.page(scripts=False)
    page.goto(f"{served.url}/models/churn")
    assert page.locator(".picture details table").count() > 3
    assert not page.locator(".plot").first.is_visible()
    page.goto(served.url)
    page.fill("input[name=q]", "churn")
    page.click("form.filter button")
    assert page.locator("#models tbody tr").count() == 1
    assert "q=churn" in page.url
