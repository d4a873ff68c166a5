"""What is a CloudEvent? The rules of version 1.0, for events in JSON and for headers of Kafka records.

Sources: github.com/cloudevents/spec, cloudevents/spec.md (attributes, names, types), cloudevents/formats/json-format.md
(structured mode), cloudevents/bindings/kafka-protocol-binding.md (binary mode: ``ce_`` headers, `content-type`).
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.vendors import Rejected

_REQUIRED = ("specversion", "id", "source", "type")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")  # RFC 3986
# Control characters, half surrogates, and what Unicode says is no character.
_ILLEGAL = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+")


def event(document: Any) -> None:
    """Hold a structured event, `application/cloudevents+json`, against the specification.

    >>> event({"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "data": {}})
    >>> event({"specversion": "1.0", "id": "1", "source": "/a b", "type": "t"})
    Traceback (most recent call last):
        ...
    tests.vendors.Rejected: source: no URI reference: '/a b'
    """
    if not isinstance(document, dict):
        raise Rejected("event", "no object")
    try:
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise Rejected("event", type(error).__name__) from None
    if "data" in document and "data_base64" in document:
        raise Rejected("data", "twice")
    _attributes({k: v for k, v in document.items() if k not in ("data", "data_base64")})


def headers(pairs: Iterable[tuple[str, bytes]]) -> None:
    """Hold the headers of a record in binary mode against the Kafka binding."""
    given = [(name, value.decode()) for name, value in pairs]
    names = [name for name, _ in given]
    if len(set(names)) < len(names):
        raise Rejected("headers", "an attribute twice")
    if "content-type" not in names:
        raise Rejected("headers", "no content-type")
    _attributes({name[3:]: value for name, value in given if name.startswith("ce_")})


def _attributes(given: dict[str, Any]) -> None:
    for name in _REQUIRED:
        if not (isinstance(given.get(name), str) and given[name]):
            raise Rejected(name, "missing or empty")
    if given["specversion"] != "1.0":
        raise Rejected("specversion", given["specversion"])
    for name, value in given.items():
        if not re.fullmatch(r"[a-z0-9]{1,20}", name):
            raise Rejected("name", name)
        if isinstance(value, int) and not isinstance(value, bool):
            if not -(2**31) <= value < 2**31:
                raise Rejected(name, "an integer has 32 bits")
        elif isinstance(value, str):
            _text(name, value)
        elif not isinstance(value, bool):
            raise Rejected(name, f"of type {type(value).__name__}")
    if not _REFERENCE.fullmatch(given["source"]):
        raise Rejected("source", f"no URI reference: {given['source']!r}")
    if not _TIME.fullmatch(given.get("time", "2026-01-01T00:00:00Z")):
        raise Rejected("time", "not RFC 3339")
    schema = given.get("dataschema")
    if schema is not None and not (_URI.fullmatch(schema) and _REFERENCE.fullmatch(schema)):
        raise Rejected("dataschema", "no absolute URI")
    if "subject" in given and not given["subject"]:
        raise Rejected("subject", "empty")


def _text(name: str, text: str) -> None:
    found = _ILLEGAL.search(text)
    if found is not None:
        raise Rejected(name, f"U+{ord(found[0]):04X}")
