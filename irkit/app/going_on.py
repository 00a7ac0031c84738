"""Going on with an incident that is open: plan again from the bound names, ask about what is new, do what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from irkit.app.picking import pick
from irkit.app.runs import documented, finish, leave, pool_of, waiting, waive
from irkit.engine import binder, loader, planner, preflight
from irkit.engine.approvals import Approvals
from irkit.engine.events import Planned
from irkit.engine.header import header
from irkit.engine.home import Home
from irkit.engine.observe import Snapshot
from irkit.engine.planner import BoundStep
from irkit.engine.questions import for_run, for_step
from irkit.engine.result import RunResult
from irkit.engine.session import Session
from irkit.engine.state import State
from irkit.errors import Declined, UsageError
from irkit.model.incident import Incident, Reported
from irkit.model.plan import Plan
from irkit.model.playbook import Playbook
from irkit.model.record import Extended, Told
from irkit.ports import Ports

_NOTHING = Reported()
_NONE: Mapping[str, Any] = {}


def resume(ports: Ports, identifier: str | None, command: str = "resume") -> RunResult:
    """Go on with an incident, by default the newest of this cluster that has something left. Finished: its full result."""
    with pool_of(ports) as pool:
        state = pick(ports, identifier, lambda s: s.unfinished, lambda s: not s.over)
        if state.over and not state.closed:
            raise UsageError(f"incident {state.incident.id} is being lifted", next=f"irkit lift {state.incident.id}")
        if state.closed:
            return recorded(ports, state, command)
        return go_on(ports, state, command, pool)


def recorded(ports: Ports, state: State, command: str) -> RunResult:
    """What the journal says of an incident in which nothing is left to do."""
    assert state.opened is not None
    incident = state.incident
    playbook = loader.loads(state.opened.playbook_source.encode(), f"{incident.playbook}.yaml", runbooks=None)
    return documented(state, playbook, command, Home(ports.settings.home))


def bound(
    state: State, *, keep_workload: bool = False, phase: str | None = None, parameters: Mapping[str, Any] = _NONE
) -> tuple[Incident, Playbook, tuple[BoundStep, ...]]:
    """The incident as it was bound, its playbook as it was, and the steps. ``keep_workload``: in this run, if not before.

    ``phase``: what to run now (None: all that the incident is about); ``parameters``: what is given besides what was.
    """
    assert state.opened is not None
    was = state.incident
    playbook = loader.loads(state.opened.playbook_source.encode(), f"{was.playbook}.yaml", runbooks=None)
    wanted = was.phase if phase is None else phase
    incident = msgspec.structs.replace(was, keep_workload=keep_workload or was.keep_workload, phase=playbook.both(was.phase, wanted),
                                       parameters={**was.parameters, **parameters})  # fmt: skip
    return incident, playbook, planner.bind_steps(playbook.of(wanted), playbook.target, incident)


def go_on(
    ports: Ports, state: State, command: str, pool: ThreadPoolExecutor, *, keep_workload: bool = False, without_evidence: str = "",
    reported: Reported = _NOTHING, phase: str | None = None, parameters: Mapping[str, Any] = _NONE,
) -> RunResult:  # fmt: skip
    """Plan again from the bound names and do what is missing."""
    was = state.incident
    incident, playbook, steps = bound(state, keep_workload=keep_workload, phase=phase, parameters=parameters)
    left = planner.left_out(playbook.of(was.phase if phase is None else phase), incident)
    who = ports.connection.whoami()
    writes = any(s.step.confirm == "ask" for s in steps)  # evidence alone is in nobody's way, and writes nothing anywhere
    with Session(ports, incident, pool, command, who, shared=writes) as session:
        session.begin()
        executor = session.executor(for_step)
        if reported != _NOTHING:
            executor.note(Told(run=session.run, reported=reported, by=who.name))
        snapshot = Snapshot(ports.cluster, pool)
        snapshot.warm(binder.asks(incident.target.namespace, incident.target.pod.resource))
        seen = executor.observed(snapshot)
        plan = planner.plan_all(steps, incident, seen, waived=bool(without_evidence or state.waiver))
        missing = preflight.run(plan, incident, ports.cluster, seen.cluster, pool, evidence=False).missing
        if missing:
            raise preflight.forbidden(missing, who.name, playbook.name, incident.target.namespace, incident.phase)
        ports.listen(Planned(header(incident, seen, [*(n for s in plan.steps for n in s.notes), *waiting(left)]), plan, False))
        _approve_rest(executor.approvals, plan, steps, incident)
        if (incident.phase, incident.parameters) != (was.phase, was.parameters):
            executor.note(Extended(run=session.run, phase=incident.phase, parameters=dict(parameters)))
        waive(executor, plan, without_evidence)
        if not session.state.bags:  # the run before this one may have ended before it kept what it saw
            executor.collection.keep(snapshot.seen())
        leave(executor, left)
        executor.run_all(steps, seen)
        return finish(ports, session, playbook, command)


def _approve_rest(approvals: Approvals, plan: Plan, steps: Sequence[BoundStep], incident: Incident) -> None:
    covered = [s for s, b in zip(plan.steps, steps, strict=True) if not b.asks_itself and s.confirm == "ask"]
    if approvals.new(covered) and not approvals.ask(for_run(incident, covered), covered):
        raise Declined("nothing more was changed", next=f"irkit resume {incident.id}")
