from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.episodes import advance
from alerting.identity import alert_id, rfc3339, trigger_id
from alerting.settings import DAY_MS, RetrainingCondition, RetrainingPolicy
from alerting.triggers import TRANSITIONS, move, request
from alerting.types import (
    Basis,
    Episode,
    Finding,
    Kind,
    Pipeline,
    Subject,
    Trigger,
    TriggerMemory,
    TriggerStatus,
)
from detectors.types import Status
from tests.alerting.builders import HOUR, MODEL, ONSET, SEVEN, context, finding, policy

AUTO = RetrainingCondition("inputs", ("data_drift",))
REQUIRED = replace(AUTO, approval="required")
FRESH = TriggerMemory()
EVENTS = 3600


def retraining(*conditions: RetrainingCondition, **changes: Any) -> RetrainingPolicy:
    return replace(RetrainingPolicy(MODEL, conditions or (AUTO,)), **changes)


class Stream:
    """Windows one after another, through episodes and triggers, as the judge does it."""

    def __init__(self, retraining: RetrainingPolicy, subject: Subject | None = None) -> None:
        self.retraining, self.subject = retraining, subject or context().subject
        self.window, self.severe = 0, 0
        self.memory = FRESH
        self.episode: Episode | None = None
        self.published: list[Trigger] = []

    def step(self, status: Status, **changes: Any) -> list[str]:
        """What happened to triggers in the next window."""
        self.severe = self.severe + 1 if status == Status.SEVERE else 0
        found = finding(status, severe_windows=self.severe, **changes)
        here = context(self.window, subject=self.subject, result_id=f"rs-{self.window}")
        self.window += 1
        self.episode, _ = advance(policy(), self.episode, found, here)
        self.memory, triggers = request(
            self.retraining, self.memory, self.episode, found, here, self._events_since
        )
        self.published += triggers
        return [trigger.status.name for trigger in triggers]

    def move(self, status: TriggerStatus) -> None:
        at_ms = SEVEN + self.window * HOUR
        self.memory, moved = move(self.retraining, self.memory, status, at_ms, by="anna")
        self.published += moved

    def severes(self, count: int = 3, **changes: Any) -> list[str]:
        return [name for _ in range(count) for name in self.step(Status.SEVERE, **changes)]

    def wait(self, windows: int) -> None:
        self.window += windows

    @property
    def trigger(self) -> Trigger:
        assert self.memory.trigger is not None
        return self.memory.trigger

    def _events_since(self, time_ms: int) -> int:
        return (SEVEN + (self.window - 1) * HOUR - time_ms) // HOUR * EVENTS


def test_only_severe_drift_that_lasts_three_windows_asks_for_retraining() -> None:
    stream = Stream(retraining())
    assert [stream.step(Status.SEVERE) for _ in range(2)] == [[], []]
    assert stream.step(Status.DRIFTING) == []
    assert [stream.step(Status.SEVERE) for _ in range(3)] == [[], [], ["requested", "approved"]]


def test_mild_drift_never_does() -> None:
    stream = Stream(retraining())
    assert [stream.step(Status.DRIFTING) for _ in range(50)] == [[]] * 50


def test_a_request_carries_cause_evidence_and_range() -> None:
    stream = Stream(
        retraining(
            replace(REQUIRED, priority="high"),
            approvers=("credit-risk-leads",),
            basis="change_point",
            pipeline=Pipeline("ci/retrain", ("warehouse/loans",), {"budget": "small"}),
            gates={"auc": {"min": 0.82}},
            checks=("A/B test",),
            console="https://leeway.example/models/loan-default",
        )
    )
    stream.step(Status.DRIFTING)
    assert stream.severes() == ["requested"]
    found, episode = stream.trigger, stream.episode
    assert episode is not None
    at_ms = SEVEN + 3 * HOUR
    assert found.trigger_id == trigger_id("loan-default", "2.3.1", "inputs", "data_drift", SEVEN)
    assert (found.status.at, found.status.by, found.status.note) == (rfc3339(at_ms), "policy", None)
    assert found.reason.code == "data_drift"
    assert found.reason.episode_id == episode.episode_id
    assert found.reason.summary.startswith("annual_income: many more values")
    window = found.training_window
    assert (window.start, window.end) == (rfc3339(ONSET.estimate_ms), rfc3339(at_ms))
    assert (window.basis, window.records, window.labelled) == ("change_point", 4 * EVENTS, 0)
    assert found.evidence.alert_ids == tuple(alert_id(episode.episode_id, i) for i in (1, 2))
    assert found.evidence.result_ids == ("rs-0", "rs-3")
    assert [s.series for s in found.evidence.signals] == ["feature:annual_income", "feature:home"]
    assert found.policy.expires_at == rfc3339(at_ms + 3 * DAY_MS)
    assert found.policy.cooldown_until == rfc3339(at_ms + DAY_MS)
    assert (found.policy.approvers, found.policy.priority) == (("credit-risk-leads",), "high")
    assert (found.gates.required, found.gates.checks) == ({"auc": {"min": 0.82}}, ("A/B test",))
    assert found.gates.decision is None
    assert found.links[0].text == "Console"
    assert found.pipeline.location == "ci/retrain"
    assert len(msgspec.to_builtins(found)) <= 10


