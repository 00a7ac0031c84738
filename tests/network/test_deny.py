"""The policy that cuts one pod off."""

from __future__ import annotations

from irkit.network.deny import deny_policy, policy_ref, quarantine_labels
from irkit.network.verdict import judge, selecting
from tests.workloads.world import incident, pod

SUSPECT = pod("backend-1", labels={"app": "backend"})
INCIDENT = incident(SUSPECT)


def test_it_selects_nothing_until_the_pod_is_relabelled():
    policy = deny_policy(INCIDENT)
    relabelled = pod("backend-1", labels=quarantine_labels(INCIDENT))
    documented_only = pod("other", labels={"quarantine": "true"})
    assert selecting(SUSPECT, [policy]) == selecting(documented_only, [policy]) == ()
    assert judge(relabelled, [policy]) == ()


def test_its_name_labels_and_annotation_carry_the_incident():
    policy, ref = deny_policy(INCIDENT), policy_ref(INCIDENT)
    assert (ref.namespace, ref.name, ref.uid) == ("todo-app", "irkit-k7q2", "")
    assert (policy["metadata"]["namespace"], policy["metadata"]["name"]) == (ref.namespace, ref.name)
    assert policy["metadata"]["labels"] == {"irkit.dev/incident": "k7q2", "app.kubernetes.io/managed-by": "irkit"}
    assert policy["metadata"]["annotations"] == {"irkit.dev/incident-id": INCIDENT.id}
    assert quarantine_labels(INCIDENT) == {"quarantine": "true", "irkit.dev/incident": "k7q2"}
