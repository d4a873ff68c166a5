"""What happened in one episode, why do we think so, who was told, and what can be done about it?"""

from collections.abc import Sequence

from alerting.wording import duration
from streams.console import actions
from streams.console.account import culprits, deliveries, timeline
from streams.console.forms import NOTE, UNTIL, buttons
from streams.console.html import Content, Html, element, isolated, link
from streams.console.meaning import (
    CAUSES,
    MEANS,
    RESOLVED,
)
from streams.console.parts import (
    Page,
    episode_path,
    model_path,
    moment,
    pill,
    screen,
    section,
    trigger_path,
)
from streams.console.trigger import deciding
from streams.console.wording import effect, number, words
from streams.views import answers
from streams.views.asked import Asked
from streams.views.documents import Alert, Cost, Trigger, epoch_ms
from streams.views.problems import Problem
from streams.views.read import ReadModel, Story


def episode(asked: Asked) -> str:
    """One episode. Raises `Problem` where nobody knows it."""
    wanted = asked.path["id"]
    story = answers.story(asked.read.episodes, wanted)
    if story is None:
        raise Problem("not_found", f"no episode has the id {wanted[:200]!r}")
    alert = story.latest.read_as(Alert)
    first = story.history[0].read_as(Alert)
    title = alert.title or story.id
    return screen(
        asked,
        title,
        "/episodes",
        element("p", link("Episodes", "/episodes"), " / ", words(story.kind), class_="meta"),
        element("h1", isolated(title)),
        _headline(story, alert),
        _facts(asked, story, alert),
        _meaning(story, alert),
        _buttons(asked, story, alert),
        section("What moved", culprits(story, alert, first), id_="moved"),
        section("What happened", timeline(asked.read, story), id_="happened"),
        section("Who was told", deliveries(asked, story, alert), id_="told"),
        _others(asked.read, story, alert),
        actions.lately(
            asked.read, lambda one: getattr(one.command, "episode_id", None) == story.id
        ),
        models=(story.model_id,),
        kinds=("alert", "trigger", "command", "delivery"),
    )


# ---- how it stands


def _headline(story: Story, alert: Alert) -> Html:
    whose: list[Content] = [
        link(isolated(story.model_id), model_path(story.model_id)),
        " ",
        story.version,
    ]
    if story.segment != "all":
        query = {"segment": story.segment} | ({"version": story.version} if story.version else {})
        whose += [" · ", link(isolated(story.segment), model_path(story.model_id, **query))]
    return element(
        "p",
        pill(alert.severity, "severity"),
        " ",
        pill(alert.status, "episode"),
        " ",
        pill(alert.verdict, "verdict") if alert.verdict else None,
        " ",
        element("b", words(story.kind)),
        " of ",
        *whose,
        class_="because",
    )


def _facts(asked: Asked, story: Story, alert: Alert) -> Html:
    end_ms = story.latest.at_ms if story.ended else asked.now_ms
    facts: list[tuple[str, Content]] = [
        ("Opened", moment(story.since_ms)),
        ("Began", _began(alert)),
        ("Lasted" if story.ended else "Open for", duration(max(end_ms - story.since_ms, 0))),
    ]
    if story.ended:
        why = RESOLVED.get(alert.resolve_reason or "", words(alert.resolve_reason or "unknown"))
        facts.append(("Ended", [moment(story.latest.at_ms), f": {why}"]))
    lead = alert.affected[0] if alert.affected else None
    if lead is not None and lead.effect is not None:
        facts.append(("How bad", [isolated(lead.series), f": {effect(lead.effect)}"]))
    if alert.cost is not None:
        facts.append(("Estimated cost", _cost(alert.cost)))
    cause = CAUSES.get(alert.cause.kind, words(alert.cause.kind))  # type: ignore[call-overload]  # a later release's
    facts.append(("Likely cause", cause))
    if alert.model.owner:
        facts.append(("Owner", isolated(alert.model.owner)))
    if alert.reopened:
        facts.append(("Reopened", "it was resolved before, and came back"))
    return element("dl", *((element("div", element("dt", k), element("dd", v))) for k, v in facts))


