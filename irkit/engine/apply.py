"""Doing one change: the only place of irkit that writes to a cluster.

Every arm returns an outcome or raises an IrkitError. Captures are not here: they go together (engine/capture.py).
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from irkit import checks, workloads
from irkit.engine.events import Judged, Said
from irkit.engine.journal import stamp
from irkit.errors import ConflictError, Declined, EndStateError, IrkitError, NotFoundError, RefusedError, UndeliveredError, UnreachableError
from irkit.model.changes import Ask, Await, Capture, Change, Check, Create, Delete, Notify, Patch, Rotate
from irkit.model.credential import fingerprint
from irkit.model.incident import Incident
from irkit.model.kube import Obj, at, labels_of, owned_by
from irkit.model.outcome import Done, Outcome, Skipped, Unchanged
from irkit.ports import ClusterReader, Observed, Ports, exists
from irkit.workloads import rollout
from irkit.workloads.shared import finished

_TRIES = 6  # of one patch against writers that do not touch our fields, such as the kubelet's status updates
_POLL = (0.02, 0.5)  # seconds between looks, from and to


class MovedError(IrkitError):
    """The object is not as it was planned for: plan again."""


def apply(change: Change, incident: Incident, ports: Ports, seen: Observed, timeout: float) -> Outcome:
    """Do one change. ``timeout`` in seconds is for waiting. Raises IrkitError, MovedError where the plan is out of date."""
    match change:
        case Create():
            return _optional(change, ports) if change.optional else _create(change, ports)
        case Patch():
            return _patch(change, ports, seen.cluster)
        case Delete():
            return _delete(change, ports)
        case Await():
            return _await(change, incident, ports, timeout)
        case Check():
            return _check(change, incident, ports, seen)
        case Notify():
            return _notify(change, incident, ports)
        case Ask():
            answer = ports.approver.answer(change.instruction)
            if answer is None:
                raise Declined(f"not done: {change.instruction}", next="irkit resume")
            return Done(answer or "done", {"answer": answer})
        case Capture() | Rotate():
            raise AssertionError("captures go through engine/capture.py, credentials through engine/rotation.py")
    assert_never(change)


def _notify(change: Notify, incident: Incident, ports: Ports) -> Outcome:
    """Whoever can't be told stops nothing: containment goes on, the outcome says it, and `resume` tries again."""
    try:
        return Done(ports.notifier.send(change.to, change.message, incident))
    except UndeliveredError as error:
        return Skipped(error.message)


def _optional(change: Create, ports: Ports) -> Outcome:
    """What nothing else depends on. Raises UnreachableError where the server answers nothing at all: then nobody knows whether it is there."""
    try:
        try:
            return _create(change, ports)
        except UnreachableError as error:  # also what a broken webhook comes to, which is no reason to stop here
            if exists(ports.cluster, change.ref) is None:
                raise EndStateError(error.message) from None
            return _create(change, ports)  # found to be there, and whose it is
    except UnreachableError:
        raise
    except IrkitError as error:
        return Skipped(f"not done, so nothing {change.why}: {error.message}")


def _create(change: Create, ports: Ports) -> Outcome:
    try:
        created = ports.cluster.create(change.ref.resource, change.object)
    except ConflictError:
        found = exists(ports.cluster, change.ref)
        if found is None:
            raise MovedError(f"{change.ref} came and went") from None
        ours = all(labels_of(found).get(k) == v for k, v in labels_of(change.object).items())
        if not ours:
            raise RefusedError(f"{change.ref} exists and is not irkit's; it is not overwritten") from None
        if found.get("spec") != change.object.get("spec"):
            raise RefusedError(f"{change.ref} was changed by somebody; it is not overwritten") from None
        created = found
    return Done("created", {"uid": created["metadata"]["uid"]})


