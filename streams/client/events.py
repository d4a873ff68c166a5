"""What do the arguments of a call become? One event as contracts §1.1 has it, or a refusal with its reason.

Refused is what Leeway could never read and would put among the dead letters: nothing else. What only costs a field is
sent as it is, and judged there.
"""

import math
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import index
from typing import Annotated, Any
from uuid import UUID

import msgspec

from streams.client.values import MAX_DEPTH, encoder, is_text, plain
from streams.errors import InvalidEvent

__all__ = ["Writer", "new_id", "to_ms"]

FIRST_MS, LAST_MS = 31_536_000_000, 4_102_444_799_999  # the years 1971 to 2099
MAX_BYTES = 1 << 20
MOST_CHARACTERS = 256  # of an event id
_VERSION_7, _VARIANT, _VARIANT_MASK = 7 << 12, 1 << 63, (1 << 62) - 1  # of a UUID
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TEXT_TIME = Annotated[datetime, msgspec.Meta(tz=True)]
_UNITS = (("seconds", 1), ("milliseconds", 1_000), ("microseconds", 10**6), ("nanoseconds", 10**9))


def new_id(now_ns: int, chance: bytes | None = None) -> str:
    """A UUID of version 7: unique, and ordered by time to a quarter of a microsecond [1]_.

    `chance`: 8 bytes; the system's if None, which no fork and nobody's seed repeats.

    References
    ----------
    .. [1] RFC 9562, section 5.7, and 6.2 method 3 for the twelve bits after the milliseconds.

    Examples
    --------
    >>> new_id(1_772_434_693_412_500_000, b"8 random")
    '019cad57-1d24-7800-b820-72616e646f6d'
    """
    ms, rest_ns = divmod(now_ns, 1_000_000)
    rest = rest_ns * 4096 // 1_000_000
    bits = int.from_bytes(chance or os.urandom(8)) & _VARIANT_MASK | _VARIANT
    text = f"{ms << 16 | _VERSION_7 | rest:016x}{bits:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def to_ms(raw: object) -> int:
    """A time as epoch milliseconds: a whole number of them, an aware `datetime`, or RFC 3339 text with an offset.

    Raises
    ------
    InvalidEvent
        With the reason that Leeway would give.

    Examples
    --------
    >>> to_ms("2026-03-02T07:58:13.412+01:00"), to_ms(datetime(2026, 3, 2, tzinfo=UTC))
    (1772434693412, 1772409600000)
    >>> to_ms(1772434693)
    Traceback (most recent call last):
    streams.errors.InvalidEvent: timestamp_unit: looks like seconds: give milliseconds
    """
    if type(raw) is int:
        time_ms = raw
    elif isinstance(raw, str):
        time_ms = _text_ms(raw)
    elif isinstance(raw, datetime):
        time_ms = _moment_ms(raw)
    else:
        time_ms = _whole(raw)
    if FIRST_MS <= time_ms <= LAST_MS:
        return time_ms
    for words, per_s in _UNITS:
        if FIRST_MS * per_s <= time_ms * 1000 < (LAST_MS + 1) * per_s:
            raise InvalidEvent("timestamp_unit", f"looks like {words}: give milliseconds")
    raise InvalidEvent("timestamp_unit", "outside the years 1971 to 2099")


