"""What `leeway status` says besides what a run of the service shows: silences, by the clock of whoever asks."""

import pytest

from streams.cli import main, status
from tests.streams.control.test_commands import RETRAIN, SILENCE, answered, given
from tests.streams.published import NOW_MS, alert, record, told


def test_silences_that_hold_are_listed_with_ids_that_end_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    over = {"until": "2026-03-02T09:00:00.000Z", "silence_id": "sl-over", "command_id": "s2"}
    all_of_it = {"match": {}, "silence_id": "sl-waits", "command_id": "s3"}
    commands = [given(SILENCE), given(SILENCE | over), given(SILENCE | all_of_it), given(RETRAIN)]
    topics = {
        "commands": [*commands, record("commands", "loans", b"nobody's")],
        "results": [answered("s1"), answered("s2")],
        "alerts": [told("alerts", alert())],
    }
    monkeypatch.setattr(status, "now_ms", lambda: NOW_MS)
    monkeypatch.setattr(
        status,
        "read_topics",
        lambda service, *names: {name: topics.get(name, []) for name in names},
    )
    assert main(["status", "--brokers", "127.0.0.1:1"]) == 0
    shown = capsys.readouterr().out
    assert "sl-1" in shown
    assert "2026-03-02T12:00:00.000Z  data_drift  ann  moving" in shown
    assert "everything" in shown, "what is not told apart matches all"
    assert "sl-over" not in shown
    assert alert()["episode_id"][:11] in shown
    assert alert()["episode_id"] not in shown, "the beginning is enough for a person"
