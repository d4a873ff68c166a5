"""What is one result, as the read model has it? Its numbers, and its document if that is in memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from alerting.identity import result_id
from alerting.types import Subject
from streams.views.documents import Result, Series
from streams.views.places import Elsewhere, Place, Recalled
from streams.views.whole import Whole


class Scoped(NamedTuple):
    """What one line of results is about."""

    model_id: str
    version: str
    segment: str
    scope: str


class Judged(NamedTuple):
    """One result: what lists, pages and metrics need of it, and where its document is."""

    end_ms: int
    start_ms: int
    subject: Scoped
    events: int
    late: int
    verdict: str
    reason: str
    log_statistic: float | None
    log_threshold: float | None
    effects: Mapping[str, float]  # kind -> largest effect over its floor
    logged_ms: int  # when it was written, by the log's clock
    place: Place
    whole: Whole

    @property
    def result_id(self) -> str:
        """The same that the judge gave it: ids follow from what they are about."""
        model_id, version, segment, scope = self.subject
        return result_id(Subject(model_id, version, segment), scope, self.start_ms, self.end_ms)

    @property
    def alarm_ratio(self) -> float | None:
        """The alarm's log statistic over its log threshold; it fires at 1. None: there is no alarm."""
        if not self.log_threshold:
            return None
        return max(self.log_statistic or 0.0, 0.0) / self.log_threshold

    @property
    def document(self) -> Any:
        """What the judge wrote. Raises `Elsewhere` where only the log has it."""
        value = self.whole.get(self.place)
        if value is None:
            raise Elsewhere((self.place,))
        return msgspec.json.decode(value)

    @property
    def series(self) -> list[Series]:
        """Every series of it. Raises `Elsewhere` where only the log has it."""
        value = self.whole.get(self.place)
        if value is None:
            raise Elsewhere((self.place,))
        return msgspec.json.decode(value, type=Result).series


def written(found: Sequence[Judged], recalled: Recalled) -> list[bytes | None]:
    """What the judge wrote of each window, in JSON, from memory or `recalled`; None: no longer on the log.

    Raises
    ------
    Elsewhere
        Naming all that is missing at once.
    """
    values = [
        recalled[one.place] if one.place in recalled else one.whole.get(one.place) for one in found
    ]
    missing = [
        one.place
        for one, value in zip(found, values, strict=True)
        if value is None and one.place not in recalled
    ]
    if missing:
        raise Elsewhere(tuple(missing))
    return values


def documents(found: Sequence[Judged], recalled: Recalled) -> list[Any]:
    """The same, decoded."""
    return [
        None if value is None else msgspec.json.decode(value) for value in written(found, recalled)
    ]


def largest(found: Iterable[Series]) -> dict[str, float]:
    """Per kind, the largest effect in units of the smallest one that matters."""
    sizes: dict[str, float] = {}
    for one in found:
        if one.effect is not None and one.effect.floor > 0:
            kind = "data_drift" if ":" in one.series else "prediction_drift"
            sizes[kind] = max(sizes.get(kind, 0.0), abs(one.effect.value) / one.effect.floor)
    return sizes
