"""Do the schemas say what our messages are: every record of a run, and nothing that has lost a part of it?"""

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from alerting.deliver.items import Delivery
from streams.broker import Record
from streams.contracts.schemas import DIALECT, urn
from streams.messages import decode_profile
from streams.profiling.fields import TEXT_TIME
from streams.schemas import DOCUMENTS, FOLDER, index, schema
from streams.views import deliveries
from tests.a_run import run

FORMATS = FormatChecker([])


def is_time(text: object) -> bool:
    """RFC 3339, with an offset."""
    if isinstance(text, str):
        msgspec.convert(text, TEXT_TIME)
    return True


FORMATS.checks("date-time", raises=msgspec.ValidationError)(is_time)


@cache
def validator(name: str) -> Draft202012Validator:
    found = json.loads(schema(name))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found, format_checker=FORMATS)


def name_of(topic: str, record: Record) -> str:
    """Which of the documents a record is."""
    headers = dict(record.headers)
    if "ce_dataschema" in headers:
        return headers["ce_dataschema"].decode().split(":")[3]
    if topic == "models":
        return (record.key or b"").decode().partition("|")[0]
    if topic == "outcomes":
        return "mark" if b"leeway.mark" in (record.value or b"") else "outcome"
    return {
        "commands": "command",
        "profiles": "profile",
        "state": "state",
        "dead-letters": "dead-letter",
    }[topic]


def plain(name: str, record: Record) -> Any:
    """A record as the document that its schema is about."""
    if name == "profile":
        return msgspec.to_builtins(decode_profile(record.value or b""), str_keys=True)
    if name == "dead-letter":
        return {key: value.decode() for key, value in record.headers}
    return json.loads(record.value or b"")


def delivered() -> list[Any]:
    """What control writes of notifications; it has no part in a replay."""
    one = Delivery(
        "slack", "ep-" + "0" * 40, "slack", "m", 1, "sent", "opened", "error", 1_772_409_600_000
    )
    found = [replace(one, state="waiting", next_attempt_ms=1_772_409_601_000), one]
    return [json.loads(deliveries.encode(each)[1]) for each in found]


