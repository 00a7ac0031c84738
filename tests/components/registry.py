"""A small image registry: OCI distribution-spec 1.1 for pulling, with the token flow of the distribution project's docs (spec/auth/token)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.components.serving import certificate, serving

MANIFEST, INDEX, CONFIG = (f"application/vnd.oci.image.{kind}.v1+json" for kind in ("manifest", "index", "config"))
Fault = tuple[int, Mapping[str, str]]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case


@dataclass
class Registry:
    """``auth``: how a client must prove who it is (``user``, ``password``; none: nobody need). ``faults``: (status, headers) for the
    next requests of manifests, used up one by one."""

    auth: Literal["", "basic", "bearer"] = ""
    user: str = ""
    password: str = ""
    host: str = ""  # 127.0.0.1:PORT
    ca: Path | None = None
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    blobs: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # by digest: media type, bytes
    tags: dict[tuple[str, str], str] = field(default_factory=dict)  # by repository and tag: digest
    _tokens: dict[str, str] = field(default_factory=dict)  # by token: scope

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://{self.host}"

    def push(self, name: str, tag: str, *platforms: str, seed: str = "") -> str:
        """An image, or with ``platforms`` (``linux/amd64``, …) an index of one for each. Returns the digest that the tag now names."""
        seed = seed or secrets.token_hex(4)
        if not platforms:
            digest = self._image("linux/amd64", seed)
        else:
            entries = []
            for platform in platforms:
                one = self._image(platform, seed)
                system, _, architecture = platform.partition("/")
                where = {"os": system, "architecture": architecture}
                entries.append({"mediaType": MANIFEST, "digest": one, "size": len(self.blobs[one][1]), "platform": where})
            digest = self._keep(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
        self.tags[name, tag] = digest
        return digest

    def _image(self, platform: str, seed: str) -> str:
        system, _, architecture = platform.partition("/")
        config = self._keep(CONFIG, {"os": system, "architecture": architecture, "config": {"Labels": {"seed": seed}}})
        described = {"mediaType": CONFIG, "digest": config, "size": len(self.blobs[config][1])}
        return self._keep(MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []})

    def _keep(self, media: str, document: Mapping[str, object]) -> str:
        data = json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = (media, data)
        return digest

    # who may

    def knows(self, authorization: str) -> bool:
        """Whether this is the right ``Basic`` header."""
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return authorization == f"Basic {expected}"

    def challenge(self, authorization: str, scope: str) -> str | None:
        """The WWW-Authenticate header for who may not see this, else None."""
        if self.auth == "basic" and not self.knows(authorization):
            return 'Basic realm="irkit tests"'
        if self.auth == "bearer" and self._tokens.get(authorization.removeprefix("Bearer ")) != scope:
            return f'Bearer realm="{self.url}/token",service="irkit tests",scope="{scope}"'
        return None

    def issue(self, scope: str) -> str:
        token = secrets.token_urlsafe(16)
        self._tokens[token] = scope
        return token


@contextlib.contextmanager
def running(*, auth: Literal["", "basic", "bearer"] = "", user: str = "", password: str = "", tls: bool = False) -> Iterator[Registry]:
    """A registry for the time of a block. With ``bearer`` and no user, tokens are given to anyone, as public registries do."""
    registry = Registry(auth, user, password)
    server = Server(("127.0.0.1", 0), Handler)
    server.registry = registry
    with contextlib.ExitStack() as stack:
        if tls:
            context, registry.ca = stack.enter_context(certificate())
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        registry.host = stack.enter_context(serving(server))
        yield registry


class Server(http.server.ThreadingHTTPServer):
    registry: Registry

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or does not trust us is the test's business."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        registry, url = self.server.registry, urlsplit(self.path)
        registry.asked.append(Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        parts = url.path.strip("/").split("/")
        if url.path == "/token":
            self.token(parse_qs(url.query))
        elif parts[0] != "v2":
            self.fail(HTTPStatus.NOT_FOUND, "NOT_FOUND")
        elif len(parts) == 1:
            if self.allowed(""):
                self.answer(HTTPStatus.OK, "application/json", b"{}")
        elif len(parts) > 3 and self.allowed("/".join(parts[1:-2])):
            name, kind, reference = "/".join(parts[1:-2]), parts[-2], parts[-1]
            if kind == "tags":
                tags = sorted(tag for repository, tag in registry.tags if repository == name)
                self.answer(HTTPStatus.OK, "application/json", json.dumps({"name": name, "tags": tags}).encode())
            elif kind == "manifests" and registry.faults:
                status, headers = registry.faults.pop(0)
                self.fail(status, "TOOMANYREQUESTS" if status == HTTPStatus.TOO_MANY_REQUESTS else "UNKNOWN", headers)
            else:
                self.found(kind, registry.tags.get((name, reference), reference))
        elif len(parts) <= 3:
            self.fail(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN")

    def token(self, query: Mapping[str, list[str]]) -> None:
        registry = self.server.registry
        if registry.user and not registry.knows(self.headers.get("Authorization", "")):
            self.fail(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED")
            return
        token = registry.issue(query.get("scope", [""])[0])
        self.answer(HTTPStatus.OK, "application/json", json.dumps({"token": token, "expires_in": 300}).encode())

    def allowed(self, name: str) -> bool:
        scope = f"repository:{name}:pull" if name else ""
        challenge = self.server.registry.challenge(self.headers.get("Authorization", ""), scope)
        if challenge:
            self.fail(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", {"WWW-Authenticate": challenge})
        return challenge is None

    def found(self, kind: str, digest: str) -> None:
        media, data = self.server.registry.blobs.get(digest, ("", b""))
        accepted = ",".join(self.headers.get_all("Accept", []))
        unknown = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
        if not media or (kind == "manifests" and media not in accepted):  # an index needs to be asked for, as at ghcr.io
            self.fail(HTTPStatus.NOT_FOUND, unknown)
        else:
            self.answer(HTTPStatus.OK, media, data, {"Docker-Content-Digest": digest})

    def fail(self, status: int, code: str, headers: Mapping[str, str] = {}) -> None:
        self.answer(status, "application/json", json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode(), headers)

    def answer(self, status: int, media: str, data: bytes, headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": media, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
