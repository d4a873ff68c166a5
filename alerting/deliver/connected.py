"""May we talk to the machine at the other end? Asked of the connected peer, before the first byte leaves.

A name is checked nowhere: whoever owns it may answer each question differently (DNS rebinding). The address that the
socket is connected to cannot change any more.
"""

import ipaddress
from collections.abc import Callable
from typing import Any, Literal

Reach = Literal["anywhere", "this machine", "outside"]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291 §2.4; all else is special
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address


class Refused(Exception):
    """The connection was closed before anything was sent; the text does not name the address."""


def inside(address: _Address) -> bool:
    """Whether an address belongs to this machine, a private or special network, or to no single machine.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, Teredo, NAT64) count as what they carry.

    Examples
    --------
    >>> def asked(*texts: str) -> list[bool]:
    ...     return [inside(ipaddress.ip_address(text)) for text in texts]
    >>> asked("127.0.0.1", "10.1.2.3", "169.254.169.254", "100.100.100.200", "224.0.0.1", "0.0.0.0")
    [True, True, True, True, True, True]
    >>> asked("::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:192.168.0.1", "2002:a00:1::", "64:ff9b::7f00:1")
    [True, True, True, True, True, True]
    >>> asked("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")
    [False, False, False, False]
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not address.is_global or address.is_multicast or address.is_reserved
    carried = _carried(address)
    if carried:
        return any(inside(each) for each in carried)
    return address not in _GLOBAL_UNICAST or not address.is_global


def is_inside(host: str) -> bool:
    """Whether a host is written as an address inside; of a name nobody knows before it is connected.

    >>> is_inside("169.254.169.254"), is_inside("8.8.8.8"), is_inside("metadata.internal")
    (True, False, False)
    """
    try:
        return inside(ipaddress.ip_address(host))
    except ValueError:
        return False


def _carried(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


def check(peer: str, reach: Reach) -> None:
    """Whether a connected peer is within reach.

    Raises
    ------
    Refused
        It is not, or its address cannot be read.
    """
    if reach == "anywhere":
        return
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        raise Refused("the address of the receiver cannot be read") from None
    if reach == "this machine" and not _is_local(address):
        raise Refused("the receiver's name leads off this machine")
    if reach == "outside" and inside(address):
        raise Refused("the receiver's name leads inside the network")


def _is_local(address: _Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def guard(reach: Reach) -> Callable[[str, dict[str, Any]], Any]:
    """What the HTTP client calls at each step of a connection (its `trace` extension): it ends the forbidden ones."""

    async def connected(step: str, info: dict[str, Any]) -> None:
        if step != "connection.connect_tcp.complete":
            return
        stream = info["return_value"]
        peer = stream.get_extra_info("server_addr")
        try:
            check(str(peer[0]) if peer else "", reach)
        except Refused:
            await stream.aclose()
            raise

    return connected
