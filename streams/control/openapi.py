"""What may be asked over HTTP, and what comes back? `/openapi.json`, made of the same routes the server answers.

OpenAPI 3.1, whose schemas are JSON Schema 2020-12. Pure: routes in, a document out.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from streams.commands import MOST_BYTES, Command
from streams.control import shapes, slack_actions
from streams.control.api import ROUTES
from streams.control.push import KINDS, MOST_CLIENTS
from streams.views.asked import LARGEST_LIMIT, Parameter, Route
from streams.views.problems import TITLES

BASE = "/api/v1"
PROBLEM = "application/problem+json"
_REFS = "#/components/schemas/{name}"
_STATUSES = {status: (name, title) for name, (status, title) in TITLES.items()}
_ABOUT = """\
What Leeway knows about models, and what people may say about them. Lists answer with pages of
`items`; `next` is the `cursor` of the page that follows, or null. Every answer to GET has an ETag.
Errors are problem details (RFC 9457)."""
Document = dict[str, Any]


@cache
def document(version: str, *, tokens: bool = False) -> bytes:
    """The whole description as JSON.

    Parameters
    ----------
    version : of Leeway
    tokens : whether a token is needed

    Examples
    --------
    >>> msgspec.json.decode(document("1.2.3"))["openapi"]
    '3.1.0'
    """
    types = {route.path: route.gives for route in ROUTES}
    wanted = [*types.values(), shapes.CommandState, Command]
    found, components = msgspec.json.schema_components(wanted, ref_template=_REFS)
    *of_routes, accepted, command = found
    if tokens:
        components = {name: _signed(one) for name, one in components.items()}
    answers = dict(zip(types, of_routes, strict=True))
    paths: Document = {f"{BASE}{route.path}": _path(route, answers[route.path]) for route in ROUTES}
    paths[f"{BASE}/commands"] = {"post": _post(command, accepted)}
    paths[f"{BASE}/stream"] = {"get": _stream()}
    for path, one in _service().items():
        paths[path] = one
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "Leeway", "version": version, "description": _ABOUT},
        "servers": [{"url": "/", "description": "where this document was found"}],
        "security": [{"token": []}] if tokens else [{}],
        "tags": [
            {"name": "api", "description": "what is known, and commands"},
            {"name": "service", "description": "for probes, Prometheus and Slack"},
        ],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "of http.tokens_file; not needed where control listens on a loopback address",
                }
            },
            "parameters": {"IfNoneMatch": _IF_NONE_MATCH},
            "headers": {"ETag": _ETAG},
            "responses": {name: _problem(status) for status, (name, _) in _STATUSES.items()},
            "schemas": dict(sorted({**components, "Problem": _PROBLEM}.items())),
        },
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1)


_ETAG: Document = {
    "description": "of this answer; send it as If-None-Match, and what has not changed is not sent again",
    "schema": {"type": "string"},
}
_IF_NONE_MATCH: Document = {
    "name": "If-None-Match",
    "in": "header",
    "description": "the ETag of an earlier answer",
    "schema": {"type": "string"},
}
_PROBLEM: Document = {
    "title": "Problem",
    "description": "Why a request was not answered (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "errors"],
    "properties": {
        "type": {"enum": [f"urn:leeway:problem:{name}" for name in TITLES]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "the path that was asked for"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "expected", "got"],
                "properties": {
                    "path": {"type": "string"},
                    "expected": {"type": "string"},
                    "got": {"type": ["string", "null"]},
                },
            },
        },
    },
}


def _signed(component: Document) -> Document:
    """A command is given by whoever shows the token: nobody has to say who they are."""
    members = component.get("properties", {})
    if not {"command", "command_id", "by", "note"} <= members.keys():
        return component
    kept = {name: schema for name, schema in members.items() if name != "by"}
    required = [name for name in component["required"] if name != "by"]
    return component | {"properties": kept, "required": required}


def _path(route: Route, schema: Document) -> Document:
    """A path of ours that is read."""
    answer = _page(schema) if route.listed else schema
    has_id = "{id}" in route.path
    can_fail = [400, 404] if has_id else [400]
    operation = {
        "operationId": operation_id(route.path),
        "summary": route.about,
        "tags": ["api"],
        "parameters": [*map(_parameter, route.parameters), _ref("parameters", "IfNoneMatch")],
        "responses": {
            "200": _answer("The answer.", "application/json", answer, etag=True),
            "304": {"description": "It has not changed."},
            **_problems(can_fail),
        },
    }
    if not has_id:
        return {"get": operation}
    return {"parameters": [_ID], "get": operation}


_ID: Document = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}


def operation_id(path: str) -> str:
    """What a client generator calls it.

    >>> [operation_id(path) for path in ("/models", "/models/{id}", "/models/{id}/series")]
    ['models', 'models_by_id', 'models_series']
    """
    words = path.replace("/{id}/", "/").replace("{id}", "by_id").strip("/")
    return words.replace("/", "_").replace("-", "_")


def _parameter(one: Parameter) -> Document:
    schema: Document = {"type": "string", "maxLength": one.most}
    if one.choices:
        schema = {"type": "string", "enum": list(one.choices)}
    elif one.form == "time":
        schema = {"type": "string", "format": "date-time"}
    elif one.form == "count":
        schema = {"type": "integer", "minimum": 1, "maximum": one.most}
    return {
        "name": one.name,
        "in": "query",
        "description": one.about,
        "required": one.required,
        "schema": schema,
    }


def _page(schema: Document) -> Document:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "maxItems": LARGEST_LIMIT, "items": schema},
            "next": {"type": ["string", "null"], "description": "the cursor of what follows"},
        },
    }


def _post(command: Document, accepted: Document) -> Document:
    return {
        "operationId": "give_command",
        "summary": "Give a command. It is kept when this answers, and applied before the next window.",
        "description": f"At most {MOST_BYTES} bytes. Where a token is needed, its name is who gave the command. "
        "The same id with the same command is the same command; with another it is a conflict.",
        "tags": ["api"],
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "the same as `command_id`, which may then be left out",
                "schema": {"type": "string", "minLength": 1, "maxLength": 64},
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": command}}},
        "responses": {
            "202": {
                **_answer("It is kept.", "application/json", accepted),
                "headers": {
                    "Location": {
                        "description": "where what becomes of it can be asked for",
                        "schema": {"type": "string"},
                    }
                },
            },
            **_problems([400, 409, 413, 415, 422]),
        },
    }


def _stream() -> Document:
    return {
        "operationId": "stream",
        "summary": "Hear that something changed: server-sent events, at most two a second.",
        "description": "`event: changed` with data such as "
        '`{"models": ["loans"], "kinds": ["result"]}`. Kinds: '
        + ", ".join(KINDS)
        + ". Models may be "
        f'`["*"]`. At most {MOST_CLIENTS} clients listen at a time; who is too slow is let go.',
        "tags": ["api"],
        "responses": {
            "200": _answer(
                "Events until the client leaves.", "text/event-stream", {"type": "string"}
            ),
            **_problems([400, 429]),
        },
    }


def _service() -> Mapping[str, Document]:
    def fixed(name: str) -> Document:
        return {"type": "object", "required": [name], "properties": {name: {"const": True}}}

    def read(name: str, about: str, answer: Document, problems: Iterable[int] = ()) -> Document:
        operation: Document = {"operationId": name, "summary": about, "tags": ["service"]}
        operation["responses"] = {"200": answer, **_problems(problems)}
        return {"get": operation}

    alive = _answer("It runs.", "application/json", fixed("alive"), etag=True)
    ready = _answer("It has caught up.", "application/json", fixed("ready"), etag=True)
    itself = _answer("OpenAPI 3.1.", "application/json", {"type": "object"}, etag=True)
    metrics = {
        "description": "For Prometheus.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    return {
        "/healthz": {
            "get": read("healthz", "Whether control runs.", alive)["get"] | {"security": [{}]}
        },
        "/readyz": {
            "get": read("readyz", "Whether control has read everything.", ready)["get"]
            | {"security": [{}]}
        },
        "/metrics": read("metrics", "Measurements for Prometheus.", metrics),
        "/openapi.json": read("openapi", "This document.", itself),
        slack_actions.PATH: {
            "post": {
                "operationId": "slack_actions",
                "summary": "Where Slack posts what people click; counts only with a valid signature.",
                "tags": ["service"],
                "security": [{}],
                "requestBody": {
                    "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
                },
                "responses": {
                    "200": {"description": "It is kept."},
                    **_problems([400, 404, 413, 422]),
                },
            }
        },
    }


def _answer(about: str, kind: str, schema: Document, *, etag: bool = False) -> Document:
    answer: Document = {"description": about, "content": {kind: {"schema": schema}}}
    return answer | ({"headers": {"ETag": _ref("headers", "ETag")}} if etag else {})


def _problems(statuses: Iterable[int]) -> Document:
    """What may go wrong anywhere, and what else here."""
    usual = (401, 403, 405, 500, 503)
    return {
        str(status): _ref("responses", _STATUSES[status][0])
        for status in sorted({*usual, *statuses})
    }


def _problem(status: int) -> Document:
    name, title = _STATUSES[status]
    headers: Document = {}
    if status == 401:
        headers = {"headers": {"WWW-Authenticate": {"schema": {"type": "string"}}}}
    if status == 405:
        headers = {"headers": {"Allow": {"schema": {"type": "string"}}}}
    content = {PROBLEM: {"schema": _ref("schemas", "Problem")}}
    return {"description": f"{title} ({name}).", **headers, "content": content}


def _ref(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}
