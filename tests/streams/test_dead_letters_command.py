"""What `leeway dead-letters` makes of what is typed, without a Kafka."""

import pytest

from streams.cli import dead_letters
from streams.cli.app import run
from streams.cli.sending import now_ms
from streams.errors import UsageError


def test_only_two_words_are_known() -> None:
    with pytest.raises(UsageError, match="dead-letters drop: expected list or replay"):
        run(["dead-letters", "drop", "--brokers", "127.0.0.1:1"])


@pytest.mark.parametrize("since", ["yesterday", "2026-03-02", "2026-03-02T07:00:00", "5"])
def test_a_time_that_two_people_could_read_differently_is_refused(since: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        run(["dead-letters", "list", "--since", since, "--brokers", "127.0.0.1:1"])


def test_since_is_a_moment_or_a_length() -> None:
    assert dead_letters._since(None) is None
    assert dead_letters._since("2026-03-02T08:00:00+01:00") == 1_772_434_800_000
    ago_ms = now_ms() - (dead_letters._since("2h") or 0)
    assert 7_200_000 <= ago_ms < 7_260_000
