"""Which keys may a lifecycle have, how is each written, what is its default, and what does it mean?

Read off the settings' models: types say how a value is written, the text below a field says what it means. The page
docs/lifecycle.md and the schema for editors, schemas/lifecycle-file.json, are made of this.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from streams.lifecycle.acts import NOT_YET
from streams.lifecycle.drift import Methods
from streams.lifecycle.grammar import human
from streams.lifecycle.schema import inside
from streams.lifecycle.settings import Lifecycle
from streams.lifecycle.written import Filled, Form, OneOf, Section

__all__ = ["Key", "file_schema", "keys"]

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the file.

    Attributes
    ----------
    path : ``*`` stands for any item or name
    written : how a value is written, in words
    default : what it is where it is not written, ``required``, or –
    acts : ``yes``, ``partly``, or ``later``: read and checked, without effect yet
    meaning : in Markdown
    """

    path: tuple[str, ...]
    written: str
    default: str
    acts: str
    meaning: str


def keys() -> tuple[Key, ...]:
    """All keys that hold values, in the order of the models.

    Examples
    --------
    >>> next(key for key in keys() if key.path[-1] == "grace").default
    '3h'
    """
    return tuple(_keys(Lifecycle, ()))


def _keys(section: type[Section], above: tuple[str, ...]) -> Iterator[Key]:
    meanings = _meanings(section)
    for name, about in section.model_fields.items():
        path = (*above, about.alias or name)
        inner, many = _section(about)
        if inner is not None:
            yield from _keys(inner, (*path, "*") if many else path)
            continue
        words, _ = _how(about.annotation, about.metadata)
        yield Key(path, words, _default(about), _acts(path), meanings[name])


def file_schema() -> Schema:
    """The JSON Schema (2020-12) of a lifecycle file, for editors: it knows all keys, and explains them.

    What it refuses, `leeway check` refuses too; most of what may be wrong with a value it leaves to that.

    Examples
    --------
    >>> file_schema()["properties"]["model_lifecycle"]["required"]
    ['model_id', 'version']
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:leeway:schema:lifecycle-file:v1",
        "title": "Leeway: the lifecycle of a model",
        "type": "object",
        "properties": {"model_lifecycle": _drawn(Lifecycle)},
        "required": ["model_lifecycle"],
        "additionalProperties": False,
    }


def _drawn(section: type[Section]) -> Schema:
    """The schema of a section."""
    meanings, properties, needed = _meanings(section), Schema(), list[str]()
    for name, about in section.model_fields.items():
        key = about.alias or name
        inner, many = _section(about)
        if inner is None:
            _, said = _how(about.annotation, about.metadata)
            default = _default(about)
            more = "" if default in ("required", "–") else f". Default: {default}"
            about_it: Schema = {"description": _LINK.sub(r"\1", meanings[name]) + more}
        else:
            said, about_it = _drawn(inner), {}
            if inner.alone is not None:
                _, short = _how(*_of(inner, inner.alone))
                said = {"anyOf": [short, said]}
            if many:
                said = {many: said, "type": _TYPES[many]}
            elif any(isinstance(one, BeforeValidator) for one in about.metadata):
                said = {"anyOf": [said, {"const": False}]}  # a source that is not read
        if about.is_required() and not _filled(about):
            needed.append(key)
        else:
            said = {"anyOf": [said, {"type": "null"}]}
        properties[key] = about_it | said
    drawn: Schema = {"description": re.split(r"[.;]", section.__doc__ or "", maxsplit=1)[0]}
    drawn |= {"type": "object", "properties": properties, "additionalProperties": False}
    return drawn | ({"required": needed} if needed else {})


_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")  # of a page
_TYPES = {"items": "array", "additionalProperties": "object"}


def _how(annotation: Any, metadata: Sequence[Any] = ()) -> tuple[str, Schema]:
    """How a value is written, in words and as a schema."""
    for one in metadata:
        if isinstance(one, OneOf):
            listed = {"enum": list(one.words)}
            return ", ".join(one.words), {"anyOf": [listed, {"type": "string"}]}  # in any letters
        if isinstance(one, Form):
            return one.words, {"type": list(one.types)}
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _how(arguments[0], arguments[1:])
    if origin is tuple:
        words, item = _how(arguments[0])
        called = f"list of {words}s" if re.fullmatch(r"\w+", words) else f"{words}, list"
        return called, {"anyOf": [item, {"type": "array", "items": item}]}
    if origin is dict:
        words, item = _how(arguments[1])
        return words, {"type": "object", "additionalProperties": item}
    (inner,) = (one for one in arguments if one is not NoneType)
    return _how(inner)


def _of(section: type[Section], name: str) -> tuple[Any, Sequence[Any]]:
    about = section.model_fields[name]
    return about.annotation, about.metadata


def _section(about: FieldInfo) -> tuple[type[Section] | None, str]:
    """The section that a key holds; and, where it holds many, where JSON Schema says what they are."""
    found = inside(about.annotation)
    if not isinstance(found, tuple):
        return found, ""
    return found[0], "items" if get_origin(about.annotation) is tuple else "additionalProperties"


def _filled(about: FieldInfo) -> str | None:
    """What the rest of the file makes of it where it is not written."""
    return next((one.words for one in about.metadata if isinstance(one, Filled)), None)


def _default(about: FieldInfo) -> str:
    filled = _filled(about)
    if filled is not None:
        return filled
    return "required" if about.is_required() else _shown(about.get_default())


def _shown(value: Any) -> str:
    if value in (None, (), {}):
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return human(value)
    if isinstance(value, float):
        return f"{100 * value:g} %"
    if isinstance(value, Methods):
        return value.number
    if isinstance(value, tuple):
        return ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value)
    return str(value)


def _acts(path: tuple[str, ...]) -> str:
    """Whether a key acts in this release, as `leeway check` says it."""
    for row in NOT_YET:
        pattern = row.path.split(".")
        if len(pattern) <= len(path) and all(map(fnmatchcase, path, pattern)):
            return "partly" if row.values else "later"
    return "yes"


def _meanings(section: type[Section]) -> dict[str, str]:
    """What stands below each field, on one line; a section has those of the ones it is made of."""
    found: dict[str, str] = {}
    for part in reversed(section.__mro__):
        if issubclass(part, Section):
            found |= _texts(part)
    return found


@cache
def _texts(section: type[Section]) -> dict[str, str]:
    (drawn,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(drawn, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(drawn.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
