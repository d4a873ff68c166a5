"""Who is told what, when nothing stands in the way, and when something does."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.episodes import acknowledge, advance, resolve, snooze, wake
from alerting.hearing import height
from alerting.identity import alert_id, rfc3339
from alerting.routing import route
from alerting.settings import (
    DAY_MS,
    HOUR_MS,
    AlertRule,
    Context,
    EpisodePolicy,
    Mute,
    Receiver,
    RoutingRule,
)
from alerting.silences import Match, Silence
from alerting.types import SEVERITIES, Alert, Episode, Finding
from detectors.types import Status
from tests.alerting.builders import SEVEN, context, finding, opened, policy

STABLE, DRIFTING, SEVERE, UNKNOWN = (
    Status.STABLE,
    Status.DRIFTING,
    Status.SEVERE,
    Status.INSUFFICIENT,
)
# drifting: slack hears a warning; severe: slack, pagerduty and email hear of a critical problem
LOUD = policy(rules=(AlertRule(("data_drift",), "severe", "critical"),))


def silence(start: int, end: int, **match: Any) -> Silence:
    """Holds in the windows [start, end)."""
    return Silence("s-1", Match(**match), SEVEN + start * HOUR_MS, SEVEN + end * HOUR_MS, "a", "b")


def told(alerts: Sequence[Alert]) -> list[tuple[str, str, str]]:
    """What went out: hour, change, to whom."""
    return [
        (alert.at[11:13], alert.change, " ".join(alert.delivery.receivers))
        for alert in alerts
        if not alert.delivery.suppressed and alert.delivery.receivers
    ]


@dataclass
class Life:
    """One subject's problem, window after window."""

    of: EpisodePolicy = LOUD
    episode: Episode | None = None
    alerts: list[Alert] = field(default_factory=list)
    window: int = 0

    def see(self, found: Finding | Status | None, **around: Any) -> "Life":
        here = context(self.window, **around)
        news: tuple[Alert, ...] = ()
        if isinstance(found, Status):
            found = finding(found)
        if found is not None:
            self.episode, news = advance(self.of, self.episode, found, here)
        elif self.episode is not None:
            self.episode, news = wake(self.of, self.episode, here)
        self.alerts += news
        self.window += 1
        return self

    def act(self, moved: tuple[Episode, tuple[Alert, ...]]) -> "Life":
        self.episode, news = moved
        self.alerts += news
        return self

    @property
    def now(self) -> Episode:
        assert self.episode is not None
        return self.episode

    @property
    def here(self) -> Context:
        return context(self.window)

    @property
    def told(self) -> list[tuple[str, str, str]]:
        return told(self.alerts)


# ---- what is held back for a time


@pytest.mark.parametrize(
    ("around", "why"),
    [
        ({"held": "grace"}, ("held", "grace")),
        ({"silences": (silence(0, 3),)}, ("silenced_by", "s-1")),
    ],
)
def test_what_is_still_open_when_it_may_be_heard_is_told_then(
    around: dict[str, Any], why: tuple[str, str]
) -> None:
    life = Life()
    for window in range(5):
        life.see(DRIFTING, **(around if window < 3 else {}))
    first, late = life.alerts
    assert getattr(first.delivery, why[0]) == why[1]
    assert first.delivery.receivers == ("slack",), "who would have heard it"
    assert life.told == [("10", "opened", "slack")]
    assert (late.sequence, late.episode_id) == (2, first.episode_id)


def test_what_was_over_before_it_could_be_heard_is_told_to_nobody() -> None:
    life = Life().see(DRIFTING, held="grace").see(STABLE, held="grace").see(STABLE)
    assert life.told == []
    assert [(a.change, a.delivery.held) for a in life.alerts] == [
        ("opened", "grace"),
        ("resolved", "grace"),
    ]


def test_who_knew_of_it_hears_what_it_came_to_meanwhile() -> None:
    quiet = {"silences": (silence(1, 3),)}
    life = Life().see(DRIFTING).see(SEVERE, **quiet).see(SEVERE, **quiet).see(SEVERE)
    life.see(SEVERE).see(SEVERE)
    assert life.told == [
        ("07", "opened", "slack"),
        ("10", "opened", "pagerduty email"),
        ("10", "escalated", "slack"),
    ]
    assert life.alerts[-1].summary.startswith("Now severe. ")


