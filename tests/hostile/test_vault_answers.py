"""A Vault that means harm, or something that poses as one: its words, its shapes, its pace. One sentence, an exit code, no value."""

from __future__ import annotations

import base64
import json
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from irkit.adapters.vault import connect
from irkit.errors import IrkitError
from irkit.model.secret import mentions
from irkit.ports import SecretStore
from irkit.rotators.holders import Holder, Kept
from irkit.rotators.kv import KvEntry
from irkit.settings.rotation import VaultAuth, VaultSettings
from tests.adapters.scripted import Request, Scene, Scripted, answer

TOKEN, NEW, SECRET_ID = "s.canary-token-4711", 'canary-new "value" <1>', "canary-secret-id-0815"
Make = Callable[..., SecretStore]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Connects to a Vault that answers everything with one scene."""
    servers: list[Scripted] = []
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    for name in ("VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_SKIP_VERIFY"):
        monkeypatch.delenv(name, raising=False)

    def make(scene: Scene, timeout: float = 1.0, auth: VaultAuth | None = None) -> SecretStore:
        servers.append(Scripted((scene,)).__enter__())
        return connect(VaultSettings(address=servers[-1].url, auth=auth or VaultAuth()), timeout, 2)

    yield make
    for server in servers:
        server.__exit__()


FORMS = (
    NEW, json.dumps(NEW)[1:-1], base64.b64encode(NEW.encode()).decode(), NEW.encode().hex(), "canary-new%20%22value%22%20%3C1%3E", TOKEN,
    f"token={TOKEN};", base64.b64encode(TOKEN.encode()).decode(),
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_what_was_sent_does_not_come_back(store: Make, form: str, status: int) -> None:
    """Neither the new value nor irkit's own token, in whatever form a program quotes what it was sent."""
    vault = store(answer(status, {"errors": [f"1 error occurred:\n\t* refused: {form} (x)", "beside it"]}, {"Connection": "close"}))
    with pytest.raises(IrkitError) as said:
        vault.write("kv/data/a", {"data": {"k": NEW}})
    assert form not in "".join(traceback.format_exception(said.value)) + said.value.next
    assert "canary" not in said.value.message


def test_the_look_for_values_finds_them() -> None:
    assert all(mentions(f"<{form}>", [NEW.encode(), TOKEN.encode()]) for form in FORMS)
    assert not mentions("nothing of it, and abc", [NEW.encode(), b"abc", b""])


@pytest.mark.parametrize("sentence", ["://" + ":" * 2_000_000, "://a:" * 400_000, "password" + " " * 2_000_000, "secret_id" + " " * 2_000_000])
def test_an_error_that_takes_long_to_look_through(store: Make, sentence: str) -> None:
    vault = store(answer(400, {"errors": [sentence] * 2}))
    began = time.monotonic()
    with pytest.raises(IrkitError) as said:
        vault.read("a")
    assert time.monotonic() - began < 2
    assert len(said.value.message) < 600


def drip(head: bytes, drop: bytes) -> Scene:
    """An answer that goes on coming, a few bytes at a time."""

    def play(request: Request, sock: socket.socket) -> bool:
        with suppress(OSError):
            sock.sendall(head)
            while True:
                sock.sendall(drop)
                time.sleep(0.05)
        return False

    return play


@pytest.mark.slow
@pytest.mark.parametrize("scene", [
    drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"{"),
    drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    drip(b"", b"H"),
], ids=["body", "chunks", "header", "headers", "continue", "status"])  # fmt: skip
def test_one_that_trickles(store: Make, scene: Scene) -> None:
    """A request has one time limit, however often something comes within it."""
    vault = store(scene, timeout=0.5)
    began = time.monotonic()
    with pytest.raises(IrkitError):
        vault.write("kv/data/a", {})
    assert time.monotonic() - began < 4


ODD: tuple[object, ...] = (
    None, [], "canary-old-value", 7, {"data": None},
       {"data": "canary-old-value"}, {"data": ["canary-old-value"]}, {"metadata": "canary-old-value"},
       {"data": {"KEY": {"a": 1}}, "metadata": {"version": "canary-old-value"}}, {"data": {"KEY": "v"}, "metadata": {"version": 1e300}},
       {"data": {"KEY": "v"}, "metadata": {"version": 2, "custom_metadata": "canary-old-value"},
        "versions": {"canary-old-value": 3}},
       {"data": {"KEY": "v"}, "metadata": {"version": 9}, "versions": {"1": "canary-old-value", "-4": None, "9" * 400: {}}})  # fmt: skip


@pytest.mark.parametrize("data", ODD, ids=repr)
@pytest.mark.parametrize("version", ["v2", "v1"])
def test_answers_of_another_shape(store: Make, data: object, version: str) -> None:
    """Each request of a KV holder; what it raises is an error of irkit's, without what was answered."""
    entry: Holder = KvEntry(store(answer(200, {"data": data})), "kv", "prod/app", {"KEY": "KEY"}, "k7q2", version == "v2")

    def kept() -> Kept:
        return Kept({"KEY": b"v"}, {}, "1", None)

    for call in (entry.read, lambda: entry.write(entry.read(), {"KEY": b"n"}), lambda: entry.propose(entry.read(), {"KEY": b"n"}),
                 lambda: entry.mark(entry.read()), lambda: entry.retire({"KEY": "x"}, lambda b: b.hex(), "1"),
        lambda: entry.drop(kept())):  # fmt: skip
        try:
            said = repr(call())
        except IrkitError as error:
            said = "".join(traceback.format_exception(error))
        assert "canary" not in said


@pytest.mark.parametrize(
    "body", [{}, {"auth": None}, {"auth": "x"}, {"auth": {"client_token": None}}, {"auth": {"client_token": "a\r\nb"}}, {"auth": [1]}]
)
def test_logins_of_another_shape(store: Make, body: object, tmp_path: Path) -> None:
    file = tmp_path / "secret-id"
    file.write_text(SECRET_ID)
    vault = store(answer(200, body), auth=VaultAuth(method="approle", role_id="r", secret_id_file=file))
    with pytest.raises(IrkitError) as said:
        vault.read("kv/data/a")
    assert "canary" not in "".join(traceback.format_exception(said.value))


def test_a_login_that_is_refused_with_what_it_was_sent(store: Make, tmp_path: Path) -> None:
    file = tmp_path / "secret-id"
    file.write_text(SECRET_ID)
    vault = store(answer(400, {"errors": [f"invalid secret id: {SECRET_ID}"]}), auth=VaultAuth(method="approle", role_id="r", secret_id_file=file))
    with pytest.raises(IrkitError) as said:
        vault.read("kv/data/a")
    assert "canary" not in "".join(traceback.format_exception(said.value))


@pytest.mark.parametrize("keys", [["../../sys/x", "\x1b[31m", 7, None, {"a": 1}], "abc", {"a": 1}, None])
def test_lists_of_another_shape(store: Make, keys: object) -> None:
    assert all(isinstance(k, str) for k in store(answer(200, {"data": {"keys": keys}})).list("kv/metadata"))
