"""Does an emitter write what Leeway reads, refuse what it could not, and never get in anybody's way?"""

import asyncio
import json
import math
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from confluent_kafka import KafkaError
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from streams.broker import Record
from streams.client import Emitter, Limits
from streams.client.events import new_id, to_ms
from streams.errors import InvalidEvent, UsageError
from streams.profiling.events import Topic, readings
from streams.profiling.fields import parse_time
from streams.profiling.fields import to_ms as as_ms
from streams.profiling.labels import label_readings
from streams.profiling.wire import MAX_BYTES
from tests.builders import NAMES, lifecycle
from tests.producing import Producers
from tests.until import until

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)
TYPES = {
    "feature:income": "number",
    "feature:home": "category",
    "feature:text": "text",
    "feature:vector": "vector",
    "prediction": "category",
    "score": "number",
    "label": "category",
}


@cache
def topics() -> dict[str, Topic]:
    """How Leeway reads what emitters of model `m` write."""
    of = lifecycle(
        features={
            "income": "number",
            "home": "category",
            "text": "text",
            "vector": "vector",
            "age": {"type": "number", "from": "features"},
        },
        source={"predictions": {}, "features": {}, "labels": {}},
        prediction={"classes": ["no", "yes"], "positive": "yes"},
        segments=["country"],
    )
    types = {**TYPES, "feature:age": "number"}
    found: dict[str, list[Any]] = {}
    for reading in (*readings(of, NAMES, types), *label_readings(of, NAMES, types)):
        found.setdefault(reading.topic, []).append(reading)
    return {topic: Topic(of) for topic, of in found.items()}


def why_dead(topic: str, value: bytes, at_ms: int) -> str | None:
    """The reason for which Leeway would put an event among the dead letters."""
    found = topics()[topic].look(Record(topic, 0, 0, at_ms, None, value))
    return found.dead.reason if found.dead is not None else None


class Sent:
    """What one call of an emitter came to."""

    def __init__(self, call: Callable[[Emitter], object], **settings: Any) -> None:
        producers = Producers()
        with producers.emitter(**settings) as emitter:
            self.answer = call(emitter)
        self.counts, self.records, self.events = emitter.counts, producers.records, producers.events

    @property
    def event(self) -> dict[str, Any]:
        (one,) = self.events
        return one


# ---------------------------------------------------------------------------------- what is written


