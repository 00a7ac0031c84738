"""The database engine: static roles whose password it changes, and logins made for a lease (builtin/logical/database)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from irkit.model.kube import Obj
from irkit.sandbox.names import Names
from irkit.sandbox.vault.kv import listing
from irkit.sandbox.vault.leases import Leases
from irkit.sandbox.vault.logins import Logins
from irkit.sandbox.vault.messages import NOTHING, Asked, Now, Refused, Told, missing, seconds, stamp, unsupported_operation, unsupported_path, wrapped

_SETTLED = ("plugin_name", "allowed_roles", "password_policy", "plugin_version")


@dataclass(slots=True)
class _Static:
    connection: str
    username: str
    period: int
    password: str = field(repr=False)
    rotated: datetime


class Database:
    """Every connection leads to the same logins."""

    type, version = "database", ""

    def __init__(self, mount: str, names: Names, clock: Now, logins: Logins, leases: Leases) -> None:
        self._mount, self._names, self._clock, self._logins, self._leases = mount, names, clock, logins, leases
        self._connections: dict[str, Obj] = {}
        self._static: dict[str, _Static] = {}
        self._dynamic: dict[str, Obj] = {}
        self._kept: dict[str, dict[str, Any]] = {"config": self._connections, "static-roles": self._static, "roles": self._dynamic}

    def exists(self, path: str) -> bool:
        area, _, name = path.partition("/")
        return area not in self._kept or name in self._kept[area]

    def answer(self, asked: Asked, path: str) -> Told:
        """Raises Refused."""
        area, _, name = path.partition("/")
        if area in self._kept:
            return self._administer(area, name, asked)
        match area, asked.operation:
            case "static-creds", "read":
                return self._static_login(name)
            case "rotate-role", "update":
                return self._rotate(name)
            case "rotate-root", "update":
                return self._rotate_root(name)
            case "creds", "read":
                return self._login(name, asked.token)
        raise unsupported_path()

    def _administer(self, area: str, name: str, asked: Asked) -> Told:
        match asked.operation:
            case "list":
                return listing(self._kept[area], "")
            case "read" if name in self._kept[area]:
                return Told(self._described(area, name))
            case "read":
                raise missing()
            case "update":
                return {"config": self._connect, "static-roles": self._adopt, "roles": self._define}[area](name, dict(asked.body))
            case "delete":
                self._kept[area].pop(name, None)
                return NOTHING
        raise unsupported_operation()

    def _described(self, area: str, name: str) -> Obj:
        if area == "config":
            return _connection(self._connections[name])
        if area == "roles":
            return self._dynamic[name]
        role = self._static[name]
        return {"credential_type": "password", "db_name": role.connection, "last_vault_rotation": stamp(role.rotated), "rotation_period": role.period,
                "rotation_statements": [], "username": role.username}  # fmt: skip

    def settle(self, role: str, password: str) -> None:
        """A static role whose password was this when its login was last changed: for scenarios. Raises KeyError."""
        self._static[role].password = password
        self._logins.change(self._static[role].username, password)

    # connections

    def _connect(self, name: str, body: Obj) -> Told:
        allowed = body.get("allowed_roles") or []
        body["allowed_roles"] = allowed.split(",") if isinstance(allowed, str) else list(allowed)
        verify = body.get("verify_connection", True)
        if verify and not self._logins.accepts(str(body.get("username", "")), str(body.get("password", ""))):
            why = f'failed SASL auth: FATAL: password authentication failed for user "{body.get("username", "")}" (SQLSTATE 28P01)'
            raise Refused(400, f"error creating database object: error verifying connection: {why}")
        self._connections[name] = body
        return NOTHING

    def _allowed(self, connection: str, role: str) -> None:
        """Raises Refused 500."""
        if connection not in self._connections:
            raise wrapped(500, f'failed to find entry for connection with name: "{connection}"')
        allowed = self._connections[connection]["allowed_roles"]
        if "*" not in allowed and role not in allowed:
            raise wrapped(500, f'"{role}" is not an allowed role')

    def _rotate_root(self, connection: str) -> Told:
        if connection not in self._connections:
            raise wrapped(500, f'failed to find entry for connection with name: "{connection}"')
        settled = self._connections[connection]
        password = self._password("root", connection)
        self._change(settled["username"], password)
        settled["password"] = password
        return NOTHING

    # static roles

    def _adopt(self, name: str, body: Obj) -> Told:
        connection, username = str(body.get("db_name", "")), str(body.get("username", ""))
        self._allowed(connection, name)
        period = seconds(body.get("rotation_period"), 0)
        if period < 5:
            raise Refused(400, "rotation_period must be 5 seconds or more")
        if (known := self._static.get(name)) is not None:
            known.period = period
            return NOTHING
        password = self._password("static", name)
        self._change(username, password)
        self._static[name] = _Static(connection, username, period, password, self._clock.now())
        return NOTHING

    def _static_login(self, name: str) -> Told:
        role = self._static.get(name)
        if role is None:
            raise Refused(400, f"unknown role: {name}")
        left = role.period - int((self._clock.now() - role.rotated).total_seconds())
        return Told({"last_vault_rotation": stamp(role.rotated), "password": role.password, "rotation_period": role.period, "ttl": max(0, left),
                     "username": role.username})  # fmt: skip

    def _rotate(self, name: str) -> Told:
        role = self._static.get(name)
        if role is None:
            raise Refused(400, "no static role found for role name")
        password = self._password("static", name)
        self._change(role.username, password, "unable to finish rotating credentials; retries will continue in the background but it is also safe "
                                              "to retry manually: error setting credentials: ")  # fmt: skip
        role.password, role.rotated = password, self._clock.now()
        return NOTHING

    def _change(self, username: str, password: str, what: str = "") -> None:
        """Raises Refused 500 where the database has no such role."""
        try:
            self._logins.change(username, password)
        except KeyError:
            why = f'failed to execute query: ERROR: role "{username}" does not exist (SQLSTATE 42704)'
            raise wrapped(500, f"{what}1 error occurred:\n\t* {why}\n\n" if what else why) from None

    # logins for a lease

    def _define(self, name: str, body: Obj) -> Told:
        self._dynamic[name] = {"creation_statements": list(body.get("creation_statements") or ()), "credential_type": "password",
                               "db_name": str(body.get("db_name", "")), "default_ttl": seconds(body.get("default_ttl")),
                               "max_ttl": seconds(body.get("max_ttl")), "renew_statements": [], "revocation_statements": [],
                               "rollback_statements": []}  # fmt: skip
        return NOTHING

    def _login(self, name: str, token: str) -> Told:
        role = self._dynamic.get(name)
        if role is None:
            raise Refused(400, f"unknown role: {name}")
        self._allowed(role["db_name"], name)
        made = int(self._clock.now().timestamp())
        username = f"v-token-{name}-{self._names.suffix('login', name, length=20)}-{made}"[:63]
        password, ttl = self._password("login", name), role["default_ttl"] or 3600
        self._logins.create(username, password)
        lease = self._leases.grant(f"{self._mount}creds/{name}", token, timedelta(seconds=ttl), self._ending(username))
        return Told({"password": password, "username": username}, lease_id=lease, lease_duration=ttl)

    def _ending(self, username: str) -> Callable[[], None]:
        return lambda: self._logins.drop(username)

    def _password(self, *parts: str) -> str:
        """20 characters, as Vault's own policy has them."""
        return self._names.text("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-", 20, "password", *parts)


def _connection(body: Obj) -> Obj:
    """What may be seen of a connection: not its password."""
    shown = {key: body.get(key, "") for key in _SETTLED}
    details = {key: value for key, value in body.items() if key not in (*_SETTLED, "password", "verify_connection")}
    return {**shown, "connection_details": details, "root_credentials_rotate_statements": []}
