"""Responding: open an incident on a target and run a playbook, or go on with one that is open.

The order of a containment is here and nowhere else: look at everything once, bind, plan, ask the API server whether we
may and whether it would accept it, show, ask, open the journal, save what was seen, run the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import msgspec

from irkit import __version__
from irkit.app import binding
from irkit.app.going_on import bound, go_on
from irkit.app.picking import saying
from irkit.app.runs import finish, leave, pool_of, waiting, waive
from irkit.engine import binder, bindings, handover, library, planner, preflight, result
from irkit.engine.events import Joined, Planned
from irkit.engine.header import header
from irkit.engine.home import Home
from irkit.engine.journal import stamp
from irkit.engine.kept import Kept
from irkit.engine.observe import Snapshot
from irkit.engine.planner import BoundStep
from irkit.engine.questions import for_run, for_step
from irkit.engine.result import RunResult
from irkit.engine.session import Session
from irkit.engine.state import State
from irkit.errors import Declined, RefusedError, UsageError
from irkit.model.changes import Patch
from irkit.model.incident import ClusterIdentity, Incident, Operator, Reported, Target
from irkit.model.kube import NAMESPACES
from irkit.model.plan import Plan
from irkit.model.playbook import Playbook
from irkit.model.record import Opened
from irkit.ports import Observed, Ports
from irkit.steps.collect import Kind
from irkit.text import nearest, printable

_NOTHING = Reported()
KINDS_OF_EVIDENCE: tuple[str, ...] = get_args(Kind)


class Request(msgspec.Struct, frozen=True):
    """What was asked for. ``namespace`` empty: the context's."""

    command: str
    playbook: str
    target: str | None = None
    selector: str | None = None
    namespace: str = ""
    phase: str = ""
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    dry_run: bool = False
    keep_workload: bool = False
    without_evidence: str = ""  # why pods may end without their evidence
    protected: str = ""  # the namespace, typed by whoever means it
    take: tuple[str, ...] = ()  # kinds of evidence instead of the playbook's
    reported: Reported = Reported()  # what whoever noticed it says; the time as it was typed
    read_only: bool = False  # nothing is written to the cluster: no lease, no question of protected namespaces
    given: Playbook | None = None  # instead of one that is found by its name
    identifier: str = ""  # of the incident, where it was promised before; otherwise a new one


def respond(ports: Ports, request: Request) -> RunResult:
    """Run a playbook, or a phase of it, against a target. Joins the open incident of that pod where there is one."""
    playbook = request.given or taking(library.find(request.playbook, ports.settings), request.take)
    if request.reported != _NOTHING:
        request = msgspec.structs.replace(request, reported=_reported(request.reported, ports))
    wanted = binder.parse(request.target, request.selector, playbook.target.type if playbook.target else "pod")
    namespace = request.namespace or ports.connection.namespace
    if wanted.resource == NAMESPACES and wanted.name and request.namespace not in ("", wanted.name):
        raise UsageError(f"two namespaces are named: {wanted.name}, and -n {printable(request.namespace)}")
    with pool_of(ports) as pool:
        snapshot = Snapshot(ports.cluster, pool)
        who, where = pool.submit(ports.connection.whoami), pool.submit(ports.connection.identify)
        snapshot.warm(binder.asks(namespace, wanted.resource))
        target = binding.bind(ports, playbook, request.phase, wanted, namespace, snapshot)
        incident = _incident(request, playbook, target, where.result(), who.result(), ports)
        _refuse_protected(request, target, ports)
        given, look = request.given is not None, request.dry_run
        if not request.read_only and (state := _open_incident(incident, ports, playbook, given=given, look=look)) is not None:
            ports.listen(Joined(state.incident))
            return joined(ports, request, incident, state, snapshot, pool)
        return _new(ports, request, playbook, incident, snapshot, pool)


def taking(playbook: Playbook, take: Sequence[str]) -> Playbook:
    """The playbook with these kinds of evidence instead of its own. Raises UsageError for a kind that there is not."""
    if not take:
        return playbook
    for kind in take:
        if kind not in KINDS_OF_EVIDENCE:
            near = nearest(kind, KINDS_OF_EVIDENCE)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(KINDS_OF_EVIDENCE)}"
            raise UsageError(f"--take: no kind of evidence '{printable(kind, 60)}'{hint}")
    steps = tuple(msgspec.structs.replace(s, arguments={**s.arguments, "take": tuple(take)}) if s.step == "collect" else s for s in playbook.steps)
    return msgspec.structs.replace(playbook, steps=steps)


