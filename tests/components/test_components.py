"""Each component is what other tests take it for."""

from __future__ import annotations

import json
import smtplib
import ssl
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import hvac
import psycopg
import pytest
import urllib3

from irkit.sandbox import tls as certificates
from tests.adapters.scripted import answer
from tests.components.browser import Browser
from tests.components.openbao import OpenBao
from tests.components.postgres import Postgres
from tests.components.registry import INDEX, MANIFEST, Registry
from tests.components.smtp import Mailbox
from tests.components.synced import certificate, eventually, external_secret, secret, self_signed_ca, store
from tests.components.webhook import Webhook
from tests.controlplane.running import Running

# PostgreSQL


def test_postgres_knows_the_old_password_from_the_new(postgres: Postgres) -> None:
    user, old = postgres.role()
    with postgres.superuser() as connection:
        kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [user]).fetchone()
        assert kept is not None
        assert kept[0].startswith("SCRAM-SHA-256$")
        assert postgres.login(user, old)
        connection.execute(psycopg.sql.SQL("ALTER ROLE {} PASSWORD 'new'").format(psycopg.sql.Identifier(user)))
    assert not postgres.login(user, old)
    assert postgres.login(user, "new")


def test_postgres_is_reached_by_verified_tls_only(postgres: Postgres, tmp_path: Path) -> None:
    user, password = postgres.role()
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        postgres.connect(user, password, sslmode="disable")
    other = tmp_path / "other.pem"
    other.write_bytes(certificates.make().ca)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        postgres.connect(user, password, ca=other)
    with psycopg.connect(postgres.url(user, password)) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT repeat('x', 300000)").fetchone() == ("x" * 300_000,)


def test_postgres_trusts_only_the_superuser_and_only_by_the_socket(postgres: Postgres) -> None:
    user, password = postgres.role()
    with pytest.raises(psycopg.OperationalError, match="rejects"):
        psycopg.connect(host=str(postgres.home), port=postgres.socket_port, user=user, password=password, dbname="postgres")
    assert not postgres.login("postgres", "x")
    assert not postgres.login("postgres", "postgres")


# OpenBao


def test_kv_version_2(openbao: OpenBao, kv_mount: str) -> None:
    assert openbao.put(kv_mount, "prod/shop", {"A": "1"}, cas=0) == 1
    with pytest.raises(hvac.exceptions.InvalidRequest, match="check-and-set"):
        openbao.put(kv_mount, "prod/shop", {"A": "2"}, cas=0)
    assert openbao.put(kv_mount, "prod/shop", {"A": "2"}, cas=1) == 2
    assert openbao.read(kv_mount, "prod/shop", version=1) == {"A": "1"}
    openbao.admin.secrets.kv.v2.destroy_secret_versions("prod/shop", [1], mount_point=kv_mount)
    with pytest.raises(hvac.exceptions.InvalidPath):
        openbao.read(kv_mount, "prod/shop", version=1)


def test_a_token_may_do_what_its_policy_says(openbao: OpenBao, kv_mount: str) -> None:
    openbao.put(kv_mount, "mine", {"A": "1"})
    client = openbao.client(openbao.token_for(f'path "{kv_mount}/data/mine" {{ capabilities = ["read"] }}'))
    assert client.secrets.kv.v2.read_secret_version("mine", mount_point=kv_mount, raise_on_deleted_version=True)["data"]["data"] == {"A": "1"}
    with pytest.raises(hvac.exceptions.Forbidden):
        client.secrets.kv.v2.create_or_update_secret("mine", {"A": "2"}, mount_point=kv_mount)
    with pytest.raises(hvac.exceptions.Forbidden):
        openbao.client().secrets.kv.v2.read_secret_version("mine", mount_point=kv_mount, raise_on_deleted_version=True)


def test_kv_version_1_and_approle(openbao: OpenBao) -> None:
    mount = openbao.kv(version=1)
    auth, role, secret_id = openbao.approle()
    client = openbao.client()
    client.auth.approle.login(role, secret_id, mount_point=auth)
    client.secrets.kv.v1.create_or_update_secret("a/b", {"A": "1"}, mount_point=mount)
    assert openbao.admin.secrets.kv.v1.read_secret("a/b", mount_point=mount)["data"] == {"A": "1"}


