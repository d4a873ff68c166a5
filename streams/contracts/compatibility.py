"""What does a change of a schema break? The promise of v1, as a function of the former schema and the present one.

Of a message that we write: whoever reads it by the former schema, and passes over members that he does not know, can
read every message that the present one allows. No member goes, or comes only sometimes where it always came; none is
added that must be there; no type, text or number becomes possible that was not.

Of a message that we read: whatever the former schema allows is still allowed. No member becomes necessary or unknown,
and nothing that was possible becomes impossible.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

__all__ = ["Way", "breaks", "compact"]

Way = Literal["written", "read"]
Schema = Mapping[str, Any]
_TELLING = ("description", "title", "default", "examples", "$schema", "$id", "contentEncoding")
_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_RULES = ("allOf", "oneOf", "not", "if", "then", "else", "pattern", "format", "prefixItems")


def breaks(old: Schema, new: Schema, way: Way) -> list[str]:
    """Everything in which the present schema breaks the promise that the former one was; [] if nothing.

    Every `$ref` is to the schema's own `$defs`, as those of ours are; no schema refers to itself.

    >>> old = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    >>> new = {"type": "object", "properties": {"n": {"type": "number"}, "m": {}}, "required": ["n"]}
    >>> breaks(old, new, "written")
    ['n: may be a number now, was integer']
    >>> breaks(old, new, "read")
    []
    """
    return list(_Comparison(old, new, way).compared(old, new, ""))


def compact(schema: Schema) -> dict[str, Any]:
    """A schema without the words that explain it.

    >>> compact({"title": "A", "properties": {"title": {"type": "string", "description": "…"}}})
    {'properties': {'title': {'type': 'string'}}}
    """
    found: dict[str, Any] = {}
    for name, of in schema.items():
        if name in _TELLING:
            continue
        if name in ("properties", "$defs"):
            found[name] = {key: compact(one) for key, one in of.items()}
        elif isinstance(of, dict):
            found[name] = compact(of)
        elif isinstance(of, list):
            found[name] = [compact(one) if isinstance(one, dict) else one for one in of]
        else:
            found[name] = of
    return found


class _Comparison:
    """Two schemas with their definitions, and what is promised."""

    def __init__(self, old: Schema, new: Schema, way: Way) -> None:
        self._old, self._new, self._way = old, new, way

    def compared(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        """Each alternative of the one that must fit has to fit some alternative of the other."""
        olds, news = list(_branches(self._old, old)), list(_branches(self._new, new))
        if self._way == "written":
            pairs = [[(before, after) for before in olds] for after in news]
        else:
            pairs = [[(before, after) for after in news] for before in olds]
        for candidates in pairs:
            tried = [list(self._one(before, after, at)) for before, after in candidates]
            yield from min(tried, key=len)

    def _one(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        inner, outer = (new, old) if self._way == "written" else (old, new)
        yield from _values(inner, outer, at, self._way)
        yield from self._members(old, new, at)
        for name in ("items", "additionalProperties"):
            before, after = old.get(name, True), new.get(name, True)
            if isinstance(before, bool) or isinstance(after, bool):
                yield from self._open(before, after, f"{at}[]" if name == "items" else f"{at}.*")
            else:
                yield from self.compared(before, after, f"{at}[]" if name == "items" else f"{at}.*")

    def _open(self, old: Any, new: Any, at: str) -> Iterator[str]:
        """Where one of them says that anything, or nothing, may be there."""
        inner, outer = (new, old) if self._way == "written" else (old, new)
        if outer is True or inner is False:
            return
        if outer is False and self._way == "written" and inner is True:
            return  # more members are allowed: whoever reads passes over what he does not know
        yield (
            f"{at}: may be anything now"
            if self._way == "written"
            else f"{at}: may not be anything any more"
        )

    def _members(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        must, must_now = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            if name not in after:
                yield f"{_path(at, name)}: is gone"
            else:
                yield from self.compared(before[name], after[name], _path(at, name))
        for name in sorted(must_now - must):
            yield f"{_path(at, name)}: must be there now"
        if self._way == "written":
            for name in sorted(must - must_now):
                yield f"{_path(at, name)}: may be absent now"


def _path(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _branches(root: Schema, schema: Schema) -> Iterator[Schema]:
    """The alternatives that a schema is made of, with what it refers to in place."""
    if "$ref" in schema:
        named = root["$defs"][schema["$ref"].rpartition("/")[2]]
        schema = {**named, **{name: of for name, of in schema.items() if name != "$ref"}}
    if "anyOf" in schema and not {"type", "properties", "enum", "const"} & schema.keys():
        for one in schema["anyOf"]:
            yield from _branches(root, one)
    elif isinstance(kinds := schema.get("type"), list):
        for kind in kinds:
            yield {**schema, "type": kind}
    else:
        yield schema


def _values(inner: Schema, outer: Schema, at: str, way: Way) -> Iterator[str]:
    """Whether all that `inner` allows of single values is allowed by `outer`."""
    where = f"{at}: " if at else ""
    kind, wanted = _kind(inner), _kind(outer)
    if wanted is not None and kind != wanted and (kind, wanted) != ("integer", "number"):
        if way == "written":
            yield f"{where}may be {_a(kind)} now, was {wanted}"
        else:
            yield f"{where}may not be {_a(kind)} any more"
        return
    if (listed := _listed(outer)) is not None:
        mine = _listed(inner)
        if mine is None:
            yield (
                f"{where}may be anything now"
                if way == "written"
                else f"{where}is one of a list now"
            )
        elif more := [one for one in mine if one not in listed]:
            said = "may be" if way == "written" else "may not be"
            yield f"{where}{said} {', '.join(map(str, more))} {'now' if way == 'written' else 'any more'}"
    for names, loosens in ((_AT_LEAST, -1), (_AT_MOST, 1)):
        for name in names:
            if name in outer and (name not in inner or (inner[name] - outer[name]) * loosens > 0):
                yield f"{where}{name} {inner.get(name, 'nothing')} and {outer[name]}"
    for name in (*_RULES, *(("anyOf",) if "anyOf" in outer else ())):
        if name in outer and inner.get(name) != outer[name]:
            yield f"{where}{name} is another"


def _kind(schema: Schema) -> str | None:
    """The type; of a list of values, theirs."""
    if "type" in schema:
        return str(schema["type"])
    kinds = {_NAMES[type(one)] for one in _listed(schema) or ()}
    return kinds.pop() if len(kinds) == 1 else None


def _listed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found


_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def _a(kind: str | None) -> str:
    if kind is None:
        return "anything"
    return kind if kind == "null" else f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
