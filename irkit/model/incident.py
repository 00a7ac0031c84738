"""An incident: what was bound, once, when it opened. Containment changes the world, never these names."""

from __future__ import annotations

from typing import Any

from irkit.model.kube import PODS, Obj, ObjectRef, Value, controller_of

INCIDENT_LABEL = "irkit.dev/incident"
QUARANTINE_LABEL = "quarantine"  # the label of the documented procedure; its value is "true"
LABELS_ANNOTATION = "irkit.dev/original-labels"  # a hint for people: the truth is the journal


class Operator(Value, frozen=True):
    """Who ran irkit, by SelfSubjectReview (KEP-3325)."""

    name: str
    groups: tuple[str, ...] = ()


class ClusterIdentity(Value, frozen=True):
    """Which cluster this is. ``uid`` is the UID of namespace kube-system, the usual stand-in for a cluster id."""

    context: str
    server: str
    uid: str
    version: str = ""  # gitVersion of the API server
    clock_skew: float | None = None  # seconds that the API server's Date header is ahead of this machine; None: not measured


class Container(Value, frozen=True):
    name: str
    kind: str = "container"  # container | init | ephemeral
    image: str = ""
    image_id: str = ""
    restarts: int = 0
    started: bool = True


class Target(Value, frozen=True):
    """The suspect, as it was found. ``gone``: the pod had ended before irkit came, and only its owner is left."""

    pod: ObjectRef
    gone: bool = False
    labels: dict[str, str] = {}
    owners: tuple[ObjectRef, ...] = ()  # nearest first, as in ReplicaSet, Deployment
    workload: ObjectRef | None = None  # the last owner that irkit can stop; None for a bare pod
    siblings: tuple[ObjectRef, ...] = ()  # the suspect first, then all pods of the workload
    node: str = ""
    service_account: str = ""
    containers: tuple[Container, ...] = ()
    host_network: bool = False
    mirror: bool = False  # a static pod: the API object does not control the containers
    created: str = ""
    phase: str = ""
    selector: Obj | None = None  # by which the nearest owner selects its pods
    kept_labels: tuple[str, ...] = ()  # keys that admission demands: they stay on the quarantined pod

    @property
    def namespace(self) -> str:
        return self.pod.namespace

    @property
    def stoppable(self) -> ObjectRef | None:
        """The workload, if there is more to stop than the pod itself."""
        return None if self.workload is None or self.workload.resource == PODS else self.workload

    def is_suspect(self, pod: ObjectRef) -> bool:
        """Whether this is the very pod. Of one that is gone the uid may not be known: what has its name now is another one."""
        return (pod.uid, pod.namespace, pod.name) == (self.pod.uid, self.pod.namespace, self.pod.name)

    def controller(self, pod: Obj | None) -> ObjectRef | None:
        """The bound owner that controls the suspect ``pod`` as it is now; None once it let go, and of a pod that is gone."""
        controller = controller_of(pod) if pod and not self.gone else None
        return next((o for o in self.owners if controller and o.uid == controller.get("uid")), None)


class Incident(Value, frozen=True):
    """Everything that later steps need to know of the beginning."""

    id: str
    opened: str  # RFC 3339, UTC
    operator: Operator
    cluster: ClusterIdentity
    target: Target
    playbook: str
    playbook_digest: str = ""
    phase: str = ""  # empty: all phases of the playbook
    parameters: dict[str, Any] = {}
    keep_workload: bool = False  # the operator asked to leave the workload running

    @property
    def short(self) -> str:
        """The last part of the id: unique within a namespace's lifetime, short enough for object names and labels."""
        return self.id.rsplit("-", 1)[-1]