def _moment_ms(moment: datetime) -> int:
    if moment != moment or moment.utcoffset() is None:  # pandas' NaT, or no zone
        raise InvalidEvent("timestamp_zone", "give a datetime with a time zone")
    return int((moment - _EPOCH) // _MILLISECOND)


def _text_ms(text: str) -> int:
    try:
        return _moment_ms(msgspec.convert(text, _TEXT_TIME))
    except (msgspec.ValidationError, OverflowError, ValueError):
        pass
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise InvalidEvent("timestamp_type", "no RFC 3339 time") from None
    raise InvalidEvent("timestamp_zone", "give an offset, such as Z")


def _whole(raw: object) -> int:
    if type(raw).__name__ == "datetime64":
        raise InvalidEvent("timestamp_zone", "a datetime64 has no time zone")
    if isinstance(raw, bool):
        raise InvalidEvent("timestamp_type")
    try:
        return index(raw)  # type: ignore[arg-type] # NumPy's whole numbers
    except (TypeError, ValueError):
        raise InvalidEvent("timestamp_type", "give whole milliseconds") from None


class Writer:
    """Writes the events of one model.

    Parameters
    ----------
    model_id, model_version
        Whose events they are.
    ahead_ms
        How far a time may lie ahead of the clock.
    odd
        Called with a reason for each field that could not be written and is null, or left out.
    """

    def __init__(
        self,
        model_id: str,
        model_version: str | None,
        ahead_ms: int,
        odd: Callable[[str], object],
    ) -> None:
        self._always: dict[str, object] = {"model_id": model_id}
        if model_version is not None:
            self._always["model_version"] = model_version
        self._ahead_ms = ahead_ms
        self._odd = odd
        self._lost = lambda: odd("unwritable")
        self._encode = encoder(self._lost)

    def prediction(self, event_id: str, fields: Mapping[str, object], now_ns: int) -> bytes:
        """A prediction, or InvalidEvent."""
        return self._written({"event_id": event_id, **self._timed(fields, now_ns)})

    def feature(self, fields: Mapping[str, object], now_ns: int) -> bytes:
        """A feature event, or InvalidEvent."""
        return self._written(self._timed(fields, now_ns))

    def label(self, event_id: str | None, fields: Mapping[str, object], now_ns: int) -> bytes:
        """A label, or InvalidEvent."""
        event = self._timed(fields, now_ns)
        if event_id is not None:
            event["event_id"] = event_id
        if "prediction_timestamp" in event:
            self._moment(event, "prediction_timestamp")
        if not _is_there(event.get("loss")):
            whole = _is_there(event.get("prediction")) or _is_there(event.get("score"))
            if not (_is_there(event.get("label")) and (whole or event_id is not None)):
                raise InvalidEvent(
                    "label_incomplete",
                    "give a loss, or a label with an event id, a prediction or a score",
                )
        return self._written(event)

    def id_of(self, raw: object) -> str | None:
        """An event id that can be one; None if it cannot.

        Texts, and whole numbers and UUIDs as texts.
        """
        if isinstance(raw, str):
            text = str.__str__(raw)
        elif isinstance(raw, UUID):
            text = str(raw)
        elif raw is None or isinstance(raw, bool | float):
            return None
        else:
            try:
                text = str(index(raw))  # type: ignore[arg-type] # NumPy's whole numbers
            except (TypeError, ValueError):
                return None
        return text if 0 < len(text) <= MOST_CHARACTERS and is_text(text) else None

    def _timed(self, fields: Mapping[str, object], now_ns: int) -> dict[str, object]:
        event = self._always.copy()
        event["timestamp"] = now_ms = now_ns // 1_000_000
        for name, value in fields.items():
            if value is not None:
                event[name] = value
        if event["timestamp"] is not now_ms:
            event["timestamp"] = time_ms = to_ms(event["timestamp"])
            if time_ms > now_ms + self._ahead_ms:
                raise InvalidEvent("timestamp_future", "it lies ahead of the clock")
        if type(event.get("features", _NO_FEATURES)) is not dict:
            event["features"] = _named(event["features"])
        if "feature_timestamp" in event:
            self._moment(event, "feature_timestamp")
        return event

    def _moment(self, event: dict[str, object], name: str) -> None:
        raw = event[name]
        try:
            if isinstance(raw, Mapping):
                event[name] = {of: to_ms(one) for of, one in raw.items() if one is not None}
            else:
                event[name] = to_ms(raw)
        except InvalidEvent as defect:
            del event[name]
            self._odd(defect.reason)

    def _written(self, event: dict[str, object]) -> bytes:
        try:
            value = self._encode(event)
            if b"NaN" in value or b"Inf" in value:  # a decimal, or only a word in a text
                value = self._carefully(event)
        except RecursionError:
            raise InvalidEvent("too_deep") from None
        except (TypeError, ValueError, OverflowError):
            value = self._carefully(event)
        if len(value) > MAX_BYTES:
            raise InvalidEvent("too_large")
        if value.count(b"{") + value.count(b"[") > MAX_DEPTH and _deeper(value):
            raise InvalidEvent("too_deep")
        return value

    def _carefully(self, event: object) -> bytes:
        try:
            return self._encode(plain(event, self._lost))
        except RecursionError:
            raise InvalidEvent("too_deep") from None


_NO_FEATURES: dict[str, Any] = {}


def _named(features: object) -> dict[str, object]:
    """Features as a dict: of any mapping, or of a row of pandas."""
    for converted in (getattr(features, "to_dict", None), getattr(features, "model_dump", None)):
        if callable(converted):
            features = converted()
    if isinstance(features, Mapping):
        return dict(features)
    raise InvalidEvent("features", "give a mapping of names to values")


def _is_there(value: object) -> bool:
    """Whether a truth can be read from it. What is no finite number and no other value, is not there."""
    if value is None:
        return False
    if type(value) is str:
        return is_text(value)
    seen = plain(value, lambda: None)
    try:
        return seen is not None and (
            not isinstance(seen, int | float | Decimal) or math.isfinite(float(seen))
        )
    except OverflowError:  # more digits than a double has
        return False


def _deeper(value: bytes) -> bool:
    """Whether lists and objects nest deeper than Leeway reads."""
    level: list[Any] = [msgspec.json.decode(value)]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
