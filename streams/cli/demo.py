"""`leeway demo`: the whole product in about a minute, on this machine."""

import os
import signal
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, service_of

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway demo --seed 7"

_DIFFERENT = 1  # the findings are not those that were planned: a defect


def command(
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="another stream, the same plan")
    ] = 7,
    keep: Annotated[
        bool, typer.Option("--keep", help="leave the console open at the end, until Ctrl-C")
    ] = False,
    running: Annotated[
        bool,
        typer.Option("--running", help="send the stream to the Leeway that runs there already"),
    ] = False,
    brokers: BrokersOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> int:
    """Play a seeded stream of loan applications with known changes, and show what is found of them.

    Starts a Kafka if none is given (Docker, or Java and Maven) and runs the real roles. Ends with the plan beside the
    findings, and with exit code 1 where they differ. With --running it only sends: the roles are there already, and
    their console shows what they find.
    """
    from streams.demo.play import feed, play
    from streams.demo.show import Screen

    # SIGTERM means what Ctrl-C means: the broker and the roles that were started are ended too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Screen(quiet=as_json)
    if running:
        try:
            sent = feed(service_of(brokers, None), seed=seed, screen=screen)
        finally:
            screen.close()
        output.write(f"{sent:,} events sent: what was found of them is in the console")
        return 0
    try:
        played = play(
            brokers or os.environ.get("LEEWAY_BROKERS"),
            seed=seed,
            screen=screen,
            keep=keep,
        )
    finally:
        screen.close()
    if as_json:
        output.print_json(
            {
                "fits": played.fits,
                "events": played.events,
                "windows": played.windows,
                "seconds": played.seconds,
                "phases": list(played.findings),
            }
        )
    else:
        output.write()
        verdict = "as planned" if played.fits else "NOT as planned"
        output.write(
            f"{verdict}: {played.events:,} events, {played.windows} windows, {played.seconds:.0f} s"
        )
    return 0 if played.fits else _DIFFERENT
