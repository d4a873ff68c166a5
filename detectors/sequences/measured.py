"""What do the detectors without a budget do while nothing changes? Measured once, quoted by `check`."""

from typing import NamedTuple

SOURCE = (
    "river 0.26.1 at the settings named, 100 streams of 100,000 independent values with a change at 50,000 "
    "(KSWIN: 20 streams); of two sets of streams the one with more false alarms"
)


class Measured(NamedTuple):
    """One detector on one kind of stream."""

    detector: str
    stream: str  # bernoulli: errors at a rate of .2; normal: standard normal values
    settings: str
    per_10_000: float  # false alarms per 10,000 values
    delay: (
        float | None
    )  # mean values to a change of .2 to .3, or by a quarter of a standard deviation
    delay_large: float | None  # .2 to .5


MEASURED = (
    Measured("adwin", "bernoulli", "defaults", 0.006, 451, 89),
    Measured("hddm_a", "bernoulli", "defaults", 0.058, 838, 234),
    Measured("ddm", "bernoulli", "defaults", 0.088, 12_528, 5_950),
    Measured("kswin", "bernoulli", "defaults", 0.100, 10_801, 1_803),
    Measured("fhddm", "bernoulli", "defaults", 0.300, 587, 112),
    Measured("hddm_w", "bernoulli", "defaults", 0.744, 401, 55),
    Measured("eddm", "bernoulli", "defaults", 4.630, 9_110, 3_647),
    Measured("adwin", "normal", "defaults", 0.0, None, None),  # none in 100,000
    Measured("kswin", "normal", "defaults", 15.2, None, None),
    Measured("page_hinkley", "normal", "threshold 200", 0.19, 701, None),  # median delay
    Measured("page_hinkley", "normal", "threshold 100", 1.3, 339, None),
    Measured("page_hinkley", "normal", "threshold 50", 6.2, 162, None),
)
DISCOURAGED = ("ddm", "eddm", "kswin")  # an alarm of theirs alone should page nobody


def expected_false_alarms(name: str, values_per_day: float) -> float:
    """False alarms per day of a detector at its defaults, on independent values that do not change.

    An expectation from measurements, not a bound: dependent values give many more (AR(1) with .9: ADWIN 80 per 10,000).
    Of several streams the worst counts.

    Raises
    ------
    ValueError
        The detector was not measured.

    Examples
    --------
    >>> round(expected_false_alarms("adwin", 48_000), 4), round(expected_false_alarms("kswin", 48_000))
    (0.0288, 73)
    """
    if not values_per_day >= 0:
        raise ValueError(f"values per day are not negative, unlike {values_per_day}")
    rates = [m.per_10_000 for m in MEASURED if m.detector == name and _default(m)]
    if not rates:
        known = ", ".join(sorted({m.detector for m in MEASURED}))
        raise ValueError(f"{name} was not measured: known are {known}")
    return max(rates) * values_per_day / 10_000


def _default(measured: Measured) -> bool:
    return measured.settings in ("defaults", "threshold 200")
