"""Commands over HTTP: who may give them, what is refused and how, and that an id is one command."""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given as given_
from hypothesis import strategies as st

from streams.broker import Record
from streams.commands import Command, CommandOutcome, decode, outcome_record
from streams.control import commands, slack_actions
from streams.control.commands import Counter, Post
from streams.control.door import Door, Token
from streams.control.server import Site
from streams.errors import BrokerError
from streams.kafka.admin import create_topics
from streams.kafka.commands import past
from streams.local_kafka import AnyBroker
from streams.topics import Names
from streams.views.ledger import MOST, Ledger
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.streams.published import HOUR_MS, NAMES, NOW_MS, read_model, record

HOST = {"Host": "127.0.0.1"}
RETRAIN = {"command": "retrain", "command_id": "c1", "model_id": "loans", "by": "ann"}
SILENCE = {
    "command": "silence",
    "command_id": "s1",
    "model_id": "loans",
    "by": "ann",
    "silence_id": "sl-1",
    "until": "2026-03-02T12:00:00.000Z",
    "reason": "moving",
    "match": {"kind": "data_drift"},
}
_WORDS = st.sampled_from(
    [*SILENCE, "acknowledge", "snooze", "deployed", "episode_id", "trigger_id", "metrics", "status"]
)
_SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8) | _WORDS
TOKENS = tuple(
    Token(name, role, hashlib.sha256(name.encode()).digest())
    for name, role in (("ci", "write"), ("wallboard", "read"))
)


def given(document: dict[str, Any], **more: Any) -> Record:
    return record("commands", document["model_id"], document, **more)


def answered(command_id: str = "c1", reason: str | None = None, word: str = "retrain") -> Record:
    """What became of a command of the model `loans`."""
    told = outcome_record(
        NAMES,
        CommandOutcome(
            command_id=command_id,
            command=word,
            model_id="loans",
            outcome="refused" if reason else "applied",
            reason=reason,
            by="ann",
            applied_at="2026-03-02T09:00:00.000Z",
        ),
    )
    headers = {name: value or b"" for name, value in told.headers}
    return record("results", "loans", told.value, headers=headers)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner | _WORDS, max_size=8)


class Answer(NamedTuple):
    status: int
    document: dict[str, Any]
    headers: dict[str, str]


