"""Input that nobody plans for: evidence or an explained "insufficient"; never NaN, a crash, or "stable" by default."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from math import isfinite, isnan, log
from typing import Any

import numpy as np
import pytest

from detectors.binning import MAX_CATEGORY_LENGTH, Binner, Column
from detectors.judging.decision import Memory, Plan, Policy, decide, from_data, to_data
from detectors.judging.rules import Rule, written
from detectors.reference.build import build, from_document, to_document
from detectors.reference.frozen import Reference
from detectors.samples.effects import Ints
from detectors.samples.methods import METHODS
from detectors.samples.transport import knots
from detectors.sequences.values import Adwin, Kswin, PageHinkley
from detectors.series import SeriesType
from detectors.types import Reason, Status, Verdict
from tests.detectors.cases import HOUR_MS, window

DRIFT = (Status.DRIFTING, Status.SEVERE)
GENERATOR = np.random.default_rng(17)
NORMAL = GENERATOR.normal(size=3_000)
LONG = "x" * 1_000_000


def number(values: Any, *, odd: Any = None, integer: bool = False) -> Column:
    data = np.asarray(values, np.float64)
    marked = np.zeros(len(data), bool) if odd is None else np.asarray(odd)
    return Column("feature:x", "integer" if integer else "number", data, marked)


def category(values: Sequence[str | None], of: SeriesType = "category") -> Column:
    return Column("feature:x", of, list(values), np.zeros(len(values), bool))


@dataclass(frozen=True)
class Case:
    """A reference, the windows after it, and how the last of them must end."""

    reference: Column
    windows: tuple[Column, ...]
    status: tuple[Status, ...]
    reason: tuple[Reason, ...]


def quiet(reference: Column, *windows: Column) -> Case:
    return Case(reference, windows, (Status.STABLE,), (Reason.QUIET,))


def found(reference: Column, *windows: Column) -> Case:
    return Case(reference, windows, DRIFT, (Reason.ALARM, Reason.ALARM_SEVERE))


def insufficient(reason: Reason, reference: Column, *windows: Column) -> Case:
    return Case(reference, windows, (Status.INSUFFICIENT,), (reason,))


SMALL, FEW, NONE = Reason.REFERENCE_TOO_SMALL, Reason.TOO_FEW_EVENTS, Reason.NO_EVENTS
BIG = 2.0**53
ENDS = np.where(np.arange(2_000) % 2, 1e308, -1e308)
WORDS = ("", "🦭", "naïve", "\ud800", "\0", " ")
LEVELS = [WORDS[i % 6] for i in range(2_400)]
IDS = ["n" * (1 + i % 7) + str(10_000 + i) for i in range(2_000)]
CASES = {
    "constant, unchanged": quiet(number([7.0] * 1_000), *[number([7.0] * 500)] * 3),
    "constant, changed": found(number([7.0] * 1_000), *[number([8.0] * 500)] * 3),
    "constant, now a little more": found(number([7.0] * 1_000), *[number([7.3] * 500)] * 3),
    "constant zero, now denormal": found(number([0.0] * 1_000), *[number([5e-324] * 500)] * 3),
    "constant 1e308, now lower": found(number([1e308] * 1_000), *[number([-1e308] * 500)] * 3),
    "constant category, unchanged": quiet(category(["a"] * 1_000), *[category(["a"] * 500)] * 3),
    "constant category, changed": found(category(["a"] * 1_000), *[category(["b"] * 500)] * 3),
    "constant boolean, changed": found(
        category(["false"] * 1_000, "boolean"), *[category(["true"] * 500, "boolean")] * 3
    ),
    "reference all missing": insufficient(SMALL, number([np.nan] * 1_000), number(NORMAL)),
    "reference all odd": insufficient(SMALL, number(NORMAL, odd=NORMAL < 9), number(NORMAL)),
    "reference all infinite": insufficient(SMALL, number([np.inf] * 1_000), number(NORMAL)),
    "categories all missing": insufficient(SMALL, category([None] * 1_000), category(LEVELS)),
    "now all missing": found(number(NORMAL), *[number([np.nan] * 500)] * 3),
    "now all odd": found(number(NORMAL), *[number([np.inf, -np.inf] * 250)] * 3),
    "categories now all missing": found(category(LEVELS), *[category([None] * 600)] * 3),
    "reference of one row": insufficient(SMALL, number([1.0]), number(NORMAL)),
    "reference of 199 rows": insufficient(SMALL, number(NORMAL[:199]), number(NORMAL)),
    "one category": insufficient(SMALL, category(["a"]), category(LEVELS)),
    "window of one row": insufficient(FEW, number(NORMAL), number([0.0])),
    "window of one missing row": insufficient(FEW, number(NORMAL), number([np.nan])),
    "empty window": insufficient(NONE, number(NORMAL), number([])),
    "empty window of categories": insufficient(NONE, category(LEVELS), category([])),
    "empty windows after others": insufficient(
        NONE, number(NORMAL), number(NORMAL), number([]), number([])
    ),
    "reference smaller than the window": quiet(
        number(NORMAL[:300]), *[number(np.tile(NORMAL[:300], 20))] * 2
    ),
    "huge values, unchanged": quiet(number(ENDS), *[number(ENDS[:600])] * 3),
    "huge values, one end": found(number(ENDS), *[number(np.abs(ENDS[:600]))] * 3),
    "now huge": found(number(NORMAL), *[number(ENDS[:600])] * 3),
    "one huge value": quiet(number(NORMAL), number(np.append(NORMAL, 1e308))),
    "whole numbers beyond 2^53, unchanged": quiet(
        number(BIG + 2 * np.arange(1_000), integer=True),
        number(BIG + 2 * np.arange(1_000), integer=True),
    ),
    "whole numbers beyond 2^53, few": found(
        number(BIG + 2 * (np.arange(1_000) % 3), integer=True),
        *[number(np.full(500, BIG + 4), integer=True)] * 3,
    ),
    "whole numbers beyond 2^63": quiet(
        number(2.0**70 * np.arange(1, 1_001), integer=True),
        number(2.0**70 * np.arange(1, 1_001), integer=True),
    ),
    "strange words, unchanged": quiet(category(LEVELS), *[category(LEVELS[:600])] * 3),
    "now all empty words": found(category(LEVELS), *[category([""] * 600)] * 3),
    "now 1 MB long words": found(category(LEVELS), *[category([LONG, "🦭" * 250_000] * 300)] * 3),
    "1 MB long words, unchanged": quiet(
        category([LONG, ""] * 500), *[category([LONG, ""] * 250)] * 3
    ),
    "every word another, unchanged": quiet(category(IDS), *[category(IDS[k::4]) for k in range(4)]),
    "every word another, now the shortest": found(
        category(IDS), *[category(IDS[:1] * 250 + IDS[1:2] * 250)] * 3
    ),
}


@cache
def reference(name: str) -> Reference:
    built, warnings = build(
        [CASES[name].reference],
        None,
        reference_id="r1",
        model_id="m",
        model_version="1",
        source="test",
        window_ms=HOUR_MS,
    )
    assert all(warnings)
    document = json.loads(json.dumps(to_document(built), allow_nan=False))
    assert from_document(document) == built
    return built


def derived(name: str, column: Column) -> list[Column]:
    """What production would count of a column: of an identifier, the numbers in its place."""
    (series, *_) = [r.series.name for r in reference(name).series]
    if series == column.name:
        return [column]
    out = [column]
    for one in reference(name).derived:
        measure = one.measure()  # type: ignore[union-attr] # the joint one is of whole rows
        table = np.array([measure(v) for v in column.values], np.float64)
        out = [
            Column(part, "number", table[:, k], np.zeros(len(table), bool))
            for k, part in enumerate(one.names)
        ]
    return out


@cache
def counted(name: str) -> tuple[Ints, ...]:
    """The windows' counts; no row is lost."""
    case, binner = CASES[name], Binner([r.series for r in reference(name).series])
    out = []
    for column in case.windows:
        counts = binner.count(derived(name, column)).cells[0]
        assert counts.sum() == len(column.values) * len(binner.series)
        out.append(counts)
    return tuple(out)


