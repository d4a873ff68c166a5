"""A reference as a JSON document that people can read, and back: strictly, to the same digest."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import isfinite
from typing import Any, TypeVar, cast, get_args

from detectors.frozen import (
    Blocks,
    BuiltFrom,
    Reference,
    ReferenceSeries,
    SegmentReference,
    digest,
)
from detectors.series import Series, SeriesType

FORMAT = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = get_args(SeriesType)
_T = TypeVar("_T")


def to_document(reference: Reference) -> dict[str, Any]:
    """The document: members in this order, times as RFC 3339, value cells apart from `odd` and `missing`."""
    built, blocks = reference.built_from, reference.blocks
    return {
        "format": FORMAT,
        "reference_id": reference.reference_id,
        "digest": reference.digest,
        "model_id": reference.model_id,
        "model_version": reference.model_version,
        "built_from": {
            "source": built.source,
            "start": _time(built.start_ms),
            "end": _time(built.end_ms),
            "events": built.events,
        },
        "blocks": blocks
        and {"window_ms": blocks.window_ms, "windows": blocks.windows, "rows": blocks.rows},
        "series": {r.series.name: _series_document(r) for r in reference.series},
        "segments": {
            s.segment: {
                "events": s.events,
                "counts": {
                    r.series.name: list(counts)
                    for r, counts in zip(reference.series, s.counts, strict=True)
                },
            }
            for s in reference.segments
        },
    }


def _series_document(reference: ReferenceSeries) -> dict[str, Any]:
    s = reference.series
    cells: dict[str, Any]
    if not s.numeric:
        cells = {"categories": list(s.categories), "known": list(s.known)}
    elif s.support:
        cells = {"support": list(s.support)}
    else:
        cells = {"edges": list(s.edges)}
    return {
        "type": s.type,
        **cells,
        "counts": list(reference.counts[: s.values]),
        "odd": reference.counts[s.values],
        "missing": reference.counts[s.values + 1],
        "centre": s.centre,
        "scale": s.scale,
        "dispersion": dict(reference.dispersion),
    }


def from_document(document: object) -> Reference:
    """Read a document.

    Raises
    ------
    ValueError
        Naming the place and what was expected: it is malformed, of a newer format, or was changed by hand.
    """
    top = _members(
        document,
        "",
        "format reference_id digest model_id model_version built_from blocks series segments",
    )
    version = _integer(top["format"], "format", 1)
    if version > FORMAT:
        raise ValueError(
            f"format: written by a newer Leeway ({version}); this one reads up to {FORMAT}"
        )
    built = _members(top["built_from"], "built_from", "source start end events")
    blocks = top["blocks"]
    if blocks is not None:
        b = _members(blocks, "blocks", "window_ms windows rows")
        blocks = Blocks(
            *(_integer(b[k], f"blocks.{k}", 1) for k in ("window_ms", "windows", "rows"))
        )
    series = tuple(
        _series(name, value, f"series.{name}")
        for name, value in _object(top["series"], "series").items()
    )
    segments = tuple(
        _segment(name, value, series, f"segments.{name}")
        for name, value in _object(top["segments"], "segments").items()
    )
    reference = Reference(
        reference_id=_text(top["reference_id"], "reference_id"),
        model_id=_text(top["model_id"], "model_id"),
        model_version=_text(top["model_version"], "model_version"),
        built_from=BuiltFrom(
            _text(built["source"], "built_from.source"),
            _moment(built["start"], "built_from.start"),
            _moment(built["end"], "built_from.end"),
            _integer(built["events"], "built_from.events"),
        ),
        blocks=blocks,
        series=series,
        segments=segments,
        digest=_text(top["digest"], "digest"),
    )
    if digest(reference) != reference.digest:
        raise ValueError(
            "digest: does not match the contents; build the reference anew instead of editing it"
        )
    return reference


def _series(name: str, value: object, at: str) -> ReferenceSeries:
    given = _object(value, at)
    kind = given.get("type")
    if kind not in _TYPES:
        raise ValueError(f"{at}.type: expected one of {', '.join(_TYPES)}, not {kind!r}")
    numeric = kind in ("number", "integer")
    cut = ("support" if "support" in given else "edges") if numeric else "categories known"
    m = _members(given, at, f"type {cut} counts odd missing centre scale dispersion")
    scale = _number(m["scale"], f"{at}.scale")
    if scale <= 0:
        raise ValueError(f"{at}.scale: expected a positive number, not {scale}")
    series = Series(
        name,
        cast(SeriesType, kind),
        edges=_ascending(m.get("edges", []), f"{at}.edges"),
        support=_ascending(m.get("support", []), f"{at}.support"),
        categories=_distinct(m.get("categories", []), f"{at}.categories"),
        known=_distinct(m.get("known", []), f"{at}.known"),
        centre=_number(m["centre"], f"{at}.centre"),
        scale=scale,
    )
    if set(series.categories) & set(series.known):
        raise ValueError(f"{at}.known: repeats one of the categories")
    if kind == "boolean" and (series.categories, series.known) != (("false", "true"), ()):
        raise ValueError(f"{at}.categories: expected false and true")
    counts = _counts(m["counts"], f"{at}.counts", series.values)
    dispersion = _object(m["dispersion"], f"{at}.dispersion").items()
    return ReferenceSeries(
        series,
        (*counts, _integer(m["odd"], f"{at}.odd"), _integer(m["missing"], f"{at}.missing")),
        tuple((score, _phi(phi, f"{at}.dispersion.{score}")) for score, phi in dispersion),
    )


def _segment(
    name: str, value: object, series: tuple[ReferenceSeries, ...], at: str
) -> SegmentReference:
    m = _members(value, at, "events counts")
    counts = _members(m["counts"], f"{at}.counts", [r.series.name for r in series])
    return SegmentReference(
        name,
        _integer(m["events"], f"{at}.events"),
        tuple(
            _counts(counts[r.series.name], f"{at}.counts.{r.series.name}", r.series.cells)
            for r in series
        ),
    )


def _object(value: object, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
        raise ValueError(f"{at or 'reference'}: expected an object")
    return value


def _members(value: object, at: str, names: str | list[str]) -> Mapping[str, Any]:
    given, wanted = _object(value, at), names.split() if isinstance(names, str) else names
    dot = f"{at}." if at else ""
    for name in wanted:
        if name not in given:
            raise ValueError(f"{dot}{name}: is missing")
    for name in given:
        if name not in wanted:
            raise ValueError(f"{dot}{name}: is not known")
    return given


def _text(value: object, at: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{at}: expected a text")
    return value


def _integer(value: object, at: str, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**53:
        raise ValueError(f"{at}: expected an integer of at least {least}")
    return value


def _number(value: object, at: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        raise ValueError(f"{at}: expected a finite number")
    return float(value)


def _phi(value: object, at: str) -> float:
    phi = _number(value, at)
    if phi < 1:
        raise ValueError(f"{at}: expected a number of at least 1, not {phi}")
    return phi


def _items(value: object, at: str, read: Callable[[object, str], _T]) -> tuple[_T, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{at}: expected a list")
    return tuple(read(v, f"{at}[{i}]") for i, v in enumerate(value))


def _ascending(value: object, at: str) -> tuple[float, ...]:
    numbers = _items(value, at, _number)
    if any(a >= b for a, b in pairwise(numbers)):
        raise ValueError(f"{at}: expected ascending numbers")
    return numbers


def _distinct(value: object, at: str) -> tuple[str, ...]:
    texts = _items(value, at, _text)
    if len(set(texts)) < len(texts):
        raise ValueError(f"{at}: repeats a value")
    return texts


def _counts(value: object, at: str, length: int) -> tuple[int, ...]:
    counts = _items(value, at, lambda v, place: _integer(v, place))
    if len(counts) != length:
        raise ValueError(f"{at}: expected {length} counts, not {len(counts)}")
    return counts


def _time(ms: int | None) -> str | None:
    if ms is None:
        return None
    return (
        (_EPOCH + timedelta(milliseconds=ms))
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _moment(value: object, at: str) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(_text(value, at))
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (TypeError, ValueError):
        raise ValueError(f"{at}: expected a time such as 2026-03-02T07:00:00.000Z") from None