class Visitor:
    """A client of a running application, and what was written there."""

    def __init__(
        self, read: ReadModel | None = None, *, ready: bool = True, tokens: tuple[Token, ...] = ()
    ) -> None:
        self.read, self.written = read or read_model(), list[Command]()
        self.failing = False
        self._site = Site(self.read, lambda: ready, list, "1", self._write)
        self._door = Door("127.0.0.1", 0, tokens)

    async def _write(self, command: Command) -> None:
        if self.failing:
            raise Problem("not_ready", "Kafka does not take the command: try again")
        await asyncio.wait_for(asyncio.to_thread(int), 10)  # as long as a broker is far away
        self.written.append(command)

    def visit(self, use: Callable[[TestClient[Any, Any]], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            server = TestServer(self._site.application(self._door))
            async with TestClient(server) as client:
                return await use(client)

        return asyncio.run(run())

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "POST":
            named = {"Content-Type": "application/json"} | named

        async def use(client: TestClient[Any, Any]) -> Answer:
            async with client.request(method, path, data=sent, headers=named) as response:
                return await _answer(response)

        found: Answer = self.visit(use)
        return found

    def give(self, body: Any, **headers: str) -> Answer:
        return self.ask("POST", "/api/v1/commands", body, **headers)


async def _answer(response: ClientResponse) -> Answer:
    return Answer(response.status, json.loads(await response.read()), dict(response.headers))


def test_a_command_is_accepted_written_and_found_at_its_location() -> None:
    visitor = Visitor()
    answer = visitor.give(RETRAIN)
    assert answer.status == 202
    assert answer.document["status"] == "pending"
    assert [command.command_id for command in visitor.written] == ["c1"]
    found = visitor.ask("GET", answer.headers["Location"])
    assert (found.status, found.document) == (200, answer.document)
    visitor.read.fold(answered()._replace(offset=0))
    told = visitor.ask("GET", "/api/v1/commands/c1").document
    assert (told["status"], told["applied_at"]) == ("applied", "2026-03-02T09:00:00.000Z")
    assert (told["command"], told["by"], told["said"]["model_id"]) == ("retrain", "ann", "loans")


@pytest.mark.parametrize("outcome_first", [False, True])
def test_an_outcome_belongs_to_its_command_whichever_is_read_first(outcome_first: bool) -> None:
    records = [given(RETRAIN), answered(reason="dry_run")]
    visitor = Visitor(read_model(*(reversed(records) if outcome_first else records)))
    told = visitor.ask("GET", "/api/v1/commands/c1").document
    assert (told["status"], told["reason"]) == ("refused", "dry_run")


def test_the_same_command_again_is_not_written_again_and_another_one_is_a_conflict() -> None:
    visitor = Visitor(read_model(given(RETRAIN), given(SILENCE)))
    assert visitor.give(RETRAIN).status == 202
    assert visitor.give(RETRAIN | {"at": None}).status == 202, "it says the same"
    for other in ({"reason": "x"}, {"model_id": "churn"}, {"command_id": "s1"}):
        refused = visitor.give(RETRAIN | other)
        assert (refused.status, refused.document["type"]) == (409, "urn:leeway:problem:conflict")
    assert visitor.written == []


def test_two_at_the_same_time_with_one_id_are_one_command_and_a_conflict() -> None:
    visitor = Visitor()

    async def use(client: TestClient[Any, Any]) -> list[int]:
        async def give(reason: str) -> int:
            async with client.post("/api/v1/commands", json=RETRAIN | {"reason": reason}) as answer:
                return answer.status

        return sorted(await asyncio.gather(give("a"), give("b"), give("a")))

    assert visitor.visit(use).count(409) >= 1
    assert len(visitor.written) == 1


def test_what_kafka_does_not_take_is_not_known_and_may_be_given_again() -> None:
    visitor = Visitor()
    visitor.failing = True
    assert visitor.give(RETRAIN).status == 503
    assert visitor.ask("GET", "/api/v1/commands/c1").status == 404
    visitor.failing = False
    assert visitor.give(RETRAIN | {"reason": "x"}).status == 202


def test_who_asks_again_meanwhile_hears_what_came_of_the_writing_too() -> None:
    async def run() -> list[Any]:
        reached = asyncio.Event()

        async def fails(command: Command) -> None:
            await reached.wait()
            raise Problem("not_ready", "no answer")

        counter = Counter(Ledger(), fails, lambda: 0)
        asked = [asyncio.ensure_future(counter.take(_command())) for _ in range(3)]
        await asyncio.wait(asked, timeout=0.01)
        asked[0].cancel()  # its client has gone
        reached.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    gone, *told = asyncio.run(run())
    assert isinstance(gone, asyncio.CancelledError)
    assert [str(each.detail) for each in told] == ["no answer", "no answer"]


def test_what_was_written_all_the_same_is_known_once_it_is_read() -> None:
    async def fails(command: Command) -> None:
        ledger.give(given(RETRAIN))
        raise Problem("not_ready", "no answer")

    ledger = Ledger()
    counter = Counter(ledger, fails, lambda: 0)
    found = ledger.expect(_command(), 0)
    ledger.forget(found)
    with pytest.raises(Problem, match="no answer"):
        asyncio.run(counter.take(_command()))
    assert ledger.find("c1") is not None


def _command() -> Command:
    return commands.read(json.dumps(RETRAIN).encode(), None, None)


def test_the_idempotency_key_is_the_command_id() -> None:
    visitor = Visitor()
    nameless = {name: value for name, value in RETRAIN.items() if name != "command_id"}
    assert visitor.give(nameless, Idempotency_Key="k1").headers["Location"].endswith("/k1")
    assert visitor.give(nameless, Idempotency_Key='"k1"').status == 202, "quotes are RFC 8941's"
    assert len(visitor.written) == 1
    refused = visitor.give(RETRAIN, Idempotency_Key="k2")
    assert refused.status == 422
    (mistake,) = refused.document["errors"]
    assert mistake == {"path": "command_id", "expected": "k2", "got": "c1"}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "not a JSON object"),
        (b"[1]", 400, "not a JSON object"),
        (b'{"command": ', 400, "not a JSON object"),
        (b"\xff", 400, "not a JSON object"),
        ({}, 422, "missing required field"),
        (RETRAIN | {"command": "destroy"}, 422, "destroy"),
        (RETRAIN | {"command": "acknowledge"}, 422, "episode_id"),
        (RETRAIN | {"priority": "urgent"}, 422, "priority"),
        (RETRAIN | {"command_id": "x" * 65}, 422, "command_id"),
        (RETRAIN | {"reson": "typed wrongly"}, 422, "reson"),
        (RETRAIN | {"at": "tomorrow"}, 422, "tomorrow"),
        (RETRAIN | {"by": None}, 422, "by"),
        (b" " * (64 * 1024 + 1), 413, "at most 65536 bytes"),
        (b" " * (300 * 1024), 413, "too large"),
    ],
)
def test_what_is_no_command_is_a_problem_that_says_where(body: Any, status: int, said: str) -> None:
    visitor = Visitor()
    answer = visitor.give(body)
    assert answer.status == answer.document["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said in json.dumps(answer.document)
    assert visitor.written == []


def test_a_form_cannot_give_a_command() -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert Visitor().give(RETRAIN, Content_Type=kind).status == 415


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "https://evil.example"}],
    ids=["host", "origin"],
)
def test_a_page_elsewhere_cannot_give_a_command(headers: dict[str, str]) -> None:
    visitor = Visitor()
    assert visitor.give(RETRAIN, **headers).status == 403
    assert visitor.written == []


