"""The types of the settings' fields: how each is read from a file and written back."""

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)

from streams.lifecycle import conditions, dates, grammar, metrics, paths, triggers
from streams.lifecycle.mistakes import Several, Wrong, shown


class Section(BaseModel):
    """One mapping of the file: frozen, and a key it does not know is a mistake.

    The text below a field says what its key means, in Markdown; what people read about keys is made of these texts.
    """

    alone: ClassVar[str | None] = (
        None  # the field that a bare text in place of the section stands for
    )
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )


@dataclass(frozen=True, slots=True)
class Form:
    """How people write a value: in words, and the types of JSON that it may have.

    More may have these types than is read: what is wrong with it, `leeway check` says.
    """

    words: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """What a value is where it is not written, in words: it follows from the rest of the file."""

    words: str


@dataclass(frozen=True, slots=True)
class OneOf(PlainValidator):
    """Reads one word of a list."""

    words: tuple[str, ...] = ()


def form(words: str, *types: str) -> Form:
    """A value that is so called, and of one of these types."""
    return Form(words, types)


class Context:
    """What the rest of the file says that a value's meaning depends on."""

    def __init__(self, features: frozenset[str]) -> None:
        self.features = features


def _features(info: ValidationInfo) -> frozenset[str] | None:
    return info.context.features if isinstance(info.context, Context) else None


def _condition(value: object, info: ValidationInfo) -> conditions.Condition:
    return conditions.condition(value, _features(info))


def _approval(value: object, info: ValidationInfo) -> conditions.Condition:
    return conditions.condition(value, _features(info), approval=True)


def _trigger(value: object, info: ValidationInfo) -> triggers.Trigger:
    return triggers.trigger(value, _features(info))


def _metric(value: object, info: ValidationInfo) -> str:
    return metrics.metric(value, _features(info))


def each(items: Iterable[tuple[str | int, Any]], read: Callable[[Any], Any]) -> list[Any]:
    """Read every item of a value, and tell all that are wrong, each with its key or place."""
    found, wrongs = [], []
    for at, written in items:
        try:
            found.append(read(written))
        except Wrong as error:
            error.at = (at, *error.at)
            wrongs.append(error)
    if wrongs:
        raise Several(wrongs)
    return found


def listed(value: object) -> object:
    """A single value where a list may stand."""
    return value if isinstance(value, list | tuple) else [value]


def matching(pattern: str, noun: str, expected: str) -> Callable[[object], str]:
    """A reader of text of one shape."""
    shape = re.compile(pattern)

    def read(value: object) -> str:
        written = grammar.text(value)
        if not shape.fullmatch(written):
            raise Wrong(shown(written), f"is not {noun}", expected)
        return written

    return read


def text_or_number(value: object) -> str:
    """Text; a number is taken as it is written."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return shown(value)
    return grammar.text(value)


def _nullable(value: object) -> bool | float:
    if isinstance(value, bool):
        return value
    try:
        return grammar.share(value)
    except Wrong as error:
        expected = "true, false or the largest share, such as 2%"
        raise Wrong(error.subject, error.what, expected, error.hint) from None


def _range(value: object) -> tuple[float, float]:
    expected = "two numbers, [lowest, highest]"
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise Wrong(shown(value), "is not a range", expected)
    low, high = each(enumerate(value), grammar.number)
    if low >= high:
        raise Wrong("", "the lowest value is not below the highest", expected)
    return low, high


def _timezone(value: object) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # rarely needed, slow to import

    name = grammar.text(value)
    if name == "UTC":
        return name
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong(
            shown(name), "is not a time zone", "UTC or a name such as Europe/Berlin"
        ) from None
    return name


def _scalar(value: object) -> object:
    if isinstance(value, dict | list):
        raise Wrong(shown(value), "is not one value", "text, a number, true or false")
    return _bare_number(value)


def _bare_number(value: object) -> object:
    """The value without the memory of how it was written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, float) else value


def _field(value: object) -> paths.Path | paths.Const:
    found = paths.field(value)
    if isinstance(found, paths.Const):
        return paths.Const(_bare_number(found.value))  # type: ignore[arg-type]
    return found


def _field_document(value: paths.Path | paths.Const) -> object:
    return {"const": value.value} if isinstance(value, paths.Const) else paths.path_text(value)


def _filter(value: object) -> tuple[tuple[paths.Path, Any], ...]:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping):
        raise Wrong(shown(value), "is not a filter", "a mapping of paths to values")
    return tuple(
        zip(
            each(((key, key) for key in value), paths.path),
            each(value.items(), _scalar),
            strict=True,
        )
    )


def _filter_document(value: tuple[tuple[paths.Path, Any], ...]) -> dict[str, Any]:
    return {paths.path_text(steps): wanted for steps, wanted in value}


_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_VERSION = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"

