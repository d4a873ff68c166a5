"""What does a reading decode events to? One msgspec struct per object of an event that holds something wanted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Literal

import msgspec

from detectors.binning import MAX_CATEGORY_LENGTH
from detectors.reference.text import MOST_BYTES
from streams.lifecycle.paths import Const, Path
from streams.profiling.codes import Codes
from streams.profiling.fields import FIRST_MS, LAST_MS, MOST_CHARACTERS, UNIT_PER_S

Columns = Sequence[Sequence[Any]]  # the fields of several events, as `columns` gives them
_astuple: Callable[[Any], tuple[Any, ...]] = msgspec.structs.astuple

NUMERIC = ("number", "integer")
SERIES = (*NUMERIC, "category", "boolean")
RAW = ("text", "identifier", "vector")  # what numbers are derived from


@dataclass(frozen=True, slots=True)
class Want:
    """One value a reading takes out of an event."""

    name: str  # a series, or a field of contracts §1.1
    path: Path
    type: str  # number integer category boolean output text identifier vector, or time version status tag


class Tree:
    """The struct types of a reading: one per object of the event that holds something wanted.

    Parameters
    ----------
    wants, series : all that is wanted of an event, and those of them that are series
    codes, lengths : of categories that are read as codes, and of vectors
    unit : of whole numbers that are times
    id_path, model_id : where an event says whose it is, and what it says there
    """

    def __init__(
        self,
        wants: Sequence[Want],
        series: Sequence[Want],
        codes: Mapping[str, Codes],
        lengths: Mapping[str, int],
        unit: str,
        id_path: Path | Const,
        model_id: str,
    ) -> None:
        types: dict[Path, str] = {}
        annotations: dict[Path, Any] = {}
        self.fast = True
        for want in wants:
            both = _together(types.get(want.path, want.type), want.type)
            self.fast = self.fast and both is not None
            types[want.path] = both or want.type
            annotations[want.path] = (
                codes[want.name].annotation
                if want.name in codes
                else _annotation(types[want.path], unit, lengths.get(want.name))
            )
        paths = list(types)
        # $key and the like, list indexes, and a value inside a value need the careful way
        for a in paths:
            odd = not a or any(isinstance(s, int) for s in a) or str(a[0]).startswith("$")
            inside = any(a != b and b[: len(a)] == a for b in paths)
            self.fast = self.fast and not odd and not inside
        tag: tuple[str, str] | None = None
        if not isinstance(id_path, Const):
            (*above, name) = id_path or ("$",)
            free = not above and isinstance(name, str) and name not in {p[0] for p in paths if p}
            self.fast = self.fast and free and not str(name).startswith("$")
            tag = str(name), model_id
        self._shape: Any = None
        self.dotted: dict[str, str] = {}
        if self.fast:
            self._names = {path: f"v{i}" for i, path in enumerate(paths)}
            places: dict[Path, str] = {}
            # These lead in a struct, so that it begins with what is packed for numpy.
            self._packed = {w.path for w in series if w.type in NUMERIC} | {
                w.path for w in series if w.name in codes
            }
            self._shape = _shape(paths)
            self.struct = self._define(self._shape, (), annotations, places, "", tag)
            self.dotted = {want.name: places[want.path] for want in wants}
        else:  # one flat struct, filled by hand
            self.dotted = {want.name: f"v{i}" for i, want in enumerate(wants)}
            fields = [(name, Any, None) for name in self.dotted.values()]
            self.struct = msgspec.defstruct("Event", fields, gc=False, frozen=True)
        self._wants = wants
        self.attribute: dict[str, Callable[[Any], Any]] = {
            name: attrgetter(place) for name, place in self.dotted.items()
        }
        self.extract = {name: column(self.struct, place) for name, place in self.dotted.items()}

    def _define(
        self,
        shape: Mapping[Any, Any],
        at: Path,
        annotations: Mapping[Path, Any],
        dotted: dict[Path, str],
        prefix: str,
        tag: tuple[str, str] | None,
    ) -> Any:
        fields: list[tuple[str, Any, Any]] = []
        rename: dict[str, str] = {}
        for key in sorted(shape, key=lambda k: (*at, k) not in self._packed):
            path: Path = (*at, key)
            name = self._names.get(path) or f"o{len(fields)}"
            rename[name] = str(key)
            if path in annotations:
                fields.append((name, annotations[path], None))
                dotted[path] = prefix + name
            else:
                inner = self._define(
                    shape[key], path, annotations, dotted, f"{prefix}{name}.", None
                )
                fields.append((name, inner, inner()))
        tag_field, of = tag or (None, None)
        return msgspec.defstruct(
            "Event" if not at else "Object",
            fields,
            gc=False,
            frozen=True,
            rename=rename,
            tag_field=tag_field,
            tag=of,
        )

    def assemble(self, values: Mapping[str, object]) -> Any:
        """The struct of values found one by one, by name."""
        if self._shape is None:
            return self.struct(**{place: values[name] for name, place in self.dotted.items()})
        # where a series is a segment's value as well, it decides
        tags_first = sorted(self._wants, key=lambda want: want.type != "tag")
        by_path = {want.path: values[want.name] for want in tags_first}
        return self._build(self.struct, self._shape, (), by_path)

    def _build(
        self, struct: Any, shape: Mapping[Any, Any], at: Path, values: Mapping[Path, object]
    ) -> Any:
        parts = {}
        inner = {f.encode_name: f for f in msgspec.structs.fields(struct)}
        for key, below in shape.items():
            path, of = (*at, key), inner[str(key)]
            parts[of.name] = (
                values[path] if path in values else self._build(of.type, below, path, values)
            )
        return struct(**parts)


def columns(events: Sequence[Any]) -> Columns:
    """All fields of some events of one reading, field by field: half as dear as asking each event for each field.

    >>> columns([msgspec.defstruct("Event", ["a", "b"])(1, 2)] * 3)
    [(1, 1, 1), (2, 2, 2)]
    """
    return list(zip(*map(_astuple, events), strict=True))


def column(struct: Any, dotted: str) -> Callable[[Columns], Sequence[Any]]:
    """What takes one field out of `columns`, at whatever depth it is."""
    first, _, below = dotted.partition(".")
    place = [field.name for field in msgspec.structs.fields(struct)].index(first)
    if not below:
        return itemgetter(place)
    read = attrgetter(below)
    return lambda of: list(map(read, of[place]))


def _together(one: str, other: str) -> str | None:
    """What a value is read as that is wanted twice; None if no one way of reading serves both."""
    if one == other:
        return one
    if "tag" in (one, other):  # a segment may be a category, whose values are texts or like texts
        series = other if one == "tag" else one
        return series if series in ("category", "boolean", "identifier") else None
    return None


def _shape(paths: Sequence[Path]) -> dict[Any, Any]:
    root: dict[Any, Any] = {}
    for path in paths:
        at = root
        for step in path:
            at = at.setdefault(step, {})
    return root


_NUMBER = float | None
_LATENCY = Annotated[float, msgspec.Meta(ge=0)] | None
# what needs more bits may be beyond a double, and is looked at
_INTEGER = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None


# in UTF-8 no more than 64 KiB whatever they are; more characters than this are counted
_TEXT = Annotated[str, msgspec.Meta(max_length=MOST_BYTES // 4)] | None
_EVENT_ID = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_CHARACTERS)] | None
_IDENTIFIER = Annotated[str, msgspec.Meta(max_length=MAX_CATEGORY_LENGTH)] | int | None


def _annotation(type_: str, unit: str, length: int | None = None) -> Any:
    """What the fast path accepts; anything else is looked at carefully."""
    if type_ in ("time", "moment"):  # a moment is a time that need not be there
        low, high = (bound * UNIT_PER_S[unit] // 1000 for bound in (FIRST_MS, LAST_MS))
        whole = Annotated[int, msgspec.Meta(ge=low, le=high)]
        return whole | Annotated[datetime, msgspec.Meta(tz=True)] | None
    if type_ == "moments":
        one: Any = _annotation("moment", unit)
        return one | dict[str, one]
    if type_ == "boolean":
        return bool | None
    if type_ == "vector":
        return Annotated[list[float], msgspec.Meta(min_length=length, max_length=length)] | None
    return {
        "number": _NUMBER,
        "latency": _LATENCY,
        "integer": _INTEGER,
        "category": str | int | None,
        "text": _TEXT,
        "identifier": _IDENTIFIER,
        "output": str | int | float | bool | None,
        "version": str | None,
        "id": _EVENT_ID,
        "weight": Literal[1, -1] | None,
        "nothing": None,
        "json": msgspec.Raw,
        "status": Literal["ok", "error", "timeout", "fallback"] | None,
        "tag": str | int | float | bool | None,
    }[type_]
