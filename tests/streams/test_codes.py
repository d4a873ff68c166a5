"""Every category gets the cell that the reference gives it, whichever way it was decoded."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.binning import MAX_CATEGORY_LENGTH, CategoryCells
from detectors.series import Series
from streams.profiling.codes import OUTSIDE, TOO_LONG, Codes, split
from streams.profiling.fields import ABSENT, INVALID

HOME = Series("feature:home", "category", categories=("own", "7", "ü\n"), known=("ship", "-3"))
MEMBER = Series("feature:member", "boolean", categories=("false", "true"))
OWN, SEVEN, UMLAUT, OTHER, ODD, MISSING = range(6)


def codes(series: Series = HOME, allowed: frozenset[str] | None = None) -> Codes:
    return Codes(CategoryCells(series), allowed)


def decoded(of: Codes, values: list[Any]) -> list[float]:
    """As they come out of the fast path, packed."""
    decoder = msgspec.json.Decoder(list[of.annotation])  # type: ignore[name-defined]
    found = decoder.decode(msgspec.json.encode(values))
    return [float(value) for value in np.array(found, np.float64)]


def cells(of: Codes, values: list[float]) -> list[int]:
    found, beside = split(np.array([values]), [of])
    assert beside is None
    return [int(cell) for cell in found[0]]


def test_texts_whole_numbers_and_nulls_find_their_cells() -> None:
    of = codes()
    written: list[str | int | None] = ["own", "7", 7, "ü\n", "ship", -3, "boat", 8, "", None]
    expected = [OWN, SEVEN, SEVEN, UMLAUT, OTHER, OTHER, ODD, ODD, ODD, MISSING]
    assert cells(of, decoded(of, written)) == expected
    assert cells(of, [of.of(value) for value in written]) == expected


def test_booleans_are_the_categories_of_their_names() -> None:
    of = codes(MEMBER)
    assert cells(of, decoded(of, [True, False, None])) == [1, 0, 3]
    assert cells(of, [of.of("true"), of.of(False), of.of(None)]) == [1, 0, 3]


def test_invalid_values_are_odd_and_absent_ones_are_nowhere() -> None:
    found, beside = split(np.array([[INVALID, ABSENT, codes().of("own")]]), [codes()])
    assert found.tolist() == [[ODD, -1, OWN]]
    assert beside is not None
    assert beside.tolist() == [[0, -1, 0]]


def test_what_was_not_declared_and_what_is_too_long_is_said_beside_its_cell() -> None:
    of = codes(allowed=frozenset(["own", "boat"]))
    long = "x" * (MAX_CATEGORY_LENGTH + 1)
    found, beside = split(np.array([decoded(of, ["own", "boat", 7, "plane", long, None])]), [of])
    assert found.tolist() == [[OWN, ODD, SEVEN, ODD, ODD, MISSING]]
    assert beside is not None
    assert beside.tolist() == [[0, 0, OUTSIDE, OUTSIDE, TOO_LONG, 0]]


@pytest.mark.parametrize("wrong", ["[true]", "[1.5]", "[{}]", "[[]]", f"[{2**53}]"])
def test_what_is_no_category_is_left_to_the_careful_path(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.Decoder(list[codes().annotation]).decode(wrong)  # type: ignore[misc]


def test_a_reference_without_a_single_category_still_reads_texts() -> None:
    of = codes(Series("feature:empty", "category"))
    assert cells(of, decoded(of, ["a", None, 3])) == [0, 1, 0]


@given(st.lists(st.none() | st.integers(-(2**52), 2**52) | st.text(max_size=300)))
def test_the_fast_and_the_careful_way_agree(values: list[Any]) -> None:
    of = codes(allowed=frozenset(["own"]))
    values = [v for v in values if not isinstance(v, str) or v.isprintable()]
    fast, careful = (
        split(np.array([way or [math.nan]]), [of])
        for way in (decoded(of, values), [of.of(value) for value in values])
    )
    assert np.array_equal(fast[0], careful[0])
    assert (fast[1] is None) == (careful[1] is None)
    if fast[1] is not None and careful[1] is not None:
        assert np.array_equal(fast[1], careful[1])
