"""Does the digest of the day say which silences ended?"""

import json
from typing import Any

import pytest

from alerting.digest import day_start
from alerting.settings import Receiver
from streams.commands import moment_ms
from streams.control.daybook import Daybook
from tests.streams.published import read_model, record

EIGHT = "2026-03-02T08:00:00.000Z"
END_MS = moment_ms(EIGHT)
SILENCE = {
    "command": "silence",
    "command_id": "s1",
    "model_id": "loans",
    "by": "ann",
    "silence_id": "sl-1",
    "reason": "a campaign",
}


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2026-03-01T07:59:59.000Z", False),
        ("2026-03-01T08:00:00.000Z", True),
        ("2026-03-02T07:59:59.000Z", True),
        (EIGHT, False),
    ],
)
def test_a_silence_that_ended_is_in_the_digest_of_its_day(until: str, said: bool) -> None:
    assert day_start(END_MS) == END_MS
    silence: dict[str, Any] = SILENCE | {"until": until}
    book = Daybook(
        (Receiver("slack", "slack"), Receiver("mail", "email")),
        None,
        read_model(record("commands", "loans", silence)),
    )
    found = {item.key.receiver: json.dumps(item.notification.payload) for item in book.due(END_MS)}
    assert sorted(found) == (["slack"] if said else []), "it is about no receiver"
    if said:
        assert "loans: a campaign (by ann)" in found["slack"]
        assert "Silences that ended" in found["slack"]
