"""TLS in front of that Slack. A client connects to its Socket Mode by TLS on port 443 alone (slack-sdk)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.components.serving import serving
from tests.components.tlsfront import Front
from tests.slack.server import Server


@contextmanager
def fronted(slack: Server, context: ssl.SSLContext, host: str, port: int = 0) -> Iterator[None]:
    """`Server.address` is that of the front then. Port 0 is any."""
    front = Front(context, int(urlsplit(slack.address).port or 0), (host, port))
    at = front.server_address[1]
    slack.address = f"https://{host}" if at == 443 else f"https://{host}:{at}"
    with serving(front):
        yield
