"""Results carry what was compared: each series' counts in the cells of its reference."""

from typing import Any

import numpy as np

from detectors.reference.frozen import ReferenceSeries
from tests.builders import MINUTE_MS, START_MS, small
from tests.streams.test_judge import Desk, minute


def counted(result: dict[str, Any]) -> dict[str, list[int]]:
    return {one["series"]: one.get("counts", []) for one in result["series"]}


def expected(one: ReferenceSeries, values: list[Any]) -> list[int]:
    """The same, counted by hand."""
    series = one.series
    if series.numeric:
        cells = np.searchsorted(series.edges, values, side="left").tolist()
    else:
        cells = [series.categories.index(value) for value in values]
    return [*(cells.count(cell) for cell in range(series.values)), 0, 0]


def test_counts_are_those_of_the_window_by_cell_of_the_reference() -> None:
    events, desk = minute(1), Desk()
    desk.count(events)
    desk.reach(START_MS + 6 * MINUTE_MS)
    found = counted(next(r for r in desk.results() if r["segment"] == "all"))
    for one in small().series:
        name = one.series.name
        values = [
            event["features"][name.removeprefix("feature:")] if ":" in name else event[name]
            for event in events
        ]
        assert found[name] == expected(one, values), name
    assert {name for name, counts in found.items() if not counts} <= {
        name for name in found if name.startswith("missing:")
    }


def test_counts_are_of_all_events_that_a_verdict_is_about() -> None:
    desk = Desk()
    desk.count(minute(1, 150))  # too few: they are judged with the next window
    desk.count(minute(6, 150))
    desk.reach(START_MS + 11 * MINUTE_MS)
    first, second = (r for r in desk.results() if r["segment"] == "all")
    assert counted(first) == {}
    (income,) = (one for one in second["series"] if one["series"] == "feature:income")
    assert sum(income["counts"]) == income["n_current"] == 300


def test_a_window_without_events_has_no_counts() -> None:
    desk = Desk()
    desk.count(minute(1))
    desk.reach(START_MS + 11 * MINUTE_MS)
    quiet = [result for result in desk.results() if not result["window"]["events"]]
    assert quiet
    assert all("counts" not in one for result in quiet for one in result["series"])
