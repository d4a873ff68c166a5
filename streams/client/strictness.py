"""Which field of an event could Leeway not use? Asked in tests and development only: it costs more than the event."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["defect"]

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}").fullmatch
_STATUSES = ("ok", "error", "timeout", "fallback")
_LONGEST_NAME = 128


def defect(value: bytes) -> tuple[str, str] | None:
    """The first such field of a written event: the reason Leeway would give, and a sentence; None if there is none.

    >>> defect(b'{"status": "OK"}')
    ('status', 'status: expected one of ok, error, timeout, fallback')
    """
    event = msgspec.json.decode(value)
    for name, fine, reason, expected in _CHECKS:
        if event.get(name) is not None and not fine(event[name]):
            return reason, f"{name}: expected {expected}"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_output(value: object) -> bool:
    return isinstance(value, str | int | float | None)


def _are_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _are_tags(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_output, value.values()))


def _is_feature(value: object) -> bool:
    return _is_output(value) or (isinstance(value, list) and all(map(_is_number, value)))


def _are_features(features: dict[str, object]) -> bool:
    return all(map(_is_feature, features.values()))


def _are_named(features: dict[str, object]) -> bool:
    return all(0 < len(name) <= _LONGEST_NAME and name.isprintable() for name in features)


_CHECKS: tuple[tuple[str, Callable[[Any], bool], str, str], ...] = (
    ("status", lambda of: of in _STATUSES, "status", f"one of {', '.join(_STATUSES)}"),
    ("latency_ms", _is_number, "type", "a number"),
    ("latency_ms", lambda of: of >= 0, "negative", "0 or more"),
    (
        "model_version",
        lambda of: isinstance(of, str) and bool(_VERSION(of)),
        "model_version",
        "letters, digits, . _ + -, at most 64",
    ),
    ("prediction", _is_output, "type", "a text, number or boolean"),
    ("label", _is_output, "type", "a text, number or boolean"),
    ("score", _is_number, "type", "a number"),
    ("loss", _is_number, "type", "a number"),
    ("label_confidence", _is_number, "type", "a number"),
    ("scores", _are_numbers, "type", "an object of numbers"),
    ("features", _are_named, "type", "names of 1 to 128 printable characters"),
    ("features", _are_features, "type", "numbers, texts, booleans, or lists of numbers"),
    ("tags", _are_tags, "type", "texts, numbers or booleans"),
)