def test_a_sealed_server_answers_503_until_it_is_opened(own_openbao: Callable[..., OpenBao]) -> None:
    bao = own_openbao(tls=True)
    bao.put("secret", "a", {"A": "1"})
    bao.seal()
    with pytest.raises(hvac.exceptions.VaultDown, match="sealed"):
        bao.read("secret", "a")
    bao.unseal()
    assert bao.read("secret", "a") == {"A": "1"}
    with pytest.raises(urllib3.exceptions.SSLError):
        urllib3.PoolManager(retries=False).request("GET", f"{bao.address}/v1/sys/health")


def test_the_database_engine_rotates_a_login(openbao: OpenBao, postgres: Postgres) -> None:
    user, first = postgres.role()
    mount = openbao.database(postgres)
    role = openbao.static_role(mount, user)
    second = openbao.admin.read(f"{mount}/static-creds/{role}")["data"]["password"]
    openbao.admin.write_data(f"{mount}/rotate-role/{role}", data={})
    third = openbao.admin.read(f"{mount}/static-creds/{role}")["data"]["password"]
    assert [postgres.login(user, p) for p in (first, second, third)] == [False, False, True]


@pytest.mark.controlplane
@pytest.mark.parametrize("method", ["kubernetes", "jwt"])
def test_a_serviceaccount_logs_in(openbao: OpenBao, control_plane: Running, namespace: str, method: str) -> None:
    mount = getattr(openbao, method)(control_plane, namespace)
    audience = {"kubernetes": "https://kubernetes.default.svc", "jwt": "openbao"}[method]
    for account, allowed in (("default", True), ("other", False)):
        control_plane.kubectl("create", "serviceaccount", account, "-n", namespace, check=False)
        token = control_plane.kubectl("create", "token", account, "-n", namespace, f"--audience={audience}").stdout
        client = openbao.client()
        try:
            client.write_data(f"auth/{mount}/login", data={"role": "irkit", "jwt": token})
            assert allowed
        except (hvac.exceptions.Forbidden, hvac.exceptions.InvalidRequest):
            assert not allowed


# the controllers


@pytest.mark.controlplane
@pytest.mark.usefixtures("external_secrets")
def test_an_externalsecret_follows_its_entry_when_forced(openbao: OpenBao, kv_mount: str, control_plane: Running, namespace: str) -> None:
    openbao.put(kv_mount, "prod/shop", {"password": "one"})
    wish = external_secret("shop", {"PASSWORD": ("prod/shop", "password")})
    control_plane.apply(*store(openbao, kv_mount), wish, namespace=namespace)
    assert eventually(lambda: secret(control_plane, namespace, "shop")) == {"PASSWORD": "one"}
    openbao.put(kv_mount, "prod/shop", {"password": "two"})
    control_plane.kubectl("annotate", "externalsecret", "shop", "-n", namespace, "force-sync=1")
    eventually(lambda: secret(control_plane, namespace, "shop") == {"PASSWORD": "two"})