def rules(of: Reference) -> list[Rule]:
    """Every method that can be named for a reference's series, as a gate under the budget and literally."""
    kind = "number" if all(r.series.numeric for r in of.series) else "category"
    names = [name for name, method in METHODS.items() if kind in method.compares]
    return [written(name, literal=literal) for name in names for literal in (False, True)]


def under(of: Reference, written_rules: Sequence[Rule]) -> tuple[Reference, dict[str, Rule]]:
    """A reference with every series once more for every rule, so that one verdict answers for all of them."""
    series, named = [*of.series], {}
    for k, rule in enumerate(written_rules):
        for r in of.series:
            copy = replace(r, series=replace(r.series, name=f"{r.series.name} {k}"))
            series.append(copy)
            named[copy.series.name] = rule
    return replace(of, series=tuple(series), derived=()), named


def judged(name: str, written_rules: Sequence[Rule] = ()) -> list[Verdict]:
    of, named = under(reference(name), written_rules)
    policy = Policy(log(1e4), rules=named)
    plan = Plan.compile(of, "all", policy, [r.series.name for r in of.series])
    memory: Memory | None = None
    verdicts = []
    for i, counts in enumerate(counted(name)):
        flat = np.tile(counts, len(written_rules) + 1)
        memory, verdict = decide(plan, memory, window(i, int(counts.sum())), flat)
        assert memory is not None
        kept = json.loads(json.dumps(to_data(plan, memory), allow_nan=False))
        memory, _ = from_data(plan, kept, memory.history)
        assert to_data(plan, memory) == kept
        verdicts.append(verdict)
    return verdicts


