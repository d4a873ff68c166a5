"""What is written in a YAML file, and where? Text becomes nodes that know their line and column.

Read strictly. Only ``true`` and ``false`` are booleans, only JSON's numbers are numbers; ``null``,
``~`` and nothing are null; everything else (``no``, ``12:30``, ``0x10``, ``2026-01-31``) is text.
Tags, repeated keys and merge keys are mistakes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from streams.lifecycle.mistakes import (
    Mistake,
    Place,
    Steps,
    WrittenFloat,
    WrittenInt,
    quoted,
)
from streams.lifecycle.syntax import LOADER, Repair, diagnose

Scalar = str | int | float | bool | None

_INT = re.compile(r"-?(0|[1-9][0-9]{0,29})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_MOST_ALIASES = 100
_MOST_NODES = 50_000  # after aliases are written out
_DEEPEST = 32
_MOST_REPAIRS = 50
_MOST_CHARACTERS = 1_000_000


@dataclass(slots=True)
class Node:
    """One value of the file with its place; a mapping also knows the places of its keys."""

    place: Place
    value: "Scalar | dict[str, Node] | list[Node]"
    keys: dict[str, Place] = field(default_factory=dict)
    size: int = 1

    def plain(self) -> Any:
        """The value as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(slots=True)
class Documents:
    """The documents of a text, the mistakes met on the way, and the places whose mistake is already told."""

    nodes: list[Node] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    told: set[Place] = field(default_factory=set)


