"""Can a webhook be pointed inside the network? Its address is checked where it cannot lie: at the connected peer."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.deliver.connected import Refused, check, inside
from alerting.deliver.destination import Destination, Unusable
from alerting.deliver.make import sinks
from alerting.deliver.sink import Sent
from tests.alerting.rigs import BOT, LETTERS, PAGER, WEBHOOK, Rig, now_ms, usual
from tests.until import until

INSIDE = (
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *(
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2002:7f00:1::",
    ),
    *(
        "2002:a9fe:a9fe::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ),
    "2001:0:0a00:1::f5ff:fffe",
)
OUTSIDE = (
    *("1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.169.0.1", "100.128.0.1"),
    *("2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused(address: str) -> None:
    assert inside(ipaddress.ip_address(address))
    with pytest.raises(Refused) as refused:
        check(address, "outside")
    assert address not in str(refused.value)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_not(address: str) -> None:
    assert not inside(ipaddress.ip_address(address))
    check(address, "outside")


@given(st.ip_addresses(v=4), st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16"]))
def test_an_ipv4_address_is_judged_the_same_in_whatever_carries_it(
    any_address: ipaddress.IPv4Address, network: str
) -> None:
    private = ipaddress.ip_network(network)[int(any_address) % 65536]
    for carried in (any_address, private):
        for carrier in (0xFFFF << 32, int(ipaddress.IPv6Address("64:ff9b::"))):
            assert inside(ipaddress.IPv6Address(carrier + int(carried))) == inside(carried)
        assert inside(ipaddress.IPv6Address((0x2002 << 112) + (int(carried) << 80))) == inside(
            carried
        )


@pytest.mark.parametrize("address", ["", "unix", "127.0.0.1:80", "8.8.8.8.example.org"])
def test_what_is_no_address_is_refused(address: str) -> None:
    for reach in ("outside", "this machine"):
        with pytest.raises(Refused):
            check(address, reach)


def test_a_vendor_may_be_anywhere() -> None:
    """Slack's and PagerDuty's addresses are the operator's own words; a proxy for them may be inside."""
    for address in (*INSIDE, *OUTSIDE):
        check(address, "anywhere")


def test_this_machine_is_loopback_and_nothing_else() -> None:
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        check(address, "this machine")
    for address in ("10.0.0.1", "8.8.8.8", "0.0.0.0", "::ffff:10.0.0.1", "fe80::1"):
        with pytest.raises(Refused):
            check(address, "this machine")


# --- with sockets -------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A port of this machine, and what each connection to it brought until it was closed."""
    brought: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    said = b""
                    try:
                        while part := connection.recv(4096):
                            said += part
                    except OSError:
                        pass
                    brought.append(said)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], brought
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Names lead to these addresses, one at each question; returns the names that were asked for."""
    asked: list[str] = []

    def answer(host: Any, port: Any, *_: object, **__: object) -> list[Any]:
        asked.append(host.decode() if isinstance(host, bytes) else host)
        address = addresses[min(len(asked), len(addresses)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def test_a_name_that_leads_inside_gets_not_one_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "127.0.0.1")
    with listening() as (port, brought), WEBHOOK.tried() as (_, trial):
        trouble, retry, said = trial.failed(url=f"https://hooks.example.org:{port}/leeway")
        assert (trouble, retry) == ("client", False)
        assert said == "the receiver's name leads inside the network"
        until(lambda: brought)
        assert brought == [b""]  # connected, and closed before the handshake


def test_a_name_that_changes_its_address_is_judged_by_the_one_that_was_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: an honest answer to the first question helps nothing."""
    asked = resolve(monkeypatch, "93.184.215.14", "127.0.0.1")
    socket.getaddrinfo("hooks.example.org", 443)  # somebody looks, and is content
    with listening() as (port, brought), WEBHOOK.tried() as (_, trial):
        assert trial.failed(url=f"https://hooks.example.org:{port}/")[0] == "client"
        until(lambda: brought)
        assert brought == [b""]
    assert asked == ["hooks.example.org"] * 2


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0"])
def test_an_address_in_disguise_leads_nowhere(host: str) -> None:
    """Each is this machine to a resolver that understands it."""
    with listening() as (port, brought), WEBHOOK.tried() as (_, trial):
        assert not isinstance(trial.send(url=f"https://{host}:{port}/"), Sent)
    assert b"".join(brought) == b""


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://192.168.0.1:8443/x",
    ],
)
def test_a_literal_address_inside_is_refused_when_it_is_configured(url: str) -> None:
    destination = Destination("hook", "webhook", url=url, secret="c" * 32)
    with pytest.raises(Unusable, match="hook: an address inside the network"):
        sinks([destination], now_ms, trust=usual)


def test_an_open_letter_leaves_this_machine_on_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    with LETTERS.tried() as (fake, trial):
        monkeypatch.setattr("alerting.deliver.connected._is_local", lambda _: False)
        resolve(monkeypatch, "127.0.0.1")
        expected = ("client", False, "the receiver's name leads off this machine")
        assert trial.failed(host="localhost") == expected
        assert fake.letters == []


@pytest.mark.parametrize("rig", [BOT, PAGER, WEBHOOK], ids=lambda rig: str(rig.name))
def test_plain_http_leaves_this_machine_on_no_account(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where `localhost` leads elsewhere."""
    with pytest.raises(Unusable, match="plain http"), rig.tried() as (_, trial):
        trial.send(url="http://hooks.example.org/")
    with rig.tried() as (fake, trial):
        monkeypatch.setattr("alerting.deliver.connected._is_local", lambda _: False)
        resolve(monkeypatch, "127.0.0.1")
        url = fake.url.replace("127.0.0.1", "localhost")
        assert trial.failed(url=url) == (
            "client",
            False,
            "the receiver's name leads off this machine",
        )
        assert fake.requests == 0


@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://example.org/", "https://", "https:///x", "example.org", "https://a b/"),
        *("https://example.org:99999/", "https://example.org:0/", "https://exa\nmple.org/"),
        *(
            "https://user:pass@example.org/",
            "https://@example.org/",
            "https://a..b/",
            "https://\\x/",
        ),
        f"https://{'a' * 64}.example/",
        "https://example.org:port/",
        "https://[::1/",
        "https://0177.0.0.1/",
    ],
)
def test_what_is_no_address_cannot_be_a_receiver(url: str) -> None:
    with pytest.raises(Unusable, match=r"^hook: ") as raised:
        sinks([Destination("hook", "webhook", url=url, secret="c" * 32)], now_ms, trust=usual)
    assert len(url) < 10 or url not in str(raised.value)
