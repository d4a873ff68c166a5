"""Is every window judged once, in order, with what was counted, and does a restart change nothing?"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import pytest

from alerting.identity import rfc3339
from alerting.settings import Receiver
from detectors.reference.build import Reference
from streams.broker import Batch, Partition, Record, Work
from streams.errors import StateError
from streams.judging.due import MOST_EMPTY
from streams.judging.judge import Judge
from streams.judging.kept import FORMAT
from streams.lifecycle import Lifecycle
from streams.loop import FOREVER_MS, Loop, Outcome
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import Progress, Report, encode_profile
from tests.builders import (
    HOUR_MS,
    MINUTE_MS,
    NAMES,
    START_MS,
    documents,
    encode,
    event,
    judge,
    lifecycle,
    logged,
    profile,
    profiler,
    reference,
    registered,
    small,
    stream,
)
from tests.builders import batch as source_batch

BUDGET = {"false_alarms": "1 per day"}
WINDOW_MS = 5 * MINUTE_MS
EVERY_MS = 1_200  # 250 events per window
SLACK = Receiver("slack", "slack", "#ml")
OUTPUTS = ("results", "alerts", "alerts.slack", "retraining")


def watched(**keys: Any) -> Lifecycle:
    """A lifecycle with windows of five minutes, that waits a minute for late events."""
    window = {"size": "5m", "lateness": "1m", "pane": "1m", **keys.pop("window", {})}
    return lifecycle(
        monitoring={"window": window, **keys.pop("monitoring", {})},
        retraining={
            "trigger_conditions": [
                {"name": "inputs", "trigger": "severe data drift", "action": "retrain"}
            ]
        },
        **keys,
    )


class Desk:
    """A judge that is handed what a profiler counted, at the places where a test wants it."""

    def __init__(
        self, *models: tuple[Lifecycle, Reference | None], partitions: int = 1, sources: int = 1
    ) -> None:
        self.models = models or ((watched(), small()),)
        self._counts = profiler(*self.models, partitions=1)
        self._sources = sources
        self.judge = Judge(NAMES, partitions, [SLACK])
        for of, built in self.models:
            self.judge.follow(registered(of, built))
        for number in range(partitions):
            self.judge.gained(_profiles(number), iter(()))
        self._offset = 0
        self.written: list[Any] = []

    def count(self, events: Iterable[Any]) -> None:
        """Summaries of these events arrive, without a word about how far the source was read."""
        self._counts.step(source_batch(encode(events)))
        records = self._counts.flush().records
        self.hand([r.value or b"" for r in records if dict(r.headers)["leeway.kind"] == b"summary"])

    def reach(
        self,
        *highest_ms: int | None,
        idle_ms: Sequence[int] = (),
        source: str = "leeway.predictions",
    ) -> None:
        """A report arrives that the partitions of a source were read up to these times."""
        idle = [*idle_ms, *[0] * len(highest_ms)]
        reports = [Report(n, ms, 0, idle[n]) for n, ms in enumerate(highest_ms)]
        self.hand([encode_profile(Progress(source, self._sources, reports))])

    def hand(self, values: Sequence[bytes]) -> None:
        """Records of leeway.profiles arrive."""
        offsets = [self._offset + i for i in range(len(values))]
        self._offset += len(values)
        rows: list[Record] = []
        self.judge.step(
            Batch("leeway.profiles", values, [0] * len(values), offsets, [None] * len(values), rows)
        )

    def flush(self) -> Work:
        """Have it conclude."""
        work = self.judge.flush()
        self.written += work.records
        return work

    def results(self, scope: str = "inputs") -> list[dict[str, Any]]:
        """All results of a scope so far."""
        self.flush()
        found = [json.loads(r.value) for r in self.written if r.topic == "leeway.results"]
        return [result for result in found if result["scope"] == scope]

    def verdicts(self) -> list[tuple[str, int, str]]:
        """Window start in minutes, events, reason: of segment `all`."""
        return [
            (r["window"]["start"][11:16], r["window"]["events"], r["reason"])
            for r in self.results()
            if r["segment"] == "all"
        ]

    def restart(self) -> None:
        """Another process takes over, with nothing but what was written."""
        self.flush()
        newest = {r.key: r for r in self.written if r.topic == "leeway.state"}
        kept = [
            Record(r.topic, 0, i, None, r.key, r.value)
            for i, r in enumerate(newest.values())
            if r.value is not None
        ]
        self.judge = Judge(NAMES, 1, [SLACK])
        for of, built in self.models:
            self.judge.follow(registered(of, built))
        self.judge.gained(_profiles(0), iter(kept))


def _profiles(number: int) -> Partition:
    return Partition("leeway.profiles", number)


def minute(n: float, many: int = 250, **fields: Any) -> list[dict[str, Any]]:
    """Events from that minute of the stream on, within a second."""
    return stream(many, start_ms=START_MS + round(n * MINUTE_MS), step_ms=4, **fields)


# ---- which windows are judged, when


def test_a_window_is_judged_when_the_watermark_reaches_its_end_and_not_before() -> None:
    desk = Desk()
    desk.count(minute(1))
    desk.reach(START_MS + 6 * MINUTE_MS - 1)  # less a minute of lateness: one millisecond short
    assert desk.verdicts() == []
    desk.reach(START_MS + 6 * MINUTE_MS)
    assert desk.verdicts() == [("00:00", 250, "quiet")]


def test_windows_that_are_complete_at_once_are_judged_in_order_and_once() -> None:
    desk = Desk()
    for n in (11, 1, 6, 12, 3):
        desk.count(minute(n))
    for _ in range(3):
        desk.reach(START_MS + 16 * MINUTE_MS)
    assert [(start, events) for start, events, _ in desk.verdicts()] == [
        ("00:00", 500),
        ("00:05", 250),
        ("00:10", 500),
    ]


def test_the_slowest_partition_decides_and_a_slow_one_is_not_an_idle_one() -> None:
    desk = Desk(sources=2)
    desk.count(minute(1))
    desk.reach(START_MS + HOUR_MS)  # nothing is known of the other partition
    desk.reach(START_MS + HOUR_MS, START_MS + 2 * MINUTE_MS)
    assert desk.verdicts() == []
    desk.reach(START_MS + HOUR_MS, START_MS + 2 * MINUTE_MS, idle_ms=[0, 299_999])
    assert desk.verdicts() == []
    desk.reach(START_MS + 7 * MINUTE_MS, START_MS + 2 * MINUTE_MS, idle_ms=[0, 300_000])
    assert [start for start, _, _ in desk.verdicts()][:1] == ["00:00"]


def test_an_event_that_comes_too_late_is_shown_in_the_next_result_and_only_there() -> None:
    desk = Desk()
    desk.count(minute(1))
    desk.reach(START_MS + 6 * MINUTE_MS)
    desk.count(minute(2, 7))
    desk.count(minute(6))
    desk.restart()
    desk.reach(START_MS + 11 * MINUTE_MS)
    desk.count(minute(11))
    desk.reach(START_MS + 16 * MINUTE_MS)
    windows = [r["window"] for r in desk.results()]
    assert [(w["events"], w["late"]) for w in windows] == [(250, 0), (250, 7), (250, 0)]


def test_what_comes_within_the_lateness_is_not_late() -> None:
    desk = Desk()
    desk.count(minute(1))
    desk.reach(START_MS + 5 * MINUTE_MS + 59_999)
    desk.count(minute(4.9, 50))
    desk.reach(START_MS + 6 * MINUTE_MS)
    (result,) = desk.results()
    assert (result["window"]["events"], result["window"]["late"]) == (300, 0)


def test_a_result_says_how_many_panes_had_events() -> None:
    desk = Desk()
    for n in (0, 0.5, 3):
        desk.count(minute(n))
    desk.reach(START_MS + 6 * MINUTE_MS)
    assert [r["window"]["panes"] for r in desk.results()] == [2]


def test_where_everything_is_silent_the_window_of_the_last_event_is_judged_too() -> None:
    desk = Desk(sources=2)
    desk.count(minute(7))
    desk.reach(START_MS + 8 * MINUTE_MS, None, idle_ms=[300_000, 300_000])
    assert desk.verdicts() == [("00:05", 250, "quiet")]


def test_silence_is_judged_while_it_lasts_and_nothing_else_is() -> None:
    desk = Desk()
    for n in range(12):
        desk.count(minute(5 * n + 1))
        desk.count(minute(5 * n + 3))
    desk.reach(START_MS + 58 * MINUTE_MS)
    judged = len(desk.results("health"))
    for minutes in (5, 10, 40):
        desk.reach(START_MS + 58 * MINUTE_MS, idle_ms=[minutes * MINUTE_MS])
    health = desk.results("health")
    assert health[-1]["window"]["end"] == rfc3339(START_MS + 95 * MINUTE_MS)
    assert len(health) == judged + 8
    assert desk.results()[-1]["window"]["end"] == rfc3339(START_MS + 60 * MINUTE_MS)
    alerts = [json.loads(r.value) for r in desk.written if r.topic == "leeway.alerts"]
    assert [a["kind"] for a in alerts] == ["operational"]
    assert health[-1]["quality"]["silent"]["violated"]


TWO_TOPICS = watched(
    features={"income": {"type": "number", "from": "features"}, "home": "category"}
)


@pytest.mark.parametrize(
    ("last_ms", "judged"), [(None, 4), (START_MS + 7 * MINUTE_MS, 4), (START_MS + HOUR_MS, 4)]
)
def test_a_silent_topic_holds_the_other_one_up_no_longer(last_ms: int | None, judged: int) -> None:
    desk = Desk((TWO_TOPICS, None))
    desk.count(e | {"model_version": "1.0.0"} for n in range(5, 25, 5) for e in minute(n))
    desk.reach(START_MS + 26 * MINUTE_MS)
    assert desk.results() == []  # the features may still come
    desk.reach(last_ms, idle_ms=[300_000], source="leeway.features")
    assert len(desk.results()) == judged


def test_an_awake_topic_that_lags_holds_the_other_one_up() -> None:
    desk = Desk((TWO_TOPICS, None))
    desk.count(minute(1))
    desk.reach(START_MS + HOUR_MS)
    desk.reach(START_MS + 3 * MINUTE_MS, source="leeway.features")
    assert desk.results() == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_backlog_after_a_silence_is_not_late_because_one_topic_is_read_first(
    restarts: bool,
) -> None:
    desk = Desk((TWO_TOPICS, None))
    desk.count(e | {"model_version": "1.0.0"} for e in minute(1))
    for topic in ("leeway.predictions", "leeway.features"):
        desk.reach(START_MS + 2 * MINUTE_MS, idle_ms=[300_000], source=topic)
    judged = len(desk.results())
    desk.reach(START_MS + HOUR_MS)
    if restarts:
        desk.restart()
    desk.count(e | {"model_version": "1.0.0"} for e in minute(11))
    desk.reach(START_MS + HOUR_MS, source="leeway.features")
    windows = [r["window"] for r in desk.results()[judged:]]
    assert [w["events"] for w in windows[:3]] == [0, 250, 0]
    assert not any(w["late"] for w in windows)


def test_a_week_is_judged_from_monday_to_monday() -> None:
    of = watched(window={"size": "7d"})
    desk, day = Desk((of, small())), 24 * HOUR_MS
    for n in range(9):
        desk.count(stream(60, start_ms=START_MS + n * day, step_ms=1))
    desk.reach(START_MS + 7 * day + MINUTE_MS)
    (window,) = [r["window"] for r in desk.results()]
    assert (window["start"], window["end"]) == (rfc3339(START_MS), rfc3339(START_MS + 7 * day))
    assert window["events"] == 7 * 60


# ---- what is not known


def test_a_silent_model_is_insufficient_for_want_of_events() -> None:
    desk = Desk()
    desk.count(minute(1))
    desk.reach(START_MS + 21 * MINUTE_MS)
    assert desk.verdicts() == [
        ("00:00", 250, "quiet"),
        ("00:05", 0, "no_events"),
        ("00:10", 0, "no_events"),
        ("00:15", 0, "no_events"),
    ]
    assert {r["verdict"] for r in desk.results()[1:]} == {"insufficient"}


def test_a_long_silence_is_judged_so_often_and_then_no_more_until_events_return() -> None:
    desk = Desk()
    desk.count(minute(1))
    back_ms = START_MS + (MOST_EMPTY + 500) * WINDOW_MS
    desk.reach(back_ms)
    desk.count(stream(250, start_ms=back_ms, step_ms=4))
    desk.reach(back_ms + WINDOW_MS + MINUTE_MS)
    found = desk.results()
    assert len(found) == 1 + MOST_EMPTY + 1
    assert found[-1]["window"]["start"] == rfc3339(back_ms)


def test_without_a_reference_a_window_is_insufficient_and_says_why() -> None:
    desk = Desk((watched(), None))
    desk.count(minute(1))
    desk.reach(START_MS + 6 * MINUTE_MS)
    assert desk.verdicts() == [("00:00", 250, "no_reference")]
    assert desk.results()[0]["reference_id"] is None


def test_too_few_events_are_added_up_until_they_are_enough() -> None:
    desk = Desk()
    for n in range(1, 16, 5):
        desk.count(minute(n, 90))
    desk.reach(START_MS + 16 * MINUTE_MS)
    reasons = [reason for _, _, reason in desk.verdicts()]
    assert reasons == ["too_few_events", "too_few_events", "quiet"]


@pytest.mark.parametrize(
    ("version", "reason"),
    [("1.0.0", "quiet"), ("1.0.7", "quiet"), ("1.1.0", "no_reference"), ("2.0.0", "no_reference")],
)
def test_only_a_patch_release_is_compared_with_the_reference_of_another_version(
    version: str, reason: str
) -> None:
    desk = Desk((watched(version=version), small()))
    desk.count(minute(1, model_version=version))
    desk.reach(START_MS + 6 * MINUTE_MS)
    assert desk.verdicts() == [("00:00", 250, reason)]


def test_versions_and_segments_are_judged_apart_and_all_is_their_sum() -> None:
    of = watched(segments=["country"])
    tagged = [
        e | {"tags": {"country": "DE" if i % 3 else "FR"}}
        for i, e in enumerate(stream(3_000, seed=9))
    ]
    desk = Desk((of, reference(of, tagged)))
    for version, country, many in (("1.0.0", "DE", 300), ("1.0.0", "IT", 20), ("1.0.1", "FR", 250)):
        desk.count(minute(1, many, model_version=version, tags={"country": country}))
    desk.reach(START_MS + 6 * MINUTE_MS)
    found = {
        (r["model_version"], r["segment"]): (r["window"]["events"], r["reason"])
        for r in desk.results()
    }
    assert found == {
        ("1.0.0", "all"): (320, "quiet"),
        ("1.0.0", "country=DE"): (300, "quiet"),
        ("1.0.0", "country=(other)"): (20, "no_reference"),
        ("1.0.1", "all"): (250, "quiet"),
        ("1.0.1", "country=FR"): (250, "quiet"),
    }


# ---- what is registered changes while it runs


def test_counts_under_another_reference_are_compared_with_nothing() -> None:
    desk = Desk()
    desk.count(minute(1))
    newer = reference(watched(), stream(2_000, seed=4, shift=1.0))
    desk.judge.follow(registered(watched(), newer))
    desk.reach(START_MS + 6 * MINUTE_MS)
    assert desk.verdicts() == [("00:00", 250, "no_reference")]


@pytest.mark.parametrize("restarts", [False, True])
def test_another_reference_ends_an_open_episode_as_rebaselined(*, restarts: bool) -> None:
    desk = Desk()
    for n in range(4):
        desk.count(minute(5 * n + 1, 300, seed=n, shift=2.0))
    desk.reach(START_MS + 21 * MINUTE_MS)
    newer = reference(watched(), stream(2_000, seed=4, shift=2.0))
    if restarts:
        desk.models = ((watched(), newer),)
        desk.restart()
    for stage in (desk.judge, desk._counts):
        stage.follow(registered(watched(), newer))
    for n in range(4, 8):
        desk.count(minute(5 * n + 1, 300, seed=n, shift=2.0))
    desk.reach(START_MS + 41 * MINUTE_MS)
    desk.flush()
    alerts = [json.loads(r.value) for r in desk.written if r.topic == "leeway.alerts"]
    assert [(a["change"], a["at"][11:16], a["resolve_reason"]) for a in alerts][-1] == (
        "resolved",
        "00:25",
        "rebaselined",
    )
    assert alerts[0]["change"] == "opened"
    assert len({a["episode_id"] for a in alerts}) == 1


def test_a_window_with_counts_of_two_references_is_judged_by_the_new_ones() -> None:
    desk = Desk()
    desk.count(minute(1))
    newer = reference(watched(), stream(2_000, seed=4))
    for stage in (desk.judge, desk._counts):
        stage.follow(registered(watched(), newer))
    desk.count(minute(2, 300))
    desk.reach(START_MS + 6 * MINUTE_MS)
    (result,) = desk.results()
    assert result["window"]["events"] == 550
    assert result["series"][0]["n_current"] == 300
    assert result["reason"] == "quiet"


@pytest.mark.parametrize(
    ("before", "after"), [("5m", "1h"), ("1h", "5m"), ("20m", "15m"), ("10m", "45m")]
)
def test_windows_of_another_length_begin_at_its_multiples_and_lose_no_event(
    before: str, after: str
) -> None:
    desk = Desk((watched(window={"size": before}), small()))
    for n in range(35):
        desk.count(minute(n, 50))
        desk.reach(START_MS + n * MINUTE_MS)
    desk.judge.follow(registered(watched(window={"size": after}), small()))
    desk.models = ((watched(window={"size": after}), small()),)
    for n in range(35, 130):
        desk.count(minute(n, 50))
        desk.reach(START_MS + n * MINUTE_MS)
        if n == 50:
            desk.restart()
    desk.reach(START_MS + 130 * MINUTE_MS, idle_ms=[FOREVER_MS])
    windows = [r["window"] for r in desk.results()]
    assert sum(w["events"] for w in windows) == 130 * 50
    assert sum(w["late"] for w in windows) == 0
    length = {"5m": 5, "15m": 15, "45m": 45, "1h": 60}[after]
    for window in windows[-2:]:
        hours, minutes = int(window["start"][11:13]), int(window["start"][14:16])
        assert (60 * hours + minutes) % length == 0
    assert len({r["result_id"] for r in desk.results()}) == len(windows)


def test_a_lifecycle_that_was_taken_away_is_judged_no_more() -> None:
    desk = Desk()
    desk.count(minute(1))
    (gone,) = [r._replace(value=None) for r in registered(watched())]
    desk.judge.follow([gone])
    desk.count(minute(2))
    desk.reach(START_MS + HOUR_MS)
    assert desk.results() == []


# ---- what cannot be read


def test_a_state_of_a_newer_format_is_refused() -> None:
    desk = Desk()
    desk.count(minute(1))
    (record, *_) = [r for r in desk.flush().records if r.topic == "leeway.state"]
    newer = json.dumps(json.loads(record.value or b"") | {"format": FORMAT + 1}).encode()
    kept = Record(record.topic, 0, 0, None, record.key, newer)
    refused = f"has format {FORMAT + 1}, this Leeway reads up to {FORMAT}"
    with pytest.raises(StateError, match=refused):
        desk.judge.gained(_profiles(0), iter([kept]))


@pytest.mark.parametrize("value", [b"", b"{}", b"\xc1", encode_profile(Progress("t", 1, []))[:-3]])
def test_a_record_that_no_profiler_wrote_is_refused_with_its_place(value: bytes) -> None:
    with pytest.raises(
        StateError, match=r"^leeway.profiles-0, offset 0: not a record of this Leeway"
    ):
        Desk().hand([value])


def test_records_of_partitions_that_are_not_ours_are_passed_over() -> None:
    desk = Desk()
    desk.judge.dropped(_profiles(0))
    desk.count(minute(1))
    desk.reach(START_MS + HOUR_MS)
    assert desk.results() == []


def as_release_0_1_wrote_it(record: Record) -> Record | None:
    """A part of the state with one scope and one episode per subject; None for parts that there were not."""
    part = (record.key or b"").decode().split("|", 3)[3]
    if part.partition("/")[0] in ("health", "running", "violated"):
        return None
    document = json.loads(record.value or b"")
    data = document["data"]
    if part == "progress":
        data = {"slots_until_ms": data["slots_until_ms"]} | data["scopes"]["inputs"]
    elif part == "late":
        data = data.get("inputs", 0)
    elif part == "episodes" and b"|all|" in (record.key or b""):
        data = [{k: v for k, v in e.items() if k != "source"} for e in data]
    value = json.dumps(document | {"format": 2, "data": data}).encode()
    return record._replace(value=value)


def test_a_state_with_one_scope_and_one_episode_is_continued() -> None:
    desk = Desk((watched(monitoring=BUDGET), small()))
    for n in range(6):
        desk.count(minute(5 * n + 1, 300, seed=n, shift=2.0))
    desk.reach(START_MS + 31 * MINUTE_MS)
    desk.count(minute(2, 7))  # late
    desk.count(minute(31, 300, shift=2.0))
    desk.flush()
    newest = {r.key: r for r in desk.written if r.topic == "leeway.state" and r.value is not None}
    kept = [
        as_release_0_1_wrote_it(Record(r.topic, 0, i, None, r.key, r.value))
        for i, r in enumerate(newest.values())
    ]
    expected = Desk((watched(monitoring=BUDGET), small()))
    expected.judge.gained(_profiles(0), iter(r for r in kept if r is not None))
    opened = [json.loads(r.value) for r in desk.written if r.topic == "leeway.alerts"]
    for n in range(7, 30):
        expected.count(minute(5 * n + 1, 300, seed=n))
        expected.reach(START_MS + (5 * n + 6) * MINUTE_MS)
    first = expected.results()[0]["window"]
    assert (first["start"], first["late"]) == (rfc3339(START_MS + 30 * MINUTE_MS), 7)
    alerts = [json.loads(r.value) for r in expected.written if r.topic == "leeway.alerts"]
    drift = [a for a in alerts if a["kind"] == "data_drift"]
    assert drift[-1]["change"] == "resolved"
    assert {a["episode_id"] for a in drift} == {opened[0]["episode_id"]}


# ---- a shift that comes and goes, through the whole judge


SHIFTED = range(10, 20)
WINDOWS = 48


def comes_and_goes(**fields: Any) -> list[dict[str, Any]]:
    """Windows of 250 events; in some the income is not what it was."""
    return [
        e
        for n in range(WINDOWS)
        for e in stream(
            250,
            seed=n,
            start_ms=START_MS + n * WINDOW_MS,
            step_ms=EVERY_MS,
            shift=1.5 if n in SHIFTED else 0.0,
            **fields,
        )
    ]


@cache
def story() -> MemoryLog:
    """All of it profiled, in commits of a window's size."""
    of = watched(monitoring=BUDGET, segments=["country"])
    tagged = [e | {"tags": {"country": "DE"}} for e in stream(10_000, seed=99)]
    log = logged(comes_and_goes(tags={"country": "DE"}), (of, reference(of, tagged)))
    profile(log, limit=250, commit_after=250)
    return log


