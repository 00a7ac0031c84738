"""`ports.Cluster` and `ports.Connection` over the thin transport. All methods are thread-safe.

Retried are reads, and writes that are safe to repeat: a patch carries uid and resourceVersion, so a repeated one is a 409;
a create that is answered "exists" after a lost reply is compared with what is there; a repeated delete may find nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from irkit.adapters import kubeconfig
from irkit.adapters.client import MERGE_PATCH, Client
from irkit.adapters.clock import SystemClock
from irkit.adapters.listing import PAGE, listed
from irkit.adapters.retry import Transient, Try
from irkit.errors import ConflictError, NotFoundError
from irkit.model.kube import Obj, ObjectRef, Permission, Resource, at
from irkit.ports import WatchEvent

if TYPE_CHECKING:
    from irkit.adapters.access import About, Access
    from irkit.adapters.identity import Identity
    from irkit.adapters.transport import Reply
    from irkit.model.incident import ClusterIdentity, Operator
    from irkit.ports import Clock
    from irkit.settings import Settings

FIELD_MANAGER = "irkit"
PROXY_LIMIT = 16 << 20  # bytes
_KUBELET_SAYS_NO = frozenset({500})  # an answer of the source itself: asking again changes nothing


def connect(settings: Settings, environ: Mapping[str, str] | None = None, *, clock: Clock | None = None, page: int = PAGE) -> KubernetesCluster:
    """The cluster that the settings name. Reads the kubeconfig; sends nothing. Raises KubeconfigError."""
    access = kubeconfig.load(settings.kubeconfig, settings.context, os.environ if environ is None else environ)
    return KubernetesCluster(access, settings, clock or SystemClock(), page=page)


class KubernetesCluster:
    """One cluster as one user. ``about`` is what is known without asking it."""

    def __init__(self, access: Access, settings: Settings, clock: Clock, *, page: int = PAGE) -> None:
        from irkit.adapters.transport import Transport

        self.about: About = access.about
        transport = Transport(access, timeout=settings.request_timeout, connections=settings.concurrency)
        self._client = Client(transport, clock, settings.retry_budget)
        self._wait, self._page = settings.request_timeout, page
        self._identity: Identity | None = None
        self._lock = threading.Lock()

    @property
    def namespace(self) -> str:
        return self.about.namespace

    @property
    def warnings(self) -> Sequence[str]:
        return self.about.warnings

    # reading

    def get(self, ref: ObjectRef, *, subresource: str = "") -> Obj:
        return self._client.get(ref.path(subresource))

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Sequence[Obj]:
        return listed(self._client, resource, namespace, _selectors(labels, fields), self._page)[0]

    def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "", timeout: float = 60.0
    ) -> Iterator[WatchEvent]:
        from irkit.adapters.watching import Watch

        return Watch(self._client, resource, namespace, _selectors(labels, fields), self._page, timeout).events()

    @contextmanager
    def logs(self, pod: ObjectRef, container: str, *, previous: bool = False) -> Iterator[Iterator[bytes]]:
        query = {"container": container, "timestamps": "true", **({"previous": "true"} if previous else {})}
        with self._client.stream(pod.path("log"), query, final=_KUBELET_SAYS_NO) as reply:
            yield _gathered(reply, self._wait)

    def proxy(self, ref: ObjectRef, path: str) -> bytes:
        where, _, query = path.partition("?")
        target = ref.path("/".join(["proxy", *where.strip("/").split("/")]))
        return self._client.bounded(target, dict(parse_qsl(query, keep_blank_values=True)), PROXY_LIMIT)

    def can(self, permission: Permission) -> bool:
        attributes = {f: value for f in permission.__struct_fields__ if (value := getattr(permission, f))}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        return at(self._client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review), ("status", "allowed")) is True

    # writing

    def create(self, resource: Resource, obj: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        path = resource.path(at(obj, ("metadata", "namespace")), at(obj, ("metadata", "name")) if subresource else None, subresource)
        query = {**_write(dry_run), "fieldValidation": "Strict"}

        def attempt(tried: Try) -> Obj:
            try:
                return self._client.once(tried, "POST", path, query, obj)
            except ConflictError:
                name = at(obj, ("metadata", "name"))
                if subresource or not (tried.maybe_done and name):
                    raise
                found = self._client.once(tried, "GET", resource.path(at(obj, ("metadata", "namespace")), name))
                if not contains(found, obj):
                    raise
                return found

        return self._client.retried(attempt)

    def patch(self, ref: ObjectRef, body: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        path, query = ref.path(subresource), _write(dry_run)
        return self._client.retried(lambda tried: self._client.once(tried, "PATCH", path, query, body, MERGE_PATCH))

    def delete(self, ref: ObjectRef, *, dry_run: bool = False) -> None:
        # Background, as kubectl: the default of batch/v1 Jobs would leave their pods behind.
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if ref.uid:
            options["preconditions"] = {"uid": ref.uid}
        if dry_run:
            options["dryRun"] = ["All"]  # with a body, the API server does not look at the query

        def attempt(tried: Try) -> None:
            try:
                self._client.once(tried, "DELETE", ref.path(), _write(dry_run), options)
            except NotFoundError:
                if not tried.maybe_done:
                    raise

        self._client.retried(attempt)

    # who and where

    def identify(self) -> ClusterIdentity:
        return self._who().cluster()

    def whoami(self) -> Operator:
        return self._who().operator()

    def close(self) -> None:
        """Close the idle connections; the cluster stays usable."""
        self._client.transport.close()

    def _who(self) -> Identity:
        from irkit.adapters.identity import Identity

        with self._lock:
            if self._identity is None:
                self._identity = Identity(self._client)
            return self._identity


def contains(found: Any, sent: Any) -> bool:
    """Whether ``found`` has everything of ``sent``: the server only adds defaults to what it was given."""
    if isinstance(sent, dict):
        return isinstance(found, dict) and all(contains(found.get(k), v) for k, v in sent.items())
    if isinstance(sent, list):
        return isinstance(found, list) and len(found) == len(sent) and all(map(contains, found, sent))
    return bool(found == sent) or (found is None and sent in ("", False, 0))


def _gathered(reply: Reply, wait: float) -> Iterator[bytes]:
    """Pieces of 64 KiB or more while there are that many. What came before a failure is handed over before it."""
    from irkit.adapters.transport import CHUNK

    held = bytearray()
    try:
        for piece in reply.pieces(wait):
            held += piece
            if len(held) >= CHUNK:
                yield bytes(held)
                held.clear()
    except Transient as lost:
        if held:
            yield bytes(held)
        raise lost.error from None
    if held:
        yield bytes(held)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {**({"labelSelector": labels} if labels else {}), **({"fieldSelector": fields} if fields else {})}


def _write(dry_run: bool) -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
