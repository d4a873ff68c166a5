"""`leeway calibrate`: replay a past, inject changes into it, and say what would be raised and found."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, past, service_of
from streams.cli.files import named, only, references
from streams.cli.options import KindOption, SourceOption, WhereOption
from streams.errors import UsageError
from streams.offline.selection import parse_kind, parse_where
from streams.offline.sources import open_source

if TYPE_CHECKING:
    from detectors.calibration import Found
    from streams.offline.advice import Advice
    from streams.offline.calibration import Calibration, Reach

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway calibrate examples/elec2.yaml --data elec2.parquet --where split=reference"

_SHOWN = 10  # episodes


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="lifecycle file (YAML)")],
    data: SourceOption,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="default: MODEL_ID.reference.json beside FILE"),
    ] = None,
    where: WhereOption = None,
    kind: KindOption = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL_ID", help="which model, if FILE holds several")
    ] = None,
    runs: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=100, help="places in the past to inject changes at"),
    ] = 10,
    brokers: BrokersOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Judge a past that did not drift, as production would; then inject changes into it.

    Prints the false alarms it would have raised beside the budget, the smallest change of every series that is found
    within a day and a week in at least 8 of 10 runs, and settings to paste into the lifecycle. Nothing is written.
    """
    from streams.offline.advice import advise, snippet
    from streams.offline.calibration import calibrate, work
    from streams.offline.past import read

    service = service_of(brokers, config)
    one = only(named([file], [receiver.name for receiver in service.receivers]), model)
    known = references([one], [reference] if reference else ())
    if one.lifecycle.model_id not in known:
        raise UsageError(
            f"{one.lifecycle.model_id} has no reference, so nothing can be judged: "
            f"leeway baseline {one.path} --data SOURCE"
        )
    source = open_source(
        data,
        [one.lifecycle],
        kind=parse_kind(kind),
        where=parse_where(where or ()),
        past=lambda topic: past(topic, brokers, config, [one.lifecycle]),
    )
    if source.absent:
        output.remark(f"warning: {data} has no column {', '.join(source.absent)}")
    with output.progress(f"reading {data}", source.size) as advance:
        history = read(source, known[one.lifecycle.model_id], advance=advance)
    with output.progress("judging and injecting changes", work(history)) as advance:
        found = calibrate(history, most=runs, advance=advance)
    advice = advise(history, found)
    settings = snippet(history, advice)
    if as_json:
        output.print_json({"calibration": found, "advice": advice, "yaml": settings})
        return
    for warning in _warnings(found, history.unusable, history.incomparable):
        output.remark(f"warning: {warning}")
    _show_alarms(found)
    output.write()
    _show_reach(found, advice)
    output.write()
    _show_advice(advice, settings, file)


def _warnings(
    found: "Calibration", unusable: Mapping[str, int], incomparable: Mapping[str, int]
) -> Iterator[str]:
    if unusable:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(unusable.items()))
        yield f"events that cannot be used: {reasons}"
    for version, n in sorted(incomparable.items()):
        yield f"{n:,} events are of version {version}, which the reference is not of"
    yield from found.notes


def _show_alarms(found: "Calibration") -> None:
    alarms = found.false_alarms
    output.write(
        f"{found.model_id} {found.version}: {found.events:,} events from {_short(found.first)} to "
        f"{_short(found.last)}, {alarms.windows + alarms.insufficient} windows of "
        f"{_length(found.window_ms)}, reference {found.reference}"
    )
    output.write(
        f"false alarms, if nothing drifted: {alarms.raised} in {alarms.days:g} days, "
        f"{alarms.per_month:g} a month; the budget, {found.budget}, allows {alarms.allowed_per_month:g}"
    )
    if alarms.insufficient:
        output.write(f"windows too small for a verdict of their own: {alarms.insufficient}")
    if alarms.episodes:
        output.table(
            ("opened in", "until", "severity", "version", "segment", "series"),
            (
                (
                    _short(e.opened),
                    _short(e.until) if e.until else "open",
                    "severe" if e.severe else "drifting",
                    e.version,
                    e.segment,
                    _some(e.series),
                )
                for e in alarms.episodes[:_SHOWN]
            ),
        )
        more = len(alarms.episodes) - _SHOWN
        if more > 0:
            output.write(f"and {more} more")
    else:
        output.write(f"the nearest came to {alarms.nearest:.0%} of the (logarithmic) threshold")


def _show_reach(found: "Calibration", advice: "Advice") -> None:
    rows: dict[str, dict[bool, Reach]] = {}
    for reach in found.reaches:
        rows.setdefault(reach.series, {})[reach.change == "missing"] = reach
    phi = {d.series: f"{d.high:.2f}, {d.reference or 1:.2f}" for d in advice.dispersion}
    output.write("smallest change that is found, injected into this past (found in so many runs):")
    output.table(
        (
            "series",
            ">in a day",
            ">in a week",
            ">missing, in a day",
            ">in a week",
            ">phi, reference",
        ),
        (
            (series, *_cells(of.get(False)), *_cells(of.get(True)), phi.get(series, ""))
            for series, of in rows.items()
        ),
    )
    for horizon, why in found.nothing.items():
        output.write(f"in a {horizon}: {why}")
    if found.again:
        output.write(f"in a {' and a '.join(found.again)}: the past is shorter, and used again")


def _cells(reach: "Reach | None") -> tuple[str, str]:
    return ("", "") if reach is None else (_cell(reach, reach.day), _cell(reach, reach.week))


def _cell(reach: "Reach", found: "Found | None") -> str:
    """A shift in reference standard deviations and in the series' own unit, or a share of the rows."""
    if found is None:
        return ""
    runs = f"({found.found}/{found.runs})"
    if found.size is None:
        return "none found"
    if reach.unit is None:
        return f"{100 * found.size:.3g} % of rows {runs}"
    return f"{found.size:.3g} sd = {found.size * reach.unit:.3g} {runs}"


def _show_advice(advice: "Advice", settings: str, file: Path) -> None:
    for line in advice.because:
        output.write(line)
    output.write()
    output.write(f"# under model_lifecycle in {file}")
    output.write(settings.rstrip())
    if advice.rebuild:
        output.write("# then build the reference anew: leeway baseline")


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _short(moment: str) -> str:
    """To the minute.

    >>> _short("2026-03-02T07:00:00Z")
    '2026-03-02 07:00'
    """
    return moment[:16].replace("T", " ")


def _length(ms: int) -> str:
    from streams.lifecycle.grammar import human

    return human(timedelta(milliseconds=ms))
