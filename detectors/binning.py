"""Values in, cell counts out: the only place that decides which cell a value falls into.

Everything that is added across events is an integer, so that any split of the events into batches, panes and processes
adds up to the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.series import Series, SeriesType

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MAX_CATEGORY_LENGTH = 256  # a longer text is no category but a defect
INVALID_TEXT = "\0" * (
    MAX_CATEGORY_LENGTH + 1
)  # stands for a category value of the wrong type: too long to be one
UNIT = 2.0**12  # moments are sums of whole numbers of 1/4096 of a reference standard deviation
REACH = 32.0  # and clipped at this many: 2^19 squares of them stay exact in a float64


@dataclass(frozen=True, slots=True)
class Column:
    """One series of many events. `values`: float64 with NaN for missing, or texts with None for missing.

    `odd` marks invalid values and overrides `values`.
    """

    name: str
    type: SeriesType
    values: Floats | list[str | None]
    odd: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts per group: `cells` int64 (groups, all cells of all series), `sums` int64 (groups, series, 2).

    `sums` holds Σa and Σa² of the standardised, quantised values of numeric series, 0 for others.
    """

    cells: Ints
    sums: Ints


class NumericCells:
    """Bins whole blocks of numbers, all numeric series of a reference at once.

    Comparing a block with each column of edges in turn costs a quarter of one `searchsorted` per value, which branches
    at every step. Cost: O(edges) vectorised passes.

    Parameters
    ----------
    series : the numeric ones
    offsets : position of each one's first cell in the flat vector
    total : length of the flat vector
    """

    def __init__(self, series: Sequence[Series], offsets: Sequence[int], total: int) -> None:
        self._total = total
        width = max((s.values - 1 for s in series), default=0)
        edges = np.full((len(series), width), np.inf)
        for row, s in zip(edges, series, strict=True):
            # Between two supported integers any edge separates; what is not one of them becomes odd below.
            cuts = [a + 0.5 for a in s.support[:-1]] if s.support else s.edges
            row[: len(cuts)] = cuts
        self._edges = edges.T[:, :, None].copy()
        self._support = [(k, np.array(s.support)) for k, s in enumerate(series) if s.support]
        self._first = np.array(offsets, np.int32).reshape(-1, 1)
        self._odd = self._first + np.array([s.values for s in series], np.int32).reshape(-1, 1)
        self._centre = np.array([s.centre for s in series]).reshape(-1, 1)
        self._unit = UNIT / np.array([s.scale for s in series]).reshape(-1, 1)

    def count(
        self,
        block: Floats,
        lengths: Sequence[int],
        odd: NDArray[np.bool_] | None = None,
        absent: NDArray[np.bool_] | None = None,
    ) -> tuple[Ints, Ints]:
        """Count rows that lie group after group.

        Parameters
        ----------
        block : float64, shape (series, rows), C-contiguous
            NaN is missing.
        lengths : rows per group, each at least 1, adding up to all rows
        odd : bool, shape (series, rows)
            Invalid values; they override `block`.
        absent : bool, shape (series, rows)
            Values of events that do not belong to the series: in no cell at all. They override `odd`.

        Returns
        -------
        cells : int64, shape (groups, total)
        sums : int64, shape (groups, series, 2)
        """
        cells = np.empty(block.shape, np.int32)
        cells[:] = self._first
        above = np.empty(block.shape, bool)
        ones = above.view(np.uint8)  # the same bytes: to add truth values costs numpy a conversion
        bins = np.zeros(block.shape, np.uint8)
        for column in self._edges:
            np.greater(block, column, out=above)
            np.add(bins, ones, out=bins)
        with np.errstate(
            over="ignore"
        ):  # a value near the largest float becomes infinite, and is clipped
            units = block - self._centre
            units *= self._unit
        np.clip(units, -REACH * UNIT, REACH * UNIT, out=units)
        np.rint(units, out=units)
        strange = odd
        for k, support in self._support:
            off = support[bins[k]] != block[k]
            if off.any():
                off &= ~np.isnan(block[k])  # missing is not odd
                strange = np.zeros(block.shape, bool) if strange is None else strange.copy()
                strange[k] |= off
        cells += bins
        if np.isnan(units.sum()):
            missing = np.isnan(block)
            cells = np.where(missing, self._odd + 1, cells)
            units[missing] = 0.0
        if strange is not None:
            cells = np.where(strange, self._odd, cells)
            units[strange] = 0.0
        groups = len(lengths)
        if groups > 1:
            cells += np.repeat(np.arange(groups, dtype=np.int32) * np.int32(self._total), lengths)
            starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
            first, second = (np.add.reduceat(u, starts, axis=1).T for u in (units, units * units))
        else:
            first, second = units.sum(1)[None], np.square(units).sum(1)[None]
        if absent is not None:
            cells = cells[~absent]
        flat = np.bincount(cells.ravel(), minlength=groups * self._total)
        sums = np.stack([first, second], axis=2).astype(np.int64)
        return flat.reshape(groups, self._total), sums


