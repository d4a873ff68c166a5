"""Does what outlives a window come back as it was, and is a newer Leeway's refused?"""

import json
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.broker import Outgoing, Record
from streams.errors import StateError
from streams.judging.kept import FORMAT, NOBODY, Kept, Key, restore
from streams.segments import name_of

KEY = Key("m", "1.0.0", "country=DE", "window/0/digest")


def records(outgoing: list[Outgoing]) -> list[Record]:
    """As the broker hands them back."""
    return [
        Record(r.topic, r.partition or 0, i, None, r.key, r.value) for i, r in enumerate(outgoing)
    ]


def kept(**parts: Any) -> list[Outgoing]:
    """Parts of one subject, written."""
    one = Kept("leeway.state", 3)
    for part, data in parts.items():
        one.put(KEY._replace(part=part), partial(deepcopy, data), as_of_ms=0, revision="r")
    return one.flush()


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | st.text(),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=5), of, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_part_comes_back_as_it_was(data: Any) -> None:
    assert list(restore(records(kept(late=data)))) == [(KEY._replace(part="late"), data)]


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_key_comes_back_whatever_the_segment(grouping: str, value: str) -> None:
    key = Key("m", "1.0.0", name_of([(grouping, value)]), "window/0/digest")
    one = Kept("leeway.state", 0)
    one.put(key, lambda: 1, as_of_ms=0)
    assert [found for found, _ in restore(records(one.flush()))] == [key]


def test_every_record_says_format_part_time_and_revision() -> None:
    (record,) = kept(**{"window/17/abc": {"n": 1}})
    assert record.partition == 3
    assert record.key == b"m|1.0.0|country=DE|window/17/abc"
    assert json.loads(record.value or b"") == {
        "format": FORMAT,
        "part": "window",
        "as_of": "1970-01-01T00:00:00.000Z",
        "lifecycle_revision": "r",
        "data": {"n": 1},
    }


def test_only_what_changed_is_written_once_with_its_last_value() -> None:
    one, values = Kept("leeway.state", 0), {"n": 1}
    one.put(KEY, lambda: values["n"], as_of_ms=0)
    one.put(KEY, lambda: values["n"], as_of_ms=0)
    values["n"] = 2
    (record,) = one.flush()
    assert json.loads(record.value or b"")["data"] == 2
    assert one.flush() == []


def test_what_is_deleted_is_a_record_without_a_value() -> None:
    one = Kept("leeway.state", 0)
    one.put(KEY, lambda: 1, as_of_ms=0)
    one.delete(KEY)
    (record,) = one.flush()
    assert record.value is None
    assert list(restore(records([record]))) == []


def test_records_are_written_in_order_of_their_keys() -> None:
    keys = [Key("b", NOBODY, NOBODY, "p"), Key("a", "1", "all", "p"), Key("a", "1", "all", "a")]
    one = Kept("leeway.state", 0)
    for key in keys:
        one.put(key, lambda: 1, as_of_ms=0)
    written = [r.key for r in one.flush()]
    assert written == [key.text.encode() for key in sorted(keys)]


@pytest.mark.parametrize("more", [{}, {"data": {}}, {"part": 7, "as_of": [], "new": True}])
def test_a_newer_format_is_refused_with_both_versions_whatever_else_is_in_it(
    more: dict[str, Any],
) -> None:
    value = json.dumps({"format": FORMAT + 1} | more).encode()
    newer = Record("leeway.state", 0, 0, None, KEY.text.encode(), value)
    with pytest.raises(
        StateError, match=f"has format {FORMAT + 1}, this Leeway reads up to {FORMAT}"
    ):
        list(restore([newer]))
