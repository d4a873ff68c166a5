"""How did things change over the last thirty days? Lines of numbers and the drift of every series, as numpy columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VERDICTS = ("none", "insufficient", "stable", "drifting", "severe")

Times = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """One number over time, of one subject and scope."""

    name: str
    end_ms: Times  # window ends, ascending
    value: Values  # NaN: that window had none
    low: Values  # NaN: no interval
    high: Values
    n: NDArray[np.int64]
    reference: float | None  # latest known
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Heat:
    """Drift of every series over time."""

    series: tuple[str, ...]  # most drifting first
    end_ms: Times
    ratio: NDArray[np.float32]  # [series, window]: effect over its floor; NaN: none measured
    verdict: NDArray[np.uint8]  # [series, window]: index into `VERDICTS`
