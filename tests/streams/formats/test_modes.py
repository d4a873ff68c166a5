"""Is an event of ours the same event in both modes?"""

import json

import pytest

from streams.broker import Outgoing, Record
from streams.formats.modes import binary, structured
from streams.judging.judge import Judge
from streams.loop import drain
from streams.memory import MemoryBroker
from streams.topics import TOPICS
from tests.builders import NAMES
from tests.labelled import SLACK, judged, logged, profile, story
from tests.vendors import cloudevents

EVENTS = ("results", "alerts", "alerts.slack", "retraining")


def sent(record: Record) -> Record:
    """A record of a run as structured mode would have it."""
    out = structured(Outgoing(record.topic, record.key, record.value, record.headers))
    return record._replace(value=out.value, headers=out.headers)


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
def test_every_record_of_a_run_survives_structured_mode(topic: str) -> None:
    for record in judged().read(NAMES(topic))[:200]:
        assert binary(sent(record)) == record
        assert (sent(record) == record) is (
            topic not in (*EVENTS, "alerts.pagerduty", "alerts.email")
        )


def test_an_alert_in_structured_mode_is_a_cloud_event() -> None:
    for record in judged().read(NAMES("alerts")):
        out = sent(record)
        event = json.loads(out.value or b"")
        cloudevents.event(event)
        assert event["data"] == json.loads(record.value or b"")
        assert dict(out.headers)["content-type"] == b"application/cloudevents+json"
        assert dict(out.headers)["ce_type"].decode() == event["type"]


def test_somebody_else_s_event_is_left_alone() -> None:
    headers = (("content-type", b"application/cloudevents+json"), ("ce_type", b"order"))
    record = Record("leeway.dead-letters", 0, 0, None, None, b'{"data": 1}', headers)
    assert binary(record) is record


def test_a_judge_writes_what_it_is_told() -> None:
    log = logged(story())
    profile(log)
    drain(
        MemoryBroker(log, "judge"),
        Judge(NAMES, 1, [SLACK], mode="structured"),
        topics=[NAMES("profiles"), NAMES("commands")],
        followed=[NAMES("models")],
        state_topic=NAMES("state"),
    )
    for topic in EVENTS:
        found = log.read(NAMES(topic))
        assert all(b'"specversion":"1.0"' in (record.value or b"") for record in found)
        plain = [(r.key, r.value, r.headers) for r in map(binary, found)]
        assert plain == [(r.key, r.value, r.headers) for r in judged().read(NAMES(topic))]
