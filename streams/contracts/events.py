"""What may producers send? The input events of contracts §1.1, as types that JSON Schemas are made of.

No event is ever decoded by these: `streams.profiling.reading` compiles a decoder for each lifecycle, takes names from
wherever it says, and forgives a field what would make the whole event invalid here. These say what a producer should
send who uses our names, and nothing stops him from sending more.
"""

from typing import Annotated, Any, Literal

import msgspec

ModelId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Whose event it is; `{const: X}` in the lifecycle where a topic is one model's.",
    ),
]
Version = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
EventId = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=256,
        description="The key of the join: of a label, that of its prediction.",
    ),
]
Text = Annotated[
    str,
    msgspec.Meta(
        description="RFC 3339 with `Z` or an offset.", extra_json_schema={"format": "date-time"}
    ),
]
Time = int | Text
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Scalar = str | bool | int | float
Value = Scalar | list[float] | None
Features = Annotated[
    dict[str, Value],
    msgspec.Meta(
        description="By name: number, text, boolean or null; a list of numbers for a vector."
    ),
]
Tags = Annotated[
    dict[str, Scalar | None], msgspec.Meta(description="Where segments are looked up by default.")
]
Moments = Annotated[
    Time | dict[str, Time | None],
    msgspec.Meta(
        description="When the features were known, all of them or each by name: freshness is `timestamp` minus this."
    ),
]


class _Event(msgspec.Struct, kw_only=True):
    timestamp: Annotated[
        Time,
        msgspec.Meta(
            description="Event time: an integer in `timestamp_unit` (milliseconds), or RFC 3339 text; 1971 to 2099."
        ),
    ]
    model_version: Annotated[
        Version | None, msgspec.Meta(description="Which version answered; text.")
    ] = None
    tags: Tags | None = None


class Prediction(_Event, kw_only=True):
    """A model answered once: what it was given, what it said, how it went (leeway.predictions)."""

    model_id: ModelId
    event_id: EventId | None = None
    features: Features | None = None
    feature_timestamp: Moments | None = None
    prediction: Annotated[
        Scalar | None, msgspec.Meta(description="Read when `status` is ok or fallback.")
    ] = None
    score: Annotated[
        float | None, msgspec.Meta(description="Probability of the positive class.")
    ] = None
    scores: Annotated[dict[str, float] | None, msgspec.Meta(description="By class.")] = None
    latency_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    status: Annotated[
        Literal["ok", "error", "timeout", "fallback"] | None,
        msgspec.Meta(description="How it went; absent: ok."),
    ] = None


class Feature(_Event, kw_only=True):
    """Features were computed, apart from any prediction (leeway.features)."""

    model_id: ModelId
    features: Features
    feature_timestamp: Moments | None = None
    entity_id: Annotated[
        str | None, msgspec.Meta(description="A good record key; it is not read and not stored.")
    ] = None


class Label(_Event, kw_only=True):
    """A truth, or feedback, became known (leeway.labels).

    It is self-contained with `model_id` and either `loss`, or `label` with `prediction` or `score`; any other needs
    the `event_id` of the prediction that it is joined to.
    """

    model_id: ModelId | None = None
    event_id: EventId | None = None
    features: Features | None = None
    prediction: Scalar | None = None
    score: float | None = None
    scores: dict[str, float] | None = None
    label: Annotated[Scalar | None, msgspec.Meta(description="The truth.")] = None
    loss: Annotated[
        Probability | None,
        msgspec.Meta(description="0 good to 1 bad: feedback where there is no truth."),
    ] = None
    label_confidence: Annotated[
        Probability | None,
        msgspec.Meta(description="Below `monitoring.labels.min_confidence` it is not used."),
    ] = None
    prediction_timestamp: Annotated[
        Time | None, msgspec.Meta(description="When it was predicted; gives the lag.")
    ] = None


class Outcome(_Event, kw_only=True):
    """A prediction with its truth, as the joiner found them: a self-contained label event (leeway.outcomes).

    A correction takes the former outcome back with weight -1; the sum of the weights is the truth as known now.
    """

    event_id: EventId
    model_id: ModelId
    label: Annotated[Any, msgspec.Meta(description="The truth as it was written.")]
    weight: Literal[1, -1]
    label_confidence: Any = None
    prediction_timestamp: int | None = None
    prediction: Any = None
    score: Any = None
    scores: Any = None
    features: dict[str, Any] | None = None
    tags: dict[str, Any] | None = None