def test_what_got_better_meanwhile_is_said_too() -> None:
    quiet = {"silences": (silence(1, 2),)}
    life = Life().see(SEVERE).see(DRIFTING, **quiet).see(DRIFTING)
    assert life.told[1:] == [("09", "eased", "slack pagerduty email")]
    assert life.alerts[-1].summary.startswith("No longer severe. ")


def test_what_is_as_it_was_told_is_not_told_again() -> None:
    life = Life().see(DRIFTING)
    life.see(SEVERE, held="grace").see(DRIFTING, held="grace").see(DRIFTING).see(DRIFTING)
    assert [alert.change for alert in life.alerts] == ["opened", "escalated", "eased"]
    assert life.told == [("07", "opened", "slack")]


def test_a_silence_for_warnings_does_not_hold_back_an_error() -> None:
    quiet = {"silences": (silence(0, 9, severity="warning"),)}
    life = Life().see(DRIFTING, **quiet).see(SEVERE, **quiet)
    assert [alert.delivery.silenced_by for alert in life.alerts] == ["s-1", None]
    assert life.told == [("08", "escalated", "slack pagerduty email")]


def test_a_window_without_a_finding_tells_what_may_be_heard_now() -> None:
    for unknown in (None, UNKNOWN):
        life = Life().see(DRIFTING, held="grace").see(unknown, held="grace").see(unknown)
        assert life.told == [("09", "opened", "slack")]
        assert life.alerts[-1].evidence.n_current == life.alerts[0].evidence.n_current


def test_flapping_is_told_once_it_has_stayed_for_a_day() -> None:
    life = Life()
    for _ in range(5):
        life.see(DRIFTING).see(STABLE)
    before = len(life.told)
    for _ in range(26):
        life.see(DRIFTING)
    assert life.told[before:] == [("17", "opened", "slack")]


def test_waiting_for_its_own_tail_is_only_an_excuse_for_what_was_explained() -> None:
    hidden = replace(finding(DRIFTING), visible=False)
    assert Life().see(hidden, held="grace").see(hidden).told == [("08", "opened", "slack")]
    explained = Life().see(hidden, inhibited_by="ep-x").see(hidden).see(hidden).see(hidden)
    assert explained.told == []
    assert explained.see(finding(DRIFTING)).told == [("11", "opened", "slack")]


def test_what_eases_while_it_waits_for_its_own_news_keeps_waiting() -> None:
    life = Life().see(SEVERE, inhibited_by="ep-x").see(DRIFTING)
    eased = life.alerts[-1]
    assert (eased.change, eased.delivery.receivers, eased.delivery.suppressed) == (
        "eased",
        (),
        False,
    )
    assert life.see(DRIFTING).told == [("09", "opened", "slack")]


# ---- mute


NIGHT = Mute(hours=(22 * 60, 10 * 60))
AT_NIGHT = RoutingRule(receivers=("slack",), mute=NIGHT)


def test_a_mute_ends_with_the_night() -> None:
    life = Life(policy(routing=(AT_NIGHT,)))
    for _ in range(5):
        life.see(DRIFTING)
    assert life.alerts[0].delivery.held == "muted"
    assert life.alerts[0].delivery.receivers == ("slack",)
    assert life.told == [("10", "opened", "slack")]


def test_only_some_are_muted() -> None:
    both = (replace(AT_NIGHT, go_on=True), RoutingRule(receivers=("email",)))
    life = Life(policy(routing=both, rules=LOUD.rules))
    life.see(DRIFTING).see(SEVERE).see(SEVERE).see(SEVERE)
    assert life.told == [
        ("07", "opened", "email"),
        ("08", "escalated", "email"),
        ("10", "opened", "slack"),
    ]


def test_who_is_muted_hears_later_what_it_came_to() -> None:
    both = (
        RoutingRule(receivers=("slack",), mute=Mute(hours=(8 * 60, 10 * 60)), go_on=True),
        RoutingRule(receivers=("email",)),
    )
    life = Life(policy(routing=both, rules=LOUD.rules))
    life.see(DRIFTING).see(SEVERE).see(SEVERE).see(SEVERE)
    assert life.told == [
        ("07", "opened", "slack email"),
        ("08", "escalated", "email"),
        ("10", "escalated", "slack"),
    ]
    life.see(STABLE)
    assert life.told[-1] == ("11", "resolved", "slack email")


