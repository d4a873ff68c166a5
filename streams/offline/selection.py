"""Which events of a source are wanted, and of which kind is each?

Told from the event alone: the kind by the names of its members, the choice by conditions ``COLUMN=VALUE``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from streams.errors import UsageError
from streams.lifecycle import Lifecycle

Kind = Literal["predictions", "features", "labels"]
KINDS: tuple[Kind, ...] = ("predictions", "features", "labels")

ONLY_PREDICTIONS = ("event_id", "prediction", "score", "scores", "latency_ms", "status")
_SHOWN = 8  # values or names in an error


@dataclass(frozen=True, slots=True)
class Where:
    """Keep what has this value, compared as text."""

    column: str
    value: str


def parse_where(texts: Sequence[str]) -> tuple[Where, ...]:
    """Conditions as they are typed.

    >>> parse_where(["split=reference"])
    (Where(column='split', value='reference'),)
    """
    found = []
    for text in texts:
        column, equals, value = text.partition("=")
        if not equals or not column:
            raise UsageError(f"--where {text}: expected COLUMN=VALUE, such as split=reference")
        found.append(Where(column, value))
    return tuple(found)


def parse_kind(text: str | None, *, labels: bool = False) -> Kind | None:
    """`--kind` as it is typed; `labels`: whether labels alone are enough."""
    kinds = KINDS if labels else KINDS[:2]
    if text is None or text in kinds:
        return text
    raise UsageError(f"--kind {text}: expected {' or '.join((', '.join(kinds[:-1]), kinds[-1]))}")


class Seen:
    """What the columns of the conditions turned out to hold, for the error that says that nothing was left."""

    def __init__(self, where: Sequence[Where]) -> None:
        self.where = where
        self.values: dict[str, set[str]] = {condition.column: set() for condition in where}

    def texts(self, column: str, values: Sequence[object]) -> list[str]:
        """The values as text, a few of them remembered."""
        found = [as_text(value) for value in values]
        if len(self.values[column]) <= _SHOWN:
            self.values[column].update(found)
        return found


class Teller:
    """Tells an event's kind by the names of its members."""

    def __init__(self, lifecycles: Sequence[Lifecycle]) -> None:
        self._decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
        self._features_exist = any(lifecycle.source.features for lifecycle in lifecycles)
        self._truth = _members(lifecycles, "labels", ("label", "loss"))
        self._inputs = _members(lifecycles, "predictions", ("features",))
        self._inputs |= {name for lifecycle in lifecycles for name in lifecycle.features}
        self._predictions = _members(lifecycles, "predictions", ONLY_PREDICTIONS)
        self._predictions -= _members(lifecycles, "features", ("model_id", "timestamp", "features"))

    def __call__(self, event: bytes) -> Kind:
        try:
            members = self._decode(event).keys()
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return "predictions"  # whatever it is, that is where it will be counted as undecodable
        if not self._truth.isdisjoint(members) and self._inputs.isdisjoint(members):
            return "labels"
        if self._features_exist and self._predictions.isdisjoint(members):
            return "features"
        return "predictions"


def _members(lifecycles: Sequence[Lifecycle], kind: Kind, fields: Sequence[str]) -> set[str]:
    """The top-level members in which these fields are found."""
    found: set[str] = set()
    for lifecycle in lifecycles:
        mapping = getattr(getattr(lifecycle.source, kind), "fields", {})
        for field in fields:
            place = mapping.get(field, (field,))
            if isinstance(place, tuple) and place and isinstance(place[0], str):
                found.add(place[0])
    return found


def matches(event: bytes, seen: Seen) -> bool:
    """Does an event have all the values that are wanted?"""
    try:
        members = msgspec.json.decode(event)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return True  # it cannot say that it does not match, and nothing is dropped in silence
    for condition in seen.where:
        if seen.texts(condition.column, [_look_up(members, condition.column)]) != [condition.value]:
            return False
    return True


def _look_up(members: object, column: str) -> object:
    """A member by its dotted path, else a tag, else a feature of that name."""
    found: object = members
    for step in column.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    if found is None and isinstance(members, dict):
        for inside in ("tags", "features"):
            inner = members.get(inside)
            if isinstance(inner, dict) and column in inner:
                return inner[column]
    return found


def as_text(value: object) -> str:
    """A value as somebody would type it; 1.0 is 1, no value is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def some(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def nothing_left(name: str, seen: Seen) -> str:
    """The error for a source of which no event is left."""
    if not seen.where:
        return f"{name}: holds no events"
    wanted = " and ".join(f"{condition.column}={condition.value}" for condition in seen.where)
    found = "; ".join(
        f"{column} is {some([value or 'empty' for value in sorted(values)])}"
        for column, values in seen.values.items()
        if values
    )
    return f"{name}: nothing has {wanted}" + (f"; {found}" if found else "")