def walk(value: object, path: str = "verdict") -> Iterator[tuple[str, object]]:
    """Every leaf of a verdict with the way to it."""
    if is_dataclass(value):
        for f in fields(value):
            yield from walk(getattr(value, f.name), f"{path}.{f.name}")
    elif isinstance(value, (tuple, list)):
        for i, each in enumerate(value):
            yield from walk(each, f"{path}[{i}]")
    else:
        yield path, value


def objections(verdict: Verdict) -> list[str]:
    """What a verdict must not contain."""
    wrong = [
        f"{path} is {value}"
        for path, value in walk(verdict)
        if isinstance(value, float) and not isfinite(value)
    ]
    for s in verdict.series:
        for e in s.evidence:
            if (e.p_value is None) == (e.e_value is None):
                wrong.append(f"{e.detector} is neither a p-value nor an e-value, or both")
            if e.p_value is not None and not 0 < e.p_value <= 1:
                wrong.append(f"{e.detector} has p = {e.p_value}")
        if s.effect and not s.effect.low <= s.effect.value <= s.effect.high:
            wrong.append(f"{s.effect} is not inside its interval")
    if verdict.status is Status.STABLE and not verdict.window.events:
        wrong.append("stable without events")
    return wrong


@pytest.mark.parametrize("name", CASES)
def test_the_alarm_finds_it_is_quiet_or_says_why_it_cannot_tell(name: str) -> None:
    verdicts = judged(name)
    assert [o for v in verdicts for o in objections(v)] == []
    last, case = verdicts[-1], CASES[name]
    assert last.reason.explanation
    assert (last.status in case.status, last.reason in case.reason) == (True, True), last


