"""`leeway replay`: run everything over a file, through the code of production, without Kafka."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import app, output
from streams.cli.connection import BrokersOption, ConfigOption, past, service_of
from streams.cli.files import named, references
from streams.cli.options import KindOption, ReferencesOption, SourceOption, WhereOption
from streams.cli.sending import instant
from streams.errors import UsageError
from streams.offline.selection import parse_kind, parse_where
from streams.offline.sources import open_source

if TYPE_CHECKING:
    from streams.offline.replay import Replayed

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway replay examples/elec2.yaml --events elec2.parquet --where split=production --output found"

FOUND = 4  # exit code under --exit-code


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="lifecycle files (YAML)")],
    events: SourceOption,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="DIR", help="one JSON-lines file per output topic goes here"
        ),
    ] = None,
    reference: ReferencesOption = None,
    where: WhereOption = None,
    kind: KindOption = None,
    commands: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="what people and pipelines said, one command per line"),
    ] = None,
    partitions: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="of every topic; changes no result")
    ] = 1,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, help="events of one poll; changes no result")
    ] = 10_000,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="all that was found, as one HTML file")
    ] = None,
    changed: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="something is known to have changed then: for the report"
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="end with 4 if an episode opened")
    ] = False,
    brokers: BrokersOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> int:
    """Run events through joiner, profiler and judge, and show or write what was found.

    Times are those of the events, so the same file gives the same bytes, today and in a year.
    """
    from streams.offline.commands import read_commands
    from streams.offline.replay import OUTPUTS, replay

    if changed is not None and report is None:
        raise UsageError("--changed is told in the report: say --report FILE, too")
    changed_ms = None if changed is None else instant("--changed", changed)
    service = service_of(brokers, config)
    found = named(files, [receiver.name for receiver in service.receivers])
    known = references(found, reference or ())
    for one in found:
        if one.lifecycle.model_id not in known:
            output.remark(
                f"warning: {one.lifecycle.model_id} has no reference, so nothing can be judged: "
                f"leeway baseline {one.path} --data SOURCE"
            )
    source = open_source(
        events,
        [one.lifecycle for one in found],
        kind=parse_kind(kind, labels=True),
        where=parse_where(where or ()),
        past=lambda topic: past(topic, brokers, config, [one.lifecycle for one in found]),
    )
    if source.absent:
        output.remark(f"warning: {events} has no column {', '.join(source.absent)}")
    said = read_commands(commands) if commands is not None else []
    with output.progress(f"replaying {events}", source.size) as advance:
        replayed = replay(
            source,
            known,
            routing=service.public,
            partitions=partitions,
            batch=batch,
            commands=said,
            outputs=OUTPUTS if report is None else (*OUTPUTS, "models"),
            advance=advance,
        )
    if report is not None:
        _draw(report, [one.path.name for one in found], events, where or (), replayed, changed_ms)
        replayed = replace(replayed, topics={name: replayed.topics[name] for name in OUTPUTS})
    if to is not None:
        _write(replayed, to)
    if as_json:
        output.print_json(_summary(replayed))
    elif to is None:
        _show(replayed)
    else:
        counts = ", ".join(
            f"{name} {len(found)}" for name, found in replayed.topics.items() if found
        )
        output.write(f"{replayed.events:,} events; wrote {to}: {counts}")
    return FOUND if exit_code and replayed.topics["alerts"] else 0


def _draw(
    path: Path,
    files: Sequence[str],
    events: str,
    where: Sequence[str],
    replayed: "Replayed",
    changed_ms: int | None,
) -> None:
    """All that was found, as one file: what it would have cost people, then every model."""
    from streams.console.backtest import backtest
    from streams.console.report import Made, Shown, document, model
    from streams.console.wording import clock
    from streams.offline.drawn import TOPICS, gathered, stylesheet
    from streams.offline.tally import tallies
    from streams.topics import Names
    from streams.views import answers

    records = [record for found in replayed.topics.values() for record in found]
    records.sort(key=lambda record: (record.topic, record.partition, record.offset))
    names = Names()
    folded = {names(name) for name in TOPICS}
    known = gathered(names, (record for record in records if record.topic in folded))
    parts = []
    for model_id in answers.model_ids(known.read):
        draw = partial(model, known.read, Shown(model_id, live=False), 0)
        parts.append((model_id, known.draw(draw)))
    counted = tallies(replayed.topics, changed_ms)
    source = events if events.startswith("topic:") else Path(events).name
    facts = {
        "Lifecycles": ", ".join(
            f"{name} (revision {one.revision})" if one else name
            for name, one in sorted(known.read.lifecycles.items())
        ),
        "Files": ", ".join(files),
        "Events": f"{replayed.events:,} of {' '.join((source, *where))}",
        "Made by": f"leeway replay, {app.version()}",
    }
    if changed_ms is not None:
        facts["Known to have changed"] = clock(changed_ms)
    made = Made(f"Replay of {source}", facts)
    output.write_document(path, document(made, parts, stylesheet(), backtest(counted)))


def _write(replayed: "Replayed", directory: Path) -> None:
    from streams.offline.replay import as_lines

    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, records in replayed.topics.items():
            output.write_atomically(directory / f"leeway.{name}.jsonl", as_lines(records))
    except OSError as error:
        raise UsageError(
            f"{error.filename or directory}: cannot be written: {error.strerror}"
        ) from None


def _summary(replayed: "Replayed") -> dict[str, object]:
    from streams.offline import story

    topics = {name: [record.value for record in found] for name, found in replayed.topics.items()}
    judged = Counter(
        (one.model_id, one.model_version, one.segment, one.scope, one.verdict)
        for one in story.results(topics["results"])
    )
    return {
        "events": replayed.events,
        "labels_not_read": replayed.labels,
        "dead_letters": len(topics["dead-letters"]),
        "windows": [
            dict(
                zip(
                    ("model_id", "model_version", "segment", "scope", "verdict", "windows"),
                    (*key, n),
                    strict=True,
                )
            )
            for key, n in sorted(judged.items())
        ],
        "episodes": list(story.episodes(topics["alerts"])),
        "triggers": list(story.triggers(topics["retraining"])),
    }


def _show(replayed: "Replayed") -> None:
    from streams.offline import story

    topics = {name: [record.value for record in found] for name, found in replayed.topics.items()}
    judged: dict[tuple[str, ...], Counter[str]] = {}
    for one in story.results(topics["results"]):
        key = one.model_id, one.model_version, one.segment, one.scope
        judged.setdefault(key, Counter())[one.verdict] += 1
    verdicts = ("stable", "drifting", "severe", "insufficient")
    output.write(f"{replayed.events:,} events")
    if replayed.labels:
        output.remark(
            f"{replayed.labels:,} label events that no lifecycle reads: set source.labels"
        )
    if topics["dead-letters"]:
        output.remark(
            f"warning: {len(topics['dead-letters']):,} events could not be read (dead-letters)"
        )
    output.table(
        ("model", "version", "segment", "scope", *(f">{verdict}" for verdict in verdicts)),
        (
            (*key, *(counts[verdict] for verdict in verdicts))
            for key, counts in sorted(judged.items())
        ),
        title="windows",
    )
    told = story.episodes(topics["alerts"])
    if not told:
        output.write("no episode opened")
    else:
        output.write()
        output.table(
            ("opened", "since", "resolved", "severity", "segment", "what"),
            (
                (
                    _short(e.opened_at),
                    _short(e.since),
                    _short(e.resolved_at) or "open",
                    e.severity,
                    e.segment,
                    e.title,
                )
                for e in told
            ),
            title="episodes",
        )
    asked = story.triggers(topics["retraining"])
    if asked:
        output.write()
        output.table(
            ("requested", "trigger", "states", "because"),
            (
                (_short(t.requested_at), t.trigger_id, " → ".join(t.states), t.summary)
                for t in asked
            ),
            title="retraining",
        )


def _short(moment: str | None) -> str:
    """To the minute.

    >>> _short("2026-03-02T07:00:00.000Z")
    '2026-03-02 07:00'
    """
    return "" if moment is None else moment[:16].replace("T", " ")