VALUES: dict[str, tuple[object, object]] = {
    "a number": (1.5, 1.5),
    "a boolean": (True, True),
    "a text": ("Zürich", "Zürich"),
    "nothing": (None, None),
    "NaN": (math.nan, None),
    "infinity": (-math.inf, None),
    "a double of NumPy": (np.float64(1.5), 1.5),
    "a float of NumPy": (np.float32(0.5), 0.5),
    "NaN of NumPy": (np.float64("nan"), None),
    "a long double": (np.longdouble(1.5), 1.5),
    "a whole number of NumPy": (np.int64(7), 7),
    "a boolean of NumPy": (np.bool_(True), True),
    "a text of NumPy": (np.str_("rent"), "rent"),
    "a vector of NumPy": (np.array([1.0, 2.0]), [1.0, 2.0]),
    "a tuple": ((1, 2), [1, 2]),
    "a decimal": (Decimal("1.20"), 1.2),
    "a decimal that is none": (Decimal("sNaN"), None),
    "an infinite decimal": (Decimal("-Infinity"), None),
    "a time": (NOW, "2026-03-02T07:00:00Z"),
    "a day": (date(2026, 3, 2), "2026-03-02"),
    "a time of pandas": (pd.Timestamp(NOW), "2026-03-02T07:00:00+00:00"),
    "no time of pandas": (pd.NaT, None),
    "nothing of pandas": (pd.NA, None),
    "an id": (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    "a mapping": (MappingProxyType({"a": np.int8(1)}), {"a": 1}),
    "a row": (pd.Series([1.0, 2.0]), [1.0, 2.0]),
    "many digits": (10**400, 10**400),
    "words that look like none": ("NaN, Infinity", "NaN, Infinity"),
}
LOST: dict[str, object] = {
    "half a character": "\ud800",
    "half a character deep inside": ["\ud800"],
    "a complex number": 1j,
    "an object": object(),
    "a function": len,
}


@pytest.mark.parametrize("value", VALUES)
def test_a_value_becomes_what_the_table_says(value: str) -> None:
    given_, written = VALUES[value]
    sent = Sent(lambda emitter: emitter.prediction({"a": given_, "b": 1}, prediction="yes"))
    assert sent.event["features"] == {"a": written, "b": 1}
    assert not sent.counts.fields
    assert why_dead(*sent.records[0][:2], sent.event["timestamp"]) is None


@pytest.mark.parametrize("value", LOST)
def test_a_value_without_json_costs_itself_and_is_counted(value: str) -> None:
    sent = Sent(lambda emitter: emitter.prediction({"a": LOST[value], "b": 1}))
    assert sent.event["features"]["a"] in (None, [None])
    assert sent.event["features"]["b"] == 1
    assert sent.counts.fields == {"unwritable": 1}


@pytest.mark.parametrize(
    "features",
    [
        {"income": 1.0, "home": "rent"},
        MappingProxyType({"income": 1.0, "home": "rent"}),
        pd.Series({"income": 1.0, "home": "rent"}),
        pd.DataFrame({"income": [1.0], "home": ["rent"]}).iloc[0],
    ],
    ids=["dict", "mapping", "series", "row of a frame"],
)
def test_features_may_come_as_any_mapping(features: Any) -> None:
    sent = Sent(lambda emitter: emitter.prediction(features))
    assert sent.event["features"] == {"income": 1.0, "home": "rent"}


def test_a_prediction_has_the_fields_that_were_given_and_no_others() -> None:
    sent = Sent(lambda emitter: emitter.prediction({"income": 1}, score=0.5, timestamp=NOW))
    assert sent.event == {
        "event_id": sent.answer,
        "model_id": "m",
        "model_version": "1.0.0",
        "timestamp": 1_772_434_800_000,
        "features": {"income": 1},
        "score": 0.5,
    }


def test_predictions_and_their_labels_have_the_same_key() -> None:
    def call(emitter: Emitter) -> None:
        emitter.label(emitter.prediction({}, event_id=7), "yes")

    (predicted, labelled) = Sent(call).records
    assert [predicted[0], labelled[0]] == ["leeway.predictions", "leeway.labels"]
    assert predicted[2] == labelled[2] == "7"


def test_features_of_an_entity_are_keyed_by_it() -> None:
    sent = Sent(lambda emitter: emitter.feature({"age": 7}, entity_id="c-4410"))
    assert sent.records[0][0] == "leeway.features"
    assert (sent.records[0][2], sent.event["entity_id"]) == ("c-4410", "c-4410")


def test_topics_may_have_other_names() -> None:
    sent = Sent(lambda e: e.prediction({}), topics={"predictions": "loans.scored"})
    assert sent.records[0][0] == "loans.scored"


def test_what_the_caller_changes_afterwards_is_not_sent() -> None:
    features = {"income": 1}

    def call(emitter: Emitter) -> None:
        emitter.prediction(features)
        features["income"] = 2

    assert Sent(call).event["features"] == {"income": 1}


def test_an_id_made_here_is_a_uuid_ordered_by_time() -> None:
    made = [new_id(1_772_434_693_412_000_000 + i * 300) for i in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {
        (7, uuid.RFC_4122)
    }


def test_ids_made_at_the_same_moment_differ() -> None:
    assert len({new_id(1_772_434_693_412_000_000) for _ in range(1_000)}) == 1_000


# ---------------------------------------------------------------------------------- what is refused


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else []


REFUSED: dict[str, tuple[Callable[[Emitter], object], str]] = {
    "a time without a zone": (
        lambda e: e.prediction({}, timestamp=datetime(2026, 3, 2)),  # noqa: DTZ001
        "invalid:timestamp_zone",
    ),
    "a text without a zone": (
        lambda e: e.prediction({}, timestamp="2026-03-02T07:00:00"),
        "invalid:timestamp_zone",
    ),
    "a time of NumPy": (
        lambda e: e.prediction({}, timestamp=np.datetime64("2026-03-02")),
        "invalid:timestamp_zone",
    ),
    "no time of pandas": (lambda e: e.label("a", 1, timestamp=pd.NaT), "invalid:timestamp_zone"),
    "seconds": (lambda e: e.prediction({}, timestamp=1_772_434_693), "invalid:timestamp_unit"),
    "the year 2100": (
        lambda e: e.prediction({}, timestamp=datetime(2100, 1, 1, tzinfo=UTC)),
        "invalid:timestamp_unit",
    ),
    "a fraction": (lambda e: e.prediction({}, timestamp=1.5), "invalid:timestamp_type"),
    "a boolean": (lambda e: e.feature({}, timestamp=True), "invalid:timestamp_type"),
    "a word": (lambda e: e.prediction({}, timestamp="now"), "invalid:timestamp_type"),
    "an hour ahead": (
        lambda e: e.prediction({}, timestamp=datetime.now(UTC) + timedelta(hours=1)),
        "invalid:timestamp_future",
    ),
    "features that are a list": (lambda e: e.prediction([1.0]), "invalid:features"),
    "features that are a number": (lambda e: e.feature(7), "invalid:features"),
    "a label of nothing": (lambda e: e.label("a"), "invalid:label_incomplete"),
    "a label of nobody": (lambda e: e.label(None, "yes"), "invalid:label_incomplete"),
    "a label of an impossible id": (lambda e: e.label("", "yes"), "invalid:label_incomplete"),
    "a label that is no number": (lambda e: e.label("a", math.nan), "invalid:label_incomplete"),
    "a loss that is half a character": (
        lambda e: e.label(loss="\ud800"),
        "invalid:label_incomplete",
    ),
    "a loss without an end": (lambda e: e.label(loss=math.inf), "invalid:label_incomplete"),
    "a loss beyond a double": (
        lambda e: e.label(loss=Decimal("1E+500")),
        "invalid:label_incomplete",
    ),
    "too deep": (lambda e: e.prediction({"a": nested(31)}), "invalid:too_deep"),
    "far too deep": (lambda e: e.prediction({"a": nested(900)}), "invalid:too_deep"),
    "too large": (lambda e: e.prediction({"a": "x" * MAX_BYTES}), "too_large"),
}
GOOD: dict[str, Callable[[Emitter], object]] = {
    "nothing at all": lambda e: e.prediction(),
    "the deepest": lambda e: e.prediction({"a": nested(29)}),
    "brackets in a text": lambda e: e.prediction({"a": "[" * 100}),
    "the largest": lambda e: e.prediction({"a": "x" * (MAX_BYTES - 200)}),
    "whole milliseconds of NumPy": lambda e: e.prediction({}, timestamp=np.int64(1772434693412)),
    "a time of pandas": lambda e: e.prediction({}, timestamp=pd.Timestamp(NOW)),
    "another zone": lambda e: e.prediction(
        {}, timestamp=NOW.astimezone(timezone(timedelta(hours=9)))
    ),
    "a minute ahead": lambda e: e.prediction(
        {}, timestamp=datetime.now(UTC) + timedelta(minutes=1)
    ),
    "a label by id": lambda e: e.label("a", "yes"),
    "a label with a prediction": lambda e: e.label(label="yes", prediction="no"),
    "a label with a score": lambda e: e.label(label=0, score=0.5),
    "a loss": lambda e: e.label(loss=0.5),
    "a status nobody knows": lambda e: e.prediction({}, status="OK"),
    "a feature event": lambda e: e.feature({"age": 7}, feature_timestamp=NOW),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_leeway_could_not_read_is_refused_with_its_reason(case: str) -> None:
    call, reason = REFUSED[case]
    sent = Sent(call)
    assert sent.counts.dropped == {reason: 1}
    assert (sent.counts.sent, sent.counts.delivered, sent.records) == (1, 0, [])


@pytest.mark.parametrize("case", REFUSED)
def test_a_strict_emitter_raises_what_another_one_counts(case: str) -> None:
    call, reason = REFUSED[case]
    with Producers().emitter(strict=True) as emitter, pytest.raises(InvalidEvent) as raised:
        call(emitter)
    assert raised.value.reason == reason.removeprefix("invalid:") or "impossible id" in case


@pytest.mark.parametrize("case", GOOD)
def test_what_leeway_can_read_is_sent(case: str) -> None:
    sent = Sent(GOOD[case])
    assert (sent.counts.delivered, sent.counts.lost) == (1, 0)
    topic, value, _ = sent.records[0]
    assert why_dead(topic, value, sent.event["timestamp"]) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.prediction({}, status="OK"),
        lambda e: e.prediction({}, latency_ms=-1),
        lambda e: e.prediction({}, latency_ms="12"),
        lambda e: e.prediction({}, model_version="a b"),
        lambda e: e.prediction({}, prediction=["yes"]),
        lambda e: e.prediction({}, scores={"yes": "0.5"}),
        lambda e: e.prediction({"": 1}),
        lambda e: e.prediction({"a": {"b": 1}}),
        lambda e: e.prediction({"a": 1j}),
        lambda e: e.prediction({}, event_id="x" * 257),
        lambda e: e.prediction({}, tags=["DE"]),
        lambda e: e.prediction({}, feature_timestamp=datetime(2026, 3, 2)),  # noqa: DTZ001
        lambda e: e.label("a", ["yes"]),
    ],
)
def test_only_a_strict_emitter_minds_a_field(call: Callable[[Emitter], object]) -> None:
    assert Sent(call).counts.delivered == 1
    with Producers().emitter(strict=True) as emitter, pytest.raises(InvalidEvent):
        call(emitter)


@pytest.mark.parametrize("event_id", ["", "x" * 257, "\ud800", 1.5, True, object(), b"a"])
def test_an_id_that_cannot_be_one_is_replaced_and_counted(event_id: Any) -> None:
    sent = Sent(lambda emitter: emitter.prediction({}, event_id=event_id))
    assert uuid.UUID(sent.event["event_id"]).version == 7
    assert sent.answer == sent.event["event_id"]
    assert sent.counts.fields == {"event_id": 1}


class Evil(dict[str, object]):
    """A mapping that breaks when it is looked at."""

    def items(self) -> Any:
        raise RuntimeError("broken")

    def __iter__(self) -> Any:
        raise RuntimeError("broken")

    keys = values = items


def test_a_caller_is_spared_every_exception() -> None:
    class Broken:
        def to_dict(self) -> object:
            raise RuntimeError("broken")

    sent = Sent(lambda emitter: emitter.prediction(Broken()))
    assert sent.counts.dropped == {"error": 1}
    assert isinstance(sent.answer, str)


ANYTHING = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
        *(st.decimals(), st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.binary()),
        *(st.floats(width=32).map(np.float32), st.integers(-128, 127).map(np.int8), st.dates()),
        st.sampled_from(
            [pd.NA, pd.NaT, 1j, object(), len, "\ud800", b"\xff", 2**64, 10**400, Evil(a=1)]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(
            st.one_of(st.text(max_size=4), st.integers(), st.none()), inner, max_size=3
        ),
    ),
    max_leaves=6,
)
NAMED = {
    kind: names.split()
    for kind, names in {
        "prediction": "prediction score scores latency_ms status tags event_id timestamp "
        "feature_timestamp model_version",
        "feature": "entity_id tags timestamp feature_timestamp model_version",
        "label": "event_id label loss prediction score prediction_timestamp label_confidence "
        "features tags timestamp model_version",
    }.items()
}
LIKELY = {
    "timestamp": st.sampled_from([1772434693412, NOW, "2026-03-02T07:00:00Z"]),
    "event_id": st.sampled_from(["a", 7]),
}


