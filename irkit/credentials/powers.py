"""What one rule of RBAC gives besides itself: the ways from a right to a credential.

After the Kubernetes documentation, "RBAC Good Practices: Privilege escalation risks". Where such a right exists, what it
could reach counts as reached: whoever could start a pod in a namespace could have mounted any Secret there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from irkit.credentials.rights import covers
from irkit.model.kube import Obj

Gives: TypeAlias = Literal["secrets", "everything", "accounts", "users", "groups"]


class Power(NamedTuple):
    """``secrets``: their values. ``everything``: all Secrets and ServiceAccounts of the namespace, or of the cluster.

    ``accounts``, ``users``, ``groups``: to act as these. ``names`` None: any.
    """

    gives: Gives
    what: str
    names: tuple[str, ...] | None = None


class _Way(NamedTuple):
    """A kind of request that gives ``gives``. ``cluster``: its resource has no namespace, so a RoleBinding does not grant it."""

    gives: Gives
    verbs: tuple[str, ...]
    group: str
    resources: tuple[str, ...]
    cluster: bool = False
    named: bool = False  # only what the rule's resourceNames name is given


_WRITE, _CHANGE = ("create", "update", "patch"), ("update", "patch")
_RBAC, _CERTIFICATES, _ADMISSION = "rbac.authorization.k8s.io", "certificates.k8s.io", "admissionregistration.k8s.io"
_WAYS = (
    # a patch answers with the whole object, a deletecollection with all that it deleted
    _Way("secrets", ("get", "list", "watch", "patch", "deletecollection"), "", ("secrets",), named=True),
    _Way("everything", _WRITE, "", ("pods", "replicationcontrollers")),  # a changed image runs with the pod's mounts
    _Way("everything", _WRITE, "apps", ("deployments", "statefulsets", "daemonsets", "replicasets")),
    _Way("everything", _WRITE, "batch", ("jobs", "cronjobs")),
    _Way("everything", ("create", "get"), "", ("pods/exec", "pods/attach")),  # a WebSocket is opened by GET
    _Way("everything", _CHANGE, "", ("pods/ephemeralcontainers",)),
    _Way("everything", ("bind", "escalate"), _RBAC, ("roles", "clusterroles")),
    _Way("everything", ("get", "create"), "", ("nodes/proxy",), cluster=True),  # the kubelet's API: exec in every pod
    _Way("everything", _WRITE, _ADMISSION, ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"), cluster=True),
    _Way("accounts", ("create",), "", ("serviceaccounts/token",), named=True),
    _Way("accounts", ("impersonate",), "", ("serviceaccounts",), named=True),
    _Way("users", ("impersonate",), "", ("users",), cluster=True, named=True),
    _Way("groups", ("impersonate",), "", ("groups",), cluster=True, named=True),
)
_SAID = 3  # ways that are named in one reason
_SIGNERS = ("kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/*")


def powers(rule: Obj, *, cluster: bool) -> Iterator[Power]:
    """What a rule gives, each kind once; ``cluster``: it holds in the whole cluster."""
    names = tuple(n for n in rule.get("resourceNames") or () if n) or None
    found: dict[tuple[Gives, tuple[str, ...] | None], list[str]] = {}
    for way in _WAYS:
        for resource in way.resources if cluster or not way.cluster else ():
            if verbs := [v for v in way.verbs if _may(rule, v, way.group, resource, names)]:
                found.setdefault((way.gives, names if way.named else None), []).append(f"{', '.join(verbs)} {resource}")
    if cluster and any(covers(rule, "approve", _CERTIFICATES, "signers", n) for n in _SIGNERS):
        found.setdefault(("everything", None), []).append("approve certificates of any user")
    for (gives, only), ways in found.items():
        text = "; ".join(ways[:_SAID]) + (f" and {len(ways) - _SAID} more ways" if len(ways) > _SAID else "")
        yield Power(gives, text + (f" named {', '.join(only)}" if only else ""), only)


def _may(rule: Obj, verb: str, group: str, resource: str, names: tuple[str, ...] | None) -> bool:
    """A request to create an object names none, so that ``resourceNames`` never allow it; one for a subresource does."""
    if names and verb == "create" and "/" not in resource:
        return False
    return covers(rule, verb, group, resource, names[0] if names else "")
