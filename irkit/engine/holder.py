"""Who works on a target. A lock file on this machine, and a Lease where the cluster has namespace ``irkit-system``.

The file lock dies with its process (flock). The Lease is per target, as in client-go's leader election: who renews it
holds it, and one that was not renewed for its duration may be taken over. When that was is what the API server wrote down
(``managedFields``): what the holder's own clock says counts only where the server says nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from irkit.errors import ConflictError, ForbiddenError, HeldError, IrkitError, NotFoundError, RefusedError
from irkit.model.incident import Incident
from irkit.model.kube import LEASES, NAMESPACES, Obj, ObjectRef, annotations_of, at
from irkit.model.managers import managers_of
from irkit.model.order import SYSTEM_NAMESPACE
from irkit.ports import Clock, Cluster
from irkit.text import printable

NAMESPACE = SYSTEM_NAMESPACE
DURATION = 60  # seconds that a Lease holds without being renewed
_LONGEST = 3600.0  # seconds; clocks may differ, but not more
_APART = 7200.0  # seconds between what a holder wrote and when the server took it, where both are known


class LocalLock:
    """Held from construction until `release` or the end of the process. Raises HeldError."""

    def __init__(self, directory: Path, key: str, holder: str, what: str) -> None:
        try:
            directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # by itself: what `parents` makes gets the umask's mode
            directory.mkdir(mode=0o700, exist_ok=True)
            path = directory / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RefusedError(f"{printable(directory)} can't be written: {error.strerror}; nothing was changed",
                               next="set IRKIT_HOME to a directory that can be written") from None  # fmt: skip
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            by = os.read(self._fd, 500).decode(errors="replace")
            os.close(self._fd)
            raise HeldError(what, by or "another process") from None
        with suppress(OSError):  # the disk is full: it is locked all the same, and a second one is told of "another process"
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, holder.encode(), 0)

    def release(self) -> None:
        os.close(self._fd)


def lease_of(incident: Incident) -> ObjectRef:
    """The Lease of what the incident is about."""
    return _ref(incident.target.pod.uid or incident.target.pod.name)


def _ref(name: str) -> ObjectRef:
    return ObjectRef(resource=LEASES, name=f"irkit-{name}", namespace=NAMESPACE)


class TargetLease:
    """The Lease of one target. ``shared`` says whether the cluster keeps one, ``why_not`` why it does not.

    Its times are the API server's, as far as that is known: two laptops may differ by more than a Lease lasts. ``lost`` says
    who took it over meanwhile, as from a laptop that slept; ``notes`` are annotations that go along with the next write.
    """

    def __init__(self, cluster: Cluster, clock: Clock, name: str, holder: str, incident: str, skew: float | None = None) -> None:
        """``skew``: seconds that the API server's clock is ahead of this machine's."""
        self._cluster, self._clock, self._holder, self._incident = cluster, clock, holder, incident
        self._skew = timedelta(seconds=skew or 0.0)
        self._ref = _ref(name)
        self.shared = False
        self.why_not = self.lost = ""
        self.notes: dict[str, str] = {}
        self._over = threading.Event()

    def acquire(self) -> None:
        """Take or renew it. Raises HeldError where another holder has renewed it within its duration."""
        if not self.offered():
            return
        try:
            self._acquire()
            self.shared = True
        except (NotFoundError, ForbiddenError) as error:  # the namespace is being deleted, or is others' alone
            self.why_not = error.message

    def offered(self) -> bool:
        """Whether the cluster has the namespace for copies; nothing is taken."""
        try:
            self._cluster.get(ObjectRef(resource=NAMESPACES, name=NAMESPACE))
        except (NotFoundError, ForbiddenError) as error:
            self.why_not = f"the cluster has no namespace {NAMESPACE}" if isinstance(error, NotFoundError) else error.message
            return False
        return True

    def _acquire(self) -> None:
        try:
            found = self._cluster.get(self._ref)
        except NotFoundError:
            try:
                self._cluster.create(LEASES, self._object())
            except ConflictError:
                self._take(self._cluster.get(self._ref))
            return
        self._take(found)

    def _take(self, found: Obj) -> None:
        holder = at(found, ("spec", "holderIdentity"), "")
        if holder and holder != self._holder and not self._expired(found):
            raise HeldError(
                annotations_of(found).get("irkit.dev/target", self._ref.name),
                f"{holder} (incident {annotations_of(found).get('irkit.dev/incident-id', 'unknown')})",
            )
        body = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"], "annotations": self._annotations()},
            "spec": self._spec(),
        }
        try:
            self._cluster.patch(self._ref, body)
        except ConflictError:
            raise HeldError(self._ref.name, "somebody who took it at the same moment") from None

    def _annotations(self) -> dict[str, str]:
        return {"irkit.dev/incident-id": self._incident, **self.notes}

    def _expired(self, found: Obj) -> bool:
        """Also where it says what irkit never writes: no time, one of the future, a duration of years."""
        try:
            said = datetime.fromisoformat(at(found, ("spec", "renewTime"), ""))
            wrote = next((m.time for m in managers_of(found, ("spec", "renewTime")) if m.time), "")
            renewed = datetime.fromisoformat(wrote) if wrote else said
            seconds = min(float(at(found, ("spec", "leaseDurationSeconds"), DURATION)), _LONGEST)
            age = (self._now() - renewed).total_seconds()
            apart = abs((renewed - said).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return True
        return apart > _APART or not -_LONGEST <= age <= seconds

    def _now(self) -> datetime:
        return self._clock.now() + self._skew

    def _spec(self) -> Obj:
        return {"holderIdentity": self._holder, "leaseDurationSeconds": DURATION,
                "renewTime": self._now().isoformat(timespec="microseconds").replace("+00:00", "Z")}  # fmt: skip

    def _object(self) -> Obj:
        meta = {"name": self._ref.name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "irkit"},
                "annotations": self._annotations()}  # fmt: skip
        return {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": meta, "spec": self._spec()}

    def keep(self) -> None:
        """Renew it in the background until `release`, so that a long collection does not lose it."""
        if self.shared:
            threading.Thread(target=self._renew, name="irkit-lease", daemon=True).start()

    def _renew(self) -> None:
        while not self._over.wait(DURATION / 3):
            with suppress(HeldError):
                self.renew()
            if self.lost:
                return

    def renew(self) -> None:
        """Renew it now. Raises HeldError where somebody took it over meanwhile, who keeps it; of what else fails the next turn tries again."""
        try:
            if self.shared:
                self._acquire()
        except HeldError as error:
            self.lost = error.holder
            raise
        except IrkitError:
            return

    def release(self) -> None:
        """Give it back, so that nobody has to wait for its end."""
        self.abandon()
        if not self.shared:
            return
        try:
            found = self._cluster.get(self._ref)
            if at(found, ("spec", "holderIdentity")) == self._holder:  # who took it over meanwhile keeps it
                pinned = {"resourceVersion": found["metadata"]["resourceVersion"]}
                body = {"metadata": {**pinned, "annotations": self.notes}, "spec": {"holderIdentity": "", "renewTime": None}}
                self._cluster.patch(self._ref, body)
        except IrkitError:  # it ends by itself
            self.shared = False

    def abandon(self) -> None:
        """Renew it no more; without a request, so that it takes no time where the server does not answer."""
        self._over.set()


def holder_text(operator: str, host: str, since: str, incident: str) -> str:
    """What another operator is told."""
    return f"{operator} on {host} (pid {os.getpid()}) since {since}, incident {incident}"
