"""An incident: what was bound, once, when it opened. Containment changes the world, never these names."""

from __future__ import annotations

from typing import Any

from irkit.model.kube import NAMESPACES, PODS, Obj, ObjectRef, Value, controller_of
from irkit.text import printable

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
    """What an incident is about, as it was found. ``gone``: it had ended before irkit came, and only traces are left.

    ``pod`` is the pod under suspicion. An incident about a Secret, a ServiceAccount, a namespace or a node has that
    object in its place, and in ``siblings`` the pods that use it, or run there.
    """

    pod: ObjectRef
    gone: bool = False
    labels: dict[str, str] = {}
    owners: tuple[ObjectRef, ...] = ()  # nearest first, as in ReplicaSet, Deployment
    workload: ObjectRef | None = None  # the last owner that irkit can stop; None for a bare pod
    siblings: tuple[ObjectRef, ...] = ()  # the suspect first, then all pods of the workload; of no pod: those that use it
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
        """Where everything happens; empty for a node, whose pods are in many."""
        return self.pod.name if self.pod.resource == NAMESPACES else self.pod.namespace

    @property
    def is_pod(self) -> bool:
        """Whether it is about a pod, or a workload by one of its pods."""
        return self.pod.resource == PODS

    @property
    def words(self) -> str:
        """As on the command line: ``backend-7c7c-x2 -n todo-app``, ``node-1``, ``-n todo-app``."""
        name = "" if self.pod.resource == NAMESPACES else self.pod.name
        return printable(" ".join(part for part in (name, f"-n {self.namespace}" if self.namespace else "") if part), 600)

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


class Reported(Value, frozen=True):
    """What people said that irkit can't know: who noticed it, what, and since when (RFC 3339, UTC)."""

    by: str = ""
    summary: str = ""
    severity: str = ""  # critical | high | medium | low
    started_at: str = ""

    def over(self, earlier: Reported) -> Reported:
        """With what only the earlier report says."""
        return Reported(by=self.by or earlier.by, summary=self.summary or earlier.summary, severity=self.severity or earlier.severity,
                        started_at=self.started_at or earlier.started_at)  # fmt: skip


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
    reported: Reported = Reported()  # as it was opened with; `State.reported` has what was said since
    playbook_severity: str = ""

    @property
    def severity(self) -> str:
        """As reported, else the playbook's."""
        return self.reported.severity or self.playbook_severity

    @property
    def short(self) -> str:
        """The last part of the id: unique within a namespace's lifetime, short enough for object names and labels."""
        return self.id.rsplit("-", 1)[-1]
