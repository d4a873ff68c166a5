"""What does the front page say, in which order, and how large is it?"""

import gzip
import re

import pytest

from streams.console.overview import INDEX
from streams.console.parts import PLACES
from streams.console.strips import strip
from streams.views.asked import Asked
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.streams.published import NOW_MS, fleet, read_model, result, told

STATES = re.compile(r'pill state-(\w+)">')


@pytest.fixture(scope="module")
def seven() -> ReadModel:
    return fleet(models=7, features=3, days=1, segments=())


def written(read: ReadModel, **query: str) -> str:
    return INDEX.render(Asked(read, NOW_MS, {}, query))


def names(page: str) -> list[str]:
    """The ids of the models that are listed, in order."""
    return re.findall(r'<tr id="m-([^"]+)"', page)


def test_the_worst_come_first(seven: ReadModel) -> None:
    order = ["down", "degraded", "unknown", "healthy", "retired"]
    table = written(seven).partition('id="models"')[2]
    states = [order.index(state) for state in STATES.findall(table)]
    assert len(states) == 7
    assert states == sorted(states)


def test_models_are_found_by_name_owner_and_state(seven: ReadModel) -> None:
    assert names(written(seven, q="CHURN")) == ["churn"]
    assert set(names(written(seven, q="credit-risk"))) >= {"loan-default"}
    degraded = names(written(seven, state="degraded"))
    assert degraded
    assert set(names(written(seven, state="degraded", q="chu"))) == set(degraded) & {"churn"}
    assert "No model is like that" in written(seven, q="nobody")
    with pytest.raises(Problem):
        written(seven, state="fine")


def test_models_are_sorted_as_asked(seven: ReadModel) -> None:
    by_name = names(written(seven, sort="model"))
    assert sorted(by_name) == sorted(names(written(seven)))
    assert by_name[0] == "ad-clicks"
    alarms = names(written(seven, sort="alarm"))
    assert alarms[0] == "churn"
    assert 'aria-sort="descending"' in written(seven, sort="alarm")
    with pytest.raises(Problem):
        written(seven, sort="colour")


def test_an_unknown_state_says_why(seven: ReadModel) -> None:
    assert "no window of the current version has been judged yet" in written(seven)


def test_no_more_cards_than_fit_and_the_rest_is_linked(seven: ReadModel) -> None:
    many = fleet(models=40, features=2, days=1, segments=())
    page = written(many)
    assert page.count('<article class="card') == 6
    assert re.search(r'<a href="/episodes\?status=open">and \d+ more</a>', page)


def test_two_hundred_models_are_one_small_page() -> None:
    read = fleet(models=200, features=2, days=1, segments=())
    page = written(read).encode()
    assert names(page.decode()) != []
    assert len(page) < 160_000
    assert len(gzip.compress(page)) < 16_000


def test_the_navigation_marks_where_one_is_and_counts_what_waits(seven: ReadModel) -> None:
    page = written(seven)
    assert page.count('aria-current="page"') == 1
    for place in PLACES:
        assert f'href="{place.path}"' in page
    assert re.search(r'Episodes<span class="count">\d+<span class="sr"> open', page)


def test_a_strip_says_in_words_what_it_shows() -> None:
    drawn = strip(["stable"] * 3 + ["severe"])
    assert 'aria-label="last 4 windows: 1 severe, 3 stable"' in drawn
    assert drawn.count("<path") == 2
    assert "none yet" in strip([])


def test_while_the_log_is_read_the_page_says_how_far() -> None:
    read = read_model(told("results", result()))
    asked = Asked(read, NOW_MS, {}, {}, ready=False, reading=((("leeway.results", 0), 30, 120),))  # type: ignore[arg-type]
    page = INDEX.render(asked)
    assert "25\N{NO-BREAK SPACE}%, 30 of 120 records" in page
    assert "What is shown may be incomplete or old" in page
