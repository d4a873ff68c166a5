"""Binary or structured? What we write may be either kind of CloudEvent (`events.mode`); what we read of it is binary.

In structured mode the value is the whole event. Its attributes stay headers as well, as the Kafka binding of
CloudEvents allows: who filters by `ce_type` need not look into values.
"""

import msgspec

from alerting.cloudevents import CONTENT_TYPE, STRUCTURED
from streams.broker import Outgoing, Record
from streams.formats.cloudevents import Headers, of_structured

_TYPE, _OURS = "ce_type", b"leeway."
_FORM = "content-type"
_text = msgspec.json.Encoder().encode


def structured(record: Outgoing) -> Outgoing:
    """An event of ours in structured mode; what is no event stays as it is.

    >>> about = (("content-type", b"application/json"), ("ce_type", b"leeway.result.v1"))
    >>> structured(Outgoing("leeway.results", b"m", b'{"n":1}', about)).value
    b'{"type":"leeway.result.v1","datacontenttype":"application/json","data":{"n":1}}'
    """
    if record.value is None or not _is_ours(record.headers):
        return record
    attributes = {
        name.removeprefix("ce_"): said.decode()
        for name, said in record.headers
        if name.startswith("ce_")
    }
    head = _text(attributes | {"datacontenttype": CONTENT_TYPE})[:-1]
    value = b'%b,"data":%b}' % (head, record.value)
    return record._replace(value=value, headers=_with_form(record.headers, STRUCTURED))


def binary(record: Record) -> Record:
    """An event of ours in binary mode, whichever it was written in; any other record as it is."""
    if record.value is None or (_FORM, STRUCTURED.encode()) not in record.headers:
        return record
    if not _is_ours(record.headers):
        return record
    value = of_structured(record.value)
    return record._replace(value=value, headers=_with_form(record.headers, CONTENT_TYPE))


def _is_ours(headers: Headers) -> bool:
    return any(name == _TYPE and said.startswith(_OURS) for name, said in headers)


def _with_form(headers: Headers, form: str) -> Headers:
    return tuple((name, form.encode() if name == _FORM else said) for name, said in headers)