def copy_of(log: MemoryLog) -> MemoryLog:
    """The same log before anything was judged."""
    fresh = MemoryLog()
    for name in ("leeway.models", "leeway.profiles"):
        fresh.create(name, log.partition_count(name))
        for r in log.read(name):
            fresh.append(r.topic, r.value, r.key, partition=r.partition, headers=r.headers)
    for name in ("state", "commands", *OUTPUTS):
        fresh.create(NAMES(name), 1)
    return fresh


def outputs(log: MemoryLog) -> dict[str, list[Record]]:
    """Every byte that was said."""
    return {name: log.read(NAMES(name)) for name in OUTPUTS}


@cache
def judged() -> MemoryLog:
    """The story, judged in one go."""
    log = copy_of(story())
    judge(log, [SLACK])
    return log


def test_an_episode_opens_escalates_and_resolves_with_the_shift() -> None:
    alerts = [a for a in documents(judged(), "alerts") if a["segment"] == "all"]
    changes = [a["change"] for a in alerts]
    assert changes[0] == "opened"
    assert changes[-1] == "resolved"
    assert changes.count("opened") == changes.count("resolved") == 1
    opened, resolved = alerts[0], alerts[-1]
    first, last = (START_MS + n * WINDOW_MS for n in (SHIFTED.start, SHIFTED.stop))
    assert rfc3339(first) < opened["at"] <= rfc3339(first + 4 * WINDOW_MS)
    assert rfc3339(last) < resolved["at"]
    assert opened["affected"][0]["series"] == "feature:income"
    assert resolved["resolve_reason"] == "recovered"
    assert {a["episode_id"] for a in alerts} == {opened["episode_id"]}
    assert [a["sequence"] for a in alerts] == list(range(1, len(alerts) + 1))
    assert any(a["verdict"] == "severe" for a in alerts)


