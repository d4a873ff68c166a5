"""Which lifecycles and references are registered? As they are on the log, as far as pages need them."""

import zlib
from dataclasses import dataclass, field
from typing import Any

import msgspec

from streams.lifecycle import from_json
from streams.views.documents import LifecycleRecord, Reference, epoch_ms
from streams.views.places import Place


@dataclass(frozen=True, slots=True)
class Registered:
    """A model's lifecycle as it is on the log."""

    revision: str
    name: str
    version: str
    owner: str | None
    environment: str
    retired: bool
    document: bytes = field(repr=False)

    @property
    def lifecycle(self) -> Any:
        """The normalised file."""
        return msgspec.json.decode(self.document)["model_lifecycle"]


@dataclass(frozen=True, slots=True)
class Built:
    """A reference as it is on the log; `end_ms` None: its data had no times."""

    reference_id: str
    version: str
    events: int
    end_ms: int | None
    seasonal: bool = False
    place: Place | None = None  # of the whole document, which alone has the slots of its season
    packed: bytes = field(default=b"", repr=False)

    @property
    def reference(self) -> Reference:
        """What pictures need of it: how series are cut into cells, and what was counted; without slots."""
        return msgspec.json.decode(zlib.decompress(self.packed), type=Reference)


def registered(value: bytes) -> Registered:
    """A record of `leeway.models` about a lifecycle. Raises what `streams.lifecycle.from_json` does."""
    document = bytes(msgspec.json.decode(value, type=LifecycleRecord).lifecycle)
    lifecycle = from_json(document)
    return Registered(
        revision=lifecycle.revision,
        name=lifecycle.model_name,
        version=lifecycle.version,
        owner=lifecycle.metadata.owner,
        environment=lifecycle.deployment.environment,
        retired=lifecycle.retirement.status == "Retired",
        document=document,
    )


def built(value: bytes, place: Place) -> Built:
    """A record of `leeway.models` about a reference. Raises `msgspec.MsgspecError`."""
    found = msgspec.json.decode(value, type=Reference)
    origin, season = found.built_from, found.season
    if season is not None:
        season.slots, season.segments = {}, {}
    return Built(
        found.reference_id,
        found.model_version,
        origin.events,
        None if origin.end is None else epoch_ms(origin.end),
        season is not None,
        place,
        zlib.compress(msgspec.json.encode(found), 1),
    )
