"""Thirty days of a subject: what is kept, how coarse, in which order, and that none of it can grow for ever."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.identity import rfc3339
from streams.broker import Partition
from streams.views import history
from streams.views.documents import Result
from streams.views.past import (
    FINE_MS,
    KEPT_MS,
    MOST_METRICS,
    MOST_ROWS,
    MOST_SERIES,
    MOST_WHOLE,
    WHOLE_BYTES,
    Past,
    documents,
)
from streams.views.pasts import LEAST_MS, SUBJECTS, Pasts
from streams.views.places import Elsewhere
from streams.views.read import ReadModel, Scoped
from streams.views.whole import Whole
from tests.streams.published import HOUR_MS, NAMES, START_MS, read_model, result, series, told

MINUTE_MS = 60_000
INPUTS = Scoped("loans", "1.0.0", "all", "inputs")
HEALTH = Scoped("loans", "1.0.0", "all", "health")


def metric(value: float | None, n: int = 100, **more: Any) -> dict[str, Any]:
    if value is None:
        return {"insufficient": "too_few_events", "n": n}
    found = {"value": value, "low": value - 1, "high": value + 1, "n": n}
    return found | {"reference": 0.5, "threshold": 0.7} | more  # fmt: skip


def window(start_ms: int, minutes: int, **more: Any) -> dict[str, Any]:
    """A result of scope health, of a window that begins then."""
    of = {
        "start": rfc3339(start_ms),
        "end": rfc3339(start_ms + minutes * MINUTE_MS),
        "events": 10,
        "late": 1,
        "panes": 1,
    }
    return result(scope="health") | {"window": of} | more


def past_of(found: Sequence[dict[str, Any]], subject: Scoped = HEALTH) -> Past:
    read = read_model(*(told("results", one) for one in found))
    return read.results["loans"][subject]


@given(st.permutations(range(40)), st.lists(st.integers(0, 39), max_size=10))
@settings(max_examples=25)
def test_neither_order_nor_repetition_of_windows_changes_what_is_kept(
    order: list[int], again: list[int]
) -> None:
    def at(hour: int) -> dict[str, Any]:
        found = [series(f"feature:f{k}", verdict="stable") for k in range(hour % 3 + 1)]
        metrics = {f"m{hour % 4}": metric(hour / 8)}
        return result(hour * 24, found=found) | {"metrics": metrics}

    plain, mixed = (past_of([at(h) for h in hours], INPUTS) for hours in (range(40), [*order, *again]))  # fmt: skip
    assert [one[:11] for one in plain] == [one[:11] for one in mixed]
    for one, other in zip(_lines(plain), _lines(mixed), strict=True):
        assert one == other


def _lines(past: Past) -> list[tuple[str, list[float]]]:
    of = past.columns()
    found = [
        (name, np.nan_to_num(of.metrics[:, k]["value"], nan=-1).tolist())
        for name, k in past.metrics.items()
    ]
    found += [
        (name, np.nan_to_num(of.ratio[:, k], nan=-1).tolist()) for name, k in past.series.items()
    ]
    return sorted(found)


def test_a_month_of_five_minute_windows_is_kept_by_the_hour_beyond_two_days() -> None:
    every = 5
    found = [
        window(
            START_MS + k * every * MINUTE_MS,
            every,
            metrics={"latency_p95": metric(float(k % 12), n=k % 12)},
            verdict="severe" if k % 12 == 3 else "stable",
        )
        for k in range(30 * 288 + 100)
    ]
    past = past_of(found)
    rows, cells = past.columns().rows, past.columns().metrics[:, 0]
    fine = FINE_MS // (every * MINUTE_MS)
    assert fine <= len(past) <= fine + 12
    assert len(rows) - len(past) <= 28 * 24 + 1
    assert rows["end"][-1] - rows["end"][0] < KEPT_MS
    hour = rows[5]
    assert (hour["windows"], hour["events"], hour["late"]) == (12, 120, 12)
    assert hour["end"] - hour["start"] == HOUR_MS
    assert hour["verdict"] == history.VERDICTS.index("severe")
    weighted = np.average(np.arange(12.0), weights=np.maximum(np.arange(12), 1))
    assert cells[5]["value"] == pytest.approx(weighted)
    assert (cells[5]["low"], cells[5]["high"], cells[5]["n"]) == (-1.0, 12.0, 66)
    place = past.place(int(hour["end"]))
    assert place is not None
    assert json.loads(json.dumps(found[place[1]]))["verdict"] == "severe"


def test_what_comes_again_after_it_was_put_together_changes_nothing() -> None:
    found = [window(START_MS + k * 5 * MINUTE_MS, 5) for k in range(3 * 288)]
    plain, again = past_of(found), past_of([*found, *found[:24], window(START_MS + 60_000, 5)])
    assert plain.columns().rows.tobytes() == again.columns().rows.tobytes()


def test_rows_series_metrics_and_subjects_have_bounds() -> None:
    many = [
        window(START_MS + k * 10_000, 1, metrics={f"m{k}": metric(1.0)})
        for k in range(MOST_ROWS + 50)
    ]
    past = past_of(many)
    assert len(past.columns().rows) <= MOST_ROWS
    assert len(past.metrics) == MOST_METRICS
    wide = [
        result(hour, found=[series(f"feature:{hour}-{k}") for k in range(100)]) for hour in range(8)
    ]
    assert len(past_of(wide, INPUTS).series) == MOST_SERIES
    segments = [result(k, segment=f"c={k}") for k in range(SUBJECTS + 5)]
    kept = read_model(*(told("results", one) for one in segments)).results["loans"]
    assert len(kept) == SUBJECTS
    assert min(int(one.segment[2:]) for one in kept) == 5


def test_numbers_beyond_what_a_column_holds_are_cut_and_crash_nothing() -> None:
    huge = metric(1e300, n=2**40, low=-1e300, high=float("1e308"))
    effect = {"name": "psi", "value": 1e30, "low": 0, "high": 1, "floor": 1e-9}
    document = result(0, found=[series(effect=effect)], events=2**80) | {"metrics": {"m": huge}}
    read = read_model(told("results", document))
    assert read.unreadable == {}
    assert np.isfinite(history.heat(read, "loans", "1.0.0", "all").ratio).all()
    assert np.isfinite(history.lines(read, "loans", "1.0.0", "all", "inputs")[0].value).all()


def test_segments_are_kept_for_less_long_where_all_together_would_take_too_much() -> None:
    pasts = Pasts(most_bytes=60_000)
    for hour in range(200):
        for segment in ("all", "c=1", "c=2"):
            document = result(hour, segment=segment, found=[series()])
            one = told("results", document, offset=hour)
            pasts.put(one, msgspec.json.decode(one.value or b"", type=Result), one.value or b"")
    sizes = {subject.segment: len(past) for subject, past in pasts.by_model["loans"].items()}
    assert sizes["all"] == 200
    assert LEAST_MS // HOUR_MS <= sizes["c=1"] == sizes["c=2"] < 200


# ---- documents


def test_the_newest_documents_stay_in_memory_and_all_others_are_named_at_once() -> None:
    wide = [series(f"feature:f{k:03d}", notes="x" * 400) for k in range(100)]
    past = past_of([result(hour, found=wide) for hour in range(9)], INPUTS)
    assert past[-1].document["series"][0]["series"] == "feature:f000"
    assert past[-1].series[0].verdict == "severe"
    with pytest.raises(Elsewhere) as elsewhere:
        documents(past[:], {})
    places = elsewhere.value.places
    kept = len(past) - len(places)
    assert 1 <= kept <= WHOLE_BYTES // len(json.dumps(result(0, found=wide))) + 1
    assert places == tuple((Partition("leeway.results", 0), k) for k in range(9 - kept))
    recalled = {place: b'{"recalled": %d}' % place[1] for place in places[:-1]} | {places[-1]: None}
    found = documents(past[:], recalled)
    assert found[0] == {"recalled": 0}
    assert found[len(places) - 1] is None


def test_small_documents_are_kept_by_number_and_a_segments_by_fewer() -> None:
    past = past_of([result(hour) for hour in range(MOST_WHOLE + 5)], INPUTS)
    assert _in_memory(past) == MOST_WHOLE
    found = [result(hour, segment="c=1") for hour in range(MOST_WHOLE)]
    part = past_of(found, Scoped("loans", "1.0.0", "c=1", "inputs"))
    assert _in_memory(part) == MOST_WHOLE // 4


def _in_memory(past: Past) -> int:
    return sum(one.whole.get(one.place) is not None for one in past)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60)), max_size=40))
def test_documents_in_memory_never_take_more_room_than_there_is(
    puts: list[tuple[int, int]],
) -> None:
    whole, topic = Whole(raw_bytes=100, packed_bytes=80), Partition("r", 0)
    for offset, size in puts:
        whole.put((topic, offset), b"x" * size)
    for offset in range(13):
        value = whole.get((topic, offset))
        sizes = [size for at, size in puts if at == offset]
        assert value is None or len(value) == sizes[-1]
    assert sum(map(len, whole._raw.values())) <= 100
    assert sum(map(len, whole._packed.values())) <= 80
    for offset in range(13):
        whole.drop((topic, offset))
    assert (whole._raw_left, whole._packed_left) == (100, 80)


def test_a_model_without_results_has_no_past() -> None:
    read = ReadModel(NAMES)
    assert history.lines(read, "m", "1", "all", "inputs") == []
    assert history.windows(read, "m", "1", "all", "inputs").tolist() == []
    assert history.heat(read, "m", "1", "all").series == ()
