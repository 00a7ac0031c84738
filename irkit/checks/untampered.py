"""Whether somebody changed what containment did: the attacker may own whatever the pod's ServiceAccount may write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from irkit import workloads
from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, at, controller_of, labels_of
from irkit.model.managers import Manager, managers, managers_of
from irkit.network.deny import deny_policy, kept_labels, policy_labels, policy_ref, quarantine_labels, stays_selected
from irkit.ports import Observed, exists
from irkit.text import plural, printable

OURS = "irkit"


class Untampered:
    """Holds where quarantine labels, deny policy and ownership are as containment left them. Each change names who made it, if known."""

    name = "untampered"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        if incident.target.gone and ref.same(incident.target.pod):
            return CheckResult(check=self.name, holds=True, summary=f"{ref} was gone before this incident began: nothing was quarantined")
        try:
            pod = exists(seen.cluster, ref)
            policy = exists(seen.cluster, policy_ref(incident))
        except ForbiddenError as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known whether the quarantine was changed: {error.message}")
        if pod is None:
            return CheckResult(check=self.name, holds=None, summary=f"{ref} is gone: there is nothing left to compare")
        findings = (*_labels(incident, pod), *_owner(incident, pod), *_policy(incident, policy))
        text = "the quarantine is as irkit left it"
        if findings:
            text = f"the quarantine was changed: {plural(len(findings), 'finding')}"
        return CheckResult(check=self.name, holds=not findings, summary=text, findings=findings, data={"findings": list(findings)})


def _labels(incident: Incident, pod: Obj) -> Iterator[str]:
    labels, ours, target = labels_of(pod), quarantine_labels(incident), incident.target
    for key, value in ours.items():
        if key not in labels:
            yield f"label {key} was removed from the pod{_last(pod)}"
        elif labels[key] != value:
            yield f"label {key} of the pod is {printable(labels[key])!r}, not {value!r}{_by(pod, ('metadata', 'labels', key))}"
    for key in sorted(labels.keys() - ours.keys()):
        value, who = printable(labels[key]), _by(pod, ("metadata", "labels", key))
        if key not in kept_labels(incident):
            word = "came back to" if key in target.labels else "was added to"
            yield f"label {printable(key)}={value} {word} the pod{who}"
        elif labels[key] != target.labels.get(key):
            yield f"label {printable(key)} of the pod was changed to {value!r}{who}"


def _owner(incident: Incident, pod: Obj) -> Iterator[str]:
    owner = controller_of(pod)
    if owner is not None:
        before = incident.target.controller(pod)
        if before is not None and (stays_selected(incident) or not workloads.lets_go(before, pod)):
            return  # it was never let go of
        word = "was adopted again" if before is not None else "was adopted"
        yield printable(f"the pod {word} by {owner.get('kind')} {owner.get('name')}, which may delete it", 600)


def _policy(incident: Incident, policy: Obj | None) -> Iterator[str]:
    ref = policy_ref(incident)
    if policy is None:
        yield f"{ref} is gone"
        return
    if at(policy, ("metadata", "deletionTimestamp")):
        yield f"{ref} is being deleted"
    if _rules(policy) != _rules(deny_policy(incident)):
        yield f"the spec of {ref} was changed{_by(policy, ('spec',))}"
    for key, value in policy_labels(incident).items():
        if labels_of(policy).get(key) != value:
            yield f"label {key} of {ref} was changed{_last(policy)}"


def _rules(policy: Obj) -> tuple[Any, ...]:
    """The spec without the ways to write the same: the order of policyTypes, empty lists of rules, an empty matchExpressions."""
    spec: Mapping[str, Any] = policy.get("spec") or {}
    selector = {k: v for k, v in (spec.get("podSelector") or {}).items() if v}
    return selector, sorted(spec.get("policyTypes") or ()), spec.get("ingress") or [], spec.get("egress") or []


def _by(obj: Obj, path: tuple[str, ...]) -> str:
    """Who manages the field, besides irkit; empty where the API server doesn't say."""
    return _named([m for m in managers_of(obj, path) if m.name != OURS])


def _last(obj: Obj) -> str:
    """Who wrote last: of a field that is gone nobody is the manager."""
    others = [m for m in managers(obj) if m.name != OURS and m.time and not m.subresource]
    return _named([max(others, key=lambda m: m.time)], "; the last to write was") if others else ""


def _named(found: list[Manager], word: str = ", by") -> str:
    if not found:
        return ""
    names = " and ".join(f"{m.name} ({m.time})" if m.time else m.name for m in found)
    return printable(f"{word} {names}")
