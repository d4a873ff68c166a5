"""Do pictures say what the numbers say, to eyes, to scripts and to who cannot see them?"""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.console.html import PLOTLY
from streams.console.parts import picture
from streams.console.pictures import cells, drift, lines
from streams.console.pictures.picture import MOST_ROWS, Links, Picture
from streams.control.static import PLOTLY as SERVED
from streams.views.distribution import Distribution
from streams.views.history import VERDICTS, Heat, Line
from tests.streams.console.shapes import MARKUP, NAMES

HOUR_MS = 3_600_000
STATIC = Path("streams/console/static")


def line(name: str = "recall", many: int = 6, **more: Any) -> Line:
    ends = HOUR_MS * np.arange(1, many + 1)
    value = more.pop("value", np.linspace(0.5, 0.8, many))
    return Line(
        name, ends, value, value - 0.1, value + 0.1, np.full(many, 900), **{"reference": 0.8, "threshold": 0.6, **more}
    )  # fmt: skip


def heat(names: tuple[str, ...], windows: int = 4) -> Heat:
    ratio = np.tile(np.linspace(0.1, 2.5, windows, dtype=np.float32), (len(names), 1))
    verdict = np.full(ratio.shape, VERDICTS.index("stable"), np.uint8)
    verdict[0, -2:] = VERDICTS.index("drifting"), VERDICTS.index("severe")
    return Heat(names, HOUR_MS * np.arange(1, windows + 1), ratio, verdict)


def shares(labels: tuple[str, ...], *, ordered: bool = False) -> Distribution:
    reference = np.arange(1, len(labels) + 1) / np.arange(1, len(labels) + 1).sum()
    return Distribution(
        "feature:x", 0, HOUR_MS, labels, tuple(reference), tuple(reference[::-1]), 1000, 500, 0.0, 0.1, ordered
    )  # fmt: skip


def drawn(found: Picture) -> dict[str, Any]:
    """What the script of a page reads."""
    text = re.search(r'<script type="application/json">(.*?)</script>', picture(found), re.S)
    assert text is not None
    return dict(json.loads(text[1]))


def test_the_library_is_the_one_that_is_served() -> None:
    assert PLOTLY == SERVED == f"plotly-{version('plotly')}.min.js"


def test_every_colour_that_a_picture_names_is_in_the_style_sheet_for_both_schemes() -> None:
    style = (STATIC / "style.css").read_text()
    light, dark = style.split("@media (prefers-color-scheme: dark)", 1)
    script = (STATIC / "pictures.js").read_text()
    known = set(json.loads(re.search(r"NAMES = (\[.*?\]);", script, re.S)[1]))  # type: ignore[index]
    figures = [
        lines.trend(line()),
        lines.alarm(line("alarm_ratio")),
        drift.heat(heat(("a", "b"))),
        cells.distribution(shares(("a", "b"))),
        lines.versions(line(), line(), "1", "2"),
    ]
    used = set(re.findall(r'"@(\w+)', json.dumps([one.figure for one in figures])))
    assert {"current", "reference", "ink", "bad", "heat0", "heat5"} <= used
    for colour in used | known:
        assert colour in known, colour
        for scheme in (light, dark.partition("\n}")[0]):
            assert re.search(rf"--{colour}: #[0-9a-f]{{6}};", scheme), colour


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_never_markup_for_the_library_or_the_page(name: str) -> None:
    for found in (
        drift.heat(heat((name, "b")), lambda series: f"/models/m/series/{len(series)}"),
        cells.distribution(shares((name, "b"))),
        lines.versions(line(), line(), name, "2"),
    ):
        text = picture(found)
        assert "<script>alert" not in text
        assert "<script>alert" not in json.dumps(found.figure)  # Plotly reads markup in labels
        assert drawn(found)["data"]


