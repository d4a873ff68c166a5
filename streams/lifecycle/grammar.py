"""How are durations, shares, changes, rates and words written, and what could be read two ways? (contracts 2.2)

Every function takes a value as it was written and returns what it means, or raises `Wrong`, which names the readings.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from streams.lifecycle.mistakes import Wrong, bare, did_you_mean, either, quoted, shown

_MS = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_UNIT_WORDS = {
    "millisecond": "ms",
    "second": "s",
    "minute": "m",
    "hour": "h",
    "day": "d",
    "week": "w",
}
_ISO = re.compile(
    r"P(?:(?P<w>\d{1,6})W)?(?:(?P<d>\d{1,6})D)?"
    r"(?:T(?:(?P<h>\d{1,7})H)?(?:(?P<m>\d{1,8})M)?(?:(?P<s>\d{1,10}(?:\.\d{1,3})?)S)?)?"
)
_PART = re.compile(r"(\d{1,14}(?:\.\d{1,6})?)\s*([A-Za-z]+)\s*")
_VARIES = re.compile(r"\d*\s*(?:(?i:months?|years?|quarters?|mon|y)|M)|P\d+[MY]\w*")
_LONGEST_MS = 100 * 366 * _MS["d"]
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,40})?([eE][+-]?\d{1,2})?")
_DURATION_EXAMPLE = "a duration such as 5m, 1h30m or 7d"


def fold(text: str) -> str:
    """Text without what does not matter: case, ``_``, ``-`` and double blanks.

    >>> fold("Page-Hinkley "), fold("false_positive  rate")
    ('page hinkley', 'false positive rate')
    """
    return " ".join(re.sub(r"[_\-]", " ", text).split()).lower()


def duration(value: object) -> timedelta:
    """A length of time that is the same everywhere.

    Raises
    ------
    Wrong
        No unit, a unit of varying length (month, year), an upper-case unit letter.

    Examples
    --------
    >>> duration("1h30m"), duration("30 days"), duration("PT5M")
    (datetime.timedelta(seconds=5400), datetime.timedelta(days=30), datetime.timedelta(seconds=300))
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise Wrong(shown(value), "has no unit", _DURATION_EXAMPLE, _with_unit(shown(value)))
    if not isinstance(value, str):
        raise Wrong(shown(value), "is not a duration", _DURATION_EXAMPLE)
    text = value.strip()
    if _NUMBER.fullmatch(text):
        raise Wrong(quoted(text), "has no unit", _DURATION_EXAMPLE, _with_unit(text))
    if _VARIES.fullmatch(text):
        raise Wrong(quoted(text), "has no fixed length", _DURATION_EXAMPLE, "write days")
    milliseconds = _iso_ms(text) if text.startswith("P") else _parts_ms(text)
    if milliseconds is None:
        raise Wrong(quoted(text), "is not a duration", _DURATION_EXAMPLE)
    if milliseconds > _LONGEST_MS:
        raise Wrong(quoted(text), "is too long", "a duration below 100 years")
    if milliseconds != int(milliseconds):
        raise Wrong(quoted(text), "is finer than a millisecond", _DURATION_EXAMPLE)
    return timedelta(milliseconds=int(milliseconds))


def _with_unit(text: str) -> str:
    return f'write "{text}m" for minutes or "{text}h" for hours' if text.isdigit() else ""


def _iso_ms(text: str) -> float | None:
    found = _ISO.fullmatch(text)
    if found is None or not any(found.groups()) or text.endswith("T"):
        return None
    return round(sum(float(n) * _MS[unit] for unit, n in found.groupdict().items() if n), 6)


def _parts_ms(text: str) -> float | None:
    total, end = 0.0, 0
    for part in _PART.finditer(text):
        if part.start() != end:
            return None
        end = part.end()
        number, unit = part.groups()
        unit = _UNIT_WORDS.get(unit.lower().removesuffix("s"), unit)
        if unit not in _MS:
            if unit.lower() in _MS:
                letter = "M may be minutes or months" if unit == "M" else f"{unit} is no unit"
                raise Wrong(
                    quoted(text), f"has an upper-case unit, and {letter}", "lower-case ms s m h d w"
                )
            return None
        total += float(number) * _MS[unit]
    return round(total, 6) if end == len(text) and end else None


def longer_than_nothing(value: object) -> timedelta:
    """A duration above 0."""
    length = duration(value)
    if not length:
        raise Wrong(shown(value), "is no time at all", _DURATION_EXAMPLE)
    return length


def iso(length: timedelta) -> str:
    """A duration as ISO 8601 text, days and a time.

    >>> iso(timedelta(minutes=90)), iso(timedelta(days=30)), iso(timedelta(0))
    ('PT1H30M', 'P30D', 'PT0S')
    """
    milliseconds = round(length / timedelta(milliseconds=1))
    text = ""
    for unit in ("d", "h", "m"):
        count, milliseconds = divmod(milliseconds, _MS[unit])
        if count:
            text += ("T" if unit != "d" and "T" not in text else "") + f"{count}{unit.upper()}"
    if milliseconds or not text:
        text += ("" if "T" in text else "T") + f"{bare(milliseconds / 1000)}S"
    return f"P{text}"


