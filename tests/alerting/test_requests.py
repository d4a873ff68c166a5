"""Do dates, labels and people ask once each, and does what must hold them back do so?"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerting.schedules import last_slot
from alerting.settings import DAY_MS, RetrainingCondition, RetrainingPolicy, Schedule
from alerting.triggers import Moved, Refused, approve, asked, request, scheduled
from alerting.types import Affected, Episode, Priority, Trigger, TriggerMemory
from detectors.types import Status
from tests.alerting.builders import HOUR, MODEL, context, finding, opened

MARCH = 1_772_323_200_000  # 2026-03-01T00:00:00Z, a Sunday
MONTHLY = RetrainingCondition("monthly", (), "evaluate", "advisory", schedule=Schedule("monthly"))
DAILY = replace(MONTHLY, name="daily", schedule=Schedule("daily"))
LABELS = RetrainingCondition("labels", labels=1_000)
DRIFT = RetrainingCondition("inputs", ("data_drift",))
FRESH = TriggerMemory()


def retraining(*conditions: RetrainingCondition, **changes: Any) -> RetrainingPolicy:
    return replace(RetrainingPolicy(MODEL, conditions), **changes)


def broken(series: str = "feature:annual_income") -> Episode:
    """An open problem of data quality that is about one series."""
    episode, _ = opened()
    about = replace(episode.finding, affected=(Affected(series, 0.0, None, None, ()),))
    return replace(episode, kind="data_quality", severity="error", finding=about)


class Clock:
    """Windows of an hour, one after another, in which nothing is found."""

    def __init__(self, policy: RetrainingPolicy, start_ms: int = MARCH - HOUR) -> None:
        self.policy, self.at_ms, self.memory = policy, start_ms, FRESH
        self.published: list[Trigger] = []
        self.problems: tuple[Episode, ...] = ()
        self.records = 10_000

    def step(self, hours: int = 1, labels: int = 0) -> list[str]:
        before, self.at_ms = self.at_ms, self.at_ms + hours * HOUR
        since = (lambda _: self.records), (lambda _: self.records)
        return self.fold(
            scheduled(self.policy, self.memory, before, self.at_ms, *since, self.problems, labels)
        )

    def fold(self, moved: Moved | Refused) -> list[str]:
        assert not isinstance(moved, Refused)
        self.memory, told = moved
        self.published += told
        kept = msgspec.json.encode(self.memory)
        assert msgspec.json.decode(kept, type=TriggerMemory) == self.memory
        return [trigger.status.name for trigger in told]

    def ask(
        self, by: str = "ann", command_id: str = "c1", priority: Priority = "normal"
    ) -> Moved | Refused:
        every = lambda since_ms: self.records  # noqa: E731
        return asked(
            self.policy, self.memory, self.at_ms, by, "new law", priority, command_id, every, every
        )


def reasons(clock: Clock) -> list[str]:
    return [t.reason.summary for t in clock.published if t.status.name == "requested"]


# ---- dates


def test_a_date_asks_in_the_window_that_passes_it_and_never_again() -> None:
    clock = Clock(retraining(MONTHLY, expires_ms=99 * DAY_MS), MARCH - 3 * HOUR)
    assert [clock.step() for _ in range(5)] == [[], [], ["requested"], [], []]
    (trigger,) = clock.published
    assert trigger.reason.code == "schedule"
    assert (trigger.reason.summary, trigger.reason.episode_id) == ("Scheduled: monthly", None)
    assert (trigger.policy.action, trigger.policy.approval) == ("evaluate", "advisory")
    assert trigger.training_window.basis == "lookback"
    assert trigger.evidence.signals == ()


def test_the_same_time_looked_at_twice_asks_once() -> None:
    clock = Clock(retraining(MONTHLY))
    clock.step()
    again = scheduled(clock.policy, clock.memory, MARCH - DAY_MS, MARCH, lambda _: 9)
    assert again == (clock.memory, ())


def test_of_dates_that_passed_in_silence_only_the_last_one_asks() -> None:
    clock = Clock(retraining(DAILY))
    assert clock.step(24 * 10 + 1) == ["requested"]
    assert clock.step(23) == []


def test_the_next_date_takes_the_place_of_a_request_that_nobody_answered() -> None:
    clock = Clock(retraining(DAILY, at_most=9))
    assert clock.step() == ["requested"]
    assert clock.step(24) == ["cancelled", "requested"]
    first, cancelled, second = clock.published
    assert first.trigger_id == cancelled.trigger_id != second.trigger_id
    assert cancelled.status.note == f"superseded by {second.trigger_id}"


def test_broken_data_hold_a_date_back_until_they_are_whole() -> None:
    clock = Clock(retraining(MONTHLY))
    clock.problems = (broken(),)
    assert [clock.step() for _ in range(3)] == [[], [], []]
    assert clock.memory.suppressed == 1, "counted once, however many windows"
    clock.problems = ()
    assert clock.step() == ["requested"]
    assert clock.published[0].policy.suppressed_since_last == 1
    assert clock.step() == []


def test_a_date_that_waits_is_forgotten_when_the_next_one_comes() -> None:
    clock = Clock(retraining(DAILY, min_records=20_000))
    clock.step(25)
    clock.step(24)
    clock.records = 20_000
    assert clock.step() == ["requested"]
    assert clock.step(2) == []
    assert clock.memory.waiting == {}


def test_a_date_that_falls_into_a_retraining_is_met_by_it() -> None:
    auto = replace(DAILY, action="retrain", approval="auto")
    clock = Clock(retraining(auto, at_most=9, start_within_ms=3 * DAY_MS))
    assert clock.step() == ["requested", "approved"]
    assert clock.step(24) == []
    assert clock.memory.suppressed == 1
    assert clock.step(48) == ["failed", "requested", "approved"]


def test_a_retraining_that_is_due_does_not_wait_for_an_evaluation() -> None:
    policy = retraining(MONTHLY, DRIFT)
    clock = Clock(policy)
    clock.step()
    episode, _ = opened()
    found = finding(Status.SEVERE, severe_windows=3)
    here = replace(context(), at_ms=clock.at_ms + HOUR)
    told = clock.fold(request(policy, clock.memory, episode, found, here, lambda _: 9))
    assert told == ["cancelled", "requested", "approved"]
    assert clock.published[-1].policy.previous_trigger_id == clock.published[0].trigger_id


def test_another_version_takes_back_what_was_asked_for_the_former() -> None:
    clock = Clock(retraining(MONTHLY))
    clock.step()
    clock.policy = replace(clock.policy, model=replace(MODEL, version="3.0.0"))
    assert clock.step() == ["cancelled"]
    assert clock.published[-1].status.note == "superseded: 3.0.0 is deployed"


def _first(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("schedule", "slot"),
    [
        (Schedule("daily"), (2026, 5, 20)),
        (Schedule("weekly"), (2026, 5, 18)),  # a Monday
        (Schedule("monthly"), (2026, 5, 1)),
        (Schedule("quarterly"), (2026, 4, 1)),
        (Schedule("yearly"), (2026, 1, 1)),
        (Schedule("days", 14), (2026, 5, 11)),
    ],
)
def test_a_schedule_asks_at_midnight_of_its_first_day(
    schedule: Schedule, slot: tuple[int, int, int]
) -> None:
    at_ms = _first(2026, 5, 20) + 13 * HOUR
    assert last_slot(schedule, 0, at_ms) == _first(*slot)
    assert last_slot(schedule, _first(*slot) - 1, at_ms) == _first(*slot)
    assert last_slot(schedule, _first(*slot), at_ms) is None


@settings(max_examples=60)
@given(
    st.sampled_from([Schedule("daily"), Schedule("weekly"), Schedule("monthly"), Schedule("days", 3)]),
    st.lists(st.integers(1, 50), min_size=1, max_size=60),
)  # fmt: skip
def test_every_slot_is_asked_at_most_once_however_the_windows_fall(
    schedule: Schedule, hours: list[int]
) -> None:
    clock = Clock(retraining(replace(MONTHLY, schedule=schedule), at_most=99, cooldown_ms=0))
    slots, before = [], clock.at_ms
    for length in hours:
        clock.step(length)
        slot = last_slot(schedule, before, clock.at_ms)
        slots += [slot] if slot is not None else []
        before = clock.at_ms
    ids = [t.trigger_id for t in clock.published if t.status.name == "requested"]
    assert len(ids) == len(set(ids)) == len(slots)


# ---- labels


def test_enough_new_labels_ask_and_are_counted_from_there() -> None:
    clock = Clock(retraining(LABELS, cooldown_ms=0, start_within_ms=HOUR))
    assert [clock.step(labels=400) for _ in range(3)] == [[], [], ["requested", "approved"]]
    found = clock.published[0]
    assert found.reason.code == "new_labels"
    assert found.reason.summary == "1,200 new labels, 1,000 were waited for"
    assert clock.step(labels=999) == ["failed"]
    assert clock.step(labels=1) == ["requested", "approved"]
    assert len({t.trigger_id for t in clock.published}) == 2


def test_an_evaluation_uses_no_labels_up() -> None:
    clock = Clock(retraining(LABELS, MONTHLY, expires_ms=HOUR))
    assert clock.step(labels=900) == ["requested"]
    assert clock.step(30, labels=99) == ["cancelled"]
    assert clock.step(labels=1) == ["requested", "approved"]


def test_corrections_take_no_labels_away() -> None:
    clock = Clock(retraining(LABELS))
    clock.step(labels=900)
    clock.step(labels=-50)
    assert clock.step(labels=100) == ["requested", "approved"]


# ---- people


def test_somebody_asks_and_it_is_retrained_at_once() -> None:
    clock = Clock(retraining())
    assert clock.fold(clock.ask()) == ["requested", "approved"]
    first, second = clock.published
    assert (first.reason.code, first.reason.summary) == ("manual", "Asked for by ann: new law")
    assert (first.status.by, second.status.by) == ("ann", "policy")
    assert (first.policy.name, first.policy.action) == ("manual", "retrain")


def test_with_approvers_nobody_else_may_ask_and_who_asks_has_agreed() -> None:
    clock = Clock(retraining(approvers=("ann", "bob")))
    assert clock.ask("eve") == Refused("not_an_approver")
    assert clock.fold(clock.ask("bob")) == ["requested", "approved"]
    assert clock.published[1].status.by == "bob"


def test_an_entry_says_what_asking_comes_to_and_the_more_urgent_counts() -> None:
    by_hand = RetrainingCondition("hand", (), "evaluate", "advisory", "high", by_hand=True)
    clock = Clock(retraining(by_hand))
    assert clock.fold(clock.ask()) == ["requested"]
    found = clock.published[0].policy
    assert (found.name, found.action, found.priority) == ("hand", "evaluate", "high")


def test_the_same_command_asks_once_and_one_retraining_is_enough() -> None:
    clock = Clock(retraining(start_within_ms=HOUR))
    clock.fold(clock.ask())
    assert clock.ask(command_id="c2") == Refused("not_possible")
    assert clock.step(2) == ["failed"]
    assert clock.ask() == Refused("not_possible")
    assert clock.fold(clock.ask(command_id="c2")) == ["requested", "approved"]


def test_nobody_asks_more_often_than_is_allowed_but_the_cooldown_is_for_machines() -> None:
    clock = Clock(retraining(at_most=2, start_within_ms=HOUR))
    for command_id in ("c1", "c2"):
        assert clock.fold(clock.ask(command_id=command_id)) == ["requested", "approved"]
        clock.step(2)
    assert clock.ask(command_id="c3") == Refused("not_possible")


def test_a_person_is_not_held_back_by_broken_data() -> None:
    clock = Clock(retraining())
    clock.problems = (broken(),)
    assert clock.fold(clock.ask()) == ["requested", "approved"]


def test_a_dry_run_is_asked_for_and_never_approved() -> None:
    clock = Clock(retraining(dry_run=True))
    assert clock.fold(clock.ask()) == ["requested"]
    one = clock.published[0].trigger_id
    assert approve(clock.policy, clock.memory, one, clock.at_ms, "ann") == Refused("dry_run")


# ---- what holds problems back


@pytest.mark.parametrize(
    ("series", "asks"), [("feature:annual_income", False), ("feature:age", True), ("volume", False)]
)
def test_broken_data_veto_where_they_may_be_what_drifted(series: str, asks: bool) -> None:
    episode, _ = opened()
    found = finding(Status.SEVERE, severe_windows=3)
    memory, told = request(
        retraining(DRIFT), FRESH, episode, found, context(3), lambda _: 9, others=[broken(series)]
    )
    assert bool(told) == asks
    assert memory.suppressed == (not asks)


def test_two_problems_that_are_held_back_are_counted_once_each() -> None:
    memory, (drift, _) = FRESH, opened()
    worse = replace(drift, episode_id="ep-other", kind="performance")
    policy = retraining(replace(DRIFT, kinds=("data_drift", "performance")))
    for window in range(3, 9):
        for episode in (drift, worse):
            found = finding(Status.SEVERE, severe_windows=3, kind=episode.kind)
            here, quality = context(window), [broken()]
            memory, told = request(
                policy, memory, episode, found, here, lambda _: 9, others=quality
            )
            assert told == ()
    assert memory.suppressed == 2


def test_a_problem_that_was_asked_for_is_not_asked_for_again_after_another_one() -> None:
    drift, _ = opened()
    worse = replace(drift, episode_id="ep-other", kind="performance")
    policy = retraining(
        replace(DRIFT, kinds=("data_drift", "performance")),
        cooldown_ms=0,
        at_most=99,
        start_within_ms=HOUR,
    )
    memory, ids = FRESH, []
    for window in range(3, 12):
        for episode in (drift, worse):
            found = finding(Status.SEVERE, severe_windows=3, kind=episode.kind)
            memory, told = request(policy, memory, episode, found, context(window), lambda _: 9)
            ids += [t.trigger_id for t in told if t.status.name == "requested"]
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize("expired", [False, True])
def test_a_problem_that_gets_worse_asks_again_for_what_matters_more(expired: bool) -> None:
    look = replace(DRIFT, name="look", action="evaluate")
    worse = replace(DRIFT, name="worse", rule="psi(x) > 1")
    policy = retraining(look, worse, expires_ms=HOUR if expired else DAY_MS, cooldown_ms=HOUR)
    episode, _ = opened()
    memory, names = FRESH, []
    for window, rules in enumerate(((), (), ("psi(x) > 1",), ("psi(x) > 1",)), start=3):
        found = finding(Status.SEVERE, severe_windows=3, rules=rules)
        memory, told = request(policy, memory, episode, found, context(window), lambda _: 9)
        names += [(trigger.policy.name, trigger.status.name) for trigger in told]
    assert names == [
        ("look", "requested"),
        ("look", "cancelled"),
        ("worse", "requested"),
        ("worse", "approved"),
    ]


def test_a_rule_that_somebody_drew_for_a_feature_asks_without_severe_drift() -> None:
    own = RetrainingCondition("own", ("data_drift",), rule="psi(x) > 0.2", by_rule=True)
    episode, _ = opened()
    for rules, asks in ((("psi(x) > 0.2",), True), ((), False)):
        found = finding(Status.DRIFTING, rules=rules)
        _, told = request(retraining(own), FRESH, episode, found, context(), lambda _: 9)
        assert bool(told) == asks


# ---- everything at once

STEP = st.one_of(
    st.tuples(st.just("window"), st.integers(1, 80)),
    st.tuples(st.just("labels"), st.integers(0, 2_000)),
    st.tuples(st.just("ask"), st.integers(0, 4)),
    st.tuples(st.just("drift"), st.integers(0, 3)),
    st.tuples(st.just("quality"), st.booleans()),
)


@settings(max_examples=100)
@given(st.lists(STEP, max_size=50), st.sampled_from(["auto", "required"]))
@example([("ask", 0), ("window", 80), ("ask", 0), ("drift", 1), ("drift", 2)], "auto")
def test_nothing_is_asked_twice_nor_two_at_once_nor_too_often(
    steps: list[tuple[str, Any]], approval: Any
) -> None:
    drift = replace(DRIFT, approval=approval)
    policy = retraining(DAILY, LABELS, drift, at_most=3, at_most_per_ms=7 * DAY_MS)
    clock, (episode, _) = Clock(policy), opened()
    for what, how in steps:
        if what == "window":
            clock.step(how)
        elif what == "labels":
            clock.step(labels=how)
        elif what == "quality":
            clock.problems = (broken(),) if how else ()
        elif what == "ask":
            answer = clock.ask(command_id=f"c{how}")
            if not isinstance(answer, Refused):
                clock.fold(answer)
        else:
            clock.step()
            here = replace(context(), at_ms=clock.at_ms)
            one = replace(episode, episode_id=f"ep-{how}", opened_ms=how)
            found = finding(Status.SEVERE, severe_windows=3)
            clock.fold(
                request(
                    policy, clock.memory, one, found, here, lambda _: 9_999, others=clock.problems
                )
            )
    requested = [t for t in clock.published if t.status.name == "requested"]
    ids = [trigger.trigger_id for trigger in requested]
    assert len(ids) == len(set(ids))
    live: set[str] = set()
    for trigger in clock.published:
        ended = trigger.status.name in ("cancelled", "failed", "rejected", "completed")
        (live.discard if ended else live.add)(trigger.trigger_id)
        assert len(live) <= 1, "one open trigger per model"
    times = [_ms(trigger.status.at) for trigger in requested]
    for first, fourth in zip(times, times[3:], strict=False):
        assert fourth - first >= 7 * DAY_MS, "no more than three in seven days"


def _ms(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)
