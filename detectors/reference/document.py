"""A reference as a JSON document that people can read, and back: strictly, to the same digest."""

import binascii
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast, get_args

from detectors.reference.derived import Derivation, Identifier, Text, Vector
from detectors.reference.frozen import (
    SLOTS,
    Blocks,
    BuiltFrom,
    Reference,
    ReferenceSeries,
    Season,
    SegmentReference,
    SlotReference,
    digest,
)
from detectors.reference.joint import NAME as JOINT
from detectors.reference.joint import Joint
from detectors.reference.outcomes import known_document, known_from_document
from detectors.reference.reading import (
    EPOCH,
    read_ascending,
    read_counts,
    read_distinct,
    read_integer,
    read_items,
    read_members,
    read_moment,
    read_number,
    read_object,
    read_pair,
    read_text,
)
from detectors.series import Series, SeriesType

FORMAT = 1
_TYPES = get_args(SeriesType)


def to_document(reference: Reference) -> dict[str, Any]:
    """The document: members in this order, times as RFC 3339, value cells apart from `odd` and `missing`."""
    built, blocks = reference.built_from, reference.blocks
    document = {
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
            **({} if built.gap_ms is None else {"gap_ms": built.gap_ms}),
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
    if reference.season is not None:
        names = [r.series.name for r in reference.series]
        document["season"] = {
            "name": reference.season.name,
            "timezone": reference.season.timezone,
            "slots": _slots_document(reference.slots, names),
            "segments": {
                s.segment: _slots_document(s.slots, names) for s in reference.segments if s.slots
            },
        }
    if reference.derived:
        document["derived"] = {
            JOINT if isinstance(one, Joint) else one.feature: _derivation_document(one)
            for one in reference.derived
        }
    if reference.known is not None:
        document["outcomes"] = known_document(reference.known)
    return document


def _slots_document(slots: tuple[SlotReference, ...], names: list[str]) -> dict[str, Any]:
    return {
        str(s.slot): {
            "windows": s.windows,
            "events": s.events,
            "counts": {name: list(counts) for name, counts in zip(names, s.counts, strict=True)},
        }
        for s in slots
    }


def _derivation_document(one: Derivation) -> dict[str, Any]:
    match one:
        case Text() | Identifier():
            return {"type": one.type, "known": None if one.known is None else _packed(one.known)}
        case Vector():
            return {"type": one.type, "centre": list(one.centre)}
        case _:
            return {
                "type": JOINT,
                "features": list(one.features),
                "centre": list(one.centre),
                "scale": list(one.scale),
                "shift": one.shift,
                "weights": list(one.weights),
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
        **({} if s.ends is None else {"ends": list(s.ends)}),
        "dispersion": dict(reference.dispersion),
    }


def from_document(document: object) -> Reference:
    """Read a document.

    Raises
    ------
    ValueError
        Naming the place and what was expected: it is malformed, of a newer format, or was changed by hand.
    """
    top = read_members(
        document,
        "",
        "format reference_id digest model_id model_version built_from blocks series segments",
        "season derived outcomes",
    )
    version = read_integer(top["format"], "format", 1)
    if version > FORMAT:
        raise ValueError(
            f"format: written by a newer Leeway ({version}); this one reads up to {FORMAT}"
        )
    built = read_members(top["built_from"], "built_from", "source start end events", "gap_ms")
    blocks = top["blocks"]
    if blocks is not None:
        b = read_members(blocks, "blocks", "window_ms windows rows")
        blocks = Blocks(
            *(read_integer(b[k], f"blocks.{k}", 1) for k in ("window_ms", "windows", "rows"))
        )
    series = tuple(
        _series(name, value, f"series.{name}")
        for name, value in read_object(top["series"], "series").items()
    )
    segments = tuple(
        _segment(name, value, series, f"segments.{name}")
        for name, value in read_object(top["segments"], "segments").items()
    )
    season, slots, of_segments = _season(top.get("season"), series)
    unknown = of_segments.keys() - {s.segment for s in segments}
    if unknown:
        raise ValueError(f"season.segments.{min(unknown)}: is not a segment")
    segments = tuple(replace(s, slots=of_segments.get(s.segment, ())) for s in segments)
    reference = Reference(
        reference_id=read_text(top["reference_id"], "reference_id"),
        model_id=read_text(top["model_id"], "model_id"),
        model_version=read_text(top["model_version"], "model_version"),
        built_from=BuiltFrom(
            read_text(built["source"], "built_from.source"),
            read_moment(built["start"], "built_from.start"),
            read_moment(built["end"], "built_from.end"),
            read_integer(built["events"], "built_from.events"),
            read_integer(built["gap_ms"], "built_from.gap_ms") if "gap_ms" in built else None,
        ),
        blocks=blocks,
        series=series,
        segments=segments,
        digest=read_text(top["digest"], "digest"),
        season=season,
        slots=slots,
        derived=_derived(top.get("derived", {}), [r.series for r in series]),
        known=None if top.get("outcomes") is None else known_from_document(top["outcomes"]),
    )
    if digest(reference) != reference.digest:
        raise ValueError(
            "digest: does not match the contents; build the reference anew instead of editing it"
        )
    return reference


def _series(name: str, value: object, at: str) -> ReferenceSeries:
    given = read_object(value, at)
    kind = given.get("type")
    if kind not in _TYPES:
        raise ValueError(f"{at}.type: expected one of {', '.join(_TYPES)}, not {kind!r}")
    numeric = kind in ("number", "integer")
    cut = ("support" if "support" in given else "edges") if numeric else "categories known"
    ends = " ends" if "ends" in given else ""  # not in references of earlier releases
    m = read_members(given, at, f"type {cut} counts odd missing centre scale{ends} dispersion")
    scale = read_number(m["scale"], f"{at}.scale")
    if scale <= 0:
        raise ValueError(f"{at}.scale: expected a positive number, not {scale}")
    series = Series(
        name,
        cast(SeriesType, kind),
        edges=read_ascending(m.get("edges", []), f"{at}.edges"),
        support=read_ascending(m.get("support", []), f"{at}.support"),
        categories=read_distinct(m.get("categories", []), f"{at}.categories"),
        known=read_distinct(m.get("known", []), f"{at}.known"),
        centre=read_number(m["centre"], f"{at}.centre"),
        scale=scale,
        ends=read_pair(m["ends"], f"{at}.ends") if ends else None,
    )
    if set(series.categories) & set(series.known):
        raise ValueError(f"{at}.known: repeats one of the categories")
    if kind == "boolean" and (series.categories, series.known) != (("false", "true"), ()):
        raise ValueError(f"{at}.categories: expected false and true")
    counts = read_counts(m["counts"], f"{at}.counts", series.values)
    dispersion = read_object(m["dispersion"], f"{at}.dispersion").items()
    return ReferenceSeries(
        series,
        (*counts, read_integer(m["odd"], f"{at}.odd"), read_integer(m["missing"], f"{at}.missing")),
        tuple((score, _phi(phi, f"{at}.dispersion.{score}")) for score, phi in dispersion),
    )


def _segment(
    name: str, value: object, series: tuple[ReferenceSeries, ...], at: str
) -> SegmentReference:
    m = read_members(value, at, "events counts")
    counts = read_members(m["counts"], f"{at}.counts", [r.series.name for r in series])
    return SegmentReference(
        name,
        read_integer(m["events"], f"{at}.events"),
        tuple(
            read_counts(counts[r.series.name], f"{at}.counts.{r.series.name}", r.series.cells)
            for r in series
        ),
    )


_Slots = tuple[SlotReference, ...]


def _season(
    value: object, series: tuple[ReferenceSeries, ...]
) -> tuple[Season | None, _Slots, dict[str, _Slots]]:
    if value is None:
        return None, (), {}
    m = read_members(value, "season", "name timezone slots segments")
    name = read_text(m["name"], "season.name")
    if name not in SLOTS:
        raise ValueError(f"season.name: expected one of {', '.join(SLOTS)}, not {name!r}")
    season = Season(name, read_text(m["timezone"], "season.timezone"))
    segments = {
        segment: _slots(given, season, series, f"season.segments.{segment}")
        for segment, given in read_object(m["segments"], "season.segments").items()
    }
    return season, _slots(m["slots"], season, series, "season.slots"), segments


def _slots(value: object, season: Season, series: tuple[ReferenceSeries, ...], at: str) -> _Slots:
    out = []
    for number, given in read_object(value, at).items():
        here = f"{at}.{number}"
        if not number.isdecimal() or int(number) >= season.slots or str(int(number)) != number:
            raise ValueError(f"{here}: expected a slot from 0 to {season.slots - 1}")
        m = read_members(given, here, "windows events counts")
        counts = read_members(m["counts"], f"{here}.counts", [r.series.name for r in series])
        out.append(
            SlotReference(
                int(number),
                read_integer(m["windows"], f"{here}.windows", 1),
                read_integer(m["events"], f"{here}.events"),
                tuple(
                    read_counts(
                        counts[r.series.name], f"{here}.counts.{r.series.name}", r.series.cells
                    )
                    for r in series
                ),
            )
        )
    return tuple(sorted(out, key=lambda s: s.slot))


def _derived(value: object, series: list[Series]) -> tuple[Derivation, ...]:
    numbers = [s.name for s in series if s.numeric]
    out = []
    for name, given in read_object(value, "derived").items():
        at = f"derived.{name}"
        one = _derivation(name, given, at)
        needed = (*one.names, *(one.features if isinstance(one, Joint) else ()))
        for each in needed:
            if each not in numbers:
                raise ValueError(f"{at}: needs the numeric series {each}")
        out.append(one)
    return tuple(out)


def _derivation(name: str, value: object, at: str) -> Derivation:
    kind = read_object(value, at).get("type")
    if kind == JOINT:
        m = read_members(value, at, "type features centre scale shift weights")
        try:
            return Joint(
                read_distinct(m["features"], f"{at}.features"),
                read_items(m["centre"], f"{at}.centre", read_number),
                read_items(m["scale"], f"{at}.scale", read_number),
                read_integer(m["shift"], f"{at}.shift"),
                read_items(m["weights"], f"{at}.weights", _signed),
            )
        except ValueError as error:
            raise ValueError(f"{at}: {error}") from None
    if kind == "vector":
        m = read_members(value, at, "type centre")
        return Vector(name, read_items(m["centre"], f"{at}.centre", read_number))
    if kind not in ("text", "identifier"):
        raise ValueError(
            f"{at}.type: expected one of text, vector, identifier, joint, not {kind!r}"
        )
    m = read_members(value, at, "type known")
    if kind == "text":
        return Text(name, _unpacked(m["known"], f"{at}.known"))
    return Identifier(name, None if m["known"] is None else _unpacked(m["known"], f"{at}.known"))


def _packed(hashes: tuple[int, ...]) -> str:
    """64-bit numbers, ascending, big-endian, as base64."""
    return b64encode(b"".join(h.to_bytes(8, "big") for h in hashes)).decode()


def _unpacked(value: object, at: str) -> tuple[int, ...]:
    try:
        raw = b64decode(read_text(value, at), validate=True)
    except binascii.Error:
        raw = b"?"
    hashes = tuple(int.from_bytes(raw[i : i + 8], "big") for i in range(0, len(raw), 8))
    if len(raw) % 8 or any(a >= b for a, b in pairwise(hashes)):
        raise ValueError(f"{at}: expected ascending 64-bit numbers in base64")
    return hashes


def _signed(value: object, at: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**15) <= value <= 2**15:
        raise ValueError(f"{at}: expected an integer of at most 2^15")
    return value


def _phi(value: object, at: str) -> float:
    phi = read_number(value, at)
    if phi < 1:
        raise ValueError(f"{at}: expected a number of at least 1, not {phi}")
    return phi


def _time(ms: int | None) -> str | None:
    if ms is None:
        return None
    return (
        (EPOCH + timedelta(milliseconds=ms))
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
