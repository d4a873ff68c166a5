"""What is in a lifecycle? The whole of it, and what it says of the model itself (contracts 2.1)."""

import hashlib
import json
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, model_validator

from streams.lifecycle import written
from streams.lifecycle.inputs import Feature, ReferenceSettings, Segment
from streams.lifecycle.monitoring import Monitoring
from streams.lifecycle.retraining import Retirement, Retraining, Versioning
from streams.lifecycle.sources import Sources
from streams.lifecycle.written import (
    Boolean,
    Count,
    Date,
    FeatureName,
    Filled,
    Label,
    Labels,
    ModelId,
    Number,
    Positive,
    Range,
    Section,
    Text,
    Texts,
    Version,
    form,
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
    """what the model is for; missing: a notice"""
    owner: Text | None = None
    """on every alert and trigger; missing: a notice"""
    deployed_date: Date | None = None
    """`monitoring.window.grace` begins at its 00:00 UTC"""
    framework: Text | None = None
    """for people; missing: a notice"""
    model_type: Annotated[str, word(list(MODEL_TYPES), "a model type")] = "Other"
    """which wordings make sense: `leeway check` holds them to it"""
    training_data_snapshot: Text | None = None
    """travels in every trigger"""


class Costs(Section):
    """What mistakes cost; `over` and `under` are those of a number that is predicted too high or too low."""

    false_positive: Number | None = None
    """what taking a negative for a positive costs; this with the next one (and `positive`) gives the
    metric `cost`, the mean per prediction in this currency"""
    false_negative: Number | None = None
    """what taking a positive for a negative costs"""
    over: Number | None = None
    """what a unit of a number too much costs; this with the next one gives `cost` for regressions
    """
    under: Number | None = None
    """what a unit too little costs"""
    unit: Text | None = None
    """their currency. Open `performance` and `concept_drift` say what 1,000 predictions cost more than
    in the reference"""
    unacceptable: Texts = ()
    """mistakes nobody may make: shown on the model's page"""


class Prediction(Section):
    """The prediction contract: what comes out, what is positive, who decides with it."""

    target: Text | None = None
    """what is predicted; this and the texts below are shown on the model's page in the console"""
    classes: Labels = ()
    """the outputs there are; its type says how `prediction` is read"""
    positive: Label | None = None
    """whose entry of `scores` is the score"""
    score_range: Range = (0.0, 1.0)
    """a score outside is counted as a `range` violation and binned as it is"""
    entity: Text | None = None
    """about whom or what"""
    decision_owner: Text | None = None
    """who decides with it"""
    serving: Text | None = None
    """how it is asked for, and how fast it has to answer"""
    fallback: Text | None = None
    """what happens where it does not answer"""
    review: Text | None = None
    """when people look at decisions again"""
    costs: Costs | None = None


class Scaling(Section):
    """How many instances serve the model."""

    min_instances: Count | None = None
    """the least there are; shown on the model's page"""
    max_instances: Positive | None = None
    """the most there are; shown on the model's page"""
    auto_scale_metric: Text | None = None
    """what decides between the two; shown on the model's page"""


def _environment(value: object) -> str:
    name = written.text_or_number(value)
    return "Production" if name.strip().lower() == "production" else name


class Deployment(Section):
    """Where the model runs; only ``Production`` may page."""

    environment: Annotated[str, PlainValidator(_environment), form("text", "string")] = "Production"
    """only `Production` may page: elsewhere severity stops at warning"""
    endpoint: Text | None = None
    """where it answers; shown on the model's page"""
    infrastructure: Text | None = None
    """what it runs on; shown on the model's page"""
    scaling_config: Scaling = Scaling()


class Privacy(Section):
    """Which features are personal, and whether values may be shown."""

    pii: Texts = ()
    """their values are never quoted: pages, pictures and reports number their bins, as alerts do for
    all features"""
    show_values: Boolean = False
    """alerts number bins either way in this release"""


FORMAT = 1


class Lifecycle(Section):
    """A model's lifecycle file, checked and with all defaults filled in. Immutable."""

    called: ClassVar[str] = "model_lifecycle"  # by a mistake that names it

    model_id: ModelId
    """identity, and the key of nearly every record"""
    model_name: Annotated[Text, Filled("the id")]
    """for people: alerts, triggers, the console"""
    version: Version
    """the version deployed now; a patch release (`2.3.1`, `2.3.2`) shares its reference"""
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
