"""Where can a broker listen, and does it answer yet?"""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from time import monotonic

from streams.errors import BrokerError

__all__ = ["START", "free_port", "is_free", "wait_for_answer"]

START = timedelta(seconds=90)


def free_port(but: int | None = None) -> int:
    """A port of 127.0.0.1 that nobody listens on right now. `but`: one that somebody is about to listen on."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        if port != but:
            return port


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1 right now."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def wait_for_answer(bootstrap: str, deadline: float, ended: Callable[[], str | None]) -> None:
    """Return once the broker has told a client about itself: an open port is not enough.

    Parameters
    ----------
    bootstrap
        The broker's address.
    deadline
        When to give up, on the monotonic clock.
    ended
        Why there is nothing to wait for any more, or None.

    Raises
    ------
    BrokerError
        It has ended, or time is up.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # Until it is up every attempt fails, and there is nothing to say about that.
    silent = logging.Logger("starting-kafka", level=logging.CRITICAL + 1)
    # librdkafka would wait up to 10 s between attempts.
    soon = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100}
    client = AdminClient({"bootstrap.servers": bootstrap, **soon}, logger=silent)
    while monotonic() < deadline:
        if reason := ended():
            raise BrokerError(reason)
        with suppress(KafkaException):
            if client.list_topics(timeout=0.5).brokers:
                return
    raise BrokerError(f"no answer from {bootstrap} in time")
