"""Which series moved, and when? A heat map of effects over time, with what was concluded drawn into it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from alerting.identity import rfc3339
from streams.console.html import Content, link
from streams.console.pictures.picture import Figure, Links, Picture, Rows, label, plain, shown
from streams.console.wording import clock, number
from streams.views.history import VERDICTS, Heat

MOST_SERIES = 30  # rows that a picture has room for; the rest is in the list of series
_DARKEST = 3.0  # times the floor
_SCALE = [[at / 5, f"@heat{at}"] for at in range(6)]
_DRIFTING, _SEVERE = VERDICTS.index("drifting"), VERDICTS.index("severe")


def heat(found: Heat, page: Callable[[str], str] | None = None) -> Picture:
    """Every series a row, every window a column: how large the effect was, in units of the smallest that matters.

    Parameters
    ----------
    page : the address of a series' page; None: nothing leads anywhere
    """
    kept = found.series[:MOST_SERIES]
    ratio, verdict = found.ratio[: len(kept)], found.verdict[: len(kept)]
    ends = found.end_ms.tolist()
    grid: Figure = {
        "type": "heatmap",
        "x": ends,
        "y": list(range(len(kept))),
        "z": [shown(row.astype(np.float64), 3) for row in ratio],
        "zmin": 0,
        "zmax": _DARKEST,
        "colorscale": _SCALE,
        "xgap": 1 if len(ends) <= 60 else 0,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": "%{y}<br>%{x}<br>%{z:.2f} times its floor<extra></extra>",
        "colorbar": {
            "orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom",
            "len": 260, "lenmode": "pixels", "thickness": 10, "outlinewidth": 0,
            "tickvals": [0, 1, 2, 3], "ticktext": ["0", "floor", "2 ×", "3 ×"],
            "tickfont": {"size": 10, "color": "@soft"},
        },
    }  # fmt: skip
    layout: Figure = {
        "hovermode": "closest",
        "xaxis": {"type": "date"},
        "yaxis": {
            "range": [len(kept) - 0.5, -0.5],
            "rangemode": "normal",
            "tickvals": list(range(len(kept))),
            "ticktext": [label(name.removeprefix("feature:")) for name in kept],
            "showgrid": False,
            "ticks": "",
        },
        "margin": {"l": 120, "t": 44, "r": 8},
    }
    links = None
    if page is not None:
        stems = [page(name) for name in kept]
        links = Links([until(one, "") for one in stems], [rfc3339(end) for end in ends])
    marks = [
        *_runs(verdict, ends, _DRIFTING, "drifting", 1.5),
        *_runs(verdict, ends, _SEVERE, "severe", 4),
    ]
    rows = [_row(found, at, name, page) for at, name in enumerate(kept)]
    left = len(found.series) - len(kept)
    more = f" The {len(kept)} that moved most of {len(found.series)} are shown." if left > 0 else ""
    return Picture(
        id="picture-drift",
        title="Drift of every series",
        figure={"data": [grid, *marks], "layout": layout, "names": [plain(name) for name in kept]},
        summary=_told(found),
        head=("Series", "Largest", "At", "Newest", "Windows drifting", "Windows severe"),
        rows=Rows(rows, len(rows)),
        height=max(150, 78 + 20 * len(kept)),
        note="Effect over its floor, the smallest that matters. Thin line: judged drifting; thick: severe."
        + more
        + (" A cell opens its window." if links else ""),
        links=links,
        figures=(1, 3, 4, 5),
    )


def _runs(
    verdict: NDArray[np.uint8], ends: list[int], wanted: int, name: str, width: float
) -> list[Figure]:
    """Where a row was judged so, as lines through the middle of its cells, to be seen on light and on dark ones."""
    x: list[int | None] = []
    y: list[int | None] = []
    half = (ends[-1] - ends[0]) // max(1, len(ends) - 1) // 2 if len(ends) > 1 else 1_800_000
    for at, row in enumerate(verdict):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], row == wanted, [0])).astype(np.int8)))
        for start, end in edges.reshape(-1, 2).tolist():
            x += [ends[start] - half, ends[end - 1] + half, None]
            y += [at, at, None]
    line: Figure = {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip"}
    if not x:
        return []
    return [
        line | {"line": {"color": "@card", "width": width + 2}},
        line | {"line": {"color": "@ink", "width": width}, "name": name},
    ]


def until(address: str, time: str) -> str:
    """The address of a series' page, for the window that ends then.

    >>> until("/models/m/series/s?segment=all", "2026-03-02T07:00:00Z")
    '/models/m/series/s?segment=all&window=2026-03-02T07:00:00Z'
    """
    return f"{address}{'&' if '?' in address else '?'}window={time}"


def _row(found: Heat, at: int, name: str, page: Callable[[str], str] | None) -> tuple[Content, ...]:
    """A series in numbers: its largest effect, which leads to that window, and its newest."""
    ratio, verdict = found.ratio[at], found.verdict[at]
    known = np.flatnonzero(np.isfinite(ratio))
    counts = [number(int((verdict == wanted).sum())) for wanted in (_DRIFTING, _SEVERE)]
    if not known.size:
        return (name if page is None else link(name, page(name)), "–", "–", "–", *counts)
    drifted = known[np.isin(verdict[known], (_DRIFTING, _SEVERE))]
    among = drifted if drifted.size else known  # a large effect may be chance in a small window
    most = int(among[np.argmax(ratio[among])])
    when = clock(int(found.end_ms[most]))
    newest = number(float(ratio[known[-1]]))
    return (
        name if page is None else link(name, page(name)),
        number(float(ratio[most])),
        when if page is None else link(when, until(page(name), rfc3339(int(found.end_ms[most])))),
        newest,
        *counts,
    )


def _told(found: Heat) -> str:
    if not found.end_ms.size:
        return "No window has been judged yet."
    judged = np.isin(found.verdict, (_DRIFTING, _SEVERE))
    names = [name for name, row in zip(found.series, judged, strict=True) if row.any()]
    span = (
        f"{clock(int(found.end_ms[0]), short=True)} to {clock(int(found.end_ms[-1]), short=True)}"
    )
    if not names:
        return f"{len(found.series)} series, {span}: none was judged drifting."
    shown_names = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{len(found.series)} series, {span}: {len(names)} drifted, most of all {shown_names}."
