"""Does every sink keep the contract? One suite over all of them: contracts §7, and that no secret shows.

A new sink is found by itself: `test_every_sink_is_tried` fails until it has a rig.
"""

import asyncio
import importlib
import inspect
import logging
import pkgutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

import alerting.deliver
from alerting.deliver.calls import Limits
from alerting.deliver.destination import Destination, Unusable
from alerting.deliver.make import sinks
from alerting.deliver.sink import Failed, Sent
from tests.alerting.rigs import LETTERS, LONG, RIGS, SECRETS, SHORT, Rig, now_ms, run, usual
from tests.until import until
from tests.vendors.certificates import Certified, certify
from tests.vendors.faults import (
    CLOSE,
    CUT,
    FLOOD,
    GARBAGE,
    HANG,
    HANG_IN_BODY,
    RESET,
    TRICKLE,
    WRONG_JSON,
    Fault,
    echo,
    rate_limited,
    redirect,
    smtp,
    status,
)

HTTP = tuple(rig for rig in RIGS if rig.http)
SERVER = ("server", True)
CLIENT = ("client", False)
AUTH = ("auth", True)
NETWORK = ("network", True)
TIMEOUT = ("timeout", True)
LIMITED = ("rate_limited", True)


def named(rigs: tuple[Rig, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rig", rigs, ids=lambda rig: str(rig.name))


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certify(tmp_path_factory.mktemp("certificates"))


def test_every_sink_is_tried() -> None:
    """Whatever in `alerting.deliver` has an asynchronous `send` and a receiver is a sink."""
    found = {
        kind.__name__
        for module in pkgutil.iter_modules(alerting.deliver.__path__)
        for kind in vars(importlib.import_module(f"alerting.deliver.{module.name}")).values()
        if inspect.isclass(kind)
        and inspect.iscoroutinefunction(getattr(kind, "send", None))
        and kind.__name__ != "Sink"
    }
    assert found == {rig.kind for rig in RIGS}


@named(RIGS)
def test_what_is_sent_arrives_once(rig: Rig) -> None:
    with rig.tried() as (fake, trial):
        assert isinstance(trial.send(), Sent)
        assert len(rig.arrived(fake)) == 1
        assert (fake.requests, fake.rejected) == (1, [])


@named(RIGS)
def test_a_failure_is_never_tried_again_by_the_sink(rig: Rig) -> None:
    fault = status(500) if rig.http else smtp("451 4.3.0 later")
    with rig.tried() as (fake, trial):
        fake.next(fault)
        assert trial.failed()[:2] == SERVER
        assert (fake.requests, len(rig.arrived(fake))) == (1, 0)


STATUSES = {
    300: CLIENT,
    302: CLIENT,
    308: CLIENT,
    400: CLIENT,
    401: AUTH,
    403: AUTH,
    404: CLIENT,
    405: CLIENT,
    408: SERVER,
    410: CLIENT,
    413: CLIENT,
    422: CLIENT,
    425: SERVER,
    429: LIMITED,
    500: SERVER,
    502: SERVER,
    503: SERVER,
    504: SERVER,
    599: SERVER,
}


@named(HTTP)
def test_every_status_means_what_the_table_says(rig: Rig) -> None:
    with rig.tried() as (fake, trial):
        for code, expected in STATUSES.items():
            fake.next(status(code))
            trouble, retry, said = trial.failed()
            assert (trouble, retry) == expected, code
            assert said.startswith(f"answered {code}")
        assert rig.arrived(fake) == []


@named(HTTP)
def test_the_wait_that_is_asked_for_is_told(rig: Rig) -> None:
    soon = formatdate(now_ms() / 1000 + 100, usegmt=True)
    with rig.tried() as (fake, trial):
        for asked, low, high in (("7", 7, 7), (soon, 90, 100), ("999999999", 86400, 86400)):
            fake.next(rate_limited(asked))
            found = trial.send()
            assert isinstance(found, Failed)
            assert found.after_s is not None
            assert low <= found.after_s <= high
        fake.next(rate_limited(None), rate_limited("later"))
        assert [trial.send(), trial.send()] == 2 * [
            Failed("rate_limited", retry=True, said="answered 429", after_s=None)
        ]


@named(HTTP)
def test_redirects_are_not_followed(rig: Rig) -> None:
    with rig.tried() as (elsewhere, _), rig.tried() as (fake, trial):
        fake.next(redirect(f"http://127.0.0.1:{elsewhere.port}/"))
        assert trial.failed() == (*CLIENT, "answered 307: redirects are not followed")
        assert (elsewhere.requests, fake.requests) == (0, 1)


# Those whose status says it all need no body; what is lost of it is nobody's loss.
BODIES = {
    CUT: (NETWORK, SERVER),
    CUT.taking(): (NETWORK, None),
    WRONG_JSON: (SERVER, SERVER),
    FLOOD: (SERVER, SERVER),
}
BODIES_WITHOUT_END = {
    HANG_IN_BODY: (TIMEOUT, SERVER),
    HANG_IN_BODY.taking(): (TIMEOUT, None),
    TRICKLE: (TIMEOUT, SERVER),
}


@named(HTTP)
@pytest.mark.parametrize(
    ("bodies", "short"), [(BODIES, False), (BODIES_WITHOUT_END, True)], ids=["ended", "endless"]
)
def test_a_broken_body_is_not_taken_for_success(
    rig: Rig, bodies: dict[Fault, tuple[Any, Any]], short: bool
) -> None:
    with rig.tried(limits=SHORT if short and rig.reads else LONG) as (fake, trial):
        for fault, (reading, by_status) in bodies.items():
            fake.next(fault)
            found = trial.send()
            expected = reading if rig.reads else by_status
            if rig.name == "webhook":  # any 2xx is its word for success
                expected = None
            if expected is None:
                assert isinstance(found, Sent), fault
            else:
                assert isinstance(found, Failed), fault
                assert (found.trouble, found.retry) == expected, fault


@named(RIGS)
def test_who_never_answers_costs_no_more_than_the_time_out(rig: Rig) -> None:
    fault = HANG if rig.http else Fault("hang", how="hang", at="connect")
    with rig.tried(limits=SHORT) as (fake, trial):
        fake.next(fault)
        assert trial.failed() == (*TIMEOUT, "no answer in time")
        assert rig.arrived(fake) == []


@named(RIGS)
def test_a_handshake_without_end_is_no_connection_in_time(rig: Rig) -> None:
    """The socket connects by itself, and nobody speaks."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = f"https://127.0.0.1:{port}"
        with rig.tried(limits=Limits(total_s=5.0, connect_s=0.2)) as (_, trial):
            changes: dict[str, Any] = {"port": port, "tls": "tls"}
            if rig.http:
                changes = {"webhook" if rig.kind == "SlackWebhook" else "url": address}
            trouble, retry, said = trial.failed(**changes)
    assert (trouble, retry) == TIMEOUT
    assert said == ("no connection in time" if rig.http else "no answer in time")


@named(RIGS)
def test_a_lost_connection_is_tried_again(rig: Rig) -> None:
    with rig.tried() as (fake, trial):
        for fault in (CLOSE, CLOSE.taking(), *([GARBAGE, RESET] if rig.http else [])):
            fake.next(fault)
            assert trial.failed()[:2] == NETWORK, fault
        assert len(rig.arrived(fake)) == 1  # the one whose answer alone was lost
        fake.stop()
        assert trial.failed()[:2] == NETWORK
        fake.start()
        assert isinstance(trial.send(), Sent)


@named(RIGS)
def test_a_name_that_nobody_knows_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "planted.example.org: not known")

    changes: dict[str, Any] = {"host": "planted.example.org", "tls": "tls"}
    if rig.http:
        name = "webhook" if rig.kind == "SlackWebhook" else "url"
        changes = {name: "https://planted.example.org"}
    with rig.tried() as (_, trial):
        monkeypatch.setattr(socket, "getaddrinfo", nowhere)
        trouble, retry, said = trial.failed(**changes)
    assert (trouble, retry) == NETWORK
    assert "planted" not in said


@named(RIGS)
def test_a_certificate_of_nobodys_is_not_trusted(rig: Rig, certified: Certified) -> None:
    encrypted: dict[str, Any] = {} if rig.http else {"tls": "tls"}
    with rig.tried(tls=certified.server) as (fake, trial):
        assert trial.failed(**encrypted) == (*NETWORK, "its certificate is not trusted")
        assert fake.requests == 0
    with rig.tried(tls=certified.server, trust=certified.believer) as (fake, trial):
        assert isinstance(trial.send(**encrypted), Sent)


@named(RIGS)
def test_a_certificate_for_another_name_is_not_trusted(rig: Rig, tmp_path: Path) -> None:
    other = certify(tmp_path, "elsewhere.example")
    encrypted: dict[str, Any] = {} if rig.http else {"tls": "tls"}
    with rig.tried(tls=other.server, trust=other.believer) as (_, trial):
        assert trial.failed(**encrypted) == (*NETWORK, "its certificate is not trusted")


@named(RIGS)
def test_a_cancelled_call_ends_its_connection_and_its_thread(rig: Rig) -> None:
    with rig.tried() as (fake, trial):
        fake.next(HANG if rig.http else Fault("hang", how="hang", at="connect"))
        sink = trial.sink()

        async def cancelled() -> None:
            task = asyncio.create_task(sink.send(rig.parcel))
            while fake.requests == 0 and not task.done():
                await asyncio.wait([task], timeout=0.01)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await sink.close()

        run(cancelled())  # waits for its threads
        assert rig.arrived(fake) == []
    until(lambda: not [each for each in threading.enumerate() if each.name.startswith("asyncio_")])


@named(RIGS)
def test_many_at_once_all_arrive(rig: Rig) -> None:
    with rig.tried() as (fake, trial):
        sink = trial.sink()

        async def together() -> list[Sent | Failed]:
            found = await asyncio.gather(*[sink.send(rig.parcel) for _ in range(8)])
            await sink.close()
            return list(found)

        assert all(isinstance(each, Sent) for each in run(together()))
        assert len(rig.arrived(fake)) == 8


@named(RIGS)
def test_proxies_of_the_environment_are_not_used(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with rig.tried() as (_, trial):
        assert isinstance(trial.send(), Sent)


# --- secrets ------------------------------------------------------------------------------------


FAULTS_HTTP = (
    None,
    *(status(code) for code in (200, 202, 302, 400, 401, 404, 429, 500)),
    *(echo(code) for code in (200, 202, 302, 400, 401, 404, 429, 500)),
    *(CLOSE, CUT, GARBAGE, WRONG_JSON, redirect("http://127.0.0.1/hooks/leeway")),
)
_SAID = f"no: {SECRETS['to']} {SECRETS['password']} {SECRETS['username']} plantedfeaturevalue"
FAULTS_SMTP = (
    None,
    *(
        smtp(f"{code} {_SAID}", at)
        for code in (451, 535, 550)
        for at in ("connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA")
    ),
    CLOSE,
)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


@named(RIGS)
def test_no_secret_shows_in_a_result_a_log_or_a_repr(
    rig: Rig, everything_logged: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each is planted, and sent back by the fake in bodies, headers and replies."""
    shown: list[str] = []
    with rig.tried() as (fake, trial):
        sink = trial.sink()
        shown += [repr(sink), str(sink), repr(rig.reach(fake)), str(rig.reach(fake))]
        faults = FAULTS_HTTP if rig.http else FAULTS_SMTP
        fake.next(*faults)
        for _ in faults:
            found = trial.send()
            shown += [repr(found), str(found)]
        fake.stop()
        shown.append(repr(trial.send()))
        port = str(fake.port)
    shown += [record.getMessage() for record in everything_logged.records]
    shown += [str(record.exc_info) for record in everything_logged.records]
    shown += list(capfd.readouterr())
    text = "\n".join(shown)
    for name, secret in SECRETS.items():
        assert secret not in text, name
    assert port not in text


@named(RIGS)
def test_a_refused_destination_is_named_and_not_quoted(rig: Rig) -> None:
    """Every text of it is made unusable in turn."""
    with rig.tried() as (fake, _):
        good = rig.reach(fake)
    texts = [each.name for each in fields(Destination) if isinstance(getattr(good, each.name), str)]
    spoilt: Callable[[str], str] = lambda text: text + "planted\r\né"  # noqa: E731
    bad: dict[str, Callable[[str], str]] = {
        "url": lambda text: text.replace("http://127.0.0.1", "http://planted.example.org"),
        "webhook": lambda text: text.replace("http://", "http://planted:planted@"),
        "host": lambda text: "planted.example.org",
        "secret": lambda text: text + "plantedé",
    }
    tried = 0
    for name in texts:
        if name in ("name", "channel", "tls"):
            continue
        value = bad.get(name, spoilt)(getattr(good, name))
        changed = {each.name: getattr(good, each.name) for each in fields(Destination)}
        with pytest.raises(Unusable, match=r"^r: ") as raised:
            sinks([Destination(**{**changed, name: value})], now_ms, trust=usual)
        assert "planted" not in str(raised.value)
        assert raised.value.__cause__ is None
        tried += 1
    assert tried >= 1


SMTP_TABLE = {
    smtp("451 4.3.0 later", "connect"): SERVER,
    smtp("554 5.0.0 no service", "connect"): CLIENT,
    smtp("421 4.3.2 closing", "EHLO"): SERVER,
    smtp("454 4.7.0 later", "AUTH"): SERVER,
    smtp("530 5.7.0 first", "AUTH"): AUTH,
    smtp("534 5.7.9 stronger", "AUTH"): AUTH,
    smtp("535 5.7.8 wrong", "AUTH"): AUTH,
    smtp("530 5.7.0 first", "MAIL"): AUTH,
    smtp("452 4.3.1 full", "MAIL"): SERVER,
    smtp("552 5.3.4 too big", "MAIL"): CLIENT,
    smtp("450 4.2.0 greylisted", "RCPT"): SERVER,
    smtp("550 5.1.1 unknown", "RCPT"): CLIENT,
    smtp("451 4.3.0 later", "DATA"): SERVER,
    smtp("554 5.7.1 spam", "DATA"): CLIENT,
}


def test_every_reply_of_a_mail_server_means_what_the_table_says() -> None:
    with LETTERS.tried() as (fake, trial):
        for fault, expected in SMTP_TABLE.items():
            fake.next(fault)
            assert trial.failed()[:2] == expected, fault
        assert fake.letters == []


@pytest.mark.parametrize("at", ["EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
def test_a_mail_server_that_falls_silent_or_closes_at_any_step_is_tried_again(at: str) -> None:
    with LETTERS.tried() as (fake, trial):
        fake.next(Fault("close", how="close", at=at))
        assert trial.failed()[:2] == NETWORK
    with LETTERS.tried(limits=SHORT) as (fake, trial):
        fake.next(Fault("hang", how="hang", at=at))
        assert trial.failed() == (*TIMEOUT, "no answer in time")
        assert fake.letters == []


def test_deadlines_are_those_of_the_contract() -> None:
    assert Limits() == Limits(total_s=10.0, connect_s=5.0)