class _Unreadable(Exception):
    """The rest of the text cannot be read."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.place = place


def read(text: str, *, root: str = "", secret: bool = False) -> Documents:
    """Read all documents of `text`.

    Parameters
    ----------
    text
        YAML, one or more documents.
    root
        A key that paths leave out.
    secret
        Never quote what is written.

    Returns
    -------
    Documents
        Where the text is no YAML at all, a mistake at the place where reading ended; where quotes are all that is
        missing they are put in, told as a mistake, and reading goes on behind them.
    """
    found = Documents()
    if len(text) > _MOST_CHARACTERS:
        what = (
            f"is longer than {_MOST_CHARACTERS:,} characters: expected one short document per model"
        )
        found.mistakes.append(Mistake(Place(1, 1), (), f"the file {what}"))
        return found
    repairs: list[Repair] = []
    quote = (
        not secret and "pii" not in text
    )  # a value that cannot be read may be one that must not be shown
    while True:
        builder = _Builder(text, root)
        try:
            found.nodes = builder.documents()
        except _Unreadable as error:
            stop = Mistake(error.place, (), str(error))
        except yaml.YAMLError as error:
            problem = diagnose(text, error, quote=quote)
            if problem.repair is not None and len(repairs) < _MOST_REPAIRS:
                repairs.append(problem.repair)
                text = problem.repair.apply(text)
                found.mistakes.append(Mistake(problem.place, (), problem.text))
                continue
            stop = Mistake(problem.place, (), problem.text)
        else:
            found.mistakes += builder.mistakes
            break
        # what follows is unknown, what came before was not checked: only this is certain
        found.mistakes.append(stop)
        found.nodes = []
        break
    for repair in reversed(repairs):  # the places of the text as the person wrote it
        for node in _all(found.nodes):
            node.place = repair.before(node.place)
            node.keys = {key: repair.before(place) for key, place in node.keys.items()}
        found.mistakes = [
            Mistake(repair.before(each.place), each.path, each.text) for each in found.mistakes
        ]
    found.told = {repair.place for repair in repairs}
    return found


def _all(nodes: list[Node]) -> Iterator[Node]:
    seen: set[int] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node.value, dict):
            waiting += node.value.values()
        elif isinstance(node.value, list):
            waiting += node.value


class _Builder:
    """Builds nodes from the parser's events, which still know what was tagged, quoted or an alias."""

    def __init__(self, text: str, root: str) -> None:
        self._events = iter(yaml.parse(text, Loader=LOADER))
        self._root = root
        self._anchors: dict[str, Node | None] = {}  # None while it is being built
        self._aliases = 0
        self._told_aliases = False
        self.mistakes: list[Mistake] = []

    def documents(self) -> list[Node]:
        nodes = []
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                nodes.append(self._node(next(self._events), ()))
        return nodes

    def _node(self, event: Any, path: Steps) -> Node:
        place = _place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, place, path)
        if len(path) > _DEEPEST:
            raise _Unreadable(place, f"is nested deeper than {_DEEPEST}: expected a flatter file")
        if event.anchor:
            self._anchors[event.anchor] = None
        if event.tag is not None and event.tag != "!":
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._tell(place, path, f"has the tag {quoted(tag)}: expected no tags")
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(place, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(place, path)
        else:
            node = Node(place, _scalar(event.value) if event.style in (None, "") else event.value)
        if node.size > _MOST_NODES:
            raise _Unreadable(place, f"has more than {_MOST_NODES:,} values: expected fewer")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: Any, place: Place, path: Steps) -> Node:
        self._aliases += 1
        if self._aliases > _MOST_ALIASES and not self._told_aliases:
            self._told_aliases = True
            self._tell(
                place, path, f"is alias {_MOST_ALIASES + 1}: expected {_MOST_ALIASES} at most"
            )
        if anchor not in self._anchors:
            raise _Unreadable(
                place,
                f"not YAML: alias {quoted('*' + anchor)} names nothing: expected &{anchor} above",
            )
        node = self._anchors[anchor]
        if node is None:
            raise _Unreadable(
                place, f"not YAML: alias {quoted('*' + anchor)} stands inside what it names"
            )
        return node

    def _sequence(self, place: Place, path: Steps) -> Node:
        items: list[Node] = []
        node = Node(place, items)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
            node.size += items[-1].size
        return node

    def _mapping(self, place: Place, path: Steps) -> Node:
        items: dict[str, Node] = {}
        node = Node(place, items)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            at = _place(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Unreadable(at, "a key is not text: expected a name, a colon and a value")
            key = event.value
            value = self._node(next(self._events), (*path, key))
            if value.value is None and value.place > at:
                value.place = at  # an empty value stands nowhere: point to its key
            node.size += value.size
            if key == "<<" and event.style in (None, ""):
                self._tell(at, (*path, key), "is a merge key: expected the keys themselves")
            elif key in items:
                first = node.keys[key].line
                self._tell(
                    at,
                    (*path, key),
                    f"is given twice: expected each key once (first on line {first})",
                )
            else:
                items[key] = value
                node.keys[key] = at
        return node

    def _tell(self, place: Place, path: Steps, text: str) -> None:
        inside = path[1:] if path and path[0] == self._root else path
        self.mistakes.append(Mistake(place, inside or path, text))


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _scalar(text: str) -> Scalar:
    """What a plain (unquoted) value means."""
    if text in ("", "null", "~"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        whole = WrittenInt(text)
        whole.text = text
        return whole
    if _FLOAT.fullmatch(text):
        number = WrittenFloat(text)
        number.text = text
        return number
    return text


def find(node: Node, path: Steps) -> tuple[Place, Steps]:
    """Place and path of the deepest part of `path` that is written."""
    place = node.place
    for depth, step in enumerate(path):
        if isinstance(node.value, dict):
            if step not in node.value:
                return node.place, path
            node = node.value[str(step)]
        elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        else:
            return place, path[:depth]
        place = node.place
    return place, path


def key_place(node: Node, path: Steps) -> Place:
    """Where the last key of `path` is written."""
    *parents, last = path
    for step in parents:
        if isinstance(node.value, dict):
            node = node.value[str(step)]
        elif isinstance(node.value, list) and isinstance(step, int):
            node = node.value[step]
    return node.keys.get(str(last), node.place)


def as_node(value: Any) -> Node:
    """Plain data as nodes without places."""
    if isinstance(value, dict):
        return Node(Place(1, 1), {key: as_node(each) for key, each in value.items()})
    if isinstance(value, list):
        return Node(Place(1, 1), [as_node(each) for each in value])
    return Node(Place(1, 1), value)
