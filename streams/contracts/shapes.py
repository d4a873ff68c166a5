"""The parts of schemas that no type has: what members say together, and documents that are written as plain data."""

from typing import Any

from streams.judging.kept import FORMAT as STATE_FORMAT

Schema = dict[str, Any]


def _object(required: str, /, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split()}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _present(*names: str) -> Schema:
    """These members are there, and not null."""
    return {
        "required": list(names),
        "properties": {name: {"not": {"type": "null"}} for name in names},
    }


TEXT: Schema = {"type": "string"}
FULL: Schema = {"type": "string", "minLength": 1}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
}
MODEL: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}
VERSION: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"}
REVISION: Schema = {"type": "string", "pattern": "^[0-9a-f]{12}$"}


def derived(*kinds: str) -> Schema:
    """An id that is derived from content (contracts §0)."""
    of = kinds[0] if len(kinds) == 1 else f"(?:{'|'.join(kinds)})"
    return {"type": "string", "pattern": f"^{of}-[0-9a-f]{{40}}$"}


# A label is joined by its `event_id`, or says by itself what was predicted.
LABEL: Schema = {
    "anyOf": [_present("label"), _present("loss")],
    "allOf": [
        {
            "anyOf": [
                _present("event_id"),
                _present("model_id", "loss"),
                _present("model_id", "label", "prediction"),
                _present("model_id", "label", "score"),
                _present("model_id", "label", "scores"),
            ]
        }
    ],
}

_BLOCKS = _list(_object("type", type=FULL), maxItems=50)
_PAYLOADS: dict[str, Schema] = {
    "slack": _object(
        "text attachments",
        channel=FULL,
        text={"type": "string", "minLength": 1, "maxLength": 4000},
        unfurl_links={"type": "boolean"},
        attachments=_list(_object("color blocks", color=TEXT, blocks=_BLOCKS)),
    ),
    "pagerduty": {
        **_object(
            "event_action dedup_key",
            event_action={"enum": ["trigger", "acknowledge", "resolve"]},
            dedup_key={"type": "string", "minLength": 1, "maxLength": 255},
            client=TEXT,
            client_url=TEXT,
            links=_list(_object("href", href=FULL, text=TEXT)),
            payload=_object(
                "summary source severity",
                summary={"type": "string", "minLength": 1, "maxLength": 1024},
                source=FULL,
                severity={"enum": ["info", "warning", "error", "critical"]},
                timestamp={"type": "string", "format": "date-time"},
                custom_details={"type": "object"},
            ),
        ),
        "if": {"properties": {"event_action": {"const": "trigger"}}},
        "then": {"required": ["payload"]},
    },
    "email": _object(
        "to subject text html headers",
        to=_list(FULL, maxItems=100),
        subject={"type": "string", "pattern": r"^[^\r\n]+$"},
        text=FULL,
        html=FULL,
        headers=_map({"type": "string", "pattern": r"^[^\r\n]*$"}),
    ),
}
NOTIFICATION: Schema = {
    "allOf": [
        {
            "if": {"properties": {"channel": {"const": channel}}},
            "then": {"properties": {"payload": payload}},
        }
        for channel, payload in _PAYLOADS.items()
    ]
}

# What stands under a name in `metrics` and `quality` of a result.
METRIC: Schema = {
    "anyOf": [
        _object(
            "value low high n reference threshold",
            value=_or_null(NUMBER),
            low=_or_null(NUMBER),
            high=_or_null(NUMBER),
            n=COUNT,
            reference=_or_null(NUMBER),
            threshold=_or_null(NUMBER),
            reliability=FULL,
            reasons=_list(FULL),
        ),
        _object("insufficient n", insufficient=FULL, n=COUNT),
    ]
}
QUALITY: Schema = _object(
    "value limit violated", value=NUMBER, limit=_or_null(NUMBER), violated={"type": "boolean"}
)

