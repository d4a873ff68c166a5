"""Does the profiler, as a stage, count each event once and say exactly how far it read?"""

import gc
from collections import Counter
from typing import Any

import pytest

from detectors.reference.build import Reference, build
from streams.broker import Partition, Work
from streams.lifecycle import Lifecycle
from streams.loop import FOREVER_MS
from streams.messages import SLOT_MS, Intake, Progress, Report, Summary, decode_profile
from streams.profiling.columns import columns
from streams.profiling.profiler import MAX_UNREGISTERED, OTHER, Profiler
from streams.registry import lifecycle_record
from tests.builders import (
    HOUR_MS,
    MINUTE_MS,
    NAMES,
    START_MS,
    Profiled,
    batch,
    encode,
    event,
    lifecycle,
    profiler,
    registered,
    small,
    stream,
)

TOPIC = "leeway.predictions"
P0, P1 = Partition(TOPIC, 0), Partition(TOPIC, 1)


def one(*, partitions: int = 1) -> Profiler:
    """A profiler of one model that owns these partitions of its topic."""
    found = profiler((lifecycle(), small()), partitions=partitions)
    for number in range(partitions):
        found.gained(Partition(TOPIC, number), iter(()))
    return found


def reports(work: Work) -> dict[int, Report]:
    """What is said about the partitions of the topic, by number; every judge hears the same."""
    heard: dict[int | None, list[Progress]] = {}
    for record in work.records:
        if record.topic == NAMES("profiles"):
            found = decode_profile(record.value or b"")
            if isinstance(found, Progress):
                heard.setdefault(record.partition, []).append(found)
    assert len({str(of) for of in heard.values()}) <= 1
    return {r.partition: r for of in list(heard.values())[:1] for p in of for r in p.reports}


def summaries(work: Work) -> list[Summary]:
    """The summaries of a flush."""
    found = [decode_profile(r.value or b"") for r in work.records if r.topic == NAMES("profiles")]
    return [record for record in found if isinstance(record, Summary)]


def total(work: Work) -> int:
    """How many events they hold."""
    return sum(summary.events for summary in summaries(work))


def test_a_flush_carries_the_next_offset_of_every_partition_it_read() -> None:
    stage = one(partitions=3)
    stage.step(batch(encode(stream(4)), partitions=[0, 2, 0, 2], first_offset=70))
    stage.step(batch([b"{", None], partitions=[2, 2], first_offset=90))
    assert stage.flush().offsets == {P0: 73, Partition(TOPIC, 2): 92}
    assert stage.flush().offsets == {}


def test_offsets_pass_over_what_transactions_left_in_the_log() -> None:
    stage = one()
    one_batch = batch(encode(stream(2)))
    one_batch.offsets[1] = 9  # type: ignore[index]
    stage.step(one_batch)
    assert stage.flush().offsets == {P0: 10}


def test_a_flush_without_news_holds_nothing() -> None:
    stage = one()
    stage.flush()
    assert stage.flush() == Work()


def test_a_new_owner_says_that_nothing_is_known_before_it_read_anything() -> None:
    assert reports(one(partitions=2).flush()) == {
        0: Report(0, None, 0, 0),
        1: Report(1, None, 0, 0),
    }


def test_progress_is_the_highest_time_and_the_next_offset_of_each_partition() -> None:
    stage = one(partitions=2)
    events = [event(START_MS + ms) for ms in (5, 9, 2, 7)]
    stage.step(batch(encode(events), partitions=[0, 0, 1, 0]))
    assert reports(stage.flush()) == {
        0: Report(0, START_MS + 9, 4, 0),
        1: Report(1, START_MS + 2, 3, 0),
    }
    stage.step(batch(encode([event(START_MS + 3)]), first_offset=4))
    assert reports(stage.flush()) == {0: Report(0, START_MS + 9, 5, 0)}


def test_what_is_unreadable_moves_the_offset_and_not_the_time() -> None:
    stage = one()
    stage.step(batch([*encode([event()]), b"{", b'{"model_id": "stranger"}']))
    assert reports(stage.flush()) == {0: Report(0, START_MS, 3, 0)}


def test_broadcasts_go_to_every_judge_and_summaries_to_that_of_their_model() -> None:
    stage = one(partitions=3)
    stage.step(batch(encode([event()])))
    work = stage.flush()
    kinds = [(dict(r.headers)["leeway.kind"], r.partition, r.key) for r in work.records]
    assert kinds[0] == (b"summary", None, b"m")
    assert kinds[1:] == [(k, p, None) for k in (b"intake", b"progress") for p in range(3)]


# ---- silence


def test_silence_is_told_when_it_crosses_the_limit_and_only_then() -> None:
    stage = one()
    stage.flush()
    told = []
    for silent_ms in (1_000, 299_999, 300_000, 301_000, FOREVER_MS):
        stage.idle({P0: silent_ms})
        told.append(reports(stage.flush()).get(0))
    assert told == [
        None,
        None,
        Report(0, None, 0, 300_000),
        None,
        Report(0, None, 0, FOREVER_MS),  # a multiple: that time passes is told as well
    ]