def _incident(request: Request, playbook: Playbook, target: Target, where: ClusterIdentity, who: Operator, ports: Ports) -> Incident:
    return Incident(
        id=request.identifier or binder.new_id(target, ports.clock), opened=stamp(ports.clock), operator=who, cluster=where, target=target,
        playbook=playbook.name, playbook_digest=playbook.digest, phase=request.phase, parameters=bindings.given(playbook, request.parameters),
        keep_workload=request.keep_workload, reported=request.reported, playbook_severity=playbook.severity,
    )  # fmt: skip


def _reported(said: Reported, ports: Ports) -> Reported:
    from irkit.app import detection  # who says nothing of it does not wait for it

    return detection.checked(said, ports.clock.now())


def _refuse_protected(request: Request, target: Target, ports: Ports) -> None:
    if not request.read_only and target.namespace in ports.settings.protected_namespaces and request.protected != target.namespace:
        raise RefusedError(f"namespace {printable(target.namespace)} is protected: irkit does not act there unless you name it once more",
                           next=f"the same command with --protected {printable(target.namespace)}")  # fmt: skip


def _open_incident(incident: Incident, ports: Ports, playbook: Playbook, *, given: bool, look: bool = False) -> State | None:
    """The newest incident of this very target on this cluster and with this playbook that was neither lifted nor closed.

    What was rotated can be rotated again: where the steps rotate, only one is joined that has something left to do, or
    whose writes are in force. ``given``: only one with the very same steps that has something left to do. ``look``: take none
    over from another machine, though it has one.
    """
    home = Home(ports.settings.home)
    rotates = any(s.step == "rotate" for s in playbook.of(incident.phase))
    for opened in home.opened():
        old = opened.incident
        same = old.target.pod.uid == incident.target.pod.uid and old.target.pod.name == incident.target.pod.name
        if not same or old.cluster.uid != incident.cluster.uid or old.playbook != incident.playbook:
            continue
        state = home.load(old.id)
        if given and (old.playbook_digest != incident.playbook_digest or not state.unfinished):
            continue
        if rotates and state.status == "done":
            continue
        if not state.over and not (state := handover.caught_up(ports.cluster, state, home, saying(ports))).over:
            return state
    return None if rotates or given else _colleagues(incident, ports, home, look=look)


def _colleagues(incident: Incident, ports: Ports, home: Home, *, look: bool) -> State | None:
    """The open incident that another machine has of this pod, where it is cut off already: its journal says so, not its labels."""
    target = incident.target
    for state in Kept(ports).incidents(target.namespace, target.labels):
        old = state.incident
        if old.target.pod.uid == target.pod.uid and old.playbook == incident.playbook and not state.over and old.id not in home.ids():
            return state if look else handover.fetch(ports.cluster, old.id, home, saying(ports))
    return None


def _new(ports: Ports, request: Request, playbook: Playbook, incident: Incident, snapshot: Snapshot, pool: ThreadPoolExecutor) -> RunResult:
    seen = Observed(cluster=snapshot, now=ports.clock.now(), settings=ports.settings, kept=Kept(ports))
    incident, steps, plan, notes = _prepare(ports, request, playbook, incident, seen, pool)
    left = planner.left_out(playbook.of(request.phase), incident)
    warnings = [*ports.connection.warnings, *notes, *waiting(left)]
    if incident.target.namespace in ports.settings.protected_namespaces:
        warnings.insert(0, f"namespace {printable(incident.target.namespace)} is protected; you named it once more")
    ports.listen(Planned(header(incident, seen, warnings), plan, request.dry_run))
    if request.dry_run:
        return result.planned(incident, plan, request.command, ports.argv)
    with Session(ports, incident, pool, request.command, incident.operator, shared=not request.read_only) as session:
        if not request.read_only and (meanwhile := _open_incident(incident, ports, playbook, given=request.given is not None)) is not None:
            raise RefusedError(f"incident {meanwhile.incident.id} was opened on {incident.target.pod} a moment ago; this run changed nothing",
                               next="the same command again: it joins that incident")  # fmt: skip
        covered = [s for s, b in zip(plan.steps, steps, strict=True) if not b.asks_itself]
        asked = any(s.writes and s.confirm == "ask" for s in covered)
        if asked and not ports.approver.confirm(for_run(incident, covered), [c for s in covered for c in s.writes]):
            raise Declined("nothing was changed", next=result.again(incident, request.command, ports.argv))
        session.begin(Opened(incident=incident, playbook_source=playbook.source.decode(), argv=ports.argv, tool_version=__version__))
        executor = session.executor(for_step)
        executor.approvals.record(covered, yes=True)
        waive(executor, plan, request.without_evidence)
        executor.collection.keep(snapshot.seen())
        leave(executor, left)
        executor.run_all(steps, executor.observed(snapshot))
        return finish(ports, session, playbook, request.command)


