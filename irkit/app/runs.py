"""What a first run and every later one of an incident have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from irkit.engine import planner, result
from irkit.engine.events import Said
from irkit.engine.executor import Executor
from irkit.engine.home import Home
from irkit.engine.result import RunResult
from irkit.engine.session import Session
from irkit.engine.state import State
from irkit.model.outcome import Skipped
from irkit.model.plan import Plan, StepSpec
from irkit.model.playbook import Playbook
from irkit.model.record import StepEnded, Waived
from irkit.ports import Ports


@contextmanager
def pool_of(ports: Ports) -> Iterator[ThreadPoolExecutor]:
    """Threads for requests. Whatever they still wait for at the end, nobody needs any more."""
    pool = ThreadPoolExecutor(ports.settings.concurrency, thread_name_prefix="irkit")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def finish(ports: Ports, session: Session, playbook: Playbook, command: str) -> RunResult:
    push(ports, session)
    document = documented(session.state, playbook, command, session.home)
    session.end(document.exit_code)
    if session.lease.why_not:
        ports.listen(Said(f"nobody else can take this incident over: {session.lease.why_not}"))
    return document


def push(ports: Ports, session: Session) -> None:
    """Copy what was sealed to the object store, where the settings say so (app/pushing.py)."""
    if ports.settings.store is not None and ports.settings.store.push:
        from irkit.app import pushing  # who pushes nothing does not wait for it

        pushing.at_end(ports, session.state, session.note)


def documented(state: State, playbook: Playbook, command: str, home: Home) -> RunResult:
    incident, specs = state.incident, playbook.of(state.incident.phase)
    left = planner.left_out(specs, incident)
    shown = {s.id for s in planner.bind_steps(specs, playbook.target, incident)} | {s.id for s, _ in left}  # of a pod that is gone some fall away
    names = [(s.id, s.step, s.phase) for s in specs if s.id in shown]
    document = result.finished(state, command, names, home.directory(incident.id) / "bags")
    if left and document.exit_code == 0:
        document.next = f"irkit respond {incident.playbook} {incident.target.words} -p {left[0][1]}=…   does the rest"
    return document


def waiting(left: Sequence[tuple[StepSpec, str]]) -> list[str]:
    """What people are told of steps that wait for a parameter."""
    return [f"step {spec.id} waits until there is a -p {name}=…; the rest is done without it" for spec, name in left]


def leave(executor: Executor, left: Sequence[tuple[StepSpec, str]]) -> None:
    """Put on record what is not done, and why: it stays open."""
    executor.note(*(StepEnded(step=spec.id, run=executor.run, outcome=Skipped(f"no {name} was given yet")) for spec, name in left))


def waive(executor: Executor, plan: Plan, reason: str) -> None:
    if reason:
        ended = {p.uid for c in plan.changes for p in c.ends}
        executor.note(Waived(pods=tuple(sorted(ended)), reason=reason, by=executor.ports.approver.name))
