"""Whom does it wake, and how often? Three weeks of twenty models, and what a person would have received.

    python -m benchmarks.three_weeks [--list]

20 models × 50 features in windows of an hour, with a weekly season in values and traffic, two deployments, an outage
and five planted problems (`benchmarks._three_weeks`). The judge reads the counts as a profiler would have written them;
somebody acknowledges what is told within an hour, and a pipeline retrains. Beside it are two rules that many teams
begin with, on the same counts: a message for every model and window in which PSI > 0.2, or the Kolmogorov-Smirnov test
p < .05, for any feature. Ends with 1 if a target is missed.
"""

import argparse
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import _peers
from benchmarks._figures import markdown, progress
from benchmarks._three_weeks import (
    CATEGORIES,
    DAY,
    FLAGS,
    NUMBERS,
    THREE_WEEKS,
    WEEK,
    World,
    name_of,
)
from benchmarks._three_weeks_run import Simulation
from benchmarks._three_weeks_told import Told, received
from detectors.samples.effects import Ints

AFTERMATH = 4 * DAY  # hours after its end in which the end of a problem may be told
PER_DAYS = 90  # every model's budget: 1 false alarm per 90 days
QUIET = "everything else: quiet weeks"
HEAD = (
    *("what happened", "from", "found after"),
    *("messages", "replies", "incidents", "digest lines", "PSI > .2", "KS p < .05"),
)
Flags = NDArray[np.bool_]


class Span(NamedTuple):
    """Something that happens to some models, in hours."""

    name: str
    models: tuple[int, ...]
    start: int
    end: int
    told_until: int
    planted: bool  # one of those that must be found


@dataclass(frozen=True, slots=True)
class Row:
    """What was said of one thing that happened, or of everything else."""

    span: Span | None
    told: Sequence[Told]
    by_psi: int
    by_ks: int

    def count(self, form: str) -> int:
        """How many of one form."""
        return sum(told.form == form for told in self.told)

    @property
    def found(self) -> int | None:
        """Hours from its start to the first message."""
        hours = [t.hour for t in self.told if t.form in ("message", "incident")]
        if self.span is None or not hours or min(hours) >= self.span.end:
            return None
        return min(hours) - self.span.start + 1

    def cells(self) -> tuple[str, ...]:
        """The texts of its line."""
        span, found = self.span, self.found
        when = "" if span is None else f"day {span.start // DAY + 1}, {span.start % DAY:02d}:00"
        after = "–" if found is None else f"{found} h"
        lines = sum(told.lines for told in self.told)
        counts = [self.count(form) for form in ("message", "reply", "incident")]
        return (
            QUIET if span is None else span.name,
            when,
            after,
            *(f"{n:,}" for n in (*counts, lines, self.by_psi, self.by_ks)),
        )


def spans(world: World) -> list[Span]:
    """Everything that happens, the outage and the deployments too."""
    found = [
        Span(p.name, p.models, p.start, p.end, p.end + AFTERMATH, p.how != "silence")
        for p in world.problems
    ]
    broken = {model for p in world.problems for model in p.models}
    return found + [
        Span(f"{d.version} of {name_of(d.model)} deployed", (d.model,), d.hour, d.hour + DAY,
             d.hour + DAY, planted=False)
        for d in world.deploys
        if d.model not in broken
    ]  # fmt: skip


def rows(world: World, told: Sequence[Told], psi: Flags, ks: Flags) -> list[Row]:
    """The table: what was told, and what the rules flag (models, windows), each at what it belongs to."""
    happened, left = spans(world), list(told)
    found = []
    quiet = np.ones_like(psi)
    for span in happened:
        names = {name_of(model) for model in span.models}
        mine = [t for t in left if names & set(t.models) and span.start <= t.hour < span.told_until]
        left = [t for t in left if t not in mine]
        at = np.ix_(span.models, range(span.start, min(span.end, world.hours)))
        found.append(Row(span, mine, int(psi[at].sum()), int(ks[at].sum())))
        quiet[at] = False
    return [*found, Row(None, left, int((psi & quiet).sum()), int((ks & quiet).sum()))]


