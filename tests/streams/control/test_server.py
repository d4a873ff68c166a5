"""The web application over a read model: pages, headers, errors and what a stranger can put into a page."""

import asyncio
import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from html.parser import HTMLParser
from typing import Any, TypeVar

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from streams.broker import Partition
from streams.commands import Command
from streams.control.door import Door
from streams.control.server import Site, serving
from streams.errors import BrokerError
from streams.views.read import ReadModel
from tests.serving import served
from tests.streams.published import (
    alert,
    fleet,
    intake,
    lifecycle,
    read_model,
    record,
    reference,
    result,
    series,
    told,
    trigger,
)

T = TypeVar("T")
EVIL = "<script>alert('x')</script>\"&"


def silence(name: str, text: str = "moving", **more: Any) -> dict[str, Any]:
    """A silence that ends in the year 2099."""
    about = {"command": "silence", "command_id": name, "silence_id": name, "model_id": "loans"}
    until = {
        "until": "2099-01-01T00:00:00Z",
        "by": text,
        "reason": text,
        "match": {"segment": text},
    }
    return about | until | more


def a_read_model(text: str = "income") -> ReadModel:
    """A model with everything a page shows, and `text` wherever an event could have put it."""
    return read_model(
        record("models", "lifecycle|loans", lifecycle(model_name=text, metadata={"owner": text})),
        record("models", f"reference|loans|{text}", reference(text)),
        *(told("results", result(hour, version=v)) for hour in range(3) for v in ("1.0.0", text)),
        told("results", result(3, found=[series(text, reason=text), series(effect=None, top_bins=[])])),
        told("results", result(3, segment=text, found=[series()])),
        told("alerts", alert(title=text, summary=text, kind=text)),
        told("alerts", alert(2, change=text, kind=text, links={"runbook": f"javascript:{text}"})),
        told("alerts", alert(segment=text, kind="performance")),
        told("retraining", trigger(reason={"code": text, "summary": text})),
        told("results", result(1, model=text)),
        told("commands", silence("waits", text)),
        record("state", "-|-|-|intake", intake(1, **{text: {"dead_letters": {text: 3}, "unregistered": {text: 1}}})),
    )  # fmt: skip


async def nobody(command: Command) -> None:
    raise AssertionError("nothing is written here")


def visit(
    use: Callable[[TestClient[Any, Any]], Awaitable[T]],
    read: ReadModel | None = None,
    *,
    ready: bool = True,
) -> T:
    """Use a client of a running application."""
    site = Site(read or a_read_model(), lambda: ready, list, "1.2.3", nobody)

    async def run() -> T:
        async with TestClient(TestServer(site.application(Door("127.0.0.1", 0)))) as client:
            return await use(client)

    return asyncio.run(run())


def get(
    path: str,
    read: ReadModel | None = None,
    *,
    ready: bool = True,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> tuple[ClientResponse, str]:
    async def use(client: TestClient[Any, Any]) -> tuple[ClientResponse, str]:
        async with client.request(method, path, headers=headers) as response:
            return response, await response.text()

    return visit(use, read, ready=ready)


class Elements(HTMLParser):
    """What a browser would make of a page: its elements, and whether they are closed in order."""

    VOID = ("meta", "link", "br", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("path", ["/", "/models/loans", "/models/loans?version=0.9&segment=x"])
@pytest.mark.parametrize("text", ["income", EVIL])
def test_no_text_of_an_event_becomes_markup_or_script(path: str, text: str) -> None:
    response, page = get(path, a_read_model(text))
    assert response.status == 200
    elements = Elements(page).seen
    scripts = [attributes for tag, attributes in elements if tag == "script"]
    assert {"src": "/static/live.js", "defer": ""} in scripts
    for attributes in scripts:  # files of ours, or documents that nothing runs
        ours = (attributes.get("src") or "").startswith("/static/")
        assert ours or attributes == {"type": "application/json"}
    for _, attributes in elements:
        assert not any(name.startswith("on") for name in attributes)
        assert re.fullmatch(r"height:\d+px", attributes.get("style") or "height:1px")
        assert re.match(r"/(?!/)|https?://|#content$|data:,$", attributes.get("href") or "/")


def test_the_front_page_says_what_is_firing_and_how_each_model_is() -> None:
    _, page = get("/")
    for said in ("2 firing", "degraded", "income drifted", "Recent triggers", "Not registered"):
        assert said in page, said
    _, empty = get("/", read_model())
    for said in ("Nothing is watched yet", "No model is registered yet", "leeway apply"):
        assert said in empty, said


def test_the_front_page_says_of_what_nobody_is_told_while_it_lasts() -> None:
    past = {"until": "2020-01-01T00:00:00Z", "by": "somebody long ago"}
    commands = [told("commands", each) for each in (silence("holds", match={}), silence("over", **past))]  # fmt: skip
    _, page = get("/", read_model(*commands))
    assert "Silences" in page
    assert "everything" in page
    assert "2099-01-01" in page
    assert past["by"] not in page
    assert "<h2>Silences" not in get("/", read_model(commands[1]))[1]


def test_a_model_without_an_alarm_or_a_window_is_shown_as_such() -> None:
    read = read_model(
        record("models", "lifecycle|new", lifecycle("new")),
        told("results", result(0) | {"alarm": None}),
    )
    assert "none yet" in get("/", read)[1]
    assert "The alarm stands at" not in get("/models/loans", read)[1]
    assert "alarm_ratio" not in get("/metrics", read)[1]


def test_a_page_says_when_the_log_is_still_being_read() -> None:
    assert "Still reading the log" in get("/", ready=False)[1]
    assert "still reading the log" not in get("/")[1]


def test_the_page_of_a_model_shows_each_series_with_its_numbers() -> None:
    _, page = get("/models/loans")
    for said in (
        "PSI 0.404 (0.364 to 0.451)",
        "&lt; 1e-16",
        "50,000",
        "1 of 10",
        "20\N{NO-BREAK SPACE}% of its",
    ):
        assert said in page, said
    _, new = get("/models/x", read_model(record("models", "lifecycle|x", lifecycle("x"))))
    assert "No window has been judged yet" in new


def test_everything_carries_the_protective_headers() -> None:
    for path in ("/", "/api/v1/models", "/healthz", "/metrics", "/static/style.css", "/nowhere"):
        response, _ = get(path)
        assert "default-src 'none'" in response.headers["Content-Security-Policy"], path
        assert "script-src 'self';" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert not any("Access-Control" in name for name in response.headers)
        assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("path", ["/api/v1/models", "/static/style.css", "/api/v1/episodes"])
def test_what_has_not_changed_is_not_sent_again(path: str) -> None:
    first, body = get(path)
    assert body
    again, nothing = get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, nothing) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]
    other, _ = get(path, headers={"If-None-Match": '"something else"'})
    assert other.status == 200


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/api/v1/models/none", 404, "not_found"),
        ("/models/none", 404, "not_found"),
        ("/api/v1/nowhere", 404, "not_found"),
        ("/api/v1/models?limit=x", 400, "bad_request"),
        ("/?a=b", 400, "bad_request"),
    ],
)
def test_errors_are_problem_documents(path: str, status: int, name: str) -> None:
    response, body = get(path)
    assert response.status == status
    assert response.content_type == "application/problem+json"
    problem = json.loads(body)
    assert problem["type"] == f"urn:leeway:problem:{name}"
    assert problem["status"] == status
    assert problem["instance"] == path.partition("?")[0]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/models/none", 404, "no model is called"),
        ("/episodes/<b>", 404, "&lt;b&gt;"),
        ("/?a=b", 400, "query.a: expected"),
    ],
)
def test_a_browser_is_told_what_is_wrong_on_a_page(path: str, status: int, said: str) -> None:
    response, body = get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (response.status, response.content_type) == (status, "text/html")
    assert said in body
    assert "<b>" not in body


