"""TLS in front of that Slack. A client connects to its Socket Mode by TLS on port 443 alone (slack-sdk)."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.components.tlsfront import carry
from tests.slack.server import Server


class Front(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True

    def __init__(self, where: tuple[str, int], context: ssl.SSLContext, backend: int) -> None:
        super().__init__(where, Connection)
        self.context, self.backend = context, backend


class Connection(socketserver.BaseRequestHandler):
    server: Front
    request: socket.socket

    def handle(self) -> None:
        try:
            with (
                self.server.context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection(("127.0.0.1", self.server.backend)) as slack,
            ):
                carry(client, slack)
        except OSError:
            pass  # one side went away, or the client does not trust the certificate


@contextmanager
def fronted(slack: Server, context: ssl.SSLContext, host: str, port: int = 0) -> Iterator[None]:
    """`Server.address` is that of the front then. Port 0 is any."""
    with Front((host, port), context, int(urlsplit(slack.address).port or 0)) as front:
        at = front.server_address[1]
        slack.address = f"https://{host}" if at == 443 else f"https://{host}:{at}"
        threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True).start()
        yield
        front.shutdown()