def flagged(simulation: Simulation, *, seasonal: bool = False) -> tuple[Flags, Flags]:
    """Whether any feature is flagged by PSI > 0.2, and any number by KS p < .05: (models, windows) each.

    Parameters
    ----------
    seasonal : compare every window with the same hour of the week of the reference instead of with all of it
    """
    psi, ks = [], []
    for model, counts in zip(simulation.models, simulation.counts, strict=True):
        compared = simulation.references[model.number, "1.0.0"]
        whole = _flat(of.counts for of in compared.series)
        slots = {slot.slot: _flat(slot.counts) for slot in compared.slots}
        found = np.zeros((2, len(counts)), np.bool_)
        for slot in range(WEEK if seasonal else 1):
            here = np.arange(slot, len(counts), WEEK) if seasonal else np.arange(len(counts))
            known = slots[slot] if seasonal else whole
            of_numbers = NUMBERS * model.series[0].cells
            numbers = model.series[:NUMBERS], known[:of_numbers], counts[here, :of_numbers]
            by_psi = _peers.flagged(_peers.psi_rule, model.series, known, counts[here])
            found[0, here] = by_psi.any(1)
            found[1, here] = _peers.flagged(_peers.ks_rule, *numbers).any(1)
        found &= counts.any(1)  # no events, no message
        psi.append(found[0])
        ks.append(found[1])
    return np.array(psi), np.array(ks)


def _flat(counts: Iterable[Sequence[int]]) -> Ints:
    return np.concatenate([np.array(of, np.int64) for of in counts])


def missed(world: World, table: Sequence[Row]) -> Iterator[str]:
    """The targets that are not met, in words."""
    for row in table:
        messages, incidents = row.count("message"), row.count("incident")
        if row.span is None:
            allowed = int(world.models * world.hours / DAY / PER_DAYS)
            if messages + incidents > allowed:
                yield f"{messages + incidents} messages in quiet weeks: at most {allowed}"
            continue
        if row.span.planted and row.found is None:
            yield f"{row.span.name}: not found"
        most = 1 if row.span.planted else len(row.span.models)
        for count, name in ((messages, "messages"), (incidents, "incidents")):
            if count > most:
                yield f"{row.span.name}: {count} {name} that it began: at most {most}"


def run(world: World) -> tuple[list[Row], Simulation]:
    """Simulate, and put together what was told."""
    simulation = Simulation(world)
    progress(f"{world.models} models and their references are there")
    for hour in range(world.hours):
        simulation.hour(hour)
        if hour % DAY == DAY - 1:
            progress(f"day {hour // DAY + 1}")
    told = received(simulation.log)
    return rows(world, told, *flagged(simulation)), simulation


def show(world: World, table: Sequence[Row], seasonal: tuple[Flags, Flags]) -> None:
    """The table with its totals; and what the rules would have said had they known the season."""
    cells = [row.cells() for row in table]
    numbers = [[int(text.replace(",", "")) for text in line[3:]] for line in cells]
    totals = [f"{sum(column):,}" for column in zip(*numbers, strict=True)]
    features = NUMBERS + FLAGS + CATEGORIES
    print(
        f"{world.models} models × {features} features, {world.hours // DAY} days of hourly windows"
    )
    print(*markdown(HEAD, [*cells, ("together", "", "", *totals)]), sep="\n")
    edits = Counter(told.form for row in table for told in row.told)
    print(
        f"besides, without a sound: {edits['edit']} edits, {edits['update']} updates of incidents"
    )
    *_, quiet = rows(world, [], *seasonal)
    psi, ks = (f"{int(flags.sum()):,}" for flags in seasonal)
    print(
        f"had the rules known the season, every hour of the week for itself: PSI > .2 {psi} messages, "
        f"{quiet.by_psi:,} of them in quiet weeks; KS p < .05 {ks}, {quiet.by_ks:,}"
    )


def told_of(table: Sequence[Row]) -> Iterator[str]:
    """Everything that people got, line by line."""
    for row in table:
        for told in row.told:
            when = f"day {told.hour // DAY + 1:2d}, {told.hour % DAY:02d}:00"
            yield f"{when}  {told.form:8s}  {', '.join(told.models)}: {told.text}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="what people got, line by line")
    options = parser.parse_args()
    began = time.perf_counter()
    table, simulation = run(THREE_WEEKS)
    show(THREE_WEEKS, table, flagged(simulation, seasonal=True))
    if options.list:
        print(*told_of(table), sep="\n")
    wrong = list(missed(THREE_WEEKS, table))
    for line in wrong:
        print(f"MISSED: {line}")
    seconds = time.perf_counter() - began
    print(f"{seconds:.0f} s, {os.cpu_count()} cores, Python {platform.python_version()}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
