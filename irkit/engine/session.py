"""One invocation's hold on one incident: its lock, its journal, its bag, and what must happen however it ends."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from irkit import __version__
from irkit.engine.announcing import heard, tell
from irkit.engine.approvals import Approvals
from irkit.engine.capture import Collection
from irkit.engine.events import Over, Said
from irkit.engine.executor import Executor
from irkit.engine.handover import publish
from irkit.engine.holder import NAMESPACE, LocalLock, TargetLease, holder_text
from irkit.engine.home import Home
from irkit.engine.journal import Journal, stamp
from irkit.engine.signing import Keys, keys
from irkit.engine.state import State
from irkit.errors import InterruptedRun, IrkitError
from irkit.model.incident import Incident, Operator
from irkit.model.plan import PlannedStep
from irkit.model.record import Body, Opened, Ordered, Ran
from irkit.ports import Ports
from irkit.text import printable


class Session:
    """Open it before asking (it locks the target on this machine), `begin` it once people said yes."""

    def __init__(
        self, ports: Ports, incident: Incident, pool: ThreadPoolExecutor, command: str, who: Operator, *, shared: bool = True,
        again: str = "irkit resume",
    ) -> None:  # fmt: skip
        """``again``: the command that goes on where this one was interrupted; the incident's id follows it."""
        self.who = who  # who runs irkit now: on another day, maybe not who opened the incident
        self.ports, self.incident, self.pool, self.command = ports, incident, pool, command
        self.home = Home(ports.settings.home)
        self.run = secrets.token_hex(4)
        self._host = socket.gethostname()
        target = incident.target
        since = stamp(ports.clock)
        self._shared, self._lock = shared, None
        if shared:  # who only reads is in nobody's way
            self._lock = LocalLock(self.home.locks, f"{incident.cluster.uid}/{target.pod.uid or target.pod}",
                                   holder_text(who.name, self._host, since, incident.id), str(target.pod))  # fmt: skip
        # an order has one process at a time: where one was killed, the next one, on whichever machine, need not wait for the Lease's end
        holder = f"{who.name} for order {ports.ordered[0].id}" if ports.ordered else f"{who.name}@{self._host}"
        self.lease = TargetLease(ports.cluster, ports.clock, target.pod.uid or target.pod.name, holder, incident.id,
                                 ports.connection.identify().clock_skew)  # fmt: skip
        self.journal: Journal | None = None
        self.state = State()
        self._answers = True  # whether the server did, the last time
        self._keys: Keys | None = None
        self._asked = False  # for the keys
        self._again = again

    def begin(self, opened: Opened | None = None) -> None:
        """Open the journal: a new one with its first record, or the one that is there. Raises HeldError, RefusedError."""
        if self._shared:
            self.lease.acquire()
        if opened is not None:
            self.home.create(self.incident.id)
        self.journal = Journal(self.home.journal(self.incident.id), self.ports.clock)
        self.state = State.of(self.journal.lines)
        first = (opened,) if opened is not None else ()
        last = (Ordered(run=self.run, order=self.ports.ordered[0], decisions=self.ports.ordered[1]),) if self.ports.ordered else ()
        began = Ran(run=self.run, event="start", command=self.command, data={"version": __version__, "operator": self.who.name, "host": self._host})
        for line in self.journal.append(*first, began, *last):
            self.state.add(line)
        if opened is not None:
            text = f"{self.who.name} opened it on {self.incident.target.pod}"
            tell(self.ports, "opened", self.state, text, f"irkit incident show {self.incident.id}", stamp(self.ports.clock))
        self.lease.keep()
        if self._shared and self.ports.ordered:  # its process may end together with its disk, and what is cut off has no owner any more
            self.publish()

    def executor(self, question: Callable[[PlannedStep, frozenset[str]], str]) -> Executor:
        assert self.journal is not None, "begin comes first"
        ports = self.ports
        approvals = Approvals(self.state, self.journal, ports.approver, ports.clock, ports.settings.approval_lifetime)
        collection = Collection(self.incident, ports, self.state, self.journal, self.pool, self.run)
        collection.recover()
        return Executor(ports, self.incident, self.journal, self.state, self.pool, self.run, approvals=approvals, collection=collection,
                        question=question, publish=self.share)  # fmt: skip

    def note(self, *bodies: Body) -> None:
        """Put something on record."""
        assert self.journal is not None, "begin comes first"
        for line in self.journal.append(*bodies):
            self.state.add(line)

    def over(self, exit_code: int) -> None:
        """The run is on record, and in the copy; nobody is told."""
        self._ran("end", exit_code)
        self.publish()

    def end(self, exit_code: int) -> None:
        self._ran("end", exit_code)
        closed = self.state.closed.startswith("closed")
        text = (
            f"{self.state.closed} by {self.who.name}"
            if closed
            else f"irkit {self.command} ended with {exit_code}; the incident is {self.state.status}"
        )
        following = f"irkit incident {'report' if closed else 'show'} {self.incident.id}"
        tell(self.ports, "closed" if closed else "ended", self.state, text, following, stamp(self.ports.clock))
        self.publish()

    def share(self) -> None:
        """Between two steps: put the copy there. Raises HeldError where somebody took the target over, as while this machine slept."""
        self.lease.renew()
        self.publish()

    def publish(self) -> None:
        """Put a copy of the journal where colleagues find it, if the cluster has the place. An order's is there, though it only reads."""
        if self.journal is None or not self._answers or not (self.lease.shared or (self.ports.ordered and self.lease.offered())):
            return
        if self.lease.lost:  # the copy is theirs now; this run's part shows when both are compared (handover.py)
            self.lease.why_not = f"it was taken over by {printable(self.lease.lost)} meanwhile"
            return
        try:
            if not self._asked:
                self._keys, self._asked = keys(self.ports.cluster), True
        except IrkitError as error:
            self.lease.why_not = f"copies in {NAMESPACE} can't be signed: {error.message}"
            return
        self.lease.why_not, notes = publish(self.ports.cluster, self.state, self.journal.path, self._keys)
        self.lease.notes.update(notes)

    def _ran(self, event: str, exit_code: int) -> None:
        self._answers = exit_code not in (7, 130)
        if self.journal is None or not self.journal.lines:
            return  # no incident yet
        for line in self.journal.append(Ran(run=self.run, event=event, command=self.command, exit_code=exit_code)):
            self.state.add(line)
        if event == "end":
            self.ports.listen(Over(self.incident.id))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if isinstance(error, KeyboardInterrupt):
                self._ran("interrupted", 130)
                raise self._interrupted() from None
            if isinstance(error, IrkitError):
                self._ran("end", error.exit_code)
                error.incident = self.incident.id if self._begun else None
        finally:
            if self.journal is not None:
                self.journal.close()
            for why in heard(self.ports) if not isinstance(error, KeyboardInterrupt) else ():
                self.ports.listen(Said(why, "warning"))
            if self._answers:
                self.lease.release()
            else:  # whoever waits for the end of this run should not have to wait for the server
                self.lease.abandon()
            if self._lock is not None:
                self._lock.release()

    @property
    def _begun(self) -> bool:
        """Whether there is an incident: it exists from its first durable record."""
        return self.journal is not None and bool(self.journal.lines)

    def _interrupted(self) -> InterruptedRun:
        if not self._begun:
            return InterruptedRun("interrupted; nothing was changed")
        stopped = InterruptedRun("interrupted; the journal is intact", next=f"{self._again} {self.incident.id}")
        stopped.incident = self.incident.id
        return stopped
