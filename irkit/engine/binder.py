"""Binding: what a name on the command line stands for, looked up once, when the incident opens."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence

import msgspec

from irkit import workloads
from irkit.engine import subjects
from irkit.errors import ForbiddenError, InvalidError, NotFoundError, UsageError
from irkit.model.evidence import event_time
from irkit.model.incident import Container, Target
from irkit.model.kube import (
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    EVENTS,
    HPAS,
    JOBS,
    KNOWN,
    NAMESPACES,
    NETWORKPOLICIES,
    PODS,
    REPLICASETS,
    SERVICES,
    STATEFULSETS,
    Obj,
    ObjectRef,
    Resource,
    annotations_of,
    at,
    labels_of,
    ref_of,
)
from irkit.ports import Clock, ClusterReader
from irkit.text import nearest, printable

_SHORT = {"po": PODS, "deploy": DEPLOYMENTS, "rs": REPLICASETS, "sts": STATEFULSETS, "ds": DAEMONSETS, "cj": CRONJOBS}
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"  # no vowels, nothing that looks like another


class Wanted(msgspec.Struct, frozen=True):
    """A TARGET as typed: a pod, ``kind/name``, a label selector; or an object of the kind that the playbook is about."""

    resource: Resource
    name: str = ""
    selector: str = ""

    def __str__(self) -> str:
        return printable(f"-l {self.selector}" if self.selector else f"{self.resource.kind} {self.name}")


def parse(target: str | None, selector: str | None = None, takes: str = "pod") -> Wanted:
    """``takes``: the type of the playbook's target. Raises UsageError for what can't name an object (RFC 1123 subdomain)."""
    if (resource := subjects.RESOURCES.get(takes)) is not None:
        return _subject(target, selector, resource)
    if bool(target) == bool(selector):
        raise UsageError("name one target: POD, kind/name, or -l SELECTOR")
    if selector:
        return Wanted(PODS, selector=selector)
    assert target is not None
    kind, slash, name = target.partition("/")
    if not slash:
        kind, name = "pod", target
    resource = _SHORT.get(kind.lower()) or next((r for r in KNOWN if kind.lower() in (r.kind.lower(), r.plural)), None)
    if resource is None or resource not in _OWNERS:
        near = nearest(kind.lower(), [r.kind.lower() for r in _OWNERS])
        hint = f"; did you mean {near[0]}/{printable(name)}?" if near else "; one of " + ", ".join(r.kind.lower() for r in _OWNERS)
        raise UsageError(f"'{printable(kind, 60)}' is no kind that can be contained{hint}")
    return Wanted(resource, _name(name, resource))


def _subject(target: str | None, selector: str | None, resource: Resource) -> Wanted:
    """``NAME`` or ``kind/NAME`` of the one kind that the playbook is about; a namespace may also be given by ``-n`` alone."""
    what = resource.kind.lower()
    if selector or (not target and resource != NAMESPACES):
        raise UsageError(f"this playbook is about a {resource.kind}: name one, as in {what}/NAME" + ("; it takes no -l" if selector else ""))
    kind, slash, name = (target or "").rpartition("/")
    if slash and kind.lower() not in (what, resource.plural, _SHORT_SUBJECTS[what]):
        raise UsageError(f"this playbook is about a {resource.kind}, not about '{printable(kind, 60)}'; did you mean {what}/{printable(name)}?")
    return Wanted(resource, _name(name, resource) if target else "")


def _name(name: str, resource: Resource) -> str:
    if len(name) > 253 or not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name):
        raise UsageError(
            f"'{printable(name, 60)}' can't be the name of a {resource.kind}: lower-case letters, digits, '-' and '.', at most 253 characters"
        )
    return name


_SHORT_SUBJECTS = {"secret": "secrets", "serviceaccount": "sa", "namespace": "ns", "node": "no"}
_OWNERS = (PODS, DEPLOYMENTS, REPLICASETS, STATEFULSETS, DAEMONSETS, JOBS, CRONJOBS)


def asks(namespace: str, about: Resource = PODS) -> list[Callable[[ClusterReader], object]]:
    """The reads that a run is going to need, for `Snapshot.warm`: the sooner first. ``about``: what its target is."""
    if about in subjects.RESOURCES.values():
        return subjects.asks(about, namespace)
    lists = (PODS, NETWORKPOLICIES, REPLICASETS, DEPLOYMENTS, SERVICES, HPAS)
    found: list[Callable[[ClusterReader], object]] = [lambda c, r=r: c.list(r, namespace) for r in lists]  # type: ignore[misc]
    found.append(lambda c: c.list(DAEMONSETS))
    return found


def bind(wanted: Wanted, namespace: str, cluster: ClusterReader, *, any_pod: bool = False) -> Target:
    """The target as it is now. Raises UsageError where it is unknown or not one pod; ``any_pod``: one of them will do."""
    if wanted.resource in subjects.RESOURCES.values():
        return subjects.bind(wanted.resource, wanted.name, namespace, cluster)
    pods = cluster.list(PODS, namespace)
    found = _matching(wanted, pods, namespace, cluster)
    if len(found) == 1 or (found and any_pod):
        return of_pod(found[0], cluster)
    if found:
        names = "\n".join(f"  {printable(p['metadata']['name'])}" for p in found[:20])
        raise UsageError(
            f"{wanted} in {printable(namespace)} is {len(found)} pods; name one of them:\n{names}", next="the same command with one of these names"
        )
    if wanted.resource is PODS and wanted.name:
        return _gone(wanted, namespace, pods, cluster)
    if wanted.selector:
        raise UsageError(f"no pod in {printable(namespace)} matches {wanted}", next=f"kubectl get pods -n {printable(namespace)} --show-labels")
    return _of_idle(wanted, namespace, cluster)


def _matching(wanted: Wanted, pods: Sequence[Obj], namespace: str, cluster: ClusterReader) -> Sequence[Obj]:
    if wanted.selector:
        try:
            return cluster.list(PODS, namespace, labels=wanted.selector)
        except InvalidError as error:
            raise UsageError(f"{wanted} is no label selector: {error.message}", next="a selector is like app=web,tier!=front") from None
    if wanted.resource is PODS:
        return [p for p in pods if p["metadata"]["name"] == wanted.name]
    try:
        return workloads.observe(ObjectRef(resource=wanted.resource, name=wanted.name, namespace=namespace), cluster).pods
    except NotFoundError:
        names = [o["metadata"]["name"] for o in cluster.list(wanted.resource, namespace)]
        near = nearest(wanted.name, names, 3)
        hint = f"; did you mean {' or '.join(printable(n) for n in near)}?" if near else ""
        where = f"kubectl get {wanted.resource.plural} -n {printable(namespace)}"
        raise UsageError(f"there is no {wanted} in {printable(namespace)}{hint}", next=where) from None


def of_pod(pod: Obj, cluster: ClusterReader) -> Target:
    """Everything about one pod that later steps must not look up again."""
    spec, status, ref = pod.get("spec") or {}, pod.get("status") or {}, ref_of(pod, PODS)
    owners = workloads.owner_chain(pod, cluster)
    workload = workloads.workload_of(pod, owners)
    siblings = [ref]
    selector = None
    if workload.resource != PODS:
        siblings += [r for p in workloads.observe(workload, cluster).pods if (r := ref_of(p, PODS)).uid != ref.uid]
        selector = at(_nearest_owner(owners, cluster), ("spec", "selector"))
    return Target(
        pod=ref, labels=dict(labels_of(pod)), owners=tuple(owners), workload=workload, siblings=tuple(siblings),
        node=spec.get("nodeName") or "", service_account=spec.get("serviceAccountName") or "", containers=_containers(spec, status),
        host_network=bool(spec.get("hostNetwork")), mirror="kubernetes.io/config.mirror" in annotations_of(pod),
        created=pod["metadata"].get("creationTimestamp") or "", phase=status.get("phase") or "", selector=selector,
    )  # fmt: skip


def _nearest_owner(owners: Sequence[ObjectRef], cluster: ClusterReader) -> Obj:
    try:
        return cluster.get(owners[0])
    except NotFoundError:
        return {}


def _containers(spec: Obj, status: Obj) -> tuple[Container, ...]:
    found = []
    for kind, field in (("init", "initContainers"), ("container", "containers"), ("ephemeral", "ephemeralContainers")):
        states = {s.get("name"): s for s in status.get(f"{field[:-1]}Statuses") or ()}
        for container in spec.get(field) or ():
            state = states.get(container.get("name")) or {}
            ran = bool({"running", "terminated"} & set(state.get("state") or ())) or bool(state.get("lastState"))
            found.append(Container(
                name=container.get("name", ""), kind=kind, image=container.get("image", ""), image_id=state.get("imageID", ""),
                restarts=state.get("restartCount", 0), started=ran,
            ))  # fmt: skip
    return tuple(found)


def _gone(wanted: Wanted, namespace: str, pods: Sequence[Obj], cluster: ClusterReader) -> Target:
    """A pod that has ended: an incident on its owner, where an Event or a living owner matches the name.

    Raises UsageError where neither does, or no Event does and a living pod is called almost the same: then the name is a
    mistake, and the nearest ones are offered. To stop a workload because of a slip would end the very pod that was meant.
    """
    events = _events(wanted.name, namespace, cluster)
    uid = next((u for e in events if (u := at(e, ("involvedObject", "uid"), ""))), "")
    owner = _owner_by_name(wanted.name, namespace, cluster)
    if not events and (owner is None or _slip(wanted.name, owner, pods)):
        raise _unknown(wanted, namespace, pods, cluster)
    pod = ObjectRef(resource=PODS, name=wanted.name, namespace=namespace, uid=uid)
    if owner is None:
        return Target(pod=pod, gone=True, siblings=())
    obj = cluster.get(owner)
    workload = workloads.workload_of(obj, [owner, *workloads.owner_chain(obj, cluster)])
    siblings = tuple(ref_of(p, PODS) for p in workloads.observe(workload, cluster).pods)
    node = next((n for e in events if (n := at(e, ("source", "host"), ""))), "")
    account = at(obj, ("spec", "template", "spec", "serviceAccountName"), "")
    owners = (owner,) if owner.same(workload) else (owner, workload)
    return Target(pod=pod, gone=True, owners=owners, workload=workload, siblings=siblings, node=node, service_account=account,
                  labels=at(obj, ("spec", "template", "metadata", "labels"), {}), selector=at(obj, ("spec", "selector")))  # fmt: skip


def _events(pod: str, namespace: str, cluster: ClusterReader) -> Sequence[Obj]:
    """What the cluster still says about pods of that name, the newest first: of several that had it, the last is meant."""
    try:
        found = cluster.list(EVENTS, namespace, fields=f"involvedObject.kind=Pod,involvedObject.name={pod}")
    except ForbiddenError:
        return ()  # then its name alone must tell whose it was
    return sorted(found, key=event_time, reverse=True)


def _owner_by_name(name: str, namespace: str, cluster: ClusterReader) -> ObjectRef | None:
    """The living controller that would have made a pod of this name: the longest ``OWNER-suffix`` that fits."""
    candidates = [(ref_of(o, r), r) for r in (REPLICASETS, STATEFULSETS, DAEMONSETS, JOBS) for o in cluster.list(r, namespace)]
    fits = [ref for ref, r in candidates if re.fullmatch(re.escape(ref.name) + (r"-\d+" if r is STATEFULSETS else r"-(\d+-)?[a-z0-9]{5}"), name)]
    return max(fits, key=lambda ref: len(ref.name), default=None)


def _slip(name: str, owner: ObjectRef, pods: Sequence[Obj]) -> bool:
    """Whether it is the name of a living pod but for one letter, or two that are swapped; of two suffixes drawn at random, 1 in 100,000 is."""
    if owner.resource is STATEFULSETS:
        return False  # web-0 beside web-1 is no slip
    for living in (pod["metadata"]["name"] for pod in pods):
        wrong = [n for n, (a, b) in enumerate(zip(name, living, strict=False)) if a != b] if len(name) == len(living) else []
        if len(wrong) == 1 or (len(wrong) == 2 and sorted(name) == sorted(living)):
            return True
    return False


def _unknown(wanted: Wanted, namespace: str, pods: Sequence[Obj], cluster: ClusterReader) -> UsageError:
    near = nearest(wanted.name, [p["metadata"]["name"] for p in pods], 3)
    message = f"there is no pod {printable(wanted.name)} in namespace {printable(namespace)}"
    try:
        elsewhere = [p["metadata"]["namespace"] for p in cluster.list(PODS, None, fields=f"metadata.name={wanted.name}")]
    except Exception:  # noqa: BLE001 -- only an offer; most on-calls may not list all namespaces
        elsewhere = []
    if elsewhere:
        return UsageError(f"{message}; it is in {', '.join(map(printable, elsewhere))}", next=f"the same command with -n {printable(elsewhere[0])}")
    hint = f"; did you mean {' or '.join(printable(n) for n in near)}?" if near else f"; it has {len(pods)} pods"
    return UsageError(message + hint, next=f"kubectl get pods -n {printable(namespace)}")


def _of_idle(wanted: Wanted, namespace: str, cluster: ClusterReader) -> Target:
    """A workload that has no pods now: an incident on it, as for a pod that is gone."""
    ref = ref_of(cluster.get(ObjectRef(resource=wanted.resource, name=wanted.name, namespace=namespace)), wanted.resource)
    obj = cluster.get(ref)
    pod = ObjectRef(resource=PODS, name=f"{wanted.name}-none", namespace=namespace)
    return Target(pod=pod, gone=True, owners=(ref,), workload=ref, selector=at(obj, ("spec", "selector")))


def new_id(target: Target, clock: Clock) -> str:
    """``20260122T031502Z-backend-k7q2``: sorts by time; the last part names objects and labels."""
    return promised_id((target.workload or target.pod).name, clock)


def promised_id(name: str, clock: Clock) -> str:
    """The id of an incident that is not bound yet. ``name``: of what it is about, as on the command line."""
    base = re.sub(r"[^a-z0-9-]", "-", name.rpartition("/")[2][:40].strip(".-"))
    short = "".join(secrets.choice(_ALPHABET) for _ in range(6))
    return f"{clock.now():%Y%m%dT%H%M%SZ}-{base}-{short}"
