"""Is the drift of two real streams found, with the right features named, by replay and through Kafka alike?"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from detectors.reference.build import from_document
from streams.broker import Outgoing
from streams.cli import main
from streams.lifecycle import load
from streams.local_kafka import AnyBroker
from streams.offline.replay import OUTPUTS, as_lines, replay
from streams.offline.selection import parse_where
from streams.offline.sources import Chunk, Source, open_source
from tests.integration.running import Deployment, Roles
from tests.integration.test_same_bytes import PATIENCE
from tests.until import until

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LEEWAY_TEST_DATA", ROOT.parent / "shared" / "data"))

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs the real streams: set LEEWAY_TEST_DATA to their folder"
)


class Known(NamedTuple):
    """What is known of a stream, and so what must be found."""

    file: str
    leaders: tuple[str, ...]  # the first series an alert names
    opened: tuple[str, str]  # not before, not after
    quiet: int  # windows before it in which nothing is raised


STREAMS = {
    # three features that were constant begin to move in the week of 5 May 1997
    "elec2": Known(
        "elec2.parquet",
        ("feature:vicprice", "feature:vicdemand", "feature:transfer"),
        ("1997-05-12T00:00:00.000Z", "1997-05-12T00:00:00.000Z"),
        22,
    ),
    # gradual; production rows 4,501 to 6,500
    "insects": Known(
        "insects_gradual.parquet",
        ("feature:f08", "feature:f17", "feature:f26"),
        ("2026-01-07T04:46:40.000Z", "2026-01-07T15:53:20.000Z"),
        20,
    ),
}


class _Identified(msgspec.Struct):
    event_id: str


class Stream:
    """A real stream with its lifecycle, as `examples/` has it but for how long silence is waited for."""

    def __init__(self, name: str, folder: Path) -> None:
        self.known = STREAMS[name]
        written = (ROOT / "examples" / f"{name}.yaml").read_text()
        self.path = folder / f"{name}.yaml"
        self.path.write_text(written.replace("window: {pane", "window: {idle: 2s, pane"))
        (self.lifecycle,) = load(self.path.read_text(), name)
        data = str(DATA / self.known.file)
        assert main(["baseline", str(self.path), "--data", data, "--where", "split=reference"]) == 0
        document = json.loads((folder / f"{name}.reference.json").read_text())
        self.references = {self.lifecycle.model_id: from_document(document)}
        where = parse_where(["split=production"])
        self.source = open_source(data, [self.lifecycle], where=where)


@pytest.fixture(params=list(STREAMS))
def stream(request: pytest.FixtureRequest, tmp_path: Path) -> Stream:
    return Stream(request.param, tmp_path)


def _replayed(stream: Stream, receivers: Any = ()) -> dict[str, bytes]:
    found = replay(stream.source, stream.references, receivers=receivers)
    return {name: as_lines(found.topics[name]) for name in OUTPUTS}


def test_the_known_drift_is_found_with_the_right_features_and_nothing_before(
    stream: Stream,
) -> None:
    found = _replayed(stream)
    alerts = [json.loads(line)["value"] for line in found["alerts"].splitlines()]
    results = [json.loads(line)["value"] for line in found["results"].splitlines()]
    first = alerts[0]
    assert first["change"] == "opened"
    assert tuple(a["series"] for a in first["affected"][:3]) == stream.known.leaders
    assert stream.known.opened[0] <= first["at"] <= stream.known.opened[1]
    before = [r for r in results if r["window"]["end"] < first["at"]]
    assert {r["verdict"] for r in before} == {"stable", "insufficient"}
    assert sum(r["verdict"] == "stable" for r in before) >= stream.known.quiet


ROWS = 12_000  # of a stream that go through Kafka: those until after its drift and its loss of accuracy


def _beginning(source: Source) -> Source:
    """The first rows of a stream, and their labels."""
    chunks: list[Chunk] = []
    known: set[str] = set()
    for chunk in source.chunks():
        ids = [msgspec.json.decode(event, type=_Identified).event_id for event in chunk.events]
        if chunk.kind == "predictions":
            ids = ids[: ROWS - len(known)]
            known |= set(ids)
            chunks.append(Chunk(chunk.kind, list(chunk.events[: len(ids)]), chunk.read))
        else:
            kept = [event for event, one in zip(chunk.events, ids, strict=True) if one in known]
            chunks.append(Chunk(chunk.kind, kept, chunk.read))
    return replace(source, chunks=lambda: iter(chunks))


@pytest.mark.kafka
def test_kafka_says_the_same_bytes_as_a_replay(
    stream: Stream, kafka: AnyBroker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """Labels come in the order they became known, and are joined by their event id on the way."""
    place = Deployment(kafka, unique("real"), tmp_path, partitions=3, sources=4)
    place.register([stream.lifecycle], stream.references)
    stream.source = _beginning(stream.source)
    expected = _replayed(stream, place.service.public_receivers)
    writer = place.writer()
    for chunk in stream.source.chunks():
        for event in chunk.events:
            key = msgspec.json.decode(event, type=_Identified).event_id
            writer.write(Outgoing(place.names(chunk.kind), key.encode(), event))
    writer.flush()
    sure = sum(_comes_with_silence(line) for line in expected["results"].splitlines())
    with Roles(place.children(profiler=2, joiner=2, judge=1)), place.tail("results") as tail:
        seen = 0

        def judged() -> bool:
            nonlocal seen
            seen += sum(_comes_with_silence(as_lines([record])) for record in tail.read())
            return seen >= sure

        until(judged, PATIENCE, lambda: f"{seen} of {sure} results")
    found = place.read(*OUTPUTS)
    for name in OUTPUTS:
        given = as_lines(sorted(found[name], key=lambda r: (r.key or b"", _time(r.headers))))
        if name != "results":
            assert given == expected[name], name
            continue
        lines, wanted = given.splitlines(), expected[name].splitlines()
        still = [json.loads(line)["value"] for line in wanted if line not in set(lines)]
        assert [line for line in wanted if line in set(lines)] == lines
        # Silence ends no window of labels before it is over by the clock: that is too long to wait for.
        assert sorted(one["scope"] for one in still) in ([], ["matured", "outcomes"])


def _comes_with_silence(line: bytes) -> bool:
    return json.loads(line)["value"]["scope"] in ("health", "inputs")


def _time(headers: tuple[tuple[str, bytes], ...]) -> bytes:
    return dict(headers).get("ce_time", b"")