@given(data=st.data(), kind=st.sampled_from(sorted(NAMED)))
@settings(max_examples=300)
def test_any_arguments_give_an_event_leeway_reads_or_a_counted_refusal(
    data: st.DataObject, kind: str
) -> None:
    likely = data.draw(st.booleans())
    given_ = {
        name: data.draw(LIKELY.get(name, ANYTHING) if likely else ANYTHING)
        for name in data.draw(st.lists(st.sampled_from(NAMED[kind]), unique=True))
    }
    features = data.draw(st.one_of(st.dictionaries(st.text(max_size=4), ANYTHING), ANYTHING))
    if kind != "label":
        given_["features"] = features
    sent = Sent(lambda emitter: getattr(emitter, kind)(**given_))
    assert sent.counts.sent == 1 == sent.counts.delivered + sent.counts.lost
    for topic, value, key in sent.records:
        event = json.loads(value)
        at_ms = int(datetime.now(UTC).timestamp() * 1000)
        assert why_dead(topic, value, at_ms) is None
        assert key == event.get("entity_id" if kind == "feature" else "event_id")


@given(st.one_of(st.integers(), st.datetimes(timezones=st.timezones()), st.text(), ANYTHING))
def test_times_are_read_as_leeway_reads_them(raw: Any) -> None:
    try:
        found: object = to_ms(raw)
    except InvalidEvent as defect:
        found = defect.reason
    if isinstance(raw, datetime):
        raw = raw.isoformat() if not pd.isna(raw) else "NaT"
        if isinstance(found, str):
            return  # another reason for the same defect
    try:
        time = parse_time(raw, "ms")
        wanted: object = as_ms(time) if isinstance(time, datetime) else time
    except InvalidEvent as defect:
        wanted = defect.reason
    if isinstance(wanted, int):
        assert found == wanted
    elif not isinstance(raw, np.integer):
        assert isinstance(found, str)


