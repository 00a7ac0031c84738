"""Tokens and AppRoles: who asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from irkit.model.kube import Obj
from irkit.sandbox.names import Names
from irkit.sandbox.vault.messages import NOTHING, Asked, Now, Refused, Told, missing, seconds, stamp, unsupported_operation, unsupported_path

TTL = 2_764_800
"""Seconds that a token lives whose role says nothing: Vault's default of 768 hours."""


@dataclass(frozen=True, slots=True)
class Token:
    """``ttl`` in seconds; 0 lives for ever."""

    id: str = field(repr=False)
    accessor: str
    policies: tuple[str, ...]
    created: datetime
    ttl: int = 0
    display_name: str = "token"
    path: str = "auth/token/create"
    meta: Obj | None = None
    parent: str = field(default="", repr=False)

    def left(self, now: datetime) -> int:
        """Seconds until it expires."""
        return max(0, int((self.created + timedelta(seconds=self.ttl) - now).total_seconds())) if self.ttl else 0

    def expired(self, now: datetime) -> bool:
        return bool(self.ttl) and now >= self.created + timedelta(seconds=self.ttl)

    def described(self, now: datetime) -> Obj:
        """What a look-up tells."""
        expires = stamp(self.created + timedelta(seconds=self.ttl)) if self.ttl else None
        return {"accessor": self.accessor, "creation_time": int(self.created.timestamp()), "creation_ttl": self.ttl,
                "display_name": self.display_name, "entity_id": "", "expire_time": expires, "explicit_max_ttl": 0, "id": self.id,
                "issue_time": stamp(self.created), "meta": self.meta, "num_uses": 0, "orphan": not self.parent, "path": self.path,
                "policies": list(self.policies), "renewable": bool(self.ttl), "ttl": self.left(now), "type": "service"}  # fmt: skip

    def auth(self) -> Obj:
        """What a login tells."""
        return {"client_token": self.id, "accessor": self.accessor, "policies": list(self.policies), "token_policies": list(self.policies),
                "metadata": self.meta, "lease_duration": self.ttl, "renewable": bool(self.ttl), "entity_id": "", "token_type": "service",
                "orphan": not self.parent, "mfa_requirement": None, "num_uses": 0}  # fmt: skip


class Tokens:
    def __init__(self, names: Names, clock: Now) -> None:
        self._names, self._clock = names, clock
        self._known: dict[str, Token] = {}
        self.mint: Callable[[], str] = lambda: names.suffix("token", length=24)  # of those that a scenario puts into its Secrets

    def make(self, policies: Sequence[str], *, id: str = "", ttl: int = 0, display_name: str = "token", path: str = "auth/token/create",
             meta: Obj | None = None, parent: str = "") -> Token:  # fmt: skip
        """A new token; ``default`` is added to its policies, unless it is root's."""
        named = ("root",) if "root" in policies else tuple(sorted({*policies, "default"}))
        made = Token(id or f"s.{self.mint()}", self._names.suffix("accessor", length=24), named, self._clock.now(), ttl,
                     display_name, path, meta, parent)  # fmt: skip
        self._known[made.id] = made
        return made

    def find(self, id: str) -> Token | None:
        """The token while it lives."""
        found = self._known.get(id)
        return None if found is None or found.expired(self._clock.now()) else found

    def revoke(self, id: str) -> list[str]:
        """End a token and its children; returns the ids of all that ended."""
        if self._known.pop(id, None) is None:
            return []
        return [id, *(ended for child in [t.id for t in self._known.values() if t.parent == id] for ended in self.revoke(child))]

    def renew(self, token: Token, ttl: int) -> Token:
        now = self._clock.now()
        self._known[token.id] = renewed = replace(token, ttl=int((now - token.created).total_seconds()) + ttl) if token.ttl else token
        return renewed

    def answer(self, asked: Asked, path: str, token: Token) -> tuple[Told, list[str]]:
        """``auth/token/…``: what is told, and the ids of tokens that ended. Raises Refused."""
        match path, asked.operation:
            case "lookup-self", "read" | "update":
                return Told(token.described(self._clock.now())), []
            case "lookup", "update":
                found = self.find(str(asked.body.get("token", "")))
                if found is None:
                    raise Refused(403, "bad token")
                return Told(found.described(self._clock.now())), []
            case "create", "update":
                return self._create(asked, token), []
            case "renew-self", "update":
                return Told(auth=self.renew(token, seconds(asked.body.get("increment"), token.ttl)).auth()), []
            case "revoke-self", "update":
                return NOTHING, self.revoke(token.id)
            case "revoke", "update":
                return NOTHING, self.revoke(str(asked.body.get("token", "")))
        raise unsupported_path()

    def _create(self, asked: Asked, parent: Token) -> Told:
        wanted = [str(name) for name in asked.body.get("policies") or parent.policies]
        if "root" not in parent.policies and not set(wanted) <= set(parent.policies):
            raise Refused(400, "child policies must be subset of parent")
        made = self.make(wanted, ttl=seconds(asked.body.get("ttl"), 0 if "root" in wanted else TTL), parent=parent.id, meta=asked.body.get("meta"))
        return Told(auth=made.auth())


