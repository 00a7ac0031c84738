"""HTTP to one API server: a pool of kept connections on the standard library's http.client.

A whole process with one list over https takes 32 ms so, 58 with urllib3 (mostly its import); kubectl takes 44. Every request
has a deadline that covers connecting, sending and reading. Bytes are handed over as received: no content encoding is asked for.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, Self

from irkit import __version__
from irkit.adapters import proxies, tls
from irkit.adapters.access import Access
from irkit.adapters.credentials import Credential
from irkit.adapters.retry import Transient
from irkit.errors import IrkitError, UnreachableError
from irkit.text import printable

if TYPE_CHECKING:
    from urllib.parse import SplitResult

USER_AGENT = f"irkit/{__version__}"
CHUNK = 64 * 1024
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))  # a dead peer is noticed after 30 s


class _Head(io.RawIOBase):
    """What a response is read from. Until ``deadline`` is taken away, its lines must come by then: a time limit of the socket's would
    begin anew with each byte, and a server that sends one now and then would be waited for by the hour."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, deadline: float) -> None:
        self._sock, self._raw = sock, raw
        self.deadline: float | None = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.deadline is not None:
            if (left := self.deadline - time.monotonic()) <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Connection(HTTPConnection):
    """One connection, through the proxy and TLS where there are any. ``deadline``: when the head of the next response must be there."""

    deadline = 0.0

    def __init__(self, access: Access, proxy: SplitResult | None, context: ssl.SSLContext | None) -> None:
        endpoint = access.endpoint
        self.default_port = 443 if endpoint.tls else 80
        super().__init__(f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host, endpoint.port)
        self.context, self._proxy, self._name = context, proxy, access.trust.server_name or endpoint.host
        self._server = (endpoint.host, endpoint.port)

    def connect(self) -> None:
        self.sock = socket.create_connection(proxies.address(self._proxy) if self._proxy else self._server, self.timeout)
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE:
                if hasattr(socket, name):
                    self.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            if self._proxy:
                proxies.pass_through(self.sock, self._proxy, *self._server)
            if self.context is not None:
                self.sock = self.context.wrap_socket(self.sock, server_hostname=self._name)
        except BaseException:
            self.close()
            raise

    def response_class(self, sock: socket.socket, **options: Any) -> HTTPResponse:  # type: ignore[override]  # called as a class is
        response = HTTPResponse(sock, **options)
        self.head = _Head(sock, response.fp.detach(), self.deadline)
        response.fp = io.BufferedReader(self.head)
        return response

    @property
    def alive(self) -> bool:
        """Whether the server has left the idle connection open: nothing may be readable on it."""
        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)


