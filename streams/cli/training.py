"""`leeway training`: what became of a retraining, for pipelines that can call a program."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from streams.cli.sending import Sender, TriggerArgument, acting, choice
from streams.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = (
    "leeway training rt-4c64 completed --metric auc=0.91 --version 2.4.0 --brokers localhost:9092"
)

_STATUSES = ("started", "completed", "failed")


@acting
def command(
    sender: Sender,
    trigger: TriggerArgument,
    status: Annotated[str, typer.Argument(metavar="STATUS", help="started, completed or failed")],
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="of the candidate; times in milliseconds"),
    ] = None,
    slice_: Annotated[
        list[str] | None,
        typer.Option("--slice", metavar="SEGMENT:NAME=NUMBER", help="a metric of a segment"),
    ] = None,
    version: Annotated[str | None, typer.Option(metavar="VERSION", help="that was made")] = None,
    run_url: Annotated[
        str | None, typer.Option(metavar="URL", help="where its run is seen")
    ] = None,
    error: Annotated[str | None, typer.Option(metavar="TEXT", help="why it failed")] = None,
) -> int:
    """Say what became of a retraining. Its gates are held against the metrics when it is completed."""
    from streams.commands import Report

    said: Any = choice("STATUS", status, _STATUSES)
    slices: dict[str, dict[str, float]] = {}
    for one in slice_ or ():
        segment, _, rest = one.rpartition(":")
        if not segment:
            raise UsageError(f"--slice {one}: expected SEGMENT:NAME=NUMBER")
        slices.setdefault(segment, {}).update(_numbers("--slice", [rest]))
    metrics = _numbers("--metric", metric or ())
    found = sender.trigger(trigger)
    return sender.give(
        Report(
            **sender.about(found.model_id),
            trigger_id=found.id,
            status=said,
            run_url=run_url,
            model_version=version,
            metrics=metrics,
            slices=slices,
            error=error,
        )
    )


def _numbers(option: str, written: Sequence[str]) -> dict[str, float]:
    """
    >>> _numbers("--metric", ["auc=0.91", "latency_p95=80"])
    {'auc': 0.91, 'latency_p95': 80.0}
    """
    found: dict[str, float] = {}
    for one in written:
        name, _, number = one.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = math.nan
        if not name or not math.isfinite(found[name]):
            raise UsageError(f"{option} {one}: expected NAME=NUMBER, such as auc=0.91")
    return found
