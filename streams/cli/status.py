"""`leeway status`: what is firing, stale or silent?"""

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, read_topics, service_of
from streams.cli.sending import now_ms

if TYPE_CHECKING:
    from streams.broker import Record
    from streams.offline.story import ResultSeen

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway status --brokers localhost:9092"

_ENOUGH = 11  # characters of an id: commands take its beginning
_OPEN = ("requested", "approved", "started")


def command(
    brokers: BrokersOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show each model's last verdict, the open episodes, triggers and silences, and events that nobody can use.

    Read from Kafka itself, so it needs no running service.
    """
    from streams.offline import story
    from streams.registry import Registry

    service = service_of(brokers, config)
    read = read_topics(service, "models", "results", "alerts", "retraining", "state", "commands")
    registry = Registry()
    registry.apply(read["models"])
    values = {topic: [record.value for record in found] for topic, found in read.items()}
    last: dict[str, story.ResultSeen] = {}
    for result in story.results(values["results"]):
        known = last.get(result.model_id)
        of_inputs = result.segment == "all" and result.scope == "inputs"
        if of_inputs and (known is None or known.window.end <= result.window.end):
            last[result.model_id] = result
    told = [one for one in story.episodes(values["alerts"]) if one.resolved_at is None]
    asked = [one for one in story.triggers(values["retraining"]) if one.states[-1] in _OPEN]
    silences = _silences(read["commands"], read["results"])
    rejected, unregistered = _unusable(read["state"])
    models = [_model(model_id, last.get(model_id)) for model_id in registry.models]
    if as_json:
        output.print_json(
            {
                "models": models,
                "episodes": told,
                "triggers": asked,
                "silences": silences,
                "dead_letters": rejected,
                "unregistered": unregistered,
            }
        )
        return
    if not models:
        output.write("no model is registered: leeway apply FILE")
    else:
        output.table(
            ("model", "verdict", "reason", "window", ">events", ">late"),
            (tuple(m.values()) for m in models),
        )
    if told:
        output.write()
        output.table(
            ("episode", "open since", "severity", "model", "segment", "what"),
            (
                (e.episode_id[:_ENOUGH], e.opened_at, e.severity, e.model_id, e.segment, e.title)
                for e in told
            ),
        )
    if asked:
        output.write()
        output.table(
            ("trigger", "model", "state", "because"),
            ((t.trigger_id[:_ENOUGH], t.model_id, t.states[-1], t.summary) for t in asked),
        )
    if silences:
        output.write()
        output.table(
            ("silence", "model", "until", "about", "by", "because"),
            (
                (
                    one["silence_id"][:_ENOUGH],
                    one["model_id"],
                    one["until"],
                    ", ".join(one["match"].values()) or "everything",
                    one["by"],
                    one["reason"],
                )
                for one in silences
            ),
        )
    for reason, count in rejected.items():
        output.write(f"{count:,} events could not be read: {reason}")
    for name, count in unregistered.items():
        output.write(f"{count:,} events of {name}, which nobody registered")


def _model(model_id: str, result: "ResultSeen | None") -> dict[str, object]:
    return {
        "model_id": model_id,
        "verdict": result.verdict if result else "unknown",
        "reason": result.reason if result else "nothing judged yet",
        "window_end": result.window.end if result else None,
        "events": result.window.events if result else None,
        "late": result.window.late if result else None,
    }


def _silences(commands: list["Record"], results: list["Record"]) -> list[dict[str, Any]]:
    """Those that hold, or will."""
    from streams.views.ledger import Ledger

    ledger = Ledger()
    for record in commands:
        with suppress(ValueError):  # nobody's command
            ledger.give(record)
    for record in results:
        ledger.hear(record)
    return [one for one in ledger.silences(now_ms()) if one["status"] in ("pending", "active")]


def _unusable(state: list["Record"]) -> tuple[dict[str, int], dict[str, int]]:
    """Dead letters by reason and events of unregistered models by name, as the judges have counted them."""
    from streams.judging import kept

    newest = {(record.partition, record.key): record for record in state}
    rejected: Counter[str] = Counter()
    unregistered: Counter[str] = Counter()
    for key, data in kept.restore(newest.values()):
        if key.part == "intake":
            for source in data["sources"].values():
                rejected.update(source["dead_letters"])
                unregistered.update(source["unregistered"])
    return dict(sorted(rejected.items())), dict(sorted(unregistered.items()))
