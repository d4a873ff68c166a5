"""What may be asked of the read model, and how? A request's parameters, checked, and pages of long lists."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from streams.broker import Partition
from streams.views import answers
from streams.views.answers import Document
from streams.views.deliveries import Delivering
from streams.views.documents import epoch_ms
from streams.views.places import Elsewhere as Elsewhere
from streams.views.places import Recalled
from streams.views.problems import Mistake, Problem
from streams.views.read import ReadModel
from streams.views.vitals import Vitals

LIMIT, LARGEST_LIMIT = 100, 500
LONGEST = 512  # characters of a parameter
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,9}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: what it is about, and what it is answered from."""

    read: ReadModel
    now_ms: int
    path: Mapping[str, str]
    query: Mapping[str, str]
    ready: bool = True
    reading: Sequence[tuple[Partition, int, int]] = ()  # position, and where the log ends
    delivering: Delivering = field(default_factory=Delivering)
    vitals: Vitals = field(default_factory=Vitals)
    recalled: Recalled = field(default_factory=dict)

    def model_id(self) -> str:
        """The model that the path names. Raises `Problem` where nobody knows it."""
        wanted = self.path["id"]
        if wanted not in answers.model_ids(self.read):
            raise Problem("not_found", f"no model is called {wanted[:200]!r}")
        return wanted

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """A parameter that is one of a few words, or absent."""
        value = self.query.get(name)
        if value is not None and value not in choices:
            raise _refused(name, f"one of {', '.join(choices)}", value)
        return value

    def time_ms(self, name: str) -> int | None:
        """A parameter that is an RFC 3339 time, or absent."""
        value = self.query.get(name)
        if value is None:
            return None
        return _time_ms(name, value)

    def page(
        self,
        found: Iterable[T],
        key: Callable[[T], tuple[Any, ...]],
        document: Callable[[T], Document],
        *,
        newest_first: bool = True,
    ) -> Document:
        """`limit` items behind `cursor`, in order of their unique keys, and the cursor of what follows."""
        shown, following = self.part(found, key, newest_first=newest_first)
        return {"items": [document(one) for one in shown], "next": following}

    def part(
        self,
        found: Iterable[T],
        key: Callable[[T], tuple[Any, ...]],
        *,
        newest_first: bool = True,
        usual: int = LIMIT,
    ) -> tuple[list[T], str | None]:
        """The items themselves, and the cursor of what follows; None: nothing does. `usual`: how many, unasked."""
        limit = _count("limit", self.query.get("limit", str(usual)), LARGEST_LIMIT)
        ordered = sorted(found, key=key, reverse=newest_first)
        if "cursor" in self.query:
            cursor = self.query["cursor"]
            try:
                after = tuple(msgspec.json.decode(base64.urlsafe_b64decode(cursor)))
                ordered = [
                    one
                    for one in ordered
                    if (key(one) < after if newest_first else key(one) > after)
                ]
            except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
                raise _refused("cursor", "the `next` of an earlier answer", cursor) from None
        shown = ordered[:limit]
        more = len(ordered) > len(shown)
        following = base64.urlsafe_b64encode(msgspec.json.encode(key(shown[-1]))) if more else b""
        return shown, following.decode() or None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing a path may be asked with.

    Parameters
    ----------
    name, about : what it is called, and what it is for
    choices : the words it may be; none: any text
    form : ``text``, ``time`` (RFC 3339 with an offset) or ``count`` (1 to `most`)
    most : the largest count, or the longest text
    required : nothing can be said without it
    """

    name: str
    about: str
    choices: tuple[str, ...] = ()
    form: Literal["text", "time", "count"] = "text"
    most: int = LONGEST
    required: bool = False

    def check(self, value: str) -> None:
        """Raises `Problem` where the value is none of this parameter.

        >>> Parameter("limit", "how many", form="count", most=500).check("0")
        Traceback (most recent call last):
        ...
        streams.views.problems.Problem: ('bad_request', 'limit: expected a number from 1 to 500', ...
        """
        if self.choices and value not in self.choices:
            raise _refused(self.name, f"one of {', '.join(self.choices)}", value)
        if self.form == "time":
            _time_ms(self.name, value)
        elif self.form == "count":
            _count(self.name, value, self.most)
        elif len(value) > self.most:
            raise _refused(self.name, f"at most {self.most} characters", value)


@dataclass(frozen=True, slots=True)
class Route:
    """A path, what it is for, the parameters it takes, and what answers it.

    Parameters
    ----------
    gives : the type of the answer, or of each item of a list; see `streams.control.shapes`
    listed : whether it answers with pages of items
    """

    path: str
    about: str
    parameters: tuple[Parameter, ...]
    answer: Callable[[Asked], Document]
    gives: Any = dict[str, Any]
    listed: bool = False

    def query(self, given: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The parameters of a request. Raises `Problem` where one is unknown, repeated, missing or wrong."""
        found = checked(tuple(one.name for one in self.parameters), given)
        for one in self.parameters:
            if one.name in found:
                one.check(found[one.name])
            elif one.required:
                raise _refused(one.name, one.about, "nothing")
        return found


def checked(parameters: tuple[str, ...], query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters of a request; an unknown or repeated one is refused, for a filter must not be ignored."""
    found: dict[str, str] = {}
    for name, value in query:
        if name not in parameters:
            expected = f"one of {', '.join(parameters)}" if parameters else "nothing"
            raise _refused(name, expected, value)
        if name in found:
            raise _refused(name, "the parameter once", value)
        found[name] = value
    return found


def _time_ms(name: str, value: str) -> int:
    try:
        if _RFC3339.fullmatch(value):
            return epoch_ms(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        pass
    raise _refused(name, "an RFC 3339 time with Z or an offset", value)


def _count(name: str, value: str, most: int) -> int:
    if _DIGITS.fullmatch(value) and 1 <= int(value) <= most:
        return int(value)
    raise _refused(name, f"a number from 1 to {most}", value)


def _refused(name: str, expected: str, got: str) -> Problem:
    mistake = Mistake(f"query.{name}"[:200], expected, got[:200])
    return Problem("bad_request", f"{name[:200]}: expected {expected}", (mistake,))
