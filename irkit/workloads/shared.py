"""What the kinds of workloads have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from irkit.errors import ForbiddenError
from irkit.model.changes import Patch
from irkit.model.edits import Edit, field_value, present
from irkit.model.kube import PODS, SERVICES, Obj, ObjectRef, at, controller_of, is_ready, labels_of, ref_of
from irkit.ports import ClusterReader
from irkit.text import printable


class Observation(msgspec.Struct, frozen=True):
    """A workload as it was read. Base of all kinds; each says the rest of `workloads.base.Workload`."""

    ref: ObjectRef
    object: Obj
    cluster: ClusterReader

    @property
    def pods(self) -> Sequence[Obj]:
        return owned_pods(self.cluster, self.ref.namespace, {self.ref.uid})

    def selector(self) -> Obj | None:
        found: Obj | None = at(self.object, ("spec", "selector"))
        return found

    def on_stop(self) -> Iterator[str]:
        return iter(())

    def on_detach(self, suspect: ObjectRef) -> Iterator[str]:
        yield from mounted_claims(self.cluster, suspect)

    def warnings(self, suspect: ObjectRef | None) -> Iterator[str]:
        if suspect is not None:
            yield from self.on_detach(suspect)
        yield from self.on_stop()

    @property
    def observed(self) -> bool:
        """Whether its controller has seen the newest spec, so that its status can be believed."""
        generation: int = at(self.object, ("metadata", "generation"), 0)
        seen: int = at(self.object, ("status", "observedGeneration"), 0)
        return seen >= generation

    def status(self, field: str) -> int:
        """A count of the status; 0 where the API leaves it out."""
        count: int = at(self.object, ("status", field), 0)
        return count


def active(pods: Sequence[Obj]) -> list[Obj]:
    """Those that have not finished. A controller that wants no pods deletes just these (FilterActivePods, controller_utils.go);
    completed and evicted ones stay."""
    return [p for p in pods if at(p, ("status", "phase")) not in ("Succeeded", "Failed")]


def endings(pods: Sequence[Obj]) -> tuple[ObjectRef, ...]:
    """The pods of a workload that end when it is stopped."""
    return tuple(ref_of(p, PODS) for p in active(pods))


def owned_pods(cluster: ClusterReader, namespace: str, owners: set[str]) -> tuple[Obj, ...]:
    """The pods whose controller has one of these uids: by one list of the namespace, whatever labels say."""
    return tuple(p for p in cluster.list(PODS, namespace) if (controller_of(p) or {}).get("uid") in owners)


def edit(obj: Obj, path: tuple[str, ...], after: object) -> Edit:
    """One field of ``obj``, from what it is to ``after``."""
    return Edit(path=path, before=field_value(obj, path), after=present(after))


def suspend(ref: ObjectRef, obj: Obj, pods: tuple[ObjectRef, ...] = ()) -> Patch:
    """``spec.suspend`` of a Job or CronJob."""
    return Patch(ref=ref, edits=(edit(obj, ("spec", "suspend"), True),), action="suspend", why=f"stop {ref}", pods=pods)


def outage(cluster: ClusterReader, namespace: str, labels: Mapping[str, str], ending: Sequence[Obj], what: str) -> Iterator[str]:
    """Which Services lose their last endpoint when the pods ``ending`` are gone. ``what``: ``3 → 0 replicas``.

    A Service selects by ``spec.selector``, a plain map; without one its endpoints are somebody else's business.
    """
    try:
        services = cluster.list(SERVICES, namespace)
    except ForbiddenError:
        yield f"{what}: not checked whether a Service loses its endpoints, because listing Services is forbidden"
        return
    gone = {at(p, ("metadata", "uid")) for p in ending}
    staying = [p for p in cluster.list(PODS, namespace) if at(p, ("metadata", "uid")) not in gone]
    for service in services:
        wanted = at(service, ("spec", "selector"))
        if wanted and _covers(wanted, labels) and not any(_covers(wanted, labels_of(p)) and _serving(p, service) for p in staying):
            yield printable(f"{what}: Service {namespace}/{at(service, ('metadata', 'name'))} will have no endpoints", 600)


def _covers(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())


def _serving(pod: Obj, service: Obj) -> bool:
    if at(pod, ("metadata", "deletionTimestamp")) or not active([pod]):
        return False
    return bool(at(service, ("spec", "publishNotReadyAddresses"))) or is_ready(pod)


def find_pod(cluster: ClusterReader, suspect: ObjectRef) -> Obj | None:
    """The very pod, by the list of its namespace; None where it is gone."""
    pods = cluster.list(PODS, suspect.namespace)
    return next((p for p in pods if ref_of(p, PODS).same(suspect)), None)


def mounted_claims(cluster: ClusterReader, suspect: ObjectRef) -> Iterator[str]:
    """The kept pod goes on holding, and writing to, its volumes."""
    volumes = at(find_pod(cluster, suspect) or {}, ("spec", "volumes")) or ()
    claims = [v["persistentVolumeClaim"].get("claimName", "") for v in volumes if v.get("persistentVolumeClaim")]
    if claims:
        few = ", ".join(claims[:4]) + (f" and {len(claims) - 4} more" if len(claims) > 4 else "")
        yield printable(f"PersistentVolumeClaim {few} stays mounted, and writable, by the quarantined pod", 600)


def host_ports(template_spec: Obj) -> tuple[int, ...]:
    """The ports that a pod takes on its node; of a pod on the host network, all that it declares."""
    shared = bool(template_spec.get("hostNetwork"))
    found = [p.get("hostPort") or (p.get("containerPort") if shared else None)
             for c in template_spec.get("containers") or () for p in c.get("ports") or ()]  # fmt: skip
    return tuple(p for p in found if p)


def finished(job: Obj) -> bool:
    """Whether a Job is over: condition Complete or Failed is True."""
    return any(c.get("type") in ("Complete", "Failed") and c.get("status") == "True" for c in at(job, ("status", "conditions")) or ())