# ------------------------------------------------------------------------------- what waits and is lost


def waiting(emitter: Emitter, producers: Producers) -> Any:
    """The client of an emitter that nobody answers."""
    emitter.prediction({})
    until(lambda: emitter.counts.delivered == 1)
    client = producers.made[-1]
    client.reachable = False
    return client


def test_a_full_queue_drops_the_newest_and_counts_them() -> None:
    producers = Producers()
    emitter = producers.emitter(limits=Limits(events=10))
    waiting(emitter, producers)
    for _ in range(25):
        emitter.prediction({})
    counts = emitter.counts
    assert (counts.sent, counts.delivered, counts.waiting) == (26, 1, 10)
    assert counts.dropped == {"queue_full": 15}
    emitter.close(0)
    assert emitter.counts.dropped == {"delivery_failed": 10, "queue_full": 15}
    assert emitter.counts.waiting == 0


@pytest.mark.parametrize(
    ("limits", "kept"), [(Limits(events=10), 10), (Limits(bytes=1_000), 7)], ids=["events", "bytes"]
)
def test_while_the_client_is_being_made_events_wait_within_the_limits(
    limits: Limits, kept: int
) -> None:
    producers, may_go_on = Producers(), threading.Event()

    def slow(properties: dict[str, Any]) -> Any:
        if producers.made:
            may_go_on.wait(20)
        return producers(properties)

    emitter = producers.emitter(producer=slow, limits=limits)
    for _ in range(20):
        emitter.prediction({"i": "x"}, timestamp=NOW - timedelta(days=1))
    assert (emitter.counts.waiting, emitter.counts.dropped) == (kept, {"queue_full": 20 - kept})
    may_go_on.set()
    emitter.close()
    assert emitter.counts.delivered == kept == len(producers.records)


