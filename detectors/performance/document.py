"""The outcomes of a reference as a JSON document that people can read, and back: strictly, to the same bits.

It is the optional member ``outcomes`` of a reference's document, whose digest covers it as it stands here.
"""

from collections.abc import Mapping
from datetime import timedelta
from math import prod
from typing import Any, cast, get_args

import numpy as np

from detectors.performance.layout import Layout, Task
from detectors.performance.reference import OutcomeReference, Phis, Span
from detectors.reference.reading import (
    EPOCH,
    read_ascending,
    read_distinct,
    read_integer,
    read_items,
    read_members,
    read_moment,
    read_number,
    read_object,
    read_pair,
)
from detectors.samples.effects import Ints
from detectors.series import Series

_SERIES = "edges support categories centre scale ends"


def to_document(reference: OutcomeReference) -> dict[str, Any]:
    """The document: what is empty is left out, counts stand by block."""
    layout, span = reference.layout, reference.span
    return {
        "task": layout.task,
        "classes": list(layout.classes),
        "positive": None if layout.positive is None else layout.classes[layout.positive],
        "score_range": list(layout.score_range),
        "score_edges": layout.score_edges.tolist(),
        "centre": layout.centre,
        "label": layout.label and _series_document(layout.label),
        "loss": layout.loss and {**_series_document(layout.loss), "worth": list(reference.worth)},
        "span": span
        and {
            "window_ms": span.window_ms,
            "windows": span.windows,
            "rows": span.rows,
            "start": _time(span.start_ms),
            "end": _time(span.end_ms),
        },
        "counts": {
            name: layout.read(reference.counts, name).tolist()
            for name, shape in layout.shapes.items()
            if prod(shape)
        },
        "dispersion": {series: dict(phis) for series, phis in reference.dispersion},
    }


def _series_document(series: Series) -> dict[str, Any]:
    if not series.numeric:
        return {"categories": list(series.categories)}
    return {
        **({"support": list(series.support)} if series.support else {"edges": list(series.edges)}),
        "centre": series.centre,
        "scale": series.scale,
        **({} if series.ends is None else {"ends": list(series.ends)}),
    }


def from_document(document: object, at: str = "outcomes") -> OutcomeReference:
    """Read a document.

    Raises
    ------
    ValueError
        Naming the place and what was expected there.
    """
    m = read_members(
        document,
        at,
        "task classes positive score_range score_edges centre label loss span counts dispersion",
    )
    task = m["task"]
    if task not in get_args(Task):
        raise ValueError(f"{at}.task: expected one of {', '.join(get_args(Task))}, not {task!r}")
    classes = read_distinct(m["classes"], f"{at}.classes")
    positive = m["positive"]
    if positive is not None and positive not in classes:
        raise ValueError(f"{at}.positive: expected one of the classes, not {positive!r}")
    worth: tuple[float, ...] = ()
    loss = None
    if m["loss"] is not None:
        given = read_members(m["loss"], f"{at}.loss", "worth", _SERIES)
        worth = read_items(given["worth"], f"{at}.loss.worth", read_number)
        loss = _series("loss", given, f"{at}.loss")
        if len(worth) != loss.values:
            raise ValueError(f"{at}.loss.worth: expected {loss.values} numbers, not {len(worth)}")
    label = None
    if m["label"] is not None:
        label = _series(
            "label", read_members(m["label"], f"{at}.label", "", _SERIES), f"{at}.label"
        )
    try:
        layout = Layout(
            cast(Task, task),
            classes,
            None if positive is None else classes.index(positive),
            np.array(read_ascending(m["score_edges"], f"{at}.score_edges"), np.float64),
            read_pair(m["score_range"], f"{at}.score_range"),
            read_number(m["centre"], f"{at}.centre"),
            label,
            loss,
        )
    except ValueError as error:
        raise ValueError(f"{at}: {error}") from None
    return OutcomeReference(
        layout,
        _counts(m["counts"], layout, f"{at}.counts"),
        worth,
        _span(m["span"], f"{at}.span"),
        tuple(
            (series, _phis(phis, f"{at}.dispersion.{series}"))
            for series, phis in read_object(m["dispersion"], f"{at}.dispersion").items()
        ),
    )


def _series(name: str, m: Mapping[str, Any], at: str) -> Series:
    if "categories" in m:
        return Series(
            name, "category", categories=read_distinct(m["categories"], f"{at}.categories")
        )
    scale = read_number(m.get("scale"), f"{at}.scale")
    if scale <= 0:
        raise ValueError(f"{at}.scale: expected a positive number, not {scale}")
    return Series(
        name,
        "number",
        edges=read_ascending(m.get("edges", []), f"{at}.edges"),
        support=read_ascending(m.get("support", []), f"{at}.support"),
        centre=read_number(m.get("centre"), f"{at}.centre"),
        scale=scale,
        ends=read_pair(m["ends"], f"{at}.ends") if "ends" in m else None,
    )


def _span(value: object, at: str) -> Span | None:
    if value is None:
        return None
    m = read_members(value, at, "window_ms windows rows start end")
    start, end = (read_moment(m[name], f"{at}.{name}") for name in ("start", "end"))
    if start is None or end is None or start >= end:
        raise ValueError(f"{at}: expected a start before the end")
    return Span(
        read_integer(m["window_ms"], f"{at}.window_ms", 1),
        read_integer(m["windows"], f"{at}.windows", 1),
        read_integer(m["rows"], f"{at}.rows"),
        start,
        end,
    )


def _counts(value: object, layout: Layout, at: str) -> Ints:
    names = [name for name, shape in layout.shapes.items() if prod(shape)]
    m = read_members(value, at, names)
    out = np.zeros(layout.total, np.int64)
    for name in names:
        shape = layout.shape(name)
        flat = [
            number
            for item in read_items(m[name], f"{at}.{name}", _whole_or_list)
            for number in (item if isinstance(item, tuple) else (item,))
        ]
        if len(flat) != prod(shape):
            raise ValueError(f"{at}.{name}: expected {prod(shape)} integers, not {len(flat)}")
        out[layout.block(name)] = flat
    return out


def _whole_or_list(value: object, at: str) -> int | tuple[int, ...]:
    return read_items(value, at, _whole) if isinstance(value, list) else _whole(value, at)


def _whole(value: object, at: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise ValueError(f"{at}: expected a 64-bit integer")
    return value


def _phis(value: object, at: str) -> Phis:
    out = []
    for score, given in read_object(value, at).items():
        phi = read_number(given, f"{at}.{score}")
        if phi < 1:
            raise ValueError(f"{at}.{score}: expected a number of at least 1, not {phi}")
        out.append((score, phi))
    return tuple(out)


def _time(ms: int) -> str:
    moment = EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