@cache
def told() -> Mapping[str, list[Any]]:
    """Every document of the run, by the name of its schema."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for topic, records in run().items():
        for record in records:
            if record.value is not None:
                name = name_of(topic, record)
                found[name].append(plain(name, record))
    found["delivery"] = delivered()
    return found


WRITTEN = [*(name for name, one in DOCUMENTS.items() if one.direction != "read"), "command"]


def test_the_run_has_every_document_that_we_write() -> None:
    assert told().keys() == set(WRITTEN)
    assert {one["change"] for one in told()["alert"]} >= {
        "opened",
        "acknowledged",
        "escalated",
        "resolved",
    }
    assert {one["channel"] for one in told()["notification"]} == {"slack", "pagerduty", "email"}
    assert {one["status"]["name"] for one in told()["trigger"]} >= {
        "requested",
        "approved",
        "started",
        "completed",
    }
    assert {one["outcome"] for one in told()["command-outcome"]} == {"applied", "refused"}
    assert {one["kind"] for one in told()["profile"]} == {
        "summary",
        "outcomes",
        "joined",
        "progress",
        "intake",
    }
    assert {one["scope"] for one in told()["result"]} == {"inputs", "outcomes", "health", "matured"}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_record_of_the_run_is_what_its_schema_says(name: str) -> None:
    check = validator(name)
    every = told()[name]
    for one in every[:: 1 + len(every) // 100]:
        error = next(check.iter_errors(one), None)
        assert error is None, f"{name}: {error.json_path}: {error.message[:300]}"


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key, inner in (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    ):
        yield from places(inner, (*path, key))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def resolved(root: Mapping[str, Any], part: Any) -> Any:
    """What a schema refers to."""
    while isinstance(part, dict) and "$ref" in part:
        part = root["$defs"][part["$ref"].rpartition("/")[2]]
    return part


def without_a_member(root: Mapping[str, Any], part: Any, document: Any) -> Iterator[Any]:
    """The document as often as it has a required member somewhere, each time without that member."""
    part = resolved(root, part)
    if isinstance(document, list):
        for place, inner in enumerate(document[:2]):
            for less in without_a_member(root, part.get("items", {}), inner):
                yield [*document[:place], less, *document[place + 1 :]]
    if not isinstance(document, dict):
        return
    branches = [resolved(root, one) for one in (part, *part.get("anyOf", ()))]
    for key, inner in document.items():
        for branch in branches:
            tag = next(iter(branch.get("properties", {}).items()), None)
            if tag and "enum" in tag[1] and document.get(tag[0]) not in tag[1]["enum"]:
                continue  # of another kind
            if key in branch.get("required", ()):
                yield {name: of for name, of in document.items() if name != key}
            about = branch.get("properties", {}).get(key, branch.get("additionalProperties"))
            if isinstance(about, dict):
                for one in (about, *about.get("anyOf", ())):
                    for less in without_a_member(root, one, inner):
                        yield {**document, key: less}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_document_that_lost_a_required_member_anywhere_is_refused(name: str) -> None:
    root, check, tried = json.loads(schema(name)), validator(name), 0
    one = max(told()[name], key=lambda document: len(json.dumps(document)))
    for less in islice(without_a_member(root, root, one), 100):
        tried += 1
        assert not check.is_valid(less), less
    assert tried >= 3


def with_another_type(document: Any) -> Iterator[Any]:
    """The document as often as it has members, each time with one of them of a type that it never has."""
    if isinstance(document, dict):
        for key, inner in document.items():
            yield {**document, key: {"x": []} if not isinstance(inner, dict) else [[]]}
            if isinstance(inner, int | float) and not isinstance(inner, bool):
                yield {**document, key: str(inner)}
            if isinstance(inner, str):
                yield {**document, key: 7}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_member_of_another_type_is_refused(name: str) -> None:
    free = {"state": {"data"}, "outcome": {"label", "prediction", "score"}}
    check, one = validator(name), max(told()[name], key=lambda document: len(json.dumps(document)))
    for wrong in with_another_type(one):
        (key,) = (key for key in one if wrong[key] is not one[key])
        if key not in free.get(name, ()):
            assert not check.is_valid(wrong), f"{name}.{key}: {wrong[key]!r}"


@pytest.mark.parametrize(
    ("name", "path", "wrong"),
    [
        ("alert", ("alert_id",), "al-1"),
        ("alert", ("episode_id",), "rt-" + "0" * 40),
        ("alert", ("at",), "2026-03-02 07:00"),
        ("alert", ("at",), "2026-13-02T07:00:00.000Z"),
        ("alert", ("kind",), "drift"),
        ("alert", ("sequence",), 0),
        ("result", ("verdict",), "fine"),
        ("result", ("scope",), "all"),
        ("result", ("window", "events"), -1),
        ("notification", ("channel",), "teams"),
        ("trigger", ("status", "name"), "done"),
        ("command", ("command",), "destroy"),
        ("command-outcome", ("outcome",), "perhaps"),
        ("dead-letter", ("__dlq.errors.offset",), "last"),
        ("dead-letter", ("leeway.reason",), "Not JSON"),
        ("lifecycle", ("revision",), "1"),
        ("state", ("format",), 999),
    ],
)
def test_what_a_text_or_number_may_be_is_part_of_the_promise(
    name: str, path: tuple[str, ...], wrong: Any
) -> None:
    document = copy.deepcopy(told()[name][0])
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = wrong
    assert not validator(name).is_valid(document)


def test_notifications_are_held_to_what_their_channel_takes() -> None:
    by_channel = {one["channel"]: one for one in told()["notification"]}
    for channel, one in by_channel.items():
        for other, another in by_channel.items():
            swapped = {**one, "payload": another["payload"]}
            assert validator("notification").is_valid(swapped) is (channel == other)


def test_more_members_are_ignored_in_events_and_refused_in_commands() -> None:
    more = {"more": 1}
    for name, one in EVENTS:
        assert validator(name).is_valid(one | more)
    assert not validator("command").is_valid(told()["command"][0] | more)


EVENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "prediction",
        {
            "event_id": "7f1c", "model_id": "loan-default", "model_version": "2.3.1",
            "timestamp": 1772434693412,
            "features": {"annual_income": 41200, "home": "rent", "employed": True, "age": None, "text": [0.1]},
            "prediction": "repaid", "scores": {"repaid": 0.93, "default": 0.07}, "latency_ms": 18.4,
            "status": "ok", "tags": {"country": "DE", "channel": "web"},
            "feature_timestamp": {"annual_income": "2026-03-02T03:00:00Z"},
        },
    ),
    (
        "feature",
        {
            "model_id": "loan-default", "timestamp": "2026-03-02T06:58:00Z", "entity_id": "c-4410",
            "features": {"utilisation_30d": 0.41}, "feature_timestamp": "2026-03-02T03:00:00Z",
        },
    ),
    (
        "label",
        {
            "event_id": "7f1c", "model_id": "loan-default", "model_version": "2.3.1",
            "timestamp": "2026-08-11T09:30:00+02:00", "label": "default", "prediction": "repaid",
            "score": 0.07, "prediction_timestamp": 1772434693412,
        },
    ),
    ("label", {"event_id": "7f1c", "timestamp": 1772434693412, "label": True}),
    ("label", {"model_id": "m", "timestamp": 1772434693412, "loss": 0.5}),
)  # fmt: skip


@pytest.mark.parametrize(("name", "one"), EVENTS)
def test_the_events_of_the_contract_are_what_their_schemas_say(name: str, one: Any) -> None:
    error = next(validator(name).iter_errors(one), None)
    assert error is None, error


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("prediction", {"timestamp": "2026-03-02 06:58"}),
        ("prediction", {"timestamp": True}),
        ("prediction", {"timestamp": None}),
        ("prediction", {"model_id": "a b"}),
        ("prediction", {"model_id": None}),
        ("prediction", {"latency_ms": -1}),
        ("prediction", {"status": "fine"}),
        ("prediction", {"features": {"a": {}}}),
        ("prediction", {"event_id": ""}),
        ("feature", {"features": None}),
        ("label", {"label": None}),
        ("label", {"event_id": None, "model_id": None}),
        ("label", {"label_confidence": 2}),
    ],
)
def test_an_event_that_would_cost_something_is_refused(name: str, more: dict[str, Any]) -> None:
    one = next(event for of, event in EVENTS if of == name)
    assert not validator(name).is_valid(one | more)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_one_and_has_its_file(name: str) -> None:
    found = json.loads((FOLDER / f"{name}.json").read_bytes())
    assert (FOLDER / f"{name}.json").read_bytes() == schema(name), "run python -m streams.schemas"
    assert (found["$schema"], found["$id"]) == (DIALECT, urn(name))
    Draft202012Validator.check_schema(found)


# ------------------------------------------------------------------------------------ headers, as the index has them

INDEXED: dict[str, Any] = json.loads(index())
MESSAGES: dict[str, Any] = INDEXED["components"]["messages"]


def shared(reference: str) -> Any:
    """What several messages refer to: a schema of the index, or another file's."""
    if reference.startswith("./"):
        return json.loads((FOLDER / reference).read_bytes())
    return INDEXED["components"]["schemas"][reference.rpartition("/")[2]]


