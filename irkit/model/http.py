"""HTTP as listeners see it: a request that was read whole, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import msgspec


class Head(msgspec.Struct, frozen=True):
    """A request before its body. ``path`` has no query."""

    method: str
    path: str
    headers: dict[str, str]  # by name in lower case; of several with one name, all joined by commas
    peer: str  # the address that the connection comes from
    names: tuple[str, ...] = ()  # whom its client certificate names: CN=…, DNS=…, URI=…, IP=…, email=…; verified


class Answer(msgspec.Struct, frozen=True):
    """``document`` is sent as JSON; ``text`` as it is."""

    status: int
    document: dict[str, Any] | None = None
    text: str = ""
    retry_after: int = 0  # seconds
    headers: tuple[tuple[str, str], ...] = ()


Work: TypeAlias = Callable[[], Answer]


class Door(Protocol):
    """Who answers. Both methods are called on the server's own thread and must not wait; `Work` may."""

    def head(self, head: Head) -> Answer | None:
        """An answer that needs no body, None where the body is to be read."""

    def body(self, head: Head, body: bytes) -> Answer | Work:
        """The answer, or what to do elsewhere to get it."""

    def late(self, head: Head) -> Answer:
        """Where there is no time or no room for the work. It may still come to an end."""

    def refused(self, peer: str, why: str, status: int) -> None:
        """The server itself turned somebody away: too slow, too large, not HTTP, not TLS, too many."""


class Bounds(msgspec.Struct, frozen=True):
    """What one server takes at most."""

    head: int = 16_384  # bytes of request line and headers
    body: int = 1 << 20  # bytes
    request: float = 10.0  # seconds from the first byte of a request to its last
    idle: float = 60.0  # seconds that a connection may rest between two requests
    answer: float = 8.0  # seconds for work
    connections: int = 256
    connections_per_peer: int = 64
    works: int = 64  # that wait or run
    workers: int = 4
    farewell: float = 10.0  # seconds for what is under way when the server ends
