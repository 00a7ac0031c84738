"""HTTP and SOCKS5 proxies between here and an API server: which one, and how to get through it."""

from __future__ import annotations

import base64
import socket
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from irkit.adapters.access import Endpoint
from irkit.errors import KubeconfigError
from irkit.text import printable

PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}
_HEADER_LIMIT = 16384  # bytes of a proxy's answer


def from_environment(endpoint: Endpoint, environ: Mapping[str, str]) -> str:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name (as Go's http.ProxyFromEnvironment); empty: none."""
    name = "HTTPS_PROXY" if endpoint.tls else "HTTP_PROXY"
    proxy = environ.get(name) or environ.get(name.lower()) or ""
    if not proxy or _excepted(endpoint, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _excepted(endpoint: Endpoint, rules: str) -> bool:
    import ipaddress

    host = endpoint.host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for rule in (r.strip().lower() for r in rules.split(",")):
        name, _, port = rule.rpartition(":") if rule.count(":") == 1 else (rule, "", "")
        if port and port != str(endpoint.port):
            continue
        if name == "*" or (name and _matches(name, host, address)):
            return True
    return False


def _matches(rule: str, host: str, address: object) -> bool:
    import ipaddress

    if address is None:
        bare = rule.removeprefix("*")
        return host.endswith(bare) if bare.startswith(".") else host == bare or host.endswith(f".{bare}")
    try:
        return address in ipaddress.ip_network(rule.strip("[]"), strict=False)
    except ValueError:
        return False


def parsed(proxy: str, where: str) -> SplitResult:
    """The proxy's URL. Raises KubeconfigError for one that irkit can't go through."""
    try:
        url = urlsplit(proxy)
        _ = url.port
    except ValueError:
        raise KubeconfigError(f"{where}: the proxy is no URL") from None
    if url.scheme not in PORTS or not url.hostname:
        raise KubeconfigError(f"{where}: a proxy must be http://host:port or socks5://host:port, not {printable(url.scheme or proxy)}")
    return url


def address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or PORTS[url.scheme]


def pass_through(sock: socket.socket, url: SplitResult, host: str, port: int) -> None:
    """Have the proxy connect ``sock`` to the server. Raises OSError with the proxy's answer."""
    if url.scheme == "http":
        _connect(sock, url, host, port)
    else:
        _socks(sock, url, host, port)


def _connect(sock: socket.socket, url: SplitResult, host: str, port: int) -> None:
    """CONNECT (RFC 9110 §9.3.6)."""
    name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    target = f"{name}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if url.username is not None:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    # Nothing of the server's own can be in what is read here: it does not speak before we do.
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(4096)
        if not piece or len(answer) > _HEADER_LIMIT:
            raise OSError("the proxy closed the connection")
        answer += piece
    words = answer.split(b"\r\n", 1)[0].split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].startswith(b"2"):
        said = b" ".join(words[1:]).decode("latin-1")
        raise OSError(f"the proxy answered {printable(said, 80)}")


def _socks(sock: socket.socket, url: SplitResult, host: str, port: int) -> None:
    """SOCKS5 (RFC 1928), with user and password (RFC 1929) where the URL has them. The proxy resolves the name."""
    login = url.username is not None
    sock.sendall(b"\x05\x01\x02" if login else b"\x05\x01\x00")
    version, method = _exactly(sock, 2)
    if version != 5 or method != (2 if login else 0):
        raise OSError("the SOCKS proxy refuses the way to log in")
    if login:
        user, password = unquote(url.username or "").encode()[:255], unquote(url.password or "").encode()[:255]
        sock.sendall(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
        if _exactly(sock, 2)[1]:
            raise OSError("the SOCKS proxy refuses the password")
    name = host.encode("idna")
    sock.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
    _, code, _, kind = _exactly(sock, 4)
    if code:
        raise OSError(f"the SOCKS proxy can't connect (code {code})")
    length = {1: 4, 4: 16}.get(kind) or _exactly(sock, 1)[0]
    _exactly(sock, length + 2)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise OSError("the proxy closed the connection")
        data += piece
    return data
