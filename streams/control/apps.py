"""What do our Faust apps have in common? Nothing is declared, stored or committed behind our back."""

from collections.abc import Callable, Mapping
from typing import Any

import faust
from mode.supervisors import CrashingSupervisor

from streams.broker import Record
from streams.control.committed import CommittedTransport
from streams.control.credentials import broker_credentials
from streams.formats.modes import binary

_SESSION_MS, _HEARTBEAT_MS = "session.timeout.ms", "heartbeat.interval.ms"


def reader(
    group: str,
    kafka: Mapping[str, str],
    transport: type[CommittedTransport] = CommittedTransport,
) -> faust.App:
    """An app in the consumer group `group`; its transport reads what is committed, and commits nothing.

    Of librdkafka's properties those about security count (see `streams.control.credentials`), and how soon a member
    that says nothing is given up.
    """
    session_s = int(kafka.get(_SESSION_MS, "10000")) / 1000
    brokers = [one.strip() for one in kafka["bootstrap.servers"].split(",")]
    app = faust.App(
        group,
        broker=";".join(f"kafka://{broker}" for broker in brokers),
        broker_credentials=broker_credentials(kafka),
        # what kafka.md 4.2 says of each: folds are idempotent, so at least once is enough
        processing_guarantee="at_least_once",
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_wait_empty=False,
        agent_supervisor=CrashingSupervisor,
        autodiscover=False,
        web_enabled=False,  # our own application answers: Faust's has no ETags, problems or guards
        store="memory://",
        cache="memory://",
        datadir="/nonexistent",  # nothing is stored
        broker_client_id="leeway-control",
        broker_max_poll_records=500,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=int(kafka.get(_HEARTBEAT_MS, "2000")) / 1000,
        broker_request_timeout=max(15.0, session_s + 5.0),  # Faust insists on more than the session
        broker_rebalance_timeout=15.0,
        producer_request_timeout=15.0,
        consumer_max_fetch_size=4 * 1024 * 1024,  # a record may have 2 MiB
    )
    app.transport = transport(app.conf.broker_consumer, app)
    return app


def folding(app: faust.App, topics: tuple[str, ...], fold: Callable[[Record], None]) -> None:
    """Have the app hand every record of `topics` to `fold`."""
    topic = app.topic(
        *topics,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        acks=False,  # nothing is committed
        allow_empty=True,
    )

    async def each(stream: Any) -> None:
        async for event in stream.events():
            fold(_record(event.message))

    app.agent(topic, name="fold", concurrency=1)(each)


def _record(message: Any) -> Record:
    found = Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=None if message.timestamp is None else round(message.timestamp * 1000),
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
    )
    return binary(found)
