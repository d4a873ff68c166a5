"""What is in a lifecycle? The root model with everything that is not monitoring or retraining (contracts 2.1)."""

import hashlib
import json
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, model_validator

from streams.lifecycle import written
from streams.lifecycle.mistakes import Wrong, shown
from streams.lifecycle.monitoring import Monitoring
from streams.lifecycle.retraining import Retirement, Retraining, Versioning
from streams.lifecycle.written import (
    Bins,
    Boolean,
    Count,
    Date,
    FeatureName,
    Filter,
    Label,
    Labels,
    Length,
    MaxValues,
    ModelId,
    Nullable,
    Number,
    Path,
    Positive,
    Range,
    Section,
    Text,
    Texts,
    TimeZone,
    TopicName,
    Version,
    word,
)

_DAY = timedelta(days=1)
MODEL_TYPES = (
    "Classification",
    "Regression",
    "Ranking",
    "Recommendation",
    "Forecasting",
    "Anomaly",
    "Embedding",
    "LLM",
    "Other",
)


class Metadata(Section):
    """Who owns the model, what it is for and where it comes from."""

    purpose: Text | None = None
    owner: Text | None = None
    deployed_date: Date | None = None
    framework: Text | None = None
    model_type: Annotated[str, word(list(MODEL_TYPES), "a model type")] = "Other"
    training_data_snapshot: Text | None = None


class Costs(Section):
    """What mistakes cost; `over` and `under` are those of a number that is predicted too high or too low."""

    false_positive: Number | None = None
    false_negative: Number | None = None
    over: Number | None = None
    under: Number | None = None
    unit: Text | None = None
    unacceptable: Texts = ()


class Prediction(Section):
    """The prediction contract: what comes out, what is positive, who decides with it."""

    target: Text | None = None
    classes: Labels = ()
    positive: Label | None = None
    score_range: Range = (0.0, 1.0)
    entity: Text | None = None
    decision_owner: Text | None = None
    serving: Text | None = None
    fallback: Text | None = None
    review: Text | None = None
    costs: Costs | None = None


class Scaling(Section):
    """How many instances serve the model."""

    min_instances: Count | None = None
    max_instances: Positive | None = None
    auto_scale_metric: Text | None = None


def _environment(value: object) -> str:
    name = written.text_or_number(value)
    return "Production" if name.strip().lower() == "production" else name


class Deployment(Section):
    """Where the model runs; only ``Production`` may page."""

    environment: Annotated[str, PlainValidator(_environment)] = "Production"
    endpoint: Text | None = None
    infrastructure: Text | None = None
    scaling_config: Scaling = Scaling()


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
    fields: dict[str, written.Field] = Field(default={})
    filter: Filter = ()
    timestamp_unit: Annotated[
        Literal["ms", "s", "us", "ns"],
        word(["ms", "s", "us", "ns"], "a unit of time", "ms, s, us or ns"),
    ] = "ms"
    format: Annotated[
        Literal["json", "cloudevents", "avro", "json-schema"],
        word(["json", "cloudevents", "avro", "json-schema"], "a format"),
    ] = "json"


class Join(Section):
    """How long a prediction waits for its label."""

    window: Length = 60 * _DAY


def _source(value: object) -> object:
    if value is False:
        return None
    if value is None or value is True:
        raise Wrong(
            shown(value), "is not a source", "a mapping with topic, fields, filter, …, or false"
        )
    return value


_Source = Annotated[
    Source | None,
    BeforeValidator(_source),
    PlainSerializer(
        lambda source: (
            False
            if source is None
            else source.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        )
    ),
]


def _join(value: object) -> object:
    if value is False:
        return None
    if value is None or value is True:
        raise Wrong(shown(value), "is not a join", "a mapping with window, or false")
    return value


_Join = Annotated[
    Join | None,
    BeforeValidator(_join),
    PlainSerializer(
        lambda join: (
            False
            if join is None
            else join.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        )
    ),
]


class Sources(Section):
    """The topics the model's events come from; None is a kind of event that is not read.

    `join` None: every label names what was predicted, and waits for no prediction.
    """

    predictions: _Source = Source()
    features: _Source = None
    labels: _Source = None
    join: _Join = Join()


FEATURE_TYPES = ("number", "integer", "category", "boolean", "text", "vector")
Role = Literal["input", "operational", "business", "analysis"]


