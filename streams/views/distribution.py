"""What did the values of a series look like, in the reference and in one window?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares of a series' values by cell, in the reference and in one window."""

    series: str
    start_ms: int
    end_ms: int
    labels: tuple[str, ...]  # one for each cell
    reference: tuple[float, ...]  # shares, their sum is 1
    current: tuple[float, ...]
    n_reference: int
    n_current: int
    missing_reference: float
    missing_current: float
    ordered: bool  # bins of a number, not categories
    unit: str | None = None
    description: str | None = None
