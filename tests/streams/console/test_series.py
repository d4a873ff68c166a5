"""From what is firing to the feature and its two distributions: three clicks, and what the pages say on the way."""

from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from streams.console.pages import PAGES
from streams.console.series import SERIES
from streams.views.asked import Asked
from streams.views.distribution import distribution
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.browsing import Browse
from tests.streams.console.shapes import MARKUP, named
from tests.streams.published import NOW_MS, fleet

INCOME = "feature:income"


@pytest.fixture(scope="module")
def month() -> ReadModel:
    return fleet(models=3, features=12, days=4)


def written(read: ReadModel, series: str = INCOME, model: str = "churn", **query: str) -> str:
    """The page of a series."""
    return SERIES.render(Asked(read, NOW_MS, {"id": model, "series": series}, query))


def test_three_clicks_lead_to_the_drifting_feature_and_its_two_distributions(
    browse: Browse, month: ReadModel
) -> None:
    served = browse.serve(month)
    page = browse.page()
    page.goto(served.url)
    page.locator("#firing").get_by_role("link", name="churn", exact=True).click()  # 1
    row = page.locator("#scope-inputs tbody tr").first  # the strongest comes first
    row.get_by_role("link", name=INCOME).click()  # 2, and there it is
    expect(page.locator("h1")).to_contain_text(INCOME)
    expect(page.locator("h1 .pill")).to_have_text("severe")
    page.wait_for_selector("#picture-distribution .plot .bars .point")
    legend = page.locator("#picture-distribution .legendtext").all_text_contents()
    assert legend == ["reference", "current"]
    found = distribution(month, "churn", "1.0.0", "all", INCOME)
    assert found is not None
    bars = page.evaluate(
        "() => document.querySelector('#picture-distribution .plot').data.map((one) => one.y)"
    )
    assert bars[0] == pytest.approx([100 * share for share in found.reference], rel=1e-3, abs=1e-3)
    assert bars[1] == pytest.approx([100 * share for share in found.current], rel=1e-3, abs=1e-3)
    browse.shot(page, "three-clicks")


def test_a_cell_of_the_heat_map_opens_its_window_by_mouse_and_by_keyboard(
    browse: Browse, month: ReadModel
) -> None:
    served = browse.serve(month)
    page = browse.page()
    page.goto(f"{served.url}/models/churn")
    plot = page.locator("#picture-drift .plot")
    page.wait_for_selector("#picture-drift .plot .heatmaplayer image")
    ends = plot.evaluate("(one) => one.data[0].x")
    plot.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#picture-drift p[aria-live]")).to_contain_text("income")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(INCOME)
    assert ends[-2][:16] in page.url
    page.go_back()
    page.wait_for_selector("#picture-drift .plot .heatmaplayer image")
    box = page.locator("#picture-drift .plot .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + 5)
    expect(page.locator("h1")).to_contain_text(INCOME)
    assert ends[-1][:16] in page.url


def test_pictures_show_utc_wherever_one_looks_from(browse: Browse, month: ReadModel) -> None:
    served = browse.serve(month)
    page = browse.page()  # in Auckland
    page.goto(f"{served.url}/models/churn/series/{quote(INCOME)}")
    page.locator("#picture-effect").scroll_into_view_if_needed()
    page.wait_for_selector("#picture-effect .plot .points")
    newest = page.evaluate("() => document.querySelector('#picture-effect .plot').data[0].x.at(-1)")
    assert newest == "2026-03-02T10:00:00.000"
    page.evaluate(
        "() => document.querySelector('#picture-effect details').setAttribute('open', '')"
    )
    assert "2026-03-02 10:00 UTC" in page.locator("#picture-effect tbody tr").first.inner_text()


def test_in_the_dark_pictures_are_drawn_in_other_colours(browse: Browse, month: ReadModel) -> None:
    served = browse.serve(month)
    page = browse.page()
    page.goto(f"{served.url}/models/churn/series/{quote(INCOME)}")
    bar = page.locator("#picture-distribution .plot .trace").nth(1).locator("path").first
    light = bar.evaluate("(one) => getComputedStyle(one).fill")
    page.emulate_media(color_scheme="dark")
    expect(bar).not_to_have_css("fill", light)


def test_the_page_says_the_verdict_in_a_sentence_with_its_numbers(month: ReadModel) -> None:
    page = written(month)
    assert "The alarm crossed its threshold and the effect is severe. PSI" in page
    assert "is above the floor of 0.1." in page
    for said in ("50,000 values", "Smallest that matters", "chi2", "EUR", "moved most: above"):
        assert said in page, said


def test_windows_lead_to_the_ones_before_and_after(month: ReadModel) -> None:
    newest = written(month)
    assert "window=2026-03-02T09:00:00.000Z" in newest
    before = written(month, window="2026-03-02T09:00:00Z")
    assert "window=2026-03-02T08:00:00.000Z" in before
    assert 'selected="">2026-03-02 09:00 UTC' in before or "selected" in before
    with pytest.raises(Problem):
        written(month, window="2026-03-02T09:30:00Z")


def test_values_of_personal_data_are_shown_nowhere(month: ReadModel) -> None:
    found = distribution(month, "churn", "1.0.0", "all", "feature:postcode")
    assert found is not None
    assert found.concealed
    page = written(month, "feature:postcode")
    assert "Personal data" in page
    assert "bin 1 of" in page
    document = month.reference_document("churn", "churn-training")
    assert document is not None
    values = _values(document["series"]["feature:postcode"])
    assert values
    pages = [
        page,
        *(one.render(_asked(month, one.path)) for one in PAGES if "{id}" not in one.path),
    ]
    pages += [
        one.render(_asked(month, one.path)) for one in PAGES if one.path.startswith("/models")
    ]
    for text in pages:
        for value in values:
            for shown in (f">{value}<", f"{value} to ", f" to {value}", f":{value}", f'["{value}"'):
                assert shown not in text, f"{value} on {text[:200]}"


def _asked(read: ReadModel, path: str) -> Asked:
    return Asked(read, NOW_MS, {"id": "churn", "series": "feature:postcode"}, {})


def _values(series: dict[str, Any]) -> list[str]:
    """What must not be shown: the values that the reference names, but those too short to tell."""
    edges = [f"{edge:.6g}" for edge in series.get("edges") or ()]
    return [one for one in (*edges, *(series.get("categories") or ())) if len(one) > 2]


def test_a_series_that_nobody_knows_is_not_found(month: ReadModel) -> None:
    with pytest.raises(Problem):
        written(month, "feature:nobody")
    with pytest.raises(Problem):
        written(month, INCOME, "nobody")


def test_no_name_becomes_markup_in_a_page_or_a_picture() -> None:
    read = named(MARKUP)
    for page in PAGES:
        if page.path.startswith("/models") or page.path == "/":
            path = {"id": "loans", "series": f"feature:{MARKUP}"}
            text = page.render(Asked(read, NOW_MS, path, {}))
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert" in text or "u003cscript" in text
