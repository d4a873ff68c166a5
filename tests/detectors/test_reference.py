"""References: where cells are cut, what is counted and warned about, and that documents round-trip strictly."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from detectors.binning import Binner, Column
from detectors.edges import cut
from detectors.performance.packed import pack_counts
from detectors.performance.reference import build_outcomes
from detectors.reference.build import (
    Blocks,
    Reference,
    Season,
    Seasonal,
    build,
    digest,
    from_document,
    to_document,
    with_outcomes,
)
from detectors.reference.outcomes import Known
from detectors.samples.effects import Floats
from detectors.series import Series
from tests.detectors.cases import HOUR_MS


def numbers(values: Any, odd: Any = None, *, integer: bool = False) -> Column:
    data = np.asarray(values, np.float64)
    marked = np.zeros(len(data), bool) if odd is None else np.asarray(odd, bool)
    return Column("feature:x", "integer" if integer else "number", data, marked)


def texts(values: list[str | None]) -> Column:
    return Column("feature:c", "category", values, np.zeros(len(values), bool))


def series(column: Column, bins: int = 10) -> Series:
    found = cut(column, bins).series
    assert found is not None
    return found


def cells(column: Column, bins: int = 10) -> list[int]:
    counted: list[int] = Binner([series(column, bins)]).count([column]).cells[0].tolist()
    return counted


def test_an_edge_is_an_observed_value_and_cells_have_equal_mass() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    column = numbers(values)
    assert set(series(column).edges) <= set(values.tolist())
    assert cells(column) == [1000] * 10 + [0, 0]


def test_a_value_held_by_a_whole_cells_share_has_a_cell_of_its_own() -> None:
    column = numbers(np.r_[np.full(300, 0.5), np.arange(700) / 699])
    edges = series(column).edges
    at = edges.index(0.5)
    assert edges[at - 1] == np.nextafter(0.5, -np.inf)
    assert cells(column)[at] == 300


def test_zero_inflated_values_keep_zero_apart() -> None:
    column = numbers(np.r_[np.zeros(600), np.arange(1, 401) / 7.0])
    assert series(column, 5).edges[0] == 0.0
    assert cells(column, 5) == [600, 100, 100, 100, 100, 0, 0]


def test_a_constant_has_a_cell_below_and_one_above() -> None:
    assert cells(numbers([2.5] * 300)) == [0, 300, 0, 0, 0]
    assert series(numbers([7.0] * 300, integer=True)).edges == (6.5, 7.5)
    assert series(numbers([1e300] * 300)).edges == (np.nextafter(1e300, 0), 1e300)


def test_integers_of_few_values_have_a_cell_each_and_nothing_between() -> None:
    column = numbers([0, 1, 1, 5] * 100, integer=True)
    assert series(column).support == (0.0, 1.0, 5.0)
    assert cells(column) == [100, 200, 100, 0, 0]


def test_numbers_that_are_all_whole_are_cut_half_way() -> None:
    edges = series(numbers(np.arange(1000.0))).edges
    assert all(e % 1 == 0.5 for e in edges)
    assert cells(numbers(np.arange(1000.0))) == [100] * 10 + [0, 0]


def test_missing_odd_and_infinite_values_do_not_move_an_edge() -> None:
    values = np.arange(1000) / 8
    dirty = np.r_[values, [np.nan, np.inf, -np.inf, 1e9]]
    odd = np.r_[np.zeros(1003, bool), True]
    assert series(numbers(dirty, odd)) == series(numbers(values))
    assert cells(numbers(dirty, odd))[-2:] == [3, 1]


def test_a_column_without_values_has_one_cell() -> None:
    column = numbers([np.nan] * 300)
    assert series(column) == Series("feature:x", "number")
    assert "insufficient" in cut(column, 10).warnings[0]


def test_centre_and_scale_are_median_and_quartile_distance() -> None:
    found = series(numbers(np.random.default_rng(1).normal(50, 4, 100_000)))
    assert found.centre == pytest.approx(50, abs=0.1)
    assert found.scale == pytest.approx(4, rel=0.02)


def test_scale_falls_back_on_the_deviation_and_then_on_one() -> None:
    mostly = np.r_[np.zeros(900), np.full(100, 0.5)]
    assert series(numbers(mostly)).scale == pytest.approx(0.15)
    assert series(numbers([3.5] * 300)).scale == 1.0
    huge = np.r_[np.zeros(900), np.full(100, 1e308), np.full(100, -1e308) / 3]
    assert series(numbers(huge)).scale == 1.0


@settings(max_examples=60)
@given(
    arrays.arrays(
        np.float64,
        st.integers(1, 400),
        elements=st.one_of(
            st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, -0.0, 1.0, 2.0])
        ),
    ),
    st.sampled_from([2, 10, 20]),
)
def test_any_column_is_cut_into_filled_cells_that_hold_every_row(values: Floats, bins: int) -> None:
    column = numbers(values)
    found, counted = series(column, bins), cells(column, bins)
    assert sum(counted) == len(values)
    assert list(found.edges) == sorted(set(found.edges))
    finite = values[np.isfinite(values)]
    if len(np.unique(finite)) > 1:
        assert min(counted[: found.values]) > 0
    assert found.scale > 0
    assert np.isfinite([*found.edges, found.centre, found.scale]).all()


def test_the_fifty_most_frequent_categories_have_cells_and_ties_are_in_code_point_order() -> None:
    values = [f"v{i:03d}" for i in range(60) for _ in range(20)] + ["b", "a"] * 30
    found = series(texts(list(values)))
    assert found.categories[:3] == ("a", "b", "v000")
    assert (len(found.categories), len(found.known)) == (50, 12)
    assert cells(texts([*values, None]))[-3:] == [12 * 20, 0, 1]


def test_a_boolean_has_the_cells_false_and_true() -> None:
    column = Column("prediction", "boolean", ["true", "false", None] * 400, np.zeros(1200, bool))
    assert series(column).categories == ("false", "true")
    assert cells(column) == [400, 400, 0, 400]


def test_few_rows_are_warned_about_and_very_few_more_so() -> None:
    assert "small drifts stay unseen" in cut(numbers(np.arange(500.0)), 10).warnings[0]
    assert "every verdict will be insufficient" in cut(numbers(np.arange(199.0)), 10).warnings[0]
    assert cut(numbers(np.arange(1000.0)), 10).warnings == ()


@cache
def made(
    rows: int = 8000, hours: int = 40, *, times: bool = True, segments: bool = True
) -> tuple[Reference, tuple[str, ...]]:
    g = np.random.default_rng(5)
    kept: list[Column] = [
        Column("feature:x", "number", g.normal(size=rows), np.zeros(rows, bool)),
        Column(
            "feature:c", "category", g.choice(["r", "s", "t"], rows).tolist(), g.random(rows) < 0.01
        ),
        Column("prediction", "boolean", g.choice(["false", "true"], rows).tolist(), np.zeros(rows, bool)),
    ]  # fmt: skip
    return build(
        kept,
        np.sort(g.integers(0, hours * HOUR_MS, rows)) if times else None,
        reference_id="r1",
        model_id="m",
        model_version="1.2",
        source="train.parquet",
        window_ms=HOUR_MS,
        segments={"country": g.choice(["country=DE", "country=FR"], rows, p=[0.99, 0.01]).tolist()}
        if segments
        else None,
    )


def test_a_reference_has_counts_blocks_and_dispersion_per_score() -> None:
    reference, warnings = made()
    assert reference.blocks == Blocks(HOUR_MS, 40, 199)
    assert [sum(r.counts) for r in reference.series] == [8000] * 3
    phi = dict(reference.series[0].dispersion)
    assert set(phi) == {"location", "spread", "odd", "missing"}
    assert all(1 <= p < 3 for p in phi.values())
    assert {"category:1", "category:2", "category:3"} < set(dict(reference.series[1].dispersion))
    assert not any("dependence" in w for w in warnings)
    assert any("8000 events, of at least 10000" in w for w in warnings)


def test_dependent_rows_are_found() -> None:
    g = np.random.default_rng(2)
    level = np.repeat(g.normal(size=40), 200)
    column = Column("feature:x", "number", level + g.normal(size=8000), np.zeros(8000, bool))
    reference, _ = build(
        [column],
        np.repeat(np.arange(40), 200) * HOUR_MS,
        reference_id="r",
        model_id="m",
        model_version="1",
        source="s",
        window_ms=HOUR_MS,
    )
    assert dict(reference.series[0].dispersion)["location"] > 50


def test_segments_add_up_to_the_whole() -> None:
    reference, warnings = made()
    assert [s.segment for s in reference.segments] == ["country=DE", "country=FR"]
    for k, r in enumerate(reference.series):
        added = np.sum([s.counts[k] for s in reference.segments], axis=0)
        assert tuple(added.tolist()) == r.counts
    assert any(w.startswith("country=FR: only") for w in warnings)


def test_without_event_times_dispersion_is_not_calibrated() -> None:
    reference, warnings = made(times=False)
    assert reference.blocks is None
    assert reference.rows == 800
    assert all(r.dispersion == () for r in reference.series)
    assert any("no event times" in w for w in warnings)


def test_fewer_than_thirty_windows_do_not_calibrate() -> None:
    reference, warnings = made(hours=8)
    assert reference.series[0].dispersion == ()
    assert any("spans 8 windows" in w for w in warnings)
    assert any("fewer than 10 windows" in w for w in warnings)


def test_numbers_have_twenty_cells_when_windows_are_large() -> None:
    assert made(rows=20_000, hours=8)[0].series[0].series.values == 20
    assert made(rows=8000, hours=8)[0].series[0].series.values == 10


def test_a_reference_needs_events() -> None:
    for columns in ([], [numbers([])]):
        with pytest.raises(ValueError, match="needs events"):
            build(
                columns,
                None,
                reference_id="r",
                model_id="m",
                model_version="1",
                source="s",
                window_ms=HOUR_MS,
            )


@pytest.mark.parametrize("times", [True, False])
def test_a_document_round_trips_through_json(times: bool) -> None:
    reference, _ = made(times=times)
    document = json.loads(json.dumps(to_document(reference), allow_nan=False))
    assert from_document(document) == reference
    assert len(reference.digest) == 40


def test_a_document_is_for_people() -> None:
    document = to_document(made()[0])
    assert document["built_from"]["start"].startswith("1970-01-0")
    assert document["built_from"]["start"].endswith("Z")
    assert list(document["series"]) == ["feature:x", "feature:c", "prediction"]
    assert len(document["series"]["feature:x"]["edges"]) == 9
    assert len(document["series"]["feature:x"]["counts"]) == 10
    assert document["series"]["feature:c"]["odd"] > 0


def test_the_digest_covers_every_count_and_the_order_of_series() -> None:
    reference, _ = made(segments=False)
    one = {**{f: getattr(reference, f) for f in reference.__slots__}}
    assert digest(Reference(**{**one, "series": reference.series[::-1]})) != reference.digest
    assert digest(Reference(**{**one, "digest": ""})) == reference.digest


Edit = Callable[[dict[str, Any]], object]


def x(document: dict[str, Any]) -> Any:
    return document["series"]["feature:x"]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda d: d.update(format=2), "format: written by a newer Leeway"),
        (lambda d: d.update(format="1"), "format: expected an integer"),
        (lambda d: d.pop("digest"), "digest: is missing"),
        (lambda d: d.update(colour=1), "colour: is not known"),
        (lambda d: d.update(digest="0" * 40), "digest: does not match"),
        (lambda d: x(d)["counts"].__setitem__(0, 5), "digest: does not match"),
        (lambda d: x(d)["counts"].pop(), r"series.feature:x.counts: expected 10 counts, not 9"),
        (lambda d: x(d)["counts"].__setitem__(1, -1), r"counts\[1\]: expected an integer of at least 0"),
        (lambda d: x(d)["counts"].__setitem__(1, True), r"counts\[1\]: expected an integer"),
        (lambda d: x(d)["edges"].reverse(), "series.feature:x.edges: expected ascending"),
        (lambda d: x(d)["edges"].__setitem__(0, float("nan")), r"edges\[0\]: expected a finite"),
        (lambda d: x(d).update(edges="1 2"), "edges: expected a list"),
        (lambda d: x(d).update(type="float"), "type: expected one of number, integer"),
        (lambda d: x(d).update(scale=0), "scale: expected a positive number"),
        (lambda d: x(d).update(centre=None), "centre: expected a finite number"),
        (lambda d: x(d)["dispersion"].update(location=0.5), "location: expected a number of at least 1"),
        (lambda d: d["series"]["feature:c"]["categories"].__setitem__(0, "s"), "categories: repeats a value"),
        (lambda d: d["series"]["feature:c"]["known"].append("s"), "known: repeats one of the categories"),
        (lambda d: d["series"]["prediction"].update(categories=["no", "yes"]), "categories: expected false and true"),
        (lambda d: d["series"].update({"feature:y": []}), "series.feature:y: expected an object"),
        (lambda d: d.update(series=[]), "series: expected an object"),
        (lambda d: d.update(model_id=7), "model_id: expected a text"),
        (lambda d: d["built_from"].update(start="yesterday"), "built_from.start: expected a time"),
        (lambda d: d["built_from"].update(start="2026-03-02T07:00:00"), "built_from.start: expected a time"),
        (lambda d: d["blocks"].update(rows=0), "blocks.rows: expected an integer of at least 1"),
        (lambda d: d["segments"]["country=DE"]["counts"].pop("prediction"), "country=DE.counts.prediction: is missing"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_refused_with_its_place(edit: Edit, says: str) -> None:
    document = json.loads(json.dumps(to_document(made()[0])))
    edit(document)
    with pytest.raises(ValueError, match=says):
        from_document(document)


def with_truths() -> Reference:
    """A reference of 2,000 outcomes, half of them in one segment."""
    truth = np.random.default_rng(3).choice(["no", "yes"], 2_000).tolist()
    of_all, _ = build_outcomes(
        "binary",
        positive="yes",
        labels=truth,
        predictions=["no"] * 2_000,
        scores=np.linspace(0.1, 0.9, 2_000),
        times_ms=np.arange(2_000) * 60_000,
        window_ms=HOUR_MS,
    )
    assert of_all is not None
    half = of_all.counts // 2
    known = Known(of_all, (("country=DE", pack_counts(half)),), ("layout", pack_counts(half[:7])))
    return with_outcomes(made()[0], known)


def test_a_reference_without_outcomes_is_written_and_digested_as_before_there_were_any() -> None:
    reference, _ = made()
    assert "outcomes" not in to_document(reference)
    assert (reference.outcomes, reference.outcomes_of("country=DE")) == (None, None)
    assert with_truths().digest != reference.digest
    assert reference.digest == "c830ec665df3fb0223cf6b194502c0e559d08003"


def test_outcomes_round_trip_through_json_with_their_segments_and_slices() -> None:
    reference = with_truths()
    document = json.loads(json.dumps(to_document(reference), allow_nan=False))
    found = from_document(document)
    assert found.digest == reference.digest
    assert to_document(found) == document
    assert found.outcomes is not None
    assert reference.outcomes is not None
    assert found.known is not None
    half = reference.outcomes.counts // 2
    segment = found.outcomes_of("country=DE")
    assert segment is not None
    assert (segment.counts == half).all()
    assert segment.dispersion == reference.outcomes.dispersion
    assert found.outcomes_of("country=FR") is None
    sliced = found.known.sliced("layout", 7)
    assert sliced is not None
    assert (sliced == half[:7]).all()
    assert found.known.sliced("another layout", 7) is None


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda o: o.pop("counts"), "outcomes.counts: is missing"),
        (lambda o: o["counts"]["right"].__setitem__(0, 5), "digest: does not match"),
        (lambda o: o["segments"].update({"country=DE": "AAAA"}), "outcomes.segments.country=DE: expected counts of"),
        (lambda o: o["segments"].update({"country=DE": "?"}), "outcomes.segments.country=DE: expected counts of"),
        (lambda o: o["segments"].pop("country=DE"), "digest: does not match"),
        (lambda o: o["slices"].pop("layout"), "outcomes.slices.layout: is missing"),
        (lambda o: o.update(slices=[]), "outcomes.slices: expected an object"),
    ],
)  # fmt: skip
def test_wrong_outcomes_are_refused_with_their_place(edit: Edit, says: str) -> None:
    document = json.loads(json.dumps(to_document(with_truths())))
    edit(document["outcomes"])
    with pytest.raises(ValueError, match=says):
        from_document(document)


@pytest.mark.parametrize("document", [None, [], "x", {1: 2}])
def test_what_is_no_object_is_no_reference(document: object) -> None:
    with pytest.raises(ValueError, match="reference: expected an object"):
        from_document(document)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_any_built_reference_round_trips(seed: int, with_times: bool) -> None:
    g = np.random.default_rng(seed)
    rows = int(g.integers(1, 300))
    pick = [
        g.normal(size=rows) * 10.0 ** g.integers(-300, 300),
        g.integers(-5, 5, rows).astype(float),
        np.where(g.random(rows) < 0.5, np.nan, 1.5),
    ][int(g.integers(3))]
    letters = [chr(int(c)) for c in g.integers(33, 0x2FFF, 5)]
    kept = [
        Column("feature:x", "number", pick, g.random(rows) < 0.1),
        Column("feature:c", "category", g.choice(letters, rows).tolist(), np.zeros(rows, bool)),
    ]
    reference, _ = build(
        kept,
        g.integers(0, 50 * HOUR_MS, rows) if with_times else None,
        reference_id="r",
        model_id="m",
        model_version="1",
        source="s",
        window_ms=HOUR_MS,
        segments={"s": g.choice(["s=a", "s=b"], rows).tolist()},
    )
    assert from_document(json.loads(json.dumps(to_document(reference)))) == reference


# ---- seasons


def seasonal(days: int = 14, rows: int = 12, name: str | None = "hour_of_day") -> tuple[Any, ...]:
    """Hourly windows of some rows whose number has a daily cycle; no events between two and three at night."""
    g = np.random.default_rng(8)
    hours = np.repeat([h for h in range(24 * days) if h % 24 != 2], rows)
    x = np.sin(2 * np.pi * hours / 24) + g.normal(size=len(hours))
    candidates = [
        Seasonal(Season("hour_of_day", "Europe/Berlin"), hours % 24),
        Seasonal(Season("hour_of_week", "Europe/Berlin"), hours % 168),
    ]
    return build(
        [
            Column("feature:x", "number", x, np.zeros(len(x), bool)),
            Column("feature:f", "boolean", ["true"] * len(x), np.zeros(len(x), bool)),
        ],
        hours * HOUR_MS + g.integers(0, HOUR_MS, len(hours)),
        reference_id="r1",
        model_id="m",
        model_version="1",
        source="s",
        window_ms=HOUR_MS,
        segments={"s": g.choice(["s=a", "s=b"], len(x), p=[0.9, 0.1]).tolist()},
        season=name,
        seasonal=candidates,
    )


def test_every_slot_of_a_season_has_its_own_counts_and_they_add_up() -> None:
    reference, _ = seasonal(rows=20)
    assert reference.season == Season("hour_of_day", "Europe/Berlin")
    assert [s.slot for s in reference.slots] == [h for h in range(24) if h != 2]
    assert {(s.windows, s.events) for s in reference.slots} == {(14, 280)}
    for k, r in enumerate(reference.series):
        added = np.sum([s.counts[k] for s in reference.slots], axis=0)
        assert tuple(added.tolist()) == r.counts
    large, small = reference.segments
    assert all(s.events >= 200 for s in large.slots)
    assert len(large.slots) == 23
    assert small.slots == ()


def test_dispersion_is_measured_around_the_means_of_slots() -> None:
    plain, warnings = seasonal(name=None)
    slotted, _ = seasonal()
    assert dict(plain.series[0].dispersion)["location"] > 3
    assert dict(slotted.series[0].dispersion)["location"] < 1.4
    assert any("hour_of_day explains" in w for w in warnings)
    assert plain.season is None


def test_a_season_says_what_the_reference_cannot_support() -> None:
    _, warnings = seasonal(days=5, rows=50)
    assert any("windows of at least 7 days, the reference holds 115" in w for w in warnings)
    assert any("1 of 24 slots hold fewer than 200 events" in w for w in warnings)
    _, warnings = seasonal(days=7, rows=30, name="hour_of_week")
    assert any("windows of at least 14 days, the reference holds 161" in w for w in warnings)
    assert any("168 of 168 slots hold fewer than 200 events" in w for w in warnings)
    assert any("0 windows beyond one per slot, of at least 29 needed" in w for w in warnings)


def test_a_season_needs_event_times_and_the_slots_of_its_rows() -> None:
    column = Column("feature:x", "number", np.arange(300.0), np.zeros(300, bool))
    for times, says in ((None, "needs event times"), (np.arange(300), "slots of its rows")):
        with pytest.raises(ValueError, match=says):
            build(
                [column],
                times,
                reference_id="r",
                model_id="m",
                model_version="1",
                source="s",
                window_ms=HOUR_MS,
                season="hour_of_day",
            )


def test_a_seasonal_document_round_trips_and_a_plain_one_says_nothing_of_seasons() -> None:
    reference, _ = seasonal(rows=20)
    document = json.loads(json.dumps(to_document(reference), allow_nan=False))
    assert from_document(document) == reference
    assert document["season"]["timezone"] == "Europe/Berlin"
    assert document["season"]["slots"]["3"]["events"] == 280
    assert "season" not in to_document(seasonal(name=None)[0])


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda s: s.update(name="hour"), "season.name: expected one of hour_of_day, hour_of_week"),
        (lambda s: s.update(timezone=1), "season.timezone: expected a text"),
        (lambda s: s.update(timezone="UTC"), "digest: does not match"),
        (lambda s: s["slots"].update({"24": s["slots"]["3"]}), "season.slots.24: expected a slot from 0 to 23"),
        (lambda s: s["slots"].update({"03": s["slots"]["3"]}), "season.slots.03: expected a slot"),
        (lambda s: s["slots"].pop("5"), "digest: does not match"),
        (lambda s: s["slots"]["3"].update(windows=0), "season.slots.3.windows: expected an integer of at least 1"),
        (lambda s: s["slots"]["3"]["counts"].pop("feature:f"), "season.slots.3.counts.feature:f: is missing"),
        (lambda s: s["segments"].update({"s=c": {}}), "season.segments.s=c: is not a segment"),
        (lambda s: s["segments"]["s=a"]["3"].update(events=3), "digest: does not match"),
        (lambda s: s.pop("segments"), "season.segments: is missing"),
    ],
)  # fmt: skip
def test_a_wrong_season_is_refused_with_its_place(edit: Edit, says: str) -> None:
    document = json.loads(json.dumps(to_document(seasonal(rows=20)[0])))
    edit(document["season"])
    with pytest.raises(ValueError, match=says):
        from_document(document)
