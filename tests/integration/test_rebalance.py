"""Does an event count once when profilers come and go while events flow?"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from detectors.reference import to_document
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
    stream = watched.shuffled(watched.arrivals(), seed=3)
    group = place.names.prefix + "profiler"
    with Roles([first]) as staying, producing(place, stream, seed=3):
        until(partial(_shared_by, place, group, 1), PATIENCE)
        with Roles([second]):
            until(partial(_shared_by, place, group, 2), PATIENCE)
            _until_more_is_counted(place)
        until(partial(_shared_by, place, group, 1), PATIENCE)
        _until_more_is_counted(place)
    with Roles([first]):  # what is left, in one go, by one that was stopped and started
        wanted = _counted(_by_one_profiler())
        until(
            lambda: _events(_counted(place.read("profiles")["profiles"])) >= _events(wanted),
            PATIENCE,
        )
    found = _counted(place.read("profiles")["profiles"])
    assert staying.gave_up is None
    assert found.keys() == wanted.keys()
    for pane, cells in wanted.items():
        assert found[pane].tolist() == cells.tolist(), pane


def _shared_by(place: Deployment, group: str, members: int) -> bool:
    """Whether so many have all partitions among them, each at least one."""
    admin = AdminClient({"bootstrap.servers": place.service.brokers})
    try:
        described = admin.describe_consumer_groups([group], request_timeout=10)[group].result()
    except KafkaException:  # the broker has yet to make its table of groups
        return False
    shares = [len(member.assignment.topic_partitions) for member in described.members]
    return len(shares) == members and all(shares) and sum(shares) == 8


def _until_more_is_counted(place: Deployment) -> None:
    before = len(place.read("profiles")["profiles"])
    until(lambda: len(place.read("profiles")["profiles"]) > before + 20, PATIENCE)


def _counted(records: Sequence[Record]) -> dict[Place, np.ndarray]:
    """Cells per place, with the events in front."""
    found: dict[Place, np.ndarray] = {}
    for one in _summaries(records):
        key = one.model_id, one.model_version, one.segment, one.pane_start_ms
        counts = np.concatenate([[one.events], unpack_cells(one.cells)])
        found[key] = found[key] + counts if key in found else counts
    return dict(sorted(found.items()))


def _events(counted: dict[Place, np.ndarray]) -> int:
    return int(sum(cells[0] for cells in counted.values()))


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