def test_every_limit_of_the_models_on_a_topic_is_told() -> None:
    patient = lifecycle(model_id="n", monitoring={"window": {"idle": "10m"}})
    stage = profiler((lifecycle(), small()), (patient, None))
    stage.gained(P0, iter(()))
    stage.flush()
    told = []
    for minutes in (1, 5, 7, 10, 12):
        stage.idle({P0: minutes * MINUTE_MS})
        told += [report.idle_ms // MINUTE_MS for report in reports(stage.flush()).values()]
    assert told == [5, 10]


def test_an_event_ends_the_silence() -> None:
    stage = one()
    stage.idle({P0: FOREVER_MS})
    assert reports(stage.flush())[0].idle_ms == FOREVER_MS
    stage.step(batch(encode([event()])))
    assert reports(stage.flush())[0].idle_ms == 0


def test_only_what_is_usable_ends_it() -> None:
    stage = one()
    stage.idle({P0: FOREVER_MS})
    stage.flush()
    stage.step(batch([b"{", b'{"model_id": "stranger"}']))
    assert not stage.heard()
    assert reports(stage.flush())[0] == Report(0, None, 2, FOREVER_MS)


def test_who_brought_something_usable_is_asked_once() -> None:
    stage = one(partitions=2)
    stage.step(batch([*encode([event()]), b"{"], partitions=[0, 1]))
    assert list(stage.heard()) == [P0]
    assert not stage.heard()


def test_the_silence_of_others_partitions_means_nothing() -> None:
    stage = one()
    stage.flush()
    stage.idle({P1: FOREVER_MS})
    assert stage.flush() == Work()


# ---- crashes and rebalances


def test_what_was_forgotten_is_counted_again_exactly() -> None:
    values = [*encode(stream(500)), b"{", b'{"model_id": "stranger"}']
    once, again = one(), one()
    once.step(batch(values))
    again.step(batch(values[:300]))
    again.forget()
    again.gained(P0, iter(()))
    again.step(batch(values))
    assert again.flush() == once.flush()


def test_after_forgetting_nothing_of_the_aborted_flush_is_left() -> None:
    stage = one()
    stage.step(batch(encode(stream(500))))
    stage.flush()
    stage.step(batch([b"{"]))
    stage.forget()
    work = stage.flush()
    assert work.offsets == {}
    assert summaries(work) == []
    assert reports(work) == {0: Report(0, None, 0, 0)}


def test_a_partition_that_left_is_reported_no_more() -> None:
    stage = one(partitions=2)
    stage.step(batch(encode(stream(2)), partitions=[0, 1]))
    stage.flush()
    stage.dropped(P1)
    stage.idle({P0: FOREVER_MS, P1: FOREVER_MS})
    assert list(reports(stage.flush())) == [0]


def test_unreadable_records_stand_beside_the_event_before_them_however_they_are_split() -> None:
    times = [0, 4 * MINUTE_MS, 6 * MINUTE_MS, 2 * MINUTE_MS, 11 * MINUTE_MS]
    values = [v for ms in times for v in (*encode([event(START_MS + ms)]), b"{")]
    for cut in range(len(values)):
        stage, found = one(), Profiled()
        stage.step(batch(values[:cut]))
        stage.step(batch(values[cut:], first_offset=cut))
        found.add(stage.flush(), small())
        starts = [START_MS, START_MS + SLOT_MS, START_MS + 2 * SLOT_MS]
        expected = {(0, start, "not_json"): n for start, n in zip(starts, (2, 2, 1), strict=True)}
        assert found.unread == expected


def test_only_so_many_strangers_are_named() -> None:
    values = [b'{"model_id": "s%d"}' % i for i in range(MAX_UNREGISTERED + 50)]
    stage, found = one(), Profiled()
    stage.step(batch(values))
    found.add(stage.flush(), small())
    assert len(found.unregistered) == MAX_UNREGISTERED + 1
    assert found.unregistered[OTHER] == 50


# ---- memory


def sizes(stage: Profiler) -> dict[str, int]:
    """How much everything holds that can grow."""
    sheet = next(iter(stage._sheets.values()))
    return {
        "groups": len(sheet.groups),
        "outcomes": bool(sheet.outcomes),
        "retired": len(stage._retired),
        "slots": len(stage.reach.slots),
        "unread": len(stage.reach.unread),
        "dead": len(stage._dead),
        "offsets": len(stage.reach.offsets),
        "sources": len(stage.reach.sources),
        "sheets": len(stage._sheets),
        "topics": len(stage._topics),
    }


def test_nothing_that_was_counted_is_left_after_a_flush() -> None:
    stage = one()
    stage.flush()
    fresh = sizes(stage)
    for minute in range(50):
        events = [
            event(START_MS + minute * MINUTE_MS + i, features={"home": f"{minute}.{i}"})
            for i in range(20)
        ]
        stage.step(batch([*encode(events), b"{", b'{"model_id": "s%d"}' % minute]))
        stage.flush()
        stage.heard()
    assert sizes(stage) == fresh
    assert len(stage.seen.fields) + len(stage.seen.skipped) + len(stage.seen.events) < 10


def test_memory_does_not_grow_with_the_number_of_events() -> None:
    stage = one()
    values = encode(stream(1_000, step_ms=10))

    def objects_after(flushes: int) -> int:
        for _ in range(flushes):
            stage.step(batch(values))
            stage.flush()
        gc.collect()
        return len(gc.get_objects())

    before = objects_after(3)
    assert objects_after(20) - before < 100


def test_ten_thousand_new_categories_are_one_cell() -> None:
    stage, found = one(), Profiled()
    stage.step(
        batch(encode(event(START_MS + i, features={"home": f"new {i}"}) for i in range(10_000)))
    )
    found.add(stage.flush(), small())
    assert found.only.cells["feature:home"][-2:] == [10_000, 0]


# ---- what is registered changes while it runs


def other_reference(of: Lifecycle) -> Reference:
    """A reference with other edges."""
    read = columns(of, encode(stream(2_000, seed=7, shift=1.0)))
    built, _ = build(
        read.columns,
        read.times_ms,
        reference_id="r2",
        model_id="m",
        model_version="1.0.0",
        source="s",
        window_ms=HOUR_MS,
    )
    return built


def test_counts_stay_under_the_reference_they_were_binned_with() -> None:
    stage, newer = one(), other_reference(lifecycle())
    stage.step(batch(encode(stream(300))))
    stage.follow(registered(lifecycle(), newer))
    stage.step(batch(encode(stream(200)), first_offset=300))
    work = stage.flush()
    found: Counter[str] = Counter()
    for summary in summaries(work):
        found[summary.reference_digest] += summary.events
    assert found == {small().digest: 300, newer.digest: 200}
    assert total(work) == 500
    assert work.offsets == {P0: 500}


def test_what_a_former_lifecycle_counted_is_given_out_even_if_nothing_comes_after_it() -> None:
    stage = one()
    stage.step(batch(encode(stream(300))))
    (deleted,) = [r._replace(value=None) for r in registered(lifecycle())]
    stage.follow([deleted])
    assert stage.topics == ()
    assert total(stage.flush()) == 300


def test_forgetting_forgets_what_a_former_reference_counted() -> None:
    stage = one()
    stage.step(batch(encode(stream(300))))
    stage.follow(registered(lifecycle(), other_reference(lifecycle())))
    stage.step(batch(encode(stream(10))))
    stage.forget()
    assert summaries(stage.flush()) == []


def test_a_model_without_a_reference_is_counted_without_cells() -> None:
    stage = profiler((lifecycle(), None))
    stage.step(batch(encode(stream(30, step_ms=1))))
    (summary,) = summaries(stage.flush())
    assert (summary.events, summary.cells, summary.reference_digest) == (30, b"", "")


@pytest.mark.parametrize(
    "value", [b"{", b"{}", b'{"lifecycle": {"model_id": 7}}', b'{"lifecycle": {"format": 99}}']
)
def test_a_registration_that_cannot_be_read_leaves_the_former_one_in_place(value: bytes) -> None:
    stage = one()
    (record,) = registered(lifecycle())
    stage.follow(
        [record._replace(value=value), record._replace(key=b"reference|m|r1", value=value)]
    )
    assert stage._registry.unreadable == 2
    stage.step(batch(encode(stream(30, step_ms=1))))
    (summary,) = summaries(stage.flush())
    assert summary.reference_digest == small().digest


def test_registering_the_same_twice_changes_no_count() -> None:
    stage = one()
    stage.step(batch(encode(stream(300, step_ms=1))))
    stage.follow(registered(lifecycle(), small()))
    stage.step(batch(encode(stream(300, step_ms=1)), first_offset=300))
    assert total(stage.flush()) == 600


def test_records_of_a_topic_that_nobody_reads_any_more_only_move_its_offset() -> None:
    stage = one()
    stage.step(batch(encode(stream(3)), topic="elsewhere"))
    work = stage.flush()
    assert work.offsets == {Partition("elsewhere", 0): 3}
    assert not work.records or set(reports(work)) == {0}


def test_the_written_lifecycle_is_the_one_that_is_read() -> None:
    record = lifecycle_record(NAMES, lifecycle())
    assert record.key == b"lifecycle|m"
    assert record.partition == 0


def test_events_are_counted_once_per_slot_of_five_minutes() -> None:
    stage = one()
    events: list[Any] = [event(START_MS + ms) for ms in (0, SLOT_MS - 1, SLOT_MS, 3 * SLOT_MS, 1)]
    stage.step(batch(encode(events)))
    intakes = [decode_profile(r.value or b"") for r in stage.flush().records]
    (intake,) = [i for i in intakes if isinstance(i, Intake)]
    assert intake.events == {START_MS: 3, START_MS + SLOT_MS: 1, START_MS + 3 * SLOT_MS: 1}