@cache
def headers_of(name: str) -> Draft202012Validator:
    """The schema of a message's headers, with what it refers to in place."""
    schema = MESSAGES[name]["headers"]
    parts = schema.get("allOf", [schema])
    return Draft202012Validator({"allOf": [shared(p["$ref"]) if "$ref" in p else p for p in parts]})


def test_the_headers_of_every_record_of_a_run_are_as_described() -> None:
    seen: Counter[str] = Counter()
    for topic, records in run().items():
        for record in records:
            if record.value is None:
                continue
            name = name_of(topic, record)
            if "headers" not in MESSAGES[name]:
                assert not record.headers, name
                continue
            seen[name] += 1
            if seen[name] <= 50:  # of thousands that differ in times and ids
                headers = {key: value.decode() for key, value in record.headers}
                error = next(headers_of(name).iter_errors(headers), None)
                assert error is None, f"{name}: {error}"
    assert seen.keys() == {name for name, message in MESSAGES.items() if "headers" in message}


def test_headers_that_lack_an_attribute_are_refused() -> None:
    (record, *_) = run()["alerts"]
    headers = {key: value.decode() for key, value in record.headers}
    check = headers_of("alert")
    assert check.is_valid(headers)
    assert not check.is_valid({**headers, "ce_type": "leeway.result.v1"})
    for name in ("ce_id", "ce_type", "ce_time", "ce_dataschema", "ce_source"):
        assert not check.is_valid({key: of for key, of in headers.items() if key != name})