Text = Annotated[str, PlainValidator(grammar.text), form("text", "string")]
Written = Annotated[str, PlainValidator(text_or_number)]  # text that may look like a number
Texts = Annotated[tuple[Text, ...], BeforeValidator(listed)]
Boolean = Annotated[bool, PlainValidator(grammar.boolean), form("true, false", "boolean")]
Number = Annotated[float, PlainValidator(grammar.number), form("number", "number", "string")]
Share = Annotated[float, PlainValidator(grammar.share), form("share", "number", "string")]
Nullable = Annotated[
    bool | float,
    PlainValidator(_nullable),
    form("true, false, share", "boolean", "number", "string"),
]
Range = Annotated[
    tuple[float, float],
    PlainValidator(_range),
    PlainSerializer(list),
    form("[low, high]", "array"),
]
Label = Annotated[str, PlainValidator(grammar.label), form("value", "string", "integer", "boolean")]
Labels = tuple[Label, ...]
Scalar = Annotated[Any, PlainValidator(_scalar)]
Count = Annotated[
    int, PlainValidator(grammar.whole(0, 1_000_000_000_000)), form("number", "integer", "string")
]
Positive = Annotated[
    int, PlainValidator(grammar.whole(1, 1_000_000_000_000)), form("number", "integer", "string")
]
Bins = Annotated[int, PlainValidator(grammar.whole(2, 100)), form("number", "integer", "string")]
MaxValues = Annotated[
    int, PlainValidator(grammar.whole(1, 200)), form("number", "integer", "string")
]
Port = Annotated[int, PlainValidator(grammar.whole(0, 65_535))]

_as_iso = PlainSerializer(grammar.iso, return_type=str)
_as_text = PlainSerializer(str, return_type=str)
Duration = Annotated[
    timedelta, PlainValidator(grammar.duration), _as_iso, form("duration", "string")
]
Length = Annotated[
    timedelta, PlainValidator(grammar.longer_than_nothing), _as_iso, form("duration", "string")
]
WindowLength = Annotated[
    timedelta, PlainValidator(grammar.window), _as_iso, form("duration", "string")
]
Frequency = Annotated[
    timedelta | None,
    PlainValidator(grammar.frequency),
    PlainSerializer(
        lambda length: None if length is None else grammar.iso(length), return_type=str | None
    ),
    form("duration, Hourly, …", "string"),
]
Date = Annotated[datetime.date, PlainValidator(dates.date), _as_text, form("date", "string")]
DateRange = Annotated[
    dates.DateRange, PlainValidator(dates.date_range), _as_text, form("dates", "string")
]
Rate = Annotated[
    grammar.Rate, PlainValidator(grammar.rate), _as_text, form("N per DURATION", "string")
]
Change = Annotated[
    grammar.Change, PlainValidator(grammar.change), _as_text, form("change", "number", "string")
]
Retention = Annotated[
    dates.Retention, PlainValidator(dates.retention), _as_text, form("duration or years", "string")
]
Persistence = Annotated[
    grammar.Persistence,
    PlainValidator(grammar.persistence),
    _as_text,
    form("`10m`, `2 of 3 windows`", "string"),
]

ModelId = Annotated[
    str,
    PlainValidator(
        matching(
            _NAME,
            "a model id",
            "a letter or digit, then at most 99 letters, digits, dots, underscores or dashes",
        )
    ),
    form("name", "string"),
]
Version = Annotated[
    str,
    PlainValidator(
        matching(
            _VERSION, "a version", "a letter or digit, then at most 63 letters, digits and . _ + -"
        )
    ),
    form("text, in quotes", "string"),
]
FeatureName = Annotated[
    str,
    PlainValidator(
        matching(
            r'[^\x00-\x1f\x7f-\x9f"\\]{1,128}',
            "a feature name",
            "1 to 128 characters, no control characters, quotation marks or backslashes",
        )
    ),
]
TopicName = Annotated[
    str,
    PlainValidator(
        matching(
            r"[A-Za-z0-9._-]{1,249}",
            "a topic name",
            "at most 249 letters, digits, dots, underscores or dashes",
        )
    ),
    form("topic", "string"),
]

Path = Annotated[
    paths.Path,
    PlainValidator(paths.path),
    PlainSerializer(paths.path_text, return_type=str),
    form("path", "string"),
]
Field = Annotated[
    paths.Path | paths.Const,
    PlainValidator(_field),
    PlainSerializer(_field_document, return_type=Any),
    form("FIELD: path", "string", "object"),
]
Filter = Annotated[
    tuple[tuple[paths.Path, Any], ...],
    PlainValidator(_filter),
    PlainSerializer(_filter_document, return_type=dict[str, Any]),
    form("PATH: value", "object"),
]
TimeZone = Annotated[str, PlainValidator(_timezone), form("name", "string")]

Metric = Annotated[str, PlainValidator(_metric), form("metric", "string")]
Condition = Annotated[
    conditions.Condition, PlainValidator(_condition), _as_text, form("condition", "string")
]
ApprovalCondition = Annotated[
    conditions.Condition, PlainValidator(_approval), _as_text, form("condition", "string")
]
Trigger = Annotated[
    triggers.Trigger, PlainValidator(_trigger), _as_text, form("condition, date, …", "string")
]
Requirement = Annotated[
    triggers.Requirement, PlainValidator(triggers.requirement), _as_text, form("text", "string")
]


def word(words: dict[str, str] | list[str], noun: str, expected: str = "") -> OneOf:
    """One word of a list (see `grammar.one_of`)."""
    return OneOf(grammar.one_of(words, noun, expected), words=tuple(words))
