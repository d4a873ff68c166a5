"""Who may ask: this machine without a token, others only with one, and no web page elsewhere."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from streams.control.door import Door
from streams.control.slack_actions import PATH
from streams.errors import UsageError
from streams.views.problems import Problem

LOCAL = Door("127.0.0.1", 8080)
DIGEST = hashlib.sha256(b"open sesame").hexdigest()


def refusal(door: Door, path: str = "/", **headers: str) -> str | None:
    """The name of the problem, or None if the request may enter."""
    try:
        door.admit(path, headers)
    except Problem as problem:
        return problem.name
    return None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:1"]
)
def test_a_loopback_name_may_enter(host: str) -> None:
    assert refusal(LOCAL, Host=host) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "10.0.0.1", "[", "[::"]
)  # fmt: skip
def test_any_other_name_is_refused_so_that_dns_rebinding_gains_nothing(host: str) -> None:
    assert refusal(LOCAL, Host=host) == "forbidden"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:9090"])
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert refusal(LOCAL, Host="localhost:8080", Origin=origin) == "forbidden"


def test_our_own_origin_may_enter() -> None:
    assert refusal(LOCAL, Host="localhost:8080", Origin="http://localhost:8080") is None


@pytest.fixture
def guarded(tmp_path: Path) -> Door:
    file = tmp_path / "tokens"
    file.write_text(f"# who\n\ngrafana:read:{DIGEST}\nci:write:{'0' * 64}\n")
    return Door.at("0.0.0.0", 8080, file)


@pytest.mark.parametrize("shown", [None, "Bearer", "Bearer ", "Bearer wrong", "Basic open sesame"])
def test_without_the_right_token_nobody_enters(guarded: Door, shown: str | None) -> None:
    headers = {"Host": "leeway.example"} | ({} if shown is None else {"Authorization": shown})
    assert refusal(guarded, **headers) == "unauthenticated"


def test_a_token_tells_whose_it_is(guarded: Door) -> None:
    headers = {"Host": "leeway.example", "Authorization": "bearer open sesame"}
    assert guarded.admit("/", headers) == "grafana"


def test_a_token_that_reads_does_not_write_and_one_that_writes_reads(guarded: Door) -> None:
    headers = {"Host": "leeway.example", "Authorization": "Bearer open sesame"}
    with pytest.raises(Problem, match="grafana may read, not write"):
        guarded.admit("/api/v1/commands", headers, writes=True)
    ci = replace(guarded.tokens[0], name="ci", role="write")
    writer = replace(guarded, tokens=(*guarded.tokens, ci))
    assert writer.admit("/api/v1/commands", headers, writes=True) == "ci"
    assert writer.admit("/", headers) == "grafana"


def test_what_slack_signs_needs_neither_token_nor_a_name_of_this_machine(guarded: Door) -> None:
    for door in (LOCAL, guarded):
        assert door.admit(PATH, {"Host": "leeway.example"}, writes=True) is None


def test_probes_need_no_token(guarded: Door) -> None:
    assert refusal(guarded, "/healthz", Host="10.0.0.7") is None
    assert refusal(guarded, "/readyz", Host="10.0.0.7") is None
    assert refusal(guarded, "/metrics", Host="10.0.0.7") == "unauthenticated"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "leeway.example", ""])
def test_an_address_others_can_reach_is_refused_without_tokens(host: str) -> None:
    with pytest.raises(UsageError, match=r"set http\.tokens_file"):
        Door.at(host, 8080, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no token"),
        (f"grafana:{DIGEST}", ":1: not a token"),
        (f"grafana:admin:{DIGEST}", ":1: not a token"),
        ("# fine\ngrafana:read:secret-in-plain-text", ":2: not a token"),
    ],
)
def test_a_wrong_tokens_file_says_where_and_never_quotes_it(
    tmp_path: Path, text: str, expected: str
) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(UsageError, match=expected) as found:
        Door.at("127.0.0.1", 8080, file)
    assert "secret" not in str(found.value)


def test_a_missing_or_binary_tokens_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Door.at("127.0.0.1", 8080, tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        Door.at("127.0.0.1", 8080, tmp_path / "binary")
