"""Does anything that a producer can send stop the stream, lose a neighbour, or vanish?

The small events are files: `hostile/OUTCOME/NAME`, where the outcome is a dead letter's reason, `kept` or
`unregistered`.
"""

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from streams.broker import Partition
from streams.judging.watermarks import SourceProgress
from streams.loop import run
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import SLOT_MS, Progress, decode_profile
from streams.profiling.dead_letters import KEPT_BYTES, MAX_EXPLANATION
from streams.profiling.profiler import Profiler
from tests.builders import (
    NAMES,
    START_MS,
    documents,
    encode,
    event,
    judge,
    lifecycle,
    logged,
    profile,
    profiled,
    reference,
    small,
    stream,
)

MIB = 1 << 20
FILES = sorted((Path(__file__).parent / "hostile").glob("*/*"))
TEXT = encode([event()])[0]


def with_member(json_text: bytes) -> bytes:
    """A good event with one more member."""
    return TEXT[:-1] + b',"more":' + json_text + b"}"


LARGE: dict[str, tuple[str, bytes]] = {
    "a byte more than 1 MiB": ("too_large", with_member(b'"%b"' % (b"x" * (MIB - len(TEXT) - 9)))),
    "10 MB of text": ("too_large", with_member(b'"%b"' % (b"x" * 10_000_000))),
    "10 MB of nothing": ("too_large", b"\0" * 10_000_000),
    "1,000 levels": ("too_deep", with_member(b"[" * 1_000 + b"]" * 1_000)),
    "100,000 levels": ("too_deep", with_member(b"[" * 100_000 + b"]" * 100_000)),
    "100,000 levels of objects": ("too_deep", with_member(b'{"":' * 100_000 + b"1" + b"}" * 100_000)),
    "100,000 levels without an end": ("too_deep", b'{"a":' * 100_000),
    "10,000 digits": ("kept", with_member(b"9" * 10_000)),
    "a score of 10,000 digits": ("kept", TEXT.replace(b'"score":0.5', b'"score":' + b"9" * 10_000)),
    "a time of 10,000 digits": ("timestamp_unit", TEXT.replace(b"1772409600000", b"1" * 10_000)),
    "10,000 members": ("kept", with_member(json.dumps({str(i): i for i in range(10_000)}).encode())),
    "10,000 features": (
        "kept",
        encode([event(features={f"f{i}": i for i in range(10_000)})])[0],
    ),
    "the same member 10,000 times": ("kept", TEXT[:-1] + b',"score":0.5' * 10_000 + b"}"),
}  # fmt: skip
ALL = {f"{f.parent.name}/{f.stem}": (f.parent.name, f.read_bytes()) for f in FILES} | LARGE


@pytest.mark.parametrize("name", ALL)
def test_each_has_its_outcome_and_costs_no_neighbour(name: str) -> None:
    outcome, value = ALL[name]
    found = profiled([TEXT, value, TEXT, TEXT])
    usable = sum(one.events for one in found.counted.values())
    assert usable == 3 + (outcome == "kept")
    assert found.reasons == ([] if outcome in ("kept", "unregistered") else [outcome])
    assert sum(found.unregistered.values()) == (outcome == "unregistered")
    good = found.counted["m", "1.0.0", "all", START_MS]
    assert min(good.cells["score"]) >= 0
    assert good.events >= 3


@pytest.mark.parametrize("batch", [1, 7, 1_000])
def test_a_stream_full_of_them_is_read_to_its_end_and_every_good_event_is_counted(
    batch: int,
) -> None:
    mixed: list[Any] = [value for _, value in ALL.values() if len(value) < 2 * MIB] * 3
    mixed += encode([event(START_MS + i) for i in range(500)])
    random.Random(5).shuffle(mixed)
    log = logged(mixed, partitions=3)
    profile(log, limit=batch, commit_after=97)
    judge(log)
    committed = [log.committed("profiler", Partition("leeway.predictions", p)) for p in range(3)]
    assert sum(committed) == len(mixed)
    small_ones = [outcome for outcome, value in ALL.values() if len(value) < 2 * MIB]
    kept = small_ones.count("kept")
    strangers = small_ones.count("unregistered")
    dead = log.read("leeway.dead-letters")
    assert len(dead) == 3 * (len(small_ones) - kept - strangers)
    judged = [r["window"]["events"] for r in of_inputs(log) if r["segment"] == "all"]
    assert sum(judged) == 500 + 3 * kept