@pytest.mark.parametrize("name", CASES)
def test_every_method_gives_evidence_or_says_why_not(name: str) -> None:
    """All methods at once, as gates and literally; each on a copy of the series."""
    verdicts = judged(name, rules(reference(name)))
    assert [o for v in verdicts for o in objections(v)] == []
    if CASES[name].status == (Status.INSUFFICIENT,):
        assert verdicts[-1].status is Status.INSUFFICIENT
    else:
        assert len(verdicts[-1].series) > len(rules(reference(name)))


SHAPES = {
    "nothing": [0] * 6,
    "one row": [0, 1, 0, 0, 0, 0],
    "one cell": [0, 500, 0, 0, 0, 0],
    "another cell": [0, 0, 0, 500, 0, 0],
    "even": [100, 100, 100, 100, 0, 0],
    "rare": [1, 10_000, 0, 1, 0, 0],
    "10^7 rows": [2_500_000] * 4 + [0, 0],
    "10^15 rows": [10**15, 1, 10**14, 3, 0, 0],
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_method_has_numbers_for_any_two_sets_of_counts(method: Any) -> None:
    at = knots([r.series for r in reference("huge values, unchanged").series])
    for first, reference_counts in SHAPES.items():
        for second, current in SHAPES.items():
            for phi, known in ((1.0, None), (20.5, at)):
                sides = (np.array(reference_counts), np.array(current), phi, None, known)
                answer, effect = method.test(*sides), method.measure(*sides)
                what = f"{method.name}: {first} against {second}"
                assert isfinite(answer.statistic), what
                assert 0 <= answer.p_value <= 1, what
                assert isfinite(effect.value), what
                assert effect.low <= effect.value <= effect.high, what
                assert not isnan(method.rule_value(*sides)), what


@pytest.mark.parametrize(
    "name", [n for n in CASES if CASES[n].reference.type in ("number", "integer")]
)
def test_a_sequence_detector_reads_any_numbers(name: str) -> None:
    """In the unit of the reference, as production does; what cannot be read is counted."""
    of = reference(name).series[0].series
    for detector in (
        Adwin(reference_mean=of.centre, reference_sd=of.scale),
        PageHinkley(reference_mean=of.centre, reference_sd=of.scale),
        Kswin(seed=1),
    ):
        state = detector.start()
        for column in CASES[name].windows:
            values = np.asarray(column.values, np.float64)[:700]
            before = state
            state, at = detector.extend(state, values)
            read = int(np.isfinite(values).sum())
            assert (state.seen - before.seen, state.skipped - before.skipped) == (
                read,
                len(values) - read,
            )
            assert ((at >= 0) & (at < len(values))).all()
            assert np.isfinite(state.values).all()


def test_ten_million_rows_are_counted_and_judged_to_the_last_one() -> None:
    values = np.repeat(np.arange(1_000.0) / 7, 10_000)
    column = number(values)
    built, _ = build(
        [column],
        None,
        reference_id="r1",
        model_id="m",
        model_version="1",
        source="test",
        window_ms=HOUR_MS,
    )
    plan = Plan.compile(built, "all", Policy(log(1e4)), ["feature:x"])
    counts = Binner([built.series[0].series]).count([column]).cells[0]
    assert counts.tolist() == [1_000_000] * 10 + [0, 0] == list(built.series[0].counts)
    memory, verdict = decide(plan, None, window(0, 10_000_000), counts)
    assert (verdict.status, objections(verdict)) == (Status.STABLE, [])
    moved = counts + np.array([-50_000, 50_000] + [0] * 10)
    _, verdict = decide(plan, memory, window(1, 10_000_000), moved)
    assert (verdict.status in DRIFT, objections(verdict)) == (False, [])
    _, verdict = decide(plan, memory, window(1, 10_000_000), np.roll(counts, 2))
    assert (verdict.status in DRIFT, objections(verdict)) == (True, [])


def test_a_word_too_long_is_no_category_in_production() -> None:
    assert len(LONG) > MAX_CATEGORY_LENGTH
    before = reference("strange words, unchanged").series[0]
    counts = counted("now 1 MB long words")[0]
    assert counts[before.series.values] == 600  # odd
