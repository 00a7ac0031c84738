"""Running the steps of an incident: look again, ask if there is more than was approved, write ahead, do, prove.

A step is planned anew right before it runs. After its changes it is planned once more: what is still missing then is
done again (a controller may have been quicker), and what never converges is a failure that names the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import msgspec

from irkit.engine.apply import MovedError
from irkit.engine.approvals import Approvals
from irkit.engine.capture import Collection
from irkit.engine.doing import Doer
from irkit.engine.events import Said, StepBegan, StepEndedEvent
from irkit.engine.observe import Snapshot
from irkit.engine.planner import BoundStep, captures, plan_step, uncollected, unsafe
from irkit.errors import Declined as DeclinedError
from irkit.errors import EndStateError, IrkitError
from irkit.model.changes import Capture, Change, Notify, Rotate
from irkit.model.kube import ObjectRef
from irkit.model.outcome import Declined, Done, Failed, Outcome, Skipped, Unchanged
from irkit.model.plan import PlannedStep
from irkit.model.record import StepEnded, Waived
from irkit.model.titles import title
from irkit.ports import Observed
from irkit.text import plural

_ROUNDS = 6  # of planning one step, when the world moves and people are asked


class Executor(Doer, kw_only=True):
    """One invocation's work on one incident, step by step."""

    approvals: Approvals
    collection: Collection
    question: Callable[[PlannedStep, frozenset[str]], str]  # the second: pods whose evidence was waived
    publish: Callable[[], None]

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
                    self.do(step.id, change, seen, step.spec.timeout)
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
            self.do(step.id, change, self.look(), timeout, "lift")
            self.flush()


class IrkitErrorOf(IrkitError):
    """A failed outcome, raised."""

    def __init__(self, outcome: Failed) -> None:
        super().__init__(outcome.error, next=outcome.next)
        self.exit_code = outcome.exit_code  # type: ignore[misc]