def test_what_comes_after_the_end_is_lost_and_counted() -> None:
    producers = Producers()
    with producers.emitter() as emitter:
        emitter.prediction({})
    emitter.prediction({})
    emitter.close()
    assert emitter.counts.dropped == {"closed": 1}
    assert emitter.counts.delivered == 1


def test_a_client_that_broke_for_good_is_replaced() -> None:
    producers = Producers()
    emitter = producers.emitter()
    client = waiting(emitter, producers)
    emitter.prediction({"before": 1})
    client.refuses = KafkaError(KafkaError._FATAL)
    emitter.prediction({"refused": 1})
    until(lambda: len(producers.made) == 3)
    emitter.prediction({"after": 1})
    emitter.close()
    assert emitter.counts.dropped == {"delivery_failed": 2}
    assert producers.events[-1]["features"] == {"after": 1}
    assert emitter.counts.delivered == 2


def test_counts_add_up_whatever_threads_do() -> None:
    producers = Producers()
    emitter = producers.emitter(limits=Limits(events=500))
    stop = threading.Event()

    def send() -> None:
        for i in range(2_000):
            emitter.prediction({"i": i}, timestamp=None if i % 5 else 1)

    def look() -> None:
        while not stop.is_set():
            counts = emitter.counts
            assert counts.sent == counts.delivered + counts.waiting + counts.lost
            assert counts.waiting >= 0

    threads = [threading.Thread(target=send) for _ in range(4)]
    looking = threading.Thread(target=look)
    for thread in (*threads, looking):
        thread.start()
    until(lambda: len(producers.made) > 1)
    producers.made[1].reachable = False
    for thread in threads:
        thread.join()
    stop.set()
    looking.join()
    emitter.close(0)
    counts = emitter.counts
    assert counts.sent == 8_000 == counts.delivered + counts.lost
    assert counts.dropped["invalid:timestamp_unit"] == 1_600
    assert len(producers.records) == counts.delivered


