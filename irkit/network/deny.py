"""The policy that cuts an incident's pod off, and the labels by which it finds it. Who makes them and who checks them ask here."""

from __future__ import annotations

from irkit.model.incident import INCIDENT_LABEL, QUARANTINE_LABEL, Incident
from irkit.model.kube import NETWORKPOLICIES, Obj, ObjectRef

MANAGED_BY = "app.kubernetes.io/managed-by"
INCIDENT_ANNOTATION = "irkit.dev/incident-id"  # the whole id, for people; a label may be too short for it


def policy_name(incident: Incident) -> str:
    return f"irkit-{incident.short}"


def policy_ref(incident: Incident) -> ObjectRef:
    """The policy's name, without uid: that is known once it is created."""
    return ObjectRef(resource=NETWORKPOLICIES, name=policy_name(incident), namespace=incident.target.namespace)


def quarantine_labels(incident: Incident) -> dict[str, str]:
    """The labels that the isolated pod carries: the documented one, and this incident's."""
    return {QUARANTINE_LABEL: "true", INCIDENT_LABEL: incident.short}


def deny_policy(incident: Incident) -> Obj:
    """The policy that restricts both directions of this incident's pod and allows nothing, DNS neither: it is an exfiltration channel."""
    return {
        "apiVersion": NETWORKPOLICIES.api_version,
        "kind": NETWORKPOLICIES.kind,
        "metadata": {
            "name": policy_name(incident),
            "namespace": incident.target.namespace,
            "labels": policy_labels(incident),
            "annotations": {INCIDENT_ANNOTATION: incident.id},
        },
        "spec": {"podSelector": {"matchLabels": quarantine_labels(incident)}, "policyTypes": ["Ingress", "Egress"]},
    }


def policy_labels(incident: Incident) -> dict[str, str]:
    """By these, and not by its name, irkit knows the policy as its own."""
    return {INCIDENT_LABEL: incident.short, MANAGED_BY: "irkit"}
