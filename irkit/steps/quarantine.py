"""Cut one pod off the network by policy, and take it out of everything that selects it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from irkit import workloads
from irkit.errors import NotFoundError, RefusedError
from irkit.model.arguments import Pod
from irkit.model.changes import Await, Change, Check, Create, Patch
from irkit.model.edits import ABSENT, Edit, FieldValue, field_value, present
from irkit.model.incident import LABELS_ANNOTATION, Incident
from irkit.model.kube import NETWORKPOLICIES, Obj, ObjectRef, at, labels_of
from irkit.model.plan import Confirm
from irkit.network import deny, verdict
from irkit.ports import Observed, exists
from irkit.steps import quarantine_budget
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Quarantine:
    """End state: ``pod`` is selected by this incident's deny policy, has no other labels, and no controller owns it.

    The policy comes first and selects nothing yet; then one patch strips the pod's labels and adds the quarantine's, so
    that at no instant the pod is less restricted than before. The same patch and a budget of the incident's own, which
    comes after the verdict, keep autoscaler and drains from ending the pod. NetworkPolicies are additive: a policy that still
    selects the pod keeps allowing what it allows, which the verdict then names.
    """

    kind: ClassVar[str] = "quarantine"
    confirm: ClassVar[Confirm] = "ask"

    pod: Pod

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        pod = None if incident.target.gone else exists(seen.cluster, self.pod)
        if pod is None:
            yield from _judged(self, seen)
            return
        policy = deny.deny_policy(incident)
        if not in_force(policy, deny.policy_ref(incident), seen):
            yield Create(ref=deny.policy_ref(incident), object=policy, why="denies all traffic of this incident's pod")
        if edits := tuple(label_edits(pod, incident.target.labels, incident)):
            yield Patch(ref=self.pod, edits=edits, action="relabel", why="only the incident's policy selects it")
        yield from _judged(self, seen)
        yield from quarantine_budget.missing(incident, self.pod.namespace, seen)
        owner = incident.target.controller(pod)
        if owner is not None and workloads.lets_go(owner, pod) and not deny.stays_selected(incident):
            yield Await(condition="detached", ref=self.pod, owner=owner)

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        pod = None if incident.target.gone else exists(seen.cluster, self.pod)
        if pod is None:
            yield "the pod is gone: nothing is left to cut off"
            return
        if ending := at(pod, ("metadata", "deletionTimestamp")):
            yield f"the pod is being deleted since {printable(ending)}: it ends whatever irkit does, and what is not collected by then is lost"
        if incident.target.host_network:
            yield "hostNetwork: no NetworkPolicy can select this pod; it will not be isolated"
        if incident.target.mirror:
            yield "static pod: its containers are run by the node, whatever the API says; relabelling changes only its mirror"
        if incident.target.kept_labels:
            yield f"admission demands these labels, so they stay: {', '.join(incident.target.kept_labels)}"
        yield from _detaching(incident, seen)
        policies = seen.cluster.list(NETWORKPOLICIES, self.pod.namespace)
        for leak in verdict.judge(_as_quarantined(pod, incident), [*policies, deny.deny_policy(incident)]):
            yield f"stays open: {leak.direction} by {leak.policy or 'no policy'}: {leak.peer}, {leak.ports}"


def _detaching(incident: Incident, seen: Observed) -> Iterator[str]:
    """What its workload does once the pod is let go of."""
    if (owner := next(iter(incident.target.owners), None)) is not None and workloads.kind_of(owner.resource) is None:
        yield f"{owner} owns it, a kind that irkit does not know: whether it lets go of the pod, replaces or deletes it is not known"
    if incident.target.workload is None:
        return
    try:
        workload = workloads.observe(incident.target.workload, seen.cluster)
    except NotFoundError:
        return
    if deny.stays_selected(incident):
        yield f"{incident.target.workload} still selects it and does not let go: it can't be stopped without ending the pod under suspicion"
        return
    yield from workload.on_detach(incident.target.pod)


def in_force(policy: Obj, ref: ObjectRef, seen: Observed) -> bool:
    """Whether the policy is there as irkit made it. Raises RefusedError where another object has its name, or it was changed."""
    found = next((p for p in seen.cluster.list(NETWORKPOLICIES, ref.namespace) if p["metadata"]["name"] == ref.name), None)
    if found is None:
        return False
    if any(labels_of(found).get(k) != v for k, v in labels_of(policy).items()):
        raise RefusedError(
            f"{ref} exists and is not irkit's; it is not overwritten", next=f"kubectl -n {ref.namespace} get netpol {ref.name} -o yaml"
        )
    if found.get("spec") != policy["spec"]:
        raise RefusedError(
            f"{ref} was changed since irkit made it; it is not overwritten", next=f"kubectl -n {ref.namespace} describe netpol {ref.name}"
        )
    return True


def label_edits(pod: Obj, before: Mapping[str, str], incident: Incident) -> Iterator[Edit]:
    """What makes its labels the quarantine's, and tells the autoscaler to leave it; ``before``: the labels that are noted on it for people."""
    current, wanted = labels_of(pod), deny.quarantine_labels(incident)
    keep = set(deny.kept_labels(incident))
    stripped = sorted(current.keys() - wanted.keys() - keep)
    relabels = bool(stripped) or any(current.get(k) != v for k, v in wanted.items())
    for key in stripped:
        yield Edit(("metadata", "labels", key), present(current[key]), ABSENT)
    for key, value in wanted.items():
        if current.get(key) != value:
            was: FieldValue = present(current[key]) if key in current else ABSENT
            yield Edit(("metadata", "labels", key), was, present(value))
    path = ("metadata", "annotations", LABELS_ANNOTATION)
    original = msgspec.json.encode(before, order="sorted").decode()
    if field_value(pod, path) != present(original) and any(k not in wanted for k in current):
        yield Edit(path, field_value(pod, path), present(original))
    stays = field_value(pod, quarantine_budget.STAY)
    if relabels and stays != present("false"):  # never by itself: who takes it off again and again must not keep the step from its end
        yield Edit(quarantine_budget.STAY, stays, present("false"))


def _as_quarantined(pod: Obj, incident: Incident) -> Obj:
    kept = deny.kept_labels(incident)
    keep = {k: v for k, v in labels_of(pod).items() if k in kept}
    return {**pod, "metadata": {**pod["metadata"], "labels": {**keep, **deny.quarantine_labels(incident)}}}


def _judged(step: Quarantine, seen: Observed) -> Iterator[Change]:
    check = Check(check="isolated", ref=step.pod, step=seen.step, run=seen.run)
    if check.mark not in seen.marks:
        yield check
