"""How did a number move? Lines over time, with what is sure of them and the line they must not cross."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from streams.console.pictures.picture import (
    MOST_ROWS,
    Figure,
    Links,
    Picture,
    Rows,
    label,
    plain,
    shown,
)
from streams.console.wording import clock, number, words
from streams.views.history import Line

# by what a line is told from the others beside its colour
_DASHES = ("solid", "dash", "dot", "dashdot")
_SHARES = frozenset(("availability", "error_rate", "label_coverage"))
_KINDS = (("estimated", "dotted: estimated"), ("matured", "diamonds: matured"))
_UNITS = {"throughput": "events per second", "latency": "milliseconds", "label_lag": "milliseconds"}
_RIM = (
    5  # of the picture of alarms: evidence grows for ever, and what matters is near the threshold
)


def trend(
    line: Line,
    *,
    estimated: Line | None = None,
    matured: Line | None = None,
    picture_id: str | None = None,
) -> Picture:
    """One metric: as labels told it, and where they are late what was estimated, and what became of it.

    Parameters
    ----------
    line : window by window, by the time of the label
    estimated : from calibrated scores, before labels come; drawn dotted
    matured : by day of prediction, once labels came; drawn with points
    """
    lines = [("as labels come", line, "@current", 0)]
    if estimated is not None and estimated.end_ms.size:
        lines.append(("estimated, before labels", estimated, "@soft", 2))
    traces = [_band(line, "@current"), *(_trace(one, n, c, d) for n, one, c, d in lines)]
    if matured is not None and matured.end_ms.size:
        points = _trace(matured, "matured, by day of prediction", "@ink", 0)
        traces.append(
            {**points, "mode": "lines+markers", "marker": {"symbol": "diamond", "size": 6}}
        )
        lines.append(("matured", matured, "@ink", 0))
    layout = _limits([line])
    layout["showlegend"] = len(lines) > 1
    layout["yaxis"] = {"rangemode": "normal", "title": _unit(line.name)}
    drawn = [text for name, text in _KINDS if any(told.startswith(name) for told, _, _, _ in lines)]
    if np.isfinite(line.low).any():
        drawn.insert(0, "The band is the 95 % interval")
    note = "; ".join(filter(None, drawn))
    return Picture(
        id=picture_id or f"picture-{line.name}",
        title=words(line.name),
        figure={"data": traces, "layout": layout},
        summary=_told(line),
        head=("Window to", "Of", "Value", "Interval", "n"),
        rows=_rows([(name, one) for name, one, _, _ in lines]),
        note=f"{note}." if note else None,
        figures=(2, 4),
    )


def together(
    lines: Sequence[Line],
    *,
    picture_id: str,
    title: str,
    names: Mapping[str, str] | None = None,
    note: str | None = None,
) -> Picture:
    """Several lines of one unit, told apart by their dashes and in the legend; the first is drawn strongest."""
    named = [(names or {}).get(one.name, words(one.name)) for one in lines]
    traces = [
        _trace(one, name, "@current" if at == 0 else "@ink" if at == 1 else "@soft", at)
        for at, (name, one) in enumerate(zip(named, lines, strict=True))
    ]
    layout = _limits(lines)
    layout |= {"showlegend": len(lines) > 1, "yaxis": {"title": _unit(lines[0].name)}}
    return Picture(
        id=picture_id,
        title=title,
        figure={"data": traces, "layout": layout},
        summary=" ".join(_told(one, name) for name, one in zip(named, lines, strict=True)),
        head=("Window to", "Of", "Value", "Interval", "n"),
        rows=_rows(list(zip(named, lines, strict=True))),
        note=note,
        figures=(2, 4),
    )


def latency(lines: Sequence[Line]) -> Picture:
    """Percentiles of the answer time: p50, p95, p99."""
    names = {one.name: one.name.removeprefix("latency_") for one in lines}
    return together(lines, picture_id="picture-latency", title="Latency", names=names)


def throughput(lines: Sequence[Line]) -> Picture:
    """How much came in."""
    return together(lines, picture_id="picture-throughput", title="Throughput")


def coverage(line: Line) -> Picture:
    """Of which share of the predictions the truth is known."""
    return trend(line, picture_id="picture-label-coverage")


def alarm(line: Line) -> Picture:
    """How much of the alarm's threshold was reached: what is spent of the false alarms that were allowed."""
    known = np.isfinite(line.value)
    beyond = float(line.value[known].max()) > _RIM if known.any() else False
    drawn = replace(line, value=np.minimum(line.value, _RIM)) if beyond else line
    trace = _trace(drawn, "alarm", "@current", 0)
    layout = _limits([replace(line, threshold=1.0)], "fires at")
    layout["yaxis"] = {"title": {"text": "of its threshold", "font": {"size": 11}}}
    if beyond:
        layout["yaxis"] |= {"range": [0, 1.05 * _RIM], "rangemode": "normal", "autorange": False}
    return Picture(
        id="picture-alarm",
        title="Alarm",
        figure={"data": [trace], "layout": layout},
        summary=_told(replace(line, threshold=1.0), "evidence over its threshold"),
        head=("Window to", "Of", "Value", "Interval", "n"),
        rows=_rows([("alarm", line)]),
        height=150,
        note="At 1 the alarm fires; false alarms come no oftener than the budget allows."
        + (f" Values above {_RIM} are drawn at {_RIM}." if beyond else ""),
        figures=(2, 4),
    )


