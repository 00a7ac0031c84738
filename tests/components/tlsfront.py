"""TLS in front of a server for tests that has none itself.

`postgres` is how it begins for PostgreSQL, whose wheel is built without OpenSSL: what is not encrypted is refused. Clients see what a
server with ``hostssl`` lines only would show them, but for channel binding (SCRAM-SHA-256-PLUS), which ends where TLS does.
Source: PostgreSQL documentation, "Frontend/Backend Protocol", "SSL Session Encryption".
"""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import struct
from collections.abc import Callable

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class Front(socketserver.ThreadingTCPServer):
    """Passes on to the ``backend`` port of this machine. ``begins``: what is said before TLS, and whether TLS comes at all."""

    daemon_threads = allow_reuse_address = True

    def __init__(
        self, context: ssl.SSLContext, backend: int, where: tuple[str, int] = ("127.0.0.1", 0),
        begins: Callable[[socket.socket], bool] = lambda connection: True,
    ) -> None:  # fmt: skip
        super().__init__(where, Connection)
        self.context, self.backend, self.begins = context, backend, begins


class Connection(socketserver.BaseRequestHandler):
    server: Front
    request: socket.socket

    def handle(self) -> None:
        try:
            if self.server.begins(self.request):
                with (
                    self.server.context.wrap_socket(self.request, server_side=True) as client,
                    socket.create_connection(("127.0.0.1", self.server.backend)) as server,
                ):
                    carry(client, server)
        except OSError:
            pass  # one side went away, or the client does not trust the certificate


def postgres(connection: socket.socket) -> bool:
    """Answers what comes before the start-up message; that itself, unencrypted, is refused."""
    connection.settimeout(20)
    while True:
        length, code = struct.unpack("!II", exactly(connection, 8))
        if code == SSL_REQUEST:
            connection.sendall(b"S")
            connection.settimeout(None)
            return True
        if code != GSS_REQUEST:
            exactly(connection, min(length, 10_000) - 8)
            fields = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for this host, no encryption\0\0"
            connection.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
            return False
        connection.sendall(b"N")


def exactly(connection: socket.socket, count: int) -> bytes:
    """So many octets. Raises ConnectionResetError where the other side ends before."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data


def carry(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Both directions, until one side ends."""
    while True:
        readable = [client] if client.pending() else select.select([client, server], [], [])[0]
        for source, sink in ((client, server), (server, client)):
            if source in readable:
                data = source.recv(65536)
                if not data:
                    return
                sink.sendall(data)
