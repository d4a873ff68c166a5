"""The answers of `/api/v1`: fields, filters, pages, and what a wrong request is told."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.broker import Partition
from streams.control.api import ROUTES
from streams.views.asked import Asked
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.streams.published import (
    NOW_MS,
    alert,
    intake,
    lifecycle,
    read_model,
    record,
    reference,
    result,
    series,
    told,
    trigger,
)


def ask(read: ReadModel, path: str, **query: str) -> Any:
    """What the route of this path answers; ``from_`` is the parameter `from`."""
    given = {name.rstrip("_"): value for name, value in query.items()}
    for route in ROUTES:
        pattern = "(?P<id>[^/]+)".join(re.escape(part) for part in route.path.split("{id}"))
        if found := re.fullmatch(pattern, path):
            asked = Asked(read, NOW_MS, found.groupdict(), route.query(given.items()))
            return msgspec.json.decode(msgspec.json.encode(route.answer(asked)))
    raise AssertionError(path)


def refused(read: ReadModel, path: str, **query: str) -> Problem:
    with pytest.raises(Problem) as found:
        ask(read, path, **query)
    return found.value


@pytest.fixture(scope="module")
def read() -> ReadModel:
    return read_model(
        record("models", "lifecycle|loans", lifecycle()),
        record("models", "reference|loans|loans-2025-12", reference()),
        told("results", result(0, found=[series("feature:age")])),
        told("results", result(1, found=[series(), series("score")])),
        told("results", result(1, segment="country=DE", found=[series("prediction")])),
        told("results", result(1, version="0.9.0")),
        told("results", result(1, model="churn")),
        told("results", result(1, scope="health")),
        told("alerts", alert(1)),
        told("alerts", alert(2, change="escalated", severity="critical", hour=2)),
        told("alerts", alert(1, model="churn", opened_hour=3, hour=3)),
        told("alerts", alert(2, model="churn", opened_hour=3, hour=4, change="resolved")),
        told("retraining", trigger(1)),
        told("retraining", trigger(2, status="approved")),
        record("state", "-|-|-|intake", intake(
            a={"events": 9, "dead_letters": {"not_json": 2}, "unregistered": {"x": 1, "y": 8}},
            b={"events": 1},
        )),
    )  # fmt: skip


def test_models_are_listed_by_name_with_their_state(read: ReadModel) -> None:
    churn, loans = ask(read, "/models")["items"]
    assert (churn["model_id"], churn["state"]) == ("churn", "healthy")
    assert loans["state"] == "degraded"
    assert loans["open_episodes"] == [alert()["episode_id"]]
    assert loans["current_version"] == "1.0.0"
    assert ask(read, "/models", state="degraded")["items"] == [loans]


def test_a_model_carries_its_lifecycle_versions_segments_and_references(read: ReadModel) -> None:
    found = ask(read, "/models/loans")
    assert found["lifecycle"] == lifecycle()["lifecycle"]["model_lifecycle"]
    assert (found["owner"], found["environment"]) == ("credit-risk", "Production")
    assert found["versions"] == ["0.9.0", "1.0.0"]
    assert found["segments"] == ["all", "country=DE"]
    assert [one["reference_id"] for one in found["references"]] == ["loans-2025-12"]
    assert ask(read, "/models/churn")["lifecycle"] is None


def test_series_are_those_of_the_last_window_of_the_current_version(read: ReadModel) -> None:
    found = ask(read, "/models/loans/series")["items"]
    assert [one["series"] for one in found] == ["feature:income", "score"]
    assert found[0]["effect"] == series()["effect"]
    assert found[0]["window"]["result_id"] == result(1)["result_id"]
    (german,) = ask(read, "/models/loans/series", segment="country=DE")["items"]
    assert german["series"] == "prediction"
    assert ask(read, "/models/loans/series", version="0.9.0")["items"] == []


def test_results_come_whole_newest_first_and_filtered(read: ReadModel) -> None:
    found = ask(read, "/models/loans/results", version="1.0.0", segment="all", scope="inputs")
    assert found == {
        "items": [
            result(1, found=[series(), series("score")]),
            result(0, found=[series("feature:age")]),
        ],
        "next": None,
    }
    assert len(ask(read, "/models/loans/results")["items"]) == 5
    late = ask(read, "/models/loans/results", from_="2026-03-02T02:00:00+01:00", scope="inputs")
    assert {one["window"]["start"] for one in late["items"]} == {"2026-03-02T01:00:00.000Z"}
    early = ask(read, "/models/loans/results", to="2026-03-02T01:00:00Z")["items"]
    assert [one["result_id"] for one in early] == [result(0)["result_id"]]


def test_episodes_are_their_latest_alert_and_one_has_its_history(read: ReadModel) -> None:
    churn, loans = ask(read, "/episodes")["items"]
    assert loans["change"] == "escalated"
    assert churn["status"] == "resolved"
    assert ask(read, "/episodes", status="open")["items"] == [loans]
    assert ask(read, "/episodes", severity="critical")["items"] == [loans]
    assert ask(read, "/episodes", model="churn")["items"] == [churn]
    assert ask(read, "/episodes", kind="performance")["items"] == []
    whole = ask(read, f"/episodes/{loans['episode_id']}")
    assert [one["sequence"] for one in whole["history"]] == [1, 2]
    assert whole["severity"] == "critical"


def test_triggers_are_their_latest_status_and_one_has_its_history(read: ReadModel) -> None:
    (found,) = ask(read, "/triggers")["items"]
    assert found["status"]["name"] == "approved"
    assert ask(read, "/triggers", status="requested")["items"] == []
    whole = ask(read, f"/triggers/{found['trigger_id']}")
    assert [one["status"]["name"] for one in whole["history"]] == ["requested", "approved"]


def test_unregistered_models_are_listed_by_the_events_they_sent(read: ReadModel) -> None:
    assert ask(read, "/unregistered")["items"] == [
        {"model_id": "y", "topic": "a", "events": 8},
        {"model_id": "x", "topic": "a", "events": 1},
    ]


def test_health_says_how_far_the_log_was_read_and_what_came_in(read: ReadModel) -> None:
    (route,) = (one for one in ROUTES if one.path == "/health")
    at = [(Partition("leeway.alerts", 0), 4, 5)]
    found = route.answer(Asked(read, NOW_MS, {}, {}, ready=True, reading=at))
    assert found["reading"] == [{"topic": "leeway.alerts", "partition": 0, "position": 4, "end": 5}]
    assert found["sources"][0] == {
        "topic": "a",
        "events": 9,
        "dead_letters": {"not_json": 2},
        "unregistered": 9,
    }


@given(hours=st.sets(st.integers(0, 60), max_size=30), limit=st.integers(1, 12))
def test_pages_together_are_the_whole_list_once(hours: set[int], limit: int) -> None:
    read = read_model(
        told("results", result(100)), *(told("results", result(hour)) for hour in sorted(hours))
    )
    whole = ask(read, "/models/loans/results")["items"]
    page = ask(read, "/models/loans/results", limit=str(limit))
    gathered = page["items"]
    while page["next"] is not None:
        page = ask(read, "/models/loans/results", limit=str(limit), cursor=page["next"])
        gathered += page["items"]
    assert gathered == whole
    assert len(whole) == len(hours) + 1


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/models", {"limit": "0"}, "limit: expected a number from 1 to 500"),
        ("/models", {"limit": "501"}, "limit: expected a number from 1 to 500"),
        ("/models", {"limit": "²"}, "limit: expected a number from 1 to 500"),
        ("/models", {"cursor": "x"}, "cursor: expected the `next` of an earlier answer"),
        ("/models", {"cursor": "WzFd"}, "cursor: expected the `next` of an earlier answer"),
        ("/models", {"cursor": "é"}, "cursor: expected the `next` of an earlier answer"),
        ("/models", {"modle": "x"}, "modle: expected one of state, limit, cursor"),
        ("/models/loans", {"a": "b"}, "a: expected nothing"),
        ("/models/loans/results", {"scope": "all"}, "scope: expected one of inputs, outcomes"),
        ("/models/loans/results", {"from_": "monday"}, "from: expected an RFC 3339 time"),
        ("/models/loans/results", {"to": "2026-03-02T00:00:00"}, "to: expected an RFC 3339 time"),
        ("/episodes", {"status": "closed"}, "status: expected one of open, acknowledged, resolved"),
    ],
)
def test_a_wrong_parameter_is_refused_and_never_ignored(
    read: ReadModel, path: str, query: dict[str, str], expected: str
) -> None:
    problem = refused(read, path, **query)
    assert problem.status == 400
    assert problem.detail.startswith(expected)
    document = problem.document(path)
    assert document["type"] == "urn:leeway:problem:bad_request"
    assert document["errors"][0]["path"].startswith("query.")


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(Problem, match="limit: expected the parameter once"):
        ROUTES[0].query([("limit", "1"), ("limit", "2")])


@pytest.mark.parametrize(
    "path", ["/models/x", "/models/x/series", "/models/x/results", "/episodes/x", "/triggers/x"]
)
def test_what_is_not_there_is_not_found(read: ReadModel, path: str) -> None:
    assert refused(read, path).name == "not_found"
