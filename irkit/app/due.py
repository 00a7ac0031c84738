"""What the rotation policy finds due: a look at all credentials of a namespace. Reads only, opens no incident."""

from __future__ import annotations

from typing import Any

import msgspec

from irkit import API_VERSION, credentials
from irkit.app import ages
from irkit.app.runs import pool_of
from irkit.credentials.radius import Radius
from irkit.engine.observe import Snapshot
from irkit.model.credential import Finding
from irkit.ports import Ports


class Due(msgspec.Struct, kw_only=True, rename="camel"):
    """``due``: what should be rotated now; ``credentials``: all that were looked at, with what is ``missing``. Ages in days; null: not known."""

    api_version: str = API_VERSION
    kind: str = "RotationDue"
    namespace: str = ""
    cluster: dict[str, str] = {}
    due: list[dict[str, Any]] = []
    credentials: list[dict[str, Any]] = []
    missing: list[dict[str, str]] = []
    exit_code: int = 0
    next: str = ""


def due(ports: Ports, namespace: str) -> Due:
    """Exit code 0: nothing is due; 5: something is. What has no known age is listed, and is not due."""
    where = ports.connection.identify()
    namespace = namespace or ports.connection.namespace
    with pool_of(ports) as pool:
        looked = credentials.of_namespace(namespace, Snapshot(ports.cluster, pool), ports.settings, ports.clock.now())
        found = ages.by_vault(Radius(looked, ()), ports, pool)
    policy = ports.settings.rotation
    listed = [(_line(f), credentials.due(f, policy)) for f in found.findings]
    old = [line for line, is_due in listed if is_due]
    cluster = {"context": where.context, "server": where.server, "uid": where.uid}
    missing = [{"what": u.what, "why": u.why} for u in found.unknown]
    return Due(missing=missing, namespace=namespace, cluster=cluster, due=old, credentials=[line for line, _ in listed], exit_code=5 if old else 0,
               next=f"irkit respond scheduled-rotation -n {namespace}" if old else "")  # fmt: skip


def _line(finding: Finding) -> dict[str, Any]:
    credential = finding.credential
    return {"namespace": credential.ref.namespace, "name": credential.ref.name, "keys": list(credential.keys), "class": credential.cls,
            "age": finding.age, "ageFrom": finding.age_from}  # fmt: skip
