"""The documented app on real parts: OpenBao keeps its secrets, External Secrets Operator delivers them, a PostgreSQL login lets it in.

`backend` uses backend-secret (two generated keys, one of a vendor; one entry of OpenBao), postgres-secret (the password of a
login) and, with `frontend`, session-secret (generated, kept in the cluster alone). frontend-secret is nobody's business.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import requests

from tests.components.openbao import OpenBao
from tests.components.postgres import Postgres
from tests.components.synced import eventually, external_secret, store
from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit
from tests.e2e.world import Obj, name_of, uid_of

ENTRY, LOGIN_ENTRY = "prod/todo-app", "prod/todo-db"
GENERATED, VENDORS = ("BETTER_AUTH_SECRET", "SECRET_KEY"), "GROQ_API_KEY"
CLASSES = {"BETTER_AUTH_SECRET": "generated", "SECRET_KEY": "generated", VENDORS: "issuer-made"}
SIBLING = {"FEATURE_FLAGS": "beta,dark-mode"}  # in the same entry, and nobody's to change
REPOSITORY = "registry.example/todo/backend"
RIGHTS = """
path "{mount}/data/prod/*" {{ capabilities = ["read", "create", "update"] }}
path "{mount}/metadata/prod/*" {{ capabilities = ["read", "update"] }}
path "{mount}/destroy/prod/*" {{ capabilities = ["update"] }}
"""
READER = """
path "{mount}/data/prod/*" {{ capabilities = ["read"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
"""


@dataclass(frozen=True)
class Todo:
    """The app, running. ``old``: every value that was there at first, by key; ``kept``: where its password is."""

    plane: Running
    namespace: str
    bao: OpenBao
    mount: str
    postgres: Postgres
    login: str
    admin: tuple[str, str]
    replicas: int
    kept: Literal["vault", "secret"]
    old: Mapping[str, str] = field(repr=False)
    # pinned, and nobody else's in the cluster
    image: str = field(default_factory=lambda: f"{REPOSITORY}@sha256:{secrets.token_hex(32)}")
    patched: str = field(default_factory=lambda: f"{REPOSITORY}@sha256:{secrets.token_hex(32)}")

    @cached_property
    def token(self) -> str:
        """irkit's own in OpenBao: the least that a rotation needs."""
        return self.bao.token_for(RIGHTS.format(mount=self.mount))

    def known_to(self, irkit: Irkit, directory: Path, **more: object) -> Irkit:
        """That person, who has a token for OpenBao and the settings of this database."""
        password = directory / "admin-password"
        password.touch(0o600)
        password.write_text(self.admin[1])
        database = {"engine": "postgresql", "user": self.login, "host": self.postgres.host, "port": self.postgres.port,
                    "ca-file": str(self.postgres.ca), "admin": self.admin[0], "admin-password-file": str(password)}  # fmt: skip
        there = {"VAULT_ADDR": self.bao.address, "VAULT_TOKEN": self.token}
        settings = {"databases": {"todo": database}, "recovery": {"settle": 0.2}, **more}
        configured = irkit.configured(directory / "config.yaml", **settings)
        return Irkit(configured.kubeconfig, configured.home, {**configured.environment, **there})

    @property
    def suspect(self) -> str:
        return min(name_of(p) for p in self.pods())

    def chain(self, suspect: str, vendors: str) -> tuple[str, ...]:
        """The words of the whole procedure. ``vendors``: as the option --value takes it."""
        return (
            "respond",
            "compromised-pod",
            suspect,
            "-n",
            self.namespace,
            "-p",
            f"image={self.patched}",
            "--yes",
            "--value",
            vendors,
        )

    # what is kept where

    @cached_property
    def _api(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.plane.ca)
        session.headers["Authorization"] = "Bearer " + json.loads(self.plane.token_kubeconfig.read_text())["users"][0]["user"]["token"]
        return session

    def close(self) -> None:
        self._api.close()

    def secrets(self) -> dict[str, dict[str, str]]:
        """The values of all Secrets of the namespace."""
        answer = self._api.get(f"{self.plane.url}/api/v1/namespaces/{self.namespace}/secrets", timeout=20)
        answer.raise_for_status()
        return {name_of(s): {k: base64.b64decode(v).decode() for k, v in (s.get("data") or {}).items()} for s in answer.json()["items"]}

    def secret(self, name: str) -> dict[str, str]:
        return self.secrets()[name]

    def entry(self, path: str = ENTRY) -> dict[str, str]:
        return self.bao.read(self.mount, path)

    def passwords(self) -> set[str]:
        """All that whoever looks for the login's password could find: in its Secret, in the store, pending."""
        places = [v for name, v in self.secrets().items() if name == "postgres-secret" or name.startswith("irkit-")]
        return {value for place in (*places, self.entry(LOGIN_ENTRY)) for value in place.values()} - {self.login}

    def versions(self, path: str = ENTRY) -> dict[int, bool]:
        """Of each version of an entry, whether it can still be read."""
        found = self.bao.admin.secrets.kv.v2.read_secret_metadata(path, mount_point=self.mount)["data"]["versions"]
        return {int(n): not (v["destroyed"] or v["deletion_time"]) for n, v in found.items()}

    def custom(self, path: str = ENTRY) -> dict[str, str]:
        found: dict[str, str] | None = self.bao.admin.secrets.kv.v2.read_secret_metadata(path, mount_point=self.mount)["data"]["custom_metadata"]
        return found or {}

    # what an application does

    def lets_in(self, password: str) -> bool:
        return self.postgres.login(self.login, password)

    def starts(self) -> bool:
        """Whether a pod that starts now gets all its values, and the database lets it in."""
        found = self.secrets()
        complete = set(found["backend-secret"]) >= set(CLASSES) and all(found["backend-secret"].values())
        return complete and self.lets_in(found["postgres-secret"]["APP_PASSWORD"])

    def locked_out(self) -> bool:
        """Whether no password that is kept anywhere is the login's. Looked at three times, because it may be changed between two tries."""
        return not any(self.lets_in(password) for _ in range(3) for password in self.passwords())

    def pods(self, app: str = "backend") -> list[Obj]:
        return self.plane.pods(self.namespace, f"app={app}")


def vendors_key(directory: Path) -> tuple[str, str]:
    """What the vendor issued: the value, and the word of --value that names its file."""
    value, file = f"gsk_{secrets.token_hex(20)}", directory / "from-the-vendor"
    file.touch(0o600)
    file.write_text(f"{value}\n")
    return value, f"backend-secret/{VENDORS}={file}"


def rotated(app: Todo, vendors: str) -> dict[str, str]:
    """Proof, taken from the servers themselves, that everything was rotated and nothing else touched. Returns the new values.

    ``vendors``: the new value of the vendor's key.
    """
    found, entry, login = app.secrets(), app.entry(), app.entry(LOGIN_ENTRY)
    new = {**found["backend-secret"], **found["postgres-secret"], **found["session-secret"]}
    assert new[VENDORS] == vendors
    assert {k for k, v in new.items() if v == app.old[k]} == set(), "some are what they were"
    assert entry == {**found["backend-secret"], **SIBLING}, "the entry: what is delivered, its sibling, and nothing pending"
    assert login == {"user": app.login, "password": new["APP_PASSWORD"] if app.kept == "vault" else app.old["APP_PASSWORD"]}
    assert found["frontend-secret"]["ANALYTICS_KEY"] == app.old["ANALYTICS_KEY"], "nobody asked for that"
    assert [name for name in found if name.startswith("irkit-")] == [], "nothing pending is left"
    for path in (ENTRY, LOGIN_ENTRY) if app.kept == "vault" else (ENTRY,):
        versions = app.versions(path)
        assert [n for n, readable in versions.items() if readable] == [max(versions)], f"older versions of {path} are destroyed"
        assert max(versions) > 1
    assert app.lets_in(new["APP_PASSWORD"])
    assert not app.lets_in(app.old["APP_PASSWORD"]), "the old password is refused"
    return new


def back(app: Todo) -> None:
    """The app runs with the new image, as many pods as before."""
    deployment = app.plane.get("deployment", "backend", "-n", app.namespace)
    assert deployment["spec"]["replicas"] == app.replicas
    pods = app.plane.pods(app.namespace, "app=backend", count=app.replicas)
    assert {c["image"] for p in pods for c in p["spec"]["containers"]} == {app.patched}
    assert app.starts()


def recovered(app: Todo, suspect: Obj, incident: str) -> None:
    """The app is back, and the suspect as it was: alive, cut off, with its own image."""
    back(app)
    left = app.plane.get("pod", name_of(suspect), "-n", app.namespace)
    assert uid_of(left) == uid_of(suspect)
    assert "deletionTimestamp" not in left["metadata"]
    assert [c["image"] for c in left["spec"]["containers"]] == [app.image]
    short = incident.rsplit("-", 1)[-1]
    assert left["metadata"]["labels"] == {"quarantine": "true", "irkit.dev/incident": short}
    policies = app.plane.get("networkpolicies", "-n", app.namespace, "-l", f"irkit.dev/incident={short}")["items"]
    assert [(p["spec"]["podSelector"]["matchLabels"], p["spec"].get("ingress"), p["spec"].get("egress")) for p in policies] == [
        ({"quarantine": "true", "irkit.dev/incident": short}, None, None)
    ]


def started_since(app: Todo, events: list[Obj]) -> None:
    """By the audit log, every pod that runs was given to a node after the last change of each Secret that it uses."""
    uses = {"backend": ("backend-secret", "postgres-secret", "session-secret"), "frontend": ("session-secret",)}
    mine = [e for e in events if e.get("objectRef", {}).get("namespace") == app.namespace and e["responseStatus"]["code"] < 300]
    for label, names in uses.items():
        changed = [e["requestReceivedTimestamp"] for e in mine if e["objectRef"]["resource"] == "secrets" and e["verb"] in ("update", "patch")
                   and e["objectRef"].get("name") in names and "dryRun" not in e["requestURI"]]  # fmt: skip
        bound = {e["objectRef"]["name"]: e["stageTimestamp"] for e in mine if e["objectRef"].get("subresource") == "binding"}
        running = [name_of(p) for p in app.pods(label)]
        assert running
        assert changed
        assert {name for name in running if bound.get(name, "") < max(changed)} == set(), f"{label} pods that have an old value"


class Watch(threading.Thread):
    """Tries all the time whether somebody could still log in. ``looks`` counts how often it did."""

    def __init__(self, app: Todo) -> None:
        super().__init__(daemon=True)
        self._app, self._over = app, threading.Event()
        self.looks = 0
        self.trouble: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            try:
                if self._app.locked_out():
                    self.trouble.append(f"nobody had the password at {time.strftime('%X')}")
            except Exception as error:  # noqa: BLE001 - told by the test
                self.trouble.append(repr(error))
            self.looks += 1
            self._over.wait(0.02)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.join(30)
        if exception[0] is None:
            assert self.looks, "it looked at least once"
            assert self.trouble == [], "\n".join(self.trouble)


@contextlib.contextmanager
def deployed(
    plane: Running, namespace: str, bao: OpenBao, postgres: Postgres, *, kept: Literal["vault", "secret"] = "vault", replicas: int = 2
) -> Iterator[Todo]:
    """The app is up, its Secrets synced, its pods running. Who gave the namespace takes it away."""
    login, password = postgres.role()
    old = {key: secrets.token_urlsafe(24) for key in (*GENERATED, "COOKIE_KEY", "ANALYTICS_KEY")}
    old |= {VENDORS: f"gsk_{secrets.token_hex(20)}", "APP_PASSWORD": password}
    mount = bao.kv()
    bao.put(mount, ENTRY, {**{key: old[key] for key in CLASSES}, **SIBLING})
    bao.put(mount, LOGIN_ENTRY, {"user": login, "password": password})
    app = Todo(plane, namespace, bao, mount, postgres, login, postgres.role(admin=True), replicas, kept, old)
    plane.apply(*_objects(app), namespace=namespace)
    eventually(lambda: {"backend-secret", "postgres-secret"} <= set(app.secrets()))
    plane.pods(namespace, "app=backend", count=replicas)
    plane.pods(namespace, "app=frontend", count=1)
    try:
        yield app
    finally:
        app.close()


def _objects(app: Todo) -> list[Obj]:
    ns = app.namespace
    reader = app.bao.token_for(READER.format(mount=app.mount))
    backend = _annotated(external_secret("backend-secret", {key: (ENTRY, key) for key in CLASSES}), **{"irkit.dev/rotation": json.dumps(CLASSES)})
    marks = {"irkit.dev/rotation": "database", "irkit.dev/database": "todo"}
    if app.kept == "vault":
        database = _annotated(external_secret("postgres-secret", {"APP_PASSWORD": (LOGIN_ENTRY, "password")}), **marks)
    else:
        database = _annotated(_secret("postgres-secret", APP_PASSWORD=app.old["APP_PASSWORD"]), **marks)
    session = _annotated(_secret("session-secret", COOKIE_KEY=app.old["COOKIE_KEY"]), **{"irkit.dev/rotation": "generated"})
    rights = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["backend-secret"]}]
    rbac = "rbac.authorization.k8s.io"
    return [
        *store(app.bao, app.mount, token=reader), backend, database, session, _secret("frontend-secret", ANALYTICS_KEY=app.old["ANALYTICS_KEY"]),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "backend-sa"}},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "backend-role"}, "rules": rights},
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "backend-rolebinding"},
         "subjects": [{"kind": "ServiceAccount", "name": "backend-sa", "namespace": ns}],
         "roleRef": {"kind": "Role", "name": "backend-role", "apiGroup": rbac}},
        world.policy("default-deny-all", ns, {}, ingress=[], egress=[]),
        world.policy("backend-network-policy", ns, {"matchLabels": {"app": "backend"}}, egress=[{"ports": [{"protocol": "TCP", "port": 5432}]}]),
        world.scaled("Deployment", "backend", ns, app.replicas, _backend(app.image)), world.scaled("Deployment", "frontend", ns, 1, _frontend()),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "backend"}, "spec": {"selector": {"app": "backend"}, "ports": [{"port": 8000}]}},
    ]  # fmt: skip


def _backend(image: str) -> Obj:
    container: Obj = {
        "name": "backend", "image": image, "envFrom": [{"secretRef": {"name": "backend-secret"}}],
        "env": [{"name": "DATABASE_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "postgres-secret", "key": "APP_PASSWORD"}}}],
        "volumeMounts": [{"name": "session", "mountPath": "/run/session"}],
    }  # fmt: skip
    volumes = [{"name": "session", "secret": {"secretName": "session-secret"}}]
    return world.template(labels={"app": "backend"}, serviceAccountName="backend-sa", volumes=volumes, containers=[container])


def _frontend() -> Obj:
    def env(name: str, secret: str) -> Obj:
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}

    container = {"name": "frontend", "image": "registry.example/todo/frontend:1.4.2",
                 "env": [env("ANALYTICS_KEY", "frontend-secret"), env("COOKIE_KEY", "session-secret")]}  # fmt: skip
    return world.template(labels={"app": "frontend"}, containers=[container])


def _secret(name: str, **values: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def _annotated(obj: Obj, **annotations: Any) -> Obj:
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
