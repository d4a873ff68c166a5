"""The list of triggers and the page of one: its life, its gates, who decides, and which buttons its state has."""

from typing import Any

import pytest
from playwright.sync_api import expect

from streams.commands import TickCheck
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.browsing import Browse
from tests.streams.console.asking import ask, text
from tests.streams.console.judge import given, outcome
from tests.streams.published import START_MS, alert, fleet, lifecycle, read_model, record, told
from tests.streams.published import trigger as published

LISTED, ONE = "/triggers", "/triggers/{id}"


def whole(sequence: int = 1, status: str = "requested", **more: Any) -> dict[str, Any]:
    """A trigger with all its members."""
    about = {
        "reason": {
            "code": "performance",
            "summary": "Recall is below the floor",
            "episode_id": alert()["episode_id"],
            "severity": "critical",
        },
        "training_window": {
            "start": "2026-02-25T11:00:00.000Z",
            "end": "2026-03-02T00:00:00.000Z",
            "basis": "change_point",
            "records": 392400,
            "labelled": 41870,
            "offsets": [
                {
                    "cluster_id": "Q2",
                    "topic": "loans.scored",
                    "partition": 0,
                    "start": 8331,
                    "end": 9344,
                }
            ],
        },
        "evidence": {
            "alert_ids": ["al-1"],
            "result_ids": ["rs-1", "rs-2"],
            "truncated": 3,
            "signals": [
                {
                    "series": "metric:recall",
                    "value": 0.534,
                    "low": 0.497,
                    "high": 0.571,
                    "reference": 0.71,
                    "threshold": 0.62,
                    "n_reference": 6100,
                    "n_current": 1204,
                }
            ],
        },
        "policy": {
            "name": "recall-floor",
            "action": "retrain",
            "approval": "required",
            "approvers": ["ann", "bob"],
            "priority": "high",
            "expires_at": "2026-03-05T00:00:00.000Z",
            "cooldown_until": "2026-03-09T00:00:00.000Z",
            "previous_trigger_id": None,
            "suppressed_since_last": 0,
            "dry_run": False,
        }
        | more.pop("policy", {}),
        "pipeline": {
            "location": "ci/loans",
            "data_sources": ["warehouse/loans"],
            "params": {"budget": "small"},
        },
        "gates": {
            "required": {
                "auc": {"min": 0.82},
                "recall": {"min": "baseline", "segment": "country=DE"},
            },
            "checks": ["A/B test"],
            "decision": None,
            "passed": [],
            "failed": [],
            "missing": [],
        }
        | more.pop("gates", {}),
        "links": [{"href": "https://ci.example/42", "text": "Run"}],
    }
    return published(sequence, status=status, hour=1 + sequence, **(about | more))


ID = whole()["trigger_id"]


def model_of(*documents: dict[str, Any]) -> ReadModel:
    registered = record("models", "lifecycle|loans", lifecycle())
    return read_model(registered, *(told("retraining", one) for one in documents))


def page(*documents: dict[str, Any]) -> str:
    return text(ask(ONE, model_of(*documents), ID))


def enabled(*documents: dict[str, Any]) -> list[str]:
    """The buttons that can be pressed."""
    markup = ask(ONE, model_of(*documents), ID)
    parts = [one.split("</button>")[0] for one in markup.split('class="action"><button')[1:]]
    return [one.split(">")[1] for one in parts if "disabled" not in one.split(">")[0]]


def test_a_trigger_tells_why_with_which_data_and_what_must_be_proved() -> None:
    said = page(whole())
    assert "Recall is below the floor" in said
    assert "Only ann, bob may decide." in said
    assert "metric:recall 0.534 (0.497 to 0.571) 0.71 0.62 6,100 1,204" in said
    assert "And 3 more." in said
    assert "since the change): 392,400 events, 41,870 with a label." in said
    assert "loans.scored 0 8331 9344 Q2" in said
    assert "auc at least 0.82 not yet" in said
    assert "recall at least baseline, in country=DE not yet" in said
    assert "A/B test a person checks not yet" in said
    assert "ci/loans" in said
    assert '<a href="https://ci.example/42" rel="noreferrer">Run</a>' in ask(
        ONE, model_of(whole()), ID
    )


