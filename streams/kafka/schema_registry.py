"""How do we know the schemas of Avro and JSON Schema? From a Confluent-compatible registry, by Confluent's own client.

A registry that says that it has no such schema is believed. One that does not answer, refuses us, or is no registry at
all, is waited for as Kafka is: nothing is concluded meanwhile, so nothing is lost and nothing is rejected wrongly; in
the end the process gives up and its successor goes on waiting.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from streams import logs
from streams.errors import BrokerError
from streams.formats.registered import (
    FAILED,
    FOUND,
    UNKNOWN,
    Identity,
    Schema,
    Schemas,
    UnknownSchema,
)

__all__ = ["PATIENCE_S", "Leaving", "SchemaRegistry"]

PATIENCE_S = 45.0  # below the minute after which a role that is silent counts as down
_CALL_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_TELL_S = 10.0
_FORGET_S = 30.0  # after which it is asked again for what it did not know
_MOST_UNKNOWN = 1_000
_NO_SCHEMA = 40403


class Leaving(BrokerError):
    """Somebody asked this process to end while it waited."""


class SchemaRegistry(Schemas):
    """A Confluent-compatible schema registry.

    Parameters
    ----------
    settings
        Of Confluent's client, by their own names; without ``url`` there is no registry, which is waited for as well:
        the lifecycle that needs it can be taken back, or the service file completed.
    stopped
        Asked while it waits.
    patience_s
        How long it waits.
    told
        Hears what came of asking: one of `streams.formats.registered.ANSWERS`.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        stopped: Callable[[], bool] = lambda: False,
        patience_s: float = PATIENCE_S,
        told: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._settings, self._stopped = dict(settings), stopped
        self._patience_s, self._told = patience_s, told
        self._unknown: dict[Identity, float] = {}  # until when it is not asked again

    def schema(self, identity: Identity) -> Schema:
        """See `Schemas`; raises `Leaving` as well."""
        if self._unknown.get(identity, 0.0) > time.monotonic():
            raise UnknownSchema(str(identity))
        began = now = time.monotonic()
        tell, pause, never = now, _FIRST_PAUSE_S, threading.Event()
        while True:
            try:
                found = self._asked(identity)
            except UnknownSchema:
                self._note(identity)
                raise
            except _NotNow as why:
                self._told(FAILED)
                if self._stopped():
                    raise Leaving("ended while waiting for the schema registry") from None
                now = time.monotonic()
                if now - began >= self._patience_s:
                    raise BrokerError(
                        f"no schema {identity} for {self._patience_s:.0f} s: {why}", retry=True
                    ) from None
                if now >= tell:
                    logs.warning(
                        "schema_registry.unavailable", reason=str(why), next="asking again"
                    )
                    tell = now + _TELL_S
                never.wait(min(pause, self._patience_s))
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            if tell > began:
                logs.info("schema_registry.answered", seconds=round(now - began, 1))
            self._told(FOUND)
            return found

    def _note(self, identity: Identity) -> None:
        self._told(UNKNOWN)
        if len(self._unknown) >= _MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[identity] = time.monotonic() + _FORGET_S

    def _asked(self, identity: Identity) -> Schema:
        if not self._settings.get("url"):
            raise _NotNow("there is no schema registry: set schema_registry.url in leeway.yaml")
        from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
        from httpx2 import HTTPError

        settings: dict[str, Any] = {**self._settings, "timeout": _CALL_S, "max.retries": 0}
        needed: dict[tuple[str, int], str] = {}
        try:
            # asked so rarely that no connection is kept for it
            with SchemaRegistryClient(settings) as client:
                if isinstance(identity, UUID):
                    schema = client.get_schema_by_guid(str(identity))
                else:
                    schema = client.get_schema(identity)
                _resolve(client, schema, needed)
        except SchemaRegistryError as error:
            if error.http_status_code == 404 and error.error_code == _NO_SCHEMA:
                raise UnknownSchema(str(identity)) from None
            raise _NotNow(
                f"the schema registry answers {error.http_status_code} ({error.error_code})"
            ) from None
        except (HTTPError, OSError, ValueError, TypeError) as error:
            raise _NotNow(f"the schema registry does not answer: {type(error).__name__}") from None
        return Schema(schema.schema_type or "AVRO", schema.schema_str or "", tuple(needed.values()))


def _resolve(client: Any, schema: Any, needed: dict[tuple[str, int], str]) -> None:
    """What a schema refers to, each after what it needs itself."""
    for one in schema.references or ():
        if (one.subject, one.version) not in needed:
            found = client.get_version(one.subject, one.version, True).schema
            _resolve(client, found, needed)
            needed[one.subject, one.version] = found.schema_str or ""


class _NotNow(Exception):
    """No answer that says anything about the schema."""
