"""Verifying: what holds now. Reads only, and opens no incident."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from irkit.app.picking import ID, pick
from irkit.app.runs import pool_of
from irkit.checks.base import CheckResult
from irkit.checks.wanted import ALL, Wanted, wanted
from irkit.engine import binder
from irkit.engine.apply import judged
from irkit.engine.events import Judged, Said
from irkit.engine.home import Home
from irkit.engine.journal import stamp
from irkit.engine.observe import Snapshot
from irkit.engine.result import RunResult, describe
from irkit.engine.state import State
from irkit.errors import UsageError
from irkit.model.changes import Change, Check, Create, Patch, Rotate
from irkit.model.incident import Incident
from irkit.model.kube import NETWORKPOLICIES, PODS, ObjectRef
from irkit.model.outcome import Done
from irkit.model.record import Intent
from irkit.network import verdict
from irkit.ports import Observed, Ports, exists
from irkit.text import printable


def verify(ports: Ports, target: str | None, selector: str | None, namespace: str, *, explain: bool = False) -> RunResult:
    """Judge a pod, or an incident (by its id, or the newest one). 0: holds. 5: does not, or is not known."""
    with pool_of(ports) as pool:
        seen = Observed(cluster=Snapshot(ports.cluster, pool), now=ports.clock.now(), settings=ports.settings)
        incident, state = meant(ports, target, selector, namespace, seen)
        results = []
        for found in judge(ports, incident, state, seen):
            ports.listen(Judged(found, stamp(ports.clock)))
            results.append(found)
        if explain:
            _explain(ports, incident.target.pod, seen)
        return document(incident, state, results)


def meant(ports: Ports, target: str | None, selector: str | None, namespace: str, seen: Observed) -> tuple[Incident, State | None]:
    """The incident that is asked about; of a pod without one, an incident that was never opened, and no state."""
    if (target is None and not selector) or ID.match(target or ""):
        state = pick(ports, target, lambda s: bool(s.begun) and not s.closed, lambda s: bool(s.begun))
        return state.incident, state
    bound = binder.bind(binder.parse(target, selector), namespace or ports.connection.namespace, seen.cluster)
    alone = Incident(
        id="", opened=stamp(ports.clock), operator=ports.connection.whoami(), cluster=ports.connection.identify(), target=bound, playbook=""
    )
    found = _of_pod(ports, alone)
    return (found.incident, found) if found else (alone, None)


def _of_pod(ports: Ports, alone: Incident) -> State | None:
    """The open incident of this very pod, if this machine has one."""
    home = Home(ports.settings.home)
    for opened in home.opened():
        old = opened.incident
        if alone.target.pod.uid and old.target.pod.uid == alone.target.pod.uid and old.cluster.uid == alone.cluster.uid:
            state = home.load(old.id)
            if state.undone():
                return state
    return None


def judge(ports: Ports, incident: Incident, state: State | None, seen: Observed) -> Iterator[CheckResult]:
    """Everything that this incident can be held to, one after another. Raises UnreachableError."""
    if state is not None:
        seen = msgspec.structs.replace(seen, begun=state.begun, restarts=state.restarts, befores=state.befores)
    asked = [Wanted("isolated", incident.target.pod)] if state is None else [*_of_incident(incident, state), *_probes(state)]
    for one in asked:
        check = Check(check=one.check, ref=one.ref, step="verify", run="", about=one.about, given=one.given)
        found = judged(check, incident, ports, seen)
        yield msgspec.structs.replace(found, check=check.name)
    if state is not None:
        yield from _jobs(state)


def _of_incident(incident: Incident, state: State) -> Iterator[Wanted]:
    """A workload that nobody stopped, or that was lifted, need not be stopped; nor need a pod be as it was that nobody cut off.

    A pod that a lift returned to service, or deleted, is not judged at all; nor is one by whose name credentials were rotated
    or a workload was redeployed, and which nothing was to cut off: it was restarted like the others.
    """
    cut = any(isinstance(i.change, Patch) and i.change.action == "relabel" for i, _ in state.undone())
    named = not incident.target.gone and not any(map(_cuts, state.intents.values())) and any(map(_renews, state.begun))
    pod = incident.target.pod if incident.target.pod.resource == PODS and (cut or not (state.over or named)) else None
    yield from wanted([n for n in ALL if n != "untampered" or cut], incident, state.begun, pod=pod, stopping=False)


def _cuts(intent: Intent) -> bool:
    change = intent.change
    return (isinstance(change, Create) and change.ref.resource == NETWORKPOLICIES) or (isinstance(change, Patch) and change.action == "relabel")


def _renews(change: Change) -> bool:
    return isinstance(change, Rotate) or (isinstance(change, Patch) and change.action == "redeploy")


def _checks(state: State) -> list[tuple[Check, Done, str]]:
    """The checks that steps made, the last of each, with when."""
    found = {}
    for call, intent in state.intents.items():
        outcome = state.results.get(call)
        if isinstance(intent.change, Check) and isinstance(outcome, Done):
            found[intent.change.name] = (intent.change, outcome, state.times[call])
    return list(found.values())


def _probes(state: State) -> Iterator[Wanted]:
    """The probes of the playbook that were made once: before that, nobody says that they should hold."""
    for check, _, _ in _checks(state):
        if check.check in ("http", "tcp"):
            yield Wanted(check.check, check.ref, check.about, check.given)


def _jobs(state: State) -> Iterator[CheckResult]:
    """How a probe's Job ended when a step last ran it: here nothing is written, so it does not run again."""
    for check, outcome, when in _checks(state):
        if check.check == "job":
            yield CheckResult(
                check=check.name, holds=outcome.data.get("holds"), summary=f"{outcome.detail} (at {when}; `irkit resume` runs it again)"
            )


def _explain(ports: Ports, ref: ObjectRef, seen: Observed) -> None:
    pod = exists(seen.cluster, ref) if ref.resource == PODS else None
    if pod is None:
        raise UsageError(f"{ref} is gone: there is nothing to explain")
    for policy in verdict.explain(pod, seen.cluster.list(NETWORKPOLICIES, ref.namespace)):
        ports.listen(Said(f"{policy.policy}: {'selects it' if policy.selects else 'does not select it'}: {policy.why}"))


def document(incident: Incident, state: State | None, results: list[CheckResult]) -> RunResult:
    """The result of one look."""
    isolation = next((r for r in results if r.check == "isolated"), None)
    holds = all(r.holds is True for r in results)
    cluster = {"context": incident.cluster.context, "server": incident.cluster.server, "uid": incident.cluster.uid}
    return RunResult(
        incident=incident.id if state else None, command="verify", outcome="done" if holds else "incomplete", exit_code=0 if holds else 5,
        cluster=cluster, target=describe(incident.target.pod), isolation=msgspec.to_builtins(isolation.data) if isolation else None,
        checks=[{"check": r.check, "holds": r.holds, "summary": r.summary, "findings": list(r.findings)} for r in results],
        next=_next(incident, state, holds, isolation),
    )  # fmt: skip


def _next(incident: Incident, state: State | None, holds: bool, isolation: CheckResult | None) -> str:
    pod = f"{printable(incident.target.pod.name)} -n {printable(incident.target.namespace)}"
    if not holds and isolation is not None and isolation.holds is not True:
        return f"irkit verify {pod} --explain"
    return f"irkit incident show {incident.id}" if state else f"irkit collect {pod}"