@pytest.mark.parametrize(
    ("basis", "onset", "expected"),
    [("lookback", True, "lookback"), ("change_point", False, "lookback")],
)
def test_without_a_known_change_the_newest_data_are_suggested(
    basis: Basis, onset: bool, expected: Basis
) -> None:
    stream = Stream(retraining(basis=basis))
    stream.severes(since_ms=SEVEN if onset else None)
    assert stream.trigger.training_window.basis == expected
    assert stream.trigger.training_window.start == rfc3339(SEVEN + 2 * HOUR - 90 * DAY_MS)


@pytest.mark.parametrize("score", ["missing", "odd"])
def test_broken_inputs_veto_and_are_counted_once_per_episode(score: str) -> None:
    stream = Stream(retraining())
    assert stream.severes(6, leading_score=score) == []
    assert stream.memory.suppressed == 1
    stream.step(Status.STABLE)
    stream.wait(10)
    assert stream.severes(5, leading_score=score) == []
    assert stream.memory.suppressed == 2
    stream.step(Status.STABLE)
    stream.wait(10)
    assert stream.severes() == ["requested", "approved"]
    assert stream.trigger.policy.suppressed_since_last == 2
    assert stream.memory.suppressed == 0


def test_an_episode_asks_once() -> None:
    stream = Stream(retraining())
    assert stream.severes(40) == ["requested", "approved", "failed"]  # nobody started it in a day


def test_a_new_episode_waits_for_the_cooldown_and_names_the_trigger_before() -> None:
    stream = Stream(retraining(REQUIRED, cooldown_ms=DAY_MS))
    assert stream.severes() == ["requested"]
    first = stream.trigger.trigger_id
    assert stream.step(Status.STABLE) == ["cancelled"]
    stream.wait(4)
    assert stream.severes(16) == []
    assert stream.memory.suppressed == 1
    assert stream.severes(3) == ["requested"]
    assert stream.trigger.policy.previous_trigger_id == first
    assert stream.trigger.policy.suppressed_since_last == 1


def test_no_more_than_so_many_in_a_period() -> None:
    stream = Stream(retraining(REQUIRED, cooldown_ms=0, at_most=2, at_most_per_ms=7 * DAY_MS))
    seen = []
    for _ in range(4):
        seen.append(stream.severes())
        stream.step(Status.STABLE)
        stream.wait(5)
    assert seen == [["requested"], ["requested"], [], []]
    stream.wait(7 * 24)
    assert stream.severes() == ["requested"]
    assert len(stream.memory.requested_ms) == 1, "what no longer counts is forgotten"


def test_one_open_trigger_per_model() -> None:
    stream = Stream(retraining(cooldown_ms=0))
    assert stream.severes() == ["requested", "approved"]
    assert stream.step(Status.STABLE) == []  # approved: what was asked for goes on
    stream.wait(5)
    assert stream.severes() == []
    assert stream.memory.suppressed == 1


def test_too_few_records_hold_it_back() -> None:
    stream = Stream(retraining(basis="change_point", min_records=5 * EVENTS))
    assert [stream.step(Status.SEVERE) for _ in range(5)] == [
        [], [], [], [], ["requested", "approved"],
    ]  # fmt: skip


def test_an_episode_that_resolves_before_approval_takes_its_request_back() -> None:
    stream = Stream(retraining(REQUIRED))
    stream.severes()
    assert stream.step(Status.DRIFTING) == []
    assert stream.step(Status.STABLE) == ["cancelled"]
    assert stream.trigger.status.note == "episode resolved before approval"
    assert stream.step(Status.STABLE) == []
    assert stream.severes(4) == [], "the same episode, continued, does not ask twice"


def test_a_request_that_nobody_answers_expires_even_when_nothing_can_be_judged() -> None:
    stream = Stream(retraining(REQUIRED))
    stream.severes()
    stream.wait(71)
    assert stream.step(Status.INSUFFICIENT) == ["cancelled"]
    assert stream.trigger.status.note == "expired"