def test_before_the_log_was_read_nothing_is_taken_for_its_id_may_be_known() -> None:
    assert Visitor(ready=False).give(RETRAIN).status == 503


def test_a_token_that_may_write_gives_its_name_and_one_that_reads_may_not() -> None:
    visitor = Visitor(tokens=TOKENS)
    nameless = {name: value for name, value in RETRAIN.items() if name != "by"}
    assert visitor.give(nameless).status == 401
    assert visitor.give(nameless, Authorization="Bearer nobody").status == 401
    refused = visitor.give(nameless, Authorization="Bearer wallboard")
    assert (refused.status, refused.document["type"]) == (403, "urn:leeway:problem:forbidden")
    assert visitor.give(nameless, Authorization="Bearer ci").document["by"] == "ci"
    assert visitor.give(RETRAIN | {"command_id": "c2"}, Authorization="Bearer ci").status == 422
    assert [command.by for command in visitor.written] == ["ci"]
    assert visitor.ask("GET", "/api/v1/commands/c1", Authorization="Bearer wallboard").status == 200


def test_silences_tell_which_hold() -> None:
    later = {"from": "2026-03-02T11:00:00.000Z", "silence_id": "sl-2", "command_id": "s2"}
    short = {"until": "2026-03-02T09:30:00.000Z", "silence_id": "sl-3", "command_id": "s3"}
    refused = {"silence_id": "sl-4", "command_id": "s4"}
    ended = {"silence_id": "sl-5", "command_id": "s5"}
    fresh = {"silence_id": "sl-6", "command_id": "s6"}
    unsilence = RETRAIN | {"command": "unsilence", "command_id": "u5", "silence_id": "sl-5"}
    read = read_model(
        *(given(SILENCE | more) for more in ({}, later, short, refused, ended, fresh)),
        given(unsilence),
        *(answered(id_) for id_ in ("s1", "s2", "s3", "s5", "u5")),
        answered("s4", "invalid"),
    )
    found = {one["silence_id"]: one["status"] for one in read.commands.silences(NOW_MS)}
    assert found == {
        "sl-1": "active",
        "sl-2": "pending",
        "sl-3": "ended",
        "sl-4": "refused",
        "sl-5": "ended",
        "sl-6": "pending",
    }
    after = {one["silence_id"]: one["status"] for one in read.commands.silences(NOW_MS + HOUR_MS)}
    assert (after["sl-1"], after["sl-2"]) == ("active", "active")
    visitor = Visitor(read)
    listed = visitor.ask("GET", "/api/v1/silences?status=refused&model=loans").document
    (one,) = listed["items"]
    assert (one["reason"], one["by"], one["match"]) == ("moving", "ann", {"kind": "data_drift"})
    assert visitor.ask("GET", "/api/v1/silences?model=churn").document["items"] == []
    assert visitor.ask("GET", "/api/v1/silences?status=loud").status == 400
    pages = visitor.ask("GET", "/api/v1/silences?limit=4").document
    rest = visitor.ask("GET", f"/api/v1/silences?limit=4&cursor={pages['next']}").document
    assert len(pages["items"] + rest["items"]) == 6


