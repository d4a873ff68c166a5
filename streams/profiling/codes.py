"""Which number stands for a category? Texts are decoded straight to codes, so that an event is nothing but float64.

A code is the number of a cell plus a half. JSON's whole numbers and booleans, which can be categories too, stay what
they are in the decoder, and the half tells the two apart once numpy looks at them. Decoding a text costs the same
either way; what is saved is a string per value, its hash, and a dictionary of counts per group.
"""

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.binning import INVALID_TEXT, CategoryCells, json_text
from streams.profiling.fields import ABSENT, INVALID

TOO_LONG, OUTSIDE = 1, 2  # what else there is to say about a value, beside its cell
_FLAG_BITS = 16  # more cells than a series can have
_FLAG = 1 << _FLAG_BITS
_HALF = 0.5
# beyond it a whole number may not be a double, and is looked at
_WHOLE = Annotated[int, msgspec.Meta(ge=-(2**52), le=2**52)]


class Codes:
    """The codes of one category or boolean series.

    Parameters
    ----------
    cells : where its texts are counted
    allowed : the texts that were declared; others are `OUTSIDE`. None: nothing was.

    Examples
    --------
    >>> from detectors.series import Series
    >>> home = Codes(CategoryCells(Series("feature:home", "category", categories=("own", "rent"))))
    >>> home.of("own"), home.of("rent"), home.of("ship"), home.of(None)
    (0.5, 1.5, 2.5, nan)
    """

    def __init__(self, cells: CategoryCells, allowed: frozenset[str] | None = None) -> None:
        self._cells, self._allowed = cells, allowed
        self._codes: dict[str, float] = {text: self._code(text) for text in cells.series.categories}
        self._codes[INVALID_TEXT] = INVALID

    @property
    def annotation(self) -> Any:
        """What msgspec decodes to a code, or to a whole number or boolean whose code is found later."""
        if self._cells.series.type == "boolean":
            return bool | None
        members = {f"c{i}": of for i, of in enumerate(self._codes.items())}
        return _enum(members, self.of) | _WHOLE | None

    def of(self, value: str | int | float | None) -> float:
        """The code of a value; what is a code or stands for no value stays as it is."""
        if value is None:
            return math.nan
        if isinstance(value, float):
            return value
        text = value if isinstance(value, str) else json_text(value)
        return self._codes[text] if text in self._codes else self._code(text)

    def _code(self, text: str) -> float:
        cell, usable = self._cells.cell(text)
        outside = usable and self._allowed is not None and text not in self._allowed
        return cell + _HALF + _FLAG * (OUTSIDE if outside else 0 if usable else TOO_LONG)

    def resolve(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Codes for what the decoder left as it is: whole numbers, booleans, missing and invalid values.

        Those of absent values are below zero.
        """
        strange = np.isinf(values)
        stand_ins = np.where(values == ABSENT, -_HALF, self._cells.odd + _HALF)
        codes = np.where(strange, stand_ins, values)
        codes[np.isnan(values)] = self._cells.missing + _HALF
        whole = np.floor(codes) == codes
        distinct, which = np.unique(codes[whole], return_inverse=True)
        boolean = self._cells.series.type == "boolean"
        texts = [json_text(bool(v) if boolean else int(v)) for v in distinct.tolist()]
        codes[whole] = np.array([self.of(text) for text in texts])[which]
        return codes


def split(
    block: NDArray[np.float64], series: Sequence[Codes]
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Cells of decoded values, and what else there is to say about each; both -1 where values are absent.

    Parameters
    ----------
    block : shape (series, rows)

    Returns
    -------
    cells : shape (series, rows)
    beside : the same, 0, `TOO_LONG` or `OUTSIDE`; None if there is nothing to say
    """
    with np.errstate(invalid="ignore"):  # of what is resolved below
        codes = block.astype(np.int64)
    plain = (block - codes == _HALF).all(axis=1)
    for i in np.flatnonzero(~plain).tolist():
        codes[i] = np.floor(series[i].resolve(block[i]))
    if codes.max(initial=0) < _FLAG and codes.min(initial=0) >= 0:
        return codes, None
    beside = codes >> _FLAG_BITS
    return np.where(beside < 0, codes, codes & (_FLAG - 1)), beside


def _enum(members: dict[str, tuple[str, float]], other: Callable[[str], float]) -> Any:
    """A type that msgspec decodes texts to: one float for each member, and whatever `other` says for the rest."""

    class Category(float, Enum):
        def __new__(cls, text: str, code: float) -> "Category":
            member = float.__new__(cls, code)
            member._value_ = text
            return member

        @classmethod
        def _missing_(cls, value: object) -> Any:
            return other(str(value))

    functional: Any = Category  # the enum's own call, not that of the class above
    return functional("Category", members)
