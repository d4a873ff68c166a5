"""Does it matter how producers pack their events? With their own serializers, a schema registry, and a real Kafka."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from streams.broker import Outgoing
from streams.cli.connection import past
from streams.lifecycle import Lifecycle
from streams.local_kafka import AnyBroker
from tests.builders import MINUTE_MS, START_MS, lifecycle, reference, stream
from tests.integration.running import Deployment, Roles
from tests.until import until
from tests.vendors.faults import status
from tests.vendors.schema_registry import FakeRegistry

pytestmark = pytest.mark.kafka

PATIENCE = timedelta(seconds=90)
FORMS = ("json", "avro", "json-schema", "cloudevents")
WINDOWS, PER_WINDOW, WINDOW_MS = 5, 100, 5 * MINUTE_MS
PREDICTION = {
    "type": "record", "name": "Prediction", "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "model_id", "type": "string"},
        {"name": "model_version", "type": "string"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "features", "type": {"type": "record", "name": "Features", "fields": [
            {"name": "income", "type": ["null", "double"]}, {"name": "home", "type": "string"}]}},
        {"name": "prediction", "type": "string"},
        {"name": "score", "type": "double"},
    ],
}  # fmt: skip
LABEL = {
    "type": "record", "name": "Label", "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "label", "type": "string"},
    ],
}  # fmt: skip
LOOSE = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Event", "type": "object"}
Event = dict[str, Any]
Packed = tuple[bytes, tuple[tuple[str, bytes], ...]]


def model(form: str, place: Deployment) -> Lifecycle:
    topics = {kind: place.names(kind) + f"-{form}" for kind in ("predictions", "labels")}
    return lifecycle(
        model_id=f"m-{form}",
        source={
            "predictions": {"topic": topics["predictions"], "format": form},
            "labels": {
                "topic": topics["labels"],
                "format": form,
                "fields": {"model_id": {"const": f"m-{form}"}},
            },
        },
        prediction={"classes": ["no", "yes"], "positive": "yes"},
        monitoring={
            "window": {"size": "5m", "pane": "1m", "lateness": "1m"},
            "false_alarms": "1 per day",
        },
    )


def events(form: str) -> tuple[list[Event], list[Event]]:
    """Predictions of which incomes rise in the end, and their labels a minute later."""
    rows = [
        one
        for window in range(WINDOWS + 1)
        for one in stream(
            PER_WINDOW,
            seed=window,
            start_ms=START_MS + window * WINDOW_MS,
            step_ms=WINDOW_MS // PER_WINDOW,
            shift=2.0 if window > 2 else 0.0,
        )
    ]
    predictions = [
        one | {"model_id": f"m-{form}", "event_id": f"e{number}"} for number, one in enumerate(rows)
    ]
    labels = [
        {
            "event_id": one["event_id"],
            "timestamp": one["timestamp"] + MINUTE_MS,
            "label": "yes" if number % 3 else "no",
        }
        for number, one in enumerate(predictions)
    ]
    # what comes later than all labels: then each of them has had its turn
    last = predictions[-1] | {"event_id": "last", "timestamp": START_MS + 120 * MINUTE_MS}
    return [*predictions, last], labels


def packing(form: str, client: SchemaRegistryClient) -> Callable[[str, str, Event], Packed]:
    """As producers of this form do it."""
    if form == "avro":
        of = {
            "predictions": AvroSerializer(client, json.dumps(PREDICTION)),
            "labels": AvroSerializer(
                client,
                json.dumps(LABEL),
                conf={"schema.id.serializer": header_schema_id_serializer},
            ),
        }
    elif form == "json-schema":
        loose = JSONSerializer(json.dumps(LOOSE), client)
        of = {"predictions": loose, "labels": loose}

    def pack(kind: str, topic: str, event: Event) -> Packed:
        plain = json.dumps(event).encode()
        if form == "json":
            return plain, ()
        if form == "cloudevents":
            about = {"specversion": "1.0", "id": event["event_id"], "source": "/m", "type": kind}
            if kind == "labels":
                return plain, tuple((f"ce_{name}", text.encode()) for name, text in about.items())
            return (
                json.dumps(about | {"data": event}).encode(),
                (("content-type", b"application/cloudevents+json"),),
            )
        headers: list[Any] = []
        value = of[kind](event, SerializationContext(topic, MessageField.VALUE, headers))
        return value, tuple(headers)

    return pack


def send(place: Deployment, registry: FakeRegistry) -> None:
    writer = place.writer()
    with SchemaRegistryClient({"url": registry.url}) as client:
        for form in FORMS:
            pack = packing(form, client)
            for kind, rows in zip(("predictions", "labels"), events(form), strict=True):
                topic = place.names(kind) + f"-{form}"
                for event in rows:
                    value, headers = pack(kind, topic, event)
                    writer.write(Outgoing(topic, event["event_id"].encode(), value, headers))
    writer.flush()


def test_however_events_are_packed_the_same_is_counted_joined_and_judged(
    kafka: AnyBroker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    with FakeRegistry() as registry:
        place = Deployment(
            kafka,
            unique("formats"),
            tmp_path,
            schema_registry={"url": registry.url},
            events={"mode": "structured"},
            partitions=1,
        )
        make(place, (f"{kind}-{form}" for kind in ("predictions", "labels") for form in FORMS))
        models = {form: model(form, place) for form in FORMS}
        before = stream(2_000, seed=99, start_ms=START_MS - 2 * 60 * MINUTE_MS)
        built = {
            of.model_id: reference(of, [e | {"model_id": of.model_id} for e in before])
            for of in models.values()
        }
        place.register(list(models.values()), built)
        send(place, registry)
        asked = registry.requests
        registry.always(1.0, status(503))  # what is down is waited for
        with Roles(place.children(profiler=1, joiner=1, judge=1)) as roles:
            until(lambda: registry.requests >= asked + 4, PATIENCE, lambda: roles.said[-20:])
            assert not place.read("dead-letters")["dead-letters"]
            registry.always(0.0)
            until(partial(judged, place), PATIENCE, lambda: roles.said[-20:])
        assert any("schema_registry.unavailable" in line for line in roles.said)
        assert not any("role.failed" in line for line in roles.said)
        found = place.read("results", "outcomes", "dead-letters")
        told = past(f"{place.names.prefix}predictions-avro", None, place.config, [models["avro"]])
        assert [json.loads(value)["event_id"] for of in told for value in of][:2] == ["e0", "e1"]
    assert not found["dead-letters"]
    results = by_model(found["results"])
    outcomes = by_model(found["outcomes"])
    assert {"drifting", "severe"} & {one["verdict"] for one in results["m-json"]}
    for form in FORMS[1:]:
        assert bare(results[f"m-{form}"]) == bare(results["m-json"])
        assert bare(outcomes[f"m-{form}"]) == bare(outcomes["m-json"])


def make(place: Deployment, names: Iterable[str]) -> None:
    admin = AdminClient({"bootstrap.servers": place.service.brokers})
    made = admin.create_topics([NewTopic(place.names.prefix + name, 1, 1) for name in names])
    for future in made.values():
        future.result(20)


def judged(place: Deployment) -> bool:
    """Whether all windows of inputs and all labels of all models have been."""
    found = place.read("results", "outcomes")
    results, outcomes = by_model(found["results"]), by_model(found["outcomes"])
    inputs = {
        of: sum(one["scope"] == "inputs" for one in results.get(of, ())) for of in models_of()
    }
    return all(inputs[of] >= WINDOWS for of in models_of()) and all(
        len(outcomes.get(of, ())) == (WINDOWS + 1) * PER_WINDOW for of in models_of()
    )


def models_of() -> list[str]:
    return [f"m-{form}" for form in FORMS]


def by_model(records: Iterable[Any]) -> Mapping[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for record in records:
        one = json.loads(record.value)
        if "model_id" in one and one.get("segment", "all") == "all":
            found.setdefault(one["model_id"], []).append(one)
    return found


def bare(documents: list[Event]) -> list[str]:
    """Documents without what names their model, in the order of their windows or ids."""
    named = ("model_id", "result_id", "lifecycle_revision", "reference_id")
    rest = [{key: of for key, of in one.items() if key not in named} for one in documents]
    inputs = [one for one in rest if one.get("scope", "inputs") == "inputs"]
    return sorted(json.dumps(one, sort_keys=True) for one in inputs)
