"""After nothing came from anywhere, is what is read a little later left out for its old silence?"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.judging.scopes import Complete, complete
from streams.judging.waking import Readers, Waking
from streams.judging.watermarks import SourceProgress
from streams.loop import FOREVER_MS
from streams.messages import Progress, Report

LATENESS_MS, IDLE_MS = 60_000, 300_000
BOTH = Readers(("predictions", "features"), IDLE_MS)
ONE = Readers(("predictions",), IDLE_MS)
SILENT = {"predictions": [(0, 1_000_000, IDLE_MS)], "features": [(0, 1_000_000, 2 * IDLE_MS)]}


class Sources:
    """What is known of two topics, as a judge adds it up."""

    def __init__(self, *readers: Readers, partitions: int = 1) -> None:
        self.readers, self.partitions = readers or (BOTH,), partitions
        self.waking = Waking()
        self.known: dict[str, SourceProgress] = {}

    def hear(self, topic: str, *reports: tuple[int, int | None, int]) -> bool:
        """A profiler reports: partition, highest event time, silence."""
        found = Progress(
            topic, self.partitions, [Report(n, ms, 0, idle) for n, ms, idle in reports]
        )
        changed = self.waking.hear(self.readers, self.known, found)
        self.known.setdefault(topic, SourceProgress()).add(found)
        return changed

    def complete(self, readers: Readers = BOTH) -> Complete | None:
        return complete(self.known, readers, self.waking, LATENESS_MS)

    def until_ms(self, readers: Readers = BOTH) -> int | None:
        found = self.complete(readers)
        return found.until_ms if found is not None else None


def asleep(*readers: Readers) -> Sources:
    """Two topics that have been silent for a while."""
    found = Sources(*readers)
    for topic, reports in SILENT.items():
        found.hear(topic, *reports)
    assert found.complete() == Complete(None, 1_000_000, IDLE_MS)
    return found


def test_a_topic_that_wakes_does_not_run_ahead_of_one_that_is_read_a_little_later() -> None:
    of = asleep()
    of.hear("predictions", (0, 9_000_000, 0))
    assert of.until_ms() == 1_000_000 - LATENESS_MS
    of.hear("features", (0, 5_000_000, 0))
    assert of.until_ms() == 5_000_000 - LATENESS_MS


def test_nor_does_a_partition_of_the_same_topic() -> None:
    of = Sources(ONE, partitions=2)
    of.hear("predictions", (0, 1_000_000, IDLE_MS), (1, None, IDLE_MS))
    of.hear("predictions", (1, 9_000_000, 0))
    assert of.until_ms(ONE) == 1_000_000 - LATENESS_MS


def test_one_that_stays_silent_is_left_out_when_that_was_told_twice_more() -> None:
    of = asleep()
    of.hear("predictions", (0, 9_000_000, 0))
    of.hear("features", (0, 1_000_000, 3 * IDLE_MS))  # since before or after it? nobody knows
    assert of.until_ms() == 1_000_000 - LATENESS_MS
    of.hear("features", (0, 1_000_000, 4 * IDLE_MS))
    assert of.until_ms() == 9_000_000 - LATENESS_MS


def test_one_that_never_held_an_event_is_waited_for_just_so() -> None:
    of = Sources()
    of.hear("predictions", (0, 1_000_000, IDLE_MS))
    of.hear("features", (0, None, IDLE_MS))
    of.hear("predictions", (0, 9_000_000, 0))
    assert of.complete() is None
    of.hear("features", (0, None, 3 * IDLE_MS))
    assert of.until_ms() == 9_000_000 - LATENESS_MS


def test_one_of_which_nothing_comes_any_more_is_not_waited_for() -> None:
    of = Sources()
    of.hear("predictions", (0, 1_000_000, IDLE_MS))
    of.hear("features", (0, 1_000_000, FOREVER_MS))
    of.hear("predictions", (0, 9_000_000, 0))
    assert of.until_ms() == 9_000_000 - LATENESS_MS


def test_where_all_fall_silent_again_nobody_is_waited_for() -> None:
    of = asleep()
    of.hear("predictions", (0, 9_000_000, 0))
    of.hear("predictions", (0, 9_000_000, IDLE_MS))
    assert of.complete() == Complete(None, 9_000_000, IDLE_MS)


def test_one_that_woke_too_is_left_out_after_idle_as_ever() -> None:
    of = asleep()
    of.hear("predictions", (0, 9_000_000, 0))
    of.hear("features", (0, 5_000_000, 0))
    of.hear("features", (0, 5_000_000, IDLE_MS))
    assert of.until_ms() == 9_000_000 - LATENESS_MS


def test_while_somebody_is_awake_an_old_silence_is_as_good_as_ever() -> None:
    of = Sources(partitions=2)
    of.hear("predictions", (0, 1_000_000, 0), (1, 900_000, IDLE_MS))
    of.hear("features", (0, None, IDLE_MS), (1, None, IDLE_MS))
    of.hear("predictions", (1, 1_100_000, 0))
    assert of.until_ms() == 1_000_000 - LATENESS_MS


def test_models_that_read_other_topics_do_not_wait() -> None:
    of = asleep(BOTH, ONE)
    assert of.hear("predictions", (0, 9_000_000, 0))
    assert of.until_ms(ONE) == 9_000_000 - LATENESS_MS
    assert of.until_ms(BOTH) == 1_000_000 - LATENESS_MS


def test_it_is_said_once_that_something_woke() -> None:
    of = asleep()
    assert not of.hear("features", (0, 1_000_000, 3 * IDLE_MS))
    assert of.hear("predictions", (0, 9_000_000, 0))
    assert not of.hear("predictions", (0, 9_100_000, 0))
    assert of.hear("features", (0, 9_000_000, 0))


@pytest.mark.parametrize("readers", [(BOTH,), (BOTH, ONE), (ONE,)])
@given(
    reports=st.lists(
        st.tuples(
            st.sampled_from(BOTH.topics),
            st.integers(0, 2),
            st.none() | st.integers(0, 10**13),
            st.integers(0, 5).map(lambda n: n * IDLE_MS) | st.just(FOREVER_MS),
        ),
        max_size=20,
    )
)
def test_what_is_kept_is_all_there_is_to_know(
    readers: tuple[Readers, ...], reports: list[tuple[str, int, int | None, int]]
) -> None:
    kept = "[]"
    whole, restarted = Sources(*readers, partitions=3), Sources(*readers, partitions=3)
    for topic, number, highest_ms, idle_ms in reports:
        whole.hear(topic, (number, highest_ms, idle_ms))
        if restarted.hear(topic, (number, highest_ms, idle_ms)):
            kept = json.dumps(restarted.waking.to_data())
        restarted.waking = Waking.from_data(json.loads(kept))
        for one in readers:
            assert restarted.complete(one) == whole.complete(one)
    assert restarted.waking.to_data() == whole.waking.to_data()
