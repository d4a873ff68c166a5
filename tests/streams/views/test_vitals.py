"""How a role is: what follows from its members, and from what it has and has not read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.views.vitals import ROLES, STALLED_MS, STATES, Seen, Share, Vitals, of_role


def share(committed: int | None, end: int, partition: int = 0, start: int = 0) -> Share:
    return Share("t", partition, committed, end, start)


def state(*seen: tuple[int, int | None, tuple[Share, ...]], needed: bool = True) -> tuple[str, str]:
    found = of_role("judge", [Seen(*one) for one in seen], needed=needed)
    return found.state, found.because


LATER = STALLED_MS


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([(0, 0, ())], ("absent", "nobody is in its group; nothing waits")),
        ([(0, 0, (share(3, 5),))], ("absent", "nobody is in its group; 2 records wait")),
        ([(0, 1, (share(5, 5),))], ("waiting", "everything was read")),
        ([(0, 1, (share(4, 5),))], ("working", "1 record waits, for less than 60 seconds")),
        ([(0, 1, (share(4, 5),)), (9, 1, (share(5, 5),))], ("working", "it reads; nothing waits")),
        (
            [(0, 1, (share(4, 5),)), (LATER, 1, (share(4, 5),))],
            ("stalled", "1 record waits, and t/0 was not read for 60 seconds"),
        ),
        # the other partition goes on: this one does not
        (
            [(0, 2, (share(4, 5), share(1, 9, 1))), (LATER, 2, (share(4, 5), share(9, 9, 1)))],
            ("stalled", "1 record waits, and t/0 was not read for 60 seconds"),
        ),
        # it was read to its end in between
        (
            [(0, 1, (share(4, 5),)), (9, 1, (share(5, 5),)), (LATER, 1, (share(5, 6),))],
            ("working", "it reads; 1 record waits"),
        ),
        # never committed: everything that is on the log waits
        ([(0, 1, (share(None, 7, start=2),))], ("working", "5 records wait, for less than 60 seconds")),
        (
            [(0, None, (share(5, 5),))],
            ("unknown", "the broker does not tell who is in its group; nothing waits"),
        ),
        ([(0, None, (share(4, 5),)), (9, None, (share(5, 5),))], ("working", "it reads; nothing waits")),
        (
            [(0, None, (share(4, 5),)), (LATER, None, (share(4, 5),))],
            ("stalled", "1 record waits, and t/0 was not read for 60 seconds"),
        ),
    ],
)  # fmt: skip
def test_the_state_of_a_role_follows_from_what_was_seen(
    seen: list[tuple[int, int | None, tuple[Share, ...]]], expected: tuple[str, str]
) -> None:
    assert state(*seen) == expected


def test_a_role_that_nobody_needs_is_absent_and_says_so() -> None:
    found = of_role("joiner", [Seen(0, 0, ())], needed=False)
    assert (found.state, found.needed) == ("absent", False)
    assert "asks for it" in found.because


shares = st.lists(
    st.builds(
        Share,
        st.sampled_from("tu"),
        st.integers(0, 2),
        st.none() | st.integers(0, 9),
        st.integers(0, 12),
        st.integers(0, 3),
    ),
    max_size=4,
)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.none() | st.integers(0, 3), shares),
        min_size=1,
        max_size=6,
    )
)
def test_nothing_is_called_well_that_waits_or_has_nobody(
    seen: list[tuple[int, int | None, list[Share]]],
) -> None:
    looks = sorted((Seen(at, members, tuple(found)) for at, members, found in seen), key=lambda s: s.at_ms)  # fmt: skip
    found = of_role("judge", looks)
    assert found.state in STATES
    assert found.lag is not None
    assert found.lag >= 0
    if found.state == "waiting":
        assert found.lag == 0
        assert found.members
    if looks[-1].members == 0:
        assert found.state == "absent"


def test_before_anybody_asked_every_role_is_unknown() -> None:
    assert {one.role: one.state for one in Vitals().roles} == dict.fromkeys(ROLES, "unknown")
