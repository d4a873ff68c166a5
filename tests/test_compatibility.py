"""Is a change that breaks somebody called one, and is a harmless change called harmless?"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from streams.contracts.compatibility import Way, breaks, compact
from streams.contracts.documents import DOCUMENTS
from streams.contracts.schemas import document
from streams.schemas import released, way_of

TEXT = {"type": "string"}


def thing(required: str = "a", /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


OLD = thing("a", a=TEXT, b={"type": "integer", "minimum": 0}, c={"enum": ["x", "y"]})
CHANGES: tuple[tuple[str, dict[str, Any], set[str]], ...] = (
    ("nothing", OLD, set()),
    ("one optional member more", thing("a", **OLD["properties"], d=TEXT), set()),
    ("one required member more", thing("a d", **OLD["properties"], d=TEXT), {"written", "read"}),
    ("an optional member is required", thing("a b", **OLD["properties"]), {"written", "read"}),
    ("a required member is optional", thing("", **OLD["properties"]), {"written"}),
    ("a member less", thing("a", a=TEXT, b=OLD["properties"]["b"]), {"written", "read"}),
    ("another type", thing("a", **{**OLD["properties"], "b": TEXT}), {"written", "read"}),
    ("integer to number", thing("a", **{**OLD["properties"], "b": {"type": "number", "minimum": 0}}), {"written"}),
    ("no lower bound", thing("a", **{**OLD["properties"], "b": {"type": "integer"}}), {"written"}),
    ("a higher bound", thing("a", **{**OLD["properties"], "b": {"type": "integer", "minimum": 1}}), {"read"}),
    ("one value more", thing("a", **{**OLD["properties"], "c": {"enum": ["x", "y", "z"]}}), {"written"}),
    ("one value less", thing("a", **{**OLD["properties"], "c": {"enum": ["x"]}}), {"read"}),
    ("any value", thing("a", **{**OLD["properties"], "c": TEXT}), {"written"}),
    ("null as well", thing("a", **{**OLD["properties"], "a": {"anyOf": [TEXT, {"type": "null"}]}}), {"written"}),
    ("a pattern", thing("a", **{**OLD["properties"], "a": {**TEXT, "pattern": "^a"}}), {"read"}),
    ("other members refused", {**OLD, "additionalProperties": False}, {"read"}),
    ("a rule", {**OLD, "not": {"required": ["b", "c"]}}, {"read"}),
    ("words", {**OLD, "title": "Thing", "description": "A thing."}, set()),
)  # fmt: skip


@pytest.mark.parametrize("way", ["written", "read"])
@pytest.mark.parametrize(("name", "new", "breaking"), CHANGES, ids=[name for name, *_ in CHANGES])
def test_a_change_breaks_those_it_should(
    name: str, new: dict[str, Any], breaking: set[str], way: Way
) -> None:
    assert bool(breaks(OLD, new, way)) is (way in breaking), breaks(OLD, new, way)


@pytest.mark.parametrize(
    ("change", "undone"),
    [("null as well", "read"), ("a pattern", "written"), ("one value more", "read")],
)
def test_a_change_back_breaks_the_others(change: str, undone: Way) -> None:
    new = next(of for name, of, _ in CHANGES if name == change)
    assert breaks(new, OLD, undone)


def test_changes_are_found_wherever_they_are() -> None:
    def nested(inner: dict[str, Any]) -> dict[str, Any]:
        return {
            "$ref": "#/$defs/Top",
            "$defs": {
                "Top": thing(
                    "list map",
                    list={"type": "array", "items": {"$ref": "#/$defs/Inner"}},
                    map={"type": "object", "additionalProperties": {"$ref": "#/$defs/Inner"}},
                ),
                "Inner": inner,
            },
        }

    assert breaks(nested(OLD), nested(thing("", **OLD["properties"])), "written") == [
        "list[].a: may be absent now",
        "map.*.a: may be absent now",
    ]


def test_of_tagged_alternatives_each_is_compared_with_its_own() -> None:
    def union(*members: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": list(members)}

    one = thing("kind n", kind={"enum": ["one"]}, n={"type": "integer"})
    two = thing("kind t", kind={"enum": ["two"]}, t=TEXT)
    three = thing("kind", kind={"enum": ["three"]})
    assert breaks(union(one, two), union(two, one, three), "read") == []
    assert breaks(union(one, two), union(one), "read")
    assert breaks(union(one), union(one, two), "written")


# ------------------------------------------------------------------------------- against what validators say

SCALARS = st.sampled_from(
    [
        TEXT,
        {"type": "integer"},
        {"type": "number", "maximum": 5},
        {"type": "integer", "minimum": 1},
        {"enum": ["x", "y"]},
        {"enum": ["x"]},
        {"type": "null"},
        {"anyOf": [TEXT, {"type": "null"}]},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "object", "additionalProperties": TEXT},
    ]
)
OBJECTS = st.builds(
    lambda properties, required: {
        "type": "object",
        "properties": properties,
        "required": sorted(required & properties.keys()),
    },
    st.dictionaries(st.sampled_from("abc"), SCALARS),
    st.sets(st.sampled_from("abc")),
)
VALUES = st.sampled_from(["x", "z", 0, 1, 7, 2.5, None, [1], ["x"], {"a": "x"}, {"a": 1}])
THINGS = st.dictionaries(st.sampled_from("abc"), VALUES)


@settings(max_examples=60)
@given(OBJECTS, OBJECTS, st.lists(THINGS, min_size=1, max_size=20))
def test_what_is_called_harmless_is_harmless(
    old: dict[str, Any], new: dict[str, Any], values: list[dict[str, Any]]
) -> None:
    before, after = Draft202012Validator(old), Draft202012Validator(new)
    for value in values:
        if not breaks(old, new, "written") and after.is_valid(value):
            known = {name: of for name, of in value.items() if name in old["properties"]}
            assert before.is_valid(known)
        if not breaks(old, new, "read") and before.is_valid(value):
            known = {name: of for name, of in value.items() if name in old["properties"]}
            assert after.is_valid(known)


@given(OBJECTS)
def test_a_schema_does_not_break_itself(schema: dict[str, Any]) -> None:
    assert breaks(schema, schema, "written") == breaks(schema, schema, "read") == []


# --------------------------------------------------------------------------------- against the last release


@pytest.mark.parametrize("name", sorted(released()["schemas"]))
def test_nothing_breaks_what_the_last_release_promised(name: str) -> None:
    assert name in DOCUMENTS, "a kind of message is gone"
    found = breaks(released()["schemas"][name], document(name), way_of(name))
    assert found == [], f"{name} of v1 may not change so"


def test_the_released_schemas_still_are_schemas() -> None:
    for schema in released()["schemas"].values():
        Draft202012Validator.check_schema(schema)
        assert compact(schema) == schema
    assert json.dumps(released()["schemas"]).count("description") < 5
