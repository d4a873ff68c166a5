"""How does one lifecycle read events that bring a truth? Labels as their producers write them, and joined outcomes.

A label event is decided upon alone. It is *whole* (self-contained) if it has `model_id` and `loss`, or `label` with
`prediction` or `score`: then it is counted here. Another one that has a `label` and an `event_id` is the joiner's; the
rest is nobody's. What is null, absent or no finite number is not there.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from detectors.samples.effects import Ints
from streams.broker import Record
from streams.errors import InvalidEvent
from streams.lifecycle import Lifecycle
from streams.lifecycle.paths import Const, Path
from streams.lifecycle.sources import Source
from streams.profiling.codes import Codes
from streams.profiling.reading import Defects, Reading, moment_ms
from streams.profiling.structs import Want
from streams.topics import Names

LABELS, OUTCOMES = "labels", "outcomes"
NOBODYS, JOINERS, WHOLE = 0, 1, 2  # whose an event is

Kind = Literal["labels", "outcomes"]
_TELLING = ("label", "loss", "prediction", "score", "scores", "event_id")


class LabelReading(Reading):
    """How one lifecycle reads its labels, or the outcomes that the joiner writes for it in the names of contracts 1.1.

    Parameters
    ----------
    types : of `label`, `prediction` and `score`, and of each feature by whose cells errors are told apart
    nameless : for label events without a `model_id`, which only the joiner can use
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        kind: Kind,
        names: Names,
        types: Mapping[str, str],
        codes: Mapping[str, Codes] = MappingProxyType({}),
        *,
        nameless: bool = False,
    ) -> None:
        self.nameless = nameless
        self.joins = kind == LABELS and lifecycle.source.join is not None
        super().__init__(lifecycle, kind, names, types, codes)
        self.features = tuple(w.name for w in self.wants if w.name.startswith("feature:"))

    def _source(self, lifecycle: Lifecycle, kind: str) -> Source | None:
        return Source() if kind == OUTCOMES else lifecycle.source.labels

    def _mapped(self, name: str) -> Path | Const:
        return Const(None) if self.nameless and name == "model_id" else super()._mapped(name)

    def _wanted(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        yield from self._special("timestamp", "time")
        yield from self._special("event_id", "id")
        yield from self._special("label", types["label"])
        if self.nameless:
            model_id = super()._mapped("model_id")
            assert not isinstance(model_id, Const)  # a topic of one model has no nameless events
            yield Want("model_id", model_id, "nothing")
            return
        yield from self._special("loss", "number")
        yield from self._special("model_version", "version")
        yield from self._special("prediction", types["prediction"])
        yield from self._special("score", types["score"])
        scores = self._mapped("scores")
        if self._positive and not isinstance(scores, Const):
            yield Want("scores", (*scores, self._positive), types["score"])
        yield from self._special("prediction_timestamp", "moment")
        yield from self._special("label_confidence", "number")
        if self.kind == OUTCOMES:
            yield from self._special("weight", "weight")
        for segment in self.segments:
            if not segment.by:
                joined = self.kind == OUTCOMES
                path = ("tags", segment.name) if joined else self._segment_path(segment)
                yield Want(f"segment:{segment.name}", path, "tag")
        features = self._mapped("features")
        for series, type_ in types.items():
            if series.startswith("feature:") and not isinstance(features, Const):
                yield Want(series, (*features, series.removeprefix("feature:")), type_)

    def whose(self, events: Sequence[Any]) -> list[int]:
        """Who can use each of these events: `WHOLE`, `JOINERS` or `NOBODYS`."""
        others = JOINERS if self.joins else NOBODYS
        if self.nameless:
            return [
                others if label is not None and event_id is not None else NOBODYS
                for label, event_id in zip(
                    self.column("label", events), self.column("event_id", events), strict=True
                )
            ]
        return [
            WHOLE
            if loss is not None
            or (label is not None and (said is not None or score is not None or more is not None))
            else others
            if label is not None and event_id is not None
            else NOBODYS
            for label, loss, said, score, more, event_id in zip(
                *(self.column(name, events) for name in _TELLING), strict=True
            )
        ]

    def column(self, name: str, events: Sequence[Any]) -> list[Any]:
        """A field of every event; None where it is not there."""
        read = self.attribute.get(name)
        if read is not None:
            return list(map(read, events))
        mapped = self._mapped(name)
        return [mapped.value if isinstance(mapped, Const) else None] * len(events)

    def moments_ms(self, name: str, events: Sequence[Any]) -> Ints:
        """A time of every event in epoch milliseconds; -1 where it is not there."""
        found = self.column(name, events)
        if self.unit == "ms":
            try:
                return np.array([-1 if v is None else v for v in found], np.int64)
            except TypeError:
                pass  # texts among them
        return np.array([-1 if v is None else moment_ms(v, self.unit) for v in found], np.int64)

    def read(self, event: object, record: Record) -> tuple[Any, Defects]:
        """Look at each field on its own; what is wrong with an event that is the joiner's, it will count."""
        struct, defects = super().read(event, record)
        return struct, defects if self.whose([struct]) == [WHOLE] else Defects()

    def _value(self, want: Want, raw: object, defects: Defects) -> object:
        if raw is None or want.type not in ("moment", "weight"):
            return super()._value(want, raw, defects)
        if want.type == "weight":
            if isinstance(raw, bool) or raw not in (1, -1):
                defects.of[want.name] = "type"
                return 0  # counts nothing
            return int(raw)
        try:
            return self._time(want, raw)
        except InvalidEvent as defect:
            defects.of[want.name] = defect.reason
            return None


def label_readings(
    lifecycle: Lifecycle,
    names: Names,
    types: Mapping[str, str],
    codes: Mapping[str, Codes] = MappingProxyType({}),
) -> list[LabelReading]:
    """How a lifecycle reads its labels, and what the joiner makes of them; empty if it reads none."""
    if lifecycle.source.labels is None:
        return []
    found = [LabelReading(lifecycle, "labels", names, types, codes)]
    if lifecycle.source.join is not None:
        if not found[0].constant_id:
            found.append(LabelReading(lifecycle, "labels", names, types, nameless=True))
        found.append(LabelReading(lifecycle, "outcomes", names, types, codes))
    return found
