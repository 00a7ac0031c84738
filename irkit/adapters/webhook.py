"""One message to a webhook: POST of a JSON document, signed where there is a key. No redirect is followed."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from irkit import __version__
from irkit.adapters import proxies
from irkit.adapters.access import Endpoint
from irkit.adapters.outgoing import trusting, within
from irkit.errors import KubeconfigError, UndeliveredError
from irkit.settings.notify import WebhookSettings, refused
from irkit.text import printable

SIGNATURE = "Irkit-Signature"


def post(settings: WebhookSettings, document: Any, identifier: str, now: int, to: str = "") -> str:
    """POST ``document``; returns who took it, without the path, which may be a secret. ``now``: seconds since 1970.

    ``to``: another URL than the settings'. Any 2xx is an answer. Raises UndeliveredError.
    """
    url = _url(settings, to)
    body = json.dumps(document).encode()
    headers = {**settings.headers, "Content-Type": "application/json", "User-Agent": f"irkit/{__version__}", "Idempotency-Key": identifier,
               "Connection": "close"}  # fmt: skip
    if settings.authorization_file:
        headers["Authorization"] = _header(_read(settings.authorization_file, "header Authorization"))
    if settings.secret_file:
        headers[SIGNATURE] = signature(_read(settings.secret_file, "key of the signature").encode(), body, now)
    status = _send(url, settings, body, headers)
    if not 200 <= status < 300:
        raise UndeliveredError(f"{url.hostname} answers {status}")
    return f"posted to {url.hostname}"


def signature(key: bytes, body: bytes, now: int) -> str:
    """``t=SECONDS,v1=HEX``: HMAC-SHA-256 over ``SECONDS.BODY``, so that a message can't be replayed later."""
    return f"t={now},v1={hmac.digest(key, b'%d.%s' % (now, body), hashlib.sha256).hex()}"


def values(settings: WebhookSettings) -> dict[str, str]:
    """The webhook's own values, by the names that its template has for them. Raises UndeliveredError."""
    files = {name: _read(file, f"value {printable(name, 60)}") for name, file in settings.value_files.items()}
    return {f"value.{name}": value for name, value in {**settings.values, **files}.items()}


def _header(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable():
        raise UndeliveredError("the header Authorization is not one line of ASCII")
    return text


def _url(settings: WebhookSettings, to: str) -> SplitResult:
    text = to or settings.url or _read(settings.url_file, "url")
    if why := refused(text):
        raise UndeliveredError(why)
    return urlsplit(text)


def _read(file: Path | None, what: str) -> str:
    assert file is not None, "the settings have one of the two"
    try:
        return file.expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise UndeliveredError(f"the {what} can't be read from {printable(file)}") from None


def _send(url: SplitResult, settings: WebhookSettings, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer. The whole request ends after ``timeout`` seconds, however slow the other side is."""
    host, tls = url.hostname or "", url.scheme == "https"
    port = url.port or (443 if tls else 80)
    sock: list[socket.socket] = []
    with within(settings.timeout, lambda: sock) as late:
        try:
            sock.append(_connect(host, port, tls, settings.timeout))
            connection = http.client.HTTPConnection(host, port)
            connection.sock = sock[0]
            if tls:
                connection.sock = trusting(settings.ca_file).wrap_socket(sock[0], server_hostname=host)
                sock.append(connection.sock)
            connection.request("POST", (url.path or "/") + (f"?{url.query}" if url.query else ""), body, headers)
            return connection.getresponse().status
        except ssl.SSLCertVerificationError as error:
            raise UndeliveredError(f"the certificate of {host} is not trusted: {printable(error.verify_message, 120)}", down=True) from None
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            why = "no answer in time" if late.is_set() or isinstance(error, TimeoutError) else _reason(error)
            raise UndeliveredError(f"{host}: {why}", down=True) from None
        finally:
            for each in sock:
                each.close()


def _connect(host: str, port: int, tls: bool, timeout: float) -> socket.socket:
    """Straight, or through the proxy of the environment, as to an API server."""
    try:
        proxy = proxies.from_environment(Endpoint(host=host, port=port, tls=tls), os.environ)
        if not proxy:
            return socket.create_connection((host, port), timeout)
        through = proxies.parsed(proxy, "HTTPS_PROXY")
    except KubeconfigError as error:
        raise UndeliveredError(error.message) from None
    made = socket.create_connection(proxies.address(through), timeout)
    try:
        proxies.pass_through(made, through, host, port)
    except BaseException:
        made.close()
        raise
    return made


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "no TLS with it"
    return printable(error.strerror, 120) if isinstance(error, OSError) and error.strerror else "no answer of HTTP"
