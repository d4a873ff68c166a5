"""From text to lifecycles, or to all mistakes of the text, each with its place."""

import json
from collections.abc import Collection
from pathlib import Path

from streams.errors import LifecycleError, StateError, UsageError
from streams.lifecycle import nodes
from streams.lifecycle.mistakes import Mistake, Place, dotted, nearest, quoted
from streams.lifecycle.nodes import Node, as_node, find
from streams.lifecycle.settings import FORMAT, Lifecycle
from streams.lifecycle.validation import validate

ROOT = "model_lifecycle"


def read(path: Path, *, receivers: Collection[str] = ()) -> tuple[Lifecycle, ...]:
    """The lifecycles of a file (see `load`).

    Raises
    ------
    LifecycleError
        All mistakes of the file.
    UsageError
        There is no such file, or it cannot be read.
    """
    return load(text_of(path), str(path), receivers=receivers)


def text_of(path: Path) -> str:
    """The text of a file, or one clear line."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise LifecycleError([f"{path}:1:1: the file is not UTF-8: expected UTF-8 text"]) from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder: name the files in it") from None
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None


def load(text: str, name: str, *, receivers: Collection[str] = ()) -> tuple[Lifecycle, ...]:
    """Read one lifecycle from each YAML document of `text`.

    Parameters
    ----------
    text
        YAML; one or more documents with the root key ``model_lifecycle``.
    name
        What mistakes call the file.
    receivers
        Names of the receivers that channels may name besides slack, pagerduty and email.

    Raises
    ------
    LifecycleError
        All mistakes of the text, one line each, in the order of their places.
    """
    documents = nodes.read(text, root=ROOT)
    mistakes = list(documents.mistakes)
    lifecycles: list[Lifecycle] = []
    seen: dict[str, int] = {}
    for document in documents.nodes:
        body, found = _body(document)
        mistakes += found
        if body is None:
            continue
        lifecycle, found = validate(body, receivers)
        mistakes += [each for each in found if each.place not in documents.told]
        if lifecycle is not None:
            place, path = find(body, ("model_id",))
            first = seen.setdefault(lifecycle.model_id, place.line)
            if first != place.line:
                what = f"{quoted(lifecycle.model_id)} is the id of another model of this file"
                said = f"{what}: expected each model once (first on line {first})"
                mistakes.append(Mistake(place, path, said))
            lifecycles.append(lifecycle)
    if not documents.nodes and not mistakes:
        mistakes.append(Mistake(Place(1, 1), (), f'the file is empty: expected "{ROOT}:"'))
    if mistakes:
        raise LifecycleError(lines(mistakes, name))
    return tuple(lifecycles)


def lines(mistakes: Collection[Mistake], name: str) -> list[str]:
    """The lines of mistakes in the order of their places, each once."""
    ordered = sorted(mistakes, key=lambda each: (each.place, dotted(each.path), each.text))
    return list(dict.fromkeys(each.line(name) for each in ordered))


def from_json(document: bytes) -> Lifecycle:
    """Read what `Lifecycle.to_json` wrote.

    Raises
    ------
    StateError
        It was written by a newer Leeway.
    LifecycleError
        It is no lifecycle.
    """
    where = "lifecycle"
    try:
        envelope = json.loads(document)
    except ValueError:
        raise LifecycleError([f"{where}:1:1: is not JSON: expected a lifecycle"]) from None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("format"), int):
        raise LifecycleError([f"{where}:1:1: format: is missing: expected {FORMAT}"])
    if envelope["format"] > FORMAT:
        raise StateError(
            f"the lifecycle was written in format {envelope['format']}, this Leeway reads {FORMAT}: upgrade it"
        )
    body = as_node(envelope.get(ROOT))
    lifecycle, mistakes = validate(body, None)
    if lifecycle is None or mistakes:
        raise LifecycleError(lines(mistakes, where))
    return lifecycle


def _body(document: Node) -> tuple[Node | None, list[Mistake]]:
    """What stands under the root key."""
    if not isinstance(document.value, dict):
        what = "is empty" if document.value is None else "is not a mapping"
        return None, [Mistake(document.place, (), f'the document {what}: expected "{ROOT}:"')]
    mistakes = []
    for key in document.value:
        if key != ROOT:
            hint = f'; did you mean "{ROOT}"?' if nearest(key, [ROOT]) else ""
            text = f'is not a key of the document: expected "{ROOT}" alone{hint}'
            mistakes.append(Mistake(document.keys[key], (key,), text))
    body = document.value.get(ROOT)
    if body is None:
        if not mistakes:
            mistakes.append(
                Mistake(document.place, (), f'the document is empty: expected "{ROOT}:"')
            )
        return None, mistakes
    if not isinstance(body.value, dict):
        what = "is empty" if body.value is None else "is not a mapping"
        return None, [
            *mistakes,
            Mistake(body.place, (ROOT,), f"{what}: expected model_id, version and what to watch"),
        ]
    return body, mistakes
