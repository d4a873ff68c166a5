"""Do people and pipelines move a trigger along its life, and nothing else, in whatever order they come?"""

from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.requests import OF_LABELS
from alerting.settings import DAY_MS, RetrainingCondition, RetrainingPolicy
from alerting.transitions import (
    TRANSITIONS,
    Moved,
    Reason,
    Refused,
    approve,
    cancel,
    overdue,
    reject,
    report,
    tick,
)
from alerting.triggers import asked
from alerting.types import Trigger, TriggerMemory
from tests.alerting.builders import HOUR, MODEL, SEVEN
from tests.alerting.test_gates import QUALITY, problem

POLICY = RetrainingPolicy(
    MODEL,
    (RetrainingCondition("hand", approval="required", by_hand=True),),
    gates={"auc": {"min": 0.82}, "recall": {"min": "baseline"}},
    checks=("A/B test",),
)
GOOD = {"auc": 0.9, "recall": 0.8}


class Life:
    """A request that somebody made, and what happens to it."""

    def __init__(self, **changes: Any) -> None:
        self.policy = replace(POLICY, **changes)
        self.at_ms = SEVEN
        made = asked(
            self.policy, TriggerMemory(), SEVEN, "ann", None, "normal", "c1", lambda _: 1, lambda _: 1
        )  # fmt: skip
        assert not isinstance(made, Refused)
        self.memory, told = made
        self.published = list(told)
        self.id = told[0].trigger_id

    @property
    def trigger(self) -> Trigger:
        assert self.memory.trigger is not None
        return self.memory.trigger

    def fold(self, found: Moved | Refused) -> list[str] | str:
        if isinstance(found, Refused):
            return found.reason
        self.memory, told = found
        self.published += told
        kept = msgspec.json.encode(self.memory)
        assert msgspec.json.decode(kept, type=TriggerMemory) == self.memory
        return [trigger.status.name for trigger in told]

    def approve(self, by: str = "ann") -> list[str] | str:
        return self.fold(approve(self.policy, self.memory, self.id, self.at_ms, by))

    def reject(self, by: str = "ann") -> list[str] | str:
        note = "not now"
        return self.fold(reject(self.policy, self.memory, self.id, self.at_ms, by, note))

    def cancel(self, by: str = "ann") -> list[str] | str:
        return self.fold(cancel(self.policy, self.memory, self.id, self.at_ms, by))

    def tick(self, check: str = "A/B test", by: str = "ann") -> list[str] | str:
        return self.fold(tick(self.policy, self.memory, self.id, check, self.at_ms, by))

    def report(self, status: Any, **said: Any) -> list[str] | str:
        baseline = {"recall": 0.71}.get
        return self.fold(
            report(
                self.policy,
                self.memory,
                self.id,
                status,
                self.at_ms,
                "ci",
                baseline=lambda metric, segment: baseline(metric),
                **said,
            )
        )

    def wait(self, ms: int) -> list[str] | str:
        self.at_ms += ms
        return self.fold(overdue(self.policy, self.memory, self.at_ms))


def test_a_life_from_the_request_to_the_decision() -> None:
    life = Life()
    assert life.approve() == ["approved"]
    assert life.report("started", run_url="https://ci.example/1") == ["started"]
    assert life.tick() == []
    assert life.report("completed", metrics=GOOD, model_version="2.4.0") == ["completed"]
    done = life.trigger
    assert (done.gates.decision, done.status.by) == ("promote", "ci")
    assert done.gates.passed == ("auc", "recall", "A/B test")
    assert done.status.note == "2.4.0: promote"
    assert ("https://ci.example/1", "Run") in [(link.href, link.text) for link in done.links]
    assert [t.status.sequence for t in life.published] == [1, 2, 3, 4]


def test_the_end_of_what_was_never_said_to_have_started_starts_it() -> None:
    life = Life()
    life.approve()
    assert life.report("completed", metrics=GOOD) == ["started", "completed"]
    assert life.report("started") == "not_possible", "an older report that comes late"


def test_a_report_is_folded_once_however_often_it_comes() -> None:
    life = Life()
    life.approve()
    assert life.report("started") == ["started"]
    assert life.report("started") == "not_possible"
    assert life.report("completed", metrics=GOOD) == ["completed"]
    assert life.report("completed", metrics={}) == "not_possible"
    assert life.trigger.gates.decision == "hold"


def test_a_pipeline_that_starts_on_anything_but_approved_is_refused() -> None:
    life = Life()
    for status in ("started", "completed", "failed"):
        assert life.report(status) == "not_possible"


def test_a_failure_carries_its_error_cut_to_size() -> None:
    life = Life()
    life.approve()
    assert life.report("failed", error="out of memory " * 200) == ["failed"]
    note = life.trigger.status.note
    assert note is not None
    assert note.startswith("out of memory")
    assert len(note) <= 1_000


