from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.identity import shared_id
from alerting.notify import notify
from alerting.settings import HOUR_MS
from alerting.shared import LEAST_MODELS, WITHIN_MS, Gathered, News, Shared, gather, mergeable
from alerting.types import Change, Kind
from tests.alerting.builders import RECEIVERS, SEVEN, opened

MINUTE = 60_000


def news(model: str, minutes: int = 0, **changes: Any) -> News:
    """The age of `model` drifted, so many minutes after seven."""
    about = f"{model}: age drifted"
    at_ms = SEVEN + minutes * MINUTE
    usual = News("slack", "feature:age", model, f"ep-{model}-{minutes}", at_ms, "warning", about)
    return replace(usual, **changes)


def models(found: Gathered) -> list[tuple[str, ...]]:
    return [of.models for of in found.shared]


def alone(found: Gathered) -> list[str]:
    return [one.model_id for one in found.single]


def test_three_models_with_the_same_series_are_one_message() -> None:
    found = gather([news("c"), news("a", 5), news("b", severity="error")])
    (shared,) = found.shared
    assert found.single == ()
    assert shared.models == ("b", "c", "a")
    assert shared.severity == "error"
    assert shared.shared_id == shared_id("feature:age", SEVEN)
    assert shared.window_end_ms == SEVEN


@pytest.mark.parametrize(
    "third",
    [
        news("b", 7),  # two models
        news("c", 61),  # later
        news("c", series="feature:plan"),
        news("c", receiver="email"),
    ],
)
def test_less_than_that_are_told_by_themselves(third: News) -> None:
    found = gather([news("a"), news("b"), third])
    assert found.shared == ()
    assert len(found.single) == 3


def test_the_hour_begins_with_any_of_them() -> None:
    found = gather([news("a"), news("b", 50), news("c", 100), news("d", 110), news("e", 111)])
    assert models(found) == [("b", "c", "d")]
    assert alone(found) == ["a", "e"]


def test_two_causes_are_two_messages() -> None:
    plan = [news(model, series="feature:plan") for model in "abc"]
    late = [news(model, 120) for model in "abc"]
    found = gather([*plan, *late, *map(news, "abc")])
    assert models(found) == [("a", "b", "c")] * 3
    assert len({of.shared_id for of in found.shared}) == 3


def test_what_belongs_to_a_cause_that_was_told_joins_it() -> None:
    (first,) = gather(map(news, "abc")).shared
    found = gather([news("d", 30), news("e", -30), news("f", 61)], announced=[first])
    (grown,) = found.shared
    assert grown.shared_id == first.shared_id
    assert grown.models == ("e", "a", "b", "c", "d")
    assert alone(found) == ["f"]
    elsewhere = replace(first, receiver="email")
    assert alone(gather([news("d", 30)], announced=[elsewhere])) == ["d"]


def test_what_comes_after_the_hour_of_a_cause_begins_another() -> None:
    (first,) = gather(map(news, "abc")).shared
    found = gather([news("d", 61), news("e", 70), news("f", 80)], announced=[first])
    (later,) = found.shared
    assert later.models == ("d", "e", "f")
    assert later.shared_id != first.shared_id


def test_what_has_joined_already_changes_nothing() -> None:
    (first,) = gather(map(news, "abc")).shared
    assert gather([news("a")], announced=[first]) == Gathered((), ())


@given(
    st.lists(
        st.builds(
            news,
            st.sampled_from("abcdef"),
            st.integers(-90, 200),
            receiver=st.sampled_from(["slack", "email"]),
            series=st.sampled_from(["feature:age", "feature:plan"]),
        ),
        max_size=25,
    ).flatmap(lambda of: st.tuples(st.just(of), st.permutations(of)))
)
def test_everything_is_told_once_in_whatever_order_it_came(
    of: tuple[list[News], list[News]],
) -> None:
    once, shuffled = of
    found = gather(once)
    assert gather(shuffled) == found
    told = [*found.single, *(one for shared in found.shared for one in shared.members)]
    assert sorted(told, key=repr) == sorted(set(once), key=repr)
    for shared in found.shared:
        assert len(shared.models) >= LEAST_MODELS
        first, last = shared.members[0], shared.members[-1]
        assert last.at_ms - first.at_ms <= WITHIN_MS == HOUR_MS
        assert {(one.receiver, one.series) for one in shared.members} == {
            (shared.receiver, shared.series)
        }
    ids = [(shared.receiver, shared.shared_id) for shared in found.shared]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("change", "kind", "series", "merges"),
    [
        ("opened", "data_drift", "feature:age", True),
        ("escalated", "data_drift", "feature:age", False),
        ("opened", "performance", "metric:f1", False),
        ("opened", "data_drift", None, False),
    ],
)
def test_only_drift_that_opened_is_merged(
    change: Change, kind: Kind, series: str | None, merges: bool
) -> None:
    _, alert = opened()
    everybody = replace(
        alert,
        severity="error",
        delivery=replace(alert.delivery, receivers=("slack", "pagerduty", "email")),
    )
    notes = {n.channel: replace(n, change=change) for n in notify(RECEIVERS, [everybody])}
    assert mergeable(notes["slack"], kind, series) is merges
    assert not mergeable(notes["pagerduty"], kind, series), "an incident for every episode"


def test_a_cause_names_each_model_once() -> None:
    shared = Shared("sh-1", "slack", "feature:age", SEVEN, "warning", (news("a"), news("a", 5)))
    assert shared.models == ("a",)