class CategoryCells:
    """Which cell of a category or boolean series a text belongs to."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.odd, self.missing = series.values, series.values + 1
        self._cell = {text: i for i, text in enumerate(series.categories)}
        self._cell |= {text: len(series.categories) for text in series.known}

    def cell(self, text: str) -> tuple[int, bool]:
        """The cell of a text, and whether it can be a category at all: one that is too long cannot."""
        if len(text) > MAX_CATEGORY_LENGTH:
            return self.odd, False
        return self._cell.get(text, self.odd), True


def json_text(value: bool | int) -> str:
    """The JSON text of an integer or boolean, under which it is a category.

    >>> json_text(True), json_text(7)
    ('true', '7')
    """
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


class Binner:
    """All series of a reference: their places in one flat vector of cells, and counting columns into it.

    Examples
    --------
    >>> age = Series("feature:age", "number", edges=(18.0, 40.0))
    >>> home = Series("feature:home", "category", categories=("rent", "own"))
    >>> columns = [Column("feature:age", "number", np.array([17, 30, np.nan, 90]), np.zeros(4, bool)),
    ...            Column("feature:home", "category", ["own", "ship", None, "rent"], np.zeros(4, bool))]
    >>> Binner([age, home]).count(columns).cells.tolist()
    [[1, 1, 1, 0, 1, 1, 1, 1, 1]]
    """

    def __init__(self, series: Sequence[Series]) -> None:
        self.series = tuple(series)
        widths = [s.cells for s in self.series]
        self.offsets: tuple[int, ...] = tuple(sum(widths[:k]) for k in range(len(widths)))
        self.total = sum(widths)
        self.numeric = tuple(k for k, s in enumerate(self.series) if s.numeric)
        self.categorical = tuple(k for k, s in enumerate(self.series) if not s.numeric)
        self.categories = {k: CategoryCells(self.series[k]) for k in self.categorical}

    def numbers(self, which: Sequence[int]) -> NumericCells:
        """The binning of some of the numeric series, by their positions."""
        return NumericCells(
            [self.series[k] for k in which], [self.offsets[k] for k in which], self.total
        )

    def count(
        self, columns: Sequence[Column], groups: Ints | None = None, n_groups: int = 1
    ) -> Counts:
        """Count whole columns, in the order of the series; `groups` names each row's group.

        Raises
        ------
        ValueError
            The columns are not those of the series.
        """
        if [(c.name, c.type) for c in columns] != [(s.name, s.type) for s in self.series]:
            raise ValueError("the columns are not those of the series")
        cells = np.zeros((n_groups, self.total), np.int64)
        sums = np.zeros((n_groups, len(self.series), 2), np.int64)
        if not columns or not len(columns[0].values):
            return Counts(cells, sums)
        at = np.zeros(len(columns[0].values), np.int64) if groups is None else groups
        order = np.argsort(at, kind="stable")
        present, lengths = np.unique(at, return_counts=True)
        if self.numeric:
            block = np.stack(
                [np.asarray(columns[k].values, np.float64)[order] for k in self.numeric]
            )
            odd = np.stack([columns[k].odd[order] for k in self.numeric]) | np.isinf(block)
            counted, sums_of = self.numbers(self.numeric).count(
                np.where(odd, 0.0, block), lengths.tolist(), odd
            )
            cells[present] += counted
            sums[np.ix_(present, np.array(self.numeric))] += sums_of
        for k in self.categorical:
            column, of, first = columns[k], self.categories[k], self.offsets[k]
            for row, (text, is_odd) in enumerate(zip(column.values, column.odd, strict=True)):
                cell = of.missing if text is None else of.cell(text)[0]
                cells[at[row], first + (of.odd if is_odd else cell)] += 1
        return Counts(cells, sums)
