from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.digest import (
    MOST_LINES,
    TITLES,
    Digest,
    DigestItem,
    Why,
    day_start,
    digest,
    noted,
)
from alerting.episodes import advance
from alerting.identity import digest_id
from alerting.settings import DAY_MS, HOUR_MS, AlertRule, Receiver
from alerting.types import Alert, Delivery
from detectors.types import Status
from tests.alerting.builders import RECEIVERS, SEVEN, context, finding, opened, policy

DAY = day_start(SEVEN)


def alert(*, delivery: Delivery | None = None, **changes: Any) -> Alert:
    _, found = opened()
    return replace(found, delivery=delivery or found.delivery, **changes)


def kept_back(**why: Any) -> Delivery:
    reasons = {"inhibited_by": None, "silenced_by": None, "held": None} | why
    return Delivery(("slack", "pagerduty", "email"), **reasons)


def of(*alerts: Alert, receiver: str = "slack") -> Digest | None:
    """The digest of one receiver."""
    items = [item for one in alerts for name, item in noted(one, RECEIVERS) if name == receiver]
    return digest(receiver, DAY, items)


def sections(found: Digest | None) -> dict[str, list[str]]:
    return {s.why: [line.text for line in s.lines] for s in found.sections} if found else {}


def item(why: Why = "info", n: int = 0, **changes: Any) -> DigestItem:
    return replace(
        DigestItem(why, "churn", f"ep-{n:03}", "2026-03-02T07:00:00.000Z", f"line {n}"), **changes
    )


def test_a_day_goes_from_eight_to_eight() -> None:
    for hour, days in ((-24, -1), (0, 0), (1, 1), (24, 1), (25, 2)):
        assert day_start(SEVEN + hour * HOUR_MS) == DAY + days * DAY_MS


def test_every_reason_but_what_was_told_has_a_title() -> None:
    assert {*TITLES} == {*get_args(Why)} - {"told", "untold"}


def test_nothing_to_say_is_not_said() -> None:
    assert digest("slack", DAY, []) is None
    assert of(alert()) is None, "it was delivered"


def test_its_id_follows_from_receiver_and_day() -> None:
    found = digest("slack", DAY, [item()])
    assert found is not None
    assert found.digest_id == digest_id("slack", DAY) != digest_id("email", DAY)
    assert found.digest_id != digest_id("slack", DAY + DAY_MS)
    assert (found.day_start, found.day_end) == (
        "2026-03-01T08:00:00.000Z",
        "2026-03-02T08:00:00.000Z",
    )


@pytest.mark.parametrize(
    ("why", "section"),
    [
        ({"held": "grace"}, "grace"),
        ({"held": "flapping"}, "flapping"),
        ({"held": "muted"}, "muted"),
        ({"held": "snoozed"}, "snoozed"),
        ({"held": "staging"}, "staging"),
        ({"inhibited_by": "ep-x"}, "inhibited"),
        ({"silenced_by": "s-1"}, "silenced"),
        ({"silenced_by": "s-1", "held": "grace", "inhibited_by": "ep-x"}, "silenced"),
    ],
)
def test_what_was_kept_back_is_told_under_its_reason(why: dict[str, str], section: str) -> None:
    held = alert(delivery=kept_back(**why))
    assert sections(of(held)) == {section: [held.title]}
    assert sections(of(held, receiver="email")) == {section: [held.title]}
    assert of(held, receiver="pagerduty") is None


def test_what_only_pagerduty_would_have_heard_is_read_where_others_read() -> None:
    held = alert(delivery=replace(kept_back(held="grace"), receivers=("pagerduty",)))
    assert [name for name, _ in noted(held, RECEIVERS)] == ["slack"]


@pytest.mark.parametrize(
    ("receivers", "readers"),
    [
        (RECEIVERS, ["slack"]),
        ((Receiver("a", "slack"), Receiver("b", "email")), ["a", "b"]),
        ((Receiver("pd", "pagerduty"),), []),
    ],
)
def test_an_info_is_read_in_the_default_receiver_s_digest(
    receivers: tuple[Receiver, ...], readers: list[str]
) -> None:
    rule = AlertRule(("data_drift",), "drifting", "info")
    _, (info,) = advance(policy(rules=(rule,)), None, finding(), context())
    assert [(name, one.why) for name, one in noted(info, receivers)] == [
        (name, "info") for name in readers
    ]


def test_what_was_delivered_after_all_is_taken_back() -> None:
    held = alert(delivery=kept_back(held="grace"))
    late = alert(
        sequence=2, at="2026-03-02T09:00:00.000Z", delivery=Delivery(("slack",), *[None] * 3)
    )
    assert of(held, late) is None
    assert sections(of(held, late, receiver="email")) == {"grace": [held.title]}
    again = alert(sequence=3, at=late.at, delivery=kept_back(silenced_by="s-1"))
    assert sections(of(held, late, again)) == {"silenced": [held.title]}


def test_what_ended_before_anybody_heard_of_it_stands_as_over() -> None:
    episode, (held,) = advance(policy(), None, finding(), context(held="grace"))
    _, (end,) = advance(policy(), episode, finding(Status.STABLE), context(1))
    found = of(held, end)
    assert found is not None
    (section,) = found.sections
    assert section.why == "grace"
    assert [(line.open, line.times) for line in section.lines] == [(False, 2)]
    assert section.lines[0].text.endswith("recovered")
    assert of(end) is None, "nobody knows what it is about"


def test_sections_and_lines_come_in_the_order_in_which_they_matter() -> None:
    found = digest(
        "slack",
        DAY,
        [
            item("info", 1),
            item("expired", 2, open=False),
            item("expired", 3),
            item("expired", 4, severity="critical", open=False),
            item("expired", 5, model_id="alpha"),
        ],
    )
    assert sections(found) == {
        "expired": ["line 4", "line 5", "line 3", "line 2"],
        "info": ["line 1"],
    }


def test_a_long_section_is_counted_to_its_end() -> None:
    found = digest("slack", DAY, [item(n=n) for n in range(MOST_LINES + 5)])
    assert found is not None
    assert (len(found.sections[0].lines), found.sections[0].more) == (MOST_LINES, 5)
    assert found.total == MOST_LINES + 5


ITEMS = st.builds(
    item,
    st.sampled_from(get_args(Why)),
    st.integers(0, 5),
    at=st.sampled_from(["2026-03-02T07:00:00.000Z", "2026-03-02T09:00:00.000Z"]),
    text=st.text(max_size=300),
    sequence=st.integers(0, 3),
    open=st.booleans(),
)


@given(st.lists(ITEMS, max_size=30).flatmap(lambda of: st.tuples(st.just(of), st.permutations(of))))
def test_the_order_of_notes_and_notes_made_twice_change_nothing(
    notes: tuple[list[DigestItem], list[DigestItem]],
) -> None:
    once, shuffled = notes
    found = digest("slack", DAY, once)
    assert digest("slack", DAY, [*shuffled, *shuffled]) == found
    lines = [line for section in found.sections for line in section.lines] if found else []
    assert len(lines) <= len({one.about for one in once})
    assert all(len(line.text) <= 200 for line in lines)
