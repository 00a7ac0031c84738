"""The Vault adapter against a real OpenBao, and against servers that answer what no good one does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from irkit.adapters import kubernetes, vaulterrors
from irkit.adapters.vault import connect
from irkit.errors import ApiError, ConflictError, ForbiddenError, InvalidError, IrkitError, NotFoundError, UnreachableError, UsageError
from irkit.model.kube import SERVICEACCOUNTS
from irkit.ports import SecretStore
from irkit.settings import Settings
from irkit.settings.rotation import VaultAuth, VaultSettings
from tests.adapters.scripted import Scene, Scripted, answer, reset, silence

if TYPE_CHECKING:
    from tests.components.openbao import OpenBao
    from tests.controlplane.running import Running

VARIABLES = ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_SKIP_VERIFY", "VAULT_TLS_SERVER_NAME", "VAULT_CLIENT_CERT")


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.fixture
def vault(openbao: OpenBao, environ: pytest.MonkeyPatch) -> SecretStore:
    environ.setenv("VAULT_TOKEN", openbao.token)
    return connect(VaultSettings(address=openbao.address), 10, 4)


@pytest.fixture
def scripted(environ: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[SecretStore, Scripted]]]:
    servers = []
    environ.setenv("VAULT_TOKEN", "t0ken")

    def make(*scenes: Scene, timeout: float = 2) -> tuple[SecretStore, Scripted]:
        server = Scripted(scenes).__enter__()
        servers.append(server)
        return connect(VaultSettings(address=server.url), timeout, 4), server

    yield make
    for server in servers:
        server.__exit__()


def test_an_entry_is_written_read_listed_and_deleted(vault: SecretStore, kv_mount: str) -> None:
    assert vault.write(f"{kv_mount}/data/a/b", {"data": {"x": "1"}, "options": {"cas": 0}})["data"]["version"] == 1
    with pytest.raises(ConflictError, match="was changed meanwhile"):
        vault.write(f"{kv_mount}/data/a/b", {"data": {"x": "2"}, "options": {"cas": 0}})
    assert vault.read(f"{kv_mount}/data/a/b", params={"version": "1"})["data"]["data"] == {"x": "1"}
    assert (vault.list(f"{kv_mount}/metadata"), vault.list(f"{kv_mount}/metadata/a/"), vault.list(f"{kv_mount}/metadata/z")) == (["a/"], ["b"], ())
    odd = f"{kv_mount}/data/odd ?#%2F\u00e9"
    vault.write(odd, {"data": {"x": "odd"}})
    assert vault.read(odd)["data"]["data"] == {"x": "odd"}
    vault.delete(f"{kv_mount}/metadata/a/b")
    with pytest.raises(NotFoundError):
        vault.read(f"{kv_mount}/data/a/b")


@pytest.mark.parametrize("path", ["", "secret//a", "secret/../sys/mounts", "secret/./a", "/secret/a"])
def test_no_path_leads_elsewhere(vault: SecretStore, path: str) -> None:
    with pytest.raises(InvalidError, match="is no path in a Vault"):
        vault.read(path)


def test_one_pool_for_many_threads(vault: SecretStore, kv_mount: str) -> None:
    def one(number: int) -> int:
        vault.write(f"{kv_mount}/data/{number}", {"data": {"n": number}})
        return int(vault.read(f"{kv_mount}/data/{number}")["data"]["data"]["n"])

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(64))) == list(range(64))


def test_the_token_of_the_file_and_the_namespace(openbao: OpenBao, environ: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text(f"{openbao.token}\n")
    environ.setenv("VAULT_ADDR", openbao.address)
    environ.setenv("VAULT_NAMESPACE", "team/a/")
    assert connect(VaultSettings(), 10, 1).where == f"{openbao.address} (namespace team/a)"
    environ.delenv("VAULT_NAMESPACE")
    found = connect(VaultSettings(address="https://other.example"), 10, 1).read("auth/token/lookup-self")
    assert found["data"]["policies"] == ["root"]


def test_a_right_that_is_missing_and_a_token_that_is_over(openbao: OpenBao, environ: pytest.MonkeyPatch, kv_mount: str) -> None:
    token = openbao.token_for('path "auth/token/lookup-self" { capabilities = ["read"] }')
    environ.setenv("VAULT_TOKEN", token)
    store = connect(VaultSettings(address=openbao.address), 10, 1)
    with pytest.raises(ForbiddenError, match=f"does not allow GET {kv_mount}/data/a") as refused:
        store.read(f"{kv_mount}/data/a")
    assert refused.value.next == f"vault token capabilities {kv_mount}/data/a"
    openbao.admin.auth.token.revoke(token)
    with pytest.raises(ForbiddenError, match="expired or was revoked") as refused:
        store.read(f"{kv_mount}/data/a")
    assert refused.value.next == "vault login, then irkit resume"


def test_approle_logs_in_again_when_its_token_is_over(openbao: OpenBao, tmp_path: Path, kv_mount: str) -> None:
    mount, role_id, secret_id = openbao.approle()
    file = tmp_path / "secret-id"
    file.write_text(f"{secret_id}\n")
    settings = VaultSettings(address=openbao.address, auth=VaultAuth(method="approle", mount=mount, role_id=role_id, secret_id_file=file))
    store = connect(settings, 10, 4)
    openbao.put(kv_mount, "a", {"x": "1"})
    for _ in range(2):
        with ThreadPoolExecutor(4) as pool:
            assert {str(a["data"]["data"]) for a in pool.map(store.read, [f"{kv_mount}/data/a"] * 8)} == {"{'x': '1'}"}
        mine = store.read("auth/token/lookup-self")["data"]["accessor"]
        openbao.admin.auth.token.revoke_accessor(mine)
    file.write_text("another")
    with pytest.raises(ForbiddenError, match=r"refuses the login by approle at auth/.*: invalid role or secret ID"):
        connect(settings, 10, 1).read(f"{kv_mount}/data/a")


@pytest.mark.controlplane
@pytest.mark.parametrize("method", ["kubernetes", "jwt"])
def test_a_service_account_logs_in(openbao: OpenBao, control_plane: Running, tmp_path: Path, method: str) -> None:
    namespace = "default"
    mount = openbao.kubernetes(control_plane, namespace) if method == "kubernetes" else openbao.jwt(control_plane, namespace)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"name": "default", "namespace": namespace},
             "spec": {"audiences": ["openbao"]} if method == "jwt" else {}}  # fmt: skip
    cluster = kubernetes.connect(Settings(kubeconfig=str(control_plane.token_kubeconfig)), {})
    file = tmp_path / "jwt"
    file.write_text(cluster.create(SERVICEACCOUNTS, asked, subresource="token")["status"]["token"])
    cluster.close()
    auth = VaultAuth(method="kubernetes" if method == "kubernetes" else "jwt", mount=mount, role="irkit", jwt_file=file)
    store = connect(VaultSettings(address=openbao.address, auth=auth), 10, 1)
    assert store.read("auth/token/lookup-self")["data"]["path"] == f"auth/{mount}/login"


def test_sealed_and_gone(own_openbao: Callable[..., OpenBao], environ: pytest.MonkeyPatch) -> None:
    own = own_openbao(tls=True)
    environ.setenv("VAULT_TOKEN", own.token)
    settings = VaultSettings(address=own.address, ca_cert=own.ca)
    store = connect(settings, 2, 1)
    store.read("auth/token/lookup-self")
    with pytest.raises(UnreachableError, match=r"not one that is trusted for 127.0.0.1"):
        connect(VaultSettings(address=own.address), 2, 1).read("auth/token/lookup-self")
    own.seal()
    with pytest.raises(UnreachableError, match="is sealed") as sealed:
        store.read("auth/token/lookup-self")
    assert sealed.value.next == "unseal it, then irkit resume"


@pytest.mark.parametrize(("variables", "said"), [
    ({}, "there is no Vault"), ({"VAULT_ADDR": "vault.example:8200"}, "must be a URL"), ({"VAULT_ADDR": "http://vault.example:8200"}, "without TLS"),
    ({"VAULT_ADDR": "https://v", "VAULT_SKIP_VERIFY": "true"}, "VAULT_SKIP_VERIFY is set"), ({"VAULT_ADDR": "https://v"}, "no Vault token"),
    ({"VAULT_ADDR": "https://v", "VAULT_TOKEN": "a\nb"}, "holds no Vault token"), ({"VAULT_ADDR": "https://v:x"}, "no URL"),
    ({"VAULT_ADDR": "https://v", "VAULT_CACERT": "/nope"}, "VAULT_CACERT: /nope can't be read"),
    ({"VAULT_ADDR": "https://v", "VAULT_CACERT": "/etc/passwd"}, "not a PEM certificate"),
    ({"VAULT_ADDR": "https://v", "VAULT_NAMESPACE": "a\r\nX: y"}, "VAULT_NAMESPACE has characters"),
    ({"VAULT_ADDR": "https://v", "VAULT_CLIENT_CERT": "/x"}, "go together"),
])  # fmt: skip
def test_settings_that_name_no_usable_server(environ: pytest.MonkeyPatch, variables: dict[str, str], said: str) -> None:
    for name, value in variables.items():
        environ.setenv(name, value)
    with pytest.raises(UsageError, match=said):
        connect(VaultSettings(), 1, 1)


def test_reads_are_tried_again_and_writes_are_not(scripted: Callable[..., tuple[SecretStore, Scripted]]) -> None:
    good, bad = answer(200, {"data": {}}), answer(502, {"errors": ["no leader"]})
    store, server = scripted(good, bad, reset(), good)
    store.read("a")
    assert store.read("a") == {"data": {}}
    assert len(server.requests) == 4
    store, server = scripted(good, bad, good)
    store.read("a")
    with pytest.raises(UnreachableError, match=r"can't answer now \(502\): no leader"):
        store.write("a", {})
    assert len(server.requests) == 2
    store, server = scripted(answer(429, {}, {"Retry-After": "0"}), good)
    assert store.write("a", {}) == {"data": {}}
    assert server.requests[0].headers["x-vault-request"] == "true"
    assert "authorization" not in server.requests[0].headers


def test_a_server_that_never_answers_is_asked_once(scripted: Callable[..., tuple[SecretStore, Scripted]]) -> None:
    over = threading.Event()
    store, server = scripted(silence(over), timeout=0.3)
    began = time.monotonic()
    for _ in range(500):
        with pytest.raises(UnreachableError, match=r"did not answer in 0.3 s"):
            store.read("a")
    assert time.monotonic() - began < 3
    over.set()
    assert len(server.requests) < 10


def test_nobody_waits_in_turn_for_a_login_that_never_comes(scripted: Callable[..., tuple[SecretStore, Scripted]], tmp_path: Path) -> None:
    over = threading.Event()
    _, server = scripted(silence(over))
    (tmp_path / "id").write_text("secret-id")
    auth = VaultAuth(method="approle", role_id="r", secret_id_file=tmp_path / "id")
    store = connect(VaultSettings(address=server.url, auth=auth), 0.5, 4)

    def one(number: int) -> str:
        with pytest.raises(UnreachableError, match="did not answer") as error:
            store.read(f"a/{number}")
        return error.value.message

    began = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(100)))
    assert time.monotonic() - began < 3
    over.set()


def test_a_redirect_gets_no_token(scripted: Callable[..., tuple[SecretStore, Scripted]]) -> None:
    elsewhere, other = scripted(answer())
    store, _ = scripted(answer(307, None, {"Location": f"{other.url}/v1/a"}))
    with pytest.raises(UnreachableError, match="not the active server"):
        store.read("a")
    assert (other.requests, bool(elsewhere)) == ([], True)


@pytest.mark.parametrize("raw", [b"", b"[]", b"<html>canary", b"{", b'{"errors": "canary"}', b'{"errors": [1, {"canary": 2}]}', b"\xff" * 100])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_bodies_that_are_none(scripted: Callable[..., tuple[SecretStore, Scripted]], raw: bytes, status: int) -> None:
    store, _ = scripted(answer(status, raw=raw))
    if status == 200 and (raw == b"" or raw.startswith(b'{"')):
        store.read("a")
        return
    with pytest.raises(ApiError) as said:
        store.read("a")
    assert "canary" not in said.value.message


SENTENCES = [
    "cannot store canary-value-1",
    "ALTER USER x WITH PASSWORD 'other-value'",
    "dial postgres://u:other-value@h/db",
    "-----BEGIN other-value",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_no_error_repeats_a_value(scripted: Callable[..., tuple[SecretStore, Scripted]], sentence: str) -> None:
    store, _ = scripted(answer(400, {"errors": [sentence, "the rest is \x1b[31mshown"]}))
    with pytest.raises(InvalidError) as said:
        store.write("kv/data/a", {"data": {"password": "canary-value-1", "list": [{"x": "canary-value-1"}]}})
    text = json.dumps([said.value.message, repr(said.value), str(said.value.__cause__), str(said.value.__context__)])
    assert "canary-value-1" not in text
    assert "other-value" not in text
    assert r"\x1b[31mshown" in said.value.message


CLASSES = {400: InvalidError, 403: ForbiddenError, 404: NotFoundError, 405: InvalidError, 472: UnreachableError, 500: ApiError, 503: UnreachableError}


@pytest.mark.parametrize(("code", "kind"), CLASSES.items())
def test_each_status_has_its_class(code: int, kind: type[IrkitError]) -> None:
    assert type(vaulterrors.refusal(code, b"", method="GET", path="a", where="v")) is kind
