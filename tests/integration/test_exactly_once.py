"""Is each event counted exactly once, whatever is killed and however often?"""

import random
from collections import Counter
from datetime import timedelta

import pytest

from streams.broker import Outgoing, Partition, Work
from streams.local_kafka import AnyBroker
from tests.integration.torment import Fleet
from tests.integration.worker import Spec
from tests.streams.doors import KafkaDoor
from tests.until import until

pytestmark = pytest.mark.kafka

EVENTS, PARTITIONS, MODELS = 60_000, 6, 20
SESSION_S = 6.0
QUICK = {
    "session.timeout.ms": str(int(SESSION_S * 1000)),
    "heartbeat.interval.ms": "500",
    "transaction.timeout.ms": "10000",
}


@pytest.mark.parametrize(
    "properties", [QUICK, {"group.protocol": "consumer"}], ids=["classic", "consumer"]
)
def test_killed_and_frozen_workers_count_each_event_exactly_once(
    kafka: AnyBroker, properties: dict[str, str]
) -> None:
    door = KafkaDoor(kafka.bootstrap, **properties)
    source, sink, state = door.topic(PARTITIONS), door.topic(2), door.topic(PARTITIONS)
    spec = Spec(
        stage="tests.integration.counting:Counting",
        arguments={"sink": sink, "state": state},
        properties=door.properties,
        group=f"{source}-counting",
        topics=[source],
        state_topic=state,
        dwell_s=0.1,
    )
    dice = random.Random(1)
    produced: Counter[bytes] = Counter()
    writer, auditor = door.member("writers"), door.member("auditors")
    auditor.follow([sink])
    counted: Counter[bytes] = Counter()

    def write(events: int) -> None:
        values = [b"model-%d" % dice.randrange(MODELS) for _ in range(events)]
        produced.update(values)
        writer.commit(
            Work(
                [
                    Outgoing(source, None, value, partition=n % PARTITIONS)
                    for n, value in enumerate(values)
                ]
            )
        )

    def count() -> Counter[bytes]:
        for record in auditor.followed(to_end=False):
            counted[record.key or b""] += int(record.value or b"")
        return counted

    with Fleet(spec, workers=3, seed=1) as fleet:
        fleet.torment(8, SESSION_S + 2, (0.2, 1.2), meanwhile=lambda: write(EVENTS // 20))
        write(EVENTS // 20)

        def all_counted() -> bool:
            fleet.revive()
            return count().total() >= produced.total()

        until(all_counted, timedelta(seconds=90), lambda: (fleet.done, counted.total()))
        assert fleet.stop() == [0, 0, 0]

    for record in auditor.followed(to_end=True):
        counted[record.key or b""] += int(record.value or b"")
    kept: Counter[bytes] = Counter()
    for number in range(PARTITIONS):
        for record in auditor.restore(Partition(state, number)):
            kept[record.key or b""] += int(record.value or b"")
    door.close()
    assert fleet.done["kills"] == 8
    assert fleet.done["freezes"] == 1
    assert counted == produced
    assert kept == produced
