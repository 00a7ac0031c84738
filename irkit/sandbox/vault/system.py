"""``sys/``: health, mounts, policies, capabilities, leases, sealing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit.model.kube import Obj
from irkit.sandbox.vault import policy
from irkit.sandbox.vault.messages import NOTHING, Asked, Refused, Told, missing, stamp, unsupported_operation, unsupported_path
from irkit.sandbox.vault.policy import Acl
from irkit.sandbox.vault.tokens import AppRoles

if TYPE_CHECKING:
    from irkit.sandbox.vault.core import Engine, Vault

VERSION = "2.7.2"
"""The version of OpenBao that the contract is kept with."""


def public(vault: Vault, asked: Asked) -> Told | None:
    """What needs no token and is told of a sealed Vault, too."""
    name = {"cluster_name": f"vault-cluster-{vault.cluster[:8]}", "cluster_id": vault.cluster}
    match asked.path, asked.operation:
        case "sys/health", "read":
            now = {"server_time_utc": int(vault.clock.now().timestamp()), "version": VERSION}
            mode = "unknown" if vault.sealed else "disabled"
            state = {"initialized": True, "sealed": vault.sealed, "standby": vault.sealed, "replication_performance_mode": mode,
                     "replication_dr_mode": mode, **now}  # fmt: skip
            return Told(code=503 if vault.sealed else 200, plain=state if vault.sealed else {**state, **name})
        case "sys/seal-status", "read":
            state = {"type": "shamir", "initialized": True, "sealed": vault.sealed, "t": 1, "n": 1, "progress": 0, "nonce": "",
                     "recovery_seal": False, "version": VERSION, "commit_date": "2026-10-26T20:32:27Z", "migration": False,
                     "storage_type": "inmem"}  # fmt: skip
            return Told(plain=state if vault.sealed else {**state, **name})
        case "sys/init", "read":
            return Told(plain={"initialized": True})
        case "sys/leader", "read" if not vault.sealed:
            return Told(plain={"ha_enabled": False, "is_self": False, "active_time": "0001-01-01T00:00:00Z", "leader_address": "",
                               "leader_cluster_address": "", "performance_standby": False, "performance_standby_last_remote_wal": 0})  # fmt: skip
    return None


def mount_of(vault: Vault, asked: Asked, acl: Acl) -> Told:
    """How `bao kv` and its like tell version 1 from version 2: to be seen by whoever may do anything below the mount."""
    wanted = asked.path.removeprefix("sys/internal/ui/mounts/").rstrip("/") + "/"
    for path, engine in sorted(vault.mounts.items(), key=lambda item: len(item[0]), reverse=True):
        if wanted.startswith(path) and acl.sees(path):
            return Told({**_described(vault, engine), "path": path})
    raise Refused(403, f'preflight capability check returned 403, please ensure client\'s policies grant access to path "{wanted}"')


def answer(vault: Vault, asked: Asked, path: str, acl: Acl) -> Told:
    """Raises Refused."""
    match path.split("/"), asked.operation:
        case ["mounts"], "read":
            return Told({mount: _described(vault, engine) for mount, engine in sorted(vault.mounts.items())}, beside=True)
        case ["mounts", *rest], "update" if rest:
            version = str((asked.body.get("options") or {}).get("version", ""))
            vault.mount("/".join(rest), str(asked.body.get("type", "")), version)
            return NOTHING
        case ["mounts", *rest], "delete" if rest:
            vault.mounts.pop("/".join(rest).strip("/") + "/", None)
            return NOTHING
        case ["auth", *rest], "update" if rest:
            return _enable(vault, asked, f"auth/{'/'.join(rest).strip('/')}/")
        case ["auth"], "read":
            return Told({"token/": {"type": "token"}, **{m.removeprefix("auth/"): {"type": a.type} for m, a in vault.auth.items()}}, beside=True)
        case ["policies", "acl"], "list":
            return Told({"keys": sorted({*vault.policies, "root"})})
        case ["policies", "acl", name], _:
            return _policy(vault, asked, name)
        case ["capabilities-self"], "update":
            return _capabilities(asked, acl)
        case ["leases", *rest], _:
            return vault.leases.answer(asked, "/".join(rest))
        case ["seal"], "update":
            vault.sealed = True
            return NOTHING
    raise unsupported_path()


def _described(vault: Vault, engine: Engine) -> Obj:
    digest = vault.cluster[:8]
    return {"accessor": f"{engine.type}_{digest}", "config": {"default_lease_ttl": 0, "force_no_cache": False, "max_lease_ttl": 0},
            "deprecation_status": "supported", "description": "", "external_entropy_access": False, "local": False,
            "options": {"version": engine.version} if engine.version else None, "plugin_version": "",
            "running_plugin_version": f"v{VERSION}+builtin.bao", "running_sha256": "", "seal_wrap": False, "type": engine.type,
            "uuid": vault.cluster}  # fmt: skip


def _enable(vault: Vault, asked: Asked, where: str) -> Told:
    kind = str(asked.body.get("type", ""))
    if where in vault.auth:
        raise Refused(400, f"path is already in use at {where}")
    if kind != "approle":
        raise Refused(400, f"plugin not found in the catalog: {kind}")
    vault.auth[where] = AppRoles(vault.names, vault.tokens, where)
    return NOTHING


def _policy(vault: Vault, asked: Asked, name: str) -> Told:
    match asked.operation:
        case "read" if name in vault.policies:
            return Told({"name": name, "policy": vault.policies[name], "modified": stamp(vault.clock.now()), "version": 1, "cas_required": False})
        case "read":
            raise missing()
        case "update":
            text = str(asked.body.get("policy", ""))
            policy.parse(text)
            vault.policies[name] = text
            return NOTHING
        case "delete":
            vault.policies.pop(name, None)
            return NOTHING
    raise unsupported_operation()


def _capabilities(asked: Asked, acl: Acl) -> Told:
    paths = [str(path) for path in asked.body.get("paths") or ([asked.body["path"]] if asked.body.get("path") else [])]
    if not paths:
        raise Refused(400, "paths must be supplied")
    found = {path: sorted(acl.capabilities(path)) for path in paths}
    return Told({**found, **({"capabilities": found[paths[0]]} if len(paths) == 1 else {})}, beside=True)
