"""From the tokens that were reached to everything that they may read, and on from the tokens among that, until nothing is new."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from irkit.credentials.look import Look
from irkit.credentials.powers import Power, powers
from irkit.credentials.reach import ACCOUNT_NAME, TOKEN_TYPE
from irkit.credentials.rights import Grant, Identity, Rbac, account, group, user
from irkit.credentials.survey import Touched, touch
from irkit.model.credential import Reason
from irkit.model.kube import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES, SECRETS, SERVICEACCOUNTS, Obj, Resource, annotations_of, at
from irkit.text import printable

_PATH = 1200  # characters of a path of reasoning
_GIVEN = {"secrets": (SECRETS,), "accounts": (SERVICEACCOUNTS,)}


def follow(touched: Touched, look: Look) -> None:
    """Add to ``touched`` what the ServiceAccounts in it may read by RBAC, each with its path. Gaps go to ``look``."""
    pending = deque((account(n, name), "") for n, name in _tokens(touched, look))
    if not pending:
        return
    walk = _Walk(touched, look, pending)
    walk.run()


def _tokens(touched: Touched, look: Look) -> Iterator[tuple[str, str]]:
    """Accounts whose token was reached: by itself, or as a Secret."""
    for kind, namespace, name in list(touched):
        if kind == "ServiceAccount":
            yield namespace, name
        elif kind == "Secret":
            found = next((s for s in look.within((SECRETS,), {namespace}) if at(s, ("metadata", "name")) == name), None)
            if found is not None and (own := _account_of(found)):
                yield namespace, own


def _account_of(secret: Obj) -> str:
    return annotations_of(secret).get(ACCOUNT_NAME, "") if secret.get("type") == TOKEN_TYPE else ""


def load(look: Look) -> Rbac:
    """All roles and bindings, in four lists; what is refused is a gap."""
    return Rbac(look.everywhere(ROLES), look.everywhere(CLUSTERROLES), look.everywhere(ROLEBINDINGS), look.everywhere(CLUSTERROLEBINDINGS))


class _Walk:
    """Breadth first, so that each identity is reached by a shortest path; each once."""

    def __init__(self, touched: Touched, look: Look, pending: deque[tuple[Identity, str]]) -> None:
        self._touched, self._look, self._pending = touched, look, pending
        self._rbac = load(look)
        self._seen = {who for who, _ in pending}
        self._whole: set[tuple[Resource, str | None]] = set()  # what all of could be reached
        self._listed: dict[tuple[Resource, str | None], list[tuple[str, str, Obj]]] = {}

    def run(self) -> None:
        while self._pending:
            who, via = self._pending.popleft()
            for _, binding in self._rbac.bindings(who):
                self._note(who, binding)
            for grant in self._rbac.grants(who):
                before = f"{via}{who} → {grant.path}"
                for power in powers(grant.rule, cluster=grant.namespace is None):
                    self._apply(grant, power, f"{before}: {power.what}", own=not via)

    def _note(self, who: Identity, binding: Obj) -> None:
        """A role that was not read says nothing of what it grants."""
        kind = at(binding, ("roleRef", "kind"), "")
        refused = self._look.refused(CLUSTERROLES if kind == "ClusterRole" else ROLES, None)
        if refused and not self._rbac.known(binding):
            self._look.gap(f"what {who} may do by {kind} {printable(at(binding, ('roleRef', 'name'), ''))}", f"you may not list all {kind}s")

    def _apply(self, grant: Grant, power: Power, path: str, *, own: bool) -> None:
        """``own``: by a token that the pods have. What is reached on the way of others is told once, by the first way."""
        if power.gives in ("users", "groups"):
            for name in power.names or ():
                self._become(user(name) if power.gives == "users" else group(name), path)
            if power.names is not None:
                return
        namespace = None if power.gives in ("users", "groups") else grant.namespace
        for resource in _GIVEN.get(power.gives, (SECRETS, SERVICEACCOUNTS)):
            if own or not {(resource, namespace), (resource, None)} & self._whole:
                self._take(resource, namespace, power.names, path)
            if power.names is None:
                self._whole.add((resource, namespace))

    def _become(self, who: Identity, path: str) -> None:
        if who not in self._seen:
            self._seen.add(who)
            self._pending.append((who, f"{path} → "))

    def _take(self, resource: Resource, namespace: str | None, names: tuple[str, ...] | None, path: str) -> None:
        reason = Reason(how="rbac", path=printable(path, _PATH))
        for where, name, obj in self._find(resource, namespace, names, path):
            touch(self._touched, (resource.kind, where, name), None, reason, optional=True)
            own = name if resource is SERVICEACCOUNTS else _account_of(obj)
            if own:
                self._become(account(where, own), path)

    def _find(self, resource: Resource, namespace: str | None, names: tuple[str, ...] | None, path: str) -> list[tuple[str, str, Obj]]:
        key = (resource, namespace)
        if key not in self._listed:
            found = self._look.everywhere(resource) if namespace is None else self._look.list(resource, namespace)
            self._listed[key] = [(at(o, ("metadata", "namespace"), ""), at(o, ("metadata", "name"), ""), o) for o in found]
        if self._look.refused(resource, namespace):
            if names and namespace is not None:
                return [(namespace, name, {}) for name in names]
            self._look.gap(
                f"which {resource.kind}s could be reached {f'in {printable(namespace)}' if namespace else 'elsewhere'}", printable(path, _PATH)
            )
        return [f for f in self._listed[key] if names is None or f[1] in names]
