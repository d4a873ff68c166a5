"""Is this place a feature, of which type, and within which bounds? Every answer that is no has its reason."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from detectors.series import PARTS
from streams.lifecycle import paths
from streams.offline.drafting.facts import Facts, Path
from streams.offline.drafting.words import DIVISIONS, is_code, is_id, is_personal, plain

__all__ = ["Feature", "LeftOut", "features_of", "nice"]

_ENOUGH = 50  # values from which on they say what they are, whatever they are called
_MOST_ALLOWED = 20
_SEEN = 5  # times a category must have been seen, so that those not seen yet are rare
_TEXT_WORDS, _TEXT_LENGTH = 3, 40
_LONGEST = 256  # of a category
_RARE = 0.01


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as it is drafted. `path` None: found under its name; `note` is what a person should know."""

    name: str
    facts: Facts
    type: str
    path: str | None = None
    range: tuple[float, float] | None = None
    allowed: tuple[str, ...] = ()
    nullable: float | None = None
    personal: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A place that is no feature, and why not; `type` if it may be declared all the same."""

    name: str
    why: str
    type: str | None = None


def features_of(
    places: Sequence[Facts], inside: Path, *, values: bool, typed: bool
) -> tuple[list[Feature], list[LeftOut]]:
    """The features among these places, in their order.

    Parameters
    ----------
    places : what may be a feature
    inside : the object whose members need no path
    values : whether categories and ranges may be written
    typed : whether whole numbers and truths were told from texts by their writer
    """
    found: list[Feature] = []
    left: list[LeftOut] = []
    names: set[str] = set()
    rare = 0
    for one in places:
        if 0 < one.present < _RARE * one.rows:
            rare += 1
            continue
        name, path = _named(one.path, inside, names)
        if not _is_name(name):
            left.append(LeftOut(name, "its name is none that a feature can have"))
            continue
        names.add(name)
        made = _feature(name, path, one, values=values, typed=typed)
        (found if isinstance(made, Feature) else left).append(made)  # type: ignore[arg-type]
    taken = {
        f"{one.name}.{part}"
        for one in found
        for part in PARTS.get(one.type.replace("category", "identifier"), ())
    }
    for made in [each for each in found if each.name in taken]:
        found.remove(made)
        left.append(LeftOut(made.name, "another feature has a series of this name"))
    if rare:
        left.append(LeftOut(f"{rare} more", "in fewer than 1 % of the events"))
    return found, left


def _named(path: Path, inside: Path, names: set[str]) -> tuple[str, str | None]:
    """A name, and the path that a name alone does not say."""
    below = path[len(inside) :]
    if len(below) == 1:
        return below[0], None
    name = below[-1] if below[-1] not in names else "_".join(below)
    return name, paths.path_text(path)


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 128 and not any(
        char < " " or char in '"\\' or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff"
        for char in name
    )


def _feature(
    name: str, path: str | None, one: Facts, *, values: bool, typed: bool
) -> Feature | LeftOut:
    examples = list(one.distinct or ())[:200] if one.type == "text" else []
    if one.type == "text" and not examples:
        examples = [str(value) for value in one.values[:500] if isinstance(value, str)]
    personal = is_personal(name, examples)
    why, kind = _why_not(name, one)
    if why:
        said = f"{why}; it looks personal, too" if personal else why
        return LeftOut(name, said, kind)
    kind, note = _type(name, one, typed=typed)
    notes = [note] if note else []
    if one.odd:
        notes.append(
            f"{_percent(one.odd / one.present)} are of another type, and will count as such"
        )
    if one.missing:
        notes.append(f"{_percent(one.missing)} are missing")
    if personal:
        notes.append("looks personal")
    shown = values and not personal
    return Feature(
        name,
        one,
        kind,
        path,
        range=_range(one) if shown and kind in ("number", "integer") else None,
        allowed=_allowed(one) if shown and kind == "category" else (),
        nullable=_nullable(one),
        personal=personal,
        note="; ".join(notes),
    )


def _why_not(name: str, one: Facts) -> tuple[str, str | None]:
    """Why a place is no feature, and what it could be declared as; nothing if it is one."""
    if one.type == "empty":
        return "no event has a value", None
    if one.type == "mixed":
        return "its values are of several types", None
    if one.type == "other":
        return "neither a number, a text, a truth nor a list of numbers", None
    if one.type == "time":
        return "a time: a feature would be an age or an hour made of it", None
    if one.type == "vector":
        return "", None
    if one.different == 1:
        return "always the same here: declare it to hear when it moves", _simple(one)
    if plain(name) in DIVISIONS and one.different <= _MOST_ALLOWED:
        return "how the rows were divided: choose with --where", None
    share = one.different / one.present
    if one.type in ("text", "integer") and (
        (is_id(name) and (share > 0.1 or one.different > _ENOUGH))
        or (
            one.present >= _ENOUGH
            and share > 0.98
            and ((one.type == "text" and one.mean_words < _TEXT_WORDS) or _counts_up(one))
        )
    ):
        return "an identifier: nearly every event has its own", "category"
    return "", None


def _simple(one: Facts) -> str:
    return "category" if one.type == "text" else one.type


def _counts_up(one: Facts) -> bool:
    """Whether whole numbers only ever grow, as those of rows do."""
    numbers = [value for value in one.values if isinstance(value, int)]
    return one.type == "integer" and all(a < b for a, b in pairwise(numbers))


def _type(name: str, one: Facts, *, typed: bool) -> tuple[str, str]:
    if one.type == "text":
        longest = max((len(text) for text in one.distinct or ()), default=_LONGEST + 1)
        if (
            one.mean_words > _TEXT_WORDS
            or one.mean_length > _TEXT_LENGTH
            or longest > _LONGEST
            or (one.mean_words > 1.5 and one.different > 0.5 * one.present)
        ):
            return "text", "watched by length and words"
        many = f"{one.different:,} different values" if one.different > _MOST_ALLOWED else ""
        return "category", many
    if one.type == "integer":
        if set(one.distinct or ()) == {"0", "1"}:
            return ("category", "0 and 1") if typed else ("boolean", "0 and 1")
        few = one.distinct is not None and len(one.distinct) <= _MOST_ALLOWED
        if few and is_code(name):
            return "category", "whole numbers that look like codes"
        if few and one.present >= _ENOUGH:
            return "integer", f"only {one.different} different: a category, if they are codes"
    return one.type, ""


def _range(one: Facts) -> tuple[float, float]:
    """Bounds that only nonsense should break: twice as far as the sample goes, in a round number."""
    if one.type == "number" and one.low >= 0 and one.high <= 1:
        return 0.0, 1.0
    high = nice(2 * one.high) if one.high > 0 else 0.0
    low = -nice(-2 * one.low) if one.low < 0 else 0.0
    return low, high


def nice(value: float) -> float:
    """The next number above 0 of the form 1, 2 or 5 times a power of ten.

    >>> nice(7.2), nice(0.3), nice(5_000_000)
    (10.0, 0.5, 5000000.0)
    """
    power = math.floor(math.log10(value)) if value > 0 else 0
    for step in (1, 2, 5, 10, 20):
        found = float(f"{step}e{power}")
        if found >= value and math.isfinite(found):
            return found
    return 1e308


def _allowed(one: Facts) -> tuple[str, ...]:
    """The categories, where those that the sample lacks can be taken to be rare."""
    distinct = one.distinct or Counter()
    if not 0 < len(distinct) <= _MOST_ALLOWED or min(distinct.values()) < _SEEN or one.odd:
        return ()
    return tuple(sorted(distinct, key=lambda text: (-distinct[text], text)))


def _nullable(one: Facts) -> float | None:
    """A share of missing values that would be a break of the data; None where none is missing here."""
    if not one.missing:
        return None
    spread = 5 * math.sqrt(one.missing * (1 - one.missing) / one.rows)
    return min(1.0, nice(100 * max(2 * one.missing, one.missing + spread)) / 100)


def _percent(share: float) -> str:
    """A share for people.

    >>> _percent(0.031), _percent(0.0001)
    ('3.1 %', 'below 0.1 %')
    """
    return f"{100 * share:.1f} %" if share >= 0.0005 else "below 0.1 %"
