"""Bringing a workload back on command: within the incident that stopped it, where there is one, so that what that recorded is put back."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from irkit import API_VERSION
from irkit.app.picking import ID, pick
from irkit.app.respond import Request, respond
from irkit.app.runs import pool_of
from irkit.engine import binder, loader, planner, preflight, result
from irkit.engine.events import Joined, Planned
from irkit.engine.header import header
from irkit.engine.home import Home
from irkit.engine.observe import Snapshot
from irkit.engine.planner import BoundStep
from irkit.engine.questions import for_step
from irkit.engine.result import RunResult
from irkit.engine.session import Session
from irkit.engine.state import State
from irkit.errors import IrkitError, UsageError, worst
from irkit.model.changes import Patch
from irkit.model.image import Image, parse
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.model.outcome import Failed
from irkit.model.plan import Plan
from irkit.model.playbook import Playbook
from irkit.model.record import Waived
from irkit.ports import Observed, Ports
from irkit.text import printable

_CHECKS = ("ready", "image", "old-image", "steady", "endpoints", "held")


class Wish(msgspec.Struct, frozen=True):
    """Which image, for which container, and what a person takes upon themselves."""

    image: str
    container: str = ""
    accept: tuple[str, ...] = ()
    same_image: str = ""
    timeout: str = "10m"


def redeploy(ports: Ports, wish: Wish, request: Request) -> RunResult:
    """Give a workload another image. Raises UsageError for one that is not pinned by digest, with the digest that it has now."""
    image = parse(wish.image)
    if not image.digest:
        raise _unpinned(ports, image, request)
    playbook = _playbook(wish, request)
    state = _open(ports, request)
    if state is None:
        document = respond(ports, msgspec.structs.replace(request, command="redeploy", given=playbook))
        done = document.exit_code == 0 and document.outcome == "done"
        return msgspec.structs.replace(document, next=f"irkit verify {document.incident} --watch 24h") if done else document
    with pool_of(ports) as pool:
        ports.listen(Joined(state.incident))
        return _within(ports, state, playbook, wish, request, pool)


def _unpinned(ports: Ports, image: Image, request: Request) -> UsageError:
    name = printable(image.written, 200)
    message = f"{name} is a tag, which may be another image tomorrow"
    try:
        digest = ports.outward.resolve(image.written) if ports.outward else ""
    except IrkitError as error:
        return UsageError(
            f"{message}; what it names now is not known: {error.message}", next=f"docker buildx imagetools inspect {name}   shows its digest"
        )
    where = f" -n {printable(request.namespace)}" if request.namespace else ""
    return UsageError(f"{message}; now it names {digest}",
                      next=f"irkit redeploy {printable(request.target or '')}{where} --image {image.pinned(digest)}")  # fmt: skip


def _playbook(wish: Wish, request: Request) -> Playbook:
    """The playbook of two steps that these flags mean."""
    arguments: dict[str, Any] = {"image": wish.image, "container": wish.container, "accept": list(wish.accept), "same-image": wish.same_image,
                                 "without-evidence": request.without_evidence}  # fmt: skip
    literal = {k: v for k, v in arguments.items() if v}
    if any("${" in text for v in literal.values() for text in ([v] if isinstance(v, str) else v)):
        raise UsageError("'${' has no meaning in the words of a command")
    source = "\n".join([
        f"apiVersion: {API_VERSION}", "kind: Playbook",
        "metadata: {name: redeploy, title: Redeploy a workload, severity: high, runbook: redeploy.md}",
        "parameters: {app: {type: workload, required: true}}",
        "phases:", "  recovery:",
        f"    - {{id: redeploy, step: redeploy, timeout: {wish.timeout}, with: {json.dumps({'workload': '${app}', **literal})}}}",
        f"    - {{id: prove-it-runs, step: verify, with: {{checks: [{', '.join(_CHECKS)}]}}}}", "",
    ])  # fmt: skip
    return loader.loads(source.encode(), "redeploy.yaml", runbooks=None)


def _open(ports: Ports, request: Request) -> State | None:
    """The incident to go on with: the one that is named, else the newest open one of this machine that is about this workload.

    One that stopped it comes before one that did something else since, as a rotation: what it recorded is to be put back.
    """
    if request.target and ID.match(request.target):
        state = pick(ports, request.target, lambda s: not s.over)
        if state.over:
            raise UsageError(f"incident {state.incident.id} is over: {state.closed or 'being lifted'}", next="irkit redeploy KIND/NAME --image …")
        return state
    wanted, where = binder.parse(request.target, request.selector, "workload"), ports.connection.identify()
    namespace = request.namespace or ports.connection.namespace
    home, other = Home(ports.settings.home), ""
    for opened in home.opened():
        old = opened.incident
        if old.cluster.uid == where.uid and old.target.namespace == namespace and _about(old, wanted):
            state = home.load(old.id)
            if not state.over and _stopped(state):
                return pick(ports, old.id, lambda s: not s.over)
            other = other or (old.id if not state.over and state.begun else "")
    return pick(ports, other, lambda s: not s.over) if other else None


def _stopped(state: State) -> bool:
    """Whether something is in force that putting the workload back undoes."""
    return any(isinstance(c, Patch) and not c.forward and not c.ref.same(state.incident.target.pod) for c in state.begun)


def _about(incident: Incident, wanted: binder.Wanted) -> bool:
    target = incident.target
    known: list[ObjectRef] = [o for o in (target.pod, target.workload, *target.siblings) if o is not None]
    return target.stoppable is not None and any((o.resource, o.name) == (wanted.resource, wanted.name) for o in known)


def _within(ports: Ports, state: State, playbook: Playbook, wish: Wish, request: Request, pool: ThreadPoolExecutor) -> RunResult:
    incident = state.incident
    steps = planner.bind_steps(playbook.steps, playbook.target, incident)
    if request.dry_run:
        seen = Observed(cluster=Snapshot(ports.cluster, pool), now=ports.clock.now(), settings=ports.settings, marks=state.marks,
                        captured=state.captured, begun=state.begun, restarts=state.restarts)  # fmt: skip
        plan = _planned(ports, incident, steps, seen, request, pool)
        return msgspec.structs.replace(result.planned(incident, plan, "redeploy"), incident=incident.id, next=_again(incident, wish))
    who = ports.connection.whoami()
    with Session(ports, incident, pool, "redeploy", who, again=_again(incident, wish, named=False)) as session:
        session.begin()
        executor = session.executor(for_step)
        seen = executor.observed(Snapshot(ports.cluster, pool))
        plan = _planned(ports, incident, steps, seen, request, pool)
        if request.without_evidence:
            ended = sorted({p.uid for c in plan.changes for p in c.ends})
            executor.note(Waived(pods=tuple(ended), reason=request.without_evidence, by=ports.approver.name))
        executor.run_all(steps, seen)
        document = _document(session, steps, wish)
        session.end(document.exit_code)
        return document


def _planned(ports: Ports, incident: Incident, steps: tuple[BoundStep, ...], seen: Observed, request: Request, pool: ThreadPoolExecutor) -> Plan:
    """The plan, shown, once the server was asked whether we may and whether it would take it. Raises ForbiddenError."""
    plan = planner.plan_all(steps, incident, seen, waived=bool(request.without_evidence))
    checked = preflight.run(plan, incident, ports.cluster, seen.cluster, pool, evidence=request.dry_run)
    if checked.missing:
        raise preflight.forbidden(checked.missing, ports.connection.whoami().name, incident.playbook, incident.target.namespace)
    for change, error in checked.denied:
        raise preflight.denial(change, error)
    ports.listen(Planned(header(incident, seen, [n for s in plan.steps for n in s.notes]), plan, request.dry_run))
    return plan


def _again(incident: Incident, wish: Wish, *, named: bool = True) -> str:
    more = [f"--container {printable(wish.container)}"] if wish.container else []
    return " ".join(["irkit redeploy --image", printable(wish.image, 400), *more, *([incident.id] if named else [])])


def _document(session: Session, steps: tuple[BoundStep, ...], wish: Wish) -> RunResult:
    """What this run came to; what earlier runs of the incident found is theirs."""
    state, incident = session.state, session.incident
    names = [(s.id, s.step.kind, s.spec.phase) for s in steps]
    document = result.finished(state, "redeploy", names, session.home.directory(incident.id) / "bags")
    mine = {i.change.name for i in state.intents.values() if i.run == session.run and i.change.__struct_config__.tag == "check"}  # type: ignore[union-attr]
    document.checks, document.credentials, document.isolation = [c for c in document.checks if c["check"] in mine], [], None
    ends = [state.steps.get(s.id) for s in steps]
    codes = [o.exit_code for o in ends if isinstance(o, Failed)] + [3 for s in document.steps if s.outcome == "declined"]
    document.exit_code = worst([*codes, *(5 for c in document.checks if c["holds"] is not True)])
    document.outcome = {0: "done", 3: "declined", 5: "incomplete", 6: "incomplete"}.get(document.exit_code, "failed")
    said = next((o.next for o in ends if isinstance(o, Failed) and o.next), "")
    document.next = said.replace("irkit resume", _again(incident, wish)) if said else (
        f"irkit verify {incident.id} --watch 24h" if document.exit_code in (0, 5) else _again(incident, wish))  # fmt: skip
    return document