LIFECYCLE: Schema = {
    "title": "Lifecycle",
    "description": (
        "A lifecycle file, normalised: every default written out. `revision` is the beginning of the SHA-256 of the "
        "canonical JSON. Its keys are those of docs/lifecycle.md."
    ),
    **_object(
        "revision lifecycle",
        revision=REVISION,
        lifecycle=_object(
            "format revision model_lifecycle",
            format={"type": "integer", "minimum": 1},
            revision=REVISION,
            model_lifecycle=_object("model_id version", model_id=MODEL, version=VERSION),
        ),
    ),
}

_SLOTS = _map(
    _object("windows events counts", windows=COUNT, events=COUNT, counts=_map(_list(COUNT)))
)
_SERIES: Schema = {
    **_object(
        "type counts odd missing centre scale dispersion",
        type={"enum": ["number", "integer", "category", "boolean"]},
        edges=_list(NUMBER),
        support=_list(NUMBER),
        categories=_list(TEXT),
        known=_list(TEXT),
        counts=_list(COUNT),
        odd=COUNT,
        missing=COUNT,
        centre=NUMBER,
        scale=NUMBER,
        ends=_list(NUMBER),
        dispersion={"type": "object"},
    ),
    "oneOf": [{"required": ["edges"]}, {"required": ["support"]}, {"required": ["categories"]}],
}
REFERENCE: Schema = {
    "title": "Reference",
    "description": (
        "What a version is compared with: frozen cells and counts of every series. `digest` is of all that changes a "
        "comparison; counts of different digests are never added."
    ),
    **_object(
        "format reference_id digest model_id model_version built_from blocks series segments",
        format={"type": "integer", "minimum": 1},
        reference_id=FULL,
        digest={"type": "string", "pattern": "^[0-9a-f]+$"},
        model_id=MODEL,
        model_version=VERSION,
        built_from=_object(
            "source start end events",
            source=TEXT,
            start=_or_null(TIME),
            end=_or_null(TIME),
            events=COUNT,
            gap_ms=COUNT,
        ),
        blocks=_or_null(
            _object("window_ms windows rows", window_ms=COUNT, windows=COUNT, rows=COUNT)
        ),
        series=_map(_SERIES),
        segments=_map(_object("events counts", events=COUNT, counts=_map(_list(COUNT)))),
        season=_object(
            "name timezone slots segments",
            name=FULL,
            timezone=FULL,
            slots=_SLOTS,
            segments=_map(_SLOTS),
        ),
        derived=_map(_object("type", type=FULL)),
        outcomes={"type": "object"},
    ),
}

STATE: Schema = {
    "title": "State",
    "description": (
        "What outlives a window, one part to a record. A null value deletes. `data` is the judge's own: who reads it "
        "must know the format, and refuses a newer one."
    ),
    **_object(
        "format part as_of lifecycle_revision data",
        format={"type": "integer", "minimum": 1, "maximum": STATE_FORMAT},
        part=FULL,
        as_of=TIME,
        lifecycle_revision=_or_null(REVISION),
        data={},
    ),
}

_DIGITS: Schema = {"type": "string", "pattern": "^[0-9]+$"}
DEAD_LETTER: Schema = {
    "title": "DeadLetter",
    "description": (
        "Text headers of a record that could not be processed; its key, value and other headers are those of its "
        "origin, byte for byte."
    ),
    **_object(
        "__dlq.errors.topic __dlq.errors.partition __dlq.errors.offset __dlq.errors.group "
        "__dlq.errors.delivery.count __dlq.errors.message __dlq.errors.exception __dlq.errors.stage leeway.reason",
        **{
            "__dlq.errors.topic": FULL,
            "__dlq.errors.partition": _DIGITS,
            "__dlq.errors.offset": _DIGITS,
            "__dlq.errors.group": FULL,
            "__dlq.errors.delivery.count": _DIGITS,
            "__dlq.errors.message": {"type": "string", "minLength": 1, "maxLength": 1024},
            "__dlq.errors.exception": FULL,
            "__dlq.errors.stage": {"enum": ["decode", "join", "deliver"]},
            "leeway.reason": {"type": "string", "pattern": "^[a-z_]+$"},
            "leeway.truncated": {"const": "true"},
            "leeway.size": _DIGITS,
        },
    ),
}
