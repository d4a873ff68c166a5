"""What could not be processed, byte for byte, with its origin and the reason in headers."""

from streams.broker import Outgoing
from streams.profiling.events import DeadLetter
from streams.topics import MAX_MESSAGE_BYTES, Names

KEPT_BYTES = 64 * 1024  # of a value that is too large for the topic
ROOM_BYTES = 64 * 1024  # of a message that is left for our headers
MAX_EXPLANATION = 1024


def dead_letter(
    names: Names, dead: DeadLetter, *, group: str = "profiler", stage: str = "decode"
) -> Outgoing:
    """The record for `leeway.dead-letters`: key, value and headers of the origin, and what happened.

    A value too large for the topic is cut to 64 KiB, with headers that say so.
    """
    origin = dead.record.origin or dead.record
    value = origin.value
    about = {
        "__dlq.errors.topic": origin.topic,
        "__dlq.errors.partition": str(origin.partition),
        "__dlq.errors.offset": str(origin.offset),
        "__dlq.errors.group": group,
        "__dlq.errors.delivery.count": "1",
        "__dlq.errors.message": dead.message[:MAX_EXPLANATION],
        "__dlq.errors.exception": "InvalidEvent",
        "__dlq.errors.stage": stage,
        "leeway.reason": dead.reason,
    }
    around = len(origin.key or b"") + sum(len(name) + len(text) for name, text in origin.headers)
    if value is not None and len(value) + around > MAX_MESSAGE_BYTES - ROOM_BYTES:
        about |= {"leeway.truncated": "true", "leeway.size": str(len(value))}
        value = value[:KEPT_BYTES]
    headers = (*origin.headers, *((name, text.encode()) for name, text in about.items()))
    return Outgoing(names("dead-letters"), origin.key, value, headers)
