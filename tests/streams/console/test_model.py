"""What do the pages of a model and of its versions say, and what where little is known?"""

import re

import numpy as np
import pytest

from streams.console.html import PLOTLY
from streams.console.model import MODEL
from streams.console.versions import VERSIONS, pairs
from streams.views.asked import Asked
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.streams.published import NOW_MS, fleet, lifecycle, read_model, record, result, told


@pytest.fixture(scope="module")
def week() -> ReadModel:
    return fleet(models=5, features=4, days=7, segments=("country=DE", "country=FR"))


def written(read: ReadModel, model: str = "churn", **query: str) -> str:
    return MODEL.render(Asked(read, NOW_MS, {"id": model}, query))


def compared(read: ReadModel, model: str, **query: str) -> str:
    return VERSIONS.render(Asked(read, NOW_MS, {"id": model}, query))


def test_a_page_has_every_section_of_which_something_is_known(week: ReadModel) -> None:
    page = written(week)
    sections = re.findall(r'<section id="([\w-]+)"', page)
    for wanted in ("open", "drift", "performance", "values", "service", "labels", "segments"):
        assert wanted in sections, wanted
    assert len(sections) == len(set(sections))
    for picture in ("drift", "alarm", "recall", "latency", "throughput", "error_rate", "score"):
        assert f'id="picture-{picture}"' in page, picture


def test_the_time_that_is_shown_is_chosen(week: ReadModel) -> None:
    day, month = written(week, days="1"), written(week)
    assert len(day) < len(month)
    assert 'class="chosen" aria-current="true">1 day<' in day
    with pytest.raises(Problem):
        written(week, days="400")


def test_a_segment_is_shown_by_itself_and_its_links_stay_in_it(week: ReadModel) -> None:
    page = written(week, segment="country=DE")
    assert "segment=country%3DDE" in page
    assert re.search(r'aria-current="true">country=DE<', page)


def test_a_model_without_a_window_says_so_and_loads_no_chart_library() -> None:
    page = written(read_model(record("models", "lifecycle|loans", lifecycle())), "loans")
    assert "No window has been judged yet" in page
    assert PLOTLY not in page
    assert PLOTLY in written(fleet(models=2, features=2, days=1))


def test_a_broken_rule_is_told_with_its_limit() -> None:
    broken = {"quality": {"missing(age)": {"value": 0.2, "limit": 0.05, "violated": True}}}
    read = read_model(told("results", result(scope="health") | broken))
    page = written(read, "loans")
    assert "Broken rule" in page
    assert "<bdi>missing(age)</bdi>" in page
    assert ">0.05<" in page


def test_the_budget_of_false_alarms_is_told(week: ReadModel) -> None:
    assert re.search(r"windows since its last reset; allowed are .+ false alarms", written(week))


def test_versions_are_compared_in_the_windows_of_both(week: ReadModel) -> None:
    found = {(one.scope, one.a.name): one for one in pairs(week, "ad-clicks", "1.0.0", "1.1.0")}
    recall = found["outcomes", "recall"]
    both = np.intersect1d(recall.a.end_ms, recall.b.end_ms)
    assert both.size
    page = compared(week, "ad-clicks", a="1.0.0", b="1.1.0")
    assert "Means over the windows that both were judged in" in page
    at = np.isin(recall.a.end_ms, both) & np.isfinite(recall.a.value)
    assert f"{recall.a.value[at].mean():.3g}" in page
    assert 'id="picture-recall"' in page


def test_a_model_with_one_version_has_nothing_to_compare(week: ReadModel) -> None:
    assert "no other version to compare with" in compared(week, "churn")
    assert "Nothing was measured of both" in compared(week, "ad-clicks", a="1.0.0", b="9")
