"""How much comes in, of all models together? Events and late events by the hour of the last day."""

import numpy as np
from numpy.typing import NDArray

from streams.views.history import Line
from streams.views.past import Scoped
from streams.views.read import ReadModel

HOUR_MS, HOURS = 3_600_000, 24


def flow(read: ReadModel) -> tuple[Line, ...]:
    """Events per hour, and those that came after their window was judged, up to the newest window; none: no window.

    Each version of a model is counted once: by its windows of health, which are the shortest, or by those of inputs.
    A window counts in the hour it ends in.

    Examples
    --------
    >>> from streams.topics import Names
    >>> flow(ReadModel(Names()))
    ()
    """
    pasts = [
        of_model.get(Scoped(model_id, version, "all", "health")) or past
        for model_id, of_model in read.results.items()
        for (_, version, segment, scope), past in of_model.items()
        if (segment, scope) == ("all", "inputs")
    ]
    newest = max((past.newest_ms for past in pasts), default=0)
    if not newest:
        return ()
    last = -(-newest // HOUR_MS)  # the hour that the newest window ends in, by its end
    first_ms = (last - HOURS) * HOUR_MS
    counts = np.zeros((2, HOURS), np.int64)
    for past in pasts:
        rows = past.columns(*past.between(first_ms + 1, None)).rows
        hour = (rows["end"].astype(np.int64) - 1 - first_ms) // HOUR_MS
        for at, name in enumerate(("events", "late")):
            counts[at] += np.bincount(hour, rows[name], HOURS).astype(np.int64)
    ends = (np.arange(HOURS, dtype=np.int64) + 1) * HOUR_MS + first_ms
    return tuple(_line(name, ends, counts[at]) for at, name in enumerate(("events", "late")))


def _line(name: str, ends: NDArray[np.int64], counts: NDArray[np.int64]) -> Line:
    none = np.full(len(ends), np.nan)
    return Line(name, ends, counts.astype(np.float64), none, none, counts, None, None)
