"""Which keys does each part of a lifecycle have? Read off the settings' models."""

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from streams.lifecycle.mistakes import Steps


def droppable(root: Any, path: Steps) -> int:
    """How many steps of `path` lead to the innermost part that may be left out."""
    model: Any = root
    last = 1
    for depth, step in enumerate(path, start=1):
        kind, inner = _step(model, step)
        if kind == "required":
            pass
        elif kind in ("optional", "item", "unknown"):
            last = depth
        model = inner
        if model is None:
            break
    return last


def _step(model: Any, step: str | int) -> tuple[str, Any]:
    """How `step` is part of `model`, and the model behind it (None: no more keys)."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, about in model.model_fields.items():
            if (about.alias or name) == step:
                kind = "required" if about.is_required() else "optional"
                return kind, inside(about.annotation)
        return "unknown", None
    if isinstance(model, tuple):
        return "item", model[0]
    return "optional", None


def inside(annotation: Any) -> Any:
    """The section behind an annotation; in a tuple of one for lists and mappings of sections."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return inside(arguments[0])
    if origin in (tuple, dict):
        inner = inside(arguments[0] if origin is tuple else arguments[1])
        return (inner if isinstance(inner, type) else None,)  # lists of lists hold no keys
    for argument in arguments:
        if (inner := inside(argument)) is not None:
            return inner
    return None


def section_at(root: Any, path: Steps) -> Any:
    """The section that `path` leads to."""
    model: Any = root
    for step in path:
        _, model = _step(model, step)
        if model is None:
            return None
    return model


def keys_of(section: Any) -> list[str]:
    """The keys of a section as they are written."""
    return [about.alias or name for name, about in section.model_fields.items()]


def every_key(section: Any, before: Steps = ()) -> Iterator[Steps]:
    """Paths of all keys, ``*`` for items and names."""
    for name, about in section.model_fields.items():
        path = (*before, about.alias or name)
        inner = inside(about.annotation)
        if isinstance(inner, tuple):
            inner, path = inner[0], (*path, "*") if inner[0] is not None else path
        if inner is None:
            yield path
        else:
            yield from every_key(inner, path)
