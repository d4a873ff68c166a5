"""Takes the monitored values out of decoded events, as rows ready for numpy: the hottest lines of Leeway.

The rule behind what is fast here: take the numbers out of Python objects in few calls per event,
while these are still in the processor's cache, and let numpy work on large blocks later.
"""

import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import numpy as np

from detectors.binning import MAX_CATEGORY_LENGTH, Binner, Floats, Ints, json_text
from streams.profiling.fields import ABSENT, ABSENT_TEXT, ANSWERED
from streams.profiling.reading import Reading

_astuple: Callable[[Any], tuple[Any, ...]] = msgspec.structs.astuple


class Rows:
    """What one reading contributes to the flat vector of cells of its model.

    `pack` turns events into bytes of float64, one row per event, and adds their categories to counters;
    `count` bins many such rows at once.
    """

    def __init__(
        self,
        reading: Reading,
        binner: Binner,
        ranges: Mapping[str, tuple[float, float]],
        allowed: Mapping[str, frozenset[str]],
    ) -> None:
        position = {series.name: k for k, series in enumerate(binner.series)}
        values = [w for w in reading.numbers + reading.categories if w.name not in ("scores",)]
        lead = [w for w in values if w.name == "score"]
        features = [w for w in values if w.name not in ("score", "prediction")]
        self._score = reading.attribute["score"] if lead else None
        self._scores = reading.attribute.get("scores")
        self._status = reading.attribute.get("status")
        self._prediction = reading.attribute.get("prediction")
        self._rows, ordered = _rows_of(reading, [w.name for w in features])
        numeric = [name for name in ordered if binner.series[position[name]].numeric]
        self._width = len(numeric)
        self._with_score = self._score is not None
        self._with_prediction = self._prediction is not None
        prediction_is_number = (
            self._with_prediction and binner.series[position["prediction"]].numeric
        )
        self._numeric_prediction = prediction_is_number
        self._lead = self._with_score + prediction_is_number
        self.numeric = (
            ["score"] * self._with_score + ["prediction"] * prediction_is_number + numeric
        )
        self._pack = struct.Struct(f"{len(self.numeric)}d").pack
        self._columns = [
            (itemgetter(i), name) for i, name in enumerate(ordered) if name not in numeric
        ]
        self.categorical = [name for _, name in self._columns]
        if self._with_prediction and not prediction_is_number:
            self.categorical.append("prediction")
        self._positions = np.array([position[name] for name in self.numeric], np.int64)
        self._cells = binner.numbers(self._positions.tolist())
        self._ranges = [
            (i, name, *ranges[name]) for i, name in enumerate(self.numeric) if name in ranges
        ]
        self._folds = [
            (
                binner.categories[position[name]],
                binner.offsets[position[name]],
                name,
                allowed.get(name),
            )
            for name in self.categorical
        ]

    def counters(self) -> list[Counter[Any]]:
        """One empty counter per categorical series."""
        return [Counter() for _ in self.categorical]

    def pack(self, events: list[Any], counters: Sequence[Counter[Any]]) -> bytes:
        """Take out what is needed; the events can be freed after this."""
        rows = self._rows(events)
        lead = self._leading(events, counters) if self._lead or self._with_prediction else []
        for counter, (column, _) in zip(counters, self._columns, strict=False):
            counter.update(map(column, rows))
        width, pack = self._width, self._pack
        try:
            if len(lead) == 1:
                packed = [
                    pack(first, *row[:width]) for first, row in zip(lead[0], rows, strict=True)
                ]
            elif lead:
                packed = [
                    pack(*first, *row[:width])
                    for first, row in zip(zip(*lead, strict=True), rows, strict=True)
                ]
            elif width:
                packed = [pack(*row[:width]) for row in rows]
            else:
                return b""
        except struct.error:  # a missing value somewhere: numpy turns None into NaN
            leading = list(zip(*lead, strict=True)) if lead else [()] * len(rows)
            full = [(*first, *row[:width]) for first, row in zip(leading, rows, strict=True)]
            return np.array(full, np.float64).tobytes()
        return b"".join(packed)

    def _leading(self, events: list[Any], counters: Sequence[Counter[Any]]) -> list[list[Any]]:
        """Score and prediction, which are there only if the model answered."""
        scores = list(map(self._score, events)) if self._score else None
        predictions = list(map(self._prediction, events)) if self._prediction else None
        if scores is not None and self._scores is not None and None in scores:
            scores = [
                self._scores(event) if score is None else score
                for score, event in zip(scores, events, strict=True)
            ]
        statuses = list(map(self._status, events)) if self._status else []
        if statuses.count(None) != len(statuses):
            answered = [status in ANSWERED for status in statuses]
            if scores is not None:
                scores = [s if a else ABSENT for s, a in zip(scores, answered, strict=True)]
            if predictions is not None:
                absent: Any = ABSENT if self._numeric_prediction else ABSENT_TEXT
                predictions = [
                    p if a else absent for p, a in zip(predictions, answered, strict=True)
                ]
        lead = [scores] if scores is not None else []
        if predictions is not None:
            if self._numeric_prediction:
                lead.append(predictions)
            else:
                counters[-1].update(predictions)
        return lead

    def count(
        self,
        packed: Sequence[bytes],
        lengths: Sequence[int],
        violations: Sequence[dict[str, dict[str, int]]],
    ) -> tuple[Ints, Ints]:
        """Bin and count rows that lie group after group.

        Returns
        -------
        cells : int64, shape (groups, all cells)
        sums : int64, shape (groups, numeric series of this reading, 2); `positions` says which
        """
        width = len(self.numeric)
        block: Floats = np.frombuffer(b"".join(packed)).reshape(-1, width).T.copy()
        strange = np.isinf(block)
        if not strange.any():
            cells, sums = self._cells.count(block, lengths)
        else:
            absent = block == ABSENT
            block[strange] = 0.0
            cells, sums = self._cells.count(block, lengths, strange, absent)
            block[strange] = np.nan
        for i, name, low, high in self._ranges:
            out = (block[i] < low) | (block[i] > high)
            if out.any():
                start = 0
                for length, into in zip(lengths, violations, strict=True):
                    if n := int(np.count_nonzero(out[start : start + length])):
                        of = into.setdefault(name, {})
                        of["range"] = of.get("range", 0) + n
                    start += length
        return cells, sums

    @property
    def positions(self) -> Ints:
        """Positions of the numeric series in the reference."""
        return self._positions

    def fold(
        self,
        counters: Sequence[Counter[Any]],
        cells: Ints,
        invalid: dict[str, dict[str, int]],
        violations: dict[str, dict[str, int]],
    ) -> None:
        """Bring counted categories to their cells and empty the counters."""
        for (fold, offset, name, allowed), counter in zip(self._folds, counters, strict=True):
            counter.pop(ABSENT_TEXT, None)
            if allowed is not None and (outside := _outside(allowed, counter)):
                of = violations.setdefault(name, {})
                of["category"] = of.get("category", 0) + outside
            if too_long := fold.fold(counter, cells[offset : offset + fold.cells]):
                of = invalid.setdefault(name, {})
                of["too_long"] = of.get("too_long", 0) + too_long
            counter.clear()


