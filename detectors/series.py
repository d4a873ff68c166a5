"""How one monitored quantity is cut into cells: frozen edges or categories, part of the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SeriesType = Literal["number", "integer", "category", "boolean"]

#: What is watched in place of a feature that no cell can hold: numbers, as series ``feature:NAME.PART``.
PARTS: Mapping[str, tuple[str, ...]] = {
    "text": ("length", "words", "unseen", "digits", "punctuation", "non_ascii"),
    "vector": ("norm", "distance"),
    "identifier": ("length", "unseen"),
}


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a reference: its name, type and cells.

    Every series has the cells ``value 0 … B-1``, ``odd``, ``missing``, in this order; their sum is the number of
    events that belong to the series. ``odd`` holds invalid values (wrong type, infinite) and, for categories, values
    that the reference did not contain.

    A *numeric* cell is ``(e[b-1], e[b]]``, the first and the last are open: ``B = len(edges) + 1``. With `support`
    (integers of few values) cell ``b`` holds exactly ``support[b]`` and anything else is odd: ``B = len(support)``.
    A *category* has one cell for each of `categories` and, if `known` is not empty, one for the other values that the
    reference contained. A *boolean* is a category over ``false`` and ``true``.
    """

    name: str  # feature:NAME, prediction, score
    type: SeriesType
    edges: tuple[float, ...] = ()
    support: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    known: tuple[str, ...] = ()  # in the reference, beyond the most frequent: counted as `other`
    centre: float = 0.0  # median of the reference
    scale: float = 1.0  # its interquartile range / 1.349
    ends: tuple[float, float] | None = None  # its .1 % and 99.9 % quantiles: where open cells end

    @property
    def numeric(self) -> bool:
        return self.type in ("number", "integer")

    @property
    def values(self) -> int:
        """Number of value cells, B."""
        if self.numeric:
            return len(self.support) or len(self.edges) + 1
        return len(self.categories) + bool(self.known)

    @property
    def cells(self) -> int:
        """All cells: B value cells, odd, missing."""
        return self.values + 2
