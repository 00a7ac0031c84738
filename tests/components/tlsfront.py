"""TLS in front of PostgreSQL, as PostgreSQL's protocol does it, for a build that has none: what is not encrypted is refused.

The wheel's PostgreSQL is built without OpenSSL. Clients see what a server with ``hostssl`` lines only would show them, but for
channel binding (SCRAM-SHA-256-PLUS), which ends where TLS does.
Source: PostgreSQL documentation, "Frontend/Backend Protocol", "SSL Session Encryption".
"""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import struct

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class Front(socketserver.ThreadingTCPServer):
    """Listens on a loopback port of its own and passes on to the ``backend`` port."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext, backend: int) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.context, self.backend = context, backend


class Connection(socketserver.BaseRequestHandler):
    server: Front
    request: socket.socket

    def handle(self) -> None:
        try:
            if self.wants_tls():
                with (
                    self.server.context.wrap_socket(self.request, server_side=True) as client,
                    socket.create_connection(("127.0.0.1", self.server.backend)) as database,
                ):
                    carry(client, database)
        except OSError:
            pass  # one side went away, or the client does not trust the certificate

    def wants_tls(self) -> bool:
        """Answers what comes before the start-up message; that itself, unencrypted, is refused."""
        self.request.settimeout(20)
        while True:
            length, code = struct.unpack("!II", self.exactly(8))
            if code == SSL_REQUEST:
                self.request.sendall(b"S")
                self.request.settimeout(None)
                return True
            if code != GSS_REQUEST:
                self.exactly(min(length, 10_000) - 8)
                fields = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for this host, no encryption\0\0"
                self.request.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
                return False
            self.request.sendall(b"N")

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.request.recv(count - len(data))
            if not piece:
                raise ConnectionResetError
            data += piece
        return data


def carry(client: ssl.SSLSocket, database: socket.socket) -> None:
    """Both directions, until one side ends."""
    while True:
        readable = [client] if client.pending() else select.select([client, database], [], [])[0]
        for source, sink in ((client, database), (database, client)):
            if source in readable:
                data = source.recv(65536)
                if not data:
                    return
                sink.sendall(data)
