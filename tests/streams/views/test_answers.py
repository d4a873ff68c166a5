"""What people are told of a model: its state, what is open, and what its numbers are."""

import pytest

from streams.broker import Partition, Record
from streams.control.samples import of_control, of_models
from streams.metrics import MAX_MODELS, exposition
from streams.views import answers
from tests.streams.published import (
    HOUR_MS,
    NOW_MS,
    START_MS,
    alert,
    lifecycle,
    read_model,
    record,
    reference,
    result,
    series,
    told,
    trigger,
)

REGISTERED = record("models", "lifecycle|loans", lifecycle())
STABLE = told("results", result(0))


@pytest.mark.parametrize(
    ("records", "state", "because"),
    [
        ([REGISTERED], "unknown", "no window of the current version has been judged yet"),
        ([REGISTERED, STABLE], "healthy", "the last window was judged and nothing is open"),
        ([STABLE], "healthy", "the last window was judged and nothing is open"),
        (
            [REGISTERED, told("results", result(0, verdict="insufficient", reason="too_few_events"))],
            "unknown",
            "the last window says too few events",
        ),
        (
            [REGISTERED, told("results", result(0), timestamp_ms=NOW_MS - 4 * HOUR_MS)],
            "unknown",
            "no verdict for 240 minutes",
        ),
        ([REGISTERED, told("results", result(0, version="0.9.0"))], "unknown", None),
        ([REGISTERED, STABLE, told("alerts", alert())], "degraded", "1 open problem"),
        (
            [STABLE, told("alerts", alert()), told("alerts", alert(kind="pipeline"))],
            "degraded",
            "2 open problems",
        ),
        ([REGISTERED, STABLE, told("alerts", alert(severity="info"))], "healthy", None),
        (
            [STABLE, told("alerts", alert()), told("alerts", alert(2, change="resolved", hour=3))],
            "healthy",
            None,
        ),
        (
            [STABLE, told("alerts", alert(kind="operational", severity="critical"))],
            "down",
            "an operational problem is open",
        ),
        (
            [record("models", "lifecycle|loans", lifecycle(retirement={"status": "Retired"}))],
            "retired",
            "the lifecycle says so",
        ),
        (
            [REGISTERED, STABLE, record("models", "lifecycle|loans", None)],
            "retired",
            "the lifecycle was removed",
        ),
    ],
)  # fmt: skip
def test_a_model_is_as_its_records_say(
    records: list[Record], state: str, because: str | None
) -> None:
    view = answers.model(read_model(*records), "loans", NOW_MS)
    assert view.state == state
    assert because in (None, view.because)


def test_the_worst_problem_comes_first_then_whole_models_then_the_oldest() -> None:
    alerts = [
        alert(opened_hour=1),
        alert(opened_hour=2, severity="critical", kind="performance"),
        alert(opened_hour=3, severity="critical", kind="operational"),
        alert(opened_hour=0, model="churn"),
        alert(opened_hour=0, segment="country=DE", kind="data_quality"),
    ]
    read = read_model(*(told("alerts", one) for one in alerts))
    found = [(s.model_id, s.kind) for s in answers.open_episodes(read)]
    assert found == [
        ("loans", "performance"),
        ("loans", "operational"),
        ("churn", "data_drift"),
        ("loans", "data_drift"),
        ("loans", "data_quality"),
    ]


def test_the_last_event_is_the_end_of_the_last_window_that_had_events() -> None:
    read = read_model(
        told("results", result(0)),
        told("results", result(1, events=0, verdict="insufficient", reason="no_events")),
    )
    view = answers.model(read, "loans", NOW_MS)
    assert view.last_event_ms == START_MS + HOUR_MS


def test_a_time_is_written_as_contracts_say() -> None:
    document = answers.model_document(answers.model(read_model(STABLE), "loans", NOW_MS))
    assert document["last_event"] == "2026-03-02T01:00:00.000Z"


def shown(*records: Record) -> list[str]:
    body, _ = exposition(of_models(read_model(*records), NOW_MS))
    return [line for line in body.decode().splitlines() if not line.startswith("#")]


def test_metrics_say_what_the_read_model_says() -> None:
    lines = shown(
        REGISTERED,
        record("models", "reference|loans|a", reference()),
        told("results", result(0)),
        told("results", result(1, found=[series()], log_statistic=15.0, verdict="severe")),
        told("alerts", alert()),
        told("alerts", alert(2, change="escalated", severity="critical", hour=2)),
        told("retraining", trigger()),
    )
    assert {
        'leeway_model_state{model="loans",state="degraded"} 1.0',
        'leeway_model_state{model="loans",state="healthy"} 0.0',
        'leeway_windows_judged_total{model="loans",status="stable"} 1.0',
        'leeway_windows_judged_total{model="loans",status="severe"} 1.0',
        'leeway_windows_judged_total{model="loans",status="drifting"} 0.0',
        'leeway_effect_ratio{kind="data_drift",model="loans"} 4.04',
        'leeway_alarm_ratio{kind="data_drift",model="loans"} 2.0',
        'leeway_episodes_open{kind="data_drift",model="loans",severity="critical"} 1.0',
        'leeway_alerts_total{change="opened",kind="data_drift",severity="warning"} 1.0',
        'leeway_alerts_total{change="escalated",kind="data_drift",severity="critical"} 1.0',
        'leeway_triggers_total{model="loans",transition="requested"} 1.0',
        'leeway_triggers_total{model="loans",transition="approved"} 0.0',
        'leeway_model_last_event_timestamp_seconds{model="loans"} 1.7724168e+09',
        'leeway_model_reference_timestamp_seconds{model="loans"} 1.7671392e+09',
    } <= set(lines)


def test_an_alarm_that_has_seen_nothing_is_at_zero() -> None:
    lines = shown(told("results", result(0, log_statistic=None)))
    assert 'leeway_alarm_ratio{kind="data_drift",model="loans"} 0.0' in lines


def test_models_beyond_the_cap_share_a_label() -> None:
    models = [f"m{n:05}" for n in range(MAX_MODELS + 2)]
    lines = shown(*(told("results", result(0, model=model)) for model in models))
    assert 'leeway_windows_judged_total{model="other",status="stable"} 2.0' in lines
    assert 'leeway_model_state{model="other",state="healthy"} 2.0' in lines
    assert not any("alarm_ratio" in line and "other" in line for line in lines)


def test_control_says_which_release_it_is() -> None:
    reading = [(Partition("leeway.alerts", 2), 4, 9)]
    body, _ = exposition(of_control("1.2.3", NOW_MS, reading))
    assert b'leeway_lag_events{partition="2",role="control",topic="leeway.alerts"} 5.0' in body
    assert b'leeway_build_info{version="1.2.3"} 1.0' in body
    assert b'leeway_heartbeat_timestamp_seconds{role="control"}' in body


def test_the_version_that_was_deployed_is_the_current_one_until_the_file_says_otherwise() -> None:
    said = {
        "model_id": "loans",
        "version": "2.0.0",
        "reference_id": None,
        "at": "2026-03-02T00:00:00.000Z",
        "trigger_id": None,
        "rollback": False,
        "file_version": "1.0.0",
    }
    deployed = record("models", "deployment|loans", said)
    assert answers.current_version(read_model(REGISTERED, deployed), "loans") == "2.0.0"
    newer = record("models", "lifecycle|loans", lifecycle(version="3.0.0"), offset=2)
    assert answers.current_version(read_model(deployed, newer), "loans") == "3.0.0"
