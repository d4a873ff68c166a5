"""`/openapi.json`: valid, whole, and true of what the handlers answer."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import schemathesis

from streams.broker import Partition, Record
from streams.console.pages import PAGES
from streams.control import openapi
from streams.control.api import ROUTES
from streams.control.door import Door
from streams.control.server import Site
from streams.profiling.dead_letters import dead_letter
from streams.profiling.events import DeadLetter
from streams.views import answers
from streams.views.asked import Asked, Elsewhere, Route
from streams.views.past import Judged
from streams.views.problems import Problem
from streams.views.read import ReadModel
from streams.views.times import SCOPES
from streams.views.vitals import RoleVitals, Share, Vitals
from tests.streams.control.test_schemathesis import kept
from tests.streams.published import NAMES, NOW_MS, fleet, intake, record

DESCRIBED: dict[str, Any] = json.loads(openapi.document("1.2.3"))


@pytest.fixture(scope="module")
def read() -> ReadModel:
    read = fleet(models=6, features=4, days=1)
    refused = dead_letter(
        NAMES, DeadLetter(Record("loans", 0, 1, 2, None, b"{", ()), "not_json", "it ends too early")
    )
    strangers = intake(a={"unregistered": {"stranger": 3}, "dead_letters": {"not_json": 1}})
    for one in (
        record("dead-letters", "", b"{", headers=dict(refused.headers)),
        record("state", "-|-|-|intake", strangers, partition=99),
    ):
        read.fold(one._replace(offset=read.position(Partition(one.topic, one.partition))))
    return read


def test_the_description_is_openapi() -> None:
    schemathesis.openapi.from_dict(DESCRIBED).validate()
    schemas = {"$defs": DESCRIBED["components"]["schemas"]}
    jsonschema.Draft202012Validator.check_schema(schemas)
    told = json.dumps(DESCRIBED)
    for name in re.findall(r'"#/components/(\w+)/(\w+)"', told):
        assert name[1] in DESCRIBED["components"][name[0]], name


def test_every_path_of_the_server_is_described_and_nothing_else() -> None:
    app = Site(fleet(1, 1, 1), lambda: True, list, "1", kept).application(Door("127.0.0.1", 0))
    served = {
        (route.resource.canonical, route.method.lower())
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    pages = {page.path for page in PAGES}
    wanted = {(p, m) for p, m in served if p not in pages and not p.startswith("/static/")}
    described = {
        (path, method)
        for path, one in DESCRIBED["paths"].items()
        for method in one
        if method in ("get", "post")
    }
    assert described == wanted


def strict(schema: Any) -> Any:
    """The schema, but that no member may be answered that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(value) for name, value in schema.items()}
    if "properties" in found and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def ids(route: Route, read: ReadModel) -> Iterator[dict[str, str]]:
    """What the path may be about."""
    if "{id}" not in route.path:
        yield {}
    elif route.path.startswith("/models"):
        yield from ({"id": model} for model in read.lifecycles)
    elif route.path.startswith("/commands"):
        yield from ({"id": given.command_id} for given in read.commands.given.values())
    else:
        stories = read.episodes if route.path.startswith("/episodes") else read.triggers
        yield from ({"id": one} for of_model in stories.values() for one in of_model)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_what_is_answered_is_what_is_described(route: Route, read: ReadModel) -> None:
    operation = DESCRIBED["paths"][f"/api/v1{route.path}"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    whole = strict(copy.deepcopy({**schema, "components": DESCRIBED["components"]}))
    validator = jsonschema.Draft202012Validator(whole)
    role = RoleVitals("judge", "working", "it reads", 1, 3, (Share("t", 0, None, 3),))
    answered = 0
    for path in ids(route, read):
        for query in questions(route, path.get("id", ""), read):
            asked = Asked(
                read,
                NOW_MS,
                path,
                route.query(query.items()),
                reading=[(Partition("t", 0), 1, 2)],
                vitals=Vitals((role,), NOW_MS),
            )
            try:
                answer = route.answer(asked)
            except Problem as problem:
                if problem.name == "not_found":
                    continue
                raise
            document = json.loads(
                json.dumps(answer, allow_nan=False, default=lambda raw: json.loads(bytes(raw)))
            )
            error = jsonschema.exceptions.best_match(validator.iter_errors(document))
            assert error is None, (path, error.json_path, error.message[:300])
            answered += bool(document["items"]) if route.listed else 1
    assert answered, "nothing was answered with anything in it"


def questions(route: Route, model_id: str, read: ReadModel) -> Iterator[dict[str, str]]:
    """What the path may be asked with."""
    if route.path.endswith("/compare"):
        versions = sorted({subject.version for subject in read.results.get(model_id, {})})
        yield from ({"a": a, "b": b} for a in versions for b in versions)
    elif route.path.endswith("/distribution"):
        series = {s["series"] for one in answers.results(read, model_id) for s in newest(one)}
        yield from ({"series": one} for one in sorted(series))
    elif route.path.endswith("/history"):
        yield from ({"scope": scope} for scope in SCOPES)
        yield {"names": "accuracy,data_drift", "points": "5"}
    else:
        yield {}


def newest(judged: Judged) -> list[dict[str, Any]]:
    """Its series, where the document is in memory; of one version and segment."""
    try:
        whole = judged.subject.segment == "all" and judged.subject.scope == "inputs"
        return list(judged.document["series"]) if whole else []
    except Elsewhere:
        return []


def test_parameters_are_described_as_they_are_checked() -> None:
    for route in ROUTES:
        described = DESCRIBED["paths"][f"/api/v1{route.path}"]["get"]["parameters"]
        named = [one["name"] for one in described if one.get("in") == "query"]
        assert named == [one.name for one in route.parameters]
