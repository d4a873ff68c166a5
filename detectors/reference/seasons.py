"""Is it the hour of the day? How much of the way windows vary is a season, and how much is left around its slots."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from detectors.alarm.scores import Score, every_score, scores
from detectors.alarm.sequential import MIN_WINDOWS
from detectors.alarm.slots import in_slot, seasonal_scores
from detectors.binning import Binner, Column
from detectors.edges import MINIMUM_ROWS
from detectors.reference.frozen import SLOTS, Reference, ReferenceSeries, Season, SlotReference
from detectors.samples.effects import Floats, Ints
from detectors.series import Series

EXPLAINS = 0.5  # share of the over-dispersion from which a season is proposed
BETTER = 0.1  # of the week against the day, which has more windows per slot
SURELY = 0.999  # over-dispersion below this point of its distribution is chance
DAYS = {"hour_of_day": 7, "hour_of_week": 14}  # of reference that a season needs
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, eq=False)
class Seasonal:
    """A season to build a reference with, or to look for: the slot of every row."""

    season: Season
    slots: Ints  # (rows,)


def slot_counts(windows: Ints, slots: Ints, season: Season) -> Ints:
    """The windows (T, cells) of every slot summed, (S, cells); `slots` (T,) says which is in which."""
    out = np.zeros((season.slots, windows.shape[1]), np.int64)
    np.add.at(out, slots, windows)
    return out


def dispersion_within(windows: Ints, slots: Ints, series: Series, score: Score) -> float:
    r"""Over-dispersion φ of a score's window means around the means of their slots: upper 95 % bound, at least 1.

    Parameters
    ----------
    windows : int64, shape (T, cells)
    slots : int64, shape (T,)

    Notes
    -----
    :math:`φ = \max(1, \sum_i n_i (\bar f_i - \bar f_{s(i)})^2 / σ_{s(i)}^2 / χ^2_{.05}(T - S))` over the T windows in
    the S slots that hold two or more and in which the score varies. As `sequential.dispersion`, of which it is the form
    with several means: what differs from slot to slot is the season, not dependence. One φ serves all slots.

    Raises
    ------
    ValueError
        Fewer than 29 windows remain beyond one for every slot.

    Examples
    --------
    >>> from detectors.alarm.scores import scores
    >>> flag = Series("feature:flag", "boolean", categories=("false", "true"))
    >>> night, day = [95, 5, 0, 0], [60, 40, 0, 0]
    >>> windows, slots = np.array([night, day] * 20), np.array([0, 1] * 20)
    >>> score = scores(flag, windows.sum(0), rows=100)[0]
    >>> dispersion_within(windows, slots, flag, score)
    1.0
    """
    of_slots = [windows[slots == slot] for slot in np.unique(slots).tolist()]
    freedom = sum(len(of) - 1 for of in of_slots)
    if freedom < MIN_WINDOWS - 1:
        raise ValueError(
            f"over-dispersion needs {MIN_WINDOWS - 1} windows beyond one per slot, not {freedom}"
        )
    found = [_within(of, series, score) for of in of_slots if len(of) > 1]
    total, live = sum(q for q, _ in found), sum(free for _, free in found)
    if live < 1:
        return 1.0
    return max(1.0, total / float(special.chdtri(live, 0.95)))


def _within(windows: Ints, series: Series, score: Score) -> tuple[float, int]:
    """Sum of squares in standard errors around the mean, and its degrees of freedom; 0 where the score is constant."""
    here = in_slot(score, series, windows.sum(0))
    n, mean, centre, variance = _means(windows, here)
    if variance <= 1e-12:
        return 0.0, 0
    return float((n * (mean - centre) ** 2).sum()) / variance, len(windows) - 1


def _means(windows: Ints, score: Score) -> tuple[Floats, Floats, float, float]:
    seen, values = windows[:, score.live].astype(np.float64), score.values[score.live]
    n = seen.sum(1)
    rows = max(float(n.sum()), 1.0)
    centre = float((seen * values).sum()) / rows
    variance = float((seen * values * values).sum()) / rows - centre * centre
    return n, (seen * values).sum(1) / np.maximum(n, 1.0), centre, variance


def explained(windows: Ints, slots: Ints, scores: Sequence[Score]) -> tuple[float, float]:
    r"""How much over-dispersion of window means there is between slots, and how much in all.

    Notes
    -----
    With :math:`Q = \sum_i n_i (\bar f_i - \bar f)^2 / σ^2` and :math:`Q_b` the same of slot means: the sums over scores
    of :math:`Q_b - (S-1)` and :math:`Q - (T-1)`, both in excess of what independent rows give. Only scores whose Q
    surely is in excess take part. Blind to a season of another length.

    Examples
    --------
    >>> from detectors.alarm.scores import scores
    >>> flag = Series("feature:flag", "boolean", categories=("false", "true"))
    >>> night, day = [95, 5, 0, 0], [60, 40, 0, 0]
    >>> windows = np.array([night, day] * 20)
    >>> score = scores(flag, windows.sum(0), rows=100)[:1]
    >>> [round(x) for x in explained(windows, np.array([0, 1] * 20), score)]
    [702, 664]
    >>> [round(x) for x in explained(windows, np.array([0] * 20 + [1] * 20), score)]
    [-1, 664]
    """
    between = whole = 0.0
    numbers, at = np.unique(slots, return_inverse=True)
    for score in scores:
        n, mean, centre, variance = _means(windows, score)
        if variance <= 1e-12:
            continue
        total = float((n * (mean - centre) ** 2).sum()) / variance
        if total <= float(special.chdtri(len(windows) - 1, 1 - SURELY)):
            continue
        rows = np.maximum(np.bincount(at, n), 1.0)
        means = np.bincount(at, n * mean) / rows
        part = float((rows * (means - centre) ** 2).sum()) / variance
        between += part - (len(numbers) - 1)
        whole += total - (len(windows) - 1)
    return between, whole


def proposal(shares: Mapping[str, float | None]) -> str | None:
    """The season to propose, by the share that each explains.

    >>> proposal({"hour_of_day": 0.8, "hour_of_week": 0.85}), proposal({"hour_of_day": 0.2, "hour_of_week": 0.9})
    ('hour_of_day', 'hour_of_week')
    >>> proposal({"hour_of_day": 0.4, "hour_of_week": None}) is None
    True
    """
    best: tuple[float, str] | None = None
    for name in SLOTS:  # the day first: more windows per slot
        share = shares.get(name)
        if share is not None and share > EXPLAINS and (best is None or share > best[0] + BETTER):
            best = share, name
    return best and best[1]


def chosen(
    season: str | None, seasonal: Sequence[Seasonal], times_ms: Ints | None
) -> Seasonal | None:
    """The season to build with.

    Raises
    ------
    ValueError
        There are no event times, or nobody said which rows are in which of its slots.
    """
    if season is None:
        return None
    if times_ms is None:
        raise ValueError(f"{season}: a season needs event times")
    for one in seasonal:
        if one.season.name == season:
            return one
    raise ValueError(f"{season}: the slots of its rows were not given")


def of_windows(seasonal: Seasonal, first: Ints) -> Seasonal:
    """With the slot of every window, whose first row is known, instead of every row's."""
    return replace(seasonal, slots=seasonal.slots[first])


