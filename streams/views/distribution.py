"""What did the values of a series look like, in the reference and in one window?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from detectors.reference.frozen import SLOTS, Season
from streams import seasons
from streams.views.documents import (
    Effect,
    Reference,
    ReferenceSeries,
    Result,
    Seasonal,
    Series,
    epoch_ms,
)
from streams.views.past import Scoped
from streams.views.places import NOTHING, Elsewhere, Recalled
from streams.views.read import Built, ReadModel


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares of a series' values by cell, in the reference and in one window.

    `n_reference` and `n_current` are the values that the shares are of, those that are missing apart. The window's
    counts include those of windows before it that were too small to be judged alone.
    """

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
    verdict: str = "insufficient"
    reason: str = ""
    effect: Effect | None = None
    concealed: bool = False  # personal data: cells have numbers, and no values
    slot: int | None = (
        None  # of the reference's season: local hour, by the week 24 for every day since Monday added
    )


def distribution(
    read: ReadModel,
    model_id: str,
    version: str,
    segment: str,
    series: str,
    end_ms: int | None = None,
    recalled: Recalled = NOTHING,
) -> Distribution | None:
    """A series in the window that ends at `end_ms` (None: the newest), beside the reference that it was held against.

    None: nothing was counted for it, or its reference is not known. Of personal data (`privacy.pii`, and everything of
    a model that is not registered) values are never named.

    Raises
    ------
    Elsewhere
        The window's document, or the slots of the reference's season, are on the log only.
    """
    found = document(read, Scoped(model_id, version, segment, "inputs"), end_ms, recalled)
    if found is None:
        return None
    result = msgspec.convert(found, Result)
    of = next((one for one in result.series if one.series == series), None)
    built = read.references.get(model_id, {}).get(found.get("reference_id") or "")
    if of is None or not of.counts or built is None:
        return None
    reference = _whole_reference(built, recalled)
    cells = reference.series.get(series)
    if cells is None:
        return None
    slot = _slot(reference.season, epoch_ms(result.window.start))
    usual = _usual(reference, cells, series, segment, slot)
    if usual is None or len(usual) != len(of.counts):
        return None
    return _drawn(result, of, cells, usual, slot, *_feature(read, model_id, series))


def document(read: ReadModel, subject: Scoped, end_ms: int | None, recalled: Recalled) -> Any:
    """What the judge wrote of the window that ends then (None: of the newest), as it is in memory or was recalled."""
    past = read.results.get(subject.model_id, {}).get(subject)
    place = None if past is None else past.place(past.newest_ms if end_ms is None else end_ms)
    if place is None:
        return None
    value = recalled[place] if place in recalled else read.whole.get(place)
    if value is None and place not in recalled:
        raise Elsewhere((place,))
    return None if value is None else msgspec.json.decode(value)


def _whole_reference(built: Built, recalled: Recalled) -> Reference:
    """The reference; with the slots of its season, which are kept on the log only."""
    if built.place is None or not built.seasonal:
        return built.reference
    if built.place not in recalled:
        raise Elsewhere((built.place,))
    found = recalled[built.place]
    return built.reference if found is None else msgspec.json.decode(found, type=Reference)


def _slot(season: Seasonal | None, start_ms: int) -> int | None:
    if season is None or season.name not in SLOTS:
        return None
    return seasons.slot_of(Season(season.name, season.timezone))(start_ms)


def _usual(
    reference: Reference, cells: ReferenceSeries, series: str, segment: str, slot: int | None
) -> Sequence[int] | None:
    """What the reference counted in this segment, and in this slot of its season."""
    season = reference.season
    if season is not None and slot is not None:
        slots = season.slots if segment == "all" else season.segments.get(segment, {})
        if str(slot) in slots:
            return slots[str(slot)].counts.get(series)
    if segment == "all":
        return (*cells.counts, cells.odd, cells.missing)
    of = reference.segments.get(segment)
    return None if of is None else of.counts.get(series)


def _drawn(
    result: Result,
    of: Series,
    cells: ReferenceSeries,
    usual: Sequence[int],
    slot: int | None,
    about: Mapping[str, Any],
    concealed: bool,
) -> Distribution:
    ordered = cells.type in ("number", "integer")
    labels = _labels(cells, len(usual) - 2, concealed=concealed)
    shown = len(labels)
    if not (usual[shown - 1] or of.counts[shown - 1]):
        shown -= 1  # nothing is odd on either side
    n_reference, n_current = sum(usual[:shown]), sum(of.counts[:shown])
    return Distribution(
        series=of.series,
        start_ms=epoch_ms(result.window.start),
        end_ms=epoch_ms(result.window.end),
        labels=labels[:shown],
        reference=_shares(usual[:shown]),
        current=_shares(of.counts[:shown]),
        n_reference=n_reference,
        n_current=n_current,
        missing_reference=usual[-1] / max(n_reference + usual[-1], 1),
        missing_current=of.counts[-1] / max(n_current + of.counts[-1], 1),
        ordered=ordered,
        unit=about.get("unit"),
        description=about.get("description"),
        verdict=of.verdict,
        reason=of.reason,
        effect=of.effect,
        concealed=concealed,
        slot=slot,
    )


def _shares(counts: Sequence[int]) -> tuple[float, ...]:
    whole = max(sum(counts), 1)
    return tuple(count / whole for count in counts)


def _labels(cells: ReferenceSeries, values: int, *, concealed: bool) -> tuple[str, ...]:
    """What each cell holds: the values, and last what fits none of them.

    >>> _labels(ReferenceSeries("number", edges=[12.5, 20.0]), 3, concealed=False)
    ('up to 12.5', '12.5 to 20', 'above 20', 'invalid')
    >>> _labels(ReferenceSeries("category", categories=["rent", "own"], known=["caravan"]), 3, concealed=False)
    ('rent', 'own', 'other', 'unseen')
    >>> _labels(ReferenceSeries("number", edges=[12.5]), 2, concealed=True)
    ('bin 1 of 2', 'bin 2 of 2', 'invalid')
    """
    if cells.type in ("number", "integer"):
        last = "other" if cells.support else "invalid"
        if concealed:
            return (*(f"bin {k + 1} of {values}" for k in range(values)), last)
        if cells.support:
            return (*(f"{value:.6g}" for value in cells.support), last)
        cuts = [f"{edge:.6g}" for edge in cells.edges]
        if not cuts:
            return ("all values", last)
        between = (f"{low} to {high}" for low, high in pairwise(cuts))
        return (f"up to {cuts[0]}", *between, f"above {cuts[-1]}", last)
    named = len(cells.categories)
    names = (f"bin {k + 1} of {values}" for k in range(named)) if concealed else cells.categories
    return (*names, *(["other"] * (values - named)), "unseen")


def _feature(read: ReadModel, model_id: str, series: str) -> tuple[Mapping[str, Any], bool]:
    """What the lifecycle says of a series, and whether its values are nobody's business, or it is not known that."""
    registered = read.lifecycles.get(model_id)
    if registered is None:
        return {}, True
    lifecycle = registered.lifecycle
    features: dict[str, Any] = lifecycle.get("features", {})
    name = series.removeprefix("feature:")
    if name == series:
        return {}, False
    if name not in features:
        name = name.rpartition(".")[0] or name  # what is watched in place of a text or a vector
    of = features.get(name, {})
    return {} if isinstance(of, str) else of, name in lifecycle.get("privacy", {}).get("pii", ())