@pytest.mark.parametrize(
    ("started", "note"),
    [(False, "not started within 1 d"), (True, "not finished within 7 d")],
)
def test_silence_after_approval_is_a_failure(started: bool, note: str) -> None:
    stream = Stream(retraining())
    stream.severes()
    if started:
        stream.move("started")
    stream.wait(7 * 24 if started else 24)
    assert stream.step(Status.DRIFTING) == ["failed"]
    assert stream.trigger.status.note == note


def test_a_dry_run_is_requested_and_never_approved() -> None:
    stream = Stream(retraining(dry_run=True))
    assert stream.severes() == ["requested"]
    assert stream.trigger.policy.dry_run
    assert move(stream.retraining, stream.memory, "approved", SEVEN, by="anna")[1] == ()


@pytest.mark.parametrize(
    ("condition", "kind", "action", "approval"),
    [
        (replace(AUTO, action="evaluate"), "data_drift", "evaluate", "advisory"),
        (
            replace(AUTO, kinds=("prediction_drift",)),
            "prediction_drift",
            "evaluate",
            "advisory",
        ),
    ],
)
def test_evaluation_never_starts_anything_by_itself(
    condition: RetrainingCondition, kind: Kind, action: str, approval: str
) -> None:
    stream = Stream(retraining(condition))
    assert stream.severes(kind=kind) == ["requested"]
    assert (stream.trigger.policy.action, stream.trigger.policy.approval) == (action, approval)
    assert stream.trigger.reason.code == kind


def test_the_most_urgent_condition_asks_and_the_first_of_equals() -> None:
    urgent = replace(REQUIRED, name="urgent", priority="high")
    for conditions, expected in (((AUTO, urgent), "urgent"), ((AUTO, REQUIRED), "inputs")):
        stream = Stream(retraining(*conditions))
        stream.severes()
        assert stream.trigger.policy.name == expected


@pytest.mark.parametrize(
    "subject",
    [Subject("loan-default", "2.3.1", "country=DE"), Subject("loan-default", "2.2.0")],
)
def test_a_segment_or_another_version_asks_for_nothing(subject: Subject) -> None:
    assert Stream(retraining(), subject).severes(10) == []


def test_kinds_without_a_condition_ask_for_nothing() -> None:
    assert Stream(retraining()).severes(5, kind="prediction_drift") == []


Step = tuple[str, Any]
STEPS = st.lists(
    st.tuples(st.just("window"), st.sampled_from(list(Status)))
    | st.tuples(st.just("wait"), st.integers(1, 100))
    | st.tuples(st.just("move"), st.sampled_from(get_args(TriggerStatus))),
    max_size=60,
)


@given(
    STEPS,
    st.sampled_from(["auto", "required", "advisory"]),
    st.booleans(),
)
def test_no_event_leaves_the_table_of_transitions(
    steps: list[Step], approval: Any, dry_run: bool
) -> None:
    stream = Stream(retraining(replace(AUTO, approval=approval), cooldown_ms=0, dry_run=dry_run))
    for what, how in steps:
        if what == "wait":
            stream.wait(how)
        elif what == "move":
            stream.move(how)
        else:
            stream.step(how)
        kept = msgspec.json.encode(stream.memory)
        assert msgspec.json.decode(kept, type=TriggerMemory) == stream.memory
    lives: dict[str, list[Trigger]] = {}
    for trigger in stream.published:
        lives.setdefault(trigger.trigger_id, []).append(trigger)
    for life in lives.values():
        names = [trigger.status.name for trigger in life]
        assert names[0] == "requested"
        assert all(after in TRANSITIONS[name] for name, after in pairwise(names))
        assert [trigger.status.sequence for trigger in life] == list(range(1, len(life) + 1))
        assert not (dry_run and "approved" in names)


def test_the_table_ends_where_the_contract_says() -> None:
    assert set(TRANSITIONS) == set(get_args(TriggerStatus))
    assert {name for name, after in TRANSITIONS.items() if not after} == {
        "rejected",
        "cancelled",
        "completed",
        "failed",
    }


def test_moving_without_a_trigger_does_nothing() -> None:
    assert move(retraining(), FRESH, "approved", SEVEN, by="anna") == (FRESH, ())


def test_without_an_episode_nothing_is_asked() -> None:
    found: Finding = finding(severe_windows=9)
    asked = request(retraining(), FRESH, None, found, context(), lambda _: 0)
    assert asked == (FRESH, ())
