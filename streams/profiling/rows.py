"""Takes the monitored values out of decoded events, as rows ready for numpy: the hottest lines of Leeway.

The rule behind what is fast here: take the numbers out of Python objects in few calls per event,
while these are still in the processor's cache, and let numpy work on large blocks later.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, starmap
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import numpy as np

from detectors.binning import Binner, Floats, Ints
from detectors.performance.unlabelled import EstimateLayout
from detectors.performance.unlabelled import count as count_hopes
from detectors.reference.derived import Derivation
from detectors.reference.joint import Joint
from detectors.series import Series
from streams.profiling.codes import OUTSIDE, TOO_LONG, Codes, split
from streams.profiling.fields import ABSENT, ANSWERED
from streams.profiling.reading import Reading
from streams.profiling.structs import Columns, column

_astuple: Callable[[Any], tuple[Any, ...]] = msgspec.structs.astuple
_OUTPUTS = ("score", "prediction")


class Rows:
    """What one reading contributes to the flat vector of cells of its model.

    `pack` turns events into bytes of float64; `count` bins many of them at once.

    Parameters
    ----------
    binner : of the model
    codes : of its categories
    ranges : declared bounds of numeric series
    derived : how to compute the series that are no field of an event
    hopes : where predictions are counted for an estimate; None: nowhere
    """

    def __init__(
        self,
        reading: Reading,
        binner: Binner,
        codes: Mapping[str, Codes],
        ranges: Mapping[str, tuple[float, float]],
        derived: Sequence[Derivation] = (),
        hopes: EstimateLayout | None = None,
    ) -> None:
        position = {series.name: k for k, series in enumerate(binner.series)}
        names = [want.name for want in reading.series if want.name != "scores"]
        alone = [n for n in names if n not in _OUTPUTS and (n in reading.codes or n not in codes)]
        self._rows, in_rows = _rows_of(reading, alone)
        self._width = len(in_rows)
        self._pack = struct.Struct(f"{self._width}d").pack
        self._scores = reading.extract.get("scores")
        self._columns = [
            (name, reading.extract[name], None if name in reading.codes else codes.get(name))
            for name in names
            if name not in alone
        ]
        raw = {want.name for want in reading.raw}
        measured = [d for d in derived if not isinstance(d, Joint) and d.feature in raw]
        self._measures = [(reading.extract[d.feature], d.measure()) for d in measured]
        self._widths = [self._width] * bool(self._width) + [1] * len(self._columns)
        self._widths += [len(d.names) for d in measured]
        series = [*in_rows, *(name for name, _, _ in self._columns)]
        series += [name for d in measured for name in d.names]
        place = {name: i for i, name in enumerate(series)}
        self._joint = [
            (d, np.array([place[name] for name in d.features]), slice(len(series), None))
            for d in derived
            if isinstance(d, Joint) and all(name in place for name in d.features)
        ]
        series += [name for d, _, _ in self._joint for name in d.names]
        self._series = len(series)
        numeric = [i for i, name in enumerate(series) if name not in codes]
        categorical = [i for i, name in enumerate(series) if name in codes]
        self._numeric, self._categorical = np.array(numeric, int), np.array(categorical, int)
        #: positions in the reference of the numeric series
        self.positions: Ints = np.array([position[series[i]] for i in numeric], np.int64)
        self._cells = binner.numbers(self.positions.tolist())
        self._ranges = [(i, name, *ranges[name]) for i, name in enumerate(series) if name in ranges]
        self._categories = [series[i] for i in categorical]
        self._codes = [codes[name] for name in self._categories]
        offsets = [binner.offsets[position[name]] for name in self._categories]
        self._offsets = np.array(offsets, np.int64).reshape(-1, 1)
        self._hopes = hopes if "prediction" in self._categories and "score" in place else None
        if self._hopes is not None:
            self._score, self._predicted = place["score"], place["prediction"]
            self._said = codes["prediction"]
            self._classes = _classes(binner.series[position["prediction"]], self._hopes)

    def pack(
        self, events: Sequence[Any], fields: Columns, statuses: Sequence[Any] | None = None
    ) -> tuple[bytes, ...]:
        """Take out what is needed; the events can be freed after this.

        Parameters
        ----------
        fields : their `columns`
        statuses : of the events, where some were not answered

        Returns
        -------
        blocks of float64: the features row after row, then one series each, then row after row again the numbers
        of each text, identifier or vector
        """
        blocks = [doubles(values) for values in self._by_itself(fields, statuses)]
        for read, measure in self._measures:
            blocks.append(doubles([*chain.from_iterable(map(measure, read(fields)))]))
        if self._width:
            rows = list(self._rows(events, fields))
            try:
                blocks.insert(0, b"".join(starmap(self._pack, rows)))
            except struct.error:  # a missing value somewhere
                blocks.insert(0, _with_missing(rows))
        return tuple(blocks)

    def _by_itself(
        self, fields: Columns, statuses: Sequence[Any] | None
    ) -> Iterator[Sequence[Any]]:
        """Series outside the rows: outputs, which are there only if the model answered, and what is a segment too."""
        for name, read, codes in self._columns:
            values = read(fields)
            if name == "score" and self._scores is not None and None in values:
                others = self._scores(fields)
                values = [o if v is None else v for v, o in zip(values, others, strict=True)]
            if codes is not None:
                values = list(map(codes.of, values))
            if statuses is not None and name in _OUTPUTS:
                values = [
                    v if s in ANSWERED else ABSENT for v, s in zip(values, statuses, strict=True)
                ]
            yield values

    def count(
        self,
        packed: Sequence[tuple[bytes, ...]],
        lengths: Sequence[int],
        invalid: Sequence[dict[str, dict[str, int]]],
        violations: Sequence[dict[str, dict[str, int]]],
    ) -> tuple[Ints, Ints, Ints | None]:
        """Bin and count what `pack` returned, group after group.

        Parameters
        ----------
        lengths : events of each group
        invalid, violations : of each group, by series and reason; what is found is added

        Returns
        -------
        cells : int64, shape (groups, all cells)
        sums : int64, shape (groups, numeric series of this reading, 2); `positions` says which
        hopes : what an estimate needs of the same events, a vector per group; None where there is no estimate
        """
        block = self._block(packed, sum(lengths))
        cells, sums = self._count_numbers(block[self._numeric], lengths)
        if self._categories:
            self._count_categories(block[self._categorical], lengths, invalid, violations, cells)
        for i, name, low, high in self._ranges:
            out = ((block[i] < low) | (block[i] > high)) & ~np.isinf(block[i])
            if out.any():
                _add(name, "range", out, lengths, violations)
        hopes = self._count_hopes(self._hopes, block, lengths) if self._hopes is not None else None
        return cells, sums, hopes

    def _count_hopes(self, layout: EstimateLayout, block: Floats, lengths: Sequence[int]) -> Ints:
        places, _ = split(block[[self._predicted]], [self._said])
        said = np.where(places[0] < 0, -1, self._classes[places[0]])
        groups = np.repeat(np.arange(len(lengths)), lengths)
        return count_hopes(layout, said, block[self._score], groups, len(lengths))

    def _count_categories(
        self,
        block: Floats,
        lengths: Sequence[int],
        invalid: Sequence[dict[str, dict[str, int]]],
        violations: Sequence[dict[str, dict[str, int]]],
        out: Ints,
    ) -> None:
        places, beside = split(block, self._codes)
        absent = places < 0 if beside is not None else None
        places += self._offsets
        if len(lengths) > 1:
            places += np.repeat(np.arange(len(lengths)) * out.shape[1], lengths)
        flat = places.ravel() if absent is None else places[~absent]
        out += np.bincount(flat, minlength=out.size).reshape(out.shape)
        if beside is not None:
            for name, of in zip(self._categories, beside, strict=True):
                if of.any():
                    _add(name, "too_long", of == TOO_LONG, lengths, invalid)
                    _add(name, "category", of == OUTSIDE, lengths, violations)

    def _block(self, packed: Sequence[tuple[bytes, ...]], events: int) -> Floats:
        """All series, one per row."""
        block: Floats = np.empty((self._series, events))
        first = 0
        for width, parts in zip(self._widths, zip(*packed, strict=True), strict=True):
            values: Floats = np.frombuffer(b"".join(parts))
            block[first : first + width] = values.reshape(-1, width).T
            first += width
        for joint, of, to in self._joint:
            block[to] = joint.measured(block[of])
        return block

    def _count_numbers(self, block: Floats, lengths: Sequence[int]) -> tuple[Ints, Ints]:
        strange = np.isinf(block)
        if not strange.any():
            return self._cells.count(block, lengths)
        absent = block == ABSENT
        block[strange] = 0.0
        return self._cells.count(block, lengths, strange, absent)


def _classes(series: Series, hopes: EstimateLayout) -> Ints:
    """Cell of a prediction -> the code of its class; another one, and none."""
    classes = hopes.outcomes.classes
    known = {text: code for code, text in enumerate(classes)}
    found = np.full(series.cells, len(classes), np.int64)
    for cell, text in enumerate(series.categories):
        found[cell] = known.get(text, len(classes))
    found[-1] = -1  # missing
    return found


def _add(
    name: str,
    reason: str,
    which: Any,
    lengths: Sequence[int],
    into: Sequence[dict[str, dict[str, int]]],
) -> None:
    """Add how many of each group's values there are."""
    start = 0
    for length, group in zip(lengths, into, strict=True):
        if n := int(np.count_nonzero(which[start : start + length])):
            of = group.setdefault(name, {})
            of[reason] = of.get(reason, 0) + n
        start += length


