"""Episodes, triggers, silences, dead letters, pipeline: without data, with many, with endless names, after a start."""

from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Page

from streams.broker import Partition
from streams.commands import Match, Silence
from streams.views import answers
from streams.views.deliveries import Delivering
from streams.views.read import ReadModel
from streams.views.vitals import ROLES, RoleVitals, Vitals
from tests.browsing import DESK, PHONE, Browse
from tests.streams.console.judge import fold, given, outcome
from tests.streams.console.test_dead_letters import dead
from tests.streams.console.test_episodes import sent, whole
from tests.streams.console.test_triggers import whole as asked_for
from tests.streams.published import NOW_MS, fleet, intake, lifecycle, read_model, record, told

LISTS = ("/episodes", "/triggers", "/silences", "/dead-letters", "/pipeline")
LONG = "a-name-that-goes-on-and-on-" * 8
HEBREW = "הלוואות לעסקים קטנים ובינוניים " * 7
ARABIC = "نموذج مخاطر القروض " * 11


def endless() -> ReadModel:
    """Whatever somebody may name has 200 characters, or is written from right to left."""
    model = LONG[:100]
    about: dict[str, Any] = {"model": model, "segment": f"region={ARABIC[:200]}"}
    shown = whole(title=HEBREW[:150], summary=ARABIC * 4, version="1.0.0-" + "9" * 50, **about)
    shown["model"]["owner"] = LONG[:200]
    shown["affected"][0]["series"] = f"feature:{LONG[:200]}"
    shown["delivery"] = {"receivers": [LONG[:60], HEBREW[:60]], "held": "grace"}
    asks = asked_for(model=model)
    asks["reason"] |= {"summary": HEBREW * 2, "episode_id": shown["episode_id"]}
    asks["gates"]["checks"] = [ARABIC, LONG]
    asks["policy"]["approvers"] = [LONG[:200], HEBREW[:200]]
    silence = Silence(
        command_id="c",
        silence_id="s",
        model_id=model,
        by=HEBREW[:200],
        until="2026-03-03T00:00:00Z",
        reason=LONG * 2,
        match=Match(segment=ARABIC[:200]),
    )
    source = {"events": 5, "unregistered": {HEBREW[:200]: 3}}
    return read_model(
        record("models", f"lifecycle|{model}", lifecycle(model, model_name=HEBREW[:200])),
        told("alerts", shown),
        sent(LONG[:60], shown["episode_id"], last_error=LONG[:100]),
        told("retraining", asks),
        given(silence),
        outcome(silence),
        dead(1, "not_json", LONG[:200]),
        record("state", "-|-|-|intake", intake(1, **{LONG[:200]: source})),
    )


def see(browse: Browse, page: Page, name: str, sizes: Sequence[tuple[int, int]]) -> None:
    """The page that is open, wide and light, narrow and dark."""
    for size in sizes:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme="dark" if size == PHONE else "light")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{name} is {over} pixels wider than the screen"
        browse.shot(page, f"{name}-{size[0]}")


def walk(
    browse: Browse,
    read: ReadModel,
    name: str,
    lists: Sequence[str] = LISTS,
    sizes: Sequence[tuple[int, int]] = (DESK, PHONE),
    **more: Any,
) -> None:
    """These pages, and those of one episode and one trigger."""
    paths = [*lists]
    paths += [f"/episodes/{one.id}" for one in [*answers.stories(read.episodes)][:1]]
    paths += [f"/triggers/{one.id}" for one in [*answers.stories(read.triggers)][:1]]
    served = browse.serve(read, **more)
    page = browse.page()
    for path in paths:
        kind = "-".join(path.split("/")[1:2] + ["one"] * (path.count("/") > 1))
        page.goto(served.url + path)
        see(browse, page, f"{kind}-{name}", sizes)


def test_without_data(browse: Browse) -> None:
    walk(browse, read_model(), "empty", sizes=(PHONE,))


def test_with_one_model(browse: Browse) -> None:
    read = fleet(models=2, features=3, days=1)
    for number in range(3):
        fold(read, dead(number))
    vitals = Vitals(tuple(RoleVitals(role, "working", "it reads", 1, 0) for role in ROLES), NOW_MS)
    delivering = Delivering({"team-slack": True})
    walk(browse, read, "one", vitals=lambda: vitals, delivering=lambda: delivering)


def test_with_two_hundred_models(browse: Browse) -> None:
    walk(browse, fleet(models=200, features=2, days=1), "many", ("/episodes", "/triggers"), (DESK,))


def test_with_endless_names_and_from_right_to_left(browse: Browse) -> None:
    walk(browse, endless(), "long")


def test_right_after_a_start(browse: Browse) -> None:
    reading = [(Partition("leeway.results", 0), 1_200, 90_000)]
    some = ("/episodes", "/pipeline")
    walk(browse, read_model(), "restarted", some, (DESK,), ready=False, reading=reading)