# ---- dead letters


HEADERS = (("trace", b"\xff\x00"), ("trace", b"twice"), ("leeway.reason", b"of another time"))


def test_a_dead_letter_is_the_record_byte_for_byte_and_says_where_it_came_from() -> None:
    values: list[bytes | None] = [TEXT, b"\xff\xfe{", None]
    found = profiled(
        values, key=b"\x00key", headers=HEADERS, partitions=[0, 2, 1], timestamps_ms=[START_MS] * 3
    )
    for letter, value, partition, offset in zip(
        found.dead, values[1:], ("2", "1"), ("1", "2"), strict=True
    ):
        assert (letter.topic, letter.key, letter.value) == (
            "leeway.dead-letters",
            b"\x00key",
            value,
        )
        assert letter.headers[:3] == HEADERS
        about = {name: text.decode() for name, text in letter.headers[3:]}
        reason = "empty" if value is None else "not_json"
        assert about == {
            "__dlq.errors.topic": "leeway.predictions",
            "__dlq.errors.partition": partition,
            "__dlq.errors.offset": offset,
            "__dlq.errors.group": "profiler",
            "__dlq.errors.delivery.count": "1",
            "__dlq.errors.message": reason,
            "__dlq.errors.exception": "InvalidEvent",
            "__dlq.errors.stage": "decode",
            "leeway.reason": reason,
        }


@pytest.mark.parametrize("name", sorted(n for n, (outcome, _) in ALL.items() if outcome != "kept"))
def test_a_dead_letters_message_is_short_and_holds_no_values(name: str) -> None:
    _, value = ALL[name]
    for letter in profiled([value]).dead:
        message = dict(letter.headers)["__dlq.errors.message"]
        assert len(message) <= MAX_EXPLANATION
        assert not any(word in message for word in (b"rent", b"yes", b"1772409600", b"../", b"0.5"))


@pytest.mark.parametrize(
    ("size", "cut"), [(2 * MIB - 65_537, False), (2 * MIB - 65_536, True), (10_000_000, True)]
)
def test_what_is_too_large_for_a_dead_letter_is_cut_and_says_so(size: int, cut: bool) -> None:
    value = random.Random(1).randbytes(size)
    (letter,) = profiled([value], key=b"k").dead
    about = dict(letter.headers)
    assert letter.value == (value[:KEPT_BYTES] if cut else value)
    assert about.get("leeway.truncated") == (b"true" if cut else None)
    assert about.get("leeway.size") == (str(size).encode() if cut else None)
    assert about["leeway.reason"] == b"too_large"


def test_a_dead_letter_fits_its_topic_whatever_its_key_and_headers() -> None:
    headers = (("h", b"x" * 900_000),)
    (letter,) = profiled([b"\0" * 1_500_000], key=b"k" * 100_000, headers=headers).dead
    held = len(letter.key or b"") + len(letter.value or b"")
    assert held + sum(len(n) + len(v) for n, v in letter.headers) <= 2 * MIB


# ---- too many of them


def polluted(share: float, slots: range, *, of: int = 400, total: int = 10) -> list[Any]:
    """Events of `total` times five minutes, `of` in each; in `slots` such a share of them is garbage."""
    records: list[Any] = []
    for slot in range(total):
        bad = round(share * of) if slot in slots else 0
        step = SLOT_MS // of
        for i in range(of):
            garbage = of // 4 < i <= of // 4 + bad
            records.append(b"\xff" if garbage else event(START_MS + slot * SLOT_MS + i * step))
    return records


def of_inputs(log: MemoryLog) -> list[dict[str, Any]]:
    """The results of scope `inputs`."""
    return [result for result in documents(log, "results") if result["scope"] == "inputs"]


def pipeline_alerts(log: MemoryLog) -> list[tuple[str, str]]:
    """Transitions of pipeline episodes, and when."""
    return [
        (alert["change"], alert["at"])
        for alert in documents(log, "alerts")
        if alert["kind"] == "pipeline"
    ]


