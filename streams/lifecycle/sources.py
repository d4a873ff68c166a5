"""Where do a model's events come from, and where in them is what?"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from streams.lifecycle import written
from streams.lifecycle.mistakes import Wrong, shown
from streams.lifecycle.written import Filter, Length, Section, TopicName, word

_DAY = timedelta(days=1)

PREDICTION_FIELDS = (
    "model_id",
    "timestamp",
    "event_id",
    "model_version",
    "features",
    "feature_timestamp",
    "prediction",
    "score",
    "scores",
    "latency_ms",
    "status",
    "tags",
)
FEATURE_FIELDS = (
    "model_id",
    "timestamp",
    "model_version",
    "features",
    "feature_timestamp",
    "entity_id",
    "tags",
)
LABEL_FIELDS = (
    "model_id",
    "timestamp",
    "event_id",
    "model_version",
    "prediction",
    "score",
    "scores",
    "tags",
    "label",
    "loss",
    "label_confidence",
    "prediction_timestamp",
)


class Source(Section):
    """A topic and where its events keep our fields; `topic` None is the default topic."""

    topic: TopicName | None = None
    """where these events come from; none: `leeway.predictions`, `leeway.features` or `leeway.labels`
    """
    fields: dict[str, written.Field] = Field(default={})
    """where your events keep our fields; `$key`, `$timestamp`, `$headers.NAME`, `{const: X}` work,
    too. `entity_id` is not read yet; `event_id`, `latency_ms` and `feature_timestamp` are read
    where their path is nothing but keys"""
    filter: Filter = ()
    """only events that have all these values count"""
    timestamp_unit: Annotated[
        Literal["ms", "s", "us", "ns"],
        word(["ms", "s", "us", "ns"], "a unit of time", "ms, s, us or ns"),
    ] = "ms"
    """of numbers; a wrong unit is named in the dead letter, not guessed"""
    format: Annotated[
        Literal["json", "cloudevents", "avro", "json-schema"],
        word(["json", "cloudevents", "avro", "json-schema"], "a format"),
    ] = "json"
    """[how they are packed](messages.md#other-formats); avro and json-schema need
    `schema_registry.url` in `leeway.yaml`. Where lifecycles that share a topic differ, each record
    is read as what it is"""


class Join(Section):
    """How long a prediction waits for its label."""

    window: Length = 60 * _DAY
    """how long a prediction waits for its label. `join: false`: every label says what was predicted
    (`prediction` or `score`) or is a `loss`, and nothing waits"""


def _or_false(noun: str, expected: str) -> BeforeValidator:
    """Reads ``false`` as None, which nothing else may be written for."""

    def read(value: object) -> object:
        if value is False:
            return None
        if value is None or value is True:
            raise Wrong(shown(value), f"is not a {noun}", f"{expected}, or false")
        return value

    return BeforeValidator(read)


def _document(part: Section | None) -> object:
    return part.model_dump(mode="json", by_alias=True, exclude_defaults=True) if part else False


_Source = Annotated[
    Source | None,
    _or_false("source", "a mapping with topic, fields, filter, …"),
    PlainSerializer(_document),
]
_Join = Annotated[
    Join | None,
    _or_false("join", "a mapping with window"),
    PlainSerializer(_document),
]


class Sources(Section):
    """The topics the model's events come from; None is a kind of event that is not read.

    `join` None: every label names what was predicted, and waits for no prediction.
    """

    predictions: _Source = Source()
    features: _Source = None
    labels: _Source = None
    join: _Join = Join()
