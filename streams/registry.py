"""What is registered: lifecycles, references and deployed versions on `leeway.models`, as every role sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from detectors.reference.build import Reference, from_document
from streams.broker import Outgoing, Record
from streams.errors import LifecycleError, StateError
from streams.lifecycle import Lifecycle, from_json
from streams.routing import KEY as ROUTING
from streams.routing import Routing
from streams.routing import decode as decode_routing
from streams.topics import Names


@dataclass(frozen=True, slots=True)
class Registered:
    """A model's lifecycle and the reference it is compared with (None: there is none yet)."""

    lifecycle: Lifecycle
    reference: Reference | None
    given: bool = False  # the reference was named for this version, whatever it was built from
    lent: bool = False  # it is another version's: events are counted in its cells, until there is one of their own


def lifecycle_record(names: Names, lifecycle: Lifecycle) -> Outgoing:
    """The record that registers a lifecycle; writing it twice changes nothing."""
    document = {"revision": lifecycle.revision, "lifecycle": msgspec.Raw(lifecycle.to_json())}
    key = f"lifecycle|{lifecycle.model_id}".encode()
    return Outgoing(names("models"), key, msgspec.json.encode(document), partition=0)


def reference_record(names: Names, model_id: str, reference_id: str, document: object) -> Outgoing:
    """The record that registers a reference document."""
    key = f"reference|{model_id}|{reference_id}".encode()
    return Outgoing(names("models"), key, msgspec.json.encode(document), partition=0)


class Deployment(msgspec.Struct, frozen=True):
    """Another version than that of the lifecycle's file answers now.

    It holds while the file says what it said then, or says the new version; a file with a third one wins.
    """

    model_id: str
    version: str
    reference_id: str | None  # None: the reference of the version, or that of its minor release
    at: str  # RFC 3339
    trigger_id: str | None
    rollback: bool
    file_version: str  # what the file said

    def holds(self, file_version: str) -> bool:
        """Whether a file that says this version knows nothing better."""
        return file_version in (self.file_version, self.version)


def deployment_record(names: Names, model_id: str, deployment: Deployment | None) -> Outgoing:
    """The record that makes a version the current one; None: the file says it again."""
    value = None if deployment is None else msgspec.json.encode(deployment)
    return Outgoing(names("models"), f"deployment|{model_id}".encode(), value, partition=0)


def release(version: str) -> tuple[str, ...]:
    """What versions have in common that differ by a patch only.

    >>> release("2.3.1") == release("2.3.9"), release("2.3.1") == release("2.4.0"), release("7")
    (True, False, ('7',))
    """
    parts = tuple(version.split("."))
    return parts[:2] if len(parts) == 3 else (version,)


class _LifecycleRecord(msgspec.Struct):
    revision: str
    lifecycle: msgspec.Raw


