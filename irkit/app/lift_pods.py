"""Lifting what cut many pods off: those of a node. Whoever controls such a pod has started another in its place since.

So it is not given back its labels: its controller would take it back and end one of its pods, maybe the new one. It is kept,
or deleted once its evidence is sealed. A pod that nobody controls has no other in its place, and gets its labels back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from irkit.model.changes import Await, Capture, Change, Delete, Patch
from irkit.model.edits import ABSENT
from irkit.model.kube import DAEMONSETS, JOBS, REPLICASETS, STATEFULSETS, ObjectRef, at, selects
from irkit.ports import ClusterReader, Observed, exists

_CONTROLLERS = (REPLICASETS, STATEFULSETS, DAEMONSETS, JOBS)


def returned(
    cut: Sequence[Patch], seen: Observed, restored: Callable[[Patch], Iterator[Patch]], conflicts: list[str], staying: set[str]
) -> Iterator[Change]:
    """Labels back. ``staying``: the namespaces in which a pod stays cut off are put into it; their policies must stay, too."""
    for patch in cut:
        if exists(seen.cluster, patch.ref) is None:
            continue
        if owner := _controller(patch, seen.cluster):
            conflicts.append(f"{patch.ref} stays cut off, its policy too: {owner} runs another in its place")
            staying.add(patch.ref.namespace)
        else:
            yield from restored(patch)


def deleted(cut: Sequence[Patch], seen: Observed, captured: frozenset[str], take: tuple[str, ...]) -> Iterator[Change]:
    """All of them, each once its evidence is sealed; the policies hold until they are gone."""
    left = [p.ref for p in cut if exists(seen.cluster, p.ref) is not None]
    yield from (Capture(pod=pod, take=take) for pod in left if pod.uid not in captured)
    yield from (Delete(ref=pod, why="its evidence is sealed", pods=(pod,)) for pod in left)
    yield from (Await(condition="gone", ref=pod) for pod in left)


def _controller(patch: Patch, cluster: ClusterReader) -> ObjectRef | None:
    """Who would take the pod back if it had its labels again."""
    labels = {e.path[-1]: e.before.value for e in patch.edits if e.path[:2] == ("metadata", "labels") and e.before != ABSENT}  # type: ignore[union-attr]
    for resource in _CONTROLLERS:
        for obj in cluster.list(resource, patch.ref.namespace):
            if selects(at(obj, ("spec", "selector")), labels):
                return ObjectRef(resource=resource, name=at(obj, ("metadata", "name"), ""), namespace=patch.ref.namespace)
    return None