class Feature(Section):
    """One declared feature. `path` None: the member of that name in the event's `features`."""

    type: Annotated[
        Literal["number", "integer", "category", "boolean", "text", "vector"],
        word(list(FEATURE_TYPES), "a feature type"),
    ]
    path: Path | None = None
    from_: Annotated[
        Literal["predictions", "features"],
        word(["predictions", "features"], "a source of features"),
    ] = Field(default="predictions", alias="from")
    range: Range | None = None
    allowed: Labels | None = None
    nullable: Nullable = True
    freshness: Length | None = None
    unit: Text | None = None
    role: Annotated[Role, word(["input", "operational", "business", "analysis"], "a role")] = (
        "input"
    )
    importance: Number | None = None
    min_effect: Number | None = None
    description: Text | None = None
    source: Text | None = None
    transformation: Text | None = None
    leakage: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _type_alone(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value


class Segment(Section):
    """A grouping of events; `path` None: the tag of that name. `by` names the groupings it combines."""

    name: Text
    path: Path | None = None
    max_values: MaxValues = 50
    by: tuple[Text, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "by" in value and "name" not in value:
            by = value["by"]
            if (
                not isinstance(by, list)
                or len(by) < 2
                or not all(isinstance(each, str) for each in by)
            ):
                raise Wrong(
                    shown(by), "is not a combination", "two or more names of segments", at=("by",)
                )
            if len(set(by)) != len(by):
                raise Wrong("", "names a segment twice", "each name once", at=("by",))
            return {**value, "by": sorted(by), "name": ",".join(sorted(by))}
        return value


class ReferenceSettings(Section):
    """What the present is compared with. `bins` None: 10, or 20 where windows have 2,000 rows or more."""

    id: Text | None = None
    from_: Annotated[
        Literal["training", "production"], word(["training", "production"], "a kind of reference")
    ] = Field(default="training", alias="from")
    bins: Bins | None = None
    season: Annotated[
        Literal["none", "hour_of_day", "hour_of_week"],
        word(["none", "hour_of_day", "hour_of_week"], "a season"),
    ] = "none"
    timezone: TimeZone = "UTC"
    max_age: Length = 180 * _DAY
    min_events: Positive = 10_000


class Privacy(Section):
    """Which features are personal, and whether values may be shown."""

    pii: Texts = ()
    show_values: Boolean = False


FORMAT = 1


class Lifecycle(Section):
    """A model's lifecycle file, checked and with all defaults filled in. Immutable."""

    called: ClassVar[str] = "model_lifecycle"  # by a mistake that names it

    model_id: ModelId
    model_name: Text
    version: Version
    metadata: Metadata = Metadata()
    prediction: Prediction | None = None
    deployment: Deployment = Deployment()
    source: Sources = Sources()
    features: dict[FeatureName, Feature] = Field(default={})
    segments: tuple[Segment, ...] = ()
    reference: ReferenceSettings = ReferenceSettings()
    monitoring: Monitoring = Monitoring()
    retraining: Retraining = Retraining()
    versioning: Versioning = Versioning()
    retirement: Retirement = Retirement()
    privacy: Privacy = Privacy()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: Any) -> Any:
        """The name is the id, and features that come from `features` need that source, unless otherwise written."""
        if not isinstance(value, dict):
            return value
        filled = dict(value)
        model_id = filled.get("model_id")
        filled.setdefault("model_name", model_id if isinstance(model_id, str) else "unnamed")
        features, source = filled.get("features"), filled.get("source", {})
        declared = features.values() if isinstance(features, dict) else ()
        wanted = any(isinstance(each, dict) and each.get("from") == "features" for each in declared)
        if wanted and isinstance(source, dict) and "features" not in source:
            filled["source"] = {**source, "features": {}}
        return filled

    def normalised(self) -> dict[str, Any]:
        """The file as plain data: values in one form each, what equals its default left out."""
        document = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        # pydantic leaves None in where a field has a serializer of its own
        if "monitoring" in document:
            document["monitoring"] = _without_nulls(document["monitoring"])
        return document

    @cached_property
    def revision(self) -> str:
        """First 12 hex digits of SHA-256 over the normalised file as canonical JSON.

        Files that say the same in other words, or with keys in another order, have the same revision.
        """
        canonical = _json(self.normalised(), sort_keys=True)
        return hashlib.sha256(canonical).hexdigest()[:12]

    def to_json(self) -> bytes:
        """The normalised file with its revision, features in the order of the file."""
        document = {
            "format": FORMAT,
            "revision": self.revision,
            "model_lifecycle": self.normalised(),
        }
        return _json(document, sort_keys=False)


def _json(document: Any, *, sort_keys: bool) -> bytes:
    return json.dumps(
        document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys
    ).encode()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value
