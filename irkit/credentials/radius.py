"""The blast radius: which credentials must be considered stolen, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from irkit.credentials.following import follow
from irkit.credentials.look import Look, Unknown
from irkit.credentials.reach import uses
from irkit.credentials.survey import Survey, Touched, touch
from irkit.errors import UsageError
from irkit.model.credential import Finding, Reason
from irkit.model.kube import SECRETS, SERVICEACCOUNTS, Obj, at, controller_of
from irkit.ports import ClusterReader
from irkit.settings import Settings
from irkit.settings.rotation import RotationSettings
from irkit.text import nearest, printable


class Radius(msgspec.Struct, frozen=True):
    """``unknown``: what may not be read, and so may hide credentials."""

    findings: tuple[Finding, ...]
    unknown: tuple[Unknown, ...] = ()


def of_pods(pods: Sequence[Obj], cluster: ClusterReader, settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """Every credential that these pods could reach, each once, with all reasons."""
    return reached(pods, cluster, settings, now).findings


def reached(
    pods: Sequence[Obj],
    cluster: ClusterReader,
    settings: Settings,
    now: datetime | None,
    *,
    narrow: str = "",
) -> Radius:
    """What these pods could reach, and what may not be read. Raises UnreachableError, ApiError.

    ``now`` None: ages are left out, times are told. ``narrow``: why Secrets and what writes them are not looked for in other
    namespaces; only RBAC is.
    """
    namespaces = {at(p, ("metadata", "namespace"), "") for p in pods}
    look, touched = Look(cluster, namespaces, narrow), Touched()
    accounts: dict[str, dict[str, Obj]] = {n: {} for n in namespaces}
    for account in look.within((SERVICEACCOUNTS,), namespaces):
        accounts[at(account, ("metadata", "namespace"), "")][at(account, ("metadata", "name"), "")] = account
    for pod in pods:
        namespace, before = at(pod, ("metadata", "namespace"), ""), f"{_whose(pod)}: " if len(pods) > 1 else ""
        for use in uses(pod, accounts[namespace]):
            reason = Reason(how=use.how, path=printable(before + use.path, 600))
            touch(touched, (use.kind, namespace, use.name), use.keys, reason, use.optional)
    follow(touched, look)
    survey = Survey(look, namespaces, settings, now)
    return Radius(survey.findings(touched, pods), look.unknown)


def _whose(pod: Obj) -> str:
    """Pods of one owner have the same spec: their reasons are one."""
    owner = controller_of(pod)
    kind, name = (owner.get("kind"), owner.get("name")) if owner else ("Pod", at(pod, ("metadata", "name"), ""))
    return f"{kind} {at(pod, ('metadata', 'namespace'), '')}/{name}"


def of_secrets(names: Sequence[str], namespace: str, cluster: ClusterReader, settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """The credentials in these Secrets. Raises UsageError for a name that there is not, with the nearest ones."""
    known = [at(s, ("metadata", "name"), "") for s in cluster.list(SECRETS, namespace)]
    for name in names:
        if name not in known:
            near = nearest(name, known, 3)
            hint = f"; did you mean {' or '.join(map(printable, near))}?" if near else ""
            offer = f"kubectl get secrets -n {printable(namespace)}"
            raise UsageError(f"there is no Secret {printable(name)} in {printable(namespace)}{hint}", next=offer)
    touched = Touched()
    for name in names:
        touch(touched, ("Secret", namespace, name), None, Reason(how="named", path=printable(f"Secret {namespace}/{name}", 600)))
    return Survey(Look(cluster, {namespace}), {namespace}, settings, now).findings(touched)


def of_namespace(namespace: str, cluster: ClusterReader, settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """The credentials in all Secrets of a namespace."""
    return of_secrets([at(s, ("metadata", "name"), "") for s in cluster.list(SECRETS, namespace)], namespace, cluster, settings, now)


def due(finding: Finding, policy: RotationSettings) -> bool:
    """Whether the documented policy says that it should be rotated now.

    Certificates by their end, all else by age: issuer-made ones, and those of which nobody knows who makes them, after
    ``api_keys`` days, generated ones and database passwords after ``passwords``. A ServiceAccount's tokens end by
    themselves within the hour. What has no known age is not due.
    """
    credential = finding.credential
    if credential.cls == "certificate":
        return finding.expires is not None and finding.expires <= policy.certificates
    if credential.ref.kind == "ServiceAccount":
        return False
    after = policy.passwords if credential.cls in ("generated", "database") else policy.api_keys
    return finding.age is not None and finding.age >= after
