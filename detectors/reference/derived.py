"""Which numbers are watched in place of what cannot be counted itself? Those of texts, vectors, identifiers, and of
all numbers together.

A derivation is the frozen part of it: what has to be known to compute, from one event, the numbers of its series.
These are binned and judged like any other number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any, Literal, NamedTuple

import numpy as np

from detectors.binning import MAX_CATEGORY_LENGTH, Column, json_text
from detectors.edges import KNOWN_CATEGORIES, MINIMUM_ROWS
from detectors.reference import joint, text, vectors
from detectors.reference.joint import Joint
from detectors.samples.effects import Floats, Ints
from detectors.series import PARTS

_INVALID = inf  # no number, but something that should have been one


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """A feature of many events that no cell can hold: texts or vectors, None for missing.

    `odd` marks invalid values and overrides `values`.
    """

    name: str
    type: Literal["text", "vector"]
    values: Sequence[Any]
    odd: np.ndarray


@dataclass(frozen=True, slots=True)
class Text:
    """Of a text: the words that the reference contained, as ascending 64-bit hashes."""

    feature: str
    known: tuple[int, ...]
    type = "text"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.feature}.{part}" for part in PARTS["text"])

    def measure(self) -> Callable[[Any], tuple[float, ...]]:
        """What computes the numbers of a value; None is missing, and a number stands for an invalid value."""
        vocabulary = text.Vocabulary(self.known)

        def numbers(value: Any) -> tuple[float, ...]:
            if isinstance(value, str):
                return text.measured(value, vocabulary)
            return (nan if value is None else _INVALID,) * len(PARTS["text"])

        return numbers


@dataclass(frozen=True, slots=True)
class Vector:
    """Of a vector: the reference's centre."""

    feature: str
    centre: tuple[float, ...]
    type = "vector"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.feature}.{part}" for part in PARTS["vector"])

    def measure(self) -> Callable[[Any], tuple[float, ...]]:
        """What computes the numbers of a value; None is missing, and a number stands for an invalid value."""
        centre = self.centre

        def numbers(value: Any) -> tuple[float, ...]:
            if isinstance(value, list) and len(value) == len(centre):
                return vectors.measured(value, centre)
            return (nan, nan) if value is None else (_INVALID, _INVALID)

        return numbers


@dataclass(frozen=True, slots=True)
class Identifier:
    """Of a category with too many values: the most frequent ones as ascending 64-bit hashes.

    None where nearly every row has its own: then nothing can be known of new ones.
    """

    feature: str
    known: tuple[int, ...] | None
    type = "identifier"

    @property
    def names(self) -> tuple[str, ...]:
        parts = PARTS["identifier"][: 1 if self.known is None else 2]
        return tuple(f"{self.feature}.{part}" for part in parts)

    def measure(self) -> Callable[[Any], tuple[float, ...]]:
        """What computes the numbers of a value; None is missing, and a number stands for an invalid value."""
        vocabulary = None if self.known is None else text.Vocabulary(self.known)
        width = len(self.names)

        def numbers(value: Any) -> tuple[float, ...]:
            if value is None:
                return (nan,) * width
            if isinstance(value, bool | int):
                value = json_text(value)
            if not isinstance(value, str) or len(value) > MAX_CATEGORY_LENGTH:
                return (_INVALID,) * width
            if vocabulary is None:
                return (float(len(value)),)
            return float(len(value)), float(vocabulary.unseen((value,)))

        return numbers


Derivation = Text | Vector | Identifier | Joint


def features_of(derivations: Sequence[Derivation]) -> Mapping[str, str]:
    """The feature that each derived series is about; a joint one is about all.

    >>> features_of([Vector("feature:face", (0.0, 0.0))])
    {'feature:face.norm': 'feature:face', 'feature:face.distance': 'feature:face'}
    """
    return {
        name: joint.NAME if isinstance(one, Joint) else one.feature
        for one in derivations
        for name in one.names
    }


class Derived(NamedTuple):
    """The reference's columns with numbers in place of what cannot be counted, and how to compute these."""

    columns: tuple[Column, ...]
    derivations: tuple[Derivation, ...]
    warnings: tuple[str, ...]


def derive(columns: Sequence[Column | Raw], groups: Ints, together: Sequence[str] = ()) -> Derived:
    """Learn from the reference what derived series need, and compute them for its own rows.

    Parameters
    ----------
    columns : of one length
    groups : int64, shape (rows,)
        Rows that may repeat each other: the windows, or each row by itself. No row is measured by what its own group
        taught, or new rows would look like drift.
    together : names of the numbers whose relations are watched; none: these are not
    """
    out: list[Column] = []
    learnt: list[Derivation] = []
    warnings: list[str] = []
    for column in columns:
        if isinstance(column, Raw):
            found = _text(column, groups) if column.type == "text" else _vector(column)
        elif column.type == "category":
            found = _category(column, groups)
        else:
            found = Derived((column,), (), ())
        out += found.columns
        learnt += found.derivations
        warnings += found.warnings
    if together:
        found = _joint([c for c in out if c.name in together], groups)
        out += found.columns
        learnt += found.derivations
        warnings += found.warnings
    return Derived(tuple(out), tuple(learnt), tuple(warnings))


