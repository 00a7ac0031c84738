"""Who may do what: RBAC evaluated over the roles and bindings in the store (plugin/pkg/auth/authorizer/rbac)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from irkit.model.kube import Obj
from irkit.sandbox.catalog import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES
from irkit.sandbox.store import Store

MASTERS = "system:masters"
_DISCOVERY = ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz")


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""

    @property
    def info(self) -> Obj:
        """``UserInfo`` as reviews and audit events show it."""
        return {"username": self.name, "uid": self.uid or self.name, "groups": list(self.groups)}


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Attributes(NamedTuple):
    """One request on a resource, as an authorizer sees it. ``namespace`` empty: cluster-wide; ``name`` empty: any."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    def refusal(self, user: User) -> str:
        """As `responsewriters.forbiddenMessage` of the API server."""
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f'User "{user.name}" cannot {self.verb} resource "{what}" in API group "{self.group}" {where}'


def may(store: Store, user: User, wanted: Attributes) -> bool:
    if MASTERS in user.groups:
        return True
    return any(_covers(rule, wanted) for rule in rules(store, user, wanted.namespace))


def may_path(store: Store, user: User, verb: str, path: str) -> bool:
    """Whether the user may use a path that is no resource. Everybody who is known may discover the API."""
    if MASTERS in user.groups:
        return True
    if user is not ANONYMOUS and any(path == known or path.startswith(f"{known}/") for known in _DISCOVERY):
        return True
    for rule in rules(store, user, ""):
        paths, verbs = rule.get("nonResourceURLs") or (), rule.get("verbs") or ()
        if (verb in verbs or "*" in verbs) and any(_under(path, pattern) for pattern in paths):
            return True
    return False


def _under(path: str, pattern: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def rules(store: Store, user: User, namespace: str) -> Iterator[Obj]:
    """All policy rules that hold for the user, cluster-wide and in ``namespace``."""
    for binding in store.all(CLUSTERROLEBINDINGS):
        if _binds(binding, user):
            yield from _rules_of(store, binding, "")
    if namespace:
        for binding in store.all(ROLEBINDINGS, namespace):
            if _binds(binding, user):
                yield from _rules_of(store, binding, namespace)


def _binds(binding: Obj, user: User) -> bool:
    for subject in binding.get("subjects") or ():
        match subject.get("kind"):
            case "User" if subject.get("name") == user.name:
                return True
            case "Group" if subject.get("name") in user.groups:
                return True
            case "ServiceAccount":
                where = subject.get("namespace") or binding["metadata"].get("namespace", "")
                if user.name == f"system:serviceaccount:{where}:{subject.get('name')}":
                    return True
    return False


def _rules_of(store: Store, binding: Obj, namespace: str) -> list[Obj]:
    reference = binding.get("roleRef") or {}
    name = reference.get("name", "")
    role = store.get(CLUSTERROLES, "", name) if reference.get("kind") == "ClusterRole" else store.get(ROLES, namespace, name)
    return (role or {}).get("rules") or []


def _covers(rule: Obj, wanted: Attributes) -> bool:
    verbs, groups, names = rule.get("verbs") or (), rule.get("apiGroups") or (), rule.get("resourceNames") or ()
    if not (wanted.verb in verbs or "*" in verbs) or not (wanted.group in groups or "*" in groups):
        return False
    if names and wanted.name not in names:
        return False
    combined = f"{wanted.resource}/{wanted.subresource}" if wanted.subresource else wanted.resource
    resources = rule.get("resources") or ()
    return "*" in resources or combined in resources or (wanted.subresource != "" and f"*/{wanted.subresource}" in resources)