def test_one_line_says_how_many_were_lost_and_none_says_what(
    caplog: pytest.LogCaptureFixture,
) -> None:
    producers = Producers()
    with producers.emitter() as emitter:
        for _ in range(100):
            emitter.prediction({"income": "secret"}, timestamp="secret")
        emitter.prediction({})
        until(lambda: caplog.records)
    assert len(caplog.records) == 1
    assert "invalid:timestamp_type 100" in caplog.text
    assert "secret" not in caplog.text


# ------------------------------------------------------------------------------- how it is used


def test_a_timed_call_sends_its_latency_and_what_was_set() -> None:
    def call(emitter: Emitter) -> str:
        with emitter.timed({"income": 1}, tags={"country": "DE"}, model_version="2.0.0") as seen:
            seen.prediction = "yes"
        return seen.event_id

    sent = Sent(call)
    assert sent.event["event_id"] == sent.answer
    assert sent.event["latency_ms"] >= 0
    assert {k: sent.event.get(k) for k in ("prediction", "tags", "model_version", "status")} == {
        "prediction": "yes",
        "tags": {"country": "DE"},
        "model_version": "2.0.0",
        "status": None,
    }


@pytest.mark.parametrize(
    ("raised", "status"),
    [(ValueError, "error"), (TimeoutError, "timeout"), (asyncio.CancelledError, "timeout")],
)
def test_a_timed_call_that_fails_is_sent_as_a_failure_and_raises(
    raised: type[BaseException], status: str
) -> None:
    def call(emitter: Emitter) -> None:
        with pytest.raises(raised), emitter.timed({}):
            raise raised

    assert Sent(call).event["status"] == status


