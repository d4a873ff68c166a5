"""Up to which event time is a source complete? A slow partition is not an idle one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.judging.watermarks import SourceProgress
from streams.messages import Progress, Report

LATENESS_MS, IDLE_MS = 60_000, 300_000


def source(*reports: tuple[int, int | None, int], partitions: int = 2) -> SourceProgress:
    """A source of which so much was reported: partition, highest event time, silence."""
    found = SourceProgress()
    for number, highest_ms, idle_ms in reports:
        found.add(Progress("t", partitions, [Report(number, highest_ms, 0, idle_ms)]))
    return found


def watermark(*reports: tuple[int, int | None, int], partitions: int = 2) -> int | None:
    """Its watermark."""
    return source(*reports, partitions=partitions).watermark_ms(LATENESS_MS, IDLE_MS)


def test_it_is_that_of_the_slowest_partition_less_the_lateness() -> None:
    assert watermark((0, 1_000_000, 0), (1, 500_000, 0)) == 440_000


def test_it_is_unknown_while_a_partition_was_never_heard_of() -> None:
    assert watermark((0, 1_000_000, 0)) is None
    assert watermark() is None


def test_it_is_unknown_while_an_awake_partition_held_nothing_usable() -> None:
    assert watermark((0, 1_000_000, 0), (1, None, 0)) is None


def test_a_partition_silent_at_its_end_for_long_enough_is_left_out() -> None:
    assert watermark((0, 1_000_000, 0), (1, 500_000, IDLE_MS)) == 940_000
    assert watermark((0, 1_000_000, 0), (1, None, IDLE_MS)) == 940_000


def test_a_partition_silent_for_a_little_less_still_counts() -> None:
    assert watermark((0, 1_000_000, 0), (1, 500_000, IDLE_MS - 1)) == 440_000


def test_a_partition_that_speaks_again_counts_again() -> None:
    assert watermark((0, 1_000_000, 0), (1, 500_000, IDLE_MS), (1, 500_000, 0)) == 440_000


def test_the_highest_time_never_falls_not_even_for_a_new_reader() -> None:
    assert watermark((0, 1_000_000, 0), (1, 900_000, 0), (1, None, 0)) == 840_000
    assert watermark((0, 1_000_000, 0), (1, 900_000, 0), (1, 100_000, 0)) == 840_000


def test_it_is_unknown_where_all_partitions_are_silent() -> None:
    found = source((0, 1_000_000, IDLE_MS), (1, None, IDLE_MS))
    assert found.watermark_ms(LATENESS_MS, IDLE_MS) is None
    assert found.silent(IDLE_MS)


@pytest.mark.parametrize("reports", [[], [(0, 5, IDLE_MS)], [(0, 5, IDLE_MS), (1, 5, 0)]])
def test_a_source_is_silent_only_if_every_partition_is_known_to_be(
    reports: list[tuple[int, int, int]],
) -> None:
    assert not source(*reports).silent(IDLE_MS)


REPORTS = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(0, 10**13), st.integers(0, 10**6)),
    max_size=12,
)


@given(REPORTS)
def test_what_is_kept_is_all_there_is_to_know(reports: list[tuple[int, int | None, int]]) -> None:
    found = source(*reports, partitions=4)
    kept = SourceProgress.from_data(json.loads(json.dumps(found.to_data())))
    assert (kept.watermark_ms(1, IDLE_MS), kept.silent(IDLE_MS)) == (
        found.watermark_ms(1, IDLE_MS),
        found.silent(IDLE_MS),
    )
    assert kept.to_data() == found.to_data()


@given(REPORTS, REPORTS)
def test_it_does_not_matter_which_profiler_is_heard_first(
    a: list[tuple[int, int | None, int]], b: list[tuple[int, int | None, int]]
) -> None:
    mine = [(n % 2, ms, idle) for n, ms, idle in a]  # each has partitions of its own
    theirs = [(n % 2 + 2, ms, idle) for n, ms, idle in b]
    assert (
        source(*mine, *theirs, partitions=4).to_data()
        == source(*theirs, *mine, partitions=4).to_data()
    )