def test_a_segment_with_the_same_problem_is_told_by_the_alert_of_all() -> None:
    found = [
        (a["segment"], a["delivery"]["inhibited_by"] is not None)
        for a in documents(judged(), "alerts")
    ]
    assert ("country=DE", True) in found
    assert ("all", True) not in found
    told = {n["episode_id"] for n in documents(judged(), "alerts.slack")}
    assert told == {a["episode_id"] for a in documents(judged(), "alerts") if a["segment"] == "all"}


def test_retraining_is_requested_once() -> None:
    triggers = documents(judged(), "retraining")
    assert [t["status"]["name"] for t in triggers][:2] == ["requested", "approved"]
    assert len({t["trigger_id"] for t in triggers}) == 1
    assert Counter(t["status"]["name"] for t in triggers)["requested"] == 1


def test_every_window_has_one_result_per_subject_in_order() -> None:
    results = [r for r in documents(judged(), "results") if r["scope"] == "inputs"]
    for segment in ("all", "country=DE"):
        starts = [r["window"]["start"] for r in results if r["segment"] == segment]
        assert starts == [rfc3339(START_MS + n * WINDOW_MS) for n in range(WINDOWS)]
    assert len({r["result_id"] for r in results}) == len(results) == 2 * WINDOWS


def turn_with_restarts(log: MemoryLog, *, every: int, limit: int, abort_every: int = 0) -> None:
    """Judge record by record; the process is killed and replaced after so many commits."""
    commits = instance = 0
    while True:
        broker = MemoryBroker(log, "judge", str(instance))
        instance += 1
        loop = Loop(
            broker,
            Judge(NAMES, 1, [SLACK]),
            ["leeway.profiles", "leeway.commands"],
            ["leeway.models"],
            "leeway.state",
            limit=limit,
        )
        loop.start()
        for _ in range(every):
            polled = loop.turn()
            if not polled.batches and loop.commit() is Outcome.NOTHING:
                return
            commits += 1
            if abort_every and commits % abort_every == 0:
                broker.fail_next_commit()
            loop.commit()
        loop.turn()  # what is in hand when it dies is lost
        broker.crash()