def test_the_end_is_heard_at_night_too() -> None:
    life = Life(policy(routing=(RoutingRule(mute=Mute(hours=(8 * 60, 9 * 60))),)))
    assert life.see(DRIFTING).see(STABLE).told[-1] == ("08", "resolved", "slack")


# ---- again and again


@pytest.mark.parametrize(
    ("severity", "every"), [("info", None), ("warning", 24), ("error", 12), ("critical", 4)]
)
def test_what_stays_open_is_told_again(severity: Any, every: int | None) -> None:
    of = policy(rules=(AlertRule(("data_drift",), "drifting", severity),))
    life = Life(of)
    for _ in range(50):
        life.see(DRIFTING)
    again = [alert for alert in life.alerts if alert.change == "repeated"]
    hours = list(range(every, 50, every)) if every else []
    assert [alert.at for alert in again] == [_at(hour) for hour in hours]
    for alert in again:
        assert alert.summary.startswith("Still open after ")
        assert "pagerduty" not in alert.delivery.receivers


def _at(window: int) -> str:
    return rfc3339(SEVEN + window * HOUR_MS)


def test_a_route_has_its_own_rhythm() -> None:
    life = Life(policy(routing=(RoutingRule(repeat_ms=2 * HOUR_MS),)))
    for _ in range(5):
        life.see(DRIFTING)
    assert [at for at, change, _ in life.told if change == "repeated"] == ["09", "11"]


def test_a_change_is_as_good_as_a_reminder() -> None:
    life = Life(policy(routing=(RoutingRule(repeat_ms=3 * HOUR_MS),)))
    life.see(DRIFTING).see(DRIFTING).see(SEVERE).see(SEVERE).see(SEVERE).see(SEVERE)
    assert life.told == [
        ("07", "opened", "slack"),
        ("09", "escalated", "slack"),
        ("12", "repeated", "slack"),
    ]


def test_what_only_pagerduty_knows_is_repeated_to_nobody() -> None:
    rule = AlertRule(("data_drift",), "drifting", "critical", ("pagerduty",))
    life = Life(policy(rules=(rule,)))
    for _ in range(9):
        life.see(DRIFTING)
    assert life.told == [("07", "opened", "pagerduty")]


def test_what_was_told_before_this_was_remembered_is_repeated_from_its_last_change() -> None:
    episode, _ = opened()
    old = replace(episode, told_ms=None, levels={})
    _, early = wake(policy(), old, context(23))
    _, (again,) = wake(policy(), old, context(24))
    assert early == ()
    assert (again.change, again.delivery.receivers) == ("repeated", ("slack",))


# ---- what people do


def test_an_acknowledgement_ends_the_repeats_until_it_gets_worse() -> None:
    life = Life().see(DRIFTING)
    life.act(acknowledge(LOUD, life.now, life.here, "ann", "looking at it."))
    said = life.alerts[-1]
    assert (said.change, said.status, said.sequence) == ("acknowledged", "acknowledged", 2)
    assert said.summary.startswith("Acknowledged by ann: looking at it. It is: annual_income: ")
    for _ in range(30):
        life.see(DRIFTING)
    assert len(life.alerts) == 2
    life.see(SEVERE)
    assert (life.alerts[-1].change, life.alerts[-1].status) == ("escalated", "open")
    for _ in range(5):
        life.see(SEVERE)
    assert [a.change for a in life.alerts[2:]] == ["escalated", "repeated"]


def test_pagerduty_hears_an_acknowledgement_if_it_has_an_incident() -> None:
    life = Life().see(SEVERE)
    life.act(acknowledge(LOUD, life.now, replace(life.here, silences=(silence(0, 9),)), "ann"))
    assert life.told[-1] == ("08", "acknowledged", "slack pagerduty email")
    assert life.alerts[-1].summary.startswith("Acknowledged by ann. It is: ")


def test_an_acknowledgement_of_what_nobody_was_told_says_why() -> None:
    life = Life().see(DRIFTING, held="grace")
    life.act(acknowledge(LOUD, life.now, replace(life.here, held="grace"), "ann"))
    assert life.alerts[-1].delivery.held == "grace"
    assert life.see(DRIFTING).told == [], "somebody looks after it already"
    assert life.see(SEVERE).told == [("09", "escalated", "slack pagerduty email")]


