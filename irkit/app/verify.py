"""Verifying: what holds now. Reads only, and opens no incident."""

from __future__ import annotations

import re

import msgspec

from irkit import checks
from irkit.app.picking import pick
from irkit.app.respond import pool_of
from irkit.checks.base import CheckResult
from irkit.engine import binder
from irkit.engine.events import Judged, Said
from irkit.engine.home import Home
from irkit.engine.journal import stamp
from irkit.engine.observe import Snapshot
from irkit.engine.result import RunResult, describe
from irkit.engine.state import State
from irkit.errors import UsageError
from irkit.model.changes import Patch
from irkit.model.incident import Incident
from irkit.model.kube import NETWORKPOLICIES, ObjectRef
from irkit.network import verdict
from irkit.ports import Observed, Ports, exists
from irkit.text import printable

_ID = re.compile(r"\d{8}T\d{6}Z-")


def verify(ports: Ports, target: str | None, selector: str | None, namespace: str, *, explain: bool = False) -> RunResult:
    """Judge a pod, or an incident (by its id, or the newest one). 0: holds. 5: does not, or is not known."""
    with pool_of(ports) as pool:
        seen = Observed(cluster=Snapshot(ports.cluster, pool), now=ports.clock.now(), settings=ports.settings)
        if (target is None and not selector) or _ID.match(target or ""):
            state = pick(ports, target, lambda s: bool(s.undone()))
            return _judge(ports, state.incident, state, seen, explain=explain)
        bound = binder.bind(binder.parse(target, selector), namespace or ports.connection.namespace, seen.cluster)
        alone = Incident(
            id="", opened=stamp(ports.clock), operator=ports.connection.whoami(), cluster=ports.connection.identify(), target=bound, playbook=""
        )
        found = _of_pod(ports, alone)
        return _judge(ports, found.incident if found else alone, found, seen, explain=explain)


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


def _judge(ports: Ports, incident: Incident, state: State | None, seen: Observed, *, explain: bool) -> RunResult:
    names = ["isolated"] if state is None else _applying(state)
    results = []
    for name in names:
        ref = incident.target.stoppable if name == "stopped" else incident.target.pod
        assert ref is not None, "what was stopped can be judged"
        found = checks.find(name).judge(incident, ref, seen)
        ports.listen(Judged(found, stamp(ports.clock)))
        results.append(found)
    if explain:
        _explain(ports, incident.target.pod, seen)
    return _document(incident, state, results)


def _applying(state: State) -> list[str]:
    """What this incident can be held to: a workload that nobody stopped, or that was lifted, need not be stopped."""
    stopped = any(isinstance(i.change, Patch) and not i.change.ref.same(state.incident.target.pod) for i, _ in state.undone())
    cut = any(isinstance(i.change, Patch) and i.change.action == "relabel" for i, _ in state.undone())
    return [name for name, applies in (("isolated", True), ("stopped", stopped), ("alive", True), ("untampered", cut)) if applies]


def _explain(ports: Ports, ref: ObjectRef, seen: Observed) -> None:
    pod = exists(seen.cluster, ref)
    if pod is None:
        raise UsageError(f"{ref} is gone: there is nothing to explain")
    for policy in verdict.explain(pod, seen.cluster.list(NETWORKPOLICIES, ref.namespace)):
        ports.listen(Said(f"{policy.policy}: {'selects it' if policy.selects else 'does not select it'}: {policy.why}"))


def _document(incident: Incident, state: State | None, results: list[CheckResult]) -> RunResult:
    isolation = next(r for r in results if r.check == "isolated")
    holds = all(r.holds is True for r in results)
    cluster = {"context": incident.cluster.context, "server": incident.cluster.server, "uid": incident.cluster.uid}
    return RunResult(
        incident=incident.id if state else None, command="verify", outcome="done" if holds else "incomplete", exit_code=0 if holds else 5,
        cluster=cluster, target=describe(incident.target.pod), isolation=msgspec.to_builtins(isolation.data),
        checks=[{"check": r.check, "holds": r.holds, "summary": r.summary, "findings": list(r.findings)} for r in results],
        next=_next(incident, state, holds),
    )  # fmt: skip


def _next(incident: Incident, state: State | None, holds: bool) -> str:
    pod = f"{printable(incident.target.pod.name)} -n {printable(incident.target.namespace)}"
    if not holds:
        return f"irkit verify {pod} --explain"
    return f"irkit incident show {incident.id}" if state else f"irkit collect {pod}"
