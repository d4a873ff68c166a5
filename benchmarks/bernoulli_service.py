"""Does the service find a rise of an error rate as fast, and as rarely without one, as its detector? BERN-1e5.

    python -m benchmarks.bernoulli_service [--runs N] [--jobs N] [--short]

The streams are those of `benchmarks.detection`: Bernoulli .2, 100,000 labels, from 50,000 on .3 or .5, a reference of
10,000 labels. Here each label is an event that says what was predicted, and goes through profiler and judge in a window
of its own. Of N streams (default 5; 100 are all of them) every first alarm is held against the detector's on the same
labels, `detectors.sequences.labels.Labels`: it must be at the same label. Then what the detector reaches on all
100 streams, the service reaches as well. Exit code 1 if a target is missed.

What is counted is what the library counts. An alarm is the first result whose `alarm.log_statistic` is at least its
`log_threshold` (both have six decimals). Before the change it is a false one, and from the next label on the model
begins anew, without what was kept of it; a judge goes on with the same M until an episode resolves. Delays count from
the change. Beside them is when the episode opens, which also asks for a rate that surely is more than two points above
the reference's: that is what people hear.

M does not depend on A before it reaches it. So one run of the first half serves every A that M stays below; from the
change on each A has a judge of its own, which begins with the state that was kept, as after a restart with another
budget. About 20 s per stream.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from math import log
from typing import NamedTuple

import numpy as np

from benchmarks._bernoulli import Heard, first_half, second_half
from benchmarks._figures import HEAD, Figure, cells, markdown, progress
from benchmarks._labels import AFTER, REFERENCE_LABELS, TARGETS, Stream, run, streams
from benchmarks._panel import FRESH
from detectors.sequences.labels import Labels
from detectors.sequences.losses import Bernoulli, tolerated

STREAMS, DEFAULT = 100, 5
SHORT_HALF = 2_000  # labels before the change in the short version


class Compared(NamedTuple):
    """One stream at one A: what the service said, and what the detector by itself says of the same labels."""

    false: tuple[int, ...]  # labels of false alarms
    opened: int  # episodes before the change
    after: tuple[Heard, ...]  # from each change on
    own_false: tuple[int, ...]
    own_after: tuple[int, ...]  # delays

    @property
    def same(self) -> int:
        """How many alarms are at the same label, of as many as either has."""
        shared = sum(a == b for a, b in zip(self.false, self.own_false, strict=False))
        return shared + sum(a.delay == b for a, b in zip(self.after, self.own_after, strict=True))

    @property
    def alarms(self) -> int:
        return max(len(self.false), len(self.own_false)) + len(self.after)


def detector(stream: Stream, a: int) -> Labels:
    """The detector of the library, as `benchmarks.detection` has it."""
    return Labels(Bernoulli(tolerated(stream.reference_errors, REFERENCE_LABELS)), log(a))


def compared(stream: Stream) -> list[tuple[int, Compared]]:
    """One stream, for every A; the smallest first."""
    return list(_compared(stream))


def _compared(stream: Stream) -> Iterator[tuple[int, Compared]]:
    least = None
    for a in sorted(TARGETS):
        # where the lower threshold was not reached a higher one was not either, and all that is kept is the same
        half = least if least is not None and not least.false else first_half(stream, a)
        least = least or half
        own = detector(stream, a)
        state, found = own.extend(own.start(), stream.before)
        delays = [own.extend(state, labels)[1] for labels in stream.after]
        yield (
            a,
            Compared(
                half.false,
                half.opened,
                tuple(second_half(stream, a, half, labels) for labels in stream.after),
                tuple(found.tolist()),
                tuple(int(d[0]) + 1 if len(d) else len(stream.after[0]) + 1 for d in delays),
            ),
        )


def figures(of: Sequence[Stream], every: Sequence[Stream], jobs: int = 1) -> Iterator[Figure]:
    """All lines of the table.

    Parameters
    ----------
    of : streams that go through the service
    every : those that the detector reads by itself
    jobs : processes; streams have nothing to do with each other
    """
    found: dict[int, list[Compared]] = {a: [] for a in TARGETS}
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        for number, each in enumerate((pool.map if pool else map)(compared, of), 1):
            for a, one in each:
                found[a].append(one)
            progress(f"stream {number} of {len(of)}")
    labels = len(of[0].before)
    for a, limits in TARGETS.items():
        runs, bound, among = found[a], 10_000 / a, f"A = {a:,}, streams: {len(of)}"
        same, alarms = sum(r.same for r in runs), sum(r.alarms for r in runs)
        yield Figure(
            "through the service",
            f"{among}; alarms at the same label as the detector's",
            f"{same} of {alarms}",
            "all",
            same == alarms,
        )
        false = sum(len(r.false) for r in runs) / (len(of) * labels / 10_000)
        delays = [[r.after[k].delay for r in runs] for k in range(len(AFTER))]
        lost = sum(d > len(of[0].after[0]) for each in delays for d in each)
        means = [float(np.mean(each)) for each in delays]
        said = f"≤ {bound:g}, {', '.join(str(limit) for limit in limits)}, none missed"
        whole = len(of) == len(every)
        fine = false <= bound and all(m <= t for m, t in zip(means, limits, strict=True))
        yield Figure(
            "through the service",
            f"{among}; false per 10,000, delay to .3, .5",
            f"{_told(false, means)}, {lost} missed",
            said if whole else "none missed",
            not lost and (fine or not whole),
        )
        opened = [[r.after[k].opened for r in runs] for k in range(len(AFTER))]
        told = [[float(d) for d in each if d is not None] for each in opened]
        heard = [float(np.mean(each)) if each else np.inf for each in told]
        silent = sum(d is None for each in opened for d in each)
        yield Figure(
            "through the service",
            f"{among}; episodes opened before the change per 10,000, delay to .3, .5",
            f"{_told(sum(r.opened for r in runs) / (len(of) * labels / 10_000), heard)}, "
            f"{silent} missed",
        )
    if not every:
        return
    for a, limits in TARGETS.items():
        total, bound = run([detector(s, a) for s in every], list(every)), 10_000 / a
        yield Figure(
            "the same detector",
            f"A = {a:,}, streams: {len(every)}; false per 10,000, delay to .3, .5",
            f"{total}, {sum(total.missed)} missed",
            f"≤ {bound:g}, {', '.join(str(limit) for limit in limits)}, none missed",
            total.false <= bound
            and not sum(total.missed)
            and all(d <= t for d, t in zip(total.delays, limits, strict=True)),
        )


def _told(false: float, delays: Sequence[float]) -> str:
    return f"{false:.3f}, {', '.join(f'{d:.0f}' for d in delays)}"


def shortened(stream: Stream) -> Stream:
    """The same stream with fewer labels before the change."""
    return stream._replace(before=stream.before[-SHORT_HALF:])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--runs", type=int, default=DEFAULT, help=f"streams (default {DEFAULT}, at most {STREAMS})"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--short", action="store_true", help="part of one stream, in seconds")
    given = parser.parse_args(arguments)
    runs = min(max(given.runs, 1), STREAMS)
    if given.short:
        found = list(figures([shortened(s) for s in streams(FRESH, 1)], ()))
    else:
        every = streams(FRESH, STREAMS)
        found = list(figures(every[:runs], every, given.jobs))
    print(*markdown(HEAD[:-1], [cells(figure)[:-1] for figure in found]), sep="\n")
    return int(any(figure.met is False for figure in found))


if __name__ == "__main__":
    sys.exit(main())