def _patch(change: Patch, ports: Ports, seen: ClusterReader) -> Outcome:
    # the object itself, not its Scale: at 0 replicas that one has an empty spec; uid and resourceVersion are the same
    current = seen.get(change.ref)
    for tried in range(_TRIES):
        if change.ref.uid and current["metadata"].get("uid") != change.ref.uid:
            raise MovedError(f"{change.ref} was replaced by another object of that name")
        if change.holds(current):
            # after a refused try: an earlier one may have been done and its answer lost, and what we may have done, `lift` undoes
            return Done("found done") if tried else Unchanged("already so")
        if change.conflicts(current):
            raise MovedError(f"{change.ref} was changed by somebody else meanwhile")
        try:
            ports.cluster.patch(change.ref, change.body(current), subresource=change.subresource)
            return Done()
        except ConflictError:
            current = _again(change, ports.cluster)
        except NotFoundError:
            raise MovedError(f"{change.ref} is gone") from None
    raise MovedError(f"{change.ref} changes faster than it can be patched")


def _again(change: Patch, cluster: ClusterReader) -> Obj:
    try:
        return cluster.get(change.ref)
    except NotFoundError:
        raise MovedError(f"{change.ref} is gone") from None


def _delete(change: Delete, ports: Ports) -> Outcome:
    found = exists(ports.cluster, change.ref)
    if found is None:
        return Unchanged("gone already")
    if any(labels_of(found).get(k) != v for k, v in change.labels.items()):
        raise RefusedError(f"{change.ref} lost the labels by which irkit knows its own; it is not deleted")
    try:
        ports.cluster.delete(change.ref)
    except NotFoundError:
        return Unchanged("gone already")
    return Done("deleted")


def _await(change: Await, incident: Incident, ports: Ports, timeout: float) -> Outcome:
    if change.condition == "held":
        return _held(change, ports)
    until, pause, told, away = ports.clock.monotonic() + timeout, _POLL[0], "", False
    while True:
        try:
            if change.condition == "ready":
                why, told = _ready(change, ports, told)
            else:
                why = _met(change, incident, ports.cluster)
            if why:
                return Done(why)
        except UnreachableError as error:
            if ports.clock.monotonic() >= until:
                raise
            if not away:  # whoever looks on must not take it for a hang
                ports.listen(Said(f"{change.ref}: {error.message}; it is waited for, {timeout:g} s at most", "warning"))
            away = True
        if ports.clock.monotonic() >= until:
            because = _because(workloads.observe(change.ref, ports.cluster), ports) if change.condition == "ready" else ""
            raise EndStateError(f"{change.ref}: not {change.condition} within {timeout:g} s{because}", next="irkit resume")
        ports.clock.sleep(pause)
        pause = min(pause * 1.5, _POLL[1])


def _ready(change: Await, ports: Ports, told: str) -> tuple[str, str]:
    """Whether a workload is, and how far: said where that has changed. Raises EndStateError where its controller has given up."""
    try:
        found = workloads.observe(change.ref, ports.cluster)
    except NotFoundError:
        raise EndStateError(f"{change.ref} is gone: somebody deleted it while it was waited for") from None
    if found.ready():
        return "ready", told
    if why := rollout.given_up(found):
        raise EndStateError(f"{change.ref}: {why}{_because(found, ports)}", next="irkit resume")
    text = rollout.progress(found)
    if text and text != told:
        ports.listen(Said(f"{change.ref}: {text}"))
    return "", text or told


def _because(workload: workloads.Workload, ports: Ports) -> str:
    reasons = rollout.why_not_ready(workload, ports.cluster)
    more = f"; and {len(reasons) - 4} more" if len(reasons) > 4 else ""
    return f": {'; '.join(reasons[:4])}{more}" if reasons else ""


