"""Which event is in a CloudEvent? Structured mode keeps it in `data`, binary mode is it, with attributes as headers.

The Kafka protocol binding of CloudEvents 1.0.2: a content type that begins with `application/cloudevents` says
structured mode; headers `ce_…` are the attributes of binary mode.
"""

from base64 import b64decode
from binascii import Error
from typing import Annotated

import msgspec

from streams.errors import InvalidEvent

Headers = tuple[tuple[str, bytes], ...]
_STRUCTURED = b"application/cloudevents"
_JSON = _STRUCTURED + b"+json"
_REQUIRED = ("specversion", "id", "source", "type")
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Envelope(msgspec.Struct, gc=False):
    specversion: str
    id: _Text
    source: _Text
    type: _Text
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str | None = None
    datacontenttype: str | None = None


_envelope = msgspec.json.Decoder(_Envelope).decode
_attributes = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str | bool | int).decode


def is_structured(headers: Headers) -> bool:
    """Whether the headers say that the value is the whole event.

    >>> is_structured((("content-type", b"application/cloudevents+json; charset=utf-8"),))
    True
    """
    return any(
        name.lower() == "content-type" and content.lower().startswith(_STRUCTURED)
        for name, content in headers
    )


def is_binary(headers: Headers) -> bool:
    """Whether the headers have the attributes."""
    return any(name == "ce_specversion" for name, _ in headers)


def of_binary(value: bytes, headers: Headers) -> bytes:
    """The data of binary mode, which is the value.

    Raises
    ------
    InvalidEvent
        An attribute that must be there is not, or the data are no JSON.
    """
    found = {name.lower(): content for name, content in headers}
    for name in _REQUIRED:
        if not found.get(f"ce_{name}"):
            raise InvalidEvent("cloudevent", f"the header ce_{name} is missing")
    _check_version(found["ce_specversion"].decode("utf-8", "replace"))
    _check_json(found.get("content-type", b"").decode("utf-8", "replace"))
    return value


def of_structured(value: bytes, headers: Headers = ()) -> bytes:
    """The data of structured mode.

    >>> of_structured(b'{"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "data": {"n": 1}}')
    b'{"n": 1}'

    Raises
    ------
    InvalidEvent
        It is no CloudEvent in JSON.
    """
    for name, content in headers:
        form = content.lower().partition(b";")[0].strip()
        if name.lower() == "content-type" and form not in (b"", b"application/json", _JSON):
            raise InvalidEvent("cloudevent", f"{form.decode('utf-8', 'replace')[:60]} is not read")
    try:
        event = _envelope(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent("cloudevent", str(error)[:200]) from None
    _check_version(event.specversion)
    _check_json(event.datacontenttype or "")
    if event.data_base64 is None:
        return bytes(event.data)
    if event.data:
        raise InvalidEvent("cloudevent", "it has both data and data_base64")
    try:
        return b64decode(event.data_base64, validate=True)
    except Error:
        raise InvalidEvent("cloudevent", "data_base64 is not base64") from None


def attributes(value: bytes) -> Headers:
    """The attributes of structured mode as the headers that binary mode has.

    >>> attributes(b'{"specversion": "1.0", "id": "1", "time": "2026-03-02T07:00:00Z", "data": {}}')[1]
    ('ce_id', b'1')
    """
    found = []
    for name, raw in _attributes(value).items():
        if name not in ("data", "data_base64", "datacontenttype"):
            try:
                said = _text(raw)
            except msgspec.MsgspecError:
                continue
            text = said if isinstance(said, str) else str(said).lower()
            found.append((f"ce_{name}", text.encode()))
    return tuple(found)


def _check_version(version: str) -> None:
    if version != "1.0":
        raise InvalidEvent("cloudevent", f"specversion {version[:20]} is not 1.0")


def _check_json(form: str) -> None:
    kind = form.lower().partition(";")[0].strip()
    if kind and kind != "application/json" and not kind.endswith(("+json", "/json")):
        raise InvalidEvent("cloudevent", f"its data are {kind[:60]}, not JSON")
