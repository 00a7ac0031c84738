"""Runs the controllers: a while after each write, until nothing changes any more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from irkit.ports import Clock
from irkit.sandbox.controllers import aggregation, cronjob, daemonset, deployment, disruption, endpoints, garbage, job, node, replicaset, statefulset
from irkit.sandbox.controllers.argocd import ArgoCd
from irkit.sandbox.controllers.autoscaler import Autoscalers
from irkit.sandbox.controllers.flux import Flux
from irkit.sandbox.failures import Failure
from irkit.sandbox.logs import Logs
from irkit.sandbox.store import Store

STEPS = (garbage.namespaces, aggregation.reconcile, deployment.reconcile, replicaset.reconcile, statefulset.reconcile, daemonset.reconcile,
         cronjob.reconcile, job.reconcile, garbage.collect, endpoints.reconcile, disruption.reconcile,
         node.schedule)  # fmt: skip
ROUNDS = 500
"""More rounds than any rollout here takes; two controllers that undo each other end there."""
POLL = 0.1
"""Seconds between looks at the clock while a controller waits for a moment: the clock need not be the machine's."""


class Manager:
    """One thread that wakes at each write, waits ``lag`` seconds by the clock, and settles the cluster.

    So an answer comes before its consequences, as from a real API server: a relabelled pod still has its owner for a
    moment. With ``lag`` 0 that moment is as short as the machine allows, and is still there. ``operators`` are controllers of add-ons.
    """

    def __init__(self, store: Store, logs: Logs, clock: Clock, lag: float, operators: Sequence[Callable[[Store], None]] = ()) -> None:
        self._store, self._logs, self._clock, self._lag = store, logs, clock, lag
        self._steps = (*operators, Autoscalers().reconcile, ArgoCd().reconcile, Flux().reconcile, *STEPS)
        self._seen = 0
        self._stopped = False
        self._held = 0
        self.problems: deque[Exception] = deque(maxlen=100)
        self._thread = threading.Thread(target=self._run, name="sandbox-controllers", daemon=True)

    def start(self) -> None:
        self.settle()
        self._thread.start()

    def stop(self) -> None:
        with self._store.changed:
            self._stopped = True
            self._store.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(5)

    def hold(self) -> None:
        """Do nothing until `release`: for tests that look at the moment between a write and its consequences."""
        with self._store.changed:
            self._held += 1

    def release(self) -> None:
        with self._store.changed:
            self._held -= 1
            self._store.changed.notify_all()

    def settle(self) -> None:
        """Let the controllers act until nothing changes."""
        with self._store.changed:
            self._store.due = None
        for _ in range(ROUNDS):
            before = self._store.version
            self._round()
            if self._store.version == before:
                self._seen = before
                return
        self._seen = self._store.version

    def wait(self, timeout: float) -> bool:
        """Until every write so far has had its consequences; False when ``timeout`` seconds pass before that."""
        with self._store.changed:
            return self._store.changed.wait_for(lambda: self._seen == self._store.version, timeout)

    def _round(self) -> None:
        for step in self._steps:
            self._act(step)
        self._act(lambda store: node.run(store, self._logs))

    def _act(self, step: Callable[[Store], None]) -> None:
        """One controller's turn. There are no schemas, so an object may be of a shape that its controller can't read."""
        with self._store.changed:
            try:
                step(self._store)
            except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, Failure) as error:
                self.problems.append(error)

    def _pending(self) -> bool:
        due = self._store.due is not None and self._clock.now() >= self._store.due
        return self._stopped or (not self._held and (due or self._seen != self._store.version))

    def _run(self) -> None:
        while True:
            with self._store.changed:
                while not self._pending():
                    self._store.changed.wait(POLL if self._store.due is not None else None)
                if self._stopped:
                    return
            if self._lag:
                self._clock.sleep(self._lag)
            self.settle()
            with self._store.changed:
                self._store.changed.notify_all()
