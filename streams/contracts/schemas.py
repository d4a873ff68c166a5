"""What does a message look like? Its JSON Schema (2020-12), drawn from the type that we encode or decode it with.

A type says which members there are and which must be. What their texts look like (ids, times, names) no type says: here
it is told by the member's name, for the same name means the same in every document.
"""

from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any

import msgspec

from detectors.types import Status
from streams.contracts import shapes
from streams.contracts.documents import DOCUMENTS, Document

__all__ = ["DIALECT", "document", "schema", "urn"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_TIMES = (
    *(
        "at",
        "opened_at",
        "resolved_at",
        "estimate",
        "earliest",
        "latest",
        "expires_at",
        "cooldown_until",
    ),
    *("applied_at", "as_of", "first_attempt_at", "next_attempt_at", "start", "end"),
)
_TEXTS: Mapping[str, Schema] = {
    **dict.fromkeys(_TIMES, shapes.TIME),
    "alert_id": shapes.derived("al"),
    "alert_ids": shapes.derived("al"),
    "episode_id": shapes.derived("ep"),
    "idempotency_key": shapes.derived("nt"),
    "inhibited_by": shapes.derived("ep"),
    "lifecycle_revision": shapes.REVISION,
    "model_id": shapes.MODEL,
    "previous_trigger_id": shapes.derived("rt"),
    "reference_digest": {"pattern": "^[0-9a-f]*$"},
    "result_id": shapes.derived("rs"),
    "result_ids": shapes.derived("rs"),
    "revision": shapes.REVISION,
    "segment": shapes.FULL,
    "series": shapes.FULL,
    "title": {"maxLength": 150},
    "summary": {"maxLength": 1024},
    "trigger_id": shapes.derived("rt"),
    "version": shapes.VERSION,
    "model_version": shapes.VERSION,
}
_COUNTS = (
    *(
        "attempts",
        "definition",
        "events",
        "expires_after_seconds",
        "labelled",
        "late",
        "looks",
        "n",
    ),
    *("n_current", "n_reference", "offset", "panes", "partition", "partitions", "records", "told"),
    *("suppressed_since_last", "truncated", "affected_total", "idle_ms"),
)
# What is said of one document only, or otherwise than elsewhere; None: nothing but what the type says.
_ONLY: Mapping[tuple[str, str], Schema | None] = {
    ("result", "verdict"): {"enum": [status.value for status in Status]},
    ("result", "scope"): {"enum": ["inputs", "outcomes", "health", "matured"]},
    ("result", "metrics"): {"additionalProperties": shapes.METRIC},
    ("result", "quality"): {"additionalProperties": shapes.QUALITY},
    ("result", "p_value"): {"exclusiveMinimum": 0, "maximum": 1},
    ("command-outcome", "model_id"): None,  # as it was written, which may be why it was refused
    ("delivery", "episode_id"): shapes.derived("ep", "sh", "dg"),
    ("delivery", "model_id"): None,  # a digest's is empty
    ("outcome", "model_id"): shapes.MODEL,
    ("profile", "episode_id"): None,
}
_ACCEPTED_TIMES = ("at", "until", "from", "start", "end")  # of commands: RFC 3339 with any offset


def urn(name: str) -> str:
    """The `$id` of a schema, which is the `ce_dataschema` of its events.

    >>> urn("alert")
    'urn:leeway:schema:alert:v1'
    """
    return f"urn:leeway:schema:{name}:v1"


def document(name: str) -> Schema:
    """The schema of one of `DOCUMENTS`.

    >>> document("alert")["$ref"]
    '#/$defs/Alert'
    """
    of = DOCUMENTS[name]
    drawn = of.type if isinstance(of.type, dict) else msgspec.json.schema(of.type)
    drawn = _copied(drawn)
    for part in _parts(drawn):
        part.pop("discriminator", None)  # OpenAPI's, not JSON Schema's; the tags are enums anyway
        if "description" in part and isinstance(part["description"], str):
            part["description"] = cleandoc(part["description"])
        for member, said in part.get("properties", {}).items():
            _say(of, member, said)
    return {"$schema": DIALECT, "$id": urn(name), "title": of.summary, **drawn, **of.more}


def schema(name: str) -> bytes:
    """The same as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(document(name)), indent=2) + b"\n"


def _say(of: Document, member: str, said: Schema) -> None:
    """What a member of this name is, beyond its type."""
    if of.direction == "read":
        if of.name == "command" and member in _ACCEPTED_TIMES:
            _narrow(said, "string", {"format": "date-time"})
        return
    if (of.name, member) in _ONLY:
        more = _ONLY[of.name, member]
    elif member in _COUNTS:
        _narrow(said, "integer", {"minimum": 0})
        return
    elif member == "sequence":
        _narrow(said, "integer", {"minimum": 1})
        return
    else:
        more = _TEXTS.get(member)
        if more is not None:
            _narrow(said, "string", more)
        return
    if more is not None:
        for kind in ("string", "number", "object"):
            _narrow(said, kind, more)


def _narrow(said: Schema, kind: str, more: Schema) -> None:
    """Add to every branch of a member's schema that is of this type."""
    branches = [said, *said.get("anyOf", ())]
    if isinstance(items := said.get("items"), dict):
        branches.append(items)
    for branch in branches:
        if branch.get("type") == kind and not {"pattern", "format"} & branch.keys():
            branch |= {name: of for name, of in more.items() if name != "type"}


def _parts(of: Any) -> Iterator[Schema]:
    """Every schema in a schema, the outermost first."""
    if isinstance(of, dict):
        yield of
        for inner in of.values():
            yield from _parts(inner)
    elif isinstance(of, list):
        for inner in of:
            yield from _parts(inner)


def _copied(of: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(of))