def human(length: timedelta) -> str:
    """A duration in its largest whole unit, as a person writes it.

    >>> human(timedelta(seconds=90)), human(timedelta(hours=1))
    ('90s', '1h')
    """
    milliseconds = round(length / timedelta(milliseconds=1))
    unit = max((u for u in _MS if u != "w" and milliseconds % _MS[u] == 0), key=_MS.__getitem__)
    return f"{milliseconds // _MS[unit]}{unit}" if milliseconds else "0s"


LONGEST_WINDOW = timedelta(days=31)
_FREQUENCIES = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
}
_NO_FREQUENCY = {"monthly": 'write "30d"', "quarterly": "", "yearly": ""}


def frequency(value: object) -> timedelta | None:
    """How often to look; None for ``Real-time``: as often as the scope's window closes."""
    text = fold(value) if isinstance(value, str) else ""
    if text in ("real time", "realtime"):
        return None
    if text in _FREQUENCIES:
        return _FREQUENCIES[text]
    expected = "Real-time, Hourly, Daily, Weekly or a duration up to 31d"
    if text in _NO_FREQUENCY:
        raise Wrong(shown(value), "has no fixed length", expected, _NO_FREQUENCY[text])
    try:
        return window(value)
    except Wrong as error:
        raise Wrong(error.subject, error.what, expected, error.hint) from None