def test_acknowledging_twice_or_too_late_does_nothing() -> None:
    life = Life().see(DRIFTING)
    life.act(acknowledge(LOUD, life.now, life.here, "ann"))
    assert acknowledge(LOUD, life.now, life.here, "bob") == (life.now, ())
    life.see(STABLE)
    assert acknowledge(LOUD, life.now, life.here, "bob") == (life.now, ())


def test_an_eased_problem_stays_acknowledged() -> None:
    life = Life().see(SEVERE)
    life.act(acknowledge(LOUD, life.now, life.here, "ann")).see(DRIFTING)
    assert (life.alerts[-1].change, life.alerts[-1].status) == ("eased", "acknowledged")


def test_a_snoozed_problem_is_told_of_again_when_the_snooze_ends() -> None:
    life = Life().see(DRIFTING)
    life.act(snooze(LOUD, life.now, SEVEN + 4 * HOUR_MS, life.here, "ann"))
    assert len(life.alerts) == 1
    life.see(SEVERE)
    assert life.alerts[-1].delivery.held == "snoozed"
    life.see(DRIFTING).see(DRIFTING)
    assert len(life.told) == 1
    life.see(DRIFTING)
    assert life.told[1:] == [("11", "repeated", "slack")]
    assert life.see(DRIFTING).told[2:] == [], "once"


def test_a_problem_that_ends_while_it_is_snoozed_is_over_for_all_who_knew() -> None:
    life = Life().see(DRIFTING)
    life.act(snooze(LOUD, life.now, SEVEN + 9 * HOUR_MS, life.here, "ann")).see(STABLE)
    assert life.told[-1] == ("08", "resolved", "slack")
    life.see(DRIFTING)
    assert life.alerts[-1].delivery.held == "snoozed", "it is the same episode"


@pytest.mark.parametrize("until", [SEVEN, SEVEN + HOUR_MS])
def test_a_snooze_that_is_over_already_does_nothing(until: int) -> None:
    life = Life().see(DRIFTING)
    assert snooze(LOUD, life.now, until, life.here, "ann") == (life.now, ())


def test_only_what_is_open_can_be_snoozed_or_woken() -> None:
    life = Life().see(DRIFTING).see(STABLE)
    assert snooze(LOUD, life.now, SEVEN + DAY_MS, life.here, "ann") == (life.now, ())
    assert wake(LOUD, life.now, life.here) == (life.now, ())


def test_what_somebody_closed_says_who_it_was() -> None:
    life = Life().see(DRIFTING)
    life.act(resolve(LOUD, life.now, "manual", life.here, by="ann"))
    assert life.alerts[-1].summary.startswith("Closed as manual by ann after 1 h, opened 07:00")
    assert life.told[-1] == ("08", "resolved", "slack")


# ---- what it costs


def test_an_open_episode_says_what_it_costs() -> None:
    of, dear = policy(cost_unit="EUR"), replace(finding(SEVERE), cost=19.8)
    life = Life(of).see(dear).see(STABLE)
    assert life.alerts[0].cost == {"amount": 19800.0, "unit": "EUR", "per": 1000}
    assert life.alerts[1].cost is None
    assert Life().see(dear).alerts[0].cost is None, "of nothing that has a unit"


# ---- whatever happens


HOLDS: Any = st.sampled_from(
    [{}, {}, {}, {"held": "grace"}, {"silences": (silence(0, 99),)}, {"inhibited_by": "e"}]
)
STEPS = st.tuples(
    st.sampled_from([None, STABLE, DRIFTING, DRIFTING, SEVERE, UNKNOWN]),
    HOLDS,
    st.sampled_from([None, None, None, "ack", "snooze", "resolve"]),
)
POLICIES = st.sampled_from(
    [
        LOUD,
        policy(),
        replace(LOUD, routing=(AT_NIGHT,)),
        replace(LOUD, routing=(replace(AT_NIGHT, go_on=True), RoutingRule(repeat_ms=HOUR_MS))),
        policy(rules=(AlertRule(("data_drift",), "severe", "info"),)),
        replace(LOUD, receivers=(Receiver("slack", "slack", send_resolved=False),)),
    ]
)