@pytest.mark.parametrize("partitions", [1, 3])
def test_too_many_bad_events_raise_one_alert_that_resolves_when_they_are_gone(
    partitions: int,
) -> None:
    log = logged(polluted(0.05, range(2, 5)), partitions=partitions)
    profile(log)
    judge(log)
    assert pipeline_alerts(log) == [
        ("opened", "2026-03-02T00:15:00.000Z"),
        ("resolved", "2026-03-02T00:40:00.000Z"),
    ]


@pytest.mark.parametrize(
    ("share", "of", "raised"), [(0.01, 400, False), (0.0125, 400, True), (0.05, 80, False)]
)
def test_it_takes_more_than_one_percent_of_at_least_a_hundred(
    share: float, of: int, raised: bool
) -> None:
    log = logged(polluted(share, range(2, 3), of=of))
    profile(log)
    judge(log)
    assert bool(pipeline_alerts(log)) == raised


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_topic_of_nothing_but_garbage_raises_the_alert_too(partitions: int) -> None:
    stamps = [START_MS + i * 1_000 for i in range(2_000)]
    log = logged([b"\xff"] * 2_000, partitions=partitions, timestamps_ms=stamps)
    profile(log, limit=100, commit_after=100)
    judge(log)
    (opened,) = pipeline_alerts(log)
    assert opened == ("opened", "2026-03-02T00:05:00.000Z")
    (alert,) = documents(log, "alerts")
    assert alert["verdict"] == "severe"
    assert "not_json" in alert["summary"]


def test_strangers_are_no_garbage() -> None:
    strangers: list[Any] = [event(START_MS + i * 500, model_id="stranger") for i in range(2_000)]
    log = logged(strangers + [event(START_MS + i * 500) for i in range(200)])
    profile(log)
    judge(log)
    assert pipeline_alerts(log) == []


def test_a_partition_of_nothing_but_garbage_does_not_hold_the_windows_of_the_others_up() -> None:
    of = lifecycle(monitoring={"window": {"size": "5m"}})
    built = reference(of, stream(2_000))
    good = [event(START_MS + i * 1_000) for i in range(1_000)]
    mixed: list[Any] = [
        v for e in good for v in (e, b"\xff")
    ]  # by turns: partition 1 is all garbage
    log = logged(mixed, (of, built), partitions=2)
    profile(log)
    judge(log)
    windows = [r["window"]["events"] for r in of_inputs(log)]
    assert windows == [300, 300, 300, 100]


def test_a_partition_that_never_stops_bringing_garbage_is_taken_for_silent() -> None:
    log = logged([], partitions=2)
    clock = itertools.count(0.0, 30.0)  # seconds; it is read a few times per turn
    turns = iter(range(40))

    def stop() -> bool:
        turn = next(turns, None)
        if turn is not None:
            log.append("leeway.predictions", encode([event(START_MS + turn)])[0], partition=0)
            log.append("leeway.predictions", b"\xff", partition=1)
        return turn is None

    stage = Profiler(NAMES, 2, log.partition_count)
    run(
        MemoryBroker(log, "profiler"),
        stage,
        topics=["leeway.predictions"],
        followed=[NAMES("models")],
        stop=stop,
        clock=lambda: next(clock),
    )
    source = SourceProgress()
    for record in log.read(NAMES("profiles")):
        found = decode_profile(record.value or b"")
        if isinstance(found, Progress):
            source.add(found)
    assert source.idle_ms[0] == 0
    assert source.watermark_ms(0, 300_000) == START_MS + 39


def test_ten_thousand_new_categories_open_one_episode_and_no_series() -> None:
    of = lifecycle(monitoring={"window": {"size": "1h"}})
    built = reference(of)
    events = [
        e | {"features": {"income": 0.1, "home": f"new {i}"}}
        for i, e in enumerate(stream(10_000, step_ms=1_440))
    ]
    log = logged(events, (of, built))
    profile(log)
    judge(log)
    assert [a["change"] for a in documents(log, "alerts")][:1] == ["opened"]
    sizes = {len(r["series"]) for r in of_inputs(log)}
    assert max(sizes) <= len(built.series) + 4


def test_the_small_events_are_what_they_are_called() -> None:
    assert len(FILES) > 30
    assert small().model_id == "m"