def window(value: object) -> timedelta:
    """A window's length: above 0, at most 31 days; ``rolling`` may stand before it."""
    if isinstance(value, str):
        value = re.sub(r"(?i)^\s*rolling\s+", "", value)
    length = longer_than_nothing(value)
    if length > LONGEST_WINDOW:
        raise Wrong(shown(value), "is longer than a window can be", "at most 31d")
    return length


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` per time: a budget or a limit."""

    count: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.count} per {human(self.per)}"


def rate(value: object) -> Rate:
    """``N per DURATION``.

    >>> str(rate("1 per 90 days"))
    '1 per 90d'
    """
    if isinstance(value, Rate):
        return value
    expected = "N per DURATION, such as 1 per 90 days"
    found = (
        re.fullmatch(r"\s*(\d{1,6})\s+per\s+(.+)", value, re.I) if isinstance(value, str) else None
    )
    if found is None:
        raise Wrong(shown(value), "is not a rate", expected)
    length = found[2] if found[2][0] in "P0123456789" else f"1 {found[2]}"
    try:
        per = longer_than_nothing(length)
    except Wrong as error:
        raise Wrong(shown(value), error.what, expected, error.hint) from None
    if not int(found[1]):
        raise Wrong(shown(value), "allows nothing", expected)
    return Rate(int(found[1]), per)


def number(value: object) -> float:
    """A finite number, in quotes or not."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}([,_ ]\d{3})+", value.strip()):
        plain = re.sub(r"\D", "", value)
        raise Wrong(shown(value), "is not a number", "a number", f"write {plain}")
    raise Wrong(shown(value), "is not a number", "a number")


def whole(lowest: int, highest: int) -> Callable[[object], int]:
    """A reader of whole numbers from `lowest` to `highest`."""
    expected = f"a whole number from {lowest} to {highest:,}"

    def read(value: object) -> int:
        try:
            count = number(value)
        except Wrong as error:
            raise Wrong(error.subject, "is not a number", expected, error.hint) from None
        if count != int(count):
            raise Wrong(shown(value), "is not a whole number", expected)
        if not lowest <= count <= highest:
            raise Wrong(shown(value), f"is {_beyond(count < lowest)}", expected)
        return int(count)

    return read


def _beyond(low: bool) -> str:
    return "too small" if low else "too large"


_PERCENT = re.compile(r"([+-]?\d{1,30}(?:\.\d{1,40})?)\s*%")


def share(value: object) -> float:
    """A part of a whole, 0 to 1: ``2%`` or ``0.02``.

    >>> share("2%"), share(0.02)
    (0.02, 0.02)
    """
    expected = "a share such as 2% or 0.02"
    percent = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        part = float(percent[1]) / 100 if percent else number(value)
    except Wrong as error:
        raise Wrong(error.subject, "is not a share", expected, _percent_hint(value)) from None
    if part > 1:
        hint = "" if percent or part > 100 else f'write "{bare(part)}%"'
        raise Wrong(shown(value), "is above 1", expected, hint)
    if part < 0:
        raise Wrong(shown(value), "is below 0", expected)
    return round(part, 12)


def _percent_hint(value: object) -> str:
    found = (
        re.fullmatch(r"([\d.]+)\s*(percent|points?|pp)", value, re.I)
        if isinstance(value, str)
        else None
    )
    return f'write "{found[1]}%"' if found else ""


@dataclass(frozen=True, slots=True)
class Change:
    """How far something may move: relative to the reference, or in points (0.01 of the metric itself)."""

    amount: float  # 0.05 for 5% and for 5 points
    relative: bool

    def __str__(self) -> str:
        percent = bare(round(self.amount * 100, 10))
        return f"{percent}%" if self.relative else f"{percent} points"


_CHANGE = re.compile(
    r"(\d{1,10}(?:\.\d{1,20})?)\s*(%|pp|percentage points?|points?)(?:\s+(?:degradation|drop|change))?",
    re.I,
)


def change(value: object) -> Change:
    """``5%`` is relative, ``5 points`` is absolute; a bare number may be either and is refused.

    >>> change("5%"), str(change("2 pp"))
    (Change(amount=0.05, relative=True), '2 points')
    """
    if isinstance(value, Change):
        return value
    if isinstance(value, str) and (found := _CHANGE.fullmatch(value.strip())):
        return Change(round(float(found[1]) / 100, 12), found[2] == "%")
    try:
        amount = number(value)
    except Wrong:
        expected = '"5%" (relative) or "5 points" (absolute)'
        raise Wrong(shown(value), "is not a change", expected, _percent_hint(value)) from None
    percent = bare(round(amount * 100 if abs(amount) < 1 else amount, 10))
    raise Wrong(shown(value), "may be relative or absolute", f'"{percent}%" or "{percent} points"')


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long a condition must hold: a time, or so many of the last windows."""

    time: timedelta | None = None
    windows: int = 0
    of: int = 0

    def __str__(self) -> str:
        return human(self.time) if self.time else f"{self.windows} of {self.of} windows"


def persistence(value: object) -> Persistence:
    """``10m`` or ``2 of 3 windows``."""
    if isinstance(value, Persistence):
        return value
    expected = "a duration such as 10m, or 2 of 3 windows"
    found = (
        re.fullmatch(r"(\d{1,3}) of (\d{1,3}) windows?", fold(value))
        if isinstance(value, str)
        else None
    )
    if found is None:
        try:
            return Persistence(time=longer_than_nothing(value))
        except Wrong as error:
            raise Wrong(error.subject, error.what, expected, error.hint) from None
    windows, of = int(found[1]), int(found[2])
    if not 1 <= windows <= of:
        raise Wrong(shown(value), "asks for more windows than there are", expected)
    return Persistence(windows=windows, of=of)


def one_of(
    words: Mapping[str, str] | Sequence[str], noun: str, expected: str = ""
) -> Callable[[object], str]:
    """A reader of one word of a list; case, ``_``, ``-`` and blanks do not matter.

    Parameters
    ----------
    words
        What may be written, and what it means where that is another word.
    noun
        What the value is not: ``a severity``.
    expected
        What to list in the message; default: all words.

    Examples
    --------
    >>> one_of({"Critical": "critical"}, "a severity")("CRITICAL")
    'critical'
    """
    meaning = dict(words) if isinstance(words, Mapping) else {word: word for word in words}
    folded = {fold(word): meant for word, meant in meaning.items()}
    folded |= {fold(meant): meant for meant in meaning.values()}
    wanted = expected or either(list(meaning))

    def read(value: object) -> str:
        if isinstance(value, str) and fold(value) in folded:
            return folded[fold(value)]
        hint = did_you_mean(value, meaning) if isinstance(value, str) else ""
        raise Wrong(shown(value), f"is not {noun}", wanted, hint)

    return read


def boolean(value: object) -> bool:
    """``true`` or ``false`` and nothing else."""
    if isinstance(value, bool):
        return value
    hint = ""
    if isinstance(value, str) and value.lower() in ("yes", "no", "on", "off", "true", "false"):
        hint = f"write {'true' if value.lower() in ('yes', 'on', 'true') else 'false'}"
    raise Wrong(shown(value), "is not true or false", "true or false", hint)


def text(value: object) -> str:
    """Text that is not empty; a number or a boolean is refused, because quotes decide what it means."""
    if isinstance(value, str):
        if not value.strip():
            raise Wrong("", "is empty", "text")
        return value
    if isinstance(value, bool):
        raise Wrong(shown(value), "is read as a boolean", f'text, write "{shown(value)}"')
    if isinstance(value, int | float):
        raise Wrong(shown(value), "is read as a number", f'text, write "{shown(value)}"')
    if value is None:
        raise Wrong("", "is empty", "text")
    raise Wrong(shown(value), "is not text", "text")


def label(value: object) -> str:
    """A class or category by its JSON text: text, a whole number or a boolean."""
    if isinstance(value, bool) or (isinstance(value, int) and not isinstance(value, bool)):
        return shown(value)
    if isinstance(value, str):
        return value
    raise Wrong(shown(value), "is not a category", "text, a whole number, true or false")
