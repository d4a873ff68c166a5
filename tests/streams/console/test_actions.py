"""Buttons in a real browser: each goes out as one command, and what the judge makes of it is said in words."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from streams.commands import word
from streams.views import answers
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.browsing import Browse, Served
from tests.streams.console.asking import ask
from tests.streams.console.judge import Judge, fold, outcome
from tests.streams.published import NOW_MS, fleet, told
from tests.streams.published import trigger as asked_for
from tests.test_documentation import rows, text_of

COMMANDS = "**/api/v1/commands"


@pytest.fixture
def read() -> ReadModel:
    return fleet(models=5, features=2, days=1)


@pytest.fixture
def judge(read: ReadModel) -> Judge:
    return Judge(read)


@pytest.fixture
def served(browse: Browse, read: ReadModel, judge: Judge) -> Served:
    return browse.serve(read, write=judge.write)


def episode(read: ReadModel, model: str, kind: str) -> str:
    return next(
        s.id for s in answers.stories(read.episodes, model) if s.kind == kind and not s.ended
    )


def trigger(read: ReadModel, status: str) -> str:
    return next(s.id for s in answers.stories(read.triggers) if s.latest.status == status)


def drifting(read: ReadModel) -> str:
    return f"/episodes/{episode(read, 'churn', 'data_drift')}"


def press(page: Page, text: str) -> None:
    page.get_by_role("main").get_by_role("button", name=text, exact=True).first.click()


def fill(page: Page, **more: str) -> None:
    """Fill in what is needed, and no more."""
    dialog = page.get_by_role("dialog")
    values = {"by": "ann", "reason": "moving house", "model_version": "2.0.0"} | more
    for name, value in values.items():
        entry = dialog.locator(f"[name='{name}']")
        if entry.count() and (name in more or entry.get_attribute("required") is not None):
            entry.fill(value)


def send(page: Page) -> None:
    page.get_by_role("dialog").locator("[type=submit]").click()


def said(page: Page, text: str) -> None:
    expect(page.locator(".told")).to_contain_text(text)


def answer(route: Route, status: int, **problem: Any) -> None:
    body = json.dumps({"status": status, "title": "", "detail": "", "errors": []} | problem)
    route.fulfill(status=status, content_type="application/problem+json", body=body)


# ---- every button


@pytest.mark.parametrize(
    ("place", "buttons"),
    [
        ("open episode", ["acknowledge", "snooze", "silence", "resolve", "rebaseline"]),
        ("requested trigger", ["approve", "reject", "cancel", "tick_check"]),
        ("started trigger", ["cancel", "tick_check"]),
        ("silences", ["silence", "unsilence"]),
        ("model", ["retrain", "silence", "rebaseline"]),
    ],
)
def test_every_button_goes_out_as_one_command_that_the_judge_applies(
    browse: Browse, served: Served, read: ReadModel, judge: Judge, place: str, buttons: list[str]
) -> None:
    paths = {
        "open episode": drifting(read),
        "requested trigger": f"/triggers/{trigger(read, 'requested')}",
        "started trigger": f"/triggers/{trigger(read, 'started')}",
        "silences": "/silences",
        "model": "/models/loan-default",
    }
    page = browse.page()
    page.goto(served.url + paths[place])
    names = page.locator("main .action > .act:enabled").all_inner_texts()
    for count, name in enumerate(names, 1):
        press(page, name)
        if page.locator("dialog[open]").count():
            fill(page)
            send(page)
        expect(page.locator(".told [data-state=applied]")).to_have_count(count)
        expect(page.locator("dialog")).to_have_count(0)
    assert [word(one) for one in judge.heard] == buttons
    assert {one.by for one in judge.heard} == {"ann"}


def test_an_episode_has_the_buttons_of_the_retraining_it_asked_for(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    about = {"code": "performance", "summary": "worse", "episode_id": drifting(read)[10:]}
    served.fold(told("retraining", asked_for(model="churn", hour=9, anchor=NOW_MS, reason=about)))
    page = browse.page()
    page.goto(served.url + drifting(read))
    for name in ("Approve", "Reject", "Cancel"):
        press(page, name)
        fill(page)
        send(page)
        said(page, f"{name}: applied")
    assert [word(one) for one in judge.heard] == ["approve", "reject", "cancel"]


def test_a_completed_retraining_is_said_to_be_deployed_with_its_version(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    page = browse.page()
    page.goto(f"{served.url}/triggers/{trigger(read, 'completed')}")
    press(page, "Deployed")
    expect(page.get_by_role("dialog")).to_contain_text("This cannot be taken back")
    fill(page)
    send(page)
    said(page, "Deployed: applied")
    assert [(word(one), getattr(one, "model_version", None)) for one in judge.heard] == [
        ("deployed", "2.0.0")
    ]


def test_a_silence_says_what_it_is_about_until_when_and_why(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    page = browse.page()
    page.goto(served.url + drifting(read))
    press(page, "Silence")
    page.locator("dialog summary").click()
    fill(page, **{"match.segment": "country=DE", "until": "2030-01-01T00:00", "reason": "  "})
    send(page)
    assert judge.heard == [], "neither is the reason given nor the end within 30 days"
    expect(page.locator("dialog .wrong")).to_have_text(
        ["This is later than 30 days from now.", "This is needed."]
    )
    expect(page.locator("dialog [name=until]")).to_be_focused()
    fill(page, until="", reason="moving house")
    page.locator("dialog [name=for]").select_option(label="1 week")
    send(page)
    said(page, "Silence: applied")
    (silence,) = judge.heard
    found = json.loads(json.dumps(read.commands.silences(0)))[-1]
    assert found["match"] == {"segment": "country=DE", "kind": "data_drift"}
    assert (found["reason"], found["silence_id"]) == ("moving house", silence.command_id)


# ---- what the judge says


def test_a_refusal_is_said_in_words_and_stays_on_the_page(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    judge.refuses = "not_an_approver"
    page = browse.page()
    page.goto(f"{served.url}/triggers/{trigger(read, 'requested')}")
    press(page, "Approve")
    fill(page, by="mallory")
    send(page)
    said(page, "Approve: refused: the lifecycle names approvers, and you are none of them")
    row = page.locator("#asked tbody tr").first
    expect(row).to_contain_text("mallory")
    expect(row).to_contain_text("refused")
    expect(page.locator("main .pill.trigger-requested").first).to_be_visible()


def test_until_the_judge_answers_it_is_asked_for_and_not_done(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    judge.waits = True
    page = browse.page()
    page.goto(served.url + drifting(read))
    press(page, "Acknowledge")
    fill(page)
    send(page)
    said(page, "Acknowledge: sent; it takes effect with the next window that is judged")
    expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_be_disabled()
    expect(page.locator("main .held").first).to_contain_text(
        "asked for already, and waits for the next window (by ann)"
    )
    expect(page.locator("#asked")).to_contain_text("pending")
    page.reload()
    page.wait_for_selector("#live[data-state=live]")
    expect(page.locator("#asked")).to_contain_text("pending")
    served.fold(outcome(judge.heard[0]))
    expect(page.locator("#asked")).to_contain_text("applied")
    assert len(judge.heard) == 1


# ---- once, whatever happens


def test_a_double_click_is_one_command(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    judge.waits = True
    page = browse.page()
    page.goto(served.url + drifting(read))
    press(page, "Snooze")
    fill(page)
    page.get_by_role("dialog").locator("[type=submit]").dblclick()
    said(page, "Snooze: sent")
    page.get_by_role("main").get_by_role("button", name="Acknowledge", exact=True).dblclick()
    said(page, "Acknowledge: sent")
    assert [word(one) for one in judge.heard] == ["snooze", "acknowledge"]


def test_while_the_server_is_slow_nothing_can_be_sent_twice(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    page, waiting = browse.page(), list[Route]()
    page.route(COMMANDS, lambda route: waiting.append(route))
    page.goto(served.url + drifting(read))
    press(page, "Resolve")
    fill(page)
    send(page)
    expect(page.locator("dialog [type=submit]")).to_be_disabled()
    page.locator("dialog [name=by]").press("Enter")
    page.keyboard.press("Escape")
    press(page, "Resolve")  # it is on its way: no second form opens
    expect(page.locator("dialog")).to_have_count(0)
    (only,) = waiting
    only.continue_()
    said(page, "Resolve: applied")
    assert len(judge.heard) == 1


def test_after_an_error_of_the_network_the_same_id_is_sent_again(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    page, keys = browse.page(), list[str]()

    def lose_the_first_two(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.abort()
        elif len(keys) == 2:  # it arrives, and its answer is lost
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(COMMANDS, lose_the_first_two)
    page.goto(served.url + drifting(read))
    press(page, "Resolve")
    fill(page)
    send(page)
    said(page, "Resolve: applied")
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert [one.command_id for one in judge.heard] == [keys[0]]
    assert all("ERR_FAILED" in one for one in browse.complaints)
    browse.complaints.clear()


def test_what_is_not_ready_yet_is_tried_again_and_then_told(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    judge.problems = [Problem("not_ready", "Kafka does not take the command: try again")] * 5
    page = browse.page()
    page.goto(served.url + drifting(read))
    press(page, "Resolve")
    fill(page)
    send(page)
    said(page, "Kafka does not take the command: try again; trying again")
    mistake = page.locator("dialog .mistake")
    expect(mistake).to_contain_text("Kafka does not take the command", timeout=30_000)  # after 6 s
    assert len(judge.problems) == 1, "it was asked four times"
    assert judge.heard == []
    judge.problems.clear()
    send(page)
    said(page, "Resolve: sent")
    assert len(judge.heard) == 1
    assert all("503" in one for one in browse.complaints)
    browse.complaints.clear()


# ---- who may, and what is wrong


@pytest.mark.parametrize(
    ("status", "detail", "words"),
    [
        (
            401,
            "Authorization: the token is not known",
            "a token is needed: Authorization: the token is not known",
        ),
        (
            403,
            "the token bob may read, not write",
            "not allowed: the token bob may read, not write",
        ),
    ],
)
def test_who_may_not_write_is_told_why(
    browse: Browse,
    served: Served,
    read: ReadModel,
    judge: Judge,
    status: int,
    detail: str,
    words: str,
) -> None:
    page = browse.page()
    page.route(COMMANDS, lambda route: answer(route, status, detail=detail))
    page.goto(served.url + drifting(read))
    press(page, "Resolve")
    fill(page)
    send(page)
    expect(page.locator("dialog .mistake")).to_have_text(words)
    said(page, f"Resolve: {words}")
    assert judge.heard == []
    assert all(str(status) in one for one in browse.complaints)
    browse.complaints.clear()


def test_a_token_stands_for_its_name(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    """Behind a proxy that shows a token the command is given in the token's name, not in the person's."""
    page, bodies = browse.page(), list[dict[str, str]]()

    def named(route: Route) -> None:
        bodies.append(json.loads(route.request.post_data or "{}"))
        if bodies[-1]["by"] == "ann":
            wrong = {"path": "by", "expected": "console", "got": "ann"}
            answer(route, 422, detail="by: expected console", errors=[wrong])
        else:
            route.continue_()

    page.route(COMMANDS, named)
    page.goto(served.url + drifting(read))
    press(page, "Resolve")
    fill(page)
    send(page)
    said(page, "Resolve: applied")
    assert [one.by for one in judge.heard] == ["console"]
    browse.complaints.clear()


def test_a_mistake_that_the_server_finds_stands_beside_its_field(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    page = browse.page()
    page.goto(f"{served.url}/triggers/{trigger(read, 'completed')}")
    press(page, "Deployed")
    fill(page, model_version="not a version")
    send(page)
    entry = page.locator("dialog [name=model_version]")
    expect(entry).to_have_attribute("aria-invalid", "true")
    expect(entry).to_be_focused()
    beside = page.locator("dialog .field:has([name=model_version]) .wrong")
    expect(beside).to_contain_text("Expected")
    assert judge.heard == []
    browse.complaints.clear()


# ---- by keyboard, and how it is remembered


def test_forms_open_close_and_are_sent_by_keyboard(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    page = browse.page()
    page.goto(served.url + drifting(read))
    button = page.get_by_role("button", name="Rebaseline", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("This cannot be taken back")
    expect(page.locator("dialog [name=by]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    assert judge.heard == []
    page.keyboard.press("Enter")
    page.keyboard.type("ann")
    page.keyboard.press("Enter")
    said(page, "Rebaseline: applied")
    assert [word(one) for one in judge.heard] == ["rebaseline"]


def test_the_name_is_asked_once(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    page = browse.page()
    page.goto(served.url + drifting(read))
    press(page, "Snooze")
    fill(page, by="ann")
    send(page)
    said(page, "Snooze: applied")
    page.goto(f"{served.url}/triggers/{trigger(read, 'started')}")
    press(page, "Cancel")
    expect(page.locator("dialog [name=by]")).to_have_value("ann")
    page.get_by_role("button", name="Back").click()
    press(page, "Tick")
    said(page, "Tick: applied")
    assert [one.by for one in judge.heard] == ["ann", "ann"]


def test_a_page_that_is_renewed_meanwhile_keeps_the_form(
    browse: Browse, served: Served, read: ReadModel, judge: Judge
) -> None:
    page = browse.page()
    page.goto(served.url + drifting(read))
    page.wait_for_selector("#live[data-state=live]")
    press(page, "Silence")
    page.locator("dialog [name=reason]").fill("half a sen")
    judge.heard.clear()
    with page.expect_response(re.compile("/episodes/")):
        page.evaluate("document.dispatchEvent(new CustomEvent('leeway:renew'))")
    expect(page.locator("dialog [name=reason]")).to_have_value("half a sen")


# ---- which are possible


def test_without_scripts_the_command_line_is_named(
    browse: Browse, served: Served, read: ReadModel
) -> None:
    page = browse.page(scripts=False)
    page.goto(served.url + drifting(read))
    expect(page.locator("main noscript p").first).to_contain_text("leeway --help")


def test_every_button_is_in_the_page_about_the_console(read: ReadModel) -> None:
    about = {"code": "performance", "summary": "worse", "episode_id": drifting(read)[10:]}
    fold(read, told("retraining", asked_for(model="churn", hour=9, anchor=NOW_MS, reason=about)))
    steps = [f"{trigger(read, status)}" for status in ("requested", "started", "completed")]
    pages = {
        "episode": ask("/episodes/{id}", read, drifting(read)[10:]),
        "trigger": "".join(ask("/triggers/{id}", read, one) for one in steps),
        "silences": ask("/silences", read),
        "model": ask("/models/{id}", read, "churn"),
    }
    described = {row[0]: row[1] for row in rows(text_of("console.md"), "Buttons")}
    assert described.keys() == pages.keys()
    for place, markup in pages.items():
        shown = set(re.findall(r'<button type="button" class="act[^>]*>([^<]+)<', markup))
        assert shown == set(
            re.findall(r"(?:^|[:,] |and )([A-Z]\w+(?: silence)?)", described[place])
        )
