"""Running the steps of an incident: look again, ask if there is more than was approved, write ahead, do, prove.

A step is planned anew right before it runs. After its changes it is planned once more: what is still missing then is
done again (a controller may have been quicker), and what never converges is a failure that names the step.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import msgspec

from irkit.engine.apply import MovedError, apply
from irkit.engine.approvals import Approvals
from irkit.engine.capture import Collection
from irkit.engine.events import ChangeEnded, Said, StepBegan, StepEndedEvent
from irkit.engine.journal import Journal, stamp
from irkit.engine.observe import Snapshot
from irkit.engine.planner import BoundStep, captures, plan_step, uncollected, unsafe
from irkit.engine.state import State
from irkit.errors import ApiError, EndStateError, IrkitError
from irkit.errors import Declined as DeclinedError
from irkit.model.changes import Await, Capture, Change, Check, Create, Notify, Rotate, mark_of
from irkit.model.incident import Incident
from irkit.model.kube import DAEMONSETS, NETWORKPOLICIES, PODS, ObjectRef
from irkit.model.outcome import Declined, Done, Failed, Outcome, Skipped, Unchanged
from irkit.model.plan import PlannedStep
from irkit.model.record import Body, Intent, Result, StepEnded, Waived
from irkit.model.titles import title
from irkit.ports import ClusterReader, Observed, Ports
from irkit.text import plural

_ROUNDS = 6  # of planning one step, when the world moves and people are asked


class Executor(msgspec.Struct):
    """One invocation's work on one incident. The only owner of its journal while it runs."""

    ports: Ports
    incident: Incident
    journal: Journal
    state: State
    approvals: Approvals
    collection: Collection
    pool: ThreadPoolExecutor
    run: str
    question: Callable[[PlannedStep, frozenset[str]], str]  # the second: pods whose evidence was waived
    publish: Callable[[], None]
    _late: list[Body] = msgspec.field(default_factory=list)
    _created: Snapshot | None = None

    def note(self, *bodies: Body) -> None:
        """Put lines on record, on disk, and into the state."""
        for line in self.journal.append(*bodies):
            self.state.add(line)

    def look(self) -> Observed:
        """A new look at the cluster."""
        snapshot = Snapshot(self.ports.cluster, self.pool)
        namespace = self.incident.target.namespace
        snapshot.warm([lambda c: c.list(PODS, namespace)])
        if self.incident.target.is_pod:
            snapshot.warm([lambda c: c.list(NETWORKPOLICIES, namespace)])
        return self.observed(snapshot)

    def observed(self, cluster: ClusterReader) -> Observed:
        return Observed(cluster=cluster, now=self.ports.clock.now(), settings=self.ports.settings, marks=self.state.marks,
                        captured=self.state.captured, begun=self.state.begun, run=self.run, restarts=self.state.restarts,
                        befores=self.state.befores)  # fmt: skip

    def run_all(self, steps: Sequence[BoundStep], first: Observed) -> None:
        """Run the steps in order. ``first``: the look from which the run was approved, good for its first step."""
        seen: Observed | None = first
        stopped = ""
        for number, step in enumerate(steps):
            if stopped:
                self._end(step, Skipped(f"after step {stopped}"))
                continue
            if lacking := self._lacks(step):
                self._end(step, Skipped(f"step {lacking}, which it needs, is not done"))
                continue
            earlier = [s for s in steps[:number] if s.step.kind == "collect"]
            outcome = self._run(step, earlier, seen)
            seen = None
            if isinstance(outcome, Failed | Declined) and step.spec.on_failure == "stop" and not self._waived(step):
                stopped = step.id
        if not stopped:
            self.collection.seal()

    def _lacks(self, step: BoundStep) -> str:
        """A step that this one needs and that did not end well, in this run or the last that did it. One that was never run is not asked for."""
        return next((n for n in step.spec.needs if not isinstance(self.state.steps.get(n), Done | Unchanged | None)), "")

    def _end(self, step: BoundStep, outcome: Outcome) -> Outcome:
        self.note(StepEnded(step=step.id, run=self.run, outcome=outcome))
        if isinstance(outcome, Done) and step.step.confirm == "ask":
            self.publish()
        self.ports.listen(StepEndedEvent(step.id, step.step.kind, outcome))
        return outcome

    def _run(self, step: BoundStep, earlier: Sequence[BoundStep], seen: Observed | None) -> Outcome:
        self.ports.listen(StepBegan(step.id, step.step.kind))
        try:
            outcome = self._converge(step, earlier, seen)
            if isinstance(outcome, Done | Unchanged) and step.step.kind == "collect":
                self.collection.seal()  # also what a run had collected that ended before it could
        except DeclinedError as error:
            outcome = Declined(self.ports.approver.name, error.message)
        except IrkitError as error:
            outcome = self._fallen_back(step, Failed(error.message, error.exit_code, error.next))
        return self._end(step, outcome)

    def _fallen_back(self, step: BoundStep, failed: Failed) -> Failed:
        """What a step knows to do, and to say, where its end state was not reached (steps/base.py)."""
        fallback = getattr(step.step, "fallback", None)
        if fallback is None or failed.exit_code != EndStateError.exit_code:
            return failed
        try:
            seen = msgspec.structs.replace(self.look(), step=step.id)
            changes, following = fallback(self.incident, seen)
            planned = PlannedStep(step.id, step.step.kind, step.spec.phase, tuple(changes), "ask")
            if planned.changes and self.approvals.ask(self.question(planned, self.state.unkept), [planned]):
                stopped = self._changes(step, planned.changes, seen)
                self.collection.seal()
                what = stopped.error if stopped else "; ".join(" ".join(title(c).split()) for c in planned.writes)
                failed = msgspec.structs.replace(failed, error=f"{failed.error}; then: {what}")
        except IrkitError as error:
            return Failed(f"{failed.error}; then: {error.message}", failed.exit_code, failed.next)
        return msgspec.structs.replace(failed, next=following or failed.next)

    def _converge(self, step: BoundStep, earlier: Sequence[BoundStep], seen: Observed | None) -> Outcome:
        did = 0
        for _ in range(_ROUNDS):
            seen = seen or self.look()
            planned = plan_step(step, self.incident, seen)
            if not planned.changes and (failed := self._left_open(step)):
                return failed
            if not planned.changes:
                return Done(f"{plural(did, 'change')}") if did else Unchanged("nothing to do")
            lost = uncollected(planned, self.state.captured | captures(planned))
            if lost and planned.waiver:
                self.note(Waived(pods=tuple(p.uid for p in lost), reason=planned.waiver, by=f"playbook {self.incident.playbook}"))
            elif lost:
                self._cover(step, earlier, planned, lost)
                seen = None
                continue
            if planned.confirm == "ask" and self.approvals.new([planned]):
                if not self.approvals.ask(self.question(planned, self.state.unkept), [planned]):
                    return Declined(self.ports.approver.name)
                seen = None  # a person took their time: what came meanwhile may end, too
                continue
            try:
                if failed := self._changes(step, planned.changes, seen):
                    return failed
            except MovedError as moved:
                self.ports.listen(Said(f"{moved.message}; planning again"))
                seen = None
                continue
            did += len(planned.changes)
            seen = None
            if not planned.writes:
                return self._undelivered(step) or Done(f"{plural(did, 'change')}")
        raise EndStateError(f"step {step.id} does not converge: something undoes it", next="irkit verify")

    def _left_open(self, step: BoundStep) -> Failed | None:
        """What a step that rotates ends in where not every credential is done."""
        if step.step.kind != "rotate":
            return None
        from irkit.engine import rotation

        return rotation.left_open(self.state, step.id, self.run)

    def _undelivered(self, step: BoundStep) -> Skipped | None:
        """Who was not told in this run: it stops nothing, and is left for `resume`."""
        tried = [self.state.results.get(c) for c, i in self.state.intents.items()
                 if i.step == step.id and i.run == self.run and isinstance(i.change, Notify)]  # fmt: skip
        lost = [o.why for o in tried if isinstance(o, Skipped)]
        return Skipped("; ".join(lost)) if lost else None

    def _waived(self, step: BoundStep) -> bool:
        """Whether a human said why the run may go on without the evidence of this step."""
        return step.step.kind == "collect" and self.state.waiver is not None

    def _cover(self, step: BoundStep, earlier: Sequence[BoundStep], planned: PlannedStep, lost: Sequence[ObjectRef]) -> None:
        """Collect the pods that this step would end; where that fails, a human's reason must do. Raises IrkitError."""
        waiver = self.state.waiver
        try:
            self._collect_late(step, earlier, planned)
        except IrkitError:
            if waiver is None:
                raise
        again = plan_step(step, self.incident, self.look())
        left = uncollected(again, self.state.captured | captures(again))
        if left and waiver is None:
            raise unsafe(step.id, lost)
        if left and waiver is not None:
            self.note(Waived(pods=tuple(p.uid for p in left), reason=waiver.reason, by=waiver.by))

    def _collect_late(self, step: BoundStep, earlier: Sequence[BoundStep], planned: PlannedStep) -> None:
        """Collect the pods that came since the collection, as its step would have; they need no new question."""
        for collect in earlier:
            again = plan_step(collect, self.incident, self.look())
            if again.changes:
                self.ports.listen(Said(f"collecting {plural(len(again.changes), 'pod')} that came since, before step {step.id} ends them"))
                if failed := self._changes(collect, again.changes, self.look()):
                    raise IrkitErrorOf(failed)
                self.collection.seal()

    def _changes(self, step: BoundStep, changes: Sequence[Change], seen: Observed) -> Failed | None:
        self._created = None  # what an earlier round listed is old by now
        captures = [c for c in changes if isinstance(c, Capture)]
        if captures:
            outcomes = self.collection.take(step.id, captures, Snapshot(self.ports.cluster, self.pool))
            failed = next((o for o in outcomes if isinstance(o, Failed)), None)
            if failed is not None:
                return failed
        try:
            # no old value is ended in one batch with those that are being replaced
            for stage, group in groupby((c for c in changes if not isinstance(c, Capture)), key=lambda c: c.stage if isinstance(c, Rotate) else ""):
                if stage:
                    self._rotate(step, [c for c in group if isinstance(c, Rotate)])
                    continue
                for change in group:
                    self._do(step.id, change, seen, step.spec.timeout)
        finally:
            self.flush()
        return None

    def _rotate(self, step: BoundStep, changes: Sequence[Rotate]) -> None:
        """All of them at the same time. Raises MovedError where one was not done: who is restarted depends on that."""
        self.flush()
        from irkit.engine.rotation import Rotations

        rotations = Rotations(self.ports, self.incident, self.state, self.pool, self.run, self.note)
        if not rotations.apply(step.id, changes, step.spec.timeout):
            raise MovedError("not every credential was rotated")

    def _do(self, step: str, change: Change, seen: Observed, timeout: float, purpose: str = "do") -> None:
        """Write ahead, do, write what became of it.

        An outcome reaches the disk with the next intent, or at the end of the step: one fsync less between two writes, and
        a crash in between leaves an outcome unknown, which planning again finds out. What only looks or tells has nothing
        to write ahead of: it leaves its record once it is done.
        """
        call = secrets.token_hex(6)
        intent = Intent(call=call, step=step, run=self.run, change=change, purpose=purpose)
        if change.writes:
            self.flush(intent)
        try:
            outcome = apply(change, self.incident, self.ports, self._fresh(seen) if isinstance(change, Check) else seen, timeout)
        except IrkitError as error:
            # a server's own failure (500) says as little about what was done as no answer at all
            code = 7 if isinstance(error, ApiError) and error.status >= 500 else error.exit_code
            failed = Result(call=call, outcome=Failed(error.message, code, error.next))
            self.flush(*([failed] if change.writes else [intent, failed] if _leaves_a_record(change) else []))
            raise
        if change.writes or _leaves_a_record(change):
            self._late += [Result(call=call, outcome=outcome)] if change.writes else [intent, Result(call=call, outcome=outcome)]
        if isinstance(change, Create):
            self._list_again(change.ref)
        self.ports.listen(ChangeEnded(step, change, outcome, stamp(self.ports.clock)))

    def flush(self, *bodies: Body) -> None:
        """Put what is late, and these lines, on disk."""
        late, self._late = self._late, []
        if late or bodies:
            self.note(*late, *bodies)

    def _fresh(self, seen: Observed) -> Observed:
        """The cluster as it is now: a check never trusts what was read before a change. The plugin's DaemonSets are no change of ours."""
        snapshot = Snapshot(self.ports.cluster, self.pool)
        if isinstance(seen.cluster, Snapshot):
            snapshot.adopt(seen.cluster, DAEMONSETS)
        created, self._created = self._created, None
        if created is not None:
            snapshot.adopt(created, NETWORKPOLICIES)
        pod = self.incident.target.pod
        if self.incident.target.is_pod:
            snapshot.warm([lambda c: c.get(pod), lambda c: c.list(NETWORKPOLICIES, pod.namespace)])
        return msgspec.structs.replace(seen, cluster=snapshot)

    def _list_again(self, ref: ObjectRef) -> None:
        """List what was just created among its like, while the next write is on its way; the check after that write uses it once.

        A consistent list waits until the API server's watch cache has caught up, up to 100 ms when something else was
        written last (KEP-2340); right after a create of the same kind it has. What others create in these few
        milliseconds is found by the `verify` at the end.
        """
        self._created = Snapshot(self.ports.cluster, self.pool)
        self._created.warm([lambda c: c.list(ref.resource, ref.namespace)])

    def lifting(self, step: PlannedStep, timeout: float = 120.0) -> None:
        """Do the changes of a lift in their order; each pod that may end is in a sealed bag by then. Raises IrkitError."""
        captures = [c for c in step.changes if isinstance(c, Capture)]
        for change in step.changes:
            if isinstance(change, Capture):
                if change is captures[0]:
                    outcomes = self.collection.take(step.id, captures, Snapshot(self.ports.cluster, self.pool))
                    if failed := next((o for o in outcomes if isinstance(o, Failed)), None):
                        raise IrkitErrorOf(failed)
                    self.collection.seal()
                continue
            if lost := [p for p in change.ends if p.uid not in self.state.captured]:
                raise unsafe(step.id, lost)
            self._do(step.id, change, self.look(), timeout, "lift")
            self.flush()


def _leaves_a_record(change: Change) -> bool:
    """Whether a change that writes nothing is put on record once it is done."""
    return isinstance(change, Await) or mark_of(change) is not None


class IrkitErrorOf(IrkitError):
    """A failed outcome, raised."""

    def __init__(self, outcome: Failed) -> None:
        super().__init__(outcome.error, next=outcome.next)
        self.exit_code = outcome.exit_code  # type: ignore[misc]