def test_records_that_are_no_commands_change_nothing_and_are_counted() -> None:
    read = read_model(
        record("commands", "loans", b"{"),
        given({"command": "destroy", "command_id": "d", "model_id": "loans"}),
    )
    assert read.unreadable == {"leeway.commands": {"ValueError": 1}}
    odd = read.commands.find("d")
    assert odd is not None
    told = read.commands.document(odd)
    assert (told["command"], told["said"], told["by"]) == ("destroy", None, "unknown")


def test_what_is_remembered_of_commands_has_a_bound() -> None:
    ledger = Ledger()
    for number in range(MOST + 2):
        ledger.give(given(RETRAIN | {"command_id": f"c{number}"}))
    assert (len(ledger.given), ledger.find("c1")) == (MOST, None)


@given_(
    st.binary()
    | st.recursive(_SCALARS, _nested, max_leaves=6).map(lambda v: json.dumps(v).encode())
)
def test_any_body_is_a_command_or_a_problem(body: bytes) -> None:
    found: list[Command] = []
    with suppress(Problem):
        found.append(commands.read(body, "c1", "ann"))
    with suppress(Problem):
        found += slack_actions.commands(body)
    assert all(decode(msgspec.json.encode(one)) == one for one in found)


@pytest.mark.kafka
def test_commands_are_written_where_the_judge_of_their_model_reads(
    kafka: AnyBroker, unique: Callable[[str], str]
) -> None:
    names, properties = Names(f"{unique('post')}."), {"bootstrap.servers": kafka.bootstrap}
    create_topics(properties, names, partitions=3)
    post, command = Post(properties, names), _command()

    async def give() -> None:
        await asyncio.gather(post.write(command), post.write(command))

    asyncio.run(give())
    written = [record for records in past(properties, [names("commands")]) for record in records]
    assert [decode(one.value) for one in written] == [command, command]
    assert {one.partition for one in written} == {zlib.crc32(b"loans") % 3}
    assert {one.key for one in written} == {b"loans"}


def test_a_kafka_that_cannot_be_had_is_a_problem_and_is_asked_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    class Writer:
        def __init__(self, properties: Any) -> None:
            made.append(self)

        def write(self, record: Any) -> None:
            raise BrokerError("no broker answers at secret.example", retry=True)

    monkeypatch.setattr("streams.control.commands.Writer", Writer)
    post = Post({}, NAMES)
    for _ in range(2):
        with pytest.raises(Problem, match="Kafka does not take the command: try again") as problem:
            asyncio.run(post.write(_command()))
        assert problem.value.status == 503
        assert "secret.example" not in json.dumps(problem.value.document("/"))
    assert len(made) == 2


def test_an_id_with_odd_characters_is_found_at_its_location() -> None:
    visitor = Visitor()
    answer = visitor.give(RETRAIN | {"command_id": "ci/88 41?#ü%41"})
    found = visitor.ask("GET", answer.headers["Location"])
    assert found.document["command_id"] == "ci/88 41?#ü%41"
