"""Does the simulation of three weeks count what people receive, and notice when it is too much? A small world."""

import json
from dataclasses import replace
from functools import cache

import numpy as np

from benchmarks import three_weeks
from benchmarks._three_weeks import (
    DAY,
    OUTAGE,
    SHIFT,
    THREE_WEEKS,
    Deploy,
    Problem,
    World,
    labels_of,
    model_of,
    stream,
    summaries,
    topic_of,
)
from benchmarks._three_weeks_run import Simulation
from benchmarks._three_weeks_told import Told
from benchmarks.three_weeks import HEAD, QUIET, Row, missed, rows, spans
from tests.test_documentation import rows as rows_of
from tests.test_documentation import text_of

BROKEN = replace(SHIFT, models=(0, 1, 2), start=9, end=DAY, size=1.0)
SMALL = World(models=3, hours=12, problems=(BROKEN,), past=3)
EMPTY = np.zeros((3, SMALL.hours), np.bool_)


@cache
def small() -> tuple[list[Row], Simulation]:
    return three_weeks.run(SMALL)


def test_a_feature_that_breaks_in_three_models_is_one_message() -> None:
    (row, quiet), _ = small()
    assert (row.count("message"), row.found) == (1, 1)
    assert "n4 in 3 models" in row.told[0].text
    assert not list(missed(SMALL, [row, quiet]))


def test_nothing_is_said_of_what_does_not_happen_but_the_rules_speak() -> None:
    (row, quiet), _ = small()
    assert quiet.cells()[0] == QUIET
    assert quiet.told == []
    assert quiet.by_ks > quiet.by_psi > 0
    assert row.by_psi == 3 * (SMALL.hours - BROKEN.start)


def test_rules_that_know_the_season_say_less() -> None:
    (_, quiet), simulation = small()
    psi, _ = three_weeks.flagged(simulation, seasonal=True)
    assert psi[:, : BROKEN.start].sum() < quiet.by_psi / 5


def test_who_looks_after_a_problem_is_answered() -> None:
    _, simulation = small()
    applied = [r for r in simulation.said("results") if r.get("command") == "acknowledge"]
    assert {r["outcome"] for r in applied} == {"applied"}
    assert len(applied) == 3


def test_the_same_seed_is_the_same_stream() -> None:
    one, again = (stream(SMALL, model_of(SMALL, 1)).all for _ in range(2))
    assert np.array_equal(one, again)
    other = replace(SMALL, seed=1)
    assert not np.array_equal(one, stream(other, model_of(other, 1)).all)


def test_a_silent_source_has_no_events_and_nobody_elses_source_is_silent() -> None:
    world = replace(SMALL, problems=(replace(OUTAGE, models=(1,), start=3, end=5),))
    found = stream(world, model_of(world, 1)).all.any(1)
    assert found.tolist() == [not 3 <= hour < 5 for hour in range(world.hours)]
    assert stream(world, model_of(world, 0)).all.any(1).all()
    assert topic_of(world, 0) != topic_of(world, 1)


def test_lost_values_are_missing_and_the_others_keep_their_distribution() -> None:
    nulls = Problem("nulls", (0,), 0, 8, "missing", (1,), 0.3)
    world = replace(SMALL, problems=(nulls,))
    model = model_of(world, 0)
    width = model.series[0].cells
    of = stream(world, model).all[:, width : 2 * width]
    missing = of[:, -1] / of.sum(1)
    assert (missing[:8] > 0.2).all()
    assert (missing[8:] < 0.02).all()


def test_panes_add_up_to_the_events_of_an_hour() -> None:
    world = replace(SMALL, problems=(), fine=(0,))
    model = model_of(world, 0)
    of = stream(world, model)
    compared = small()[1].references[0, "1.0.0"]
    told = list(summaries(world, model, of, 7, compared))
    assert len(told) == 12
    assert len({one.pane_start_ms for one in told}) == 12
    assert sum(one.events for one in told) == of.all[7, : model.series[0].cells].sum()


def test_labels_are_worse_until_a_retrained_version_answers() -> None:
    worse = Problem("worse", (0,), 2, 9, "errors", (), 0.9)
    world = replace(SMALL, problems=(worse,), deploys=(Deploy(0, 5, "1.1.0", retrained=True),))
    wrong = []
    for hour in (0, 3, 7):
        told = [json.loads(value) for value in labels_of(world, 0, [hour])]
        wrong.append(np.mean([t["label"] != t["prediction"] for t in told]))
    assert wrong[0] < 0.3 < wrong[1]
    assert wrong[2] < 0.3


def test_what_was_told_belongs_to_what_happened_then_and_there() -> None:
    told = [
        Told("message", BROKEN.start, ("model-01",), "in time"),
        Told("message", BROKEN.start - 1, ("model-01",), "too early"),
        Told("message", BROKEN.start, ("model-07",), "another model"),
    ]
    row, quiet = rows(SMALL, told, EMPTY, EMPTY)
    assert [t.text for t in row.told] == ["in time"]
    assert [t.text for t in quiet.told] == ["too early", "another model"]


def test_a_target_that_is_missed_is_told() -> None:
    (span,) = spans(SMALL)
    loud = [Told("message", span.start + k, ("model-01",), "again") for k in range(2)]
    noise = [Told("message", 3, ("model-00",), "false")] * 5
    lines = list(
        missed(SMALL, [Row(span, [], 0, 0), Row(span, loud, 0, 0), Row(None, noise, 0, 0)])
    )
    assert [line.rpartition(": ")[2] for line in lines] == ["not found", "at most 1", "at most 0"]


def test_the_three_weeks_are_what_the_page_says() -> None:
    assert (THREE_WEEKS.models, THREE_WEEKS.hours) == (20, 21 * DAY)
    assert len(THREE_WEEKS.deploys) == 2
    planted = [span for span in spans(THREE_WEEKS) if span.planted]
    assert len(planted) == 5
    assert min(span.start for span in planted) >= 7 * DAY, "the first week is quiet"


def test_the_table_on_the_page_is_of_what_happens() -> None:
    told = rows_of(text_of("alerts.md"), "How much is that?")
    assert [row[0] for row in told] == [*(s.name for s in spans(THREE_WEEKS)), QUIET, "together"]
    assert all(len(row) == len(HEAD) for row in told)