def test_its_life_is_told_with_who_and_why() -> None:
    rejected = whole(2, "rejected", status_note="", gates={})
    rejected["status"] |= {"by": "bob", "note": "the data are wrong"}
    said = page(whole(), rejected)
    assert "2026-03-02 03:00 UTC rejected by bob the data are wrong" in said
    assert "requested → approved" not in said


@pytest.mark.parametrize(
    ("steps", "buttons"),
    [
        (["requested"], ["Approve", "Reject", "Cancel", "Tick"]),
        (["requested", "approved"], ["Cancel", "Tick"]),
        (["requested", "approved", "started"], ["Cancel", "Tick"]),
        (["requested", "approved", "started", "completed"], ["Deployed", "Tick"]),
        (["requested", "rejected"], []),
        (["requested", "cancelled"], []),
        (["requested", "approved", "failed"], []),
        (["requested", "eclipsed"], ["Tick"]),
    ],
)
def test_the_buttons_are_those_that_its_state_has(steps: list[str], buttons: list[str]) -> None:
    assert enabled(*(whole(n, step) for n, step in enumerate(steps, 1))) == buttons


def test_what_the_judge_would_refuse_is_not_offered() -> None:
    dry = whole(policy={"dry_run": True})
    assert "Approve" not in enabled(dry)
    assert "Approve : retraining.guards.dry_run lets no retraining begin" in page(dry)
    newer = whole(anchor=START_MS + 1) | {"status": whole(5)["status"]}
    assert enabled(whole(), newer) == ["Tick"], "of a model only the newest trigger moves"
    refused = whole(4, "completed", gates={"decision": "reject", "failed": ["auc"]})
    assert enabled(whole(), refused) == ["Tick"]


def test_the_results_of_gates_and_the_decision_are_told() -> None:
    gates = {"decision": "hold", "passed": ["auc"], "failed": [], "missing": ["recall", "A/B test"]}
    said = page(whole(4, "completed", gates=gates))
    assert "hold something is missing, or a person must look first" in said
    assert "auc at least 0.82 passed" in said
    assert "recall at least baseline, in country=DE missing" in said


def test_a_check_that_was_ticked_before_the_run_was_over_is_remembered() -> None:
    tick = TickCheck(command_id="c-1", model_id="loans", by="ann", trigger_id=ID, check="A/B test")
    records = (told("retraining", whole()), given(tick))
    assert "A/B test a person checks not yet Tick" in text(ask(ONE, read_model(*records), ID))
    done = text(ask(ONE, read_model(*records, outcome(tick)), ID))
    assert "A/B test a person checks not yet ticked by ann" in done


def test_a_trigger_of_an_earlier_release_is_shown_as_far_as_it_goes() -> None:
    said = page(published())
    assert "None is suggested." in said
    assert "The lifecycle names no gates." in said
    assert "No measurement asked for it." in said


def test_an_unknown_trigger_is_not_found() -> None:
    with pytest.raises(Problem, match="not_found"):
        ask(ONE, read_model(), "rt-1")


def test_the_list_is_filtered_and_counted() -> None:
    read = model_of(whole(), whole(2, "approved"))
    assert "1 of 1: 1 approved." in text(ask(LISTED, read, status="approved", model="loans"))
    assert "None of 1." in text(ask(LISTED, read, status="failed", model=""))
    assert "No retraining was ever asked for." in text(ask(LISTED, read_model()))


def test_a_person_goes_from_the_list_to_a_trigger(browse: Browse) -> None:
    served = browse.serve(fleet(models=5, features=2, days=1))
    page = browse.page()
    page.goto(f"{served.url}/triggers")
    page.get_by_label("Status").select_option("completed")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#counted")).to_contain_text("1 of ")
    browse.shot(page, "triggers")
    page.locator("main tbody a").first.click()
    expect(page.locator(".steps [aria-current=step]")).to_have_text("completed")
    browse.shot(page, "trigger")
