"""The rehearsal cluster as one thing: start it, use it, stop it."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from irkit.model.kube import Obj
from irkit.ports import Clock
from irkit.sandbox import scenarios, tls
from irkit.sandbox.accounts import ISSUER, Accounts, Invalid
from irkit.sandbox.api.router import Router
from irkit.sandbox.audit import Audit
from irkit.sandbox.catalog import NAMESPACES, PODS, SERVICEACCOUNTS
from irkit.sandbox.clock import WallClock
from irkit.sandbox.controllers import node
from irkit.sandbox.controllers.external_secrets import ExternalSecrets
from irkit.sandbox.controllers.manager import Manager
from irkit.sandbox.controllers.providers import IN_CLUSTER
from irkit.sandbox.logs import Logs, Run
from irkit.sandbox.names import Names
from irkit.sandbox.rbac import MASTERS, User
from irkit.sandbox.scenarios import Scenario
from irkit.sandbox.server import Server
from irkit.sandbox.store import Store
from irkit.sandbox.tape import Tape
from irkit.sandbox.turns import Live, Stepped, Turns
from irkit.sandbox.vault import Logins, Vault
from irkit.sandbox.vault.server import VaultServer
from irkit.stage import Origin

ADMIN = User("oncall@example.com", ("oncall", MASTERS, "system:authenticated"))
LAG = 0.01
RESPONDER = """
path "secret/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "database/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "sys/leases/revoke-prefix/database/*" { capabilities = ["update", "sudo"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"""


class Sandbox:
    """A small Kubernetes on 127.0.0.1, from entering to leaving the ``with`` block.

    Before it is entered, only ``store``, ``logs``, ``vault``, ``database``, ``scenario`` and ``suspect`` are there.
    ``kubeconfig`` is the administrator's, ``config`` the settings that go with it; ``environment`` is how irkit, `bao` and
    `kubectl` find the cluster and its Vault.

    Args:
        scenario: what is in it, one of `scenarios.NAMES`.
        seed: names, sizes, faults and planted leaks; the same seed gives the same cluster. Tokens and the TLS key are
            always new.
        clock: where times come from; the wall clock without one. Network time-outs are in real time in any case. With a
            `Stepped` one there are ``turns``: one write after the other, each with its consequences.
        home: directory for kubeconfigs (mode 0600); made where it is missing.
        lag: seconds by the clock between a write and what the controllers do about it.
        audit_log: a file that gets the audit events as JSON lines.
        cluster: the uid of namespace kube-system, by which clusters are told apart; without it, by the seed too.
        origin: what another cluster began with, to make its world again.

    Raises UsageError where there is no such scenario.
    """

    def __init__(self, scenario: str = "todo-app", seed: int = 0, clock: Clock | None = None, *, home: Path, lag: float = LAG,
                 audit_log: Path | None = None, cluster: str = "", origin: Origin | None = None) -> None:  # fmt: skip
        self._clock: Clock = clock or WallClock()
        self._home = home
        self.store = Store(self._clock, seed, origin.cluster if origin else cluster)
        self._origin, self._key = origin, bytes.fromhex(origin.key) if origin else secrets.token_bytes(32)
        self.logs = Logs()
        self.database = Logins()
        self.vault = Vault(Names(seed), self.store, self.database)
        operator = ExternalSecrets(self.vault, self._is_vault)
        self.accounts = Accounts(self.store, self._key)
        self._manager = Manager(self.store, self.logs, self._clock, lag, (operator.reconcile, self.accounts.reconcile))
        self.scenario: Scenario = scenarios.load(scenario, seed, self.store, self.logs, self.vault, self._manager.settle)
        self.turns = Turns(clock, self.store, self._manager.settle) if isinstance(clock, Stepped) else None
        self._users: dict[str, User] = {}
        self._audit_log = audit_log
        self.kubeconfig = self.config = self.vault_ca = Path()
        self.vault_token = self._vault_url = ""

    def __enter__(self) -> Self:
        self._identity = tls.make()
        self.accounts.authority = self._origin.authority.encode() if self._origin else self._identity.ca
        self.recorder = Audit(Live(self.turns.clock) if self.turns else self._clock, self.store.names, self._audit_log)
        context = tls.context(self._identity)
        self.router = Router(self.store, self.logs, self.accounts)
        self.tape = Tape(self.turns) if self.turns else None
        self._server = Server(self.store, self.router, self.recorder, context, self.authenticate, self.tape)
        self._vault_server = VaultServer(self.vault, context, self.tape)
        self._vault_url = self._vault_server.url
        self.vault.tokens.mint = lambda: secrets.token_urlsafe(18)  # from now on they let in players
        self.kubeconfig = self._admit(ADMIN, "kubeconfig")
        self.vault_ca = self._keep("ca.pem", self._identity.ca)
        self.vault_token = self.vault.tokens.make(["root"], id=f"s.{secrets.token_urlsafe(24)}").id
        self.config = self._keep("config.yaml", _printed(self._settings()))
        if self.tape:
            self.tape.keep("root", self.vault_token)
        if self.turns:
            self._manager.settle()
        else:
            self._manager.start()
        self._server.start()
        self._vault_server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.stop()
        self._vault_server.stop()
        self._manager.stop()
        self.recorder.close()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def vault_url(self) -> str:
        return self._vault_url

    @property
    def origin(self) -> Origin:
        """What another cluster needs to be the same as this one; with a clock that is `Stepped`."""
        assert self.turns is not None, "its clock began somewhere"
        cluster = self.store.find(NAMESPACES.resource, "kube-system")
        return Origin(began=self.turns.clock.began, cluster=cluster["metadata"]["uid"] if cluster else "", key=self._key.hex(),
                      authority=self.accounts.authority.decode())  # fmt: skip

    def _is_vault(self, server: str) -> bool:
        return server == IN_CLUSTER or server == self._vault_url

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for a shell or a process."""
        return {"KUBECONFIG": str(self.kubeconfig), "IRKIT_CONFIG": str(self.config), "VAULT_ADDR": self.vault_url,
                "VAULT_TOKEN": self.vault_token, "VAULT_CACERT": str(self.vault_ca)}  # fmt: skip

    def _settings(self) -> Obj:
        """irkit's settings for this cluster: its Vault by an AppRole of the responders', and the databases."""
        secret = secrets.token_urlsafe(24)
        if self.tape:
            self.tape.keep("secret-id", secret)
        self.vault.write("sys/auth/approle", {"type": "approle"})
        self.vault.write("sys/policies/acl/responder", {"policy": RESPONDER})
        self.vault.write("auth/approle/role/irkit", {"token_policies": ["responder"], "token_ttl": "1h"})
        self.vault.write("auth/approle/role/irkit/custom-secret-id", {"secret_id": secret})
        auth = {"method": "approle", "role-id": self.vault.read("auth/approle/role/irkit/role-id")["role_id"],
                "secret-id-file": str(self._keep("secret-id", secret.encode()))}  # fmt: skip
        return {"vault": {"address": self.vault_url, "ca-cert": str(self.vault_ca), "auth": auth}, "databases": self.scenario.databases}

    @property
    def suspect(self) -> tuple[str, str]:
        """Namespace and name of the pod under attack."""
        return self.scenario.suspect

    @property
    def audit(self) -> list[Obj]:
        """Events of every request so far, as audit.k8s.io/v1 at level Metadata."""
        return self.recorder.events

    @property
    def problems(self) -> list[Exception]:
        """What controllers stumbled over, newest last: objects that no schema refused, or a fault of this cluster."""
        return list(self._manager.problems)

    def token_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """The kubeconfig of another user, who may do what RBAC grants and nothing else."""
        return self._admit(User(user, (*groups, "system:authenticated")), f"kubeconfig-{len(self._users)}")

    def vault_token_for(self, policy: str) -> str:
        """The token of another client of the Vault, who may do what the policy (HCL) grants. Raises ValueError for one that is none."""
        name = f"rehearsal-{len(self.vault.policies)}"
        self.vault.write(f"sys/policies/acl/{name}", {"policy": policy})
        return self.vault.tokens.make([name], ttl=3600).id

    def settle(self, timeout: float = 5.0) -> bool:
        """Wait until the controllers have done all they want to; False when they have not after ``timeout`` seconds."""
        if self.turns:
            with self.turns.take():
                return True
        return self._manager.wait(timeout)

    def hold(self) -> None:
        """Keep the controllers from acting until `release`."""
        self._manager.hold()

    def release(self) -> None:
        self._manager.release()

    def write_log(self, namespace: str, pod: str, container: str, run: Run, *, previous: bool = False) -> None:
        """Replace what a container wrote in its current or its previous run. Raises KeyError where the pod is not there."""
        found = self.store.get(PODS, namespace, pod)
        if found is None:
            raise KeyError(f"{namespace}/{pod}")
        self.logs.rewrite(found["metadata"]["uid"], container, run, previous=previous)

    def restart(self, namespace: str, pod: str, container: str) -> None:
        """The container crashes and starts again. Raises KeyError where it is not there."""
        node.restart(self.store, self.logs, namespace, pod, container)

    def account(self, namespace: str, name: str) -> Path:
        """The kubeconfig of a ServiceAccount, with a token that `TokenRequest` gave. Raises KeyError where it is not there."""
        found = self.store.get(SERVICEACCOUNTS, namespace, name)
        if found is None:
            raise KeyError(f"{namespace}/{name}")
        user = f"system:serviceaccount:{namespace}:{name}"
        return self._kubeconfig(user, self.accounts.mint(found, [ISSUER], 3600), f"kubeconfig-{namespace}-{name}")

    def authenticate(self, token: str) -> User | None:
        """Whose token it is; None: nobody's who may do anything."""
        if (user := self._users.get(token)) is not None:
            return user
        try:
            return self.accounts.owner(token)
        except Invalid:
            return None

    def _admit(self, user: User, file: str) -> Path:
        token = secrets.token_urlsafe(24)
        self._users[token] = user
        return self._kubeconfig(user.name, token, file)

    def _kubeconfig(self, user: str, token: str, file: str) -> Path:
        namespace, authority = self.suspect[0], base64.b64encode(self._identity.ca).decode()
        document = {
            "apiVersion": "v1", "kind": "Config", "current-context": "rehearsal",
            "clusters": [{"name": "rehearsal", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "rehearsal", "context": {"cluster": "rehearsal", "user": user, "namespace": namespace}}],
        }  # fmt: skip
        return self._keep(file, _printed(document))

    def _keep(self, file: str, data: bytes) -> Path:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._home / file
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(data)
        return path


def _printed(document: Obj) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document))  # JSON is YAML


def serve(scenario: str = "todo-app", seed: int = 0, *, home: Path, ready: Callable[[Sandbox], None], stop: threading.Event | None = None,
          audit_log: Path | None = None) -> None:  # fmt: skip
    """Run a rehearsal cluster until ``stop`` is set or the process is interrupted (KeyboardInterrupt ends it quietly).

    ``ready`` is called once, when it serves: to print the kubeconfig's path.
    """
    waiting = stop or threading.Event()
    with Sandbox(scenario, seed, home=home, audit_log=audit_log) as box:
        ready(box)
        try:
            waiting.wait()
        except KeyboardInterrupt:
            return
