"""The list of episodes and the page of one: what happened, why nobody was told, and what can be done."""

from typing import Any

import pytest
from playwright.sync_api import expect

from alerting.deliver.items import Delivery
from streams.broker import Record
from streams.views import deliveries
from streams.views.problems import Problem
from tests.browsing import Browse
from tests.streams.console.asking import ask, bare, text
from tests.streams.published import (
    NOW_MS,
    alert,
    fleet,
    lifecycle,
    read_model,
    record,
    told,
    trigger,
)

LISTED, ONE = "/episodes", "/episodes/{id}"


def affected(series: str = "feature:income", share: float = 0.83) -> dict[str, Any]:
    return {
        "series": series,
        "share_of_change": share,
        "effect": {"name": "psi", "value": 0.404, "low": 0.364, "high": 0.451, "floor": 0.1},
        "missing": {"reference": 0.011, "current": 0.016},
        "top_bins": [{"bin": 1, "of": 10, "reference": 0.1, "current": 0.355}],
    }


def evidence(**more: Any) -> dict[str, Any]:
    return {
        "result_id": "rs-1",
        "log_statistic": 15.0,
        "log_threshold": 7.5,
        "n_reference": 50000,
        "n_current": 3544,
        "budget": "1 per 90 days",
    } | more


def whole(sequence: int = 1, **more: Any) -> dict[str, Any]:
    """An alert with all its members."""
    about: dict[str, Any] = {
        "since": {
            "estimate": "2026-03-02T00:40:00Z",
            "earliest": "2026-03-02T00:31:00Z",
            "latest": "2026-03-02T00:47:00Z",
        },
        "also_in": ["country=DE", "country=FR"],
        "affected_total": 12,
        "affected": [affected(), affected("metric:recall", 0.17)],
        "cause": {"class": "input_shift", "hints": ["country=DE carries 71 % of the change"]},
        "cost": {"amount": 19800.4, "unit": "EUR", "per": 1000},
        "evidence": evidence(),
        "delivery": {
            "receivers": ["slack"],
            "inhibited_by": None,
            "silenced_by": None,
            "held": None,
        },
        "resolve_reason": None,
    }
    return alert(sequence, **(about | more))


def sent(receiver: str, episode_id: str, **more: Any) -> Record:
    about: dict[str, Any] = {
        "sequence": 1,
        "state": "sent",
        "change": "opened",
        "severity": "warning",
        "at_ms": NOW_MS,
        "attempts": 1,
        "told": 1,
    }
    key, value = deliveries.encode(
        Delivery(
            receiver=receiver,
            episode_id=episode_id,
            channel="slack",
            model_id="loans",
            **(about | more),
        )
    )
    return record("deliveries", key.decode(), value)


ID = whole()["episode_id"]


def page(*records: Record) -> str:
    registered = record("models", "lifecycle|loans", lifecycle())
    return text(ask(ONE, read_model(registered, *records), ID))


def test_an_episode_tells_how_bad_since_when_and_what_to_do() -> None:
    said = page(told("alerts", whole()))
    assert "about 2026-03-02 00:40 UTC ( 03-02 00:31 to 03-02 00:47 )" in said
    assert "Open for 9 h" in said
    assert "feature:income: PSI 0.404 (0.364 to 0.451)" in said
    assert "about 19,800 EUR more per 1,000 predictions" in said
    assert "the inputs changed" in said
    assert "What to do: Look at the series below" in said
    assert "alarm at 2 × of its threshold" in said
    assert "3,544 events against 50,000; false alarms at most 1 per 90 days" in said
    assert "And 10 more." in said


def test_a_culprit_leads_to_its_series_in_the_window_the_episode_opened_in() -> None:
    later = whole(2, hour=5, change="escalated")
    markup = ask(ONE, read_model(told("alerts", whole()), told("alerts", later)), ID)
    window = "window=2026-03-02T01%3A00%3A00.000Z"
    assert (
        f"/models/loans/series/feature%3Aincome?segment=all&amp;{window}&amp;version=1.0.0"
        in markup
    )
    assert "/series/metric" not in markup, "a metric has no page of its own"


def test_a_rule_has_a_limit_and_no_share_of_a_change() -> None:
    broken = affected("metric:recall", 0.0) | {
        "effect": {"name": "recall", "value": 0.534, "low": 0.497, "high": 0.571, "floor": 0.62},
        "missing": None,
    }
    said = page(told("alerts", whole(affected=[broken], affected_total=1)))
    assert "metric:recall recall 0.534 (0.497 to 0.571), limit 0.62" in said
    assert "metric:recall – recall 0.534 (0.497 to 0.571) 0.62 – 1 of 10" in said


@pytest.mark.parametrize(
    ("delivery", "words"),
    [
        ({"silenced_by": "sl-1"}, "Silenced : somebody silenced it; it is told at the end"),
        ({"held": "grace"}, "Held back (grace): a version was deployed shortly before"),
        ({"held": "flapping"}, "Held back (flapping): it came back more than three times"),
        ({"held": "full_moon"}, "Held back: full moon."),
        ({"inhibited_by": "ep-other"}, "Explained by another episode"),
        ({"receivers": ["slack", "ops"]}, "For slack, ops."),
        ({"receivers": []}, "For nobody: it is here and on its topic."),
    ],
)
def test_every_transition_says_who_hears_it_or_why_nobody_does(
    delivery: dict[str, Any], words: str
) -> None:
    assert words in page(told("alerts", whole(delivery=delivery)))


