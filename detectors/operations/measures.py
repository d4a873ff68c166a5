"""How fast, how often, how much? Numbers of a window with their intervals, from its counts alone."""

import math
from typing import NamedTuple

import numpy as np

from detectors.binning import Ints
from detectors.operations.layout import (
    EDGES_MS,
    LATENCY,
    STATUS,
    STATUSES,
    UNKNOWN,
    predictions,
)
from detectors.samples.effects import Z95, wilson

QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
_ABOVE_MS = float(EDGES_MS[-1]) * 2.0**0.25  # where the open cell is drawn to end
_BELOW = (0.0, *EDGES_MS.tolist())
_ABOVE = (*EDGES_MS.tolist(), _ABOVE_MS)


class Measure(NamedTuple):
    """A number, its interval, and how many events it comes from."""

    value: float
    low: float
    high: float
    n: int


def share(part: int, whole: int, z: float = Z95) -> Measure | None:
    """A share with its Wilson interval; None of nothing.

    >>> [round(x, 4) for x in share(3, 100)]
    [0.03, 0.0103, 0.0845, 100]
    """
    if whole <= 0:
        return None
    low, high = wilson(part / whole, whole, z)
    # at no or all events the bound is exact, and not what is left by rounding
    return Measure(
        part / whole, float(low) if part > 0 else 0.0, float(high) if part < whole else 1.0, whole
    )


def quantile(cells: Ints, q: float, z: float = Z95) -> Measure | None:
    r"""A quantile of latencies from their cells; None without any.

    The value is the geometric middle of the cell that holds the ⌈qn⌉-th smallest, so within
    :math:`2^{1/8} - 1` = 9 % of it between 0.1 ms and 104.9 s. The bounds are the outer edges of the cells that hold
    the ranks :math:`qn \pm z\sqrt{nq(1 - q)}`: the error of cells is in them. Where the upper rank is beyond all
    events, the bound is that of the largest one.

    Parameters
    ----------
    cells : int64, shape (84,)
        The block `LATENCY`; odd and missing ones do not count.

    Examples
    --------
    >>> from detectors.operations.layout import latencies
    >>> p95 = quantile(latencies(np.arange(1.0, 1001.0))[0], 0.95)
    >>> round(p95.value), round(p95.low), round(p95.high), p95.n
    (893, 819, 974, 1000)
    """
    reached = np.cumsum(cells[: len(_ABOVE)])
    n = int(reached[-1])
    if not n:
        return None
    error = z * math.sqrt(n * q * (1 - q))
    ranks = (math.ceil(q * n), math.floor(q * n - error), math.ceil(q * n + error) + 1)
    at, low, high = np.searchsorted(reached, np.clip(ranks, 1, n), side="left").tolist()
    below = _BELOW[at] or _ABOVE[at] / 2.0**0.25
    return Measure(math.sqrt(below * _ABOVE[at]), _BELOW[low], _ABOVE[high], n)


def measures(vector: Ints, span_ms: int, z: float = Z95) -> dict[str, Measure]:
    """Everything there is to say of predictions by how they went; what nothing was counted for is left out.

    ``error_rate``, ``timeout_rate`` and ``fallback_rate`` are the shares of those statuses, ``availability`` that of
    ``ok`` and ``fallback``, all of the predictions whose status is known. ``throughput`` is predictions per second, its
    interval that of a Poisson count.

    Parameters
    ----------
    vector : int64, shape (TOTAL,)
    span_ms : length of the window or windows it was counted in

    Examples
    --------
    >>> from detectors.operations.layout import TOTAL
    >>> vector = np.zeros(TOTAL, np.int64)
    >>> vector[:4] = 90, 6, 0, 4
    >>> found = measures(vector, 60_000)
    >>> {name: round(m.value, 3) for name, m in found.items()}
    {'throughput': 1.667, 'availability': 0.94, 'error_rate': 0.06, 'timeout_rate': 0.0, 'fallback_rate': 0.04}
    """
    found: dict[str, Measure | None] = {"throughput": _throughput(predictions(vector), span_ms, z)}
    by_status = dict(zip(STATUSES, vector[STATUS].tolist(), strict=False))
    known = predictions(vector) - int(vector[STATUS][UNKNOWN])
    found["availability"] = share(by_status["ok"] + by_status["fallback"], known, z)
    for status in STATUSES[1:]:
        found[f"{status}_rate"] = share(by_status[status], known, z)
    for name, q in QUANTILES.items():
        found[name] = quantile(vector[LATENCY], q, z)
    return {name: of for name, of in found.items() if of is not None}


def _throughput(n: int, span_ms: int, z: float) -> Measure:
    low, high = poisson(n, z)
    seconds = span_ms / 1000
    return Measure(n / seconds, low / seconds, high / seconds, n)


def poisson(n: int, z: float = Z95) -> tuple[float, float]:
    r"""Bounds of the mean of a count that came out as `n`: :math:`n + z^2/2 \pm z\sqrt{n + z^2/4}` (score interval).

    >>> [round(bound, 2) for bound in poisson(100)]
    [82.23, 121.61]
    """
    half = z * math.sqrt(n + z * z / 4)
    return max(0.0, n + z * z / 2 - half), n + z * z / 2 + half