def test_only_reading_is_possible() -> None:
    response, body = get("/api/v1/models", method="POST")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
    assert json.loads(body)["type"] == "urn:leeway:problem:method_not_allowed"
    assert get("/", method="HEAD")[0].status == 200


def test_a_stranger_is_refused_with_a_problem() -> None:
    response, body = get("/api/v1/models", headers={"Host": "evil.example"})
    assert response.status == 403
    assert json.loads(body)["title"] == "This is not allowed"


def test_readiness_waits_for_the_log_and_liveness_does_not() -> None:
    assert get("/readyz")[0].status == 200
    response, body = get("/readyz", ready=False)
    assert response.status == 503
    assert json.loads(body)["type"] == "urn:leeway:problem:not_ready"
    assert get("/healthz", ready=False)[0].status == 200


def test_metrics_of_models_wait_until_they_are_complete() -> None:
    assert 'leeway_model_state{model="loans"' in get("/metrics")[1]
    early = get("/metrics", ready=False)[1]
    assert "leeway_build_info" in early
    assert "leeway_model_state" not in early


def test_an_address_that_is_taken_is_one_line() -> None:
    async def open_twice(port: int) -> None:
        site = Site(a_read_model(), lambda: True, list, "1", nobody)
        async with serving(site, Door("127.0.0.1", port)):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"cannot listen on 127.0.0.1:{port}"):
            asyncio.run(open_twice(port))


def test_what_is_on_the_log_only_is_read_again_and_what_is_gone_is_left_out() -> None:
    read = fleet(models=1, features=2, days=3)
    asked: list[int] = []

    async def gone(partition: Partition, offset: int) -> None:
        asked.append(offset)

    async def run() -> tuple[int, list[Any]]:
        site = Site(read, lambda: True, list, "1", nobody, recall=gone)
        async with (
            TestClient(TestServer(site.application(Door("127.0.0.1", 0)))) as client,
            client.get("/api/v1/models/loan-default/results?limit=500") as response,
        ):
            return response.status, (await response.json())["items"]

    status, items = asyncio.run(run())
    assert status == 200
    assert asked
    assert all(items)


def test_a_fault_of_ours_is_a_problem_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    read = a_read_model()
    read.lifecycles = None  # type: ignore[assignment]
    response, body = get("/api/v1/models", read)
    assert (response.status, response.content_type) == (500, "application/problem+json")
    assert json.loads(body)["detail"] == "the log says more"
    assert "request.failed" in caplog.text


@pytest.mark.parametrize("path", ["/api/v1/models/", "/api/v1/episodes/", "/models/"])
@pytest.mark.parametrize(
    "text", ["x" * 5_000, "%F0%9F%92%A5", "%2e%2e%2f%2e%2e", "a%00b", "%FF", "%D7%A9%D7%9C%D7%95"]
)
def test_any_text_in_a_path_is_answered(path: str, text: str) -> None:
    response, body = get(path + text)
    assert response.status == 404
    assert len(body) < 8_000
    assert json.loads(body)["type"] == "urn:leeway:problem:not_found"


def test_a_query_that_is_too_long_is_told_so() -> None:
    site = Site(a_read_model(), lambda: True, list, "1", nobody)
    with (
        served(site) as url,
        pytest.raises(urllib.error.HTTPError) as refused,
    ):
        urllib.request.urlopen(f"{url}/api/v1/episodes?model={'x' * 20_000}", timeout=30)
    with refused.value as answer:
        problem = json.loads(answer.read())
    assert problem["detail"] == "model: expected at most 512 characters"
    assert len(problem["errors"][0]["got"]) == 200