def test_an_episode_that_another_one_explains_leads_there() -> None:
    other = alert(kind="data_quality")
    shown = told("alerts", whole(delivery={"inhibited_by": other["episode_id"]}))
    markup = ask(ONE, read_model(told("alerts", other), shown), ID)
    assert f'Explained by <a href="/episodes/{other["episode_id"]}">data quality</a>' in markup


def test_who_was_told_how_often_it_was_tried_and_when_it_is_tried_again() -> None:
    waiting = sent(
        "ops",
        ID,
        state="waiting",
        attempts=4,
        last_error="rate_limited",
        next_attempt_ms=NOW_MS + 60_000,
        told=0,
    )
    instead = sent("mail", ID, state="expired", told=0, fallback="pager")
    said = page(told("alerts", whole()), sent("slack", ID), waiting, instead)
    assert "slack slack opened, warning sent it arrived to no. 1 1 03-02 10:00 – –" in said
    assert "waiting tried, and tried again nothing 4 03-02 10:00 rate limited 03-02 10:01" in said
    assert "(pager instead)" in said
    assert "Nothing is on record yet for slack." in page(told("alerts", whole()))


def test_a_resolved_episode_says_why_and_offers_nothing_that_is_over() -> None:
    end = whole(
        2, hour=5, change="resolved", resolve_reason="rebaselined", delivery={"receivers": []}
    )
    said = page(told("alerts", whole()), told("alerts", end))
    assert "Ended 2026-03-02 05:00 UTC : the present was declared normal" in said
    assert "Lasted 4 h" in said
    assert "Acknowledge : the episode is over" in said
    assert "Resolve : the episode is over" in said


def test_an_acknowledged_episode_is_not_acknowledged_again() -> None:
    seen = alert(2, change="acknowledged", status="acknowledged", hour=2)
    assert "Acknowledge : somebody looks after it" in page(
        told("alerts", alert()), told("alerts", seen)
    )


@pytest.mark.parametrize(
    ("registered", "why"),
    [
        ([], "its lifecycle is not registered"),
        ([lifecycle(retirement={"status": "Retired"})], "it is retired"),
    ],
)
def test_nothing_is_asked_of_a_model_that_nobody_watches(registered: list[Any], why: str) -> None:
    records = [record("models", "lifecycle|loans", one) for one in registered]
    said = text(ask(ONE, read_model(*records, told("alerts", whole())), ID))
    assert f"Retrain : {why}" in said
    assert f"Silence : {why}" in said


def test_retrainings_it_asked_for_and_its_siblings_are_named() -> None:
    sibling = alert(segment="country=DE")
    asks = trigger(reason={"code": "data_drift", "summary": "income moved", "episode_id": ID})
    read = read_model(told("alerts", whole()), told("alerts", sibling), told("retraining", asks))
    markup = bare(ask(ONE, read, ID))
    assert f'<a href="/triggers/{asks["trigger_id"]}">income moved</a>' in markup
    assert f'<li><a href="/episodes/{sibling["episode_id"]}">country=DE</a></li>' in markup
    assert "<li>country=FR</li>" in markup


def test_an_alert_of_an_earlier_or_later_release_is_shown_as_far_as_it_goes() -> None:
    odd = alert(kind="full_moon", change="eclipsed", cause={"class": "lunar", "hints": []}, news=1)
    said = text(ask(ONE, read_model(told("alerts", odd)), odd["episode_id"]))
    assert "full moon" in said
    assert "eclipsed" in said
    assert "lunar" in said


def test_an_unknown_episode_is_not_found() -> None:
    with pytest.raises(Problem, match="not_found"):
        ask(ONE, read_model(), "ep-1")


# ---- the list


def test_the_list_is_filtered_counted_and_paged() -> None:
    read = read_model(
        *(told("alerts", alert(model=f"m-{n}", opened_hour=n, hour=n)) for n in range(1, 4)),
        told("alerts", alert(kind="performance", severity="critical")),
    )
    assert "4 of 4: 4 open." in text(ask(LISTED, read))
    assert "1 of 4: 1 open." in text(ask(LISTED, read, severity="critical", status="", kind=""))
    assert "None of 4. " in text(ask(LISTED, read, model="m-9"))
    first = ask(LISTED, read, limit="3")
    assert "Older" in first
    cursor = first.split("cursor=")[1].split('"')[0].replace("%3D", "=")
    rest = text(ask(LISTED, read, limit="3", cursor=cursor))
    assert "The newest" in rest
    assert "m-3" not in rest.split("Told")[1]


def test_without_episodes_the_list_says_so() -> None:
    assert "No episode is known." in text(ask(LISTED, read_model()))


@pytest.mark.parametrize("name", ["status", "severity", "cursor", "limit"])
def test_a_parameter_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(Problem, match="bad_request"):
        ask(LISTED, read_model(), **{name: "?"})


def test_a_person_goes_from_the_list_to_the_episode_to_its_series(browse: Browse) -> None:
    served = browse.serve(fleet(models=5, features=2, days=1))
    page = browse.page()
    page.goto(f"{served.url}/episodes")
    page.get_by_label("Model").select_option("churn")
    page.get_by_label("Status").select_option("open")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#counted")).to_contain_text("1 of ")
    browse.shot(page, "episodes")
    page.get_by_role("link", name="churn 1.0.0: income drifted").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("churn 1.0.0: income drifted")
    browse.shot(page, "episode")
    href = page.get_by_role("link", name="feature:income").get_attribute("href") or ""
    assert href.startswith("/models/churn/series/feature%3Aincome?")
