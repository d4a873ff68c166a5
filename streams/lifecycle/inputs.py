"""What goes into a model, how is it grouped, and what is it compared with?"""

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from streams.lifecycle.mistakes import Wrong, shown
from streams.lifecycle.written import (
    Bins,
    Filled,
    Labels,
    Length,
    MaxValues,
    Nullable,
    Number,
    Path,
    Positive,
    Range,
    Section,
    Text,
    TimeZone,
    word,
)

_DAY = timedelta(days=1)
FEATURE_TYPES = ("number", "integer", "category", "boolean", "text", "vector")
Role = Literal["input", "operational", "business", "analysis"]


class Feature(Section):
    """One declared feature. `path` None: the member of that name in the event's `features`."""

    alone: ClassVar[str | None] = "type"

    type: Annotated[
        Literal["number", "integer", "category", "boolean", "text", "vector"],
        word(list(FEATURE_TYPES), "a feature type"),
    ]
    """alone it is enough: `age: integer`; what is watched of [texts, vectors and
    identifiers](#texts-vectors-and-identifiers)"""
    path: Path | None = None
    """where in the event; none: the member of that name in `features`"""
    from_: Annotated[
        Literal["predictions", "features"],
        word(["predictions", "features"], "a source of features"),
    ] = Field(default="predictions", alias="from")
    """which events carry it"""
    range: Range | None = None
    """outside: counted as a `range` violation, binned as it is"""
    allowed: Labels | None = None
    """of a category; another one is counted as a `category` violation and binned as it is"""
    nullable: Nullable = True
    """how much may be missing: beyond a written share it is a break of the data; with true only a rise
    over the reference is"""
    freshness: Length | None = None
    """how old a value may be, by the event's `feature_timestamp`"""
    unit: Text | None = None
    """of its numbers; under its distributions, too"""
    role: Annotated[Role, word(["input", "operational", "business", "analysis"], "a role")] = (
        "input"
    )
    """only `input` is watched for drift. The mean of an operational or business one can have a line in
    `performance_metrics`, and breaking it is a problem of that kind; `analysis` is not held to data
    quality either"""
    importance: Number | None = None
    """shown on the [page of the feature](console.md)"""
    min_effect: Number | None = None
    """the smallest effect that matters for this feature, in place of `threshold`, in the effect of its
    [method](#methods-by-name)"""
    description: Text | None = None
    """for people; this and the texts below are shown on the [page of the feature](console.md)"""
    source: Text | None = None
    """where it comes from"""
    transformation: Text | None = None
    """how it is made of that"""
    leakage: Text | None = None
    """what keeps it from knowing the truth"""

    @model_validator(mode="before")
    @classmethod
    def _type_alone(cls, value: Any) -> Any:
        return {cls.alone: value} if isinstance(value, str) else value


class Segment(Section):
    """A grouping of events; `path` None: the tag of that name. `by` names the groupings it combines."""

    alone: ClassVar[str | None] = "name"

    name: Annotated[Text, Filled("required")]  # but for a combination
    """a tag; each value that the reference knows is watched by itself, as `NAME=VALUE`"""
    path: Path | None = None
    """where the value is; none: `tags.NAME`"""
    max_values: MaxValues = 50
    """the most frequent values of the reference; the rest is `(other)`"""
    by: tuple[Text, ...] = ()
    """a combination of groupings instead of a name"""

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {cls.alone: value}
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
    """which reference; none: the one registered last"""
    from_: Annotated[
        Literal["training", "production"], word(["training", "production"], "a kind of reference")
    ] = Field(default="training", alias="from")
    """production: a version that is deployed without a reference grows one, in the bins of the former
    one, from its first windows in which nothing was broken: at least 30 of them, with `min_events`;
    until then `no_reference`"""
    bins: Bins | None = None
    """cells of a number; none: 10, or 20 from 2,000 rows per window"""
    season: Annotated[
        Literal["none", "hour_of_day", "hour_of_week"],
        word(["none", "hour_of_day", "hour_of_week"], "a season"),
    ] = "none"
    """compare every window with the reference's windows of the same hour; windows of 1h or a part of
    it; see [seasons](statistics.md#seasons)"""
    timezone: TimeZone = "UTC"
    """whose clock tells the hour of a window's start, such as Europe/Berlin; daylight saving time is
    followed"""
    max_age: Length = 180 * _DAY
    """when a reference is too old"""
    min_events: Positive = 10_000
    """how many events a reference from production needs; `leeway baseline` warns below 10,000"""