def _outside(allowed: frozenset[str], counted: Mapping[Any, int]) -> int:
    """How many values are categories that were not declared."""
    found = 0
    for value, n in counted.items():
        text = value if isinstance(value, str) else "" if value is None else json_text(value)
        unusable = value is None or len(text) > MAX_CATEGORY_LENGTH
        found += 0 if unusable or text in allowed else n
    return found


_Extract = Callable[[list[Any]], list[tuple[Any, ...]]]


def _rows_of(reading: Reading, names: Sequence[str]) -> tuple[_Extract, list[str]]:
    """How decoded events become rows of feature values, numbers first, and which series stands where."""
    dotted = reading.dotted
    numeric = {w.name for w in reading.numbers}
    parents = {dotted[name].rpartition(".")[0] for name in names}
    if (
        len(parents) == 1 and "" not in parents
    ):  # all in one object and nothing else: the cheapest way
        node = attrgetter(*parents)
        series_of = {dotted[name].rpartition(".")[2]: name for name in names}
        fields = [f.name for f in msgspec.structs.fields(_struct_at(reading.struct, *parents))]
        if sorted(fields) == sorted(series_of) and len(series_of) == len(names):
            in_order = [series_of[f] for f in fields]
            return lambda events: list(map(_astuple, map(node, events))), in_order
    ordered = [n for n in names if n in numeric] + [n for n in names if n not in numeric]
    paths = [dotted[name] for name in ordered]
    if not paths:
        return lambda events: [()] * len(events), ordered
    values = attrgetter(*paths)
    if len(paths) == 1:
        return lambda events: [(values(event),) for event in events], ordered
    return lambda events: list(map(values, events)), ordered


def _struct_at(type_: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        type_ = next(f.type for f in msgspec.structs.fields(type_) if f.name == name)
    return type_
