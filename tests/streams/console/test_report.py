"""Is a report one file that anybody can open: whole, drawn, printable, and the same each time?"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from streams.broker import Record
from streams.console.html import Content, Html, element
from streams.console.report import Made, Shown, Stylesheet, document, model
from streams.offline.drawn import Gathered, gathered, stylesheet
from streams.views.problems import Problem
from tests.browsing import DESK, PHONE, Browse
from tests.streams.fleet import Fleet, records
from tests.streams.published import NAMES, NOW_MS, alert, record, result, series, told

FLEET = Fleet(models=7, features=6, days=2, now_ms=NOW_MS, segments=("country=DE",), seed=7)


@cache
def fleet() -> Gathered:
    return gathered(NAMES, records(FLEET))


def sections(shown: Shown, of: Gathered | None = None) -> Sequence[Content]:
    known = of or fleet()
    return known.draw(lambda recalled: model(known.read, shown, NOW_MS, recalled))


def written(*shown: Shown, of: Gathered | None = None) -> str:
    made = Made("Report", {"Made by": "a test"})
    return document(made, [(one.model_id, sections(one, of)) for one in shown], stylesheet())


def opened(browse: Browse, page: Page, text: str, folder: Path) -> list[str]:
    """Open the text as a file; what else was asked for."""
    path = folder / "report.html"
    path.write_text(text, "utf-8")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert asked.pop(0) == path.as_uri()
    return asked


def drawn(page: Page) -> int:
    """Draw all pictures, as a printer has them drawn, and count them."""
    expect(page.locator("#note")).to_be_hidden()
    page.evaluate("dispatchEvent(new Event('beforeprint')); dispatchEvent(new Event('afterprint'))")
    plots = page.locator(".plot")
    expect(page.locator(".plot.js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator(".plot.js-plotly-plot")).to_have_count(plots.count())
    return plots.count()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_report_opens_from_a_file_and_asks_nobody_for_anything(
    browse: Browse, tmp_path: Path, size: tuple[int, int]
) -> None:
    page = browse.page(size)
    asked = opened(browse, page, written(Shown("churn", days=2)), tmp_path)
    assert drawn(page) >= 10
    assert asked == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    headings = page.locator("h2").all_inner_texts()
    for heading in ("Problems", "What moved most", "Drift", "Service", "Triggers"):
        assert heading in headings
    expect(page.get_by_role("heading", name="Values of feature:income")).to_be_visible()
    browse.shot(page, f"report-{'phone' if size == PHONE else 'desk'}", whole=True)


def test_a_report_without_scripts_has_every_number_in_tables(
    browse: Browse, tmp_path: Path
) -> None:
    page = browse.page(scripts=False)
    assert opened(browse, page, written(Shown("churn", days=2)), tmp_path) == []
    expect(page.locator("#note")).to_contain_text("open the figures below each")
    assert page.locator(".plot:visible").count() == 0
    figures = page.locator("figure.picture details")
    assert figures.count() >= 10
    figures.first.locator("summary").click()
    expect(figures.first.locator("table")).to_be_visible()


def test_a_printed_report_fits_its_paper(browse: Browse, tmp_path: Path) -> None:
    page = browse.page((700, 1000), dark=True)
    opened(browse, page, written(Shown("churn", days=2)), tmp_path)
    assert drawn(page)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    wide = page.locator(".plot").evaluate_all("all => Math.max(...all.map(one => one.scrollWidth))")
    assert wide <= 700
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(26, 33, 48)"
    assert page.pdf(format="A4").startswith(b"%PDF")


HOSTILE = "</script><img src=x onerror=alert(1)>‮שלום" + "x" * 100


def hostile() -> Gathered:
    """A model all of whose names were chosen to break a page."""

    def place(found: Sequence[Record]) -> Iterator[Record]:
        at: dict[str, int] = {}
        for one in found:
            offset = at[one.topic] = at.get(one.topic, -1) + 1
            yield one._replace(offset=offset)

    name = f"feature:{HOSTILE}"
    of_window: list[Record] = []
    for hour in range(4):
        of_window += [
            record("results", "loans", result(hour, verdict="severe", found=[series(name)])),
            record("results", "loans", result(hour, segment=HOSTILE[:40], found=[series(name)])),
        ]
    problem = alert() | {"title": HOSTILE, "summary": HOSTILE}
    return gathered(NAMES, place([*of_window, told("alerts", problem)]))


def test_no_name_breaks_out_of_a_report(browse: Browse, tmp_path: Path) -> None:
    page = browse.page()
    found = hostile()
    text = written(Shown("loans"), of=found)
    assert opened(browse, page, text, tmp_path) == []
    assert drawn(page)
    assert page.locator("img").count() == 0
    expect(page.get_by_text("onerror=alert(1)").first).to_be_visible()
    assert "<img" not in text.split('id="charts"')[0]
    browse.shot(page, "report-hostile", whole=True)


def test_the_same_records_are_the_same_bytes_and_no_link_leads_to_a_page_that_is_not_there() -> (
    None
):
    text = written(Shown("churn"), Shown("loan-default"))
    again = gathered(NAMES, records(FLEET))
    assert text == written(Shown("churn"), Shown("loan-default"), of=again)
    before = text.split('id="charts"')[0]
    assert not re.findall(r'(?:href|src)="(?!https?:|data:)[^"]*"', before)
    ids = re.findall(r'<[a-z][^>]* id="([^"]*)"', before)
    assert len(ids) == len(set(ids))
    assert len(text) < 2_600_000, "Plotly is packed"


def test_every_model_of_the_fleet_has_a_report_and_nothing_judged_is_said() -> None:
    for one in FLEET.made:
        assert sections(Shown(one.id))
    assert "0 windows" in str(element("div", sections(Shown("credit-limit"))))
    assert 'class="plot"' not in str(element("div", sections(Shown("credit-limit"))))
    released = str(element("div", sections(Shown("ad-clicks", version="1.0.0"))))
    assert "<bdi" in released
    assert "country=DE" in str(element("div", sections(Shown("churn", segment="country=DE"))))


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (Shown("nobody"), "no model has the id 'nobody'"),
        (Shown("churn", version="9"), "nothing was judged of churn 9, segment all"),
        (Shown("churn", segment="country=XX"), "nothing was judged of churn"),
    ],
)
def test_what_nobody_knows_has_no_report(shown: Shown, said: str) -> None:
    with pytest.raises(Problem, match=re.escape(said)):
        sections(shown)


@pytest.mark.parametrize("text", ["a</script>b", "<!-- x", "</STYLE >"])
def test_a_script_that_would_end_its_element_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="would end its element"):
        document(Made("t", {}), [("m", [Html('<p class="plot"></p>')])], _style(text))


def _style(drawing: str) -> Any:
    return Stylesheet("", drawing, "")
