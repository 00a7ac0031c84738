"""The policy that cuts an incident's pod off, and the labels by which it finds it. Who makes them and who checks them ask here."""

from __future__ import annotations

from irkit.model.incident import INCIDENT_LABEL, QUARANTINE_LABEL, Incident
from irkit.model.kube import NETWORKPOLICIES, Obj, ObjectRef, selects

# By these the controllers of StatefulSets and DaemonSets tell whether a pod of theirs is up to date; one that they still
# own is deleted at once when it has lost them (getPodRevision, stateful_set_utils.go; IsPodUpdated, daemonset_util.go; seen with 1.35).
_REVISION = (
    "apps.kubernetes.io/pod-index",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
)
MANAGED_BY = "app.kubernetes.io/managed-by"
INCIDENT_ANNOTATION = "irkit.dev/incident-id"  # the whole id, for people; a label may be too short for it


def policy_name(incident: Incident) -> str:
    return f"irkit-{incident.short}"


def policy_ref(incident: Incident, namespace: str = "") -> ObjectRef:
    """The policy's name, without uid: that is known once it is created. ``namespace``: default, the incident's."""
    return ObjectRef(resource=NETWORKPOLICIES, name=policy_name(incident), namespace=namespace or incident.target.namespace)


def quarantine_labels(incident: Incident) -> dict[str, str]:
    """The labels that the isolated pod carries: the documented one, and this incident's."""
    return {QUARANTINE_LABEL: "true", INCIDENT_LABEL: incident.short}


def stays_selected(incident: Incident) -> bool:
    """Whether the pod's controller goes on selecting it, by labels that admission demands or by what it asks to be absent."""
    target = incident.target
    kept = {k: v for k, v in target.labels.items() if k in target.kept_labels}
    return target.selector is not None and selects(target.selector, {**kept, **quarantine_labels(incident)})


def kept_labels(incident: Incident) -> tuple[str, ...]:
    """The keys that are not stripped: those that admission demands and, where the controller never lets go, its own."""
    target = incident.target
    if not stays_selected(incident):
        return target.kept_labels
    return (*target.kept_labels, *(k for k in _REVISION if k in target.labels and k not in target.kept_labels))


def deny_policy(incident: Incident, namespace: str = "") -> Obj:
    """The policy that restricts both directions of this incident's pod and allows nothing, DNS neither: it is an exfiltration channel."""
    return {
        "apiVersion": NETWORKPOLICIES.api_version,
        "kind": NETWORKPOLICIES.kind,
        "metadata": {
            "name": policy_name(incident),
            "namespace": namespace or incident.target.namespace,
            "labels": policy_labels(incident),
            "annotations": {INCIDENT_ANNOTATION: incident.id},
        },
        "spec": {"podSelector": {"matchLabels": quarantine_labels(incident)}, "policyTypes": ["Ingress", "Egress"]},
    }


def policy_labels(incident: Incident) -> dict[str, str]:
    """By these, and not by its name, irkit knows the policy as its own."""
    return {INCIDENT_LABEL: incident.short, MANAGED_BY: "irkit"}