def versions(a: Line, b: Line, name_a: str, name_b: str) -> Picture:
    """The same number of two versions, over the same time."""
    traces = [
        _band(a, "@reference"),
        _trace(a, name_a, "@reference", 1),
        _band(b, "@current"),
        _trace(b, name_b, "@current", 0),
    ]
    layout = _limits([b])
    layout |= {"showlegend": True, "yaxis": {"rangemode": "normal", "title": _unit(a.name)}}
    return Picture(
        id=f"picture-{a.name}",
        title=words(a.name),
        figure={"data": traces, "layout": layout},
        summary=f"{_told(a, name_a)} {_told(b, name_b)}",
        head=("Window to", "Version", "Value", "Interval", "n"),
        rows=_rows([(name_a, a), (name_b, b)]),
        figures=(2, 4),
    )


def effect(line: Line, links: Links) -> Picture:
    """How far a series was from its reference, window by window; a point leads to the page of its window."""
    trace = _trace(line, "effect over its floor", "@current", 0)
    trace |= {
        "mode": "lines+markers",
        "marker": {"size": 5 if line.end_ms.size <= 100 else 3},
        "customdata": list(range(line.end_ms.size)),
    }
    layout = _limits([line], "floor")
    layout |= {
        "hovermode": "closest",
        "yaxis": {"title": {"text": "times its floor", "font": {"size": 11}}},
    }
    return Picture(
        id="picture-effect",
        title="Effect over time",
        figure={"data": [trace], "layout": layout},
        summary=_told(line, "Effect over its floor"),
        head=("Window to", "Of", "Value", "Interval", "n"),
        rows=_rows([("effect", line)]),
        height=150,
        note="At 1 the difference is as large as the smallest one that matters. A point opens its window.",
        links=links,
        figures=(2, 4),
    )


def _trace(line: Line, name: str, colour: str, dash: int) -> Figure:
    few = np.isfinite(line.value).sum() <= 2  # a line of one point would not be seen
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": label(name, 40),
        "x": line.end_ms.tolist(),
        "y": shown(line.value),
        "line": {"color": colour, "width": 2 if dash == 0 else 1.5, "dash": _DASHES[dash % 4]},
        "hovertemplate": "%{y:.4~g}",
        "connectgaps": False,
    }


def _band(line: Line, colour: str) -> Figure:
    """The interval, as one closed shape for every stretch without a gap."""
    known = np.isfinite(line.low) & np.isfinite(line.high)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    x: list[int | None] = []
    y: list[float | None] = []
    for start, end in edges.reshape(-1, 2).tolist():
        times, low, high = line.end_ms[start:end], line.low[start:end], line.high[start:end]
        x += [*times.tolist(), *times[::-1].tolist(), None]
        y += [*shown(high), *shown(low[::-1]), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "fill": "toself",
        "fillcolor": f"{colour}/0.18",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _limits(lines: Sequence[Line], word: str = "threshold") -> Figure:
    """The reference and the thresholds, each with its word."""
    shapes: list[Figure] = []
    words_at: list[Figure] = []

    def across(y: float, text: str, colour: str, dash: str) -> None:
        shapes.append(
            {
                "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y,
                "line": {"color": colour, "width": 1.5, "dash": dash},
            }
        )  # fmt: skip
        words_at.append(
            {
                "xref": "paper", "x": 1, "xanchor": "right", "y": y, "yanchor": "bottom",
                "text": plain(text), "showarrow": False, "font": {"size": 11, "color": colour},
            }
        )  # fmt: skip

    first = lines[0]
    if first.reference is not None and isfinite(first.reference):
        across(first.reference, f"reference {number(first.reference)}", "@soft", "dot")
    for one in lines:
        if one.threshold is not None and isfinite(one.threshold):
            across(one.threshold, f"{word} {number(one.threshold)}", "@bad", "dash")
    return {"xaxis": {"type": "date"}, "shapes": shapes, "annotations": words_at}


def _unit(name: str) -> Figure:
    text = next((unit for start, unit in _UNITS.items() if name.startswith(start)), "")
    return {"text": "share of all" if name in _SHARES else text, "font": {"size": 11}}


def _told(line: Line, name: str | None = None) -> str:
    """One sentence: the newest value and the range.

    >>> times, one = np.array([0]), np.array([0.8])
    >>> _told(Line("recall", times, one, one - 0.1, one + 0.1, np.array([9]), None, 0.5))
    'recall: newest 0.8 (0.7 to 0.9), threshold 0.5.'
    """
    name = name or words(line.name)
    known = np.flatnonzero(np.isfinite(line.value))
    if not known.size:
        return f"{name}: not measured yet."
    last = int(known[-1])
    value, low, high = (float(of[last]) for of in (line.value, line.low, line.high))
    parts = [f"{name}: newest {number(value)}"]
    if isfinite(low) and isfinite(high):
        parts[0] += f" ({number(low)} to {number(high)})"
    if known.size > 1:
        values = line.value[known]
        parts.append(f"from {number(float(values.min()))} to {number(float(values.max()))} before")
    for what, limit in (("threshold", line.threshold), ("reference", line.reference)):
        if limit is not None:
            parts.append(f"{what} {number(limit)}")
    return ", ".join(parts) + "."


def _rows(lines: Sequence[tuple[str, Line]]) -> Rows:
    """The newest of them, newest first; what was not measured is left out."""
    known = [
        (int(line.end_ms[place]), -at, place)
        for at, (_, line) in enumerate(lines)
        for place in np.flatnonzero(np.isfinite(line.value)).tolist()
    ]
    known.sort(reverse=True)
    found = []
    for end, at, place in known[:MOST_ROWS]:
        name, line = lines[-at]
        low, high = float(line.low[place]), float(line.high[place])
        sure = f"{number(low)} to {number(high)}" if isfinite(low) and isfinite(high) else "–"
        value, n = number(float(line.value[place])), number(int(line.n[place]))
        found.append((clock(end), name, value, sure, n))
    return Rows(found, len(known))