class Registry:
    """A fold over the records of `leeway.models`, in the order they were written."""

    def __init__(self) -> None:
        self._lifecycles: dict[str, Lifecycle] = {}
        self._references: dict[str, dict[str, Reference]] = {}  # in the order they were written
        self._deployments: dict[str, Deployment] = {}
        self._ahead: dict[str, Deployment | None] = {}  # not on the log yet, or not read
        self._grown: dict[
            str, Reference
        ] = {}  # references that are not on the log yet, or not read
        self._after: dict[str, list[str]] = {}  # references that were written after the deployment
        self._current: dict[str, tuple[Lifecycle, Lifecycle]] = {}
        self.routing: Routing | None = None  # None: nobody wrote it
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
                elif kind == "deployment":
                    self._deployment(rest, record.value)
                elif kind == ROUTING:
                    self.routing = None if record.value is None else decode_routing(record.value)
            except (LifecycleError, StateError, ValueError, TypeError, msgspec.MsgspecError):
                self.unreadable += 1
            self.revision += 1

    def _lifecycle(self, model_id: str, value: bytes | None) -> None:
        if value is None:
            self._lifecycles.pop(model_id, None)
        else:
            found = msgspec.json.decode(value, type=_LifecycleRecord)
            self._lifecycles[model_id] = from_json(bytes(found.lifecycle))

    def _reference(self, key: str, value: bytes | None) -> None:
        model_id, _, reference_id = key.partition("|")
        found = None if value is None else from_document(msgspec.json.decode(value))
        of_model = self._references.setdefault(model_id, {})
        of_model.pop(reference_id, None)  # written again: it is the newest now
        if model_id in self._grown and self._grown[model_id].reference_id == reference_id:
            del self._grown[model_id]
        if found is not None:
            of_model[reference_id] = found
            self._after.setdefault(model_id, []).append(reference_id)

    def _deployment(self, model_id: str, value: bytes | None) -> None:
        self._after.pop(model_id, None)
        if value is None:
            found = None
            self._deployments.pop(model_id, None)
        else:
            found = self._deployments[model_id] = msgspec.json.decode(value, type=Deployment)
        if model_id in self._ahead and self._ahead[model_id] == found:
            del self._ahead[model_id]

    def expect(self, model_id: str, deployment: Deployment | None) -> None:
        """Believe this before it is read: its record is being written."""
        self._ahead[model_id] = deployment
        self.revision += 1

    def expect_reference(self, reference: Reference) -> None:
        """The same of a reference."""
        self._grown[reference.model_id] = reference
        self.revision += 1

    def forget(self) -> None:
        """What was expected came to nothing, or is on the log."""
        if self._ahead or self._grown:
            self._ahead.clear()
            self._grown.clear()
            self.revision += 1

    @property
    def models(self) -> tuple[str, ...]:
        """Registered model ids, sorted."""
        return tuple(sorted(self._lifecycles))

    def references(self, model_id: str) -> Mapping[str, Reference]:
        """The references of a model by their ids, the newest last."""
        return self._references.get(model_id, {})

    def deployment(self, model_id: str) -> Deployment | None:
        """The last deployment that was told of, whether it holds or not."""
        if model_id in self._ahead:
            return self._ahead[model_id]
        return self._deployments.get(model_id)

    def file_version(self, model_id: str) -> str | None:
        """The version in the lifecycle's file; None: it is not registered."""
        found = self._lifecycles.get(model_id)
        return None if found is None else found.version

    def get(self, model_id: str) -> Registered | None:
        """The lifecycle with its current version, and the reference that this version is compared with.

        Without a deployment that is the reference which the lifecycle names, or the newest of its release, or the one
        written last: that of a version which is yet to be deployed leaves the present one alone. A version
        that was deployed has the one it was deployed with, until another one is written for it, or the newest of its
        own; a patch release else keeps the former.
        """
        lifecycle = self._lifecycles.get(model_id)
        if lifecycle is None:
            return None
        references = dict(self._references.get(model_id, {}))
        if (grown := self._grown.get(model_id)) is not None:
            references[grown.reference_id] = grown
        wanted = lifecycle.reference.id
        usual = references.get(wanted) if wanted else _newest(references, lifecycle.version)
        deployment = self.deployment(model_id)
        grows = lifecycle.reference.from_ == "production"
        if deployment is None or not deployment.holds(lifecycle.version):
            other = usual is not None and release(usual.model_version) != release(lifecycle.version)
            return Registered(lifecycle, usual, lent=grows and other and wanted is None)
        version = deployment.version
        after = () if model_id in self._ahead else self._after.get(model_id, ())
        newer = any(
            name in references and release(references[name].model_version) == release(version)
            for name in after
        )
        given = None if newer else references.get(deployment.reference_id or "")
        own = (r for r in reversed(references.values()) if r.model_version == version)
        near = (
            r
            for r in (usual, *reversed(references.values()))
            if r is not None and release(r.model_version) == release(version)
        )
        reference = given or next(own, None) or next(near, None)
        current = self._deployed(lifecycle, version)
        if reference is None and grows:
            last = next(reversed(references.values()), None)
            return Registered(current, usual or last, lent=usual is not None or last is not None)
        return Registered(current, reference, given is not None)

    def _deployed(self, lifecycle: Lifecycle, version: str) -> Lifecycle:
        """The same with another version; the same object while nothing changes, for who compares."""
        model_id = lifecycle.model_id
        known = self._current.get(model_id)
        if known is not None and known[0] is lifecycle and known[1].version == version:
            return known[1]
        # `revision` names the file, whose copy has it only if it was asked for before
        assert lifecycle.revision
        found = lifecycle.model_copy(update={"version": version})
        self._current[model_id] = lifecycle, found
        return found


def _newest(references: Mapping[str, Reference], version: str) -> Reference | None:
    """The one written last among those of a version's release; else among all."""
    written = list(references.values())[::-1]
    own = (one for one in written if release(one.model_version) == release(version))
    return next(own, written[0] if written else None)
