"""The page about Leeway itself: roles, what came in, what waits; and unknown where it is unknown."""

from typing import Any

from streams.broker import Partition
from streams.views.deliveries import Delivering
from streams.views.flow import flow
from streams.views.read import ReadModel
from streams.views.vitals import RoleVitals, Share, Vitals
from tests.browsing import Browse
from tests.streams.console.asking import asked, text
from tests.streams.published import HOUR_MS, NOW_MS, fleet, intake, read_model, record, result, told

STALLED = Vitals(
    (
        RoleVitals(
            "profiler",
            "working",
            "it reads; 12 records wait",
            2,
            12,
            (Share("loans.scored", 0, 88, 100), Share("loans.scored", 1, None, 3)),
        ),
        RoleVitals(
            "joiner",
            "absent",
            "nobody is in its group, and nothing that is registered needs it",
            0,
            0,
            needed=False,
        ),
        RoleVitals("judge", "stalled", "9 records wait, and none was read for 70 seconds", 1, 9),
        RoleVitals("control", "waiting", "everything was read", 1, 0),
    ),
    NOW_MS - 120_000,
)


def page(read: ReadModel | None = None, **more: Any) -> str:
    return text(asked("/pipeline", read or read_model(), "", {}, **more))


def test_every_role_says_how_it_is_and_why() -> None:
    said = page(vitals=STALLED)
    assert "Stalled: judge." in said, "what nobody needs is no problem"
    assert (
        "judge stalled 9 records wait, and none was read for 70 seconds 1 9 judges windows" in said
    )
    assert "As of 2026-03-02 09:58 UTC , 2 min ago." in said
    assert "profiler loans.scored 0 88 100 12" in said
    assert "profiler loans.scored 1 never 3 3" in said


def test_what_is_unknown_is_said_to_be() -> None:
    said = page()
    assert "Unknown: profiler, joiner, judge, control." in said
    assert "judge unknown nobody has asked yet unknown unknown" in said
    assert "Unknown: no role's place on its topics is known." in said
    assert "Unknown: no partition is assigned yet." in said
    assert "No window has been judged yet." in said
    assert "Nothing was reported yet." in said


def test_what_came_in_was_rejected_or_is_of_models_nobody_registered() -> None:
    source = {
        "events": 4_000,
        "dead_letters": {"not_json": 7, "empty": 1},
        "unregistered": {"ghost": 30},
    }
    read = read_model(
        record("state", "-|-|-|intake", intake(3, **{"loans.scored": source})),
        record("state", "-|-|-|intake", intake(2), partition=1),
    )
    said = page(read)
    assert "loans.scored 4,000 1 empty , 7 not json 30" in said
    assert (
        "judged up to 03-02 02:00 (the partition furthest behind) to 2026-03-02 03:00 UTC" in said
    )
    assert "ghost loans.scored 30" in said


def test_delivery_says_who_rests_and_what_waits() -> None:
    delivering = Delivering(
        {"ops": True, "slack": False}, {"ops": NOW_MS - 3_600_000}, {"superseded": 2}
    )
    said = page(delivering=delivering)
    assert "eceivers that cannot be reached: ops." in said
    assert "ops resting 0 0 1 h none" in said
    assert "slack open 0 0 – none" in said
    assert "Kept back: 2 superseded." in said


def test_what_control_has_read_and_could_not_read() -> None:
    read = read_model(record("results", "loans", b"{"))
    reading = [(Partition("leeway.results", 0), 40, 50)]
    said = page(read, reading=reading, ready=False)
    assert "Control is still reading the log; " in said
    assert "leeway.results 0 40 50 10" in said
    assert "leeway.results: 1 ValidationError" in said or "leeway.results: 1 DecodeError" in said


def test_the_flow_counts_each_version_once_by_its_shortest_windows() -> None:
    hours = [
        told("results", result(hour, scope=scope, events=events))
        for hour in (0, 1)
        for scope, events in (("inputs", 100), ("health", 90), ("outcomes", 5))
    ]
    others = [
        told("results", result(1, model="churn", events=7)),
        told("results", result(1, segment="country=DE")),
    ]
    events, late = flow(read_model(*hours, *others))
    assert events.value.tolist()[-3:] == [0, 90, 97]
    assert late.value.sum() == 0
    assert set(events.end_ms[1:] - events.end_ms[:-1]) == {HOUR_MS}
    assert len(events.end_ms) == 24


def test_the_page_draws_what_came_in(browse: Browse) -> None:
    served = browse.serve(fleet(models=5, features=2, days=1), vitals=lambda: STALLED)
    page = browse.page()
    page.goto(f"{served.url}/pipeline")
    page.wait_for_selector("#picture-throughput .plot svg")
    browse.shot(page, "pipeline")
