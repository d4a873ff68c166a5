"""Is a command applied once, right before the window it waits for, and told of, whatever becomes of the judge?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from alerting.identity import rfc3339
from alerting.settings import Receiver
from detectors.reference.build import Reference, to_document
from streams.broker import Batch, Partition, Record, Work
from streams.commands import InvalidCommand, decode
from streams.errors import UsageError
from streams.judging.judge import Judge
from streams.lifecycle import Lifecycle
from streams.messages import Progress, Report, encode_profile
from streams.offline.commands import read_commands
from streams.registry import lifecycle_record, reference_record
from tests.builders import (
    MINUTE_MS,
    NAMES,
    START_MS,
    encode,
    lifecycle,
    profiler,
    reference,
    registered,
    small,
    stream,
)
from tests.builders import batch as source_batch

SLACK = Receiver("slack", "slack", "#ml")
WINDOW_MS = 5 * MINUTE_MS
COMMANDS, PROFILES = "leeway.commands", "leeway.profiles"


def watched(*, grace: str = "0s", **keys: Any) -> Lifecycle:
    """A model with windows of five minutes."""
    monitoring = {
        "window": {"size": "5m", "lateness": "1m", "pane": "1m", "grace": grace},
        "false_alarms": "1 per day",
    }
    return lifecycle(**{"monitoring": monitoring, **keys})


class Desk:
    """A judge that is handed commands, and windows of events one after another."""

    def __init__(self, of: Lifecycle | None = None, built: Reference | None = None) -> None:
        self.of, self.built = of or watched(), built or small()
        self._counts = profiler((self.of, self.built), partitions=1)
        self._models = list(registered(self.of, self.built))
        self._offset = 0
        self.windows = 0
        self.hold = False  # what is written is not committed
        self.written: list[Any] = []
        self.judge = self._start(())

    def _start(self, kept: Sequence[Record]) -> Judge:
        judge = Judge(NAMES, 1, [SLACK])
        judge.follow(self._models)
        judge.gained(Partition(COMMANDS, 0), iter(()))
        judge.gained(Partition(PROFILES, 0), iter(kept))
        return judge

    def register(self, record: Any) -> None:
        """Something is written to leeway.models."""
        self._models.append(Record(NAMES("models"), 0, len(self._models), None, *record[1:3]))
        self.judge.follow(self._models[-1:])
        self._counts.follow(self._models[-1:])

    def refer(self, name: str, version: str, **fields: Any) -> None:
        """A reference of events like these is registered."""
        events = stream(5_000, seed=5, **fields)
        built = reference(self.of, events, reference_id=name, model_version=version)
        self.register(reference_record(NAMES, "m", name, to_document(built)))

    def window(self, *, shift: float = 0.0, version: str = "1.0.0", events: int = 300) -> int:
        """One more window of events is complete; its end."""
        start = START_MS + self.windows * WINDOW_MS
        rows = stream(
            events, seed=self.windows, start_ms=start, step_ms=WINDOW_MS // events, shift=shift
        )
        self._counts.step(source_batch(encode([e | {"model_version": version} for e in rows])))
        records = self._counts.flush().records
        summaries = [r.value for r in records if dict(r.headers)["leeway.kind"] == b"summary"]
        self.windows += 1
        end = start + WINDOW_MS
        report = [Report(0, end + MINUTE_MS, 0, 0)]
        self._hand(
            PROFILES, [*summaries, encode_profile(Progress("leeway.predictions", 1, report))]
        )
        self.flush()
        return end

    def say(self, word: str, command_id: str = "c1", **fields: Any) -> None:
        """A command arrives."""
        document = {"command": word, "command_id": command_id, "model_id": "m", "by": "ann"}
        self.tell(json.dumps(document | fields).encode())

    def tell(self, value: bytes | None) -> None:
        self._hand(COMMANDS, [value], START_MS)
        self.flush()

    def _hand(self, topic: str, values: Sequence[Any], time_ms: int | None = None) -> None:
        many = len(values)
        offsets = [self._offset + i for i in range(many)]
        self._offset += many
        rows: list[Record] = []
        self.judge.step(Batch(topic, values, [0] * many, offsets, [time_ms] * many, rows))

    def flush(self) -> Work:
        work = self.judge.flush()
        self.written += work.records
        for record in work.records:
            if record.topic == NAMES("models") and not self.hold:
                self.register(record)
        return work

    def kept(self) -> list[Record]:
        """The state as it was written."""
        newest = {r.key: r for r in self.written if r.topic == "leeway.state"}
        return [
            Record(r.topic, 0, i, None, r.key, r.value)
            for i, r in enumerate(newest.values())
            if r.value is not None
        ]

    def restart(self) -> None:
        """Another process takes over, with nothing but what was written."""
        self.judge = self._start(self.kept())

    def outcomes(self) -> list[tuple[str, str, str | None, str]]:
        """Command id, outcome, reason and time of what was answered."""
        values = [r.value or b"" for r in self._of("results")]
        found = [json.loads(value) for value in values if b"command_id" in value]
        return [(o["command_id"], o["outcome"], o["reason"], o["applied_at"]) for o in found]

    def results(self) -> list[dict[str, Any]]:
        found = [json.loads(r.value) for r in self._of("results")]
        return [r for r in found if r.get("scope") == "inputs"]

    def alerts(self) -> list[dict[str, Any]]:
        return [json.loads(r.value) for r in self._of("alerts")]

    def triggers(self) -> list[dict[str, Any]]:
        return [json.loads(r.value) for r in self._of("retraining")]

    def _of(self, topic: str) -> list[Any]:
        return [r for r in self.written if r.topic == NAMES(topic)]

    def kept_of(self, part: str) -> Any:
        """What the state holds of the model under a name."""
        found = {(r.key or b"").decode(): json.loads(r.value or b"{}") for r in self.kept()}
        return found.get(f"m|-|-|{part}", {"data": None})["data"]

    def drift(self, *, to: float = 2.0) -> str:
        """Windows until an episode is open; its id."""
        for _ in range(8):
            self.window(shift=to)
            if opened := [a for a in self.alerts() if a["change"] == "opened"]:
                return str(opened[-1]["episode_id"])
        raise AssertionError("nothing was found")


def test_a_command_takes_effect_with_the_first_window_judged_after_it_was_read() -> None:
    desk = Desk()
    episode = desk.drift()
    desk.say("resolve", episode_id=episode)
    assert desk.outcomes() == []
    end = desk.window(shift=2.0)
    assert desk.outcomes() == [("c1", "applied", None, rfc3339(end))]
    over = [a for a in desk.alerts() if a["change"] == "resolved"]
    assert [(a["episode_id"], a["resolve_reason"], a["at"]) for a in over] == [
        (episode, "manual", rfc3339(end))
    ]


def test_a_command_waits_for_the_window_that_ends_at_its_time() -> None:
    desk = Desk()
    end = desk.window()
    desk.say("deployed", model_version="1.0.1", at=rfc3339(end + 2 * WINDOW_MS - 1))
    desk.window()
    assert desk.outcomes() == []
    assert desk.window() == end + 2 * WINDOW_MS
    assert desk.outcomes() == [("c1", "applied", None, rfc3339(end + 2 * WINDOW_MS))]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_command_that_comes_twice_is_applied_once(*, restarts: bool) -> None:
    desk = Desk()
    for _ in range(2):
        desk.say("deployed", model_version="2.0.0")
        if restarts:
            desk.restart()
    desk.window()
    if restarts:
        desk.restart()
    desk.say("deployed", model_version="2.0.0")
    desk.window()
    assert [outcome[:2] for outcome in desk.outcomes()] == [("c1", "applied")]


def test_who_acknowledges_is_named_and_nothing_is_repeated() -> None:
    desk = Desk()
    episode = desk.drift()
    desk.say("acknowledge", episode_id=episode)
    desk.window(shift=2.0)
    last = desk.alerts()[-1]
    assert (last["change"], last["status"]) == ("acknowledged", "acknowledged")
    assert "ann" in last["summary"]


def test_what_cannot_be_done_is_refused_in_one_word() -> None:
    desk = Desk()
    desk.say("resolve", "a", episode_id="ep-1")
    desk.say("deployed", "b", model_version="1.0.0")
    desk.say("deployed", "c", model_version="2.0.0", reference_id="nobodys")
    desk.window()
    assert [(o[0], o[1], o[2]) for o in desk.outcomes()] == [
        ("a", "refused", "unknown_episode"),
        ("b", "refused", "same_version"),
        ("c", "refused", "unknown_reference"),
    ]


def test_a_command_for_a_model_that_nobody_registered_is_refused_at_once() -> None:
    desk = Desk()
    desk.say("deployed", model_id="stranger", model_version="1.0.0")
    assert desk.outcomes() == [("c1", "refused", "unknown_model", rfc3339(START_MS))]


def test_what_is_half_a_command_is_refused_and_what_is_none_is_counted() -> None:
    desk = Desk()
    desk.say("deployed")
    desk.say("dance", "c2")
    desk.say("deployed", "c3", model_version="2.0.0", at="noon")
    desk.say("deployed", "c4", model_version="2|0")
    desk.say("deployed", "c5", model_version="2.0\n")
    for value in (None, b"", b"\xff", b"[]", b"{}", b'{"command_id": "x"}', b"[" * 100_000):
        desk.tell(value)
    assert [outcome[:3] for outcome in desk.outcomes()] == [
        (name, "refused", "invalid") for name in ("c1", "c2", "c3", "c4", "c5")
    ]
    assert desk.judge.judged.unreadable_commands == 7


def test_a_command_on_a_foreign_partition_is_sent_to_its_own() -> None:
    judge = Judge(NAMES, 12, [SLACK])
    judge.gained(Partition(PROFILES, 3), iter(()))
    value = b'{"command":"retrain","command_id":"c","model_id":"m","by":"ann"}'
    rows: list[Record] = []
    judge.step(Batch(COMMANDS, [value], [3], [7], [None], rows))
    work = judge.flush()
    assert [(r.topic, r.key, r.value, r.partition) for r in work.records] == [
        (COMMANDS, b"m", value, None)
    ]
    assert work.offsets == {Partition(COMMANDS, 3): 8}


def test_a_new_version_ends_the_episodes_of_the_former_one_and_begins_without_a_reference() -> None:
    desk = Desk()
    episode = desk.drift()
    desk.say("deployed", model_version="2.0.0", trigger_id="rt-1")
    desk.window(shift=2.0, version="2.0.0")
    over = desk.alerts()[-1]
    assert (over["episode_id"], over["resolve_reason"]) == (episode, "retrained")
    assert over["model"]["version"] == "1.0.0"
    last = desk.results()[-1]
    assert (last["model_version"], last["reason"]) == ("2.0.0", "no_reference")
    written = json.loads(next(r.value for r in desk.written if r.key == b"deployment|m"))
    assert (written["version"], written["file_version"]) == ("2.0.0", "1.0.0")


def test_the_reference_of_a_new_version_may_come_before_or_after_it() -> None:
    desk = Desk()
    desk.window()
    desk.say("deployed", model_version="2.0.0")
    desk.window(version="2.0.0")
    desk.refer("later", "2.0.0", shift=2.0)
    for _ in range(4):
        desk.window(version="2.0.0", shift=2.0)
    last = desk.results()[-1]
    assert (last["verdict"], last["reference_id"]) == ("stable", "later")


def test_a_patch_release_keeps_the_reference() -> None:
    desk = Desk()
    desk.window()
    desk.say("deployed", model_version="1.0.1")
    for _ in range(3):
        desk.window(version="1.0.1")
    assert (desk.results()[-1]["verdict"], desk.results()[-1]["reference_id"]) == ("stable", "r1")


@pytest.mark.parametrize("restarts", [False, True])
def test_how_many_predictions_are_usual_is_not_learned_anew(*, restarts: bool) -> None:
    desk = Desk()
    for _ in range(13):
        desk.window()
    desk.say("deployed", model_version="1.0.1")
    desk.window(version="1.0.1")
    if restarts:
        desk.restart()
    for _ in range(3):
        desk.window(version="1.0.1", events=60)
    found = [(a["kind"], a["model"]["version"]) for a in desk.alerts() if a["change"] == "opened"]
    assert found == [("operational", "1.0.1")]


def test_a_version_is_compared_with_the_reference_it_was_deployed_with() -> None:
    desk = Desk()
    desk.refer("other", "9.9.9", shift=2.0)
    desk.window()
    desk.say("deployed", model_version="2.0.0", reference_id="other")
    for _ in range(3):
        desk.window(version="2.0.0", shift=2.0)
    last = desk.results()[-1]
    assert (last["verdict"], last["reference_id"]) == ("stable", "other")


def test_a_deployment_that_was_not_committed_never_was() -> None:
    desk = Desk()
    desk.window()
    kept = list(desk.written)
    desk.say("deployed", model_version="2.0.0", at=rfc3339(START_MS + 2 * WINDOW_MS))
    desk.hold = True
    desk.window(version="2.0.0")
    assert desk.results()[-1]["reference_id"] is None
    desk.written, desk.windows, desk.hold = kept, 1, False
    desk.judge.forget()
    desk.judge.gained(Partition(PROFILES, 0), iter(desk.kept()))
    desk.window()
    assert (desk.results()[-1]["reference_id"], desk.outcomes()) == ("r1", [])


def test_a_file_with_another_version_wins_over_what_was_deployed() -> None:
    desk = Desk()
    desk.window()
    desk.say("deployed", model_version="2.0.0")
    desk.window(version="2.0.0")
    desk.register(lifecycle_record(NAMES, watched(version="3.0.0")))
    desk.window(version="3.0.0")
    assert [r.value for r in desk.written if r.key == b"deployment|m"][-1] is None
    desk.register(lifecycle_record(NAMES, watched()))
    desk.window()
    assert desk.results()[-1]["reference_id"] == "r1"


def test_what_a_former_version_still_shows_opens_nothing_until_it_answers_again() -> None:
    desk = Desk()
    desk.drift()
    desk.say("deployed", "c1", model_version="1.0.1", trigger_id="rt-1")
    for _ in range(3):
        desk.window(shift=2.0)
    assert desk.alerts()[-1]["resolve_reason"] == "retrained"
    desk.restart()
    desk.say("deployed", "c2", model_version="1.0.0", rollback=True)
    before = len(desk.alerts())
    for _ in range(8):
        desk.window(shift=2.0)
    assert "opened" in [a["change"] for a in desk.alerts()[before:]]


def test_a_version_without_a_reference_grows_one_of_its_first_healthy_windows() -> None:
    desk = Desk(watched(reference={"from": "production", "min_events": 3_000}))
    desk.window()
    desk.say("deployed", "c1", model_version="2.0.0")
    for n in range(34):
        desk.window(version="2.0.0", shift=2.0)
        if n in (3, 20):
            desk.restart()
    waiting = [r for r in desk.results() if r["model_version"] == "2.0.0"]
    assert [r["reason"] for r in waiting[:30]] == ["no_reference"] * 30
    (record,) = [r for r in desk.written if (r.key or b"").startswith(b"reference|m|rf-")]
    document = json.loads(record.value)
    assert document["model_version"] == "2.0.0"
    assert document["built_from"]["events"] == 30 * 300
    assert [r["verdict"] for r in desk.results()[-2:]] == ["stable", "stable"]
    assert desk.results()[-1]["reference_id"] == document["reference_id"]
    assert not [r for r in desk.kept() if b"|seen/" in (r.key or b"")]
    for _ in range(4):
        desk.window(version="2.0.0", shift=0.0)
    assert desk.results()[-1]["verdict"] in ("drifting", "severe")


def test_a_patch_by_a_new_file_is_a_deployment_too() -> None:
    desk = Desk()
    episode = desk.drift()
    desk.register(lifecycle_record(NAMES, watched(version="1.0.1")))
    desk.window(version="1.0.1", shift=2.0)
    over = next(a for a in desk.alerts() if a["change"] == "resolved")
    assert (over["episode_id"], over["resolve_reason"]) == (episode, "deployed")


# ---- silences, snoozes, grace


def minutes(many: int) -> str:
    """A time so long after the start."""
    return rfc3339(START_MS + many * MINUTE_MS)


def silence(desk: Desk, command_id: str = "c1", **fields: Any) -> None:
    said = {"silence_id": "s1", "until": minutes(60), "reason": "campaign"} | fields
    desk.say("silence", command_id, **said)


def test_what_is_silenced_is_published_and_delivered_when_the_silence_is_over() -> None:
    desk = Desk()
    silence(desk, match={"kind": "data_drift"})
    desk.window()
    episode = desk.drift()
    assert desk.alerts()[0]["delivery"]["silenced_by"] == "s1"
    assert desk.kept_of("silences")[0]["reason"] == "campaign"
    while desk.window(shift=2.0) < START_MS + 60 * MINUTE_MS:
        assert all(a["delivery"]["silenced_by"] for a in desk.alerts())
    told = desk.alerts()[-1]
    assert (told["episode_id"], told["change"], told["at"]) == (episode, "opened", minutes(60))
    assert (told["delivery"]["silenced_by"], told["delivery"]["receivers"]) == (None, ["slack"])
    assert desk.kept_of("silences") is None


def test_a_silence_can_be_taken_back_and_outlives_a_judge() -> None:
    desk = Desk()
    silence(desk)
    desk.window()
    desk.restart()
    desk.drift()
    desk.say("unsilence", "c2", silence_id="s1")
    desk.say("unsilence", "c3", silence_id="s1")
    desk.window(shift=2.0)
    assert desk.alerts()[-1]["delivery"]["silenced_by"] is None
    assert [o[:3] for o in desk.outcomes()][1:] == [
        ("c2", "applied", None),
        ("c3", "refused", "unknown_silence"),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"until": minutes(31 * 24 * 60)},
        {"until": minutes(-1)},
        {"from": minutes(90)},
        {"match": {"kind": "noise"}},
        {"match": {"severity": "loud"}},
    ],
)
def test_a_silence_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    desk = Desk()
    silence(desk, **wrong)
    desk.window()
    assert [o[1:3] for o in desk.outcomes()] == [("refused", "invalid")]


def test_a_snoozed_episode_is_told_of_again_when_the_snooze_is_over() -> None:
    desk = Desk()
    episode = desk.drift()
    until = desk.windows * 5 + 20
    desk.say("snooze", episode_id=episode, until=minutes(until))
    before = len(desk.alerts())
    while desk.window(shift=2.0) < START_MS + until * MINUTE_MS:
        held = [a["delivery"]["held"] for a in desk.alerts()[before:]]
        assert set(held) <= {"snoozed"}
    assert desk.alerts()[-1]["delivery"]["held"] is None
    desk.say("snooze", "c2", episode_id=episode, until=minutes(0))
    desk.say("snooze", "c3", episode_id="ep-0", until=minutes(900))
    desk.window(shift=2.0)
    assert [o[:3] for o in desk.outcomes()] == [
        ("c1", "applied", None),
        ("c2", "refused", "invalid"),
        ("c3", "refused", "unknown_episode"),
    ]


def test_a_new_version_is_given_its_time_before_anybody_is_woken() -> None:
    desk = Desk(watched(grace="40m"))
    desk.window()
    desk.say("deployed", model_version="1.0.1")
    over = desk.window(version="1.0.1", shift=2.0) + 40 * MINUTE_MS
    while (end := desk.window(version="1.0.1", shift=2.0)) < over:
        assert {a["delivery"]["held"] for a in desk.alerts()} <= {"grace"}
    told = desk.alerts()[-1]
    assert (told["change"], told["at"], told["delivery"]["held"]) == ("opened", rfc3339(end), None)


def test_the_day_of_a_deployment_in_the_file_is_given_time_as_well() -> None:
    desk = Desk(watched(grace="1h", metadata={"deployed_date": "2026-03-02"}))
    desk.drift()
    assert desk.alerts()[0]["delivery"]["held"] == "grace"
    other = Desk(watched(grace="1h", metadata={"deployed_date": "2026-03-01"}))
    other.drift()
    assert other.alerts()[0]["delivery"]["held"] is None


def test_by_another_reference_the_present_is_normal() -> None:
    desk = Desk()
    episode = desk.drift()
    desk.refer("now", "0.9.0", shift=2.0)
    desk.say("rebaseline", "c1", reference_id="now")
    desk.say("rebaseline", "c2", reference_id="nobodys")
    desk.say("rebaseline", "c3", start=minutes(0), end=minutes(20))
    desk.say("rebaseline", "c4")
    for _ in range(4):
        desk.window(shift=2.0)
    over = next(a for a in desk.alerts() if a["change"] == "resolved")
    assert (over["episode_id"], over["resolve_reason"]) == (episode, "rebaselined")
    assert (desk.results()[-1]["verdict"], desk.results()[-1]["reference_id"]) == ("stable", "now")
    assert [o[2] for o in desk.outcomes()] == [
        None,
        "unknown_reference",
        "not_possible",
        "invalid",
    ]


def test_what_a_retired_model_had_is_over_and_nothing_new_is_said() -> None:
    desk = Desk()
    episode = desk.drift()
    desk.register(lifecycle_record(NAMES, watched(retirement={"status": "Retired"})))
    for _ in range(3):
        desk.window(shift=2.0)
    results = len(desk.results())
    over = desk.alerts()[-1]
    assert (over["episode_id"], over["resolve_reason"]) == (episode, "retired")
    desk.say("resolve", episode_id=episode)
    desk.window(shift=2.0)
    assert len(desk.results()) == results
    assert desk.outcomes()[0][1:3] == ("refused", "not_possible")


# ---- retraining


def retrained(**fields: Any) -> Desk:
    return Desk(watched(retraining=fields))


def statuses(desk: Desk) -> list[str]:
    return [t["status"]["name"] for t in desk.triggers()]


def test_a_person_asks_and_a_pipeline_reports() -> None:
    desk = retrained(promotion_gates={"accuracy": {"min": 0.9}})
    desk.window()
    desk.say("retrain", "c1", reason="new market", priority="high")
    desk.window()
    trigger = desk.triggers()[-1]
    assert (trigger["reason"]["code"], trigger["policy"]["priority"]) == ("manual", "high")
    for n, status in enumerate(("started", "completed")):
        metrics = {"accuracy": 0.95}
        desk.say(
            "report", f"r{n}", trigger_id=trigger["trigger_id"], status=status, metrics=metrics
        )
        desk.window()
    desk.say("retrain", "c2")
    desk.say("report", "r3", trigger_id="rt-0", status="started")
    desk.window()
    assert statuses(desk)[:4] == ["requested", "approved", "started", "completed"]
    assert desk.triggers()[3]["gates"]["decision"] == "promote"
    assert [o[:3] for o in desk.outcomes()][-1] == ("r3", "refused", "unknown_trigger")


@pytest.mark.parametrize("reports", [False, True])
def test_a_pipeline_that_only_deploys_has_completed_its_run(*, reports: bool) -> None:
    desk = retrained()
    desk.window()
    desk.say("retrain", "c1")
    desk.window()
    trigger = desk.triggers()[-1]["trigger_id"]
    if reports:
        desk.say("report", "c2", trigger_id=trigger, status="started")
        desk.window()
        desk.say("report", "c3", trigger_id=trigger, status="completed")
        desk.window()
    desk.say("deployed", "c4", model_version="1.0.1", trigger_id=trigger)
    desk.window(version="1.0.1")
    assert statuses(desk) == ["requested", "approved", "started", "completed"]


@pytest.mark.parametrize(
    ("step", "then"), [("approve", "approved"), ("reject", "rejected"), ("cancel", "cancelled")]
)
def test_only_approvers_move_a_request(step: str, then: str) -> None:
    asked = {"name": "nightly", "trigger": "daily", "action": "retrain", "approval": "required"}
    desk = retrained(
        approval_process={"approvers": ["bob"]},
        trigger_conditions=[asked],
        guards={"cooldown": "0s"},
    )
    desk.window()
    desk.windows = 24 * 12 - 1
    desk.window()
    trigger = desk.triggers()[0]["trigger_id"]
    desk.say(step, "c1", trigger_id=trigger)
    desk.say(step, "c2", trigger_id=trigger, by="bob")
    desk.say(step, "c3", trigger_id=trigger, by="bob")
    desk.window()
    assert [o[2] for o in desk.outcomes()] == ["not_an_approver", None, "not_possible"]
    assert statuses(desk) == ["requested", then]


def test_dates_ask_once_each_however_many_pass_at_once() -> None:
    desk = retrained(
        trigger_conditions=[{"name": "nightly", "trigger": "daily", "action": "retrain"}]
    )
    desk.window()
    desk.windows = 24 * 12 - 1
    desk.window()
    desk.window()
    nights = [t for t in desk.triggers() if t["status"]["name"] == "requested"]
    assert [t["reason"]["code"] for t in nights] == ["schedule"]
    desk.restart()
    desk.window()
    assert len([t for t in desk.triggers() if t["status"]["name"] == "requested"]) == 1


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"null", b'{"command": "deployed"}'])
def test_what_is_no_command_says_so(value: bytes) -> None:
    with pytest.raises(InvalidCommand):
        decode(value)


def test_a_file_of_commands_says_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    good = b'{"command": "retrain", "command_id": "c", "model_id": "m", "by": "ann"}'
    path.write_bytes(good + b"\n\n" + good + b"\n")
    assert [said.command_id for said in read_commands(path)] == ["c", "c"]
    path.write_bytes(good + b"\n{}\n")
    with pytest.raises(UsageError, match=r"said\.jsonl, line 2: .*: expected a command like"):
        read_commands(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_commands(tmp_path / "nothing")
