"""Does the health of a window say what its events say, what is broken apart from silence, however it was counted?"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.checks import from_checks
from detectors.reference.build import Reference, from_document, to_document
from detectors.types import Check, Reason, Status, Window
from streams.judging.health import HealthMemory, HealthVerdict, close
from streams.judging.limits import Limits, compile_limits
from streams.judging.vitals import HealthWindow
from streams.lifecycle import Lifecycle
from streams.messages import Summary, decode_profile
from tests.builders import (
    MINUTE_MS,
    NAMES,
    START_MS,
    batch,
    encode,
    event,
    lifecycle,
    profiler,
    reference,
    small,
    stream,
)

FIVE_MS = 5 * MINUTE_MS
DAY_MS = 24 * 60 * MINUTE_MS
LOUD = (Status.DRIFTING, Status.SEVERE)


def summaries(
    events: Iterable[Mapping[str, Any] | bytes],
    of: Lifecycle | None = None,
    built: Reference | None = None,
    *,
    every: int = 100,
) -> list[Summary]:
    """What a profiler says of these events, flushing now and then."""
    one = profiler((of or lifecycle(), built or small()))
    values, found = encode(events), []
    for first in range(0, len(values), every):
        one.step(batch(values[first : first + every]))
        work = one.flush()
        records = [
            decode_profile(r.value or b"") for r in work.records if r.topic == NAMES("profiles")
        ]
        found += [r for r in records if isinstance(r, Summary)]
    return found


def merged(of: Sequence[Summary]) -> dict[str, HealthWindow]:
    """One window of them, by digest."""
    found: dict[str, HealthWindow] = {}
    for summary in of:
        found.setdefault(summary.reference_digest, HealthWindow.like(summary)).merge(summary)
    return found


def judged(
    events: Sequence[Mapping[str, Any] | bytes],
    of: Lifecycle | None = None,
    built: Reference | None = None,
    *,
    memory: HealthMemory | None = None,
    start_ms: int = START_MS,
    version: str = "1.0.0",
) -> tuple[HealthMemory, HealthVerdict]:
    """One window of these events."""
    of, built = of or lifecycle(), built or small()
    window = Window(start_ms, start_ms + FIVE_MS, len(events))
    counted = merged([s for s in summaries(events, of, built) if s.definition == 0])
    return close(limits(of, built), memory or HealthMemory(), counted, window, version, "all")


def limits(of: Lifecycle, built: Reference | None) -> Limits:
    return compile_limits(of, built)


def rows(n: int = 300, start_ms: int = START_MS, **fields: Any) -> list[dict[str, Any]]:
    """Predictions that fill one window."""
    return stream(n, start_ms=start_ms, step_ms=FIVE_MS // n, **fields)


def broken(verdict: HealthVerdict) -> dict[str, Status]:
    """The rules that are, by name."""
    checks = [c for of in verdict.checks.values() for c in of]
    return {c.rule: c.status for c in checks if c.status in LOUD}


def check(verdict: HealthVerdict, rule: str) -> Check:
    return next(c for of in verdict.checks.values() for c in of if c.rule == rule)


@cache
def usual() -> HealthMemory:
    """What is remembered after two hours of three hundred predictions per window."""
    memory = HealthMemory()
    for k in range(24, 0, -1):
        start = START_MS - k * FIVE_MS
        memory, verdict = judged(rows(start_ms=start), memory=memory, start_ms=start)
        assert not broken(verdict)
    return memory


def without(events: list[dict[str, Any]], name: str, part: float = 1.0) -> list[dict[str, Any]]:
    """The same with a feature left out of some of them."""
    for e in events[: int(part * len(events))]:
        e["features"] = {n: v for n, v in e["features"].items() if n != name}
    return events


# ---- what it is fed


def test_a_window_that_is_well_breaks_nothing() -> None:
    memory, verdict = judged(rows(), memory=usual())
    assert (verdict.status, verdict.reason) == (Status.STABLE, Reason.QUIET)
    assert broken(verdict) == {}
    assert verdict.notices == ()
    for kind in ("data_quality", "operational"):
        found = from_checks(kind, verdict.checks[kind], 0, FIVE_MS)
        assert (found.status, found.calm) == (Status.STABLE, True)
    assert memory.volume.last_ms == START_MS + FIVE_MS


def test_a_burst_of_nulls_is_data_quality_and_not_silence() -> None:
    _, verdict = judged(without(rows(), "income", 0.4), memory=usual())
    assert broken(verdict) == {"missing(income)": Status.DRIFTING}
    found = check(verdict, "missing(income)")
    assert (found.value, found.reference, found.series) == (0.4, 0.0, "feature:income")
    assert found.limit == pytest.approx(0.02)
    assert verdict.quality["missing(income)"]["violated"] is True
    assert check(verdict, "silent").calm


def test_half_of_the_inputs_unusable_is_severe() -> None:
    _, verdict = judged(without(rows(), "income", 0.9), memory=usual())
    assert broken(verdict)["missing(income)"] == Status.SEVERE


def test_a_feature_that_vanishes_and_one_that_appears_are_told_once() -> None:
    memory, verdict = judged(without(rows(2_000), "home"), memory=usual())
    assert verdict.notices == ("schema: home vanished",)
    again, verdict = judged(without(rows(2_000), "home"), memory=memory)
    assert verdict.notices == ()
    _, verdict = judged(rows(2_000), memory=again)
    assert verdict.notices == ("schema: home is back",)
    extra = [e | {"features": {**e["features"], "debt": 1}} for e in rows(2_000)]
    memory, verdict = judged(extra, memory=usual())
    assert verdict.notices == ("schema: debt is no declared feature",)
    assert judged(extra, memory=memory)[1].notices == ()


def test_wrong_types_are_invalid_and_unknown_categories_unseen() -> None:
    events = rows()
    for e in events[:30]:
        e["features"] = e["features"] | {"income": "a lot"}
    for e in events[100:130]:
        e["features"] = e["features"] | {"home": "castle"}
    _, verdict = judged(events)
    assert broken(verdict) == {"invalid(income)": Status.DRIFTING, "unseen(home)": Status.DRIFTING}
    assert check(verdict, "unseen(home)").value == 0.1


def test_declared_ranges_and_values_are_rules() -> None:
    of = lifecycle(
        features={
            "income": {"type": "number", "range": [-100, 100]},
            "home": {"type": "category", "allowed": ["rent", "own"]},
        }
    )
    events = rows()
    for e in events[:30]:
        e["features"] = e["features"] | {"income": 1e6}
    _, verdict = judged(events, of)
    assert set(broken(verdict)) == {"out_of_range(income)", "out_of_range(home)"}


def test_a_feature_that_may_not_be_null_breaks_its_rule_with_the_first_one_surely_null() -> None:
    never = lifecycle(
        features={"income": {"type": "number", "nullable": False}, "home": "category"}
    )
    some = lifecycle(features={"income": {"type": "number", "nullable": "20%"}, "home": "category"})
    for of, expected in ((never, {"missing(income)"}), (some, set())):
        _, verdict = judged(without(rows(), "income", 0.05), of)
        assert set(broken(verdict)) == expected


def test_stale_features_and_features_from_the_future_are_told_apart() -> None:
    of = lifecycle(features={"income": {"type": "number", "freshness": "1h"}, "home": "category"})
    events = rows()
    for k, e in enumerate(events):
        e["feature_timestamp"] = e["timestamp"] - (2 * 3_600_000 if k < 60 else 60_000)
    _, verdict = judged(events, of)
    assert broken(verdict) == {"stale(income)": Status.DRIFTING}
    assert check(verdict, "stale(income)").value == 0.2
    for e in events[100:120]:
        e["feature_timestamp"] = e["timestamp"] + 1
    _, verdict = judged(events, of)
    assert set(broken(verdict)) == {"stale(income)", "leak(feature_timestamp)"}


def test_each_feature_may_have_a_time_of_its_own() -> None:
    of = lifecycle(features={"income": {"type": "number", "freshness": "1h"}, "home": "category"})
    events = rows()
    for e in events:
        old = e["timestamp"] - 2 * 3_600_000
        e["feature_timestamp"] = {"income": e["timestamp"], "home": old, "other": old}
    assert broken(judged(events, of)[1]) == {}
    for e in events:
        e["feature_timestamp"]["income"] -= 7_200_000
    assert set(broken(judged(events, of)[1])) == {"stale(income)"}


def test_repeated_ids_are_told_and_ids_alone_break_nothing() -> None:
    events = rows()
    for k, e in enumerate(events):
        e["event_id"] = f"e{k}"
    assert broken(judged(events)[1]) == {}
    twice = [e for e in events for _ in range(2)]
    _, verdict = judged(twice)
    assert set(broken(verdict)) == {"repeats"}
    assert check(verdict, "repeats").value == pytest.approx(0.5)


def test_unusable_ids_latencies_and_statuses_are_invalid_fields() -> None:
    events = rows(event_id="", latency_ms=-1, status="meh", feature_timestamp="soon")
    _, verdict = judged(events)
    names = {
        "invalid(event_id)",
        "invalid(latency_ms)",
        "invalid(status)",
        "invalid(feature_timestamp)",
    }
    assert set(broken(verdict)) == names
    assert verdict.statuses["unknown"] == 300
    assert "latency_p50" not in verdict.metrics


@given(st.integers(1, 29), st.sampled_from(["features", "status", "feature_timestamp"]))
@settings(max_examples=15)
def test_few_events_never_alarm(n: int, what: str) -> None:
    wrong = {"features": {}, "status": "error", "feature_timestamp": START_MS + DAY_MS}[what]
    _, verdict = judged([event(START_MS + k, **{what: wrong}) for k in range(n)])
    assert broken(verdict) == {}
    assert (verdict.status, verdict.reason) == (Status.INSUFFICIENT, Reason.TOO_FEW_EVENTS)
    for kind, checks in verdict.checks.items():
        known = [c for c in checks if c.rule != "silent"]  # few events are no silence
        assert from_checks(kind, known, 0, FIVE_MS).status != Status.STABLE


def test_without_a_reference_nothing_is_said_of_what_the_model_is_fed() -> None:
    of = lifecycle()
    one = profiler((of, None))
    one.step(batch(encode(rows(status="error"))))
    found = [decode_profile(r.value or b"") for r in one.flush().records]
    counted = merged([r for r in found if isinstance(r, Summary)])
    window = Window(START_MS, START_MS + FIVE_MS, 300)
    _, verdict = close(compile_limits(of, None), HealthMemory(), counted, window, "1.0.0", "all")
    quality = from_checks("data_quality", verdict.checks["data_quality"], 0, FIVE_MS)
    assert quality.status == Status.INSUFFICIENT
    assert broken(verdict) == {"failing": Status.SEVERE}


# ---- how it runs


def test_a_written_line_on_latency_is_held_against_the_whole_interval() -> None:
    metric = {"metric": "Latency p99", "current": "45 ms", "threshold": "200 ms", "critical": "2s"}
    of = lifecycle(monitoring={"performance_metrics": [metric]})
    for latency, expected in (
        (30.0, None),
        (190.0, None),
        (400.0, "drifting"),
        (9_000.0, "severe"),
    ):
        _, verdict = judged(rows(latency_ms=latency), of)
        status = broken(verdict).get("latency_p99")
        assert (status and status.value) == expected
        assert verdict.metrics["latency_p99"]["threshold"] == 200.0
        assert verdict.metrics["latency_p99"]["reference"] == 45.0
    assert {c.rule for c in verdict.checks["operational"]} >= {"latency_p99"}


def test_failed_predictions_count_and_have_no_output() -> None:
    metrics = [
        {"metric": "error rate", "threshold": "above 5%"},
        {"metric": "availability", "threshold": "99%"},
    ]
    of = lifecycle(monitoring={"performance_metrics": metrics})
    events = rows()
    for e in events[:60]:
        e["status"] = "error"
    for e in events[60:90]:
        e["status"] = "fallback"
    _, verdict = judged(events, of)
    assert broken(verdict) == {"error_rate": Status.DRIFTING, "availability": Status.DRIFTING}
    assert verdict.metrics["error_rate"]["value"] == 0.2
    assert verdict.metrics["fallback_rate"]["value"] == 0.1
    assert verdict.statuses == {"ok": 210, "error": 60, "timeout": 0, "fallback": 30, "unknown": 0}


def test_the_share_of_positive_predictions_and_the_mean_score_are_those_of_the_events() -> None:
    metrics = [
        {"metric": "positive rate", "threshold": {"max": 0.3}, "current": 0.5},
        {"metric": "mean score", "threshold": {"min": 0.9}},
        {"metric": "income", "threshold": {"max": 5.0}},
    ]
    of = lifecycle(
        prediction={"classes": ["no", "yes"], "positive": "yes"},
        monitoring={"performance_metrics": metrics},
    )
    built, events = reference(of, stream(2_000, seed=9)), rows()
    _, verdict = judged(events, of, built)
    assert (
        verdict.metrics["positive_rate"]["value"]
        == sum(e["prediction"] == "yes" for e in events) / 300
    )
    mean = sum(e["score"] for e in events) / 300
    assert verdict.metrics["mean_score"]["value"] == pytest.approx(mean, abs=1e-4)
    assert broken(verdict) == {"positive_rate": Status.DRIFTING, "mean_score": Status.DRIFTING}
    assert {c.rule for c in verdict.checks["performance"]} == {"positive_rate", "mean_score"}


def test_a_metric_of_a_day_is_in_the_window_that_completes_it() -> None:
    metric = {"metric": "error rate", "threshold": "above 1%", "measurement_frequency": "Hourly"}
    of = lifecycle(monitoring={"performance_metrics": [metric]})
    memory, said = HealthMemory(), []
    for k in range(24):
        start = START_MS + k * FIVE_MS
        status = "error" if k == 3 else "ok"
        events = stream(50, start_ms=start, step_ms=6_000, status=status)
        memory, verdict = judged(events, of, memory=memory, start_ms=start)
        memory = HealthMemory.from_data(msgspec.json.decode(msgspec.json.encode(memory.to_data())))
        said.append("error_rate" in broken(verdict))
        if k in (11, 23):
            assert verdict.metrics["error_rate"]["n"] == 600
    assert said == [k == 11 for k in range(24)]


def test_a_fall_of_traffic_is_volume_and_its_end_is_silence() -> None:
    memory, verdict = judged(rows(60), memory=usual())
    assert broken(verdict) == {"volume": Status.DRIFTING}
    silent = []
    for k in range(1, 8):
        memory, verdict = judged([], memory=memory, start_ms=START_MS + k * FIVE_MS)
        silent.append("silent" in broken(verdict))
        assert verdict.reason == (Reason.RULE if broken(verdict) else Reason.NO_EVENTS)
    assert silent == [False, False, False, True, True, True, True]
    assert check(verdict, "silent").said == "no predictions for 35m, limit 15m"
    assert check(verdict, "silent").at_once
    assert not broken(judged(rows(start_ms=START_MS + 8 * FIVE_MS), memory=memory)[1]).get("silent")


def test_a_silence_that_was_written_needs_no_past() -> None:
    of = lifecycle(monitoring={"data_quality": {"silent": "10m"}})
    memory, _ = judged(rows(), of)
    for k in (1, 2, 3):
        memory, verdict = judged([], of, memory=memory, start_ms=START_MS + k * FIVE_MS)
    assert broken(verdict) == {"silent": Status.DRIFTING}


def test_another_version_may_fall_silent() -> None:
    memory = usual()
    for k in range(6):
        start = START_MS + k * FIVE_MS
        memory, verdict = judged([], memory=memory, start_ms=start, version="0.9.0")
    assert broken(verdict) == {}
    assert verdict.last_ms == START_MS


# ---- counting


@given(st.randoms(use_true_random=False), st.integers(1, 80))
@settings(max_examples=15)
def test_a_window_is_the_same_however_it_was_counted(random: Any, every: int) -> None:
    events = messy()
    found = summaries(events, every=every)
    random.shuffle(found)
    (one,), (other,) = merged(found).values(), merged(summaries(events, every=1_000)).values()
    assert one.to_data() == other.to_data()
    half = len(found) // 2
    if half:
        (a,), (b,) = merged(found[:half]).values(), merged(found[half:]).values()
        a = HealthWindow.from_data(msgspec.json.decode(msgspec.json.encode(a.to_data())))
        a.absorb(b)
        assert a.to_data() == other.to_data()


@cache
def messy() -> tuple[bytes, ...]:
    """Events with everything that can be wrong beside their values."""
    events = rows(240)
    for k, e in enumerate(events):
        e |= {"event_id": f"e{k % 200}", "latency_ms": [1, 20.5, None, -3, "x"][k % 5]}
        e |= {"status": ["ok", "error", "timeout", "fallback", "?", None][k % 6]}
        e |= {"feature_timestamp": [None, e["timestamp"] + 5, {"income": START_MS - k}][k % 3]}
        e["features"] = e["features"] | {f"extra{k % 7}": 1}
    return tuple(encode(events))


def test_state_and_verdict_survive_a_restart() -> None:
    kept = HealthMemory.from_data(msgspec.json.decode(msgspec.json.encode(usual().to_data())))
    assert kept.to_data() == usual().to_data()
    assert judged(rows(60), memory=kept)[1] == judged(rows(60), memory=usual())[1]


def test_a_reference_says_how_long_a_silence_is_usual_and_keeps_its_digest() -> None:
    rare = reference(lifecycle(), stream(2_000, seed=3, step_ms=1_800_000))
    assert rare.built_from.gap_ms == 1_800_000
    assert from_document(to_document(rare)) == rare
    memory, _ = judged([event()], lifecycle(), rare)
    said = []
    for k in (17, 18, 19):  # three times half an hour after the first pane
        _, verdict = judged([], lifecycle(), rare, memory=memory, start_ms=START_MS + k * FIVE_MS)
        said.append("silent" in broken(verdict))
    assert said == [False, True, True]