def test_a_link_that_nobody_can_follow_is_left_out() -> None:
    life = Life()
    life.approve()
    life.report("started", run_url="javascript:alert(1)")
    assert [link.text for link in life.trigger.links] == []


def test_a_check_that_is_ticked_afterwards_settles_the_decision_and_is_told() -> None:
    life = Life()
    life.approve()
    life.report("completed", metrics=GOOD)
    assert (life.trigger.gates.decision, life.trigger.gates.missing) == ("hold", ("A/B test",))
    assert life.tick("a/b TEST", "bob") == ["completed"]
    done = life.trigger
    assert (done.gates.decision, done.gates.missing) == ("promote", ())
    assert (done.status.sequence, done.status.by) == (5, "bob")
    assert done.status.note == "A/B test: done. promote"
    assert life.tick() == [], "ticked twice is ticked"


def test_a_check_does_not_settle_what_a_person_must_look_at() -> None:
    life = Life(review_if=(QUALITY,))
    life.approve()
    assert life.report("completed", metrics=GOOD, others=[problem("data_quality")]) == [
        "started", "completed"
    ]  # fmt: skip
    life.tick()
    assert life.trigger.gates.decision == "hold"
    assert str(life.trigger.status.note).endswith("hold (manual_review_if: data quality)")


@pytest.mark.parametrize("metrics", [{"auc": 0.7, "recall": 0.9}, {"auc": 0.9, "recall": 0.7}])
def test_a_worse_model_is_rejected(metrics: dict[str, float]) -> None:
    life = Life()
    life.approve()
    life.report("completed", metrics=metrics)
    assert life.trigger.gates.decision == "reject"


def test_only_approvers_decide_and_tick() -> None:
    life = Life()
    life.policy = replace(life.policy, approvers=("ann", "bob"))
    for step in (life.approve, life.reject, life.cancel):
        assert step("eve") == "not_an_approver"
    assert life.tick(by="eve") == "not_an_approver"
    assert life.approve("bob") == ["approved"]
    assert life.cancel("ann") == ["cancelled"]


def test_a_trigger_that_is_not_the_last_one_is_not_known() -> None:
    life = Life()
    life.id = "rt-other"
    assert {life.approve(), life.reject(), life.cancel(), life.tick()} == {"unknown_trigger"}
    assert life.report("started") == "unknown_trigger"
    assert approve(POLICY, TriggerMemory(), "rt", SEVEN, "ann") == Refused("unknown_trigger")


def test_what_is_over_moves_no_more() -> None:
    life = Life()
    assert life.reject() == ["rejected"]
    assert life.trigger.status.note == "not now"
    assert [life.approve(), life.cancel(), life.tick()] == ["not_possible"] * 3


def test_a_check_that_nobody_asked_for_is_not_one() -> None:
    assert Life().tick("smoke test") == "invalid"


def test_what_comes_too_late_is_refused_and_ends_with_the_next_window() -> None:
    life = Life()
    life.at_ms += 3 * DAY_MS
    assert life.approve() == "not_possible"
    assert life.wait(0) == ["cancelled"]
    assert life.trigger.status.note == "expired"


def test_a_pipeline_that_is_silent_for_too_long_has_failed() -> None:
    life = Life(start_within_ms=2 * HOUR, finish_within_ms=DAY_MS)
    life.approve()
    assert life.wait(2 * HOUR - 1) == []
    life.report("started")
    assert life.wait(DAY_MS - 1) == []
    assert life.wait(1) == ["failed"]
    assert life.trigger.status.note == "not finished within 1 d"
    assert life.report("completed", metrics=GOOD) == "not_possible"


def test_the_kinds_that_rest_on_labels_are_those_of_the_contract() -> None:
    assert set(OF_LABELS) == {"performance", "concept_drift"}


def test_every_word_of_refusal_is_one_word() -> None:
    assert all(word.replace("_", "").isalpha() for word in get_args(Reason))


STEPS = st.lists(
    st.sampled_from(["approve", "reject", "cancel", "tick", "started", "completed", "failed", "wait"]),
    max_size=25,
)  # fmt: skip


@given(STEPS, st.booleans())
def test_in_whatever_order_steps_come_each_status_is_told_once_and_in_order(
    steps: list[str], dry_run: bool
) -> None:
    life = Life(dry_run=dry_run)
    for step in steps:
        if step == "wait":
            life.wait(20 * HOUR)
        elif step in ("started", "completed", "failed"):
            life.report(step, metrics=GOOD)
        else:
            getattr(life, step)()
    names = [trigger.status.name for trigger in life.published]
    told = [a for a, b in zip(names, [*names[1:], ""], strict=True) if a != b]
    assert len(told) == len(set(told))
    assert [t.status.sequence for t in life.published] == list(range(1, len(names) + 1))
    for before, after in pairwise(told):
        assert after in TRANSITIONS[before]
    assert names.count("completed") <= 2, "once, and once more when its check is ticked"
    assert not (dry_run and "approved" in names)
