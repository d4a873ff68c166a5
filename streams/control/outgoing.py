"""Who can be sent to, and on which terms? From the service file to sinks, the only place where secrets are revealed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from alerting.deliver.destination import Unusable
from alerting.deliver.items import Terms, terms
from alerting.deliver.make import sinks
from alerting.deliver.sink import Sink
from alerting.settings import Receiver
from streams.errors import UsageError
from streams.service import Service

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Reachable:
    """Everybody who can be sent to.

    Parameters
    ----------
    terms, sinks : of each; who has no secret or address has neither, and is left to others
    public : of each, for what control renders itself
    console : the address of the console, for links
    """

    terms: Sequence[Terms]
    sinks: Mapping[str, Sink]
    public: Sequence[Receiver] = ()
    console: str | None = None


def now_ms() -> int:
    """The clock of delivery."""
    return time.time_ns() // 1_000_000


def reachable(service: Service, environment: Mapping[str, str]) -> Reachable:
    """The receivers of the service file that lack nothing.

    Raises
    ------
    UsageError
        A secret that is named is not there, or a receiver cannot be sent to as it is configured.
    """
    destinations = service.destinations(environment)
    complete = {one.name for one in destinations}
    try:
        made = sinks(destinations, now_ms)
    except Unusable as error:
        raise UsageError(f"receivers: {error}") from None
    return Reachable(
        terms=tuple(
            terms(
                each.name,
                each.channel,
                rate=None if each.rate is None else (each.rate.count, each.rate.per // _MS),
                max_event_age_ms=each.max_event_age // _MS,
                fallback=each.fallback,
            )
            for each in service.receivers
            if each.name in complete
        ),
        sinks=made,
        public=(
            *(one for one in service.public_receivers if one.name in complete),
            *(
                Receiver(each.name, each.channel, send_resolved=each.send_resolved)
                for each in service.receivers
                if each.channel == "webhook" and each.name in complete
            ),
        ),
        console=service.links.console,
    )
