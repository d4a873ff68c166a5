"""`leeway baseline`: freeze what normal looks like, from data or from a topic's past."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from msgspec import json
from numpy.typing import NDArray

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, past, service_of
from streams.cli.files import default_reference, named, only
from streams.cli.options import KindOption, SourceOption, WhereOption
from streams.errors import UsageError
from streams.offline.selection import Kind, parse_kind, parse_where
from streams.offline.sources import Source, open_source, topic_of
from streams.topics import MAX_MESSAGE_BYTES, Names

if TYPE_CHECKING:
    from detectors.performance.reference import OutcomeReference
    from detectors.reference.build import Reference

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway baseline examples/elec2.yaml --data elec2.parquet --where split=reference"


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="lifecycle file (YAML)")],
    data: SourceOption,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="default: MODEL_ID.reference.json beside FILE"
        ),
    ] = None,
    where: WhereOption = None,
    kind: KindOption = None,
    identifier: Annotated[
        str | None, typer.Option("--id", metavar="NAME", help="the reference's own name")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL_ID", help="which model, if FILE holds several")
    ] = None,
    brokers: BrokersOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Build the frozen reference of a model; print what was seen, and what it cannot support.

    The reference is one readable JSON file, enough on its own: the data need not travel with it.
    """
    from detectors.reference.build import build, to_document, with_outcomes
    from streams import seasons
    from streams.lifecycle.acts import windows
    from streams.offline.known import known_outcomes
    from streams.profiling.columns import columns, related

    service = service_of(brokers, config)
    one = only(named([file], [receiver.name for receiver in service.receivers]), model)
    source = open_source(
        data,
        [one.lifecycle],
        kind=parse_kind(kind),
        where=parse_where(where or ()),
        past=lambda topic: past(topic, brokers, config, [one.lifecycle]),
    )
    lifecycle = source.lifecycles[0]
    events = _Events(source, parse_kind(kind))
    with output.progress(f"reading {data}", source.size) as advance:
        events.advance = advance
        found, times_ms, segments, rejected = columns(lifecycle, events, events.kind)
    rows = len(times_ms)
    if not rows:
        raise UsageError(
            f"{data}: none of its {events.read} events can be used: {_counted(rejected)}"
        )
    if not found:
        raise UsageError(
            f"{data}: gives no reference: no feature is declared, and no event says what was predicted"
        )
    window_ms = windows(lifecycle).inputs // timedelta(milliseconds=1)
    season = lifecycle.reference.season
    reference, warnings = build(
        found,
        times_ms,
        reference_id=identifier or lifecycle.reference.id or _name(lifecycle.model_id, times_ms),
        model_id=lifecycle.model_id,
        model_version=lifecycle.version,
        source=Path(data).name if not data.startswith("topic:") else data,
        window_ms=window_ms,
        bins=lifecycle.reference.bins,
        segments=segments,
        season=None if season == "none" else season,
        seasonal=seasons.candidates(lifecycle.reference.timezone, window_ms, times_ms),
        together=related(lifecycle),
    )
    if lifecycle.source.labels is not None:
        labels = list(_all_of(source, "labels"))
        truths = topic_of(lifecycle, "labels", Names(service.topics.prefix))
        if data.startswith("topic:") and not labels and not where:
            labels = [v for of in past(truths, brokers, config, [lifecycle]) for v in of]
        known, more = known_outcomes(
            lifecycle, reference, labels, lambda: _all_of(source, "predictions")
        )
        warnings += more
        if known is not None:
            reference = with_outcomes(reference, known)
    path = to or default_reference(one)
    document = to_document(reference)
    read = lifecycle.source.labels is not None
    warnings = (
        *_about_source(source, events, rejected, labels=read),
        *warnings,
        *_about_size(document),
    )
    try:
        output.write_atomically(path, output.readable(document).encode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    if as_json:
        output.print_json({"file": str(path), "warnings": list(warnings), "reference": document})
        return
    _show(reference)
    for warning in warnings:
        output.remark(f"warning: {warning}")
    output.write(
        f"wrote {path}: {reference.reference_id}, {rows:,} events, digest {reference.digest[:12]}"
    )


class _Events:
    """The events of one kind out of a source, in order, and a count of the others.

    A reference is made of one kind: all series of it are counted over the same events.
    """

    def __init__(self, source: Source, kind: Kind | None) -> None:
        self._source = source
        self.kind: Kind = kind or _first_kind(source)
        self.read = 0
        self.others: Counter[Kind] = Counter()
        self.advance: output.Advance = lambda done, /: None

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._source.chunks():
            if chunk.kind == self.kind:
                self.read += len(chunk.events)
                yield from chunk.events
            else:
                self.others[chunk.kind] += len(chunk.events)
            self.advance(chunk.read)


def _first_kind(source: Source) -> Kind:
    for chunk in source.chunks():
        if chunk.kind != "labels" and chunk.events:
            return chunk.kind
    return "predictions"


def _all_of(source: Source, kind: Kind) -> Iterator[bytes]:
    for chunk in source.chunks():
        if chunk.kind == kind:
            yield from chunk.events


def _about_source(
    source: Source, events: _Events, rejected: Mapping[str, int], *, labels: bool
) -> Iterator[str]:
    if source.absent:
        yield f"{source.name} has no column {', '.join(source.absent)}: missing in every event"
    if rejected:
        share = sum(rejected.values()) / events.read
        yield f"{share:.1%} of the events cannot be used: {_counted(rejected)}"
    for kind, count in sorted(events.others.items()):
        if kind == "labels" and labels:
            continue
        what = "label" if kind == "labels" else kind.removesuffix("s")
        yield f"{count:,} {what} events were left out: this reference is of {events.kind}"


def _about_size(document: object) -> Iterator[str]:
    size = len(json.encode(document))
    if size > MAX_MESSAGE_BYTES:
        yield (
            f"the reference takes {size / 2**20:.1f} MB, and a record at most {MAX_MESSAGE_BYTES / 2**20:.0f}: "
            "fewer segments or features, or a shorter season, make it smaller"
        )


def _counted(rejected: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(rejected.items()))


def _name(model_id: str, times_ms: NDArray[np.int64]) -> str:
    """A name that the same data always gets: the model and the day on which the data end."""
    return f"{model_id}-{datetime.fromtimestamp(int(times_ms.max()) / 1000, UTC):%Y-%m-%d}"


def _show(reference: "Reference") -> None:
    built, blocks = reference.built_from, reference.blocks
    if built.start_ms is not None:
        output.write(
            f"{reference.model_id} {reference.model_version}: {built.events:,} events from "
            f"{output.moment(built.start_ms)} to {output.moment(built.end_ms)}"
            + (f", {blocks.windows} windows of {blocks.rows} events" if blocks else "")
        )
    rows = []
    for one in reference.series:
        total, odd, missing = sum(one.counts), one.counts[-2], one.counts[-1]
        phi = max((value for _, value in one.dispersion), default=None)
        rows.append(
            (
                one.series.name,
                one.series.type,
                one.series.values,
                f"{total:,}",
                f"{missing / max(total, 1):.1%}",
                f"{odd / max(total, 1):.1%}",
                "" if phi is None else f"{phi:.2f}",
            )
        )
    output.table(("series", "type", ">cells", ">events", ">missing", ">odd", ">phi"), rows)
    if reference.season is not None:
        held = [slot.events for slot in reference.slots]
        output.write(
            f"season: {reference.season.name}, {reference.season.timezone}: {len(held)} of "
            f"{reference.season.slots} slots with {min(held, default=0):,} to {max(held, default=0):,} events"
        )
    if reference.outcomes is not None:
        _show_outcomes(reference.outcomes)
    if reference.segments:
        names = ", ".join(f"{one.segment} {one.events:,}" for one in reference.segments[:12])
        more = len(reference.segments) - 12
        output.write(f"segments: {names}" + (f" and {more} more" if more > 0 else ""))


def _show_outcomes(outcomes: "OutcomeReference") -> None:
    from detectors.performance.metrics import Metric, metrics

    span = outcomes.span
    phi = ", ".join(
        f"phi of {name} {max(found):.2f}"
        for name, phis in outcomes.dispersion
        if (found := [value for _, value in phis])
    )
    output.write(
        f"outcomes: {outcomes.outcomes:,} labels"
        + (f" in {span.windows:,} windows of {span.rows:,}" if span else "")
        + (f"; {phi}" if phi else "")
    )
    rows = [
        (name, f"{one.value:.4g}", f"{one.low:.4g} to {one.high:.4g}", f"{one.n:,}")
        for name, one in metrics(outcomes.layout, outcomes.counts).items()
        if isinstance(one, Metric)
    ]
    output.table(("metric", ">value", ">95 %", ">of"), rows)
