"""An alert as a structured CloudEvent: what a webhook of the user's own gets, whole."""

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from alerting.cloudevents import headers, structured
from alerting.types import Alert


def render(alert: Alert) -> dict[str, Any]:
    """The event of `application/cloudevents+json` [1]_: the attributes that its record on Kafka has, and the alert.

    References
    ----------
    .. [1] github.com/cloudevents/spec, cloudevents/formats/json-format.md, version 1.0.2.
    """
    return structured(headers(alert), document(alert))


def document(value: Any) -> Any:
    """Plain data of a document of ours, members in their order, as its JSON has them.

    >>> from alerting.types import Missing
    >>> document({"a": (Missing(0.0, 0.5),)})
    {'a': [{'reference': 0.0, 'current': 0.5}]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: document(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # half surrogates cannot be written
    if isinstance(value, dict):
        return {name: document(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [document(one) for one in value]
    return value