class Transport:
    """Sends requests; thread-safe. Raises Transient where another attempt may help, IrkitError where none will."""

    def __init__(self, access: Access, *, timeout: float, connections: int) -> None:
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self.access = access
        self._timeout, self._connections = timeout, connections
        self._tls: tuple[bytes, ssl.SSLContext | None] | None = None
        self._proxy = proxies.parsed(access.proxy, f"context {printable(access.about.context)}") if access.proxy else None
        self._reached = False  # before the first answer, a failure to connect is a wrong address: told at once
        # Whoever forgets to close leaves no socket open. `__del__` would be too late: in a cycle a socket's own finalizer may come first.
        weakref.finalize(self, _closed, self._idle)

    def send(
        self, method: str, path: str, *, body: bytes | None = None, kind: str = "application/json", accept: str = "application/json",
        timeout: float | None = None,
    ) -> Reply:  # fmt: skip
        """One request. ``path`` is encoded already. The reply must be closed; its status may be anything."""
        seconds = min(self._timeout, timeout) if timeout is not None else self._timeout
        deadline = time.monotonic() + max(seconds, 0.001)
        credential = self.access.credentials.current()
        connection, used = self._take(credential)
        try:
            return self._exchange(connection, credential, method, path, body, (kind, accept), deadline)
        except Transient:
            # The server may close a kept connection just as we send; a read is sent once more, on a new one.
            if not used or method != "GET" or time.monotonic() >= deadline:
                raise
        connection = self._new(credential)
        return self._exchange(connection, credential, method, path, body, (kind, accept), deadline)

    def close(self) -> None:
        with self._lock:
            idle = self._idle.copy()
            self._idle.clear()
        _closed(idle)

    def _headers(self, credential: Credential, kinds: tuple[str, str], body: bytes | None) -> list[tuple[str, str]]:
        kind, accept = kinds
        headers = [("User-Agent", USER_AGENT), ("Accept", accept), *self.access.headers]
        if body is not None:
            headers += [("Content-Type", kind), ("Content-Length", str(len(body)))]
        if credential.authorization:
            headers.append(("Authorization", credential.authorization))
        return headers

    def _exchange(
        self, connection: _Connection, credential: Credential, method: str, path: str, body: bytes | None, kinds: tuple[str, str], deadline: float
    ) -> Reply:
        if connection.sock is None:
            self._connect(connection, deadline)
        sock = connection.sock
        try:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            connection.putrequest(method, self.access.endpoint.prefix + path)
            for name, value in self._headers(credential, kinds, body):
                connection.putheader(name, value)
            connection.endheaders(body)
            connection.deadline = deadline
            response = connection.getresponse()
            connection.head.deadline = None
        except (OSError, HTTPException) as error:
            connection.close()
            if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):  # TLS 1.3 refuses a client certificate so late
                raise self._untrusted(error) from None
            raise self.lost(error, sent=True) from None
        except BaseException:
            connection.close()
            raise
        self._reached = True
        return Reply(self, connection, sock, response, deadline, credential)

    def _connect(self, connection: _Connection, deadline: float) -> None:
        connection.timeout = max(deadline - time.monotonic(), 0.001)
        try:
            connection.connect()
        except ssl.SSLError as error:
            raise self._untrusted(error) from None
        except (OSError, UnicodeError) as error:
            lost = self.lost(error, sent=False)
            raise (lost if self._reached else lost.error) from None

    def _untrusted(self, error: ssl.SSLError) -> IrkitError:
        return tls.explained(error, self.access.about.server, self.access.trust.server_name or self.access.endpoint.host)

    def lost(self, error: Exception, *, sent: bool) -> Transient:
        """The failure of a connection in words. Nothing of what was received is in it."""
        server = printable(self.access.about.server)
        through = f" through the proxy {printable(self._proxy.hostname)}" if self._proxy else ""
        if isinstance(error, TimeoutError):
            found: IrkitError = UnreachableError(f"{server} did not answer in {self._timeout:g} s{through}")
        elif isinstance(error, socket.gaierror):
            found = UnreachableError(f"{server}{through}: the name of the host is not known")
        elif sent:
            found = UnreachableError(f"the connection to {server} broke{through}")
        else:
            found = UnreachableError(f"{server} can't be reached{through}: {printable(getattr(error, 'strerror', None) or error)}")
        return Transient(found, sent=sent)

    def _take(self, credential: Credential) -> tuple[_Connection, bool]:
        context = self._context(credential)
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return _Connection(self.access, self._proxy, context), False
            if connection.context is context and connection.alive:
                return connection, True
            connection.close()

    def _new(self, credential: Credential) -> _Connection:
        return _Connection(self.access, self._proxy, self._context(credential))

    def give_back(self, connection: _Connection) -> None:
        with self._lock:
            if len(self._idle) < self._connections:
                self._idle.append(connection)
                return
        connection.close()

    def _context(self, credential: Credential) -> ssl.SSLContext | None:
        """The TLS context, made once, and again where the client certificate has changed."""
        if not self.access.endpoint.tls:
            return None
        identity = credential.certificate + credential.key
        with self._lock:
            if self._tls is None or self._tls[0] != identity:
                self._tls = (identity, tls.context(self.access.trust, credential, f"context {printable(self.access.about.context)}"))
            return self._tls[1]


def _closed(connections: list[_Connection]) -> None:
    for connection in connections:
        connection.close()


class Reply:
    """An answer whose body is still to be read. A context manager: leaving it keeps or closes the connection."""

    def __init__(
        self, transport: Transport, connection: _Connection, sock: socket.socket, response: HTTPResponse, deadline: float, credential: Credential
    ) -> None:
        self._transport, self._connection, self._sock, self._response = transport, connection, sock, response
        self._deadline = deadline
        self._whole = False
        self.status, self.credential = response.status, credential

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def header(self, name: str) -> str:
        return str(self._response.headers.get(name) or "")

    def read(self, limit: int | None = None) -> bytes | None:
        """The whole body within the deadline of the request; None where it is longer than ``limit`` bytes."""
        pieces: list[bytes] = []
        count = 0
        while piece := self._next(self._deadline - time.monotonic()):
            count += len(piece)
            if limit is not None and count > limit:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    def pieces(self, wait: float) -> Iterator[bytes]:
        """The body as it comes, at most ``CHUNK`` bytes a piece; each may let us wait ``wait`` seconds."""
        while piece := self._next(wait):
            yield piece

    def _next(self, wait: float) -> bytes:
        if wait <= 0:
            raise self._transport.lost(TimeoutError(), sent=True)
        try:
            self._sock.settimeout(wait)
            piece = self._response.read1(CHUNK)
        except (OSError, HTTPException, ValueError) as error:
            raise self._transport.lost(error, sent=True) from None
        if not piece:
            if self._response.length:
                raise self._transport.lost(EOFError(), sent=True)
            self._whole = True
        return piece

    def close(self) -> None:
        """Keep the connection where the body was read to its end and the server keeps it too; else close it."""
        with suppress(OSError, HTTPException):
            self._response.close()
        if self._whole and not self._response.will_close:
            self._transport.give_back(self._connection)
        else:
            self._connection.close()
            with suppress(OSError):
                self._sock.close()
        self._whole = False
