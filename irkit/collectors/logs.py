"""What every container wrote, this run and the one before, whole, as received, with the kubelet's timestamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from irkit.collectors.base import GET_POD, LIST_PODS, Asker, Read, refused
from irkit.model.evidence import LOGS_FILE, Artefact, Piece, Scope
from irkit.model.kube import PODS, Obj, at
from irkit.model.references import containers_of
from irkit.ports import ClusterReader
from irkit.text import printable

_STATUSES = {"container": "containerStatuses", "init": "initContainerStatuses", "ephemeral": "ephemeralContainerStatuses"}

# The kubelet answers 200 and then says these instead of a log (kuberuntime_container.go, ReadLogs; seen with 1.35). A line
# of a container begins with its timestamp, so it can't be mistaken for one.
_NO_LOG = (b"unable to retrieve container logs for ", b"failed to try resolving symlinks in path ")
_LONGEST_EXCUSE = 4096  # bytes


class Logs:
    name = "logs"
    volatility = 20
    reads = (GET_POD, LIST_PODS, Read("get", PODS, subresource="log"))

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """``pods/NS/POD/CONTAINER/{current,previous}.log``. A run that can't have a log is not missing."""
        ask = Asker(cluster, scope)
        pod = ask.pod()
        for kind, container in containers_of(pod or {}):
            name = container.get("name", "")
            status = _status(pod or {}, kind, name)
            if _ran(status):
                yield _log(scope, cluster, name, previous=False)
            if _ran_before(status):
                yield _log(scope, cluster, name, previous=True)
        yield from ask.missing


def _log(scope: Scope, cluster: ClusterReader, container: str, *, previous: bool) -> Artefact:
    run = "previous" if previous else "current"
    what = f"logs of {printable(container)} in {scope.pod}" + (" before its restart" if previous else "")
    path = ("pods", scope.pod.namespace, scope.pod.name, container, f"{run}.log")
    return Artefact(path, _stream(scope, cluster, container, previous=previous), what, (LOGS_FILE,) if scope.suspect else (), scope.pod.uid)


def _stream(scope: Scope, cluster: ClusterReader, container: str, *, previous: bool) -> Callable[[], Iterator[bytes]]:
    def stream() -> Iterator[bytes]:
        with cluster.logs(scope.pod, container, previous=previous) as chunks:
            yield from without_excuse(chunks)

    return stream


def without_excuse(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The log as received. Raises ApiError where the kubelet sent the reason why it has none in place of it."""
    head = b""
    for chunk in chunks:
        head += chunk
        if not any(excuse.startswith(head[: len(excuse)]) for excuse in _NO_LOG):
            yield head
            yield from chunks
            return
        if len(head) > _LONGEST_EXCUSE:
            yield from chain((head,), chunks)
            return
    if any(head.startswith(excuse) for excuse in _NO_LOG):
        raise refused(f"the node has it no more: {printable(head.decode(errors='replace').strip())}")
    if head:
        yield head


def _status(pod: Obj, kind: str, name: str) -> Obj:
    statuses: list[Obj] = at(pod, ("status", _STATUSES[kind]), [])
    return next((status for status in statuses if status.get("name") == name), {})


def _ran(status: Obj) -> bool:
    """Whether it was ever started (kubelet_pods.go, validateContainerLogStatus: a waiting one shows its last run)."""
    return any(at(status, ("state", how)) is not None for how in ("running", "terminated")) or _ran_before(status)


def _ran_before(status: Obj) -> bool:
    return bool(status.get("restartCount")) or at(status, ("lastState", "terminated")) is not None
