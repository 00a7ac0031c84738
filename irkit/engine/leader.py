"""Which of several processes leads: by a Lease in namespace ``irkit-system``, or by a file lock where they share a machine only.

As client-go's leader election (tools/leaderelection): who renews the Lease leads, and another one takes it over only
after it has seen the Lease unchanged, by its own monotonic clock, for as long as a Lease lasts. So clocks may differ.
What the Lease itself says of times and durations is for people. A leader that could not renew it for `DEADLINE` does
not lead any more: that is sooner than anybody else takes over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from irkit.engine.holder import LocalLock
from irkit.errors import ConflictError, HeldError, IrkitError, NotFoundError
from irkit.model.kube import LEASES, Obj, ObjectRef, at
from irkit.model.order import SYSTEM_NAMESPACE
from irkit.ports import Clock, Cluster

NAME = "irkit-listener"  # of the Lease, and of the lock
DURATION = 10.0  # seconds that a Lease is seen unchanged before another one takes it over
DEADLINE = 7.0  # seconds without a renewal after which a leader does not lead any more
RENEWAL = 2.0  # seconds between two renewals
RETRY = 1.0  # seconds between two looks of those who do not lead

Heard: TypeAlias = Callable[[str], None]


class LeaseLeader:
    """``leads()`` asks nobody: a thread sees to the Lease from `start` to `close`. ``identity`` is this process's alone."""

    def __init__(self, cluster: Cluster, clock: Clock, identity: str, heard: Heard = lambda said: None) -> None:
        """``heard``: is told in a few words when this process begins or ceases to lead, or why it can't see to the Lease."""
        self._cluster, self._clock, self._identity, self._heard = cluster, clock, identity, heard
        self._ref = ObjectRef(resource=LEASES, name=NAME, namespace=SYSTEM_NAMESPACE)
        self._renewed: float | None = None  # when the last renewal that came through was sent
        self._seen, self._since = "", 0.0  # the Lease's version, and when this process first saw it
        self._said = self._why = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def leads(self) -> bool:
        fresh = self._renewed is not None and self._clock.monotonic() - self._renewed < DEADLINE
        return fresh and not self._over.is_set()

    def led(self) -> bool:
        """Whether somebody leads, as far as this process has seen."""
        return self.leads() or (self._seen != "" and self._clock.monotonic() - self._since < DURATION)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="irkit-leader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give it back, so that nobody has to wait for its end."""
        led = self.leads()
        self._over.set()
        if self._thread is not None:
            self._thread.join(DEADLINE)
        if led:
            with suppress(IrkitError):  # it ends by itself
                found = self._cluster.get(self._ref)
                if at(found, ("spec", "holderIdentity")) == self._identity:
                    self._write(found, {"holderIdentity": ""})

    def look(self) -> None:
        """See to the Lease once: renew it, take it, or wait. Raises what the cluster says."""
        sent = self._clock.monotonic()
        try:
            found = self._cluster.get(self._ref)
        except NotFoundError:
            self._cluster.create(LEASES, self._object())
            self._renewed = sent
            return
        version, holder = found["metadata"]["resourceVersion"], at(found, ("spec", "holderIdentity"), "")
        if holder == self._identity:
            self._write(found, {})
        elif not holder or self._stale(version):
            times = at(found, ("spec", "leaseTransitions"), 0)
            self._write(found, {"holderIdentity": self._identity, "acquireTime": self._now(),
                                "leaseTransitions": times + 1 if isinstance(times, int) else 1})  # fmt: skip
        else:
            self._renewed = None
            return
        self._renewed = sent

    def _stale(self, version: str) -> bool:
        now = self._clock.monotonic()
        if version != self._seen:
            self._seen, self._since = version, now
        return now - self._since >= DURATION

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.look()
                self._tell("")
            except ConflictError:  # somebody was quicker; the next look says who
                self._tell("")
            except IrkitError as error:
                self._tell(error.message)
            except Exception as error:  # noqa: BLE001 -- who ends here would never lead again, and nobody would know
                self._tell(f"inside irkit: {type(error).__name__}")
            self._over.wait(RENEWAL if self.leads() else RETRY)

    def _tell(self, why: str) -> None:
        if why and why != self._why:
            self._heard(f"the Lease can't be seen to: {why}")
        state = "leads" if self.leads() else "follows"
        if state != self._said:
            self._heard(state)
        self._why, self._said = why, state

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _write(self, found: Obj, spec: Obj) -> None:
        pinned = {"resourceVersion": found["metadata"]["resourceVersion"]}
        self._cluster.patch(self._ref, {"metadata": pinned, "spec": {"renewTime": self._now(), "leaseDurationSeconds": int(DURATION), **spec}})

    def _object(self) -> Obj:
        spec = {"holderIdentity": self._identity, "leaseDurationSeconds": int(DURATION), "leaseTransitions": 0,
                "acquireTime": self._now(), "renewTime": self._now()}  # fmt: skip
        meta = {"name": self._ref.name, "namespace": SYSTEM_NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "irkit"}}
        return {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": meta, "spec": spec}


class FileLeader:
    """On one machine: whoever has the lock leads until its process ends."""

    def __init__(self, directory: Path, identity: str) -> None:
        self._directory, self._identity = directory, identity
        self._lock: LocalLock | None = None

    def leads(self) -> bool:
        """Raises RefusedError where the directory can't be written."""
        if self._lock is None:
            with suppress(HeldError):
                self._lock = LocalLock(self._directory, NAME, self._identity, "the queue of orders")
        return self._lock is not None

    def led(self) -> bool:
        """Whether somebody leads: whoever has the lock, where it is not this process."""
        return self.leads() or self._lock is None

    def start(self) -> None:
        """It is seen to when it is asked for."""

    def close(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


Leader: TypeAlias = LeaseLeader | FileLeader
