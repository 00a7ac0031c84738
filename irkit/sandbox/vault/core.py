"""A Vault as one thing: who asks, whether they may, which engine answers."""

from __future__ import annotations

import threading
from typing import NamedTuple, Protocol

from irkit.model.kube import Obj
from irkit.sandbox.names import Names
from irkit.sandbox.vault import policy, system
from irkit.sandbox.vault.database import Database
from irkit.sandbox.vault.kv import Kv1, Kv2
from irkit.sandbox.vault.leases import Leases
from irkit.sandbox.vault.logins import Logins
from irkit.sandbox.vault.messages import Asked, Now, Refused, Told, stamp, wrapped
from irkit.sandbox.vault.policy import Acl
from irkit.sandbox.vault.tokens import AppRoles, Token, Tokens

_SUDO = ("sys/auth/", "sys/seal", "sys/leases/revoke-prefix/", "sys/leases/revoke-force/", "sys/leases/lookup/")


class Engine(Protocol):
    """What answers below a mount. ``version`` is empty where its kind has none."""

    @property
    def type(self) -> str: ...

    @property
    def version(self) -> str: ...

    def exists(self, path: str) -> bool:
        """Whether an update of ``path`` changes something that is there; else it creates, which is another capability."""

    def answer(self, asked: Asked, path: str) -> Told:
        """``path`` is below the mount. Raises Refused."""


class Request(NamedTuple):
    """One line of the audit: no values."""

    time: str
    client: str
    method: str
    path: str
    code: int


class Vault:
    """Thread-safe. ``sealed`` may be set at any time; ``requests`` is what was asked so far, over the network and from inside.

    While ``hanging`` is set, no answer comes.
    """

    def __init__(self, names: Names, clock: Now, logins: Logins) -> None:
        self.clock, self.names, self.logins = clock, names, logins
        self.sealed = False
        self.hanging = threading.Event()
        self.requests: list[Request] = []
        self.tokens = Tokens(names, clock)
        self.leases = Leases(names, clock)
        self.policies: dict[str, str] = {"default": policy.DEFAULT}
        self.mounts: dict[str, Engine] = {}
        self.auth: dict[str, AppRoles] = {}
        self.cluster = names.uid("vault-cluster")
        self._guard = threading.RLock()

    # for scenarios and tests: behind the API's back

    def database(self, mount: str) -> Database:
        """Raises KeyError where no database engine is mounted there."""
        engine = self.mounts[f"{mount}/"]
        if not isinstance(engine, Database):
            raise KeyError(mount)
        return engine

    def mount(self, path: str, kind: str, version: str = "") -> None:
        """Raises Refused 400 where the path is taken or there is no such engine."""
        where = f"{path.strip('/')}/"
        if where in self.mounts:
            raise Refused(400, f"path is already in use at {where}")
        match kind, version:
            case ("kv", "2") | ("kv-v2", _):
                self.mounts[where] = Kv2(self.clock)
            case "kv", _:
                self.mounts[where] = Kv1()
            case "database", _:
                self.mounts[where] = Database(where, self.names, self.clock, self.logins, self.leases)
            case _:
                raise Refused(400, f"plugin not found in the catalog: {kind}")

    def write(self, path: str, body: Obj, method: str = "POST") -> Obj:
        """What root's request would do; raises ValueError where it is refused."""
        root = self.tokens.make(["root"], id="inside")
        told = self.answer(Asked(method, path, body, token=root.id))
        self.tokens.revoke(root.id)
        if told.code >= 400:
            raise ValueError(f"{method} {path}: {told.code} {told.plain}")
        return told.data or told.auth or {}

    def read(self, path: str) -> Obj:
        return self.write(path, {}, "GET")

    def sweep(self) -> None:
        """End what is over by now."""
        with self._guard:
            self.leases.sweep()

    # requests

    def answer(self, asked: Asked) -> Told:
        with self._guard:
            self.leases.sweep()
            client = self.tokens.find(asked.token)
            try:
                told = self._answer(asked, client)
            except Refused as refused:
                told = refused.told
            except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
                told = Refused(400, "error converting input: a field has the wrong type").told
            self.requests.append(Request(stamp(self.clock.now()), client.display_name if client else "", asked.method, asked.path, told.code))
            return told

    def _answer(self, asked: Asked, client: Token | None) -> Told:
        if (told := system.public(self, asked)) is not None:
            return told
        if self.sealed:
            raise Refused(503, "Vault is sealed")
        if asked.namespace.strip("/") not in ("", "root"):
            raise Refused(404, "namespace not found")
        for mount, method in self.auth.items():
            if asked.path == f"{mount}login" and asked.operation == "update":
                return method.login(asked)
        if client is None:
            raise Refused(403, "permission denied")
        return self._permitted(asked, client)

    def _permitted(self, asked: Asked, client: Token) -> Told:
        acl = self.acl(client)
        if asked.path.startswith("sys/internal/ui/mounts/"):
            return system.mount_of(self, asked, acl)
        mount = next((m for m in sorted(self.mounts, key=len, reverse=True) if f"{asked.path}/".startswith(m)), "")
        rest = asked.path[len(mount) :]
        operation = asked.operation
        if operation == "update" and mount and not self.mounts[mount].exists(rest):
            operation = "create"
        if not acl.allows(operation, asked.path) or (asked.path.startswith(_SUDO) and not {"sudo", "root"} & acl.capabilities(asked.path)):
            raise wrapped(403, "permission denied")
        if mount:
            return self.mounts[mount].answer(asked, rest)
        if asked.path.startswith("sys/"):
            return system.answer(self, asked, asked.path[4:], acl)
        if asked.path.startswith("auth/token/"):
            told, ended = self.tokens.answer(asked, asked.path.removeprefix("auth/token/"), client)
            for token in ended:
                self.leases.revoke_of(token)
            return told
        for where, method in self.auth.items():
            if asked.path.startswith(where):
                return method.answer(asked, asked.path[len(where) :])
        head = asked.path if asked.path.startswith("auth/") else asked.path.rstrip("/")
        raise Refused(404, f'no handler for route "{head}". route entry not found.')

    def acl(self, client: Token) -> Acl:
        if "root" in client.policies:
            return Acl((), root=True)
        return Acl(rule for name in client.policies for rule in policy.parse(self.policies.get(name, "")))