def test_a_timed_call_of_a_process_that_ends_sends_nothing() -> None:
    def call(emitter: Emitter) -> None:
        with pytest.raises(KeyboardInterrupt), emitter.timed({}):
            raise KeyboardInterrupt

    assert Sent(call).counts.sent == 0


def test_counts_are_shown_to_prometheus_by_model_and_reason() -> None:
    registry, producers = CollectorRegistry(auto_describe=True), Producers()
    one = producers.emitter(registry=registry)
    other = producers.emitter(registry=registry, model_id="other")
    one.prediction({})
    one.prediction({}, timestamp=1)
    for emitter in (one, other):
        emitter.close()
    text = generate_latest(registry).decode()
    assert 'leeway_emitter_sent_total{model="m"} 2.0' in text
    assert 'leeway_emitter_delivered_total{model="m"} 1.0' in text
    assert 'leeway_emitter_sent_total{model="other"} 0.0' in text
    assert 'leeway_emitter_dropped_total{model="m",reason="invalid:timestamp_unit"} 1.0' in text
    assert text.count("# TYPE leeway_emitter_sent_total") == 1


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"model_id": "my model"}, "model_id: expected letters"),
        ({"model_version": ""}, "model_version: expected letters"),
        ({"topics": {"prediction": "a"}}, "topics: prediction is none of"),
        ({"kafka": {"linger.msx": 5}}, 'kafka: No such configuration property: "linger.msx"'),
    ],
)
def test_a_wrong_setting_is_said_at_once(settings_: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Emitter("nowhere:9092", **({"model_id": "m"} | settings_))


def test_importing_it_brings_none_of_leeways_own_weight() -> None:
    """Beside the standard library: Kafka's client and msgspec, so that `--no-deps` and these two are enough."""
    script = (
        "import sys; before = set(sys.modules); import streams.client; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = {name for name in done.stdout.split() if name not in sys.stdlib_module_names}
    assert ours - {"cimpl", "typing_extensions"} == {"confluent_kafka", "msgspec", "streams"}


def run(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_child_process_counts_from_nothing_and_leaves_the_parents_events_alone() -> None:
    """A real client on an address where nobody answers: freeing it in the child would hang or crash."""
    script = """
import os, sys
from streams.client import Emitter, Limits
from datetime import timedelta
emitter = Emitter("127.0.0.1:9", model_id="m", limits=Limits(at_exit=timedelta(seconds=0.1)))
emitter.prediction({})
emitter.flush(0.1)
pid = os.fork()
if pid:
    _, status = os.waitpid(pid, 0)
    print("parent", emitter.counts.sent, os.waitstatus_to_exitcode(status))
else:
    before = emitter.counts.sent
    emitter.prediction({})
    emitter.prediction({})
    print("child", before, emitter.counts.sent, flush=True)
    sys.exit(7)
"""
    done = run(script)
    assert done.stdout.split("\n")[:2] == ["child 0 2", "parent 1 7"], done.stderr


def test_a_fork_waits_for_a_client_that_is_about_to_connect() -> None:
    """A thread that looks up an address meanwhile would leave its lock to a child that can never open it."""
    script = """
import os, threading
from streams.client import Emitter
made = []
class Client:
    def __init__(self, properties): made.append(threading.Event().wait(0.1))
    def produce(self, *_): pass
    def poll(self, _): threading.Event().wait(0.01)
    def flush(self, _): return 0
    def purge(self): pass
    def __len__(self): return 0
emitter = Emitter("127.0.0.1:9", model_id="m", producer=Client)
for _ in range(2):
    emitter.prediction({})
    if pid := os.fork():
        os.waitpid(pid, 0)
    else:
        print(len(made), flush=True)
        os._exit(0)
"""
    done = run(script)
    assert done.stdout.split() == ["2", "2"], done.stderr  # one to try the properties, one to send
