"""`leeway demo --running`: the stream goes to a Leeway that is there already, once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.demo import play
from streams.demo.plan import HOUR_MS, Phase, Placed, first_days
from streams.demo.plan import placed as planned
from streams.demo.show import Screen
from streams.local_kafka import AnyBroker
from tests.integration.running import Deployment

pytestmark = pytest.mark.kafka


def test_the_stream_is_sent_to_who_runs_there_and_not_a_second_time(
    kafka: AnyBroker,
    unique: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = planned((Phase("quiet", 2, "nothing changes"),))
    days = first_days()
    few = Placed(days.phase, days.end_ms - 24 * HOUR_MS, days.end_ms)
    monkeypatch.setattr(play, "placed", lambda: short)
    monkeypatch.setattr(play, "first_days", lambda: few)
    monkeypatch.setattr(play, "HOUR_S", 0.0)
    monkeypatch.setattr(play, "_END_S", 0.0)  # nobody judges here
    place = Deployment(kafka, unique("fed"), tmp_path)
    screen = Screen(quiet=True)
    try:
        sent = play.feed(place.service, seed=7, screen=screen)
        again = play.feed(place.service, seed=7, screen=screen)
    finally:
        screen.close()
    found = place.read("predictions", "labels", "models")
    assert len(found["predictions"]) > 1_500
    assert sent == len(found["predictions"]) + len(found["labels"])
    assert again == 0
    kinds = {(record.key or b"").split(b"|")[0] for record in found["models"]}
    assert {b"lifecycle", b"reference"} <= kinds