def _act(life: Life, deed: str | None, around: dict[str, Any]) -> None:
    here = context(life.window, **around)
    if life.episode is None or not life.episode.open or deed is None:
        return
    if deed == "ack":
        life.act(acknowledge(life.of, life.episode, here, "ann"))
    elif deed == "snooze":
        life.act(snooze(life.of, life.episode, here.at_ms + 3 * HOUR_MS, here, "ann"))
    else:
        life.act(resolve(life.of, life.episode, "manual", here))


@settings(max_examples=200)
@given(POLICIES, st.lists(STEPS, max_size=30))
def test_whoever_may_hear_knows_how_it_stands_and_nobody_is_told_twice(
    of: EpisodePolicy, steps: list[tuple[Any, dict[str, Any], str | None]]
) -> None:
    life = Life(of)
    believed: dict[str, int] = {}  # of each receiver that knows of the open problem
    explained = -2  # the last window in which another episode explained it
    for found, around, deed in steps:
        window, before = life.window, len(life.alerts)
        _act(life, deed, around)
        life.see(found, **around)
        for alert in life.alerts[before:]:
            _hear(alert, believed)
        explained = window if "inhibited_by" in around else explained
        episode = life.episode
        if episode is None or not episode.open:
            assert believed == {}, "whoever heard of it heard its end"
            assert episode is None or (episode.told, episode.levels) == ((), {})
            continue
        at_ms = SEVEN + window * HOUR_MS
        snoozed = (episode.snoozed_until_ms or 0) > at_ms
        if around or snoozed or episode.flapping or window - explained < 2:
            continue  # it may be held back
        if episode.status == "acknowledged":
            continue  # somebody looks after it
        heard = route(of, "data_drift", episode.verdict, (), "all", at_ms)
        free = {*heard.receivers, *believed}.difference(heard.muted)
        assert {name: believed.get(name) for name in free} == dict.fromkeys(free, height(episode))
    last: dict[str, int] = {}
    for alert in life.alerts:
        last[alert.episode_id] = last.get(alert.episode_id, 0) + 1
        assert alert.sequence == last[alert.episode_id]
        assert alert.alert_id == alert_id(alert.episode_id, alert.sequence)


def _hear(alert: Alert, believed: dict[str, int]) -> None:
    """What a receiver makes of an alert: each change is new to it, and follows from what it knew."""
    if alert.delivery.suppressed:
        return
    stands = 2 * SEVERITIES.index(alert.severity) + (alert.verdict == SEVERE)
    for name in alert.delivery.receivers:
        knew = believed.get(name)
        if alert.change == "opened":
            assert knew is None
        elif alert.change == "escalated":
            assert knew is None or knew < stands
        elif alert.change == "eased":
            assert knew is not None
            assert knew > stands
        else:
            assert knew is not None, "nobody hears the end of what they never heard of"
        believed[name] = stands
        if alert.change == "resolved":
            del believed[name]


@settings(max_examples=50)
@given(POLICIES, st.lists(STEPS, max_size=20))
def test_an_episode_that_was_written_down_goes_on_as_if_it_had_not_been(
    of: EpisodePolicy, steps: list[tuple[Any, dict[str, Any], str | None]]
) -> None:
    life, restored = Life(of), Life(of)
    for found, around, deed in steps:
        for one in (life, restored):
            _act(one, deed, around)
            one.see(found, **around)
        written = msgspec.json.encode(restored.episode)
        restored.episode = msgspec.json.decode(written, type=Episode | None)
    assert restored.alerts == life.alerts
    assert restored.episode == life.episode


def test_an_episode_that_an_older_leeway_wrote_can_be_read() -> None:
    episode, _ = opened()
    written = msgspec.to_builtins(episode)
    for fresh in ("levels", "told_ms", "snoozed_until_ms"):
        del written[fresh]
    del written["finding"]["cost"]
    read = msgspec.convert(written, Episode)
    assert read == replace(episode, levels={}, told_ms=None)
    life = Life(LOUD, read, window=1).see(DRIFTING).see(SEVERE).see(DRIFTING)
    assert life.told == [
        ("08", "eased", "slack"),
        ("09", "escalated", "slack pagerduty email"),
        ("10", "eased", "slack pagerduty email"),
    ]