@pytest.mark.parametrize(
    ("every", "limit", "abort_every"), [(1, 2, 0), (1, 40, 0), (3, 7, 0), (7, 5, 5), (50, 3, 2)]
)
def test_a_judge_that_is_killed_again_and_again_says_the_same_bytes(
    every: int, limit: int, abort_every: int
) -> None:
    log = copy_of(story())
    turn_with_restarts(log, every=every, limit=limit, abort_every=abort_every)
    for name, expected in outputs(judged()).items():
        assert outputs(log)[name] == expected, name


def commanded() -> MemoryLog:
    """The story once more, with what people say in between; some of it twice, some of it nonsense."""
    log = copy_of(story())
    episode = documents(judged(), "alerts")[0]["episode_id"]

    def say(word: str, command_id: str, window: int, **fields: Any) -> None:
        at = rfc3339(START_MS + window * WINDOW_MS)
        said = {"command": word, "command_id": command_id, "model_id": "m", "by": "ann", "at": at}
        log.append("leeway.commands", json.dumps(said | fields).encode(), b"m")

    until = rfc3339(START_MS + 18 * WINDOW_MS)
    say("retrain", "c1", 8, reason="a person asks")
    say("acknowledge", "c2", 13, episode_id=episode)
    say("silence", "c3", 12, silence_id="s1", until=until, reason="campaign")
    say("snooze", "c4", 15, episode_id=episode, until=until)
    say("resolve", "c5", 17, episode_id="ep-0")
    say("deployed", "c6", 30, model_version="1.0.1", trigger_id="rt-1")
    say("deployed", "c6", 30, model_version="1.0.1", trigger_id="rt-1")
    say("dance", "c7", 9)
    return log