def test_a_gap_stays_a_gap_in_the_line_and_in_its_band() -> None:
    value = np.array([0.5, np.nan, np.nan, 0.6, 0.7, np.nan])
    figure = drawn(lines.trend(line(value=value)))
    band, shown = figure["data"]
    assert shown["y"] == [0.5, None, None, 0.6, 0.7, None]
    assert band["x"].count(None) == 2  # two stretches, each closed
    assert len([y for y in band["y"] if y is not None]) == 2 * 3


def test_a_trend_tells_reference_threshold_and_maturity() -> None:
    found = lines.trend(line(), estimated=line("recall_estimated"), matured=line(many=2))
    assert "threshold 0.6" in found.summary
    figure = drawn(found)
    named = {one.get("name"): one for one in figure["data"]}
    assert named["estimated, before labels"]["line"]["dash"] == "dot"
    assert named["matured, by day of prediction"]["marker"]["symbol"] == "diamond"
    assert [one["text"] for one in figure["layout"]["annotations"]] == [
        "reference 0.8",
        "threshold 0.6",
    ]
    assert "dotted: estimated" in (found.note or "")
    assert "not measured yet" in lines.trend(line(value=np.full(6, np.nan))).summary


def test_the_heat_map_leads_to_each_window_and_tells_verdicts_without_colour() -> None:
    found = drift.heat(heat(("feature:a", "feature:b")), lambda series: f"/s/{series}")
    figure = drawn(found)
    links = figure["links"]
    assert links["rows"][1] + links["columns"][-1] == "/s/feature:b?window=1970-01-01T04:00:00.000Z"
    widths = {one["name"]: one["line"]["width"] for one in figure["data"] if one.get("name")}
    assert widths["severe"] > widths["drifting"]
    text = picture(found)
    assert 'role="application"' in text
    assert 'tabindex="0"' in text
    assert '<a href="/s/feature:a">feature:a</a>' in text  # the same without seeing it
    assert "1 drifted, most of all feature:a" in found.summary
    assert 'role="img"' in picture(drift.heat(heat(("feature:a",))))


def test_a_distribution_has_two_bars_and_a_difference_for_each_cell() -> None:
    found = cells.distribution(shares(("low", "high")))
    reference, current, gap = (one["y"] for one in drawn(found)["data"])
    assert gap == pytest.approx([b - a for a, b in zip(reference, current, strict=True)], abs=0.01)
    assert (
        "moved most: low, from 33.3\N{NO-BREAK SPACE}% to 66.7\N{NO-BREAK SPACE}%" in found.summary
    )
    assert found.rows.written[0][-2:] == ("333", "333")


@pytest.mark.parametrize("ordered", [True, False])
def test_of_very_many_cells_none_is_lost(ordered: bool) -> None:
    labels = tuple(f"cell {at}" for at in range(400))
    found = cells.distribution(shares(labels, ordered=ordered))
    reference, current, _ = (one["y"] for one in drawn(found)["data"])
    assert len(reference) <= cells.MOST_CELLS
    assert sum(reference) == pytest.approx(100, abs=0.1)
    assert sum(current) == pytest.approx(100, abs=0.1)


def test_the_table_of_a_picture_is_short_and_says_so() -> None:
    found = lines.trend(line(many=200))
    text = picture(found)
    assert text.count("<tr>") == MOST_ROWS + 1
    assert f"The first {MOST_ROWS} of 200." in text
    assert found.rows.written[0][0] == "1970-01-09 08:00 UTC"  # the newest


def test_a_point_of_the_effect_leads_to_its_window() -> None:
    found = lines.effect(line("effect"), Links(["/s?window="], [str(one) for one in range(6)]))
    figure = drawn(found)
    (trace,) = figure["data"]
    assert trace["customdata"] == list(range(6))
    assert len(figure["links"]["columns"]) == len(trace["x"])


def test_nothing_measured_is_said_and_drawn_as_nothing() -> None:
    nothing = Heat(
        (), np.zeros(0, np.int64), np.zeros((0, 0), np.float32), np.zeros((0, 0), np.uint8)
    )
    assert "No window has been judged yet." in picture(drift.heat(nothing))
    assert MARKUP not in picture(cells.distribution(shares((MARKUP,))))
