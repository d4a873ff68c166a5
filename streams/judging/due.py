"""Which window of a model is judged next? One timeline for all scopes, and for what came in."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from streams.judging.plans import ModelPlan
from streams.judging.scopes import Complete, Scope
from streams.judging.subjects import ModelState
from streams.messages import Slot

MOST_EMPTY = (
    1_000  # silent windows in a row that are judged; then nothing is said until events return
)


class Due(NamedTuple):
    """A window that is complete, or what came in during five minutes."""

    end_ms: int
    start_ms: int
    scope: Scope[Any] | None
    slot: Slot | None


def next_due(
    model: ModelState,
    plan: ModelPlan,
    scopes: Sequence[Scope[Any]],
    slots: Sequence[Slot],
    complete: Complete,
) -> Due | None:
    """What is complete first; at equal times in the order of the scopes, slots before them all.

    A window is complete its wait after its end. So the order is the same whether many are complete at once or one after
    another, and what is said in between is said between the same two windows.
    """
    first = Due(slots[0].end_ms, slots[0].start_ms, None, slots[0]) if slots else None
    earliest = 0 if first is None else first.end_ms
    for scope in scopes:
        timing = plan.timings[scope.name]
        start = _next_window(model, scope)
        if start is None or (end := start + timing.window_ms) > complete.until(timing):
            continue
        if first is None or end + timing.wait_ms < earliest:
            first, earliest = Due(end, start, scope, None), end + timing.wait_ms
    return first


def _next_window(model: ModelState, scope: Scope[Any]) -> int | None:
    """Start of the next window of a scope; what has been silent for long is skipped."""
    progress = model.of(scope)
    if progress.judged_until_ms is not None and progress.empty < MOST_EMPTY:
        return progress.judged_until_ms
    windows = (subject.windows(scope) for subject in model.subjects.values())
    return min((start for starts in windows for start in starts), default=None)
