"""Where do these events keep our fields, and where their features? Told by names first, and held against the values."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.lifecycle import paths
from streams.offline.drafting.facts import Facts, Path
from streams.offline.drafting.words import FIELDS, OBJECTS, STATUSES, plain

__all__ = ["Shape", "divided", "label_fields", "shape_of"]

_LEGAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LEGAL_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_MOSTLY = 0.9  # of the events must have a field that every event needs
_FEW = 100  # different models or versions
Known = Mapping[Path, Facts]


@dataclass(frozen=True, slots=True)
class Shape:
    """Our fields and where they are.

    `inside` is the object that holds the features, ``()`` the whole event; `inputs` are the places that may be features
    and `others` those that are neither. `guessed` says of the features' object that its name does not tell.
    """

    fields: Mapping[str, Path]
    inside: Path
    tags: Path | None
    inputs: tuple[Path, ...]
    others: tuple[Path, ...]
    guessed: bool = False


def divided(
    events: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Events without a truth, and label events: a truth, and nothing beside it but fields of ours."""
    truth = {*FIELDS["label"], *FIELDS["loss"]}
    beside = {name for names in FIELDS.values() for name in names} | set(OBJECTS["tags"])
    beside |= set(OBJECTS["scores"])
    predictions: list[Mapping[str, Any]] = []
    labels: list[Mapping[str, Any]] = []
    for event in events:
        names = {plain(key) for key in event}
        is_label = not names.isdisjoint(truth) and names <= beside
        (labels if is_label else predictions).append(event)
    return predictions, labels


def shape_of(known: Known, *, table: bool) -> Shape:
    """Tell fields from features.

    Parameters
    ----------
    known : what is known of each place
    table : whether places are columns: then everything lies beside each other
    """
    usable = {path: one for path, one in known.items() if table or _writable(path)}
    scores = None if table else _object(usable, "scores", _probabilities)
    open_to = {path: one for path, one in usable.items() if not _under(path, scores)}
    inside = () if table else _object(open_to, "features", lambda members: bool(members))
    outside = (
        {path: one for path, one in open_to.items() if not _under(path, inside)}
        if inside
        else open_to
    )
    fields = _fields(outside)
    if inside and "timestamp" not in fields:  # the object is an envelope around everything
        fields = _fields(open_to)
    if scores is not None:
        fields["scores"] = scores
    taken = set(fields.values())
    free = [path for path in open_to if path not in taken]
    tags = None if table else _object(open_to, "tags", lambda members: bool(members))
    guessed = False
    if inside is None:
        inside = _largest(free, tags)
        guessed = inside != ()
    if tags is not None and (tags == inside or not any(_under(path, tags) for path in free)):
        tags = None
    inputs = tuple(path for path in free if _under(path, inside) and not _under(path, tags))
    rest = tuple(path for path in free if path not in set(inputs))
    return Shape(fields, inside, tags, inputs, rest, guessed)


def label_fields(known: Known) -> dict[str, Path]:
    """The fields of label events; their time is when the truth became known."""
    fields = _fields(known, truths=True)
    truth = fields.pop("label_timestamp", None)
    return fields | ({"timestamp": truth} if truth is not None else {})


def _fields(known: Known, *, truths: bool = False) -> dict[str, Path]:
    """Our fields among these places, perhaps of label events; a place is one field at most."""
    found: dict[str, Path] = {}
    for field, fits in _FITS.items():
        path = _best(known, field, fits, set(found.values()))
        if path is not None:
            found[field] = path
    if not (truths or "prediction" in found or "score" in found):
        found.pop("label", None)  # the truth of what? Perhaps it is a feature
    if "label" not in found and "loss" not in found:
        found.pop("label_timestamp", None)
    return found