def doubles(numbers: Sequence[Any]) -> bytes:
    """Numbers as float64, None as NaN."""
    try:
        return struct.pack(f"{len(numbers)}d", *numbers)
    except struct.error:
        return _with_missing(numbers)


def _with_missing(numbers: Sequence[Any]) -> bytes:
    """Numpy turns None into NaN, at several times the price."""
    return np.array(numbers, np.float64).tobytes()


_Extract = Callable[[Sequence[Any], Columns], Any]


def _rows_of(reading: Reading, names: Sequence[str]) -> tuple[_Extract, list[str]]:
    """How decoded events become rows of feature values, and which series stands where."""
    dotted = reading.dotted
    parents = {dotted[name].rpartition(".")[0] for name in names}
    if len(parents) == 1 and "" not in parents:  # all in one object: the cheapest way
        node = column(reading.struct, *parents)
        series_of = {dotted[name].rpartition(".")[2]: name for name in names}
        fields = [f.name for f in msgspec.structs.fields(_struct_at(reading.struct, *parents))]
        width = len(names)
        if len(series_of) == width and set(fields[:width]) == set(series_of):
            in_order = [series_of[field] for field in fields[:width]]
            if len(fields) == width:
                return lambda _, fields: map(_astuple, node(fields)), in_order
            cut = itemgetter(slice(width))
            return lambda _, fields: map(cut, map(_astuple, node(fields))), in_order
    paths = [dotted[name] for name in names]
    if not paths:
        return lambda *_: (), []
    values = attrgetter(*paths)
    if len(paths) == 1:
        return lambda events, _: ((values(event),) for event in events), list(names)
    return lambda events, _: map(values, events), list(names)


def _struct_at(type_: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        type_ = next(f.type for f in msgspec.structs.fields(type_) if f.name == name)
    return type_
