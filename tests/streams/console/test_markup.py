"""No text of an event, a person or a receiver can become markup on these pages, nor an address that runs a script."""

from html.parser import HTMLParser

import pytest

from streams.commands import Match, Silence
from streams.console.pages import PAGES
from streams.views import answers
from streams.views.deliveries import Delivering
from streams.views.read import ReadModel
from streams.views.vitals import ROLES, RoleVitals, Share, Vitals
from tests.streams.console.asking import asked
from tests.streams.console.judge import given
from tests.streams.console.test_dead_letters import dead
from tests.streams.console.test_episodes import sent, whole
from tests.streams.console.test_triggers import whole as asked_for
from tests.streams.published import NOW_MS, intake, lifecycle, read_model, record, told

EVIL = "<script>alert('x')</script>\"'&"
PATHS = (
    "/episodes",
    "/episodes/{id}",
    "/triggers",
    "/triggers/{id}",
    "/silences",
    "/dead-letters",
    "/pipeline",
)


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def evil() -> ReadModel:
    """What somebody could put where."""
    address = f"javascript:{EVIL}"
    shown = whole(title=EVIL, summary=EVIL, kind=EVIL, change=EVIL, segment=EVIL, version=EVIL)
    shown["model"] |= {"owner": EVIL, "name": EVIL}
    shown["affected"][0]["series"] = f"feature:{EVIL}"
    shown["affected"][0]["effect"]["name"] = EVIL
    shown |= {"links": {"runbook": address, "console": address}, "also_in": [EVIL]}
    shown |= {"cause": {"class": EVIL, "hints": [EVIL]}, "resolve_reason": EVIL, "verdict": EVIL}
    shown["cost"]["unit"] = shown["evidence"]["budget"] = EVIL
    shown["delivery"] = {
        "receivers": [EVIL],
        "held": EVIL,
        "silenced_by": EVIL,
        "inhibited_by": EVIL,
    }
    asks = asked_for(status=EVIL)
    asks["status"] |= {"by": EVIL, "note": EVIL}
    asks["reason"] |= {"summary": EVIL, "code": EVIL}
    asks["policy"] |= {
        "name": EVIL,
        "approval": EVIL,
        "approvers": [EVIL],
        "priority": EVIL,
        "previous_trigger_id": EVIL,
    }
    asks["gates"] |= {"required": {EVIL: {EVIL: EVIL}}, "checks": [EVIL], "decision": EVIL}
    asks["pipeline"] = {"location": EVIL, "data_sources": [EVIL], "params": {EVIL: EVIL}}
    asks["links"] = [{"href": address, "text": EVIL}, {"href": f"//{EVIL}", "text": EVIL}]
    asks["training_window"]["basis"] = asks["evidence"]["signals"][0]["series"] = EVIL
    silence = Silence(
        command_id=EVIL,
        silence_id=EVIL,
        model_id="loans",
        by=EVIL,
        until="2099-01-01T00:00:00Z",
        reason=EVIL,
        match=Match(segment=EVIL, kind=EVIL, series=EVIL, version=EVIL, severity=EVIL),
    )
    source = {"events": 5, "dead_letters": {EVIL: 1}, "unregistered": {EVIL: 3}}
    return read_model(
        record("models", "lifecycle|loans", lifecycle(model_name=EVIL)),
        told("alerts", shown),
        sent(EVIL, shown["episode_id"], last_error=EVIL, fallback=EVIL),
        told("retraining", asks),
        given(silence),
        dead(1, EVIL, EVIL),
        record("state", "-|-|-|intake", intake(1, **{EVIL: source})),
        record("results", "loans", b"{"),
    )


@pytest.mark.parametrize("path", PATHS)
def test_nothing_that_is_shown_becomes_markup(path: str) -> None:
    read = evil()
    stories = read.episodes if path.startswith("/episodes") else read.triggers
    wanted = next(answers.stories(stories)).id
    roles = tuple(
        RoleVitals(role, "stalled", EVIL, 1, 1, (Share(EVIL, 0, 0, 1),)) for role in ROLES
    )
    more = {
        "vitals": Vitals(roles, NOW_MS),
        "delivering": Delivering({EVIL: True}, {EVIL: 0}, {EVIL: 1}),
    }
    markup = asked(path, read, wanted, {}, **more)
    assert EVIL not in markup
    assert "alert(&#x27;x&#x27;)" in markup
    for tag, attributes in Seen(markup).elements:
        assert (
            tag != "script" or "src" in attributes or attributes.get("type") == "application/json"
        )
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "src", "action"):
            address = attributes.get(name) or "/"
            assert address.startswith(("/", "#", "data:,", "https://")), address
            assert not address.startswith("//")


def test_these_are_all_pages_but_those_of_models() -> None:
    assert set(PATHS) == {one.path for one in PAGES if "models" not in one.path} - {"/"}
