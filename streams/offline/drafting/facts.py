"""What do the values at one place of many events have in common?"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

__all__ = ["Facts", "Path", "facts_of", "flat", "text_of", "typed"]

Path = tuple[str, ...]
Type = Literal["empty", "boolean", "integer", "number", "text", "time", "vector", "other", "mixed"]
Unit = Literal["ms", "s", "us", "ns"]

_DEEPEST, _MOST_PLACES = 6, 500
_MOST_DISTINCT = 2_000  # different values that are counted one by one
_NEARLY = 0.98  # of the values have the type that the place is said to have
_ABSENT = frozenset(("", "na", "n/a", "nan", "null", "none"))
_TRUTH = {"true": True, "false": False}
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_LIST = re.compile(r"\[\s*-?\d.*\]")
_FIRST_MS, _LAST_MS = 31_536_000_000, 4_102_444_800_000  # the legal years, 1971 to 2099
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Mapping[Unit, tuple[int, int]] = {
    "ms": (1, 1),
    "s": (1000, 1),
    "us": (1, 1000),
    "ns": (1, 1_000_000),
}  # times and through, to milliseconds


@dataclass(frozen=True, slots=True)
class Facts:
    """Values at one place; `rows` is how many events there are, `present` how many have one.

    `distinct` is None beyond 2,000; `odd` counts the values that are not of the type.
    """

    path: Path
    values: Sequence[object]
    type: Type
    rows: int
    present: int
    odd: int
    distinct: Counter[str] | None
    low: float = math.nan
    high: float = math.nan
    mean_length: float = 0.0
    mean_words: float = 0.0
    unit: Unit | None = None  # of a number that may be a time
    zoned: bool = True  # of a time that is text

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def missing(self) -> float:
        """The share of events without a value."""
        return 1 - self.present / self.rows

    @property
    def different(self) -> int:
        """How many values there are; beyond 2,000 all are taken for different."""
        return self.present if self.distinct is None else len(self.distinct)


def text_of(value: object) -> str:
    """A category by its JSON text.

    >>> text_of(True), text_of(3), text_of("DE")
    ('true', '3', 'DE')
    """
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def flat(events: Sequence[Mapping[str, Any]]) -> dict[Path, list[object]]:
    """The values at each place of nested objects, one per event; the first 500 places.

    >>> flat([{"a": {"b": 1}, "c": [1, 2]}, {"c": [3, 4]}])
    {('a', 'b'): [1, None], ('c',): [[1, 2], [3, 4]]}
    """
    found: dict[Path, list[object]] = {}
    for row, event in enumerate(events):
        _walk(event, (), row, len(events), found)
    return found


def _walk(
    event: Mapping[str, Any], above: Path, row: int, rows: int, found: dict[Path, list[object]]
) -> None:
    for key, value in event.items():
        path = (*above, key)
        if isinstance(value, dict) and value and len(path) < _DEEPEST:
            _walk(value, path, row, rows, found)
        elif value is not None:
            if path not in found:
                if len(found) == _MOST_PLACES:
                    continue
                found[path] = [None] * rows
            found[path][row] = value


def typed(values: Sequence[object]) -> list[object]:
    """The values of a column of a file that knows no types, as what all of them can be read as.

    >>> typed(["1", "", "2"]), typed(["true", "false"]), typed(["1.5", "nan"]), typed(["1", "x"])
    ([1, None, 2], [True, False], [1.5, None], ['1', 'x'])
    """
    texts = [str(value).strip() if value is not None else "" for value in values]
    there = [text for text in texts if text.lower() not in _ABSENT]
    for read in (_truth, _whole, _number, _vector):
        if there and all(read(text) is not None for text in there):
            return [None if text.lower() in _ABSENT else read(text) for text in texts]
    return [value if value != "" else None for value in values]


def _truth(text: str) -> bool | None:
    return _TRUTH.get(text.lower())


def _whole(text: str) -> int | None:
    # a leading zero is that of a code, not of a number
    return int(text) if re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text) else None


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return None if re.match(r"-?0[0-9]", text) or "_" in text else found


def _vector(text: str) -> list[float] | None:
    if not _LIST.fullmatch(text):
        return None
    found = [_number(item.strip()) for item in text[1:-1].split(",")]
    return None if None in found else [item for item in found if item is not None]


def facts_of(path: Path, values: Sequence[object]) -> Facts:
    """Look at the values of one place; None is no value, and so is what is not finite."""
    read = [_plain(value) for value in values]
    types = Counter(_type(value) for value in read if value is not None)
    present = types.total()
    if not present:
        return Facts(path, read, "empty", len(read), 0, 0, Counter())
    if types["number"] and types["integer"]:
        types["number"] += types.pop("integer")
    if types["time"] and types["text"]:
        types["text"] += types.pop("time")
    ((kind, most),) = types.most_common(1)
    if most < _NEARLY * present:
        return Facts(path, read, "mixed", len(read), present, present - most, None)
    own = [value for value in read if value is not None and _fits(_type(value), kind)]
    distinct = _distinct(own)
    about: dict[str, Any] = {}
    if kind in ("integer", "number"):
        numbers = [float(value) for value in own if isinstance(value, int | float)]
        about = {"low": min(numbers), "high": max(numbers), "unit": _unit(numbers)}
    elif kind == "text":
        texts = [str(value) for value in own]
        about = {
            "mean_length": sum(map(len, texts)) / len(texts),
            "mean_words": sum(len(text.split()) for text in texts) / len(texts),
        }
    elif kind == "time":
        about = {"zoned": all(_zoned(value) for value in own)}
    return Facts(path, read, kind, len(read), present, present - most, distinct, **about)


def _fits(found: Type, wanted: Type) -> bool:
    return (
        found == wanted
        or (found == "integer" and wanted == "number")
        or (found == "time" and wanted == "text")
    )


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() and abs(value) < Decimal("1e300") else None
    if isinstance(value, int) and abs(value) > 10**300:
        return None
    return value


def _type(value: object) -> Type:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "time" if _ISO.fullmatch(value) and _moment(value) is not None else "text"
        case datetime():
            return "time"
        case date():
            return "time"
        case list() if len(value) > 1 and all(
            isinstance(item, int | float) and not isinstance(item, bool) for item in value
        ):
            return "vector"
    return "other"


def _distinct(values: Sequence[object]) -> Counter[str] | None:
    counts: Counter[str] = Counter()
    for value in values:
        if isinstance(value, list | dict | bytes):
            return None
        counts[text_of(value)] += 1
        if len(counts) > _MOST_DISTINCT:
            return None
    return counts


def _zoned(value: object) -> bool:
    return not isinstance(value, str) or bool(re.search(r"(Z|[+-]\d\d:?\d\d)$", value[10:]))


def _unit(numbers: Sequence[float]) -> Unit | None:
    """The unit in which all of them are times between 1971 and 2099."""
    for unit, (times, through) in _UNITS.items():
        if all(_FIRST_MS <= number * times / through < _LAST_MS for number in numbers):
            return unit
    return None


def milliseconds(facts: Facts) -> list[int]:
    """The moments at a place that holds times, since the epoch; those that are none are left out."""
    found = []
    times, through = _UNITS[facts.unit or "ms"]
    for value in facts.values:
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(int(value * times / through))
        elif (moment := _moment(value)) is not None:
            found.append((moment - _EPOCH) // timedelta(milliseconds=1))
    return found


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
