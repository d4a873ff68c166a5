"""Which mistakes does the plain data of a lifecycle hold, and where?"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from streams.lifecycle.check import contradictions
from streams.lifecycle.contradiction import Names
from streams.lifecycle.mistakes import (
    Mistake,
    Several,
    Steps,
    Wrong,
    dotted,
    either,
    nearest,
    quoted,
    shown,
)
from streams.lifecycle.nodes import Node, find, key_place
from streams.lifecycle.schema import droppable, every_key, keys_of, section_at
from streams.lifecycle.settings import Lifecycle
from streams.lifecycle.written import Context


def validate(
    body: Node, receivers: Collection[str] | None
) -> tuple[Lifecycle | None, list[Mistake]]:
    """The lifecycle and its mistakes; `receivers` None: any channel will do.

    Where a part is wrong, the rest is still compared with itself: the part is left out, and what was concluded from its
    absence is dropped.
    """
    data = body.plain()
    names = Names.of(data, receivers)
    mistakes: list[Mistake] = []
    left_out: list[Steps] = []
    tree = data
    for _ in range(200):  # each round leaves out at least one part
        try:
            lifecycle = Lifecycle.model_validate(tree, context=Context(names.features))
        except ValidationError as error:
            found = list(explain(Lifecycle, error, body, tree, names.is_personal))
            if not left_out:
                mistakes = found
            elif not found:
                return None, mistakes
            before = len(left_out)
            for each in found:
                _leave_out(tree, each.path, left_out)
            if len(left_out) == before:
                return None, mistakes
            continue
        break
    else:
        return None, mistakes
    told = [each.path for each in mistakes]
    for found_together in contradictions(lifecycle, names):
        path = _original(tree, found_together.path)
        because = [path, *(_original(tree, steps) for steps in found_together.because)]
        if any(_related(steps, known) for steps in because for known in (*told, *left_out)):
            continue
        place, path = find(body, path)
        mistakes.append(
            Mistake(place, path, found_together.wrong.line(quote=not names.is_personal(path)))
        )
    return (None if mistakes else lifecycle), _without_parents(mistakes)


def _related(path: Steps, other: Steps) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _without_parents(mistakes: list[Mistake]) -> list[Mistake]:
    """Drop the mistake of a value inside which another is told."""
    paths = [each.path for each in mistakes]
    return [
        each
        for each in mistakes
        if not any(len(p) > len(each.path) and p[: len(each.path)] == each.path for p in paths)
    ]


class _Kept(list[Any]):
    """A list some of whose items were left out; remembers where the others stood."""

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items)
        self.stood = list(range(len(items)))


def _original(tree: Any, path: Steps) -> Steps:
    """`path` with the list indices of the file."""
    steps: list[str | int] = []
    for step in path:
        if isinstance(tree, _Kept) and isinstance(step, int) and step < len(tree):
            steps.append(tree.stood[step])
            tree = tree[step]
            continue
        steps.append(step)
        if isinstance(tree, list) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
    return tuple(steps)


_PLACEHOLDERS = {"model_id": "unnamed", "version": "0", "model_name": "unnamed"}


def _leave_out(tree: Any, path: Steps, left_out: list[Steps]) -> None:
    """Take the part at `path` (of the file) out of the tree: itself where it is optional, else what needs it."""
    if path and path[0] in _PLACEHOLDERS and tree.get(path[0]) != _PLACEHOLDERS[str(path[0])]:
        tree[path[0]] = _PLACEHOLDERS[str(path[0])]
        left_out.append(path[:1])
        return
    if any(path[: len(known)] == known for known in left_out):
        return
    depth = droppable(Lifecycle, path)
    parent = tree
    for at, step in enumerate(path[:depth]):
        if isinstance(parent, list):
            kept = (
                parent.stood.index(step)
                if isinstance(parent, _Kept) and step in parent.stood
                else step
            )
            if not isinstance(kept, int) or kept >= len(parent):
                return
            if at == depth - 1:
                del parent[kept]
                if isinstance(parent, _Kept):
                    del parent.stood[kept]
                left_out.append(path[:depth])
                return
            parent = parent[kept]
            continue
        if not isinstance(parent, dict) or step not in parent:
            return
        if at == depth - 1:
            del parent[step]
            left_out.append(path[:depth])
            return
        below = parent[step]
        if isinstance(below, list) and not isinstance(below, _Kept):
            below = parent[step] = _Kept(below)
        parent = below


_EXPECTED = {
    "model_id": "a name such as churn",
    "version": 'text such as "1.0.0"',
    "metric": "a metric such as accuracy",
    "type": "number, integer, category, boolean, text or vector",
    "condition": 'a condition such as "data drift detected"',
    "trigger": 'a condition, a schedule, "new labels >= 5000" or Manual',
    "action": "retrain, evaluate or notify",
    "segment": "the name of a segment",
    "name": "a name",
}


def explain(
    root: type[BaseModel],
    error: ValidationError,
    body: Node,
    tree: Any,
    hidden: Callable[[Steps], bool],
) -> Iterator[Mistake]:
    """Each of pydantic's errors as a mistake with its place.

    Parameters
    ----------
    root
        The model that was validated.
    body, tree
        What was written, and the plain data that was validated.
    hidden
        Whether what stands at a path must not be quoted.
    """
    errors = error.errors(include_url=False, include_input=False)
    unknown: dict[Steps, list[str]] = {}
    for each in errors:
        if each["type"] == "extra_forbidden":
            *parent, key = each["loc"]
            keys = keys_of(section_at(root, tuple(parent)))
            unknown.setdefault(tuple(parent), []).append(nearest(str(key), keys))
    for each in errors:
        path = _original(tree, each["loc"])
        if each["type"] == "missing":
            if path[-1] in unknown.get(tuple(each["loc"][:-1]), ()):  # written, but misspelt
                continue
            place, path = find(body, path)
            what = _EXPECTED.get(str(path[-1]), "a value")
            yield Mistake(place, path, f"is missing: expected {what}")
        elif each["type"] == "extra_forbidden":
            section = section_at(root, tuple(each["loc"][:-1]))
            yield Mistake(key_place(body, path), path, _unknown_key(root, section, path))
        elif each["type"] == "value_error":
            raised = each["ctx"]["error"]
            for wrong in raised.wrongs if isinstance(raised, Several) else (raised,):
                yield _told(body, path, wrong, hidden)
        else:
            yield _told(body, path, _misshapen(each["type"], root, path, body), hidden)


def _told(body: Node, path: Steps, wrong: Wrong, hidden: Callable[[Steps], bool]) -> Mistake:
    if path and path[-1] == "[key]":
        path = path[:-1]
        return Mistake(key_place(body, path), path, wrong.line(quote=False))
    place, path = find(body, (*path, *wrong.at))
    return Mistake(place, path, wrong.line(quote=not hidden(path)))


def _unknown_key(root: type[BaseModel], section: Any, path: Steps) -> str:
    *above, key = path
    keys = keys_of(section)
    near = nearest(str(key), keys)
    where = dotted(above) or getattr(root, "called", "the file")
    what = f"is not a key of {where}: expected "
    if near:
        return f"{what}a known key; did you mean {quoted(near)}?"
    elsewhere = [p for p in every_key(root) if key in p and "*" not in p[: p.index(key)]]
    homes = list(dict.fromkeys(dotted(p[: p.index(key) + 1]) for p in elsewhere))
    if len(homes) == 1:
        return f"{what}a known key; did you mean {quoted(homes[0])}?"
    hint = "; a number is written without commas" if str(key).isdigit() else ""
    return f"{what}{either(keys)}{hint}"


def _misshapen(kind: str, root: type[BaseModel], path: Steps, body: Node) -> Wrong:
    """A scalar where a mapping belongs, and the like."""
    _, reached = find(body, path)
    node: Any = body
    for step in reached:
        node = node.value[step]
    what = "is empty" if node.value is None else ""
    subject = "" if node.value is None else shown(node.plain())
    if kind in ("model_type", "model_attributes_type", "dict_type", "mapping_type"):
        section = section_at(root, path)
        if path == ("features",):
            return Wrong(
                subject, what or "is not a mapping", "names with a type each, such as age: number"
            )
        if path[:1] == ("features",):
            return Wrong(
                subject, what or "is no type", f"{_EXPECTED['type']}, or a mapping with type"
            )
        keys = keys_of(section) if isinstance(section, type) else []
        return Wrong(
            subject,
            what or "is not a mapping",
            f"a mapping of {either(keys)}" if keys else "a mapping",
        )
    if kind in ("tuple_type", "list_type", "iterable_type"):
        return Wrong(
            subject, what or "is not a list", "a list", "" if not subject else "write [ ] around it"
        )
    return Wrong(subject, what or "is not understood", "another value")
