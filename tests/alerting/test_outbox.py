"""Does the outbox say the right thing at the right time? No clock, no sender: time and answers are given."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.deliver.breaker import AUTH_PAUSE_MS, CLOSED, Breaker, failed
from alerting.deliver.items import Delivery, Item, Key, Redirect, Send, Settle, Terms, terms
from alerting.deliver.outbox import Outbox
from alerting.deliver.pace import Pace, Rate, wait_ms
from alerting.deliver.sink import Failed, Sent
from alerting.types import Notification

T0 = 1_772_434_800_000
HOUR = 3_600_000
SERVER = Failed("server", True, "status 500")
TIMEOUT = Failed("timeout", True, "no answer")
LIMITED = Failed("rate_limited", True, "status 429", after_s=7)
REFUSED = Failed("client", False, "status 400")
SENT = Sent("1.0")
AUTH = Failed("auth", False, "status 401")


def item(sequence: int = 1, change: str = "opened", **given: Any) -> Item:
    episode, receiver = given.pop("episode", "ep-1"), given.pop("receiver", "slack")
    rest = {name: given.pop(name) for name in tuple(given) if name in Item.__slots__}
    note = Notification(
        idempotency_key=f"nt-{receiver}-{episode}-{sequence}",
        receiver=receiver,
        channel=given.pop("channel", receiver),
        alert_id=f"al-{episode}-{sequence}",
        episode_id=episode,
        sequence=sequence,
        model_id="loans",
        change=change,  # type: ignore[arg-type]
        severity=given.pop("severity", "warning"),
        at="2026-03-02T07:00:00.000Z",
        expires_after_seconds=given.pop("expires_s", 3600),
        operation="send",
        reply=None,
        payload={},
    )
    return Item(note, **{"logged_ms": T0, "at_ms": T0, **rest})


def outbox(*of: Terms, **more: Any) -> Outbox:
    return Outbox(of or (terms("slack", "slack"), terms("pagerduty", "pagerduty")), **more)


class World:
    """An outbox with those who do what it says: each act is done at once, each send answered by `answer`."""

    def __init__(
        self, box: Outbox, *answers: Sent | Failed, otherwise: Sent | Failed = SENT
    ) -> None:
        self.box, self.now, self.answers, self.otherwise = box, T0, list(answers), otherwise
        self.sent: list[tuple[str, int, str | None]] = []
        self.records: dict[Key, Delivery] = {}
        self.redirects: list[Redirect] = []
        self.dead: list[Notification] = []

    def add(self, *items: Item) -> "World":
        for one in items:
            self.box.add(one)
        return self

    def run(self, until_ms: int = 0) -> "World":
        """Do all that is to be done until then, jumping from moment to moment."""
        end = self.now + until_ms
        while True:
            while acts := self.box.step(self.now):
                for act in acts:
                    self.do(act)
            due = self.box.next_ms(self.now)
            if due is None or due > end:
                self.now = end
                return self
            self.now = max(due, self.now + 1)

    def do(self, act: Send | Settle | Redirect) -> None:
        settle: Settle | None
        if isinstance(act, Send):
            note = act.parcel.notification
            self.sent.append((note.receiver, note.sequence, act.parcel.thread))
            answer = self.answers.pop(0) if self.answers else self.otherwise
            settle = self.box.answered(act.key, answer, self.now)
            assert settle is not None
        elif isinstance(act, Redirect):
            self.redirects.append(act)
            settle = Settle(act.record)
        else:
            settle = act
        if settle.dead is not None:
            self.dead.append(settle.dead)
        self.records[settle.record.key] = settle.record
        self.box.recorded(settle.record)
        if isinstance(act, Redirect):
            note = replace(act.notification, receiver=act.to, idempotency_key=f"nt-{act.to}")
            self.box.add(act.item(note))

    def states(self) -> dict[str, tuple[int, str]]:
        return {str(key): (one.sequence, one.state) for key, one in self.records.items()}


def test_a_notification_is_sent_once_and_recorded() -> None:
    world = World(outbox()).add(item()).run(HOUR)
    assert world.sent == [("slack", 1, None)]
    record = world.records[Key("slack", "ep-1")]
    assert (record.state, record.told, record.slack_ts, record.attempts) == ("sent", 1, "1.0", 1)


def test_later_news_of_an_episode_goes_to_the_thread_of_the_first() -> None:
    world = World(outbox()).add(item()).run()
    world.add(item(2, "escalated")).run(60_000)
    world.add(item(3, "resolved")).run(60_000)
    assert world.sent == [("slack", 1, None), ("slack", 2, "1.0"), ("slack", 3, "1.0")]


def test_nothing_of_an_episode_is_sent_before_the_last_answer_is_on_record() -> None:
    box = outbox()
    box.add(item())
    (send,) = box.step(T0)
    box.add(item(2, "escalated"))
    assert box.step(T0) == []
    assert isinstance(send, Send)
    settle = box.answered(send.key, Sent("1.0"), T0)
    assert settle is not None
    assert box.step(T0) == []
    box.recorded(settle.record)
    assert [type(act) for act in box.step(T0)] == [Send]


@pytest.mark.parametrize("done", ["sent", "expired", "late", "superseded", "merged", "refused"])
def test_what_is_on_record_as_done_is_never_sent_again(done: str) -> None:
    box = outbox()
    record = World(outbox()).add(item(2)).run().records[Key("slack", "ep-1")]
    box.restart({record.key: replace(record, state=done)})  # type: ignore[arg-type]
    world = World(box).add(item(1), item(2)).run(60_000)
    assert world.sent == []
    world.add(item(3, "escalated")).run()
    assert world.sent == [("slack", 3, "1.0")]


def test_only_the_newest_of_what_waits_is_sent() -> None:
    world = World(outbox()).add(item(1), item(3, "eased"), item(2, "escalated")).run()
    assert world.sent == [("slack", 3, None)]
    assert world.box.suppressed["superseded"] == 2


def test_pagerduty_is_told_of_a_problem_before_its_end() -> None:
    pager = {"receiver": "pagerduty"}
    world = World(outbox()).add(
        item(1, **pager),
        item(2, "escalated", **pager),
        item(3, "acknowledged", **pager),
        item(4, "resolved", **pager),
    )
    world.run(HOUR)
    assert [sequence for _, sequence, _ in world.sent] == [2, 4]


def test_people_who_never_heard_of_a_problem_hear_of_it_and_of_its_end_in_one_message() -> None:
    world = World(outbox(), SERVER).add(item(1)).run()
    world.add(item(2, "resolved")).run(60_000)
    assert world.sent == [("slack", 1, None), ("slack", 2, None)]
    assert world.states() == {"slack|ep-1": (2, "sent")}


@pytest.mark.parametrize("receiver", ["slack", "pagerduty"])
@pytest.mark.parametrize("change", ["acknowledged", "eased", "resolved"])
def test_the_end_of_a_problem_that_was_never_told_is_not_told(receiver: str, change: str) -> None:
    world = World(outbox(), otherwise=LIMITED).add(item(1, receiver=receiver)).run(2 * HOUR)
    tried = len(world.sent)
    assert world.states() == {f"{receiver}|ep-1": (1, "expired")}
    world.otherwise = Sent()
    world.add(item(2, change, receiver=receiver, logged_ms=T0 + 2 * HOUR)).run(HOUR)
    assert len(world.sent) == tried
    assert world.states() == {f"{receiver}|ep-1": (2, "superseded")}


def test_the_end_of_a_problem_that_may_have_arrived_is_told() -> None:
    world = World(outbox(), otherwise=TIMEOUT).add(item(1, receiver="pagerduty")).run(2 * HOUR)
    assert world.states() == {"pagerduty|ep-1": (1, "expired")}
    world.otherwise = Sent()
    world.add(item(2, "resolved", receiver="pagerduty", logged_ms=T0 + 2 * HOUR)).run(HOUR)
    assert world.states() == {"pagerduty|ep-1": (2, "sent")}


def test_attempts_come_soon_at_first_and_every_five_minutes_after_ten() -> None:
    patient = terms("slack", "slack")
    world = World(outbox(patient), otherwise=Failed("server", True, "500"))
    world.box._breakers["slack"] = CLOSED
    world.add(item(expires_s=3600)).run(HOUR)
    record = world.records[Key("slack", "ep-1")]
    assert record.state == "expired"
    assert record.last_error == "500"


@given(st.integers(1, 60), st.text(max_size=8))
def test_a_wait_is_at_most_what_the_schedule_says(attempts: int, name: str) -> None:
    wait = wait_ms(name, "slack", attempts, 0, SERVER)
    assert 0 <= wait <= min(1000 * 2 ** (attempts - 1), 60_000)
    assert wait == wait_ms(name, "slack", attempts, 0, SERVER)


def test_waits_of_many_messages_are_spread_out() -> None:
    waits = sorted(wait_ms(f"nt-{n}", "slack", 7, 0, SERVER) for n in range(400))
    assert waits[0] < 3000
    assert waits[-1] > 57_000
    assert 25_000 < waits[200] < 35_000


@pytest.mark.parametrize(
    ("failure", "channel", "attempts", "expected"),
    [
        (Failed("rate_limited", True, "", 12.5), "slack", 1, 12_500),
        (Failed("server", True, "", 90.0), "pagerduty", 1, 90_000),
        (Failed("rate_limited", True, "", 1e9), "slack", 1, HOUR),
        (Failed("rate_limited", True, ""), "slack", 3, 30_000),
        (Failed("rate_limited", True, ""), "pagerduty", 1, 30_000),
        (Failed("rate_limited", True, ""), "pagerduty", 2, 60_000),
        (Failed("rate_limited", True, ""), "pagerduty", 9, 120_000),
    ],
)
def test_a_receiver_that_asks_us_to_wait_is_waited_for(
    failure: Failed, channel: str, attempts: int, expected: int
) -> None:
    assert wait_ms("nt-1", channel, attempts, 0, failure) == expected


def test_a_receiver_that_asks_us_to_wait_gets_nothing_at_all_until_then() -> None:
    world = World(outbox(), LIMITED).add(item(), item(episode="ep-2")).run()
    assert len(world.sent) == 2  # the second was on its way
    world.add(item(episode="ep-3")).run(6_999)
    assert len(world.sent) == 2
    world.run(10_000)
    assert len(world.sent) == 4


def test_a_restart_keeps_to_the_schedule() -> None:
    world = World(outbox(), Failed("server", True, "", 600.0)).add(item()).run()
    again = outbox()
    again.restart(world.records)
    after = World(again).add(item())
    after.now = T0 + 1000
    after.run(598_000)
    assert after.sent == []
    after.run(1_000)
    assert len(after.sent) == 1
    assert after.records[Key("slack", "ep-1")].attempts == 2


def test_a_resolve_that_replaced_its_trigger_is_told_after_a_restart_too() -> None:
    world = World(outbox(), LIMITED).add(item(1), item(2, "resolved")).run()
    assert world.states() == {"slack|ep-1": (2, "waiting")}
    again = outbox()
    again.restart(world.records)
    after = World(again).add(item(1), item(2, "resolved"))
    after.run(60_000)
    assert after.states() == {"slack|ep-1": (2, "sent")}


def test_our_own_rate_is_kept() -> None:
    world = World(outbox(terms("slack", "slack", rate=(1, 1000))))
    world.add(*(item(episode=f"ep-{n}") for n in range(5))).run()
    assert len(world.sent) == 1
    world.run(2_500)
    assert len(world.sent) == 3


@given(st.lists(st.integers(0, 3000), max_size=40), st.integers(1, 4), st.integers(1, 5))
def test_no_second_has_more_messages_than_burst_and_rate(
    gaps: list[int], burst: int, count: int
) -> None:
    rate, pace, now, went = Rate(count, 1000, burst), Pace(), T0, list[int]()
    for gap in gaps:
        now = max(now + gap, pace.free_ms(rate, now))
        pace = pace.spent(rate, now)
        went.append(now)
    for start in went:
        assert sum(start <= one < start + 1000 for one in went) <= burst + count


def test_the_worst_news_goes_first() -> None:
    world = World(outbox(terms("slack", "slack", rate=(1, 1000))))
    world.add(
        item(episode="ep-1"), item(episode="ep-2", severity="critical", logged_ms=T0 + 5)
    ).run(5000)
    assert [key.episode_id for key in world.records] == ["ep-2", "ep-1"]


def test_what_is_never_accepted_is_kept_and_nothing_waits_for_it() -> None:
    world = World(outbox(), REFUSED).add(item()).run()
    assert [note.sequence for note in world.dead] == [1]
    assert world.states() == {"slack|ep-1": (1, "refused")}
    world.add(item(2, "escalated")).run()
    assert world.states() == {"slack|ep-1": (2, "sent")}


def test_news_that_is_too_old_is_for_the_digest() -> None:
    old = item(at_ms=T0 - 49 * HOUR)
    world = World(outbox()).add(old).run()
    assert (world.sent, world.states()) == ([], {"slack|ep-1": (1, "late")})
    assert world.box.suppressed["digest"] == 1


def test_a_breaker_opens_after_five_failures_and_one_message_probes() -> None:
    world = World(outbox(), otherwise=SERVER)
    world.add(*(item(episode=f"ep-{n}", receiver="pagerduty") for n in range(5))).run()
    assert len(world.sent) == 5
    world.run(29_000)
    assert len(world.sent) == 5
    world.run(2_000)
    assert len(world.sent) == 6
    world.otherwise = Sent()
    world.run(120_000)
    assert {state for _, state in world.states().values()} == {"sent"}


def test_a_breaker_that_stays_open_doubles_its_pause_up_to_ten_minutes() -> None:
    breaker, pauses = Breaker(4), []
    for _ in range(7):
        breaker = failed(breaker, SERVER, 0)
        pauses.append(breaker.pause_ms // 1000)
    assert pauses == [30, 60, 120, 240, 480, 600, 600]


def test_a_wrong_password_closes_the_door_for_a_quarter_of_an_hour_and_loses_nothing() -> None:
    world = World(outbox(), AUTH).add(item(expires_s=7200)).run(AUTH_PAUSE_MS - 1)
    assert len(world.sent) == 1
    world.run(600_000)
    assert world.states() == {"slack|ep-1": (1, "sent")}


def test_a_rate_limit_is_no_failure_of_the_receiver() -> None:
    breaker = CLOSED
    for _ in range(20):
        breaker = failed(breaker, LIMITED, 0)
    assert not breaker.open


def test_a_critical_that_expires_goes_to_the_fallback_once() -> None:
    own = terms("pagerduty", "pagerduty", fallback="slack")
    world = World(outbox(own, terms("slack", "slack")), otherwise=LIMITED)
    world.add(item(receiver="pagerduty", severity="critical")).run(HOUR)
    world.otherwise = Sent("7.0")
    world.run(2 * HOUR)
    assert [(one.to, one.notification.sequence) for one in world.redirects] == [("slack", 1)]
    assert world.states() == {"pagerduty|ep-1": (1, "expired"), "slack|ep-1": (1, "sent")}
    assert world.records[Key("pagerduty", "ep-1")].fallback == "slack"


def test_a_critical_at_an_open_breaker_goes_to_somebody_healthy_and_is_still_tried() -> None:
    world = World(outbox(), *[SERVER] * 5)
    world.add(*(item(episode=f"ep-{n}", receiver="pagerduty") for n in range(5))).run()
    world.add(item(episode="ep-9", receiver="pagerduty", severity="critical")).run()
    assert [one.to for one in world.redirects] == ["slack"]
    world.run(HOUR // 2)
    assert world.states()["slack|ep-9"] == world.states()["pagerduty|ep-9"] == (1, "sent")


def test_nobody_is_told_instead_who_hears_it_anyway_or_when_it_is_far_too_late() -> None:
    own = terms("pagerduty", "pagerduty", fallback="slack")
    told = World(outbox(own, terms("slack", "slack"))).add(item(severity="critical")).run()
    told.otherwise = LIMITED
    told.add(item(receiver="pagerduty", severity="critical")).run(3 * HOUR)
    assert told.redirects == []
    late = World(outbox(own, terms("slack", "slack")))
    late.now = T0 + 2 * HOUR
    late.add(item(receiver="pagerduty", severity="critical")).run()
    assert (late.redirects, late.states()) == ([], {"pagerduty|ep-1": (1, "expired")})


def test_a_restart_while_the_fallback_waits_redirects_to_the_same_and_tells_it_once() -> None:
    own = terms("pagerduty", "pagerduty", fallback="slack")
    world = World(outbox(own, terms("slack", "slack")), otherwise=LIMITED)
    world.add(item(receiver="pagerduty", severity="critical")).run(HOUR)
    again = outbox(own, terms("slack", "slack"))
    again.restart(world.records)
    after = World(again)
    after.now, after.records = world.now, dict(world.records)
    after.add(item(receiver="pagerduty", severity="critical")).run(HOUR)
    assert [one for one in after.sent if one[0] == "slack"] == [("slack", 1, None)]
    assert after.states() == {"pagerduty|ep-1": (1, "expired"), "slack|ep-1": (1, "sent")}


def test_what_is_held_back_waits_and_is_merged_if_it_has_company() -> None:
    company: set[str] = {"ep-2"}
    box = outbox(merged=lambda one: one.notification.episode_id in company)
    held: dict[str, Any] = {"not_before_ms": T0 + 30_000, "gathered": True}
    world = World(box).add(item(**held), item(episode="ep-2", **held)).run(29_999)
    assert world.sent == []
    world.run(1)
    assert world.states() == {"slack|ep-1": (1, "sent"), "slack|ep-2": (1, "merged")}


def test_news_for_somebody_who_cannot_be_reached_from_here_is_left_alone() -> None:
    world = World(outbox()).add(item(receiver="hook", channel="webhook")).run(HOUR)
    assert (world.sent, world.records) == ([], {})


OUTCOMES = st.sampled_from([Sent("1.0"), Sent(None), SERVER, TIMEOUT, LIMITED, REFUSED, AUTH])
CHANGES = ("opened", "escalated", "eased", "repeated", "acknowledged", "resolved")


@settings(max_examples=60)
@given(st.data())
def test_whatever_happens_each_sequence_arrives_in_order_and_at_most_once(data: Any) -> None:
    """Restarts at any moment, between the answer and the record too, which is the one place that may tell twice."""
    last = {}
    items: list[Item] = []
    for number in range(data.draw(st.integers(1, 3), "episodes")):
        changes = ["opened", *data.draw(st.lists(st.sampled_from(CHANGES[1:]), max_size=4))]
        for receiver in ("slack", "pagerduty"):
            for at, change in enumerate(changes, 1):
                items.append(
                    item(at, change, episode=f"ep-{number}", receiver=receiver, expires_s=10**6)
                )
            last[Key(receiver, f"ep-{number}")] = len(changes)
    arrived: dict[Key, list[int]] = {key: [] for key in last}
    lost_records = 0
    world = World(outbox())
    published: list[Item] = []
    for _ in range(data.draw(st.integers(1, 25), "steps")):
        if len(published) < len(items) and data.draw(st.booleans()):
            published.append(items[len(published)])
            world.add(published[-1])
        if data.draw(st.integers(0, 6)) == 0:  # kill -9
            again = outbox()
            again.restart(world.records)
            world.box = again
            world.add(*published)
        for act in world.box.step(world.now):
            if not isinstance(act, Send):
                world.do(act)
                continue
            outcome = data.draw(OUTCOMES)
            if isinstance(outcome, Sent):
                arrived[act.key].append(act.parcel.notification.sequence)
            settle = world.box.answered(act.key, outcome, world.now)
            assert settle is not None
            if data.draw(st.integers(0, 9)) == 0:
                lost_records += 1  # killed between the answer and the record
                again = outbox()
                again.restart(world.records)
                world.box = again
                world.add(*published)
                break
            world.records[act.key] = settle.record
            world.box.recorded(settle.record)
        world.now += data.draw(st.integers(0, 400_000))
    world.add(*items)
    world.run(10 * HOUR)
    for key, sequence in last.items():
        record = world.records[key]
        assert (record.sequence, record.final) == (sequence, True)
        assert arrived[key] == sorted(arrived[key])
    repeated = sum(len(one) - len(set(one)) for one in arrived.values())
    assert repeated <= lost_records


def test_a_box_that_is_empty_asks_for_no_attention() -> None:
    world = World(outbox()).add(item()).run()
    assert (world.box.next_ms(T0), world.box.waiting, world.box.oldest_ms()) == (None, 0, {})