def _began(alert: Alert) -> Content:
    since = alert.since
    if since is None:
        return "not known"
    text: list[Content] = ["about ", moment(epoch_ms(since.estimate))]
    if since.earliest is not None and since.latest is not None:
        between = (moment(epoch_ms(at), short=True) for at in (since.earliest, since.latest))
        text += [" (", next(between), " to ", next(between), ")"]
    return text


def _cost(cost: Cost) -> str:
    return f"about {number(round(cost.amount))} {cost.unit} more per {number(cost.per)} predictions"


def _meaning(story: Story, alert: Alert) -> Html:
    means, advice = MEANS.get(story.kind, (alert.summary, ""))  # type: ignore[call-overload]  # a later release's
    return element(
        "section",
        element("p", isolated(alert.summary), class_="lead"),
        element("p", means),
        element("p", element("b", "What to do: "), advice) if advice else None,
        element("ul", *(element("li", hint) for hint in alert.cause.hints))
        if alert.cause.hints
        else None,
        element("p", link("Runbook", alert.links.runbook)) if alert.links.runbook else None,
    )


# ---- what can be done


def _buttons(asked: Asked, story: Story, alert: Alert) -> Content:
    read = asked.read
    about = {"model_id": story.model_id, "episode_id": story.id}
    over = "the episode is over" if story.ended else None
    looked_after = "somebody looks after it" if alert.status == "acknowledged" else None
    series = [one.series for one in alert.affected]
    row = buttons(
        actions.of_episode(
            read,
            "acknowledge",
            "Acknowledge",
            "Somebody looks after it: it is not repeated until it gets worse, and pagers fall silent.",
            about,
            fields=(NOTE,),
            typed=f"leeway ack {story.id}",
            at_once=True,
            why_not=over or looked_after,
        ),
        actions.of_episode(
            read,
            "snooze",
            "Snooze",
            "Nobody is told of it until then; it is told if it is still open.",
            about,
            fields=(UNTIL,),
            typed=f"leeway snooze {story.id} --for 4h",
            why_not=over,
        ),
        actions.silence(
            read,
            story.model_id,
            kind=story.kind,
            segment="" if story.segment == "all" else story.segment,
            series=series,
        ),
        actions.of_episode(
            read,
            "resolve",
            "Resolve",
            "It is over, whatever the numbers say. If the problem is still there, a new episode opens.",
            about,
            fields=(NOTE,),
            typed=f"leeway resolve {story.id}",
            grave=True,
            why_not=over,
        ),
        actions.retrain(read, story.model_id, alert.title),
        actions.rebaseline(read, story.model_id),
    )
    asks = [
        [
            element(
                "p",
                link("A retraining", trigger_path(one.id)),
                " was asked for because of it and waits to be approved.",
            ),
            deciding(read, one, one.latest.read_as(Trigger)),
        ]
        for one in _caused(read, story)
        if one.latest.status == "requested"
    ]
    return section("What can be done", row, *asks, id_="do")


def _caused(read: ReadModel, story: Story) -> list[Story]:
    found = [
        one
        for one in answers.stories(read.triggers, story.model_id)
        if one.latest.read_as(Trigger).reason.episode_id == story.id
    ]
    return sorted(found, key=lambda one: (one.since_ms, one.id), reverse=True)


# ---- what belongs to it


def _others(read: ReadModel, story: Story, alert: Alert) -> Content:
    caused = _caused(read, story)
    segments = _segments(read, story, alert)
    return (
        section("Retrainings it asked for", element("ul", *(_request(one) for one in caused)))
        if caused
        else None,
        section("The same problem in segments", element("ul", *segments)) if segments else None,
    )


def _request(one: Story) -> Html:
    told = one.latest.read_as(Trigger)
    why = link(isolated(told.reason.summary or one.id), trigger_path(one.id))
    return element("li", pill(one.latest.status, "trigger"), " ", why)


def _segments(read: ReadModel, story: Story, alert: Alert) -> Sequence[Html]:
    """Other segments with the same problem; a link where they have an episode of their own."""
    own = {
        one.segment: one
        for one in answers.stories(read.episodes, story.model_id)
        if one.kind == story.kind and one.version == story.version and not one.ended
    }
    return [
        element(
            "li", link(isolated(one), episode_path(own[one].id)) if one in own else isolated(one)
        )
        for one in alert.also_in
    ]


EPISODE = Page("/episodes/{id}", (), episode)
