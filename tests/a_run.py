"""Every record of every topic of a run that has a bit of everything: tests of who reads our messages are held to it."""

import json
from collections.abc import Mapping, Sequence
from functools import cache

from alerting.identity import rfc3339
from alerting.settings import Receiver, RoutingRule
from streams.broker import Record
from streams.commands import Command, decode
from streams.offline.replay import replay
from streams.offline.sources import Chunk, Source
from streams.routing import Routing
from streams.topics import TOPICS
from tests.builders import START_MS, encode, lifecycle
from tests.labelled import DAY_MS, DAYS, built, labelled, predicted, watched

RECEIVERS = (
    Receiver("slack", "slack", "#ml", buttons=True),
    Receiver("pagerduty", "pagerduty"),
    Receiver("email", "email", to=("ml@example.com",)),
)
ROUTING = Routing(
    RECEIVERS,
    (RoutingRule(kinds=("data_drift",), receivers=("slack", "email"), go_on=True),),
    "https://leeway.example",
    "https://wiki.example/drift",
)
Topics = Mapping[str, tuple[Record, ...]]
_OTHER = {"yes": "no", "no": "yes"}


@cache
def run() -> Topics:
    """Records by topic, without the prefix.

    Twelve days with joined labels, of which some are corrected; the model errs on three of them, and later incomes
    come in another currency. People and a pipeline say all that can be said; what was said wrongly is refused.
    """
    before = _replayed((), days=9)  # who is meant is known by then
    episode = _first(before, "alerts")["episode_id"]
    trigger = _first(before, "retraining")["trigger_id"]
    return _replayed(_said(str(episode), str(trigger)))


def _first(topics: Topics, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(topics[name][0].value or b"")
    return found


def _said(episode: str, trigger: str) -> list[Command]:
    def say(command: str, day: float, by: str = "ann", **more: object) -> Command:
        at = _day(day)
        text = {"command": command, "command_id": f"c{day}", "model_id": "m", "by": by, "at": at}
        return decode(json.dumps(text | more).encode())

    return [
        say("report", 7.5, "ci", trigger_id=trigger, status="started"),
        say("acknowledge", 8, episode_id=episode, note="looking"),
        say("snooze", 8.25, episode_id=episode, until=_day(9)),
        say(
            "silence",
            9,
            silence_id="s",
            until=_day(11),
            reason="known",
            match={"kind": "label_health"},
        ),
        say("report", 9.25, "ci", trigger_id=trigger, status="completed", metrics={"auc": 0.9}),
        say("unsilence", 10, silence_id="s"),
        say("retrain", 10.25, reason="a new product"),
        say("resolve", 10.5, episode_id=episode),
        say("approve", 10.75, trigger_id="rt-unknown"),
        say("deployed", 11, "ci", model_version="1.0.1"),
    ]


def _day(day: float) -> str:
    return rfc3339(START_MS + round(day * DAY_MS))


def _replayed(said: Sequence[Command], days: int = DAYS) -> Topics:
    written = json.loads(watched().to_json())["model_lifecycle"]
    of = lifecycle(**written | {"source": {"labels": {}, "join": {"window": "60d"}}})
    predictions = predicted(range(days))
    for one in predictions:
        if one["timestamp"] >= START_MS + 9 * DAY_MS:
            one["features"] = {**one["features"], "income": 100.0, "debts": 1}
    bare = [
        {name: one[name] for name in ("event_id", "model_id", "timestamp", "label")}
        for one in labelled(predictions)
    ]
    corrected = [
        one | {"timestamp": one["timestamp"] + DAY_MS, "label": _OTHER[one["label"]]}
        for one in bare[::50]
    ]
    labels = sorted([*bare, *corrected], key=lambda one: one["timestamp"])
    chunks = [
        Chunk("predictions", [*encode(predictions), b"{", b'{"model_id": "m"}'], 1),
        Chunk("labels", encode(labels), 1),
    ]
    source = Source("memory", (of,), None, (), lambda: iter(chunks))
    every = [topic.name for topic in TOPICS]
    replayed = replay(source, {"m": built()}, routing=ROUTING, commands=said, outputs=every)
    return replayed.topics
