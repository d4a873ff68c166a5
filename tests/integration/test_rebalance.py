"""Does an event count once when profilers come and go while events flow?"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from detectors.reference.build import to_document
from streams.broker import Record
from streams.local_kafka import AnyBroker
from streams.loop import drain
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import Summary, decode_profile, unpack_cells
from streams.profiling.profiler import Profiler
from streams.registry import lifecycle_record, reference_record
from streams.topics import Names
from tests.integration import watched
from tests.integration.running import Deployment, Roles, producing
from tests.until import until

pytestmark = pytest.mark.kafka

PATIENCE = timedelta(seconds=60)
Place = tuple[str, str, str, int]  # model, version, segment, pane


def test_a_profiler_that_joins_and_leaves_counts_no_event_twice_and_loses_none(
    kafka: AnyBroker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    place = Deployment(kafka, unique("joins"), tmp_path, partitions=2, sources=4)
    place.register(watched.lifecycles(), watched.references())
    first, second = place.children(profiler=2)
    stream, wanted = watched.shuffled(watched.arrivals(), seed=3), _counted(_by_one_profiler())
    everything, found = sum(int(cells[0]) for cells in wanted.values()), list[Record]()
    with (
        Roles([first]) as staying,
        place.tail("profiles") as tail,
        producing(place, stream, seed=3) as hurry,
    ):

        def counted() -> int:
            """How many events are in committed summaries so far."""
            found.extend(tail.read())
            return sum(one.events for one in _summaries(found))

        until(partial(place.shared, "profiler", 1, 8), PATIENCE)
        with Roles([second]):
            until(partial(place.shared, "profiler", 2, 8), PATIENCE)
            shared_at = counted()
            until(lambda: counted() > shared_at + 1_000, PATIENCE)
        until(partial(place.shared, "profiler", 1, 8), PATIENCE)
        left_at = counted()
        assert left_at < everything, "events flowed all the time"
        hurry.set()
        until(lambda: counted() >= everything, PATIENCE, lambda: f"{counted()} of {everything}")
        assert staying.gave_up is None
    counts = _counted(place.read("profiles")["profiles"])
    assert counts.keys() == wanted.keys()
    for pane, cells in wanted.items():
        assert counts[pane].tolist() == cells.tolist(), pane


def _counted(records: Sequence[Record]) -> dict[Place, np.ndarray]:
    """Cells per place, with the events in front."""
    found: dict[Place, np.ndarray] = {}
    for one in _summaries(records):
        key = one.model_id, one.model_version, one.segment, one.pane_start_ms
        counts = np.concatenate([[one.events], unpack_cells(one.cells)])
        found[key] = found[key] + counts if key in found else counts
    return dict(sorted(found.items()))


def _summaries(records: Sequence[Record]) -> Iterator[Summary]:
    for record in records:
        if record.value is not None and isinstance(one := decode_profile(record.value), Summary):
            yield one


def _by_one_profiler() -> list[Record]:
    """What a profiler that nothing happens to makes of the same events."""
    names, log = Names(), MemoryLog()
    for topic, partitions in (("predictions", 1), ("features", 1), ("models", 1), ("profiles", 1)):
        log.create(names(topic), partitions)
    for one in watched.lifecycles():
        reference = watched.references()[one.model_id]
        for record in (
            lifecycle_record(names, one),
            reference_record(names, one.model_id, reference.reference_id, to_document(reference)),
        ):
            log.append(record.topic, record.value, record.key)
    log.create(names("dead-letters"), 1)
    for arrival in watched.arrivals():
        log.append(names(arrival.kind), arrival.value)
    drain(
        MemoryBroker(log, "profiler"),
        Profiler(names, 1, log.partition_count),
        topics=[names("predictions"), names("features")],
        followed=[names("models")],
    )
    return log.read(names("profiles"))
