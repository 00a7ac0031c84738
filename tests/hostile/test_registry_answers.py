"""A registry that means harm: it trickles, redirects, cuts short, or names a token server that is none."""

from __future__ import annotations

import base64
import json
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from irkit.adapters import registry
from irkit.errors import IrkitError
from irkit.model.image import parse
from tests.adapters.scripted import Request, Scene, Scripted, answer
from tests.hostile.test_vault_answers import drip

CANARY = "canary-docker-7"


def config(tmp_path: Path, host: str) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {host: {"auth": base64.b64encode(f"puller:{CANARY}".encode()).decode()}}}))
    return file


def refused(tmp_path: Path, *scenes: Scene, most: float = 5) -> tuple[str, list[Request]]:
    """What is said of a registry that plays these, and what it was asked. It must end within ``most`` seconds."""
    with Scripted(scenes) as server:
        host, began = f"127.0.0.1:{server.port}", time.monotonic()
        with pytest.raises(IrkitError) as said:
            registry.resolve(f"{host}/todo/backend:1", 0.5, config(tmp_path, host))
        assert time.monotonic() - began < most
        return said.value.message, server.requests


@pytest.mark.slow
@pytest.mark.parametrize("scene", [
    drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"{"),
    drip(b"HTTP/1.1 200 OK\r\n\r\n", b"{"),
    drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    drip(b"", b"H"),
], ids=["body", "endless", "header", "status"])  # fmt: skip
def test_one_that_trickles(tmp_path: Path, scene: Scene) -> None:
    message, _ = refused(tmp_path, scene)
    assert "did not answer in 0.5 s" in message


def test_a_body_that_is_cut_short_is_no_manifest(tmp_path: Path) -> None:
    def short(request: Request, sock: socket.socket) -> bool:
        with suppress(OSError):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        return False

    refused(tmp_path, short)


def test_redirects_are_not_followed(tmp_path: Path) -> None:
    _, asked = refused(tmp_path, answer(307, None, {"Location": "/v2/again", "Connection": "close"}))
    assert len(asked) == 1


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    message, _ = refused(tmp_path, answer(200, raw=b"{" * (5 << 20), headers={"Content-Encoding": "gzip", "Connection": "close"}))
    assert "more than a manifest may be" in message


@pytest.mark.parametrize("realm", ["https://[", "https://a:b/", "https://a:99999999/",
                                   "https://a b/", "http://evil.example/token", "", "//x", "\x1b[31m",
                                   "https://user:pw@127.0.0.1:1/", "file:///etc/passwd", "https://" + "a" * 70_000])  # fmt: skip
def test_token_servers_that_are_none(tmp_path: Path, realm: str) -> None:
    challenge = f'Bearer realm="{realm}",service="s",scope="repository:todo/backend:pull"'
    message, asked = refused(tmp_path, answer(401, None, {"WWW-Authenticate": challenge, "Connection": "close"}))
    assert CANARY not in message
    assert len(message) < 600
    assert not any(CANARY in str(r.headers) for r in asked)


def test_a_registry_elsewhere_sends_no_login_to_what_listens_here() -> None:
    """Which would be a request to this machine's own services, in the attacker's words."""
    with Scripted((answer(200, {"token": "t"}),)) as server:
        challenge = f'Bearer realm="http://127.0.0.1:{server.port}/api/v1/secrets",service="s"'
        with pytest.raises(IrkitError):
            registry._authorization(challenge, "cHVsbGVyOng=", parse("evil.example/a/b:1"), "evil.example", 1)
        assert server.requests == []