def _best(known: Known, field: str, fits: Callable[[Facts], bool], taken: set[Path]) -> Path | None:
    ranks = {name: rank for rank, name in enumerate(FIELDS[field])}
    candidates = []
    for path, one in known.items():
        name = path[-1]
        rank = ranks.get(plain(name))
        if rank is None and field == "score" and re.match(r"p_|prob", name.lower()):
            rank = len(ranks)
        if path in taken or rank is None or not one.present or not fits(one):
            continue
        # our own name before all others, then the name, then what lies higher
        candidates.append((name != field, rank, len(path), path))
    return min(candidates)[3] if candidates else None


def _is_time(one: Facts) -> bool:
    return one.type == "time" or (one.type in ("integer", "number") and one.unit is not None)


def _is_output(one: Facts) -> bool:
    return one.type in ("text", "boolean", "integer", "number")


def _is_version(one: Facts) -> bool:
    distinct = one.distinct or Counter()
    legal = one.type == "text" and 0 < len(distinct) <= _FEW
    return (
        legal
        and all(_LEGAL_VERSION.fullmatch(text) for text in distinct)
        and (plain(one.name) != "model" or all(re.search(r"\d+\.\d", text) for text in distinct))
    )


def _is_model(one: Facts) -> bool:
    distinct = one.distinct or Counter()
    return (
        one.type == "text"
        and 0 < len(distinct) <= _FEW
        and all(_LEGAL_ID.fullmatch(text) for text in distinct)
    )


_FITS: Mapping[str, Callable[[Facts], bool]] = {
    "label_timestamp": _is_time,
    "timestamp": lambda one: _is_time(one) and one.present >= _MOSTLY * one.rows,
    "event_id": lambda one: one.type == "text" and one.different >= _MOSTLY * one.present,
    "model_version": _is_version,
    "model_id": _is_model,
    "prediction": _is_output,
    "score": lambda one: (
        one.type in ("number", "integer")
        and (one.name == "score" or (one.low >= 0 and one.high <= 1))
    ),
    "latency_ms": lambda one: one.type in ("number", "integer") and one.low >= 0,
    "status": lambda one: one.type == "text" and set(one.distinct or ("",)) <= STATUSES,
    "label": _is_output,
    "loss": lambda one: one.type in ("number", "integer") and one.low >= 0 and one.high <= 1,
}


def _writable(path: Path) -> bool:
    """Whether a path can be written down, and is read back as it was."""
    try:
        return paths.path(paths.path_text(path)) == path and all(_printable(step) for step in path)
    except ValueError:
        return False


def _printable(step: str) -> bool:
    return bool(step) and all(char < "\ud800" or char > "\udfff" for char in step)


def _under(path: Path, above: Path | None) -> bool:
    return above is not None and len(path) > len(above) and path[: len(above)] == above


def _members(known: Known) -> dict[Path, list[Facts]]:
    """What is in each object, however deep."""
    found: dict[Path, list[Facts]] = {}
    for path, one in known.items():
        for depth in range(1, len(path)):
            found.setdefault(path[:depth], []).append(one)
    return found


def _object(known: Known, what: str, fits: Callable[[Sequence[Facts]], bool]) -> Path | None:
    """The object that such things are kept in, by its name."""
    ranks = {name: rank for rank, name in enumerate(OBJECTS[what])}
    candidates = [
        (ranks[plain(path[-1])], len(path), path)
        for path, members in _members(known).items()
        if plain(path[-1]) in ranks and fits(members)
    ]
    return min(candidates)[2] if candidates else None


def _probabilities(members: Sequence[Facts]) -> bool:
    return all(
        one.type in ("number", "integer") and one.low >= 0 and one.high <= 1 for one in members
    )


def _largest(free: Sequence[Path], tags: Path | None) -> Path:
    """The object with most of what is left; the whole event, unless an object has more of it."""
    counts: dict[Path, int] = {(): sum(len(path) == 1 for path in free)}
    for path in free:
        if len(path) > 1 and not _under(path, tags):
            counts[path[:-1]] = counts.get(path[:-1], 0) + 1
    best = max(counts.values())
    return min(path for path, n in counts.items() if n == best)