@cache
def obeyed() -> MemoryLog:
    log = commanded()
    judge(log, [SLACK], limit=10)
    return log


def test_every_command_was_answered_once() -> None:
    said = [r for r in documents(obeyed(), "results") if "command_id" in r]
    assert [
        (o["command_id"], o["outcome"]) for o in sorted(said, key=lambda o: o["command_id"])
    ] == [
        ("c1", "applied"),
        ("c2", "applied"),
        ("c3", "applied"),
        ("c4", "applied"),
        ("c5", "refused"),
        ("c6", "applied"),
        ("c7", "refused"),
    ]
    deployed = [r for r in obeyed().read("leeway.models") if r.key == b"deployment|m"]
    assert len(deployed) == 1


@pytest.mark.parametrize(
    ("every", "limit", "abort_every"), [(1, 2, 0), (1, 40, 0), (3, 7, 2), (7, 5, 5)]
)
def test_a_judge_that_is_killed_obeys_each_command_once(
    every: int, limit: int, abort_every: int
) -> None:
    log = commanded()
    turn_with_restarts(log, every=every, limit=limit, abort_every=abort_every)
    for name in (*OUTPUTS, "models"):
        expected = [(r.key, r.value, r.headers) for r in obeyed().read(NAMES(name))]
        found = [(r.key, r.value, r.headers) for r in log.read(NAMES(name))]
        if name == "results":  # an answer that needs no window comes when the command is read
            expected, found = sorted(expected), sorted(found)
        assert found == expected, name


