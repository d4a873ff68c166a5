"""What do the values of a series look like, in the reference and now? Bars side by side, cell by cell."""

from streams.console.pictures.picture import Figure, Picture, Rows, label
from streams.console.wording import number, percent
from streams.views.distribution import Distribution

MOST_CELLS = 60  # bars; with more, the smallest differences are put together
_NAMED = 14  # cells whose labels all have room


def distribution(
    found: Distribution,
    *,
    picture_id: str = "picture-distribution",
    title: str = "Reference beside current",
) -> Picture:
    """Reference beside current, and below the difference of each cell in percentage points."""
    cells = _cells(found)
    names = [name for name, _, _ in cells]
    reference = [_points(share) for _, share, _ in cells]
    current = [_points(share) for _, _, share in cells]
    gap = [round(now - then, 3) for then, now in zip(reference, current, strict=True)]
    places = list(range(len(cells)))
    bars: list[Figure] = [
        {
            "type": "bar", "name": "reference", "x": places, "y": reference,
            "marker": {"color": "@reference/0.55", "line": {"color": "@reference", "width": 1}},
            "hovertemplate": "%{y:.3~g} %",
        },
        {
            "type": "bar", "name": "current", "x": places, "y": current,
            "marker": {"color": "@current"}, "hovertemplate": "%{y:.3~g} %",
        },
        {
            "type": "bar", "name": "difference", "x": places, "y": gap, "yaxis": "y2",
            "marker": {"color": ["@current" if one >= 0 else "@reference" for one in gap]},
            "hovertemplate": "%{y:+.3~g} points", "showlegend": False,
        },
    ]  # fmt: skip
    every = 1 if len(cells) <= _NAMED else -(-len(cells) // _NAMED)
    shown_at = places[::every]
    longest = 16 if len(cells) > 6 else 24
    layout: Figure = {
        "barmode": "group",
        "bargap": 0.12 if found.ordered else 0.3,
        "bargroupgap": 0,
        "showlegend": True,
        "xaxis": {
            "anchor": "y2",
            "tickvals": shown_at,
            "ticktext": [label(names[at], longest) for at in shown_at],
            "title": {"text": label(found.unit or "", 40), "font": {"size": 11}},
        },
        "yaxis": {"domain": [0.34, 1], "ticksuffix": " %"},
        "yaxis2": {
            "domain": [0, 0.24],
            "rangemode": "normal",
            "nticks": 3,
            "zeroline": True,
            "zerolinecolor": "@soft",
            "title": {"text": "points", "font": {"size": 10}},
        },
        "margin": {"t": 26},
    }
    return Picture(
        id=picture_id,
        title=title,
        figure={"data": bars, "layout": layout},
        summary=_told(found),
        head=("Cell", "Reference", "Current", "Difference", "Reference n", "Current n"),
        rows=Rows.of(
            (
                name,
                percent(then),
                percent(now),
                f"{100 * (now - then):+.3g}",
                number(round(then * found.n_reference)),
                number(round(now * found.n_current)),
            )
            for name, then, now in cells
        ),
        height=330,
        figures=(1, 2, 3, 4, 5),
    )


def _cells(found: Distribution) -> list[tuple[str, float, float]]:
    """Cells as they are drawn; of very many categories, those that differ least are one."""
    cells = list(zip(found.labels, found.reference, found.current, strict=True))
    if len(cells) <= MOST_CELLS:
        return cells
    if found.ordered:  # neighbours are put together
        step = -(-len(cells) // MOST_CELLS)
        return [_joined(cells[at : at + step], " … ") for at in range(0, len(cells), step)]
    ranked = sorted(range(len(cells)), key=lambda at: (-abs(cells[at][1] - cells[at][2]), at))
    kept = set(ranked[: MOST_CELLS - 1])
    rest = [cell for at, cell in enumerate(cells) if at not in kept]
    left = f"{len(rest)} others"
    total = (left, sum(then for _, then, _ in rest), sum(now for _, _, now in rest))
    return [cell for at, cell in enumerate(cells) if at in kept] + [total]


def _joined(cells: list[tuple[str, float, float]], between: str) -> tuple[str, float, float]:
    name = cells[0][0] if len(cells) == 1 else f"{cells[0][0]}{between}{cells[-1][0]}"
    return name, sum(then for _, then, _ in cells), sum(now for _, _, now in cells)


def _points(share: float) -> float:
    return float(f"{100 * share:.4g}")


def _told(found: Distribution) -> str:
    """Where it moved most, in one sentence."""
    moved = max(
        zip(found.labels, found.reference, found.current, strict=True),
        key=lambda cell: abs(cell[2] - cell[1]),
        default=None,
    )
    sizes = f"{number(found.n_reference)} values in the reference, {number(found.n_current)} now"
    if moved is None or moved[1] == moved[2]:
        return f"{sizes}."
    name, then, now = moved
    return f"{sizes}; moved most: {name}, from {percent(then)} to {percent(now)}."
