"""Binding a TARGET that is no pod: a Secret, a ServiceAccount, a namespace, a node; and the pods that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from irkit import credentials
from irkit.errors import ForbiddenError, IrkitError, NotFoundError, UsageError
from irkit.model.incident import Target
from irkit.model.kube import EVENTS, NAMESPACES, NODES, PODS, SECRETS, SERVICEACCOUNTS, Obj, ObjectRef, Resource, at, ref_of
from irkit.ports import ClusterReader
from irkit.text import nearest, plural, printable

RESOURCES: Mapping[str, Resource] = {"secret": SECRETS, "serviceaccount": SERVICEACCOUNTS, "namespace": NAMESPACES, "node": NODES}
"""The parameter types that stand for one object other than a pod or workload."""


def bind(resource: Resource, name: str, namespace: str, cluster: ClusterReader) -> Target:
    """The target as it is now. Raises UsageError where it is not there, with the nearest names and what can be done instead."""
    if resource == NAMESPACES:
        return _of_namespace(name or namespace, cluster)
    if resource == NODES:
        return _of_node(name, cluster)
    return _of_used(resource, name, namespace, cluster)


def asks(resource: Resource, namespace: str) -> list[Callable[[ClusterReader], object]]:
    """The reads that binding is going to need."""
    return [lambda c: c.list(PODS, None if resource == NODES else namespace)]


def _of_used(resource: Resource, name: str, namespace: str, cluster: ClusterReader) -> Target:
    """A Secret or ServiceAccount, with the pods that use it."""
    ref = ObjectRef(resource=resource, name=name, namespace=namespace)
    consumers = credentials.Consumers(namespace, cluster).of(ref)
    account = name if resource == SERVICEACCOUNTS else ""
    try:
        found = ref_of(cluster.get(ref), resource)
    except NotFoundError:
        raise _absent(ref, [str(c.ref) for c in consumers], cluster) from None
    return Target(pod=found, siblings=tuple(pod for c in consumers for pod in c.pods), service_account=account)


def _absent(ref: ObjectRef, users: Sequence[str], cluster: ClusterReader) -> UsageError:
    """What to say of a name that is not there: a mistake, or something that was deleted and is still used."""
    message = f"there is no {ref.kind} {printable(ref.name)} in namespace {printable(ref.namespace)}"
    if users:
        who = printable(", ".join(users[:5]), 400)
        void = "; its tokens are void with it" if ref.resource == SERVICEACCOUNTS else ""
        return UsageError(f"{message}, and {who} {'uses' if len(users) == 1 else 'use'} it: it was deleted{void}",
                          next=f"irkit rotate --scope namespace -n {printable(ref.namespace)}   rotates what is left")  # fmt: skip
    return UsageError(message + _near(ref.resource, ref.name, ref.namespace, cluster), next=f"kubectl get {ref.resource.plural} -n {ref.namespace}")


def _near(resource: Resource, name: str, namespace: str | None, cluster: ClusterReader) -> str:
    """The nearest names that there are, as far as they may be listed."""
    try:
        names = [str(at(o, ("metadata", "name"), "")) for o in cluster.list(resource, namespace)]
    except IrkitError:
        return ""
    if near := nearest(name, names, 3):
        return f"; did you mean {' or '.join(printable(n) for n in near)}?"
    return f"; it has {plural(len(names), resource.kind)}" if namespace else ""


def _of_namespace(name: str, cluster: ClusterReader) -> Target:
    try:
        found = ref_of(cluster.get(ObjectRef(resource=NAMESPACES, name=name)), NAMESPACES)
    except ForbiddenError:  # whoever may act in a namespace need not be allowed to read it
        found = ObjectRef(resource=NAMESPACES, name=name)
    except NotFoundError:
        hint = _near(NAMESPACES, name, None, cluster)
        raise UsageError(f"there is no namespace {printable(name)}{hint}", next="kubectl get namespaces") from None
    return Target(pod=found, siblings=_refs(cluster.list(PODS, name)))


def _of_node(name: str, cluster: ClusterReader) -> Target:
    """A node and its pods. One that is gone: its pods while the API still has them; what was mounted there is stolen all the same."""
    pods = [p for p in cluster.list(PODS) if at(p, ("spec", "nodeName")) == name]
    try:
        found = ref_of(cluster.get(ObjectRef(resource=NODES, name=name)), NODES)
    except NotFoundError:
        if not pods and not _known(name, cluster):
            raise UsageError(f"there is no node {printable(name)}{_near(NODES, name, None, cluster)}", next="kubectl get nodes") from None
        return Target(pod=ObjectRef(resource=NODES, name=name), gone=True, siblings=_refs(pods), node=name)
    return Target(pod=found, siblings=_refs(pods), node=name)


def _known(name: str, cluster: ClusterReader) -> bool:
    """Whether the cluster still has Events about a node of that name (they are kept for about an hour)."""
    try:
        return bool(cluster.list(EVENTS, "default", fields=f"involvedObject.kind=Node,involvedObject.name={name}"))
    except ForbiddenError:
        return False


def _refs(pods: Sequence[Obj]) -> tuple[ObjectRef, ...]:
    return tuple(ref_of(p, PODS) for p in pods)
