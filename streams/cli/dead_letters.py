"""`leeway dead-letters`: what was refused, and send it again."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, service_of
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.broker import Outgoing
    from streams.kafka.once import Once
    from streams.service import Service
    from streams.topics import Names
    from streams.views.rejected import Rejection
    from streams.views.resubmission import Letters, Wanted

__all__ = ["EXAMPLE", "REFUSED", "command"]

EXAMPLE = "leeway dead-letters list --reason timestamp_unit --brokers localhost:9092"

REFUSED = 1  # exit code: some of them cannot be sent again
SHOWN = 50
_TOGETHER_BYTES = 8 * 1024 * 1024  # of values that wait in memory for one transaction
_ACTIONS = ("list", "replay")


def command(
    action: Annotated[str, typer.Argument(metavar="list|replay", help="look, or send again")],
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="only of this reason, such as not_json")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="only what came from this topic")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="only what was refused then or later; or a length: 2h"),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="list: show so many, the newest")
    ] = SHOWN,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="replay: say what would be sent, send nothing")
    ] = False,
    brokers: BrokersOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> int:
    """List what could not be read and why, or send it again once its cause is gone.

    `replay` writes each to the partition it came from, byte for byte, in one transaction with a mark: what was sent
    again is never sent twice, whatever is killed meanwhile. What was cut, has no value, or came from a topic of
    Leeway's own or one that is gone, is refused; then the command ends with 1.
    """
    from streams.views.resubmission import Wanted

    if action not in _ACTIONS:
        raise UsageError(f"dead-letters {action}: expected list or replay")
    service = service_of(brokers, config)
    wanted = Wanted(reason, topic, _since(since))
    if action == "list":
        _list(service, wanted, limit, as_json=as_json)
        return 0
    return _replay(service, wanted, dry_run=dry_run, as_json=as_json)


def _since(written: str | None) -> int | None:
    from datetime import timedelta

    from streams.cli.sending import instant, length, now_ms

    if written is None:
        return None
    if written[:4].isdecimal() and "-" in written:
        return instant("--since", written)
    return now_ms() - length("--since", written) // timedelta(milliseconds=1)


def _letters(service: "Service", wanted: "Wanted", most: int | None) -> "Letters":
    """All that fit, or the newest of them, without their values."""
    from streams.kafka.commands import past
    from streams.topics import Names
    from streams.views.resubmission import Letters

    letters = Letters(wanted, most)
    for records in past(service.properties, [Names(service.topics.prefix)("dead-letters")]):
        for record in records:
            letters.see(record)
    if letters.unreadable:
        output.remark(f"{letters.unreadable:,} records are no dead letters of Leeway's")
    return letters


def _list(service: "Service", wanted: "Wanted", most: int, *, as_json: bool) -> None:
    letters = _letters(service, wanted, most)
    found = letters.newest()
    if as_json:
        counts = [
            {"topic": topic, "reason": reason, "count": count}
            for (topic, reason), count in sorted(letters.counts.items())
        ]
        items = [_document(one, replayed=letters.is_marked(one)) for one in found]
        output.print_json({"counts": counts, "items": items})
        return
    if not found:
        output.write("no dead letter fits")
        return
    output.table(
        ("topic", "reason", ">dead letters"),
        ((topic, reason, f"{n:,}") for (topic, reason), n in sorted(letters.counts.items())),
    )
    output.write()
    output.table(
        ("refused", "from", "reason", ">bytes", "sent again", "what was wrong"),
        (
            (
                output.moment(one.at_ms),
                one.origin,
                one.reason,
                f"{one.size:,}",
                "yes" if letters.is_marked(one) else "",
                one.message,
            )
            for one in found
        ),
    )
    if letters.counts.total() > len(found):
        output.remark(
            f"the newest {len(found):,} of {letters.counts.total():,}; --limit N shows more"
        )


def _document(one: "Rejection", *, replayed: bool) -> dict[str, Any]:
    from alerting.identity import rfc3339

    return {
        "reason": one.reason,
        "message": one.message,
        "topic": one.origin.topic,
        "partition": one.origin.partition,
        "offset": one.origin.offset,
        "at": rfc3339(one.at_ms),
        "size": one.size,
        "truncated": one.truncated,
        "group": one.group,
        "stage": one.stage,
        "replayed": replayed,
    }


def _replay(service: "Service", wanted: "Wanted", *, dry_run: bool, as_json: bool) -> int:
    from streams.kafka.admin import topic_partitions
    from streams.kafka.once import Once
    from streams.topics import Names
    from streams.views.resubmission import refusal

    names = Names(service.topics.prefix)
    # whoever replays at the same time is ended first: what it did is whole, and marked
    once = None if dry_run else Once(service.properties, f"{names.prefix}dead-letters.replay")
    letters, there = _letters(service, wanted, None), topic_partitions(service.properties)
    chosen: dict[tuple[int, int], Rejection] = {}
    refused: list[tuple[Rejection, str]] = []
    before = 0
    for one in letters.newest():
        if letters.is_marked(one):
            before += 1
        elif why := refusal(one, there, names):
            refused.append((one, why))
        else:
            chosen[one.partition, one.offset] = one
    if once is not None and chosen:
        _send(once, service, names, chosen)
    _tell(list(chosen.values()), before, refused, dry_run=dry_run, as_json=as_json)
    return REFUSED if refused else 0


def _send(
    once: "Once", service: "Service", names: "Names", chosen: "dict[tuple[int, int], Rejection]"
) -> None:
    """Read the topic once more, now with the values, and write what was chosen as it comes by."""
    from streams.kafka.commands import past
    from streams.views.resubmission import together

    waiting: list[Outgoing] = []
    size = 0
    with output.progress("sending again", len(chosen)) as advance:
        done = 0
        for records in past(service.properties, [names("dead-letters")]):
            for record in records:
                pair = together(names, [record], chosen)
                waiting += pair
                size += len(record.value or b"") if pair else 0
                if size >= _TOGETHER_BYTES:
                    once.write(waiting)
                    done += len(waiting) // 2
                    advance(done)
                    waiting, size = [], 0
        if waiting:
            once.write(waiting)


def _tell(
    sent: "list[Rejection]",
    before: int,
    refused: "list[tuple[Rejection, str]]",
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from collections import Counter

    counts = Counter(one.origin.topic for one in sent)
    if as_json:
        output.print_json(
            {
                "dry_run": dry_run,
                "sent": dict(sorted(counts.items())),
                "sent_before": before,
                "refused": [
                    {**_document(one, replayed=False), "because": why} for one, why in refused
                ],
            }
        )
        return
    verb = "would be sent" if dry_run else "sent"
    for topic, count in sorted(counts.items()):
        output.write(f"{count:,} {verb} again to {topic}")
    if not sent:
        output.write("nothing to send again")
    if before:
        output.write(f"{before:,} sent again before: left alone")
    for why, count in sorted(Counter(why for _, why in refused).items()):
        output.write(f"{count:,} cannot be sent again: {why}")
