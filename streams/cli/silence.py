"""`leeway silence`: nobody is told of such problems for a while."""

from typing import Annotated, get_args

import typer

from alerting.identity import derived, rfc3339
from alerting.types import SEVERITIES, Kind
from streams.cli import output
from streams.cli.sending import (
    REFUSED,
    ModelArgument,
    Sender,
    acting,
    choice,
    instant,
    now_ms,
    until_ms,
)
from streams.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'leeway silence loans --kind data_drift --for 4h --reason "moving house" --brokers localhost:9092'

_LONGEST_DAYS = 30
_DAY_MS = 24 * 60 * 60 * 1000


@acting
def command(
    sender: Sender,
    model: ModelArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="why; everybody can read it")],
    version: Annotated[str | None, typer.Option(metavar="VERSION", help="only this one")] = None,
    segment: Annotated[
        str | None, typer.Option(metavar="SEGMENT", help="only this one, such as country=DE")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="only this kind, such as data_drift")
    ] = None,
    severity: Annotated[
        str | None, typer.Option(metavar="SEVERITY", help="only this severity")
    ] = None,
    series: Annotated[
        str | None, typer.Option(metavar="SERIES", help="only led by this, such as feature:income")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="such as 4h; at most 30 days")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="or: RFC 3339")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="RFC 3339; default: now")
    ] = None,
) -> int:
    """Tell nobody of matching problems of a model for a while.

    They are published all the same. What is still open at the end is told then. Prints the id that leeway unsilence
    takes.
    """
    from streams.commands import Match, Silence

    begin_ms = now_ms() if from_ is None else instant("--from", from_)
    end_ms = until_ms(begin_ms, for_, until)
    if end_ms - begin_ms > _LONGEST_DAYS * _DAY_MS:
        raise UsageError(
            f"--for: is longer than {_LONGEST_DAYS} days, which is the longest silence"
        )
    silence = Silence(
        **sender.about(model),
        silence_id=derived("sl", model, sender.command_id),
        from_=None if from_ is None else rfc3339(begin_ms),
        until=rfc3339(end_ms),
        reason=reason,
        match=Match(
            version=version,
            segment=segment,
            kind=choice("--kind", kind, get_args(Kind)),
            severity=choice("--severity", severity, SEVERITIES),
            series=series,
        ),
    )
    code = sender.give(silence)
    if code != REFUSED:
        output.remark(f"end it with: leeway unsilence {silence.silence_id}")
    return code
