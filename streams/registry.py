"""What is registered: the lifecycles and references on `leeway.models`, as every role sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from detectors.reference.build import Reference, from_document
from streams.broker import Outgoing, Record
from streams.errors import LifecycleError, StateError
from streams.lifecycle import Lifecycle
from streams.topics import Names


@dataclass(frozen=True, slots=True)
class Registered:
    """A model's lifecycle and the reference it is compared with (None: there is none yet)."""

    lifecycle: Lifecycle
    reference: Reference | None


def lifecycle_record(names: Names, lifecycle: Lifecycle) -> Outgoing:
    """The record that registers a lifecycle; writing it twice changes nothing."""
    document = {"revision": lifecycle.revision, "lifecycle": msgspec.Raw(lifecycle.to_json())}
    key = f"lifecycle|{lifecycle.model_id}".encode()
    return Outgoing(names("models"), key, msgspec.json.encode(document), partition=0)


def reference_record(names: Names, model_id: str, reference_id: str, document: object) -> Outgoing:
    """The record that registers a reference document."""
    key = f"reference|{model_id}|{reference_id}".encode()
    return Outgoing(names("models"), key, msgspec.json.encode(document), partition=0)


class _LifecycleRecord(msgspec.Struct):
    revision: str
    lifecycle: msgspec.Raw


class Registry:
    """A fold over the records of `leeway.models`, in the order they were written."""

    def __init__(self) -> None:
        self._lifecycles: dict[str, Lifecycle] = {}
        self._references: dict[str, dict[str, Reference]] = {}  # in the order they were written
        self.unreadable = 0
        self.revision = 0  # grows with every change: what was compiled from the registry is stale

    def apply(self, records: Sequence[Record]) -> None:
        """Fold records in; what this release cannot read is counted and leaves the former entry in place."""
        for record in records:
            kind, _, rest = (record.key or b"").decode("utf-8", "replace").partition("|")
            try:
                if kind == "lifecycle":
                    self._lifecycle(rest, record.value)
                elif kind == "reference":
                    self._reference(rest, record.value)
            except (LifecycleError, StateError, ValueError, TypeError, msgspec.MsgspecError):
                self.unreadable += 1
            self.revision += 1

    def _lifecycle(self, model_id: str, value: bytes | None) -> None:
        if value is None:
            self._lifecycles.pop(model_id, None)
        else:
            found = msgspec.json.decode(value, type=_LifecycleRecord)
            self._lifecycles[model_id] = Lifecycle.from_json(bytes(found.lifecycle))

    def _reference(self, key: str, value: bytes | None) -> None:
        model_id, _, reference_id = key.partition("|")
        found = None if value is None else from_document(msgspec.json.decode(value))
        of_model = self._references.setdefault(model_id, {})
        of_model.pop(reference_id, None)  # written again: it is the newest now
        if found is not None:
            of_model[reference_id] = found

    @property
    def models(self) -> tuple[str, ...]:
        """Registered model ids, sorted."""
        return tuple(sorted(self._lifecycles))

    def get(self, model_id: str) -> Registered | None:
        """The lifecycle with the reference it names, or the one written last."""
        lifecycle = self._lifecycles.get(model_id)
        if lifecycle is None:
            return None
        references = self._references.get(model_id, {})
        wanted = lifecycle.reference.id
        newest = references.get(wanted) if wanted else next(reversed(references.values()), None)
        return Registered(lifecycle, newest)
