"""`leeway broker`: a real Kafka on this machine, for development."""

import signal
import sys
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Annotated

import typer

from streams.local_kafka import AnyBroker, LocalKafka, any_broker

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway broker --data kafka-data --port 9092"


def command(
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the data here, and need Java and Maven."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=65535, help="Listen here, and need Java and Maven."),
    ] = None,
) -> None:
    """Run a single-node Apache Kafka until Ctrl-C or SIGTERM, and print its address.

    In Docker when an engine answers, else with Java 17 and Maven. By default it listens on any free port and keeps
    nothing. Not for production: no security, one copy of everything.
    """
    # SIGTERM comes from a supervisor and means the same. The default would leave the broker to be killed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    broker: AbstractContextManager[AnyBroker | LocalKafka]
    broker = any_broker() if data is None and port is None else LocalKafka(data, port)
    with broker as running:
        print(running.bootstrap, flush=True)
        if sys.stderr.isatty():
            print(
                f"Ctrl-C ends it. To use it: export LEEWAY_BROKERS={running.bootstrap}",
                file=sys.stderr,
            )
        # This is how it is meant to end. A second signal, during the orderly end, makes it a quick one.
        with suppress(KeyboardInterrupt):
            signal.pause()