def with_slots(
    reference: Reference, windows: Ints, of: Seasonal
) -> tuple[Reference, tuple[str, ...]]:
    """The reference with a season: the counts of every slot, and φ around their means; and what it cannot support.

    Parameters
    ----------
    windows : int64, shape (T, cells)
        The reference's windows: the cells of all series, one after another.
    of : the season, with the slot of every window
    """
    season = of.season
    cells = slot_counts(windows, of.slots, season)
    held = np.bincount(of.slots, minlength=season.slots)
    # Every event is in one cell of every series: any of them tells how many there are.
    events = cells[:, : reference.series[0].series.cells].sum(1)
    slots = tuple(
        SlotReference(s, int(held[s]), int(events[s]), per_series(reference, cells[s]))
        for s in range(season.slots)
        if events[s]
    )
    warnings = []
    thin = int((events < MINIMUM_ROWS).sum())
    if thin:
        warnings.append(
            f"reference.season: {thin} of {season.slots} slots hold fewer than {MINIMUM_ROWS} events: "
            "every verdict in them will be insufficient"
        )
    freedom = int(np.maximum(held - 1, 0).sum())
    if freedom < MIN_WINDOWS - 1:
        warnings.append(
            f"row dependence not calibrated: the reference holds {freedom} windows beyond one per slot, "
            f"of at least {MIN_WINDOWS - 1} needed"
        )
        return replace(reference, season=season, slots=slots), tuple(warnings)
    per_window = np.maximum(events / np.maximum(held, 1), 1.0)
    dispersed = []
    for r, at in placed(reference):
        here = slice(at, at + r.series.cells)
        named = dict(every_score(r.series, cells[:, here].sum(0), reference.rows))
        for score in seasonal_scores(r.series, cells[:, here], per_window, reference.rows):
            named.setdefault(score.name, score)
        phi = tuple(
            (name, round(dispersion_within(windows[:, here], of.slots, r.series, score), 4))
            for name, score in named.items()
        )
        dispersed.append(replace(r, dispersion=phi))
    return (
        replace(reference, season=season, slots=slots, series=tuple(dispersed)),
        tuple(warnings),
    )