def _held(change: Await, ports: Ports) -> Outcome:
    """Look again after a while: what undoes a stop does so in seconds. Raises EndStateError with the name of who did."""
    seconds = ports.settings.recovery.settle
    ports.clock.sleep(seconds)
    try:
        found = workloads.observe(change.ref, ports.cluster)
    except NotFoundError:
        return Done("gone")
    if not found.stopped:
        who = rollout.who_starts(found)
        raise EndStateError(f"{change.ref} was stopped, and reverted{f' by {who}' if who else ''} within {seconds:g} s",
                            next=f"stop {who or 'what starts it'} first, then: irkit resume")  # fmt: skip
    return Done(f"held: still stopped {seconds:g} s later")


def _met(change: Await, incident: Incident, cluster: ClusterReader) -> str:
    match change.condition:
        case "detached":
            assert change.owner is not None
            pod = exists(cluster, change.ref)
            if pod is None:
                return "gone"  # nobody can end it any more: what is left is to keep what it came from
            if owned_by(pod, change.owner) and not workloads.lets_go(change.owner, pod):
                return "has ended meanwhile, or is ending"  # its owner stays, and ends it no more
            return "" if owned_by(pod, change.owner) else f"detached from {change.owner.kind} {change.owner.name}"
        case "no-pods":
            try:
                left = [p for p in workloads.active(workloads.observe(change.ref, cluster).pods) if p["metadata"]["uid"] != incident.target.pod.uid]
            except NotFoundError:
                return "gone"
            return "" if left else "no pods left"
        case "adopted":
            assert change.owner is not None
            workload = workloads.observe(change.owner, cluster)
            pods = [p for p in workloads.active(workload.pods) if not at(p, ("metadata", "deletionTimestamp"))]
            back = any(p["metadata"]["uid"] == change.ref.uid for p in pods)
            return "adopted" if back and len(pods) <= at(workload.object, ("spec", "replicas"), 1) else ""
        case "gone":
            return "" if exists(cluster, change.ref) else "gone"
        case "held" | "ready":
            raise AssertionError("these say more, in functions of their own")
        case "finished":
            job = exists(cluster, change.ref)
            return "gone" if job is None else "finished" if finished(job) else ""
    assert_never(change.condition)


def _check(change: Check, incident: Incident, ports: Ports, seen: Observed) -> Outcome:
    result = judged(change, incident, ports, seen)
    ports.listen(Judged(result, stamp(ports.clock)))
    if change.stops and result.holds is not True:
        result = _in_spite(change, result, ports)
    data = {**result.data, "holds": result.holds, "findings": list(result.findings)}
    return Done(result.summary, msgspec.to_builtins(data))


def judged(change: Check, incident: Incident, ports: Ports, seen: Observed) -> checks.CheckResult:
    """What a check finds, with all that a check may look at."""
    key = ports.evidence(incident.id).key if change.check == "rotated" else b""
    seen = msgspec.structs.replace(seen, outward=ports.outward, prints=(lambda value: fingerprint(value, key)) if key else None)
    return checks.find(change.check, change.given).judge(incident, change.ref, seen)


def _in_spite(change: Check, result: checks.CheckResult, ports: Ports) -> checks.CheckResult:
    """Whether to go on though a check does not hold. Raises RefusedError; what is not known, a human may decide."""
    rule = ports.settings.recovery.unknown if change.check in ("scanned", "signed") else "ask"
    if result.holds is None and rule == "allow":
        return msgspec.structs.replace(result, holds=True, summary=f"{result.summary}; the settings allow that")
    looked = change.check != "in-git" or ports.approver.interactive  # what stands in Git only a person can go and see
    if result.holds is None and rule == "ask" and looked and ports.approver.confirm(f"{result.summary}. Go on?"):
        return msgspec.structs.replace(result, holds=True, summary=f"{result.summary}; {ports.approver.name} said to go on")
    if result.holds is None and not looked:
        raise Declined(f"not done: {result.summary}; nobody is here who could look there",
                       next="irkit resume, at a terminal, once Git names the new image")  # fmt: skip
    if result.holds is None and rule == "ask":
        raise Declined(f"not done: {result.summary}", next="the same command again")
    raise RefusedError(result.summary, next=str(result.data.get("next") or "another image, or change the rule in the settings (recovery)"))
