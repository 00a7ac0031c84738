"""Doing one change: write ahead, do, write what became of it; and looking at the cluster before, in between and after."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import msgspec

from irkit.engine.apply import apply
from irkit.engine.events import ChangeEnded
from irkit.engine.journal import Journal, stamp
from irkit.engine.kept import Kept
from irkit.engine.observe import Snapshot
from irkit.engine.state import State
from irkit.errors import ApiError, IrkitError
from irkit.model.changes import Await, Change, Check, Create, mark_of
from irkit.model.incident import Incident
from irkit.model.kube import DAEMONSETS, NETWORKPOLICIES, PODS, ObjectRef
from irkit.model.outcome import Failed
from irkit.model.record import Body, Intent, Result
from irkit.ports import ClusterReader, Observed, Ports


class Doer(msgspec.Struct):
    """The only owner of an incident's journal while it runs."""

    ports: Ports
    incident: Incident
    journal: Journal
    state: State
    pool: ThreadPoolExecutor
    run: str
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
                        befores=self.state.befores, kept=Kept(self.ports))  # fmt: skip

    def do(self, step: str, change: Change, seen: Observed, timeout: float, purpose: str = "do") -> None:
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
        if isinstance(change, Create) and not change.optional:
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


def _leaves_a_record(change: Change) -> bool:
    """Whether a change that writes nothing is put on record once it is done."""
    return isinstance(change, Await) or mark_of(change) is not None