def test_the_state_holds_what_is_open_and_no_window_that_was_judged() -> None:
    log = judged()
    newest = {r.key: r.value for r in log.read("leeway.state")}
    alive = [key.decode() for key, value in newest.items() if key and value is not None]
    assert not [key for key in alive if "|window/" in key]
    assert len([key for key in alive if "|detector" in key]) == 2


def test_windows_beyond_the_memory_of_the_detector_leave_the_state() -> None:
    of = watched(window={"size": "1d", "pane": "1h"})
    desk, day = Desk((of, small())), 24 * HOUR_MS
    for n in range(40):
        desk.count(stream(250, seed=n, start_ms=START_MS + n * day, step_ms=4))
        desk.reach(START_MS + (n + 1) * day + MINUTE_MS)
        if n % 7 == 0:
            desk.restart()
    desk.flush()
    newest = {r.key: r.value for r in desk.written if r.topic == "leeway.state"}
    history = [key for key, value in newest.items() if b"|history/" in key and value is not None]
    assert len(history) == 30


def test_silence_and_want_of_events_never_resolve() -> None:
    desk = Desk((watched(monitoring=BUDGET), small()))
    for n in range(12):
        desk.count(minute(n * 5 + 1, seed=n, shift=2.0))
    desk.reach(START_MS + 61 * MINUTE_MS)
    for n in range(12, 30):
        desk.count([event(START_MS + (n * 5 + 1) * MINUTE_MS)] if n % 2 else [])
        desk.reach(START_MS + (n * 5 + 6) * MINUTE_MS)
    assert {r["verdict"] for r in desk.results()[-18:]} <= {"insufficient", "severe"}
    alerts = [json.loads(r.value) for r in desk.written if r.topic == "leeway.alerts"]
    assert alerts
    assert "resolved" not in [a["change"] for a in alerts]
