"""Probes from this machine: one GET, one connection. The operating system's proxies are not used: what is asked for is asked itself."""

from __future__ import annotations

import http.client
import socket
import ssl
from urllib.parse import urlsplit

from irkit import __version__
from irkit.errors import UnreachableError
from irkit.text import printable


def get(url: str, timeout: float) -> int:
    """The status of one GET. TLS is verified. Raises UnreachableError."""
    parts = urlsplit(url)
    try:
        made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = made(parts.netloc.rpartition("@")[2], timeout=timeout)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("GET", target, headers={"User-Agent": f"irkit/{__version__}"})
            return connection.getresponse().status
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        raise UnreachableError(f"its certificate is not trusted: {printable(error.verify_message)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(_why(error, timeout)) from None


def connect(host: str, port: int, timeout: float) -> None:
    """Open a connection and close it. Raises UnreachableError."""
    try:
        socket.create_connection((host, port), timeout).close()
    except (OSError, ValueError) as error:
        raise UnreachableError(_why(error, timeout)) from None


def _why(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {timeout:g} s"
    if isinstance(error, socket.gaierror):
        return "the name of the host is not known"
    return printable(getattr(error, "strerror", None) or type(error).__name__)
