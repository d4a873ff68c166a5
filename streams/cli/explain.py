"""`leeway explain`: why is the verdict what it is? The numbers behind the newest result."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from detectors.types import Reason
from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, read_topics, service_of
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.messages import ResultDocument, SeriesDocument
    from streams.service import Service

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway explain loan-default feature:annual_income --brokers localhost:9092"

_SHOWN = 15  # series in the table


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="model id")],
    series: Annotated[
        str | None, typer.Argument(metavar="SERIES", help="such as feature:age; default: all")
    ] = None,
    segment: Annotated[str, typer.Option(metavar="SEGMENT", help="such as country=DE")] = "all",
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="default: that of the newest result")
    ] = None,
    brokers: BrokersOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Print the reason of the newest verdict and what it rests on: alarm, effects with intervals, sample sizes."""
    from msgspec import structs

    found = _newest(service_of(brokers, config), model, version, segment)
    if series is not None:
        chosen = [one for one in found.series if one.series in (series, f"feature:{series}")]
        if not chosen:
            there = ", ".join(one.series for one in found.series) or "none"
            raise UsageError(f"{series}: is not a series of the newest result; it has {there}")
        found = structs.replace(found, series=chosen)
    if as_json:
        output.print_json(found)
    else:
        _show(found, deep=series is not None)


def _newest(service: "Service", model: str, version: str | None, segment: str) -> "ResultDocument":
    from streams.messages import ResultDocument

    decode = msgspec.json.Decoder(ResultDocument).decode
    newest: ResultDocument | None = None
    others: set[str] = set()
    for record in read_topics(service, "results")["results"]:
        if record.key != model.encode() or record.value is None:
            others.add((record.key or b"").decode("utf-8", "replace"))
            continue
        try:
            found = decode(record.value)
        except msgspec.MsgspecError:
            continue  # the outcome of a command
        about = found.scope == "inputs" and found.segment == segment
        fits = about and version in (None, found.model_version)
        if fits and (newest is None or newest.window.end <= found.window.end):
            newest = found
    if newest is None:
        models = ", ".join(sorted(others)) or "none"
        raise UsageError(
            f"{model}: nothing has been judged for segment {segment}"
            + (f" of version {version}" if version else "")
            + f"; other models with results: {models}"
        )
    return newest


def _show(found: "ResultDocument", *, deep: bool) -> None:
    window, alarm = found.window, found.alarm
    output.write(f"{found.model_id} {found.model_version}, segment {found.segment}")
    output.write(f"{found.verdict}: {Reason(found.reason).explanation} ({found.reason})")
    output.write(
        f"window {window.start} to {window.end}: {window.events:,} events, {window.late:,} late, "
        f"compared with {found.reference_id or 'no reference'}"
    )
    if alarm is not None:
        level = "nothing yet" if alarm.log_statistic is None else f"{alarm.log_statistic:.2f}"
        output.write(
            f"alarm: log statistic {level}, threshold {alarm.log_threshold:.2f} "
            f"(budget {alarm.budget}, {alarm.looks} windows since the last reset)"
        )
    for note in found.notes:
        output.write(f"note: {note}")
    if not found.series:
        return
    output.write()
    shown = found.series if deep else found.series[:_SHOWN]
    output.table(
        (
            "series",
            "verdict",
            "effect",
            ">value",
            "95 %",
            ">floor",
            ">reference",
            ">current",
            ">missing",
        ),
        (_row(one) for one in shown),
    )
    if len(found.series) > len(shown):
        output.write(f"and {len(found.series) - len(shown)} weaker series; --json has them all")
    if deep:
        for one in shown:
            _show_evidence(one)


def _row(one: "SeriesDocument") -> tuple[str, ...]:
    effect = one.effect
    return (
        one.series,
        one.verdict,
        effect.name if effect else "",
        f"{effect.value:.4f}" if effect else "",
        f"{effect.low:.4f} to {effect.high:.4f}" if effect else "",
        f"{effect.floor:g}" if effect else "",
        f"{one.n_reference:,}",
        f"{one.n_current:,}",
        f"{one.missing.reference:.1%} → {one.missing.current:.1%}",
    )


def _show_evidence(one: "SeriesDocument") -> None:
    output.write()
    output.write(f"{one.series}: {Reason(one.reason).explanation}")
    for evidence in one.evidence:
        value = evidence.p_value if evidence.p_value is not None else evidence.e_value
        name = "p" if evidence.p_value is not None else "e"
        output.write(
            f"  {evidence.detector}: {evidence.statistic:.4g}"
            + ("" if value is None else f", {name} {value:.3g}")
        )
    for cell in one.top_bins:
        output.write(
            f"  bin {cell.bin} of {cell.of}: {cell.reference:.1%} → {cell.current:.1%}, "
            f"contributes {cell.contribution:.3f}"
        )