def _text(column: Raw, groups: Ints) -> Derived:
    texts = [
        v if isinstance(v, str) and not o else None
        for v, o in zip(column.values, column.odd, strict=True)
    ]
    learnt = text.learn([text.tokens(t or "") for t in texts], groups)
    one = Text(column.name, learnt.known)
    numbers = _numbers(one, texts, column.odd)
    numbers[PARTS["text"].index("unseen")] = learnt.unseen
    kept = f"{text.MOST_KNOWN} of {learnt.distinct}" if learnt.distinct > text.MOST_KNOWN else ""
    warnings = (
        (f"{column.name}: {kept} words are kept: the others count as unseen",) if kept else ()
    )
    return Derived(_columns(one.names, numbers, column.odd), (one,), warnings)


def _vector(column: Raw) -> Derived:
    usable = [v for v, odd in zip(column.values, column.odd, strict=True) if v and not odd]
    lengths, held = np.unique([len(v) for v in usable], return_counts=True)
    if not len(lengths):
        return Derived((), (), (f"{column.name}: no vector in any row: it is left out",))
    length = int(lengths[held.argmax()])
    mine = np.array([v is not None and len(v) == length for v in column.values]) & ~column.odd
    odd = np.array([v is not None for v in column.values]) & ~mine | column.odd
    centre, measures = vectors.learn([v for v, m in zip(column.values, mine, strict=True) if m])
    numbers = np.full((len(PARTS["vector"]), len(mine)), nan)
    numbers[:, mine] = measures
    one = Vector(column.name, centre)
    other = len(usable) - int(held.max())
    warnings = (
        (
            f"{column.name}: {other} vectors do not have {length} numbers, as most do: they are invalid",
        )
        if other
        else ()
    )
    return Derived(_columns(one.names, numbers, odd), (one,), warnings)


def _category(column: Column, groups: Ints) -> Derived:
    """A category as it is, or the numbers of an identifier."""
    values, present, distinct = _texts_of(column)
    own_each = 2 * distinct > present
    if present < MINIMUM_ROWS or not (own_each or distinct > KNOWN_CATEGORIES):
        return Derived((column,), (), ())
    learnt = text.learn([[] if v is None else [v] for v in values], groups)
    one = Identifier(column.name, None if own_each else learnt.known)
    numbers = _numbers(one, values, column.odd)
    if not own_each:
        numbers[1] = learnt.unseen
    watched = "length is" if own_each else "length and its share of unseen values are"
    warning = (
        f"{column.name}: {distinct} distinct values in {present} rows look like an identifier: "
        f"its {watched} watched, not its values"
    )
    return Derived(_columns(one.names, numbers, column.odd), (one,), (warning,))


def as_new(column: Column, groups: Ints) -> tuple[Column, tuple[str, ...]]:
    """A category of the reference as it is counted, and what to warn about: values that only one group has are odd.

    Some values of production will be unseen, drift or not. How many is what the reference's rows say of each other:
    with single rows as groups, its share of values that come but once (Good 1953; see
    `detectors.reference.text.learn`). The cells are cut from the column itself: those values are known from then on.

    Measured on 10,000 reference rows of a Zipf law of exponent 1.5 (4.4 % unseen), 25 windows of 10,000 rows, a
    threshold of 1,000: 0 of 12 runs alarm. With a reference that has no odd row, every run does in its first window.
    """
    values, present, distinct = _texts_of(column)
    if column.type != "category" or present < MINIMUM_ROWS:
        return column, ()
    news = text.learn([[] if v is None else [v] for v in values], groups).unseen == 1.0
    if not news.any():
        return column, ()
    warning = (
        f"{column.name}: {distinct} distinct values in {present} rows, {news.sum() / present:.1%} of them in one "
        "place only: as many unseen ones are expected"
    )
    return replace(column, odd=column.odd | news), (warning,)


def _texts_of(column: Column) -> tuple[list[str | None], int, int]:
    """The usable values, how many there are, and how many different ones."""
    rows = zip(column.values, column.odd, strict=True)
    values = [v if isinstance(v, str) and not odd else None for v, odd in rows]
    return values, len(values) - values.count(None), len({v for v in values if v is not None})


def _joint(columns: Sequence[Column], groups: Ints) -> Derived:
    """The joint series of all numbers that vary."""
    values = [np.where(c.odd, nan, np.asarray(c.values, np.float64)) for c in columns]
    varying = [k for k, v in enumerate(values) if len(np.unique(v[np.isfinite(v)])) > 1]
    names = [columns[k].name for k in varying]
    rows = len(groups)
    why = (
        f"only {len(names)} numbers vary"
        if len(names) < joint.FEWEST
        else f"{len(names)} numbers are more than {joint.MOST}"
        if len(names) > joint.MOST
        else f"{len(names)} numbers need {joint.ROWS_PER_FEATURE * len(names)} rows"
        if rows < joint.ROWS_PER_FEATURE * len(names)
        else ""
    )
    if why:
        return Derived((), (), (f"{joint.NAME}: {why}: relations are not watched",))
    one, measured = joint.learn(names, np.stack([values[k] for k in varying]), groups)
    return Derived(_columns(one.names, measured, np.zeros(rows, bool)), (one,), ())


def _numbers(of: Text | Identifier, values: Sequence[str | None], odd: np.ndarray) -> Floats:
    measure = of.measure()
    return np.array([measure(value) for value in values], np.float64).reshape(-1, len(of.names)).T


def _columns(names: Sequence[str], numbers: Floats, odd: np.ndarray) -> tuple[Column, ...]:
    return tuple(Column(name, "number", row, odd) for name, row in zip(names, numbers, strict=True))
