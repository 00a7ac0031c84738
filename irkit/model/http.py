"""HTTP as listeners see it: a request that was read whole, and its answer."""

from __future__ import annotations

import ipaddress
from typing import Any, Protocol

import msgspec


class Head(msgspec.Struct, frozen=True):
    """A request before its body. ``path`` has no query."""

    method: str
    path: str
    headers: dict[str, str]  # by name in lower case; of several with one name, all joined by commas
    peer: str  # the address that the connection comes from
    names: tuple[str, ...] = ()  # whom its client certificate names: CN=…, DNS=…, URI=…, IP=…, email=…; verified
    until: float = float("inf")  # when that certificate ends, in seconds since 1970


class Answer(msgspec.Struct, frozen=True):
    """``document`` is sent as JSON; ``text`` as it is."""

    status: int
    document: dict[str, Any] | None = None
    text: str = ""
    retry_after: int = 0  # seconds
    headers: tuple[tuple[str, str], ...] = ()


class Door(Protocol):
    """Who answers, on the server's own thread: nothing but `body` may wait."""

    def head(self, head: Head) -> Answer | None:
        """An answer that needs no body, None where the body is to be read."""

    async def body(self, head: Head, body: bytes) -> Answer:
        """The answer. It is ended after `Bounds.answer` seconds."""

    def late(self, head: Head) -> Answer:
        """Where `body` was ended."""

    def refused(self, peer: str, why: str, status: int) -> None:
        """The server itself turned somebody away: too slow, too large, not HTTP, not TLS, too many."""


class Bounds(msgspec.Struct, frozen=True):
    """What one server takes at most."""

    head: int = 16_384  # bytes of request line and headers
    body: int = 1 << 20  # bytes
    request: float = 10.0  # seconds from the first byte of a request to its last
    idle: float = 60.0  # seconds that a connection may rest between two requests
    answer: float = 8.0  # seconds from there to the answer
    connections: int = 512
    connections_per_peer: int = 256
    held: int = 64 << 20  # bytes of bodies that are read at once
    farewell: float = 10.0  # seconds for what is under way when the server ends


def network(peer: str) -> str:
    """What counts as one peer: an IPv4 address, a /64 of IPv6."""
    try:
        found = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