def too_short(reference: Reference, season: str) -> bool:
    """Whether a reference spans too few days of windows to know a season."""
    return _days(reference) < DAYS[season]


def _days(reference: Reference) -> float:
    blocks = reference.blocks
    return blocks.windows * blocks.window_ms / _DAY_MS if blocks else 0.0


def placed(reference: Reference) -> Iterator[tuple[ReferenceSeries, int]]:
    """Every series with the place of its first cell."""
    at = 0
    for r in reference.series:
        yield r, at
        at += r.series.cells


def proposed(reference: Reference, windows: Ints, seasonal: Sequence[Seasonal]) -> list[str]:
    """A season that explains most of how the windows (T, cells) vary, if the reference is long enough to tell."""
    shares: dict[str, float | None] = {}
    for of in seasonal:
        if too_short(reference, of.season.name):
            continue
        parts = [
            explained(cells, of.slots, scores(r.series, cells.sum(0), reference.rows))
            for r, at in placed(reference)
            for cells in [windows[:, at : at + r.series.cells]]
        ]
        between, whole = (sum(p[k] for p in parts) for k in (0, 1))
        shares[of.season.name] = min(between / whole, 1.0) if whole > 0 else None
    name = proposal(shares)
    if name is None:
        return []
    return [
        f"reference.season: {name} explains {100 * (shares[name] or 0):.0f} % of how windows differ beyond chance: "
        f"season: {name} would compare every window with its own hour"
    ]


def per_series(reference: Reference, cells: Ints) -> tuple[tuple[int, ...], ...]:
    """Flat counts, series by series."""
    return tuple(tuple(cells[at : at + r.series.cells].tolist()) for r, at in placed(reference))


def by_slot(
    binner: Binner,
    columns: Sequence[Column],
    distinct: NDArray[np.str_],
    rows: Ints,
    slots_of: Seasonal | None,
) -> dict[str, list[tuple[int, int, Ints]]]:
    """Slot, events and counts of every segment and slot that hold enough events to be compared with."""
    found: dict[str, list[tuple[int, int, Ints]]] = {}
    if slots_of is None:
        return found
    both, at = np.unique(rows * slots_of.season.slots + slots_of.slots, return_inverse=True)
    sizes = np.bincount(at)
    counts = binner.count(columns, at, len(both)).cells
    for group, events, cells in zip(both.tolist(), sizes.tolist(), counts, strict=True):
        if events >= MINIMUM_ROWS:
            segment, slot = divmod(group, slots_of.season.slots)
            found.setdefault(str(distinct[segment]), []).append((slot, events, cells))
    return found