@pytest.mark.controlplane
@pytest.mark.usefixtures("cert_manager")
def test_a_certificate_is_renewed_by_its_status_condition(control_plane: Running, namespace: str) -> None:
    control_plane.apply(*self_signed_ca(), certificate("web"), namespace=namespace)

    def revision(number: int) -> bool:
        status = control_plane.get("certificate", "web", "-n", namespace).get("status", {})
        return bool(status.get("revision") == number and all(c["type"] != "Issuing" for c in status["conditions"]))

    eventually(lambda: revision(1))
    first = secret(control_plane, namespace, "web")
    issuing = {"type": "Issuing", "status": "True", "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    kept = [c for c in control_plane.get("certificate", "web", "-n", namespace)["status"]["conditions"] if c["type"] != "Issuing"]
    status = json.dumps({"status": {"conditions": [*kept, issuing]}})
    control_plane.kubectl("patch", "certificate", "web", "-n", namespace, "--subresource=status", "--type=merge", f"--patch={status}")
    eventually(lambda: revision(2))
    second = secret(control_plane, namespace, "web")
    assert first is not None
    assert second is not None
    assert first["ca.crt"] == second["ca.crt"]
    assert first["tls.crt"] != second["tls.crt"]
    assert first["tls.key"] != second["tls.key"]


# mail, webhook, registry, browser


def test_mail_needs_tls_and_the_right_login(mailbox: Callable[..., Mailbox]) -> None:
    box = mailbox(starttls=True, login=("irkit", "pass word"))
    with smtplib.SMTP(box.host, box.port, timeout=5) as client:
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("a@test", ["b@test"], b"")
        client.starttls(context=ssl.create_default_context(cafile=box.ca))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("irkit", "wrong")
        client.login("irkit", "pass word")
        client.sendmail("a@test", ["b@test", "c@test"], b"Subject: hi\r\n\r\n.dot\r\n")
    (mail,) = box.received
    assert (mail.sender, mail.recipients, mail.tls, mail.user) == ("a@test", ("b@test", "c@test"), True, "irkit")
    assert (mail.message["Subject"], mail.message.get_content()) == ("hi", ".dot\r\n")


def test_a_mail_server_refuses_what_it_is_told_to(mailbox: Callable[..., Mailbox]) -> None:
    box = mailbox(refuse={"RCPT": "550 5.1.1 no such user"})
    with smtplib.SMTP(box.host, box.port, timeout=5) as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail("a@test", ["b@test"], b"")
    assert box.received == []
    assert box.verbs[-1] == "QUIT"


def test_a_webhook_plays_its_scenes(webhook: Callable[..., Webhook]) -> None:
    sink = webhook(answer(503), answer(204), tls=True)
    with urllib3.PoolManager(ca_certs=str(sink.ca), retries=False) as pool:
        assert [pool.request("POST", f"{sink.url}/hook", json={"n": n}).status for n in range(3)] == [503, 204, 204]
    assert [r.json for r in sink.requests] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_registry_names_digests(registry: Callable[..., Registry]) -> None:
    here = registry()
    digest = here.push("todo/backend", "1.0", "linux/amd64", "linux/arm64")
    with urllib3.PoolManager(retries=False) as pool:
        head = pool.request("HEAD", f"{here.url}/v2/todo/backend/manifests/1.0", headers={"Accept": f"{MANIFEST}, {INDEX}"})
        assert (head.status, head.headers["Docker-Content-Digest"], head.headers["Content-Type"]) == (200, digest, INDEX)
        one = pool.request("GET", f"{here.url}/v2/todo/backend/manifests/{digest}", headers={"Accept": INDEX}).json()["manifests"][1]
        assert one["platform"] == {"os": "linux", "architecture": "arm64"}
        assert pool.request("GET", f"{here.url}/v2/todo/backend/manifests/1.0", headers={"Accept": MANIFEST}).status == 404
        assert pool.request("GET", f"{here.url}/v2/todo/backend/manifests/2.0", headers={"Accept": INDEX}).status == 404
        here.faults.append((429, {"Retry-After": "1"}))
        assert pool.request("HEAD", f"{here.url}/v2/todo/backend/manifests/1.0", headers={"Accept": INDEX}).headers["Retry-After"] == "1"


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_registry_asks_who_one_is(registry: Callable[..., Registry], auth: str) -> None:
    here = registry(auth=auth, user="u", password="p", tls=True)
    here.push("app", "1")
    basic = urllib3.make_headers(basic_auth="u:p")
    with urllib3.PoolManager(ca_certs=str(here.ca), retries=False) as pool:
        target = f"{here.url}/v2/app/manifests/1"
        refused = pool.request("GET", target, headers={"Accept": MANIFEST})
        assert refused.status == 401
        if auth == "basic":
            assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        else:
            assert refused.headers["WWW-Authenticate"].endswith('scope="repository:app:pull"')
            where = f"{here.url}/token?service=irkit+tests&scope=repository:app:pull"
            assert pool.request("GET", where).status == 401
            basic = {"authorization": f"Bearer {pool.request('GET', where, headers=basic).json()['token']}"}
        assert pool.request("GET", target, headers={"Accept": MANIFEST, **basic}).status == 200


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 640])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_browser_sees_width_and_colour_scheme(browser: Browser, tmp_path: Path, width: int, scheme: Literal["light", "dark"]) -> None:
    page = tmp_path / "page's.html"
    rules = "body{background:#fff} @media (prefers-color-scheme: dark){body{background:#000}} @media (width: 360px){p{background:#777}}"
    page.write_text(f"<style>*{{margin:0}} {rules}</style><p>a &amp; b</p>")
    shot = browser.screenshot(page, tmp_path / "shot.png", width=width, height=400, scheme=scheme).read_bytes()
    assert struct.unpack("!II", shot[16:24]) == (width, 400)
    assert _first_pixel(shot) == (0x77 if width == 360 else {"light": 0xFF, "dark": 0}[scheme])
    assert "<p>a &amp; b</p>" in browser.dom(page)


def _first_pixel(png: bytes) -> int:
    """The red of the top left pixel, which no PNG filter changes."""
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack("!I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return zlib.decompress(data)[1]