@dataclass(slots=True)
class _Role:
    id: str
    policies: list[str]
    ttl: int
    secrets: list[str] = field(default_factory=list, repr=False)


class AppRoles:
    """The auth method ``approle``: a role's id and a secret id give a token."""

    type = "approle"

    def __init__(self, names: Names, tokens: Tokens, mount: str) -> None:
        self._names, self._tokens, self._mount = names, tokens, mount
        self._roles: dict[str, _Role] = {}

    def login(self, asked: Asked) -> Told:
        """Raises Refused."""
        role_id, secret_id = str(asked.body.get("role_id", "")), str(asked.body.get("secret_id", ""))
        if not role_id:
            raise Refused(500, "missing role_id")
        for name, role in self._roles.items():
            if role.id == role_id and secret_id in role.secrets:
                made = self._tokens.make(
                    role.policies,
                    ttl=role.ttl,
                    display_name=self._mount.removeprefix("auth/").rstrip("/"),
                    path=f"{self._mount}login",
                    meta={"role_name": name},
                )
                return Told(auth=made.auth())
        raise Refused(400, "invalid role or secret ID")

    def answer(self, asked: Asked, path: str) -> Told:
        """The administration of roles. Raises Refused."""
        match path.split("/"), asked.operation:
            case ["role"], "list":
                return Told({"keys": sorted(self._roles)})
            case ["role", name], "update":
                known = self._roles.get(name)
                policies = [str(p) for p in asked.body.get("token_policies") or ()]
                ttl = seconds(asked.body.get("token_ttl"), TTL)
                role_id = known.id if known else self._names.uid("approle", name)
                self._roles[name] = _Role(role_id, policies, ttl, known.secrets if known else [])
                return NOTHING
            case ["role", name, "role-id"], "read":
                return Told({"role_id": self._role(name).id})
            case ["role", name, "secret-id"], "update":
                made = self._names.uid("secret-id", name)
                self._role(name).secrets.append(made)
                return Told({"secret_id": made, "secret_id_accessor": self._names.uid("accessor"), "secret_id_num_uses": 0, "secret_id_ttl": 0})
            case ["role", name, "custom-secret-id"], "update":
                given = str(asked.body.get("secret_id", ""))
                self._role(name).secrets.append(given)
                return Told({"secret_id": given, "secret_id_accessor": self._names.uid("accessor"), "secret_id_num_uses": 0, "secret_id_ttl": 0})
            case ["role", name, "secret-id", "destroy"], "update":
                role, given = self._role(name), str(asked.body.get("secret_id", ""))
                role.secrets[:] = [one for one in role.secrets if one != given]
                return NOTHING
            case ["role", name], "delete":
                self._roles.pop(name, None)
                return NOTHING
            case ["role", *_], _:
                raise unsupported_operation()
        raise unsupported_path()

    def _role(self, name: str) -> _Role:
        if name not in self._roles:
            raise missing()
        return self._roles[name]
