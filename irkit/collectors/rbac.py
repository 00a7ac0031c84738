"""What the pod's ServiceAccount may do: every binding that reaches it, and the roles that these name."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.collectors.base import Asker, Read, kept, kept_list
from irkit.model.evidence import Piece, Scope
from irkit.model.kube import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES, SERVICEACCOUNTS, Obj, at
from irkit.ports import ClusterReader
from irkit.text import printable

_ACCOUNT = Read("get", SERVICEACCOUNTS)
_BINDINGS, _BINDINGS_HERE = Read("list", ROLEBINDINGS, "everywhere"), Read("list", ROLEBINDINGS)
_ROLES, _ROLES_HERE = Read("list", ROLES, "everywhere"), Read("list", ROLES)
_CLUSTER_BINDINGS, _CLUSTER_ROLES = Read("list", CLUSTERROLEBINDINGS, "everywhere"), Read("list", CLUSTERROLES, "everywhere")


class Rbac:
    name = "rbac"
    volatility = 60
    reads = (_ACCOUNT, _BINDINGS, _BINDINGS_HERE, _ROLES, _ROLES_HERE, _CLUSTER_BINDINGS, _CLUSTER_ROLES)

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """Bindings of all namespaces, where they may be read: an account may have rights where it does not live."""
        from irkit.credentials import rights

        ask, namespace = Asker(cluster, scope), scope.pod.namespace
        account = scope.service_account or "default"
        if found := ask.get(_ACCOUNT, account, f"ServiceAccount {printable(namespace)}/{printable(account)}"):
            yield kept(found, SERVICEACCOUNTS)
        who, folder = f"ServiceAccount {printable(namespace)}/{printable(account)}", ("namespaces", namespace, "rbac", account)
        identity, named = rights.account(namespace, account), set[tuple[str, str, str]]()
        for read, instead in ((_BINDINGS, _BINDINGS_HERE), (_CLUSTER_BINDINGS, None)):
            what = f"{read.resource.kind}s that reach {who}"
            if (bindings := ask.list(read, what, instead=instead)) is not None:
                reaching = [binding for binding in bindings if rights.binds(binding, identity)]
                named.update(map(_role_of, reaching))
                yield kept_list((*folder, f"{read.resource.plural}.json"), reaching, what)
        for read, instead in ((_ROLES, _ROLES_HERE), (_CLUSTER_ROLES, None)):
            what = f"{read.resource.kind}s of {who}"
            if not any(kind == read.resource.kind for kind, _, _ in named):
                continue
            if (roles := ask.list(read, what, instead=instead)) is not None:
                yield kept_list((*folder, f"{read.resource.plural}.json"), [r for r in roles if _name_of(r, read.resource.kind) in named], what)
        yield from ask.missing


def _role_of(binding: Obj) -> tuple[str, str, str]:
    """Kind, namespace and name of the role that a binding grants."""
    kind, name = at(binding, ("roleRef", "kind"), ""), at(binding, ("roleRef", "name"), "")
    return kind, at(binding, ("metadata", "namespace"), "") if kind == "Role" else "", name


def _name_of(role: Obj, kind: str) -> tuple[str, str, str]:
    return kind, at(role, ("metadata", "namespace"), ""), at(role, ("metadata", "name"), "")
