"""Which cluster this is, and who we are there."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from irkit.adapters import answers
from irkit.adapters.client import Client
from irkit.adapters.retry import Try
from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.incident import ClusterIdentity, Operator
from irkit.model.kube import NAMESPACES, Obj, at
from irkit.text import printable


class Identity:
    """Asks once and remembers; thread-safe."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._cluster: ClusterIdentity | None = None
        self._operator: Operator | None = None
        self._lock = threading.Lock()
        # The API server's clock is ahead of ours by something within these bounds (seconds).
        self._skew: tuple[float, float] | None = None

    def cluster(self) -> ClusterIdentity:
        with self._lock:
            if self._cluster is None:
                about = self._client.transport.access.about
                uid = self._uid()
                version = self._timed("/version").get("gitVersion", "")
                self._cluster = ClusterIdentity(
                    context=about.context, server=about.server, uid=uid, version=printable(version, 64), clock_skew=self._middle()
                )
            return self._cluster

    def operator(self) -> Operator:
        with self._lock:
            if self._operator is None:
                self._operator = self._reviewed()
            return self._operator

    def _uid(self) -> str:
        """The UID of namespace kube-system. Who may not read it gets a stand-in that also tells clusters apart: their CA."""
        try:
            return str(at(self._timed(NAMESPACES.path(None, "kube-system")), ("metadata", "uid"), ""))
        except ForbiddenError:
            authority = self._client.transport.access.trust.authority
            return f"ca:{hashlib.sha256(authority).hexdigest()[:32]}" if authority else ""

    def _timed(self, path: str) -> Obj:
        """A GET whose Date header narrows the bounds of the skew."""

        def attempt(tried: Try) -> Obj:
            before = self._client.clock.now()
            with self._client.opened("GET", path, left=tried.left) as reply:
                after = self._client.clock.now()
                self._measure(before, after, reply.header("Date"))
                document = answers.decoded(reply.read())
            return document if isinstance(document, dict) else {}

        return self._client.retried(attempt)

    def _measure(self, before: datetime, after: datetime, date: str) -> None:
        """Date is cut to a second (RFC 9110 §5.6.7) and was written between ``before`` and ``after``."""
        try:
            moment = parsedate_to_datetime(date)
        except ValueError:
            return
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        low, high = (moment - after).total_seconds(), (moment - before).total_seconds() + 1.0
        if self._skew is not None and max(low, self._skew[0]) <= min(high, self._skew[1]):
            low, high = max(low, self._skew[0]), min(high, self._skew[1])
        self._skew = (low, high)

    def _middle(self) -> float | None:
        """The middle of the bounds; 0 where the clocks may well agree."""
        if self._skew is None:
            return None
        low, high = self._skew
        return 0.0 if low <= 0.0 <= high else round((low + high) / 2, 3)

    def _reviewed(self) -> Operator:
        """SelfSubjectReview (KEP-3325): v1 since Kubernetes 1.28, v1beta1 since 1.27; before that the name is not known."""
        for version in ("v1", "v1beta1"):
            review = {"apiVersion": f"authentication.k8s.io/{version}", "kind": "SelfSubjectReview"}
            try:
                answer = self._client.post(f"/apis/authentication.k8s.io/{version}/selfsubjectreviews", review)
            except NotFoundError:
                continue
            except ForbiddenError as error:
                if "(401)" in error.message:
                    raise
                break
            info = at(answer, ("status", "userInfo"), {})
            return Operator(name=str(info.get("username", "")), groups=tuple(map(str, info.get("groups") or ())))
        return Operator(name=f"unknown (kubeconfig user {self._client.transport.access.about.user or 'none'})")
