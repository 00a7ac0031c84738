"""The two Vaults of the contract: the rehearsal cluster's and a real OpenBao with a real PostgreSQL, behind one face."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import urllib3

_numbers = itertools.count()


class Reply(NamedTuple):
    code: int
    body: Any

    @property
    def data(self) -> Any:
        return self.body["data"]


@dataclass
class VaultFace:
    """``connection``: what a database connection needs to be told of the database behind it. ``login``: whether it lets somebody in."""

    url: str
    root: str
    ca: str | None
    login: Callable[[str, str], bool]
    create_login: Callable[[str, str], None]
    drop_login: Callable[[str], None]
    connection: dict[str, Any]

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(ca_certs=self.ca, retries=False, timeout=10) if self.ca else urllib3.PoolManager(retries=False, timeout=10)

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = {"Content-Type": kind, "X-Vault-Token": self.root if token is None else token, **headers}
        answer = self._pool.request(method, f"{self.url}/v1/{path}", body=data, headers={k: v for k, v in sent.items() if v})
        return Reply(answer.status, json.loads(answer.data) if answer.data else None)

    def ok(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """The data, or what a login gave, of a request that must be granted."""
        reply = self.ask(method, path, body, token=token)
        assert reply.code in (200, 204), reply
        return (reply.body.get("auth") or reply.body["data"]) if reply.body else None

    def fresh(self, kind: str) -> str:
        return f"{kind}-{next(_numbers)}"

    def mount(self, kind: str, version: str = "") -> str:
        """A new mount, without a slash."""
        path = self.fresh(f"{kind}{version}")
        self.ok("POST", f"sys/mounts/{path}", {"type": kind, **({"options": {"version": version}} if version else {})})
        while version == "2" and self.ask("GET", f"{path}/config").code == 400:  # OpenBao: "Upgrading from non-versioned to versioned data"
            continue
        return path

    def client(self, policy: str) -> str:
        """The token of somebody who may do just that."""
        name = self.fresh("policy")
        self.ok("POST", f"sys/policies/acl/{name}", {"policy": policy})
        return str(self.ok("POST", "auth/token/create", {"policies": [name], "ttl": "1h"})["client_token"])


def shape(value: Any) -> Any:
    """What of an answer both must have in common: everything but times, ids and versions of the program."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
        return "time"
    return value
