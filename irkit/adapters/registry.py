"""Which digest a tag names now, asked at its registry (OCI distribution-spec 1.1, pulling manifests; spec/auth/token for tokens).

The digest is computed from the bytes of the manifest, so a registry can't name one that it does not serve. Logins come
from the Docker configuration file and are sent to the registry, or to the token server that it names over TLS, and
nowhere else. TLS is verified; on loopback a registry may be of its own making, or speak plain HTTP, as Docker allows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import ipaddress
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from irkit import __version__
from irkit.errors import ApiError, ForbiddenError, IrkitError, NotFoundError, UnreachableError, UsageError
from irkit.model.image import DOCKER, Image, parse
from irkit.text import printable

_MEDIA = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_LIMIT = 4 << 20  # octets of a manifest (distribution-spec: registries should refuse more)
_HUB = {"https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", DOCKER}
_FIELD = re.compile(r'(\w+)="([^"]*)"')


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    challenge: str


def resolve(image: str, timeout: float, config: Path | None = None) -> str:
    """The digest that this image's tag names; ``latest`` where it has none. Raises NotFoundError, ForbiddenError, UnreachableError, ApiError."""
    named = parse(image)
    host = "registry-1.docker.io" if named.host == DOCKER else named.host
    path = f"/v2/{named.path}/manifests/{named.digest or named.tag or 'latest'}"
    basic = _login(named.host, config)
    answer = _get(host, path, "", timeout)
    if answer.status == 401:
        answer = _get(host, path, _authorization(answer.challenge, basic, named, host, timeout), timeout)
    if answer.status != 200:
        raise _refused(answer.status, named)
    digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
    if named.digest and digest != named.digest:
        raise ApiError(f"{printable(named.host)} sent another manifest than the one of {named.digest}", status=200)
    return digest


def _refused(status: int, image: Image) -> IrkitError:
    host, name = printable(image.host), printable(image.written, 200)
    if status == 404:
        return NotFoundError(f"{host} has no image {name}", status=404)
    if status in (401, 403):
        return ForbiddenError(f"{host} does not let you read {name}", next=f"docker login {host}")
    if status == 429:
        return UnreachableError(f"{host} has had too many requests from here (429)")
    return ApiError(f"{host} answers {status} for {name}", status=status)


def _authorization(challenge: str, basic: str, image: Image, host: str, timeout: float) -> str:
    """The header that the challenge asks for (RFC 9110 §11.6.1). Raises ForbiddenError where there is none to give."""
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        if not basic:
            raise ForbiddenError(f"{printable(image.host)} wants a login", next=f"docker login {printable(image.host)}")
        return f"Basic {basic}"
    if scheme.lower() != "bearer":
        raise ForbiddenError(f"{printable(image.host)} wants a kind of login that irkit does not know: {printable(scheme, 40)}")
    asked = dict(_FIELD.findall(rest))
    realm = _parsed(asked.get("realm", ""))
    # a registry elsewhere has no business with what listens on this machine
    if realm is None or _loopback(realm.netloc) > _loopback(host) or not (realm.scheme == "https" or _loopback(realm.netloc)):
        raise ForbiddenError(f"{printable(image.host)} names a token server without TLS; no login is sent there")
    query = urlencode({k: v for k in ("service", "scope") if (v := asked.get(k))})
    path = f"{realm.path or '/'}?{query}"
    given = _get(realm.netloc, path, f"Basic {basic}" if basic else "", timeout)
    if given.status != 200:
        raise _refused(401 if given.status in (400, 401, 403) else given.status, image)
    try:
        answer = msgspec.json.decode(given.body)
        token = str(answer.get("token") or answer.get("access_token") or "")
    except (msgspec.DecodeError, AttributeError, RecursionError):
        token = ""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ForbiddenError(f"the token server of {printable(image.host)} gave no token")
    return f"Bearer {token}"


def _parsed(url: str) -> SplitResult | None:
    """None where it is no URL with a host that one could connect to."""
    try:
        parts = urlsplit(url)
        http.client.HTTPConnection(parts.netloc)  # which connects nowhere yet, and looks at host and port
    except (ValueError, http.client.InvalidURL):
        return None
    return parts if parts.hostname and parts.username is None else None


def _login(host: str, config: Path | None) -> str:
    """The base64 of ``user:password`` for this registry; empty where there is none. Raises UsageError where the file is not readable."""
    path = config or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        known = msgspec.json.decode(path.read_bytes())
        auths = known.get("auths") or {}
        names = _HUB if host == DOCKER else {host, f"https://{host}", f"https://{host}/v1/", f"https://{host}/v2/"}
        found = next((str((auths[n] or {}).get("auth") or "") for n in auths if n in names), "")
        return base64.b64encode(base64.b64decode(found, validate=True)).decode()
    except FileNotFoundError:
        return ""
    except (OSError, msgspec.DecodeError, AttributeError, TypeError, binascii.Error):
        raise UsageError(f"{printable(path)}: not a Docker configuration") from None


def _get(host: str, path: str, authorization: str, timeout: float) -> _Answer:
    """One GET; redirects are an answer like any other, so that no login follows them. Raises UnreachableError."""
    if not _loopback(host):
        return _ask(http.client.HTTPSConnection(host, timeout=timeout, context=ssl.create_default_context()), host, path, authorization)
    own = ssl.create_default_context()
    own.check_hostname, own.verify_mode = False, ssl.CERT_NONE
    try:
        return _ask(http.client.HTTPSConnection(host, timeout=timeout, context=own), host, path, authorization)
    except _NoTls:
        return _ask(http.client.HTTPConnection(host, timeout=timeout), host, path, authorization)


class _NoTls(UnreachableError):
    """The server does not speak TLS."""


def _ask(connection: http.client.HTTPConnection, host: str, path: str, authorization: str) -> _Answer:
    headers = {"Accept": _MEDIA, "User-Agent": f"irkit/{__version__}"} | ({"Authorization": authorization} if authorization else {})
    late = threading.Event()
    try:
        connection.connect()
        with _within(connection, late):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(_LIMIT + 1)
        if late.is_set() or (answer.length and len(body) <= _LIMIT):
            raise TimeoutError if late.is_set() else http.client.IncompleteRead(b"")
    except ssl.SSLCertVerificationError as error:
        raise UnreachableError(f"the certificate of {printable(host)} is not trusted: {printable(error.verify_message)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            raise UnreachableError(f"{printable(host)} did not answer in {connection.timeout:g} s") from None
        if isinstance(error, ssl.SSLError):
            raise _NoTls(f"{printable(host)} does not speak TLS") from None
        raise UnreachableError(f"{printable(host)} can't be reached: {printable(getattr(error, 'strerror', None) or type(error).__name__)}") from None
    finally:
        connection.close()
    if len(body) > _LIMIT:
        raise ApiError(f"{printable(host)} sends more than a manifest may be ({_LIMIT >> 20} MiB)", status=answer.status)
    return _Answer(answer.status, body, str(answer.headers.get("WWW-Authenticate") or ""))


@contextmanager
def _within(connection: http.client.HTTPConnection, late: threading.Event) -> Iterator[None]:
    """Ends the exchange when its time is over: the time limit of a socket begins anew with each byte that comes."""
    sock: socket.socket = connection.sock

    def end() -> None:
        late.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(connection.timeout or 0, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
