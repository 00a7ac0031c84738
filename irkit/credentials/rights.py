"""Who may do what by RBAC, over the objects of the API (kubernetes, plugin/pkg/auth/authorizer/rbac). Pure functions.

Only RBAC is looked at: a webhook authorizer may allow more. The union of all that a cluster grants is what counts; RBAC has
no denials.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from irkit.model.kube import Obj, at, labels_of, selects
from irkit.text import printable

MASTERS = "system:masters"
_ACCOUNT = "system:serviceaccount:"


class Identity(NamedTuple):
    """A user as the API server sees it."""

    name: str
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.name.startswith(_ACCOUNT):
            return "ServiceAccount " + printable(self.name.removeprefix(_ACCOUNT).replace(":", "/", 1))
        return printable(f"user {self.name}" if self.name else f"group {self.groups[0]}")


def account(namespace: str, name: str) -> Identity:
    """A ServiceAccount: its user and the groups that it is in (Kubernetes docs, "Authenticating: Service account tokens")."""
    return Identity(f"{_ACCOUNT}{namespace}:{name}", ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"))


def user(name: str) -> Identity:
    """Somebody who can be impersonated; a ServiceAccount's name brings its groups."""
    namespace, _, own = name.removeprefix(_ACCOUNT).partition(":")
    return account(namespace, own) if name.startswith(_ACCOUNT) and own else Identity(name, ("system:authenticated",))


def group(name: str) -> Identity:
    return Identity("", (name, "system:authenticated"))


def subjects_of(binding: Obj) -> Iterator[tuple[str, str]]:
    """``User`` or ``Group``, and name, of each subject. A ServiceAccount without a namespace is of the binding's (`appliesToUser`)."""
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name") or ""
        if kind == "ServiceAccount":
            if where := subject.get("namespace") or at(binding, ("metadata", "namespace"), ""):
                yield "User", f"{_ACCOUNT}{where}:{name}"
        elif kind in ("User", "Group"):
            yield kind, name


def binds(binding: Obj, who: Identity) -> bool:
    """Whether a binding is about this user: by name, or by a group."""
    return any(name == who.name if kind == "User" else name in who.groups for kind, name in subjects_of(binding))


def covers(rule: Obj, verb: str, api_group: str, resource: str, name: str = "") -> bool:
    """Whether a rule allows a request (`RuleAllows`). ``resource`` may be ``pods/exec``; ``name`` empty: a request without one."""
    verbs, groups = rule.get("verbs") or (), rule.get("apiGroups") or ()
    if not (verb in verbs or "*" in verbs) or not (api_group in groups or "*" in groups):
        return False
    names, resources = rule.get("resourceNames") or (), rule.get("resources") or ()
    if names and name not in names:
        return False
    _, _, sub = resource.partition("/")
    return "*" in resources or resource in resources or (sub != "" and f"*/{sub}" in resources)


class Grant(NamedTuple):
    """One rule that holds for somebody. ``namespace`` None: in the whole cluster. ``path``: by which binding and role."""

    namespace: str | None
    rule: Obj
    path: str


class Rbac:
    """All roles and bindings that could be read."""

    def __init__(self, roles: Iterable[Obj], cluster_roles: Iterable[Obj], bindings: Iterable[Obj], cluster_bindings: Iterable[Obj]) -> None:
        self._roles = {(at(r, ("metadata", "namespace"), ""), at(r, ("metadata", "name"), "")): r for r in roles}
        self._cluster_roles = {at(r, ("metadata", "name"), ""): r for r in cluster_roles}
        self._by_subject: dict[tuple[str, str], list[tuple[str | None, Obj]]] = {}
        for binding in bindings:
            self._index(at(binding, ("metadata", "namespace"), ""), binding)
        for binding in cluster_bindings:
            self._index(None, binding)
        self._rules: dict[tuple[str, str], Sequence[tuple[Obj, str]]] = {}

    def _index(self, namespace: str | None, binding: Obj) -> None:
        for subject in dict.fromkeys(subjects_of(binding)):
            self._by_subject.setdefault(subject, []).append((namespace, binding))

    def bindings(self, who: Identity) -> list[tuple[str | None, Obj]]:
        """Every binding that is about ``who``, with the namespace in which it holds."""
        named = self._by_subject.get(("User", who.name), []) if who.name else []
        return [*named, *(b for g in who.groups for b in self._by_subject.get(("Group", g), ()))]

    def grants(self, who: Identity) -> Iterator[Grant]:
        """Every rule that holds for ``who``."""
        if MASTERS in who.groups:
            yield Grant(None, {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, f"group {MASTERS}")
        for namespace, binding in self.bindings(who):
            name = at(binding, ("metadata", "name"), "")
            bound = f"ClusterRoleBinding {name}" if namespace is None else f"RoleBinding {namespace}/{name}"
            for number, (rule, role) in enumerate(self.rules(binding)):
                yield Grant(namespace, rule, printable(f"{bound} → {role}", 400) + f" → rule {number}")

    def rules(self, binding: Obj) -> Sequence[tuple[Obj, str]]:
        """The rules of the role that a binding grants, each with the role's name; none where that role does not exist or is not known."""
        kind, name = at(binding, ("roleRef", "kind"), ""), at(binding, ("roleRef", "name"), "")
        namespace = at(binding, ("metadata", "namespace"), "") if kind == "Role" else ""
        if (namespace, name) not in self._rules:
            if kind == "Role":
                found = [(r, f"Role {namespace}/{name}") for r in at(self._roles.get((namespace, name)), ("rules",), ())]
            else:
                found = list(_effective(name, self._cluster_roles))
            self._rules[namespace, name] = found
        return self._rules[namespace, name]

    def known(self, binding: Obj) -> bool:
        """Whether the role that a binding grants was read."""
        kind, name = at(binding, ("roleRef", "kind"), ""), at(binding, ("roleRef", "name"), "")
        return (at(binding, ("metadata", "namespace"), ""), name) in self._roles if kind == "Role" else name in self._cluster_roles

    def allows(self, who: Identity, verb: str, api_group: str, resource: str, namespace: str = "", name: str = "") -> bool:
        """What a SubjectAccessReview answers. ``namespace`` empty: cluster-wide."""
        return any(covers(g.rule, verb, api_group, resource, name) for g in self.grants(who) if g.namespace in (None, namespace or None))


def _effective(name: str, roles: Mapping[str, Obj], above: tuple[str, ...] = ()) -> Iterator[tuple[Obj, str]]:
    """A ClusterRole's rules, and those that aggregation is to bring into it (clusterrole aggregation controller), each once."""
    role = roles.get(name)
    if role is None or name in above:
        return
    own = role.get("rules") or []
    yield from ((rule, f"ClusterRole {name}") for rule in own)
    for selector in at(role, ("aggregationRule", "clusterRoleSelectors"), ()):
        for other, found in roles.items():
            if other != name and selects(selector, labels_of(found)):
                yield from ((r, f"ClusterRole {name}, aggregated from {other}") for r, _ in _effective(other, roles, (*above, name)) if r not in own)
