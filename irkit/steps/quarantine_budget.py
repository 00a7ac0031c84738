"""What keeps others from ending a pod that is kept as evidence: word to the cluster autoscaler, and a PodDisruptionBudget against drains.

Node pressure, preemption, a pod's own deadline and a plain delete ask neither. A budget of 0 allows no eviction, of a pod
that is not ready either (``desiredHealthy`` stays 0; pkg/registry/core/pod/storage/eviction.go, *seen* with 1.35), whoever
controls it or nobody. It comes after the verdict and nothing waits for it: where one may not, that is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from irkit.errors import ForbiddenError
from irkit.model.changes import Create
from irkit.model.incident import Incident
from irkit.model.kube import PDBS, Obj, ObjectRef
from irkit.network import deny
from irkit.ports import Observed, exists

STAY = ("metadata", "annotations", "cluster-autoscaler.kubernetes.io/safe-to-evict")
"""By "false" the cluster autoscaler leaves a pod's node standing (kubernetes/autoscaler, FAQ)."""


def budget_ref(incident: Incident, namespace: str) -> ObjectRef:
    return ObjectRef(resource=PDBS, name=deny.policy_name(incident), namespace=namespace)


def budget(incident: Incident, namespace: str) -> Obj:
    """Selects by the quarantine's labels, as the policy does, and allows no disruption."""
    meta = {"name": deny.policy_name(incident), "namespace": namespace, "labels": deny.policy_labels(incident),
            "annotations": {deny.INCIDENT_ANNOTATION: incident.id}}  # fmt: skip
    spec = {"maxUnavailable": 0, "selector": {"matchLabels": deny.quarantine_labels(incident)}}
    return {"apiVersion": PDBS.api_version, "kind": PDBS.kind, "metadata": meta, "spec": spec}


def missing(incident: Incident, namespace: str, seen: Observed) -> Iterator[Create]:
    """The budget, where it is not there. Before it was begun nothing is read: its name is the incident's alone.

    What the cluster did not take is tried once a run, and in later runs only by who may by then.
    """
    create = Create(ref=budget_ref(incident, namespace), object=budget(incident, namespace), why="keeps drains from evicting it", optional=True)
    tried = f"{create.mark}@"
    if f"{tried}{seen.run}" in seen.marks or (_begun(create, seen) and _there(create.ref, seen)):
        return
    if any(mark.startswith(tried) for mark in seen.marks) and not seen.cluster.can(create.permissions[0]):
        return
    yield create


def _begun(create: Create, seen: Observed) -> bool:
    return any(isinstance(c, Create) and c.ref.same(create.ref) for c in seen.begun)


def _there(ref: ObjectRef, seen: Observed) -> bool:
    """Whoever may not look believes the journal. What somebody changed in it is theirs."""
    try:
        return exists(seen.cluster, ref) is not None
    except ForbiddenError:
        return True
