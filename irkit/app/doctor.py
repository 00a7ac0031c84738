"""`irkit doctor`: would a containment work from here, before one is needed? Reads only."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from irkit import __version__
from irkit.app.runs import pool_of
from irkit.engine import handover, library, rights, signing
from irkit.engine.holder import NAMESPACE
from irkit.errors import ForbiddenError, IrkitError, NotFoundError, RefusedError
from irkit.model.kube import CONFIGMAPS, LEASES, NAMESPACES, ObjectRef, permission
from irkit.network import cni
from irkit.ports import Ports
from irkit.settings import Settings
from irkit.text import plural, printable

_SKEW = 2.0  # seconds from which the clocks of bundle and cluster are worth a word


@dataclass(frozen=True, slots=True)
class Finding:
    """``exit_code`` is what a containment would end with because of this; 0 where it would not end."""

    name: str
    level: Literal["ok", "note", "bad"]
    text: str
    next: str = ""
    exit_code: int = 0


def examine(settings: Settings, connect: Callable[[], Ports], namespace: str) -> list[Finding]:
    """Everything in turn; what can't be looked at because of an earlier finding is left out."""
    found = [Finding("irkit", "ok", f"{__version__}, Python {platform.python_version()}"), _home(settings.home), _playbooks(settings)]
    try:
        ports = connect()
        where = ports.connection.identify()
        who = ports.connection.whoami()
    except IrkitError as error:
        return [*found, Finding("cluster", "bad", error.message, error.next, error.exit_code)]
    found.append(
        Finding(
            "cluster", "ok", f"{printable(where.context) or '(no context)'} ({printable(where.server)}), {printable(where.version)}, uid {where.uid}"
        )
    )
    found += [Finding("connection", "note", w) for w in ports.connection.warnings]
    found.append(Finding("you", "ok", printable(who.name)))
    if where.clock_skew is not None:
        level: Literal["ok", "note"] = "note" if abs(where.clock_skew) > _SKEW else "ok"
        found.append(Finding("clock", level, f"the API server's is {where.clock_skew:+.1f} s from this machine's; bundles record it"))
    namespace = namespace or ports.connection.namespace
    found += [_rights(ports, namespace, settings), _plugin(ports), *_shared(ports)]
    return found


def _home(home: Path) -> Finding:
    place = next((p for p in (home, *home.parents) if p.exists()), home)
    if os.access(place, os.W_OK | os.X_OK):
        return Finding("home", "ok", printable(home))
    return Finding("home", "bad", f"{printable(home)} can't be written", "set IRKIT_HOME to a directory that can be written", 8)


def _playbooks(settings: Settings) -> Finding:
    entries = list(library.list_all(settings))
    broken = [e.name for e in entries if e.playbook is None]
    if broken:
        return Finding("playbooks", "bad", f"{', '.join(broken)}: with mistakes", f"irkit playbook validate {broken[0]}", 2)
    return Finding("playbooks", "ok", ", ".join(e.name for e in entries))


def _rights(ports: Ports, namespace: str, settings: Settings) -> Finding:
    playbook = library.find("compromised-pod", settings)
    needed = rights.least(playbook, "containment", namespace)
    with pool_of(ports) as pool:
        allowed = list(pool.map(ports.cluster.can, needed))
    missing = [p for p, yes in zip(needed, allowed, strict=True) if not yes]
    if not missing:
        return Finding("rights", "ok", f"all that compromised-pod needs in {printable(namespace)}")
    writes = [p for p in missing if rights.blocking(p)]
    text = f"in {printable(namespace)} you may not: {'; '.join(str(p) for p in missing[:12])}" + (
        f" and {len(missing) - 12} more" if missing[12:] else ""
    )
    return Finding("rights", "bad" if writes else "note", text, f"irkit playbook rbac compromised-pod -n {printable(namespace)}", 4 if writes else 0)


def _plugin(ports: Ports) -> Finding:
    try:
        found = cni.observe(ports.cluster)
    except IrkitError as error:
        return Finding("network", "note", error.message)
    level: Literal["ok", "note", "bad"] = {"enforced": "ok", "unknown": "note", "none": "bad"}[found.enforces]  # type: ignore[assignment]
    enforced = {"enforced": "policies are enforced", "unknown": "policies may or may not be enforced", "none": "policies are not enforced"}[
        found.enforces
    ]
    parts = [f"{printable(found.name)}: {enforced}" if found.name else "", found.note, f"open connections: {found.connections}"]
    return Finding("network", level, "; ".join(p for p in parts if p), exit_code=5 if level == "bad" else 0)


def _shared(ports: Ports) -> list[Finding]:
    try:
        ports.cluster.get(ObjectRef(resource=NAMESPACES, name=NAMESPACE))
    except NotFoundError:
        text = f"no namespace {NAMESPACE}: a run is known on this machine only"
        return [Finding("hand-over", "note", text, f"kubectl create namespace {NAMESPACE}")]
    except ForbiddenError as error:
        return [Finding("hand-over", "note", error.message)]
    needed = [permission(verb, resource, NAMESPACE) for resource in (LEASES, CONFIGMAPS) for verb in ("create", "get", "patch")]
    if missing := [str(p) for p in needed if not ports.cluster.can(p)]:
        return [Finding("hand-over", "note", f"you may not {'; '.join(missing)}: nobody sees what you work on, nor do you see it of others")]
    return [Finding("hand-over", "ok", f"namespace {NAMESPACE} keeps who works on what"), _signing(ports)]


def _signing(ports: Ports) -> Finding:
    try:
        found = signing.keys(ports.cluster)
    except (ForbiddenError, RefusedError) as error:
        return Finding("signing", "note", f"{error.message}; you believe no copy there, nor do you write one", error.next)
    if found is None:
        return Finding("signing", "note", handover.UNSIGNED, "irkit doctor --create-signing-key")
    return Finding("signing", "ok", f"copies in {NAMESPACE} are signed")


def summary(found: list[Finding]) -> str:
    """The last line."""
    bad = [f for f in found if f.level == "bad"]
    if not bad:
        return "irkit can contain a pod from here."
    return f"{plural(len(bad), 'thing')} would stop a containment from here: {', '.join(f.name for f in bad)}."
