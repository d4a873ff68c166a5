"""What is counted about how a model runs? One vector of whole numbers, the same for every model, with or without labels
or a reference. Vectors add up in any order.
"""

import numpy as np

from detectors.binning import Floats, Ints

STATUSES = ("ok", "error", "timeout", "fallback")
_QUARTERS = (1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429)  # 2^(j/4)
#: 0.1 ms · 2^(j/4), j = 0 … 80: powers of two times four constants, so the same bits on every machine.
EDGES_MS: Floats = np.array([0.1 * _QUARTERS[j % 4] * 2.0 ** (j // 4) for j in range(81)])
EDGES_MS.flags.writeable = False
_CELLS = len(EDGES_MS) + 1

#: predictions by status; the last are those whose status is none of these
STATUS = slice(0, len(STATUSES) + 1)
UNKNOWN = len(STATUSES)
FEATURES = 5  # feature events
IDENTIFIED = 6  # predictions with a usable event id
TIMED = slice(7, 9)  # predictions, and feature events, that say how old their features are
LATENCY = slice(9, 9 + _CELLS + 2)  # value cells, odd, missing
ODD, MISSING = LATENCY.start + _CELLS, LATENCY.start + _CELLS + 1
TOTAL = LATENCY.stop


def latencies(values_ms: Floats, groups: Ints | None = None, n_groups: int = 1) -> Ints:
    """Count latencies into their cells.

    A cell is ``(e[b-1], e[b]]``; the first and the last are open. Cost: one binary search per value.

    Parameters
    ----------
    values_ms : float64, shape (rows,)
        NaN is missing; infinite or negative is odd, as it can be no latency.
    groups : int64, shape (rows,)
        Which group each row counts for; None: all for the first.

    Returns
    -------
    int64, shape (n_groups, 84) : what adds to the block `LATENCY`

    Examples
    --------
    >>> found = latencies(np.array([0.05, 0.1, 18.4, np.nan, -1.0, 1e9]))[0]
    >>> np.flatnonzero(found).tolist(), found[found > 0].tolist()
    ([0, 31, 81, 82, 83], [2, 1, 1, 1, 1])
    """
    width = _CELLS + 2
    cells = np.searchsorted(EDGES_MS, values_ms, side="left")
    with np.errstate(invalid="ignore"):
        cells[np.isinf(values_ms) | (values_ms < 0)] = _CELLS
    cells[np.isnan(values_ms)] = _CELLS + 1
    if groups is not None:
        cells = cells + groups * width
    return np.bincount(cells, minlength=n_groups * width).reshape(n_groups, width)


def predictions(vector: Ints) -> int:
    """How many predictions were counted.

    >>> predictions(np.arange(TOTAL))
    10
    """
    return int(vector[STATUS].sum())