def _prepare(
    ports: Ports, request: Request, playbook: Playbook, incident: Incident, seen: Observed, pool: ThreadPoolExecutor
) -> tuple[Incident, tuple[BoundStep, ...], Plan, list[str]]:
    """Bind and plan; then preflight, and once more with the labels that admission insists on."""
    for _ in range(2):
        steps = planner.bind_steps(playbook.of(request.phase), playbook.target, incident)
        plan = planner.plan_all(steps, incident, seen, waived=bool(request.without_evidence))
        checked = preflight.run(plan, incident, ports.cluster, seen.cluster, pool, evidence=ports.approver.interactive or request.dry_run)
        notes = [note for step in plan.steps for note in step.notes]
        if checked.missing:
            raise preflight.forbidden(checked.missing, incident.operator.name, playbook.name, incident.target.namespace, incident.phase)
        if checked.gaps:
            notes.append(preflight.evidence_warning(checked.gaps))
        notes += [preflight.left_warning(change) for change in checked.left]
        if not checked.denied:
            if request.dry_run or request.given is not None:  # elsewhere nothing may stand before the cut
                from irkit.engine import rotation

                notes += rotation.trial(ports, incident, plan, pool)
            return incident, steps, plan, notes
        change, error = checked.denied[0]
        keep = preflight.labels_to_keep(change, ports.cluster) if isinstance(change, Patch) and change.action == "relabel" else None
        if not keep:
            raise preflight.denial(change, error)
        incident = msgspec.structs.replace(incident, target=msgspec.structs.replace(incident.target, kept_labels=keep))
    raise RefusedError("admission refuses this plan, whichever labels are kept; nothing was changed", next="irkit contain --dry-run")


def joined(ports: Ports, request: Request, incident: Incident, state: State, snapshot: Snapshot, pool: ThreadPoolExecutor) -> RunResult:
    """Go on with an open incident as this request wants it; of a dry run, show what that would do.

    A request for more phases than the incident had so far, or with a parameter that was not known then, extends it; one
    for fewer does these only.
    """
    more = {name: incident.parameters[name] for name in request.parameters}
    if not request.dry_run:
        return go_on(ports, state, request.command, pool, keep_workload=request.keep_workload, without_evidence=request.without_evidence,
                      reported=request.reported, phase=request.phase, parameters=more)  # fmt: skip
    incident, playbook, steps = bound(state, keep_workload=request.keep_workload, phase=request.phase, parameters=more)
    seen = Observed(cluster=snapshot, now=ports.clock.now(), settings=ports.settings, marks=state.marks, captured=state.captured, begun=state.begun,
                    kept=Kept(ports))  # fmt: skip
    plan = planner.plan_all(steps, incident, seen, waived=bool(request.without_evidence or state.waiver))
    checked = preflight.run(plan, incident, ports.cluster, snapshot, pool, evidence=True)
    if checked.missing:
        raise preflight.forbidden(checked.missing, ports.connection.whoami().name, incident.playbook, incident.target.namespace, incident.phase)
    for change, error in checked.denied:
        raise preflight.denial(change, error)
    left = waiting(planner.left_out(playbook.of(request.phase), incident))
    ports.listen(Planned(header(incident, seen, [*(n for s in plan.steps for n in s.notes), *left]), plan, True))
    return msgspec.structs.replace(result.planned(incident, plan, request.command, ports.argv), incident=incident.id)
