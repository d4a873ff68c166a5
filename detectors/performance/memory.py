"""What does the watch over a subject's outcomes remember from window to window? Plain data, and its way to JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from detectors.alarm.scores import ScoreKind
from detectors.judging.packing import pack, unpack_floats, unpack_ints
from detectors.performance.watches import Fold, Watch
from detectors.samples.effects import Ints
from detectors.types import Onset, Window

FORMAT = 1
MOST_WINDOWS = 512  # beyond, the older half is kept in pairs
_OTHER = "the kept state belongs to another reference or lifecycle"


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """A window, or several together, and what the watches need of it: int64 of shape (cells of all watches,)."""

    window: Window
    counts: Ints


@dataclass(frozen=True, slots=True)
class Suspect:
    """A watch that carries the alarm, frozen when it crossed its threshold; only `severe` changes later."""

    watch: int  # its place in the plan
    score: ScoreKind
    share: float
    severe: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What the alarm said, from significance to resolution or lapse."""

    onset: Onset
    suspects: tuple[Suspect, ...]
    span: Ints  # everything since the onset: leaves the pool when the episode resolves
    graded: Ints  # the same, or the calmer tail after easing: what severity is judged on
    opened_ms: int | None = None  # start of the window that opened the episode
    calm: int = 0  # consecutive windows with a calm tail
    mild: int = 0  # the same against the severe gates
    severe_windows: int = 0

    @property
    def severe(self) -> bool:
        """Whether any suspect is."""
        return any(s.severe for s in self.suspects)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Everything that is kept. `history` holds the windows that an onset or a calm tail may still need."""

    folds: tuple[Fold, ...]  # one for each watch of the plan
    looks: int = 0  # windows judged since the last reset
    carried: Past | None = None  # windows since the last verdict, with too few labels for one
    problem: Problem | None = None
    history: tuple[Past, ...] = ()

    def fits(self, watches: Sequence[Watch]) -> bool:
        """Whether it was made under watches of the same shape."""
        return [_shape(f) for f in self.folds] == [_shape(w.start()) for w in watches]


def joined(first: Past, second: Past) -> Past:
    """Two windows, one after the other, as one."""
    a, b = first.window, second.window
    whole = Window(
        a.start_ms, b.end_ms, a.events + b.events, a.late + b.late, a.panes + b.panes, a.slot
    )
    return Past(whole, first.counts + second.counts)


def remembered(history: tuple[Past, ...], newest: Past, oldest_ms: int) -> tuple[Past, ...]:
    """The history with one more window, without those that start before `oldest_ms`, and not too long.

    Windows of a single label could be a hundred thousand a day: where there are too many, the older half is kept in
    pairs, so that a step costs the same for ever.
    """
    gone = 0
    while gone < len(history) and history[gone].window.start_ms < oldest_ms:
        gone += 1
    kept = (*history[gone:], newest)
    if len(kept) <= MOST_WINDOWS:
        return kept
    half = MOST_WINDOWS // 2
    old = [joined(kept[k], kept[k + 1]) for k in range(0, half, 2)]
    return (*old, *kept[half:])


def to_data(memory: Memory) -> dict[str, Any]:
    """JSON-able and exact."""
    problem = memory.problem
    return {
        "format": FORMAT,
        "folds": [
            {
                "shape": _shape(f),
                "log": pack(f.log.ravel()),
                "path": pack(f.path.ravel()),
                "since": pack(f.since.ravel()),
                "pool": pack(f.pool),
            }
            for f in memory.folds
        ],
        "looks": memory.looks,
        "carried": memory.carried and _past(memory.carried),
        "problem": problem
        and {
            "onset": [
                problem.onset.estimate_ms,
                problem.onset.earliest_ms,
                problem.onset.latest_ms,
            ],
            "suspects": [[s.watch, s.score, s.share, s.severe] for s in problem.suspects],
            "span": pack(problem.span),
            "graded": None if problem.graded is problem.span else pack(problem.graded),
            "opened_ms": problem.opened_ms,
            "calm": problem.calm,
            "mild": problem.mild,
            "severe_windows": problem.severe_windows,
        },
        "history": [_past(p) for p in memory.history],
    }


def from_data(watches: Sequence[Watch], data: dict[str, Any]) -> Memory:
    """The memory that `to_data` wrote, to the last bit.

    Raises
    ------
    ValueError
        It was written under other watches, or by another format.
    """
    if data["format"] != FORMAT:
        raise ValueError(f"the kept state has format {data['format']}, not {FORMAT}")
    fresh = [w.start() for w in watches]
    if [f["shape"] for f in data["folds"]] != [_shape(f) for f in fresh]:
        raise ValueError(_OTHER)
    cells = sum(len(w.reference) for w in watches)
    problem, carried = data["problem"], data["carried"]
    return Memory(
        tuple(_fold(f, like) for f, like in zip(data["folds"], fresh, strict=True)),
        data["looks"],
        _from_past(carried, cells) if carried else None,
        _problem(problem, cells) if problem else None,
        tuple(_from_past(p, cells) for p in data["history"]),
    )


def _shape(fold: Fold) -> list[int]:
    return [*fold.log.shape, *fold.pool.shape]


def _fold(data: dict[str, Any], like: Fold) -> Fold:
    shape, size = like.log.shape, like.log.size
    return Fold(
        unpack_floats(data["log"], size).reshape(shape),
        unpack_floats(data["path"], size).reshape(shape),
        unpack_ints(data["since"], size).reshape(shape),
        unpack_ints(data["pool"], like.pool.size),
    )


def _past(past: Past) -> list[Any]:
    w = past.window
    return [[w.start_ms, w.end_ms, w.events, w.late, w.panes, w.slot], pack(past.counts)]


def _from_past(data: Sequence[Any], cells: int) -> Past:
    window, counts = data
    return Past(Window(*window), unpack_ints(counts, cells))


def _problem(data: dict[str, Any], cells: int) -> Problem:
    span = unpack_ints(data["span"], cells)
    return Problem(
        Onset(*data["onset"]),
        tuple(
            Suspect(watch, cast(ScoreKind, score), share, severe)
            for watch, score, share, severe in data["suspects"]
        ),
        span,
        span if data["graded"] is None else unpack_ints(data["graded"], cells),
        data["opened_ms"],
        data["calm"],
        data["mild"],
        data["severe_windows"],
    )
