"""Does the same input give the same bytes, whoever reads it, in whatever order, and whoever is killed meanwhile?"""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import pytest

from streams.broker import Record
from streams.local_kafka import AnyBroker
from streams.offline.replay import OUTPUTS, as_lines, replay
from streams.offline.sources import Chunk, Source
from streams.service import load_service
from tests.integration import watched
from tests.integration.running import Deployment, Ends, Roles, produce, producing
from tests.until import until

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
SAME = tuple(name for name in OUTPUTS if name != "dead-letters")  # those say where they were
PATIENCE = timedelta(seconds=120)
KILLS = 10
# Silence after which nothing more is expected, by how events are sent: longer than a busy machine may hold the
# producer up, or a partition is rightly left out and its events come late.
AT_ONCE, BIT_BY_BIT = "8s", "12s"


@cache
def expected(idle: str) -> dict[str, bytes]:
    """What a replay finds in the stream, by topic; results name the revision of their lifecycle, hence `idle`."""
    found = replay(
        Source("seeded", watched.lifecycles(idle), None, (), _chunks),
        watched.references(),
        receivers=load_service(None, {}).public_receivers,
    )
    return {name: as_lines(found.topics[name]) for name in SAME}


def _chunks() -> Iterator[Chunk]:
    for kind in ("predictions", "features"):
        values = [arrival.value for arrival in watched.arrivals() if arrival.kind == kind]
        yield Chunk(kind, values, 0)


def test_the_stream_holds_something_of_everything() -> None:
    """Else equal bytes would prove little."""
    found = expected(AT_ONCE)
    changes = (b"opened", b"escalated", b"eased", b"resolved")
    assert found["results"].count(b"\n") >= 5 * 100
    for change in changes:
        assert b'"change":"%b"' % change in found["alerts"] or change == b"escalated"
    for verdict in (b"stable", b"drifting", b"severe", b"insufficient"):
        assert b'"verdict":"%b"' % verdict in found["results"]
    for kind in (b"data_drift", b"pipeline"):
        assert b'"kind":"%b"' % kind in found["alerts"]
    assert b'"inhibited_by":"ep-' in found["alerts"]
    assert b'"segment":"country=DE"' in found["alerts"]
    assert found["alerts.slack"]
    assert found["alerts.pagerduty"]
    assert b'"name":"approved"' in found["retraining"]


def test_one_profiler_and_one_partition_give_the_bytes_of_a_replay(
    kafka: AnyBroker, unique: Unique, tmp_path: Path
) -> None:
    place = Deployment(kafka, unique("one"), tmp_path, partitions=1, sources=1)
    place.register(watched.lifecycles(AT_ONCE), watched.references())
    produce(place, watched.arrivals())
    with Roles(place.children(profiler=1, judge=1)) as roles:
        _until_judged(place, roles, AT_ONCE)
    _assert_same(place, AT_ONCE)


def test_order_partitions_and_profilers_change_no_byte(
    kafka: AnyBroker, unique: Unique, tmp_path: Path
) -> None:
    place = Deployment(kafka, unique("four"), tmp_path, partitions=3, sources=4)
    place.register(watched.lifecycles(AT_ONCE), watched.references())
    dice = random.Random(7)
    with Roles(place.children(profiler=2, judge=1)) as roles:
        until(partial(place.shared, "profiler", 2, 8), PATIENCE)
        produce(place, watched.shuffled(watched.arrivals(), seed=7), lambda: dice.randrange(4))
        _until_judged(place, roles, AT_ONCE)
    _assert_same(place, AT_ONCE)


def test_ten_killed_profilers_and_judges_change_no_byte(
    kafka: AnyBroker, unique: Unique, tmp_path: Path
) -> None:
    place = Deployment(kafka, unique("ten"), tmp_path, partitions=3, sources=4)
    place.register(watched.lifecycles(BIT_BY_BIT), watched.references())
    with (
        Roles(place.children(profiler=2, judge=2)) as roles,
        producing(place, watched.shuffled(watched.arrivals(), seed=8), seed=8) as hurry,
    ):
        _torment(place, roles, seed=8)
        hurry.set()
        _until_judged(place, roles, BIT_BY_BIT)
    _assert_same(place, BIT_BY_BIT)


def _torment(place: Deployment, roles: Roles, seed: int) -> None:
    """Kill one after another while it works: a little after something was written, which is committed or not."""
    dice = random.Random(seed)
    victims: list[str] = []
    while len(victims) < KILLS:
        victims += dice.sample(list(roles.names), len(roles.names))
    never = threading.Event()
    with Ends(place.properties) as ends:
        for victim in victims[:KILLS]:
            until(partial(roles.works, victim), PATIENCE, victim)
            topic = place.names("profiles" if victim.startswith("profiler") else "state")
            more = ends.of(topic) + dice.randrange(1, 20)
            until(partial(_reaches, ends, topic, more), PATIENCE, victim)
            never.wait(dice.uniform(0, 0.3))
            assert roles.kill(victim)


def _reaches(ends: Ends, topic: str, length: int) -> bool:
    return ends.of(topic) >= length


def _until_judged(place: Deployment, roles: Roles, idle: str) -> None:
    wanted, results = expected(idle)["results"].count(b"\n"), 0
    with place.tail("results") as tail:

        def judged() -> bool:
            nonlocal results
            results += len(tail.read())
            assert roles.gave_up is None
            return results >= wanted

        until(judged, PATIENCE, lambda: f"{results} of {wanted} results")


def _assert_same(place: Deployment, idle: str) -> None:
    found = place.read(*SAME)
    for name in SAME:
        ids = [dict(record.headers)["ce_id"] for record in found[name]]
        assert len(ids) == len(set(ids)), f"{name}: something is there twice"
        given, wanted = as_lines(sorted(found[name], key=_key_and_time)), expected(idle)[name]
        if given != wanted:  # not in one assert: pytest would compare megabytes word by word
            pairs = zip(given.splitlines(), wanted.splitlines(), strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), None)
            pytest.fail(
                f"{name}: {given.count(10)} records, expected {wanted.count(10)}; "
                f"the first that differs, and what was expected:\n{first}"
            )


def _key_and_time(record: Record) -> tuple[bytes, bytes]:
    return record.key or b"", dict(record.headers).get("ce_time", b"")
